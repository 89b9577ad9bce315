//! Takes the explorer's assets from npm into the build, where npm is there.
//!
//! Without npm, or without a network, the folder stays empty and the explorer's page takes the same
//! versions from a CDN.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where the packages keep what the page loads, and what the page calls it.
const FILES: [(&str, &str); 5] = [
    ("react/umd/react.production.min.js", "react.js"),
    ("react-dom/umd/react-dom.production.min.js", "react-dom.js"),
    ("graphiql/graphiql.min.js", "explorer.js"),
    ("graphiql/graphiql.min.css", "explorer.css"),
    ("graphql-ws/umd/graphql-ws.min.js", "live.js"),
];

fn main() {
    println!("cargo::rerun-if-changed=explorer/package.json");
    println!("cargo::rerun-if-changed=explorer/package-lock.json");
    println!("cargo::rerun-if-env-changed=KITH_WITHOUT_EXPLORER");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let assets = out.join("explorer");
    if let Err(why) = fs::create_dir_all(&assets) {
        println!("cargo::error=cannot make {}: {why}", assets.display());
        return;
    }
    if env::var_os("KITH_WITHOUT_EXPLORER").is_some() {
        return;
    }
    if let Err(why) = take(&out.join("npm"), &assets) {
        println!("cargo::warning=the explorer will come from a CDN: {why}");
    }
}

fn take(work: &Path, assets: &Path) -> Result<(), String> {
    fs::create_dir_all(work).map_err(|e| e.to_string())?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(Path::new("explorer").join(file), work.join(file)).map_err(|e| format!("explorer/{file}: {e}"))?;
    }
    let npm = Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(work).output();
    let done = npm.map_err(|_| "npm is not installed".to_owned())?;
    if !done.status.success() {
        return Err("`npm ci` failed".into());
    }
    for (from, to) in FILES {
        fs::copy(work.join("node_modules").join(from), assets.join(to)).map_err(|e| format!("{from}: {e}"))?;
    }
    Ok(())
}
