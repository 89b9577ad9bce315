//! Which module may use which: from what callers meet down to what knows no CRM, never back.

use std::path::{Path, PathBuf};

/// From top to bottom. A module uses modules below it only.
const LAYERS: [&str; 11] = ["main", "commands", "graphql", "work", "app", "features", "objects", "records", "catalog", "platform", "infra"];

/// What everybody may use: two kinds of error, and settings.
const FREE: [&str; 3] = ["error", "config", "lib"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The top-level module of a file.
fn module(file: &Path) -> String {
    let inside = file.strip_prefix(source()).unwrap();
    inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    for file in files(&source()) {
        let own = module(&file);
        if FREE.contains(&own.as_str()) {
            continue;
        }
        let own_place = place(&own).unwrap_or_else(|| panic!("{}: no layer is named {own}", file.display()));
        for line in std::fs::read_to_string(&file).unwrap().lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if let Some(used_place) = place(&used) {
                    assert!(used_place >= own_place, "{}: {own} uses {used}, which lies above it: {line}", file.display());
                }
            }
        }
    }
}

#[test]
fn only_the_graphql_layer_knows_async_graphql() {
    for file in files(&source()) {
        let own = module(&file);
        let text = std::fs::read_to_string(&file).unwrap();
        if own != "graphql" {
            assert!(!text.contains("async_graphql"), "{}", file.display());
        }
    }
}

#[test]
fn a_file_fits_a_readers_head() {
    for file in files(&source()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 450, "{}: {lines} lines; split it", file.display());
    }
}
