//! The schema of a workspace: static types and generated ones, merged into the same roots.
//!
//! Building one takes milliseconds; it is built when a workspace is first asked for and kept while
//! its catalog's version stands. Workspaces without own fields share one.

use std::sync::{Arc, OnceLock};

use async_graphql::registry::Registry;
use async_graphql::{Schema, SchemaEnv, ValidationMode};
use futures_util::FutureExt as _;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::live::Subscription;
use super::root::{Mutation, Query, with_catalog};
use super::types::Roots;
use super::view::View;
use crate::catalog::Catalog;

pub type Api = Schema<Query, Mutation, Subscription>;

/// A schema, ready to be asked.
pub struct WorkspaceSchema {
    pub api: Api,
    pub roots: Arc<Roots>,
    /// Tells it from others; means nothing.
    pub id: u64,
    /// What async-graphql knows of it.
    known: SchemaEnv,
    /// How many fields and relations its objects have.
    fields: u64,
    sdl: OnceLock<String>,
    hash: OnceLock<String>,
}

impl WorkspaceSchema {
    /// Builds the schema of a catalog.
    pub fn build(catalog: &Arc<Catalog>) -> Self {
        Self::build_view(catalog, &View::WHOLE)
    }

    /// Builds what a view shows of it.
    pub fn build_view(catalog: &Arc<Catalog>, view: &View) -> Self {
        let (builder, roots) = with_catalog(catalog, view, || Schema::build(Query, Mutation, Subscription));
        let roots = Arc::new(roots);
        let api = builder
            .data(roots.clone())
            .disable_suggestions()
            // Documents are validated before; see `validate`.
            .validation_mode(ValidationMode::Fast)
            .finish();
        let known = registry_of(&api);
        let fields: usize = catalog.objects().map(|object| object.all_fields().count() + object.relations.len()).sum();
        Self {
            api,
            roots,
            id: rand::random(),
            known,
            fields: u64::try_from(fields).unwrap_or(u64::MAX),
            sdl: OnceLock::new(),
            hash: OnceLock::new(),
        }
    }

    /// The types and directives.
    pub fn registry(&self) -> &Registry {
        &self.known.registry
    }

    /// The schema in GraphQL's own language.
    pub fn sdl(&self) -> &str {
        self.sdl.get_or_init(|| {
            let options = async_graphql::SDLExportOptions::new().prefer_single_line_descriptions().include_specified_by();
            tidy(&self.api.sdl_with_options(options))
        })
    }

    /// What changes when the schema changes, the same on every node.
    pub fn hash(&self) -> &str {
        self.hash.get_or_init(|| digest(self.sdl()))
    }

    /// A schema that follows from another one and from what `of` says. To write down all of it only to tell that it is
    /// another one takes half as long again as to build it.
    fn hashed(self, standard: &Self, of: &str) -> Self {
        let hash = digest(&format!("{} {of}", standard.hash()));
        Self { hash: OnceLock::from(hash), ..self }
    }
}

fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

/// What async-graphql knows of a schema it shows to resolvers alone, so one is asked.
fn registry_of(api: &Api) -> SchemaEnv {
    let asked = Arc::new(Asked::default());
    // It answers at once: nothing is waited for.
    let _ = api.execute(async_graphql::Request::new(PROBE).data(asked.clone())).now_or_never();
    #[expect(clippy::expect_used, reason = "a schema without its first root field is a bug that every test would show")]
    asked.0.get().cloned().expect("a schema answers its own probe")
}

/// A root field of every schema.
const PROBE: &str = "{ changeCursor }";

/// Put into a request, it wants nothing but to be shown the schema.
#[derive(Default)]
pub struct Asked(pub OnceLock<SchemaEnv>);

/// The language of a schema without an interface that no field of a narrowed one leads to, whose types name it all the same.
fn tidy(sdl: &str) -> String {
    if sdl.lines().any(|line| line.starts_with("interface AnyRecord")) {
        return sdl.to_owned();
    }
    sdl.replace(" & AnyRecord", "").replace("AnyRecord & ", "")
}

/// The schemas in use.
pub struct Schemas {
    standard: Arc<WorkspaceSchema>,
    own: Cache<Key, Arc<WorkspaceSchema>, Weight>,
}

/// Workspace, version of its catalog, and what a view leaves out.
type Key = (Uuid, i64, u128);

/// How many bytes a schema takes, about: measured on 50 objects of 40 fields with everything derived.
#[derive(Clone)]
struct Weight;

const BYTES_OF_A_FIELD: u64 = 6_800;

impl Weighter<Key, Arc<WorkspaceSchema>> for Weight {
    fn weight(&self, _: &Key, schema: &Arc<WorkspaceSchema>) -> u64 {
        schema.fields * BYTES_OF_A_FIELD
    }
}

impl Schemas {
    /// Keeps as many schemas of workspaces with own fields as fit into so much memory.
    pub fn new(standard: &Arc<Catalog>, mebibytes: u32) -> Self {
        let bytes = u64::from(mebibytes) << 20;
        let standard = Arc::new(WorkspaceSchema::build(standard));
        let fitting = usize::try_from(bytes / (standard.fields * BYTES_OF_A_FIELD).max(1)).unwrap_or(usize::MAX);
        Self { own: Cache::with_weighter(fitting.clamp(1, 100_000), bytes, Weight), standard }
    }

    pub fn standard(&self) -> &Arc<WorkspaceSchema> {
        &self.standard
    }

    pub fn of(&self, workspace: Uuid, catalog: &Arc<Catalog>) -> Arc<WorkspaceSchema> {
        if catalog.version == 0 {
            return self.standard.clone();
        }
        self.get((workspace, catalog.version, 0), catalog, &View::WHOLE)
    }

    /// What a caller is shown of the schema.
    pub fn view(&self, workspace: Uuid, catalog: &Arc<Catalog>, view: &View) -> Arc<WorkspaceSchema> {
        match view.fingerprint(catalog) {
            0 => self.of(workspace, catalog),
            // Workspaces without own fields share their views too.
            left_out if catalog.version == 0 => self.get((Uuid::nil(), 0, left_out), catalog, view),
            left_out => self.get((workspace, catalog.version, left_out), catalog, view),
        }
    }

    fn get(&self, key: Key, catalog: &Arc<Catalog>, view: &View) -> Arc<WorkspaceSchema> {
        if let Some(known) = self.own.get(&key) {
            return known;
        }
        let objects: Vec<String> = catalog.objects().map(|object| format!("{object:?}")).collect();
        let built = WorkspaceSchema::build_view(catalog, view).hashed(&self.standard, &format!("{} {objects:?}", key.2));
        let built = Arc::new(built);
        self.own.insert(key, built.clone());
        built
    }
}
