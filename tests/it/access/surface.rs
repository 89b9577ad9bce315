//! The whole surface, as the schema tells it: every root field refuses strangers, and whoever has a
//! role that allows nothing sees nothing and changes nothing. What is added later is in here by
//! itself; exceptions stand in the lists below, which may only shrink.

use serde_json::{Map, Value, json};

use crate::harness::{Actor, Server, on_both};

/// Root fields for strangers: they sign in, or make a workspace to sign in to.
const FOR_STRANGERS: [&str; 10] = [
    "acceptInvitation",
    "completeSignIn",
    "createWorkspace",
    "refreshSession",
    "requestMagicLink",
    "requestPasswordReset",
    "resetPassword",
    "signIn",
    "signInOptions",
    "signOut",
];

/// Root fields that every member has, whatever their roles: they speak of nobody but the caller, or
/// of what the schema tells anyway.
const FOR_EVERYBODY: [&str; 8] = ["changeCursor", "costOf", "fields", "objects", "sessions", "signInOptions", "viewer", "workspace"];

/// Fields of the roots, their arguments, and all input types and enums, by introspection.
struct Surface {
    types: Map<String, Value>,
    queries: Vec<Value>,
    mutations: Vec<Value>,
}

async fn surface(admin: &Actor<'_>) -> Surface {
    let of = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
    let document = format!(
        "{{ __schema {{ types {{ name kind inputFields {{ name defaultValue type {{ {of} }} }} enumValues {{ name }} fields {{ name type {{ {of} }} args {{ name defaultValue type {{ {of} }} }} }} }} }} }}"
    );
    let data = admin.ask(&document).await;
    let types: Map<String, Value> =
        data["__schema"]["types"].as_array().unwrap().iter().map(|ty| (ty["name"].as_str().unwrap().to_owned(), ty.clone())).collect();
    let fields = |root: &str| types[root]["fields"].as_array().unwrap().clone();
    Surface { queries: fields("Query"), mutations: fields("Mutation"), types }
}

impl Surface {
    /// A value that the type takes.
    fn value(&self, ty: &Value, name: &str, id: &str) -> String {
        match ty["kind"].as_str().unwrap() {
            "NON_NULL" => self.value(&ty["ofType"], name, id),
            "LIST" => format!("[{}]", self.value(&ty["ofType"], name, id)),
            "ENUM" => {
                let values = &self.types[ty["name"].as_str().unwrap()]["enumValues"];
                values[0]["name"].as_str().unwrap().to_owned()
            }
            "INPUT_OBJECT" => {
                let fields = self.types[ty["name"].as_str().unwrap()]["inputFields"].as_array().unwrap();
                let needed = fields.iter().filter(|field| is_needed(field));
                let mut given: Vec<String> = needed
                    .map(|field| {
                        format!("{}: {}", field["name"].as_str().unwrap(), self.value(&field["type"], field["name"].as_str().unwrap(), id))
                    })
                    .collect();
                // A filter that says nothing is refused for that alone.
                if ty["name"] == "SyncScope" {
                    given.push("deals: {}".to_owned());
                } else if ty["name"].as_str().unwrap().ends_with("Filter") {
                    given.push(format!("id: {{ eq: \"{id}\" }}"));
                } else if ty["name"].as_str().unwrap().ends_with("GroupBy") {
                    given.push("id: VALUE".to_owned());
                } else if ty["name"].as_str().unwrap().ends_with("Key") {
                    given.push("externalId: { system: \"s\", value: \"v\" }".to_owned());
                }
                format!("{{ {} }}", given.join(", "))
            }
            _ => match ty["name"].as_str().unwrap() {
                "ID" => format!("\"{id}\""),
                "Int" => "1".into(),
                "Boolean" => "true".into(),
                "EmailAddress" => "\"x@x.example\"".into(),
                "DateTime" => "\"2027-01-01T00:00:00Z\"".into(),
                "Date" => "\"2027-01-01\"".into(),
                "Decimal" => "\"1\"".into(),
                _ if name == "email" => "\"x@x.example\"".into(),
                _ => "\"something\"".into(),
            },
        }
    }

    /// The field with the arguments that it needs.
    fn call(&self, field: &Value, id: &str) -> String {
        let name = field["name"].as_str().unwrap();
        let mut arguments: Vec<String> = field["args"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|argument| is_needed(argument))
            .map(|argument| format!("{}: {}", argument["name"].as_str().unwrap(), self.value(&argument["type"], "", id)))
            .collect();
        let has = |name: &str| field["args"].as_array().unwrap().iter().any(|argument| argument["name"] == name);
        if name == "costOf" {
            arguments = vec!["document: \"{ __typename }\"".to_owned()];
        }
        if has("id") && has("key") {
            arguments.push(format!("id: \"{id}\""));
        }
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let named = named(&field["type"]);
        let selection = match self.types[named]["kind"].as_str().unwrap() {
            "SCALAR" | "ENUM" => String::new(),
            _ if self.types[named]["fields"].as_array().is_some_and(|fields| fields.iter().any(|field| field["name"] == "totalCount")) => {
                " { totalCount }".into()
            }
            _ if self.types[named]["fields"].as_array().is_some_and(|fields| fields.iter().any(|field| field["name"] == "userErrors")) => {
                " { userErrors { code } }".into()
            }
            _ => " { __typename }".into(),
        };
        format!("{name}{arguments}{selection}")
    }
}

fn is_needed(input: &Value) -> bool {
    input["type"]["kind"] == "NON_NULL" && input["defaultValue"].is_null()
}

fn named(ty: &Value) -> &str {
    if ty["ofType"].is_object() { named(&ty["ofType"]) } else { ty["name"].as_str().unwrap() }
}

/// Somebody whose only role allows nothing.
async fn powerless<'a>(server: &'a Server, admin: &Actor<'a>) -> Actor<'a> {
    let made = admin.ask("mutation { createRole(input: { name: \"Nothing\" }) { role { id } } }").await;
    let member = server.member(admin, "Nil", "REP").await;
    let holder = member.id().await;
    let set = "mutation($h: ID!, $r: ID!) { setRoles(input: { holder: $h, roles: [$r] }) { userErrors { code } } }";
    let done = admin.ask_with(set, json!({ "h": holder, "r": made["createRole"]["role"]["id"] })).await;
    assert_eq!(done["setRoles"]["userErrors"], json!([]));
    member
}

on_both! {
    async fn strangers_are_refused_everywhere(server: &Server) {
        let admin = server.admin().await;
        let surface = surface(&admin).await;
        let deal = admin.create("deal", json!({ "name": "d" })).await;
        for (root, fields) in [("query", &surface.queries), ("mutation", &surface.mutations)] {
            assert!(fields.len() > 10);
            for field in fields.iter().filter(|field| !FOR_STRANGERS.contains(&field["name"].as_str().unwrap())) {
                let document = format!("{root} {{ {} }}", surface.call(field, &deal));
                assert_eq!(server.anonymous().refused(&document).await.0, "UNAUTHENTICATED", "{document}");
            }
        }
    }

    async fn a_role_that_allows_nothing_shows_and_changes_nothing(server: &Server) {
        let admin = server.admin().await;
        let surface = surface(&admin).await;
        let deal = admin.create("deal", json!({ "name": "d" })).await;
        let nil = powerless(server, &admin).await;
        let (mut open, mut effective) = (Vec::new(), Vec::new());
        for field in &surface.queries {
            let name = field["name"].as_str().unwrap();
            let document = format!("{{ {} }}", surface.call(field, &deal));
            let answer = nil.send(&document, json!({})).await;
            let value = &answer["data"][name];
            // Everybody sees the member that they are.
            let least = usize::from(matches!(name, "members" | "memberGroups"));
            let nothing = value.is_null() || value["totalCount"] == least || value.as_array().is_some_and(|list| list.iter().all(Value::is_null));
            if !nothing {
                open.push(name.to_owned());
            } else if let Some(error) = answer["errors"].get(0) {
                assert_eq!(error["extensions"]["code"], "FORBIDDEN", "{document}: {answer}");
            }
        }
        let changes = async || {
            let tx = server.app.db.begin(&kith::infra::db::Scope::workspace(admin.workspace), kith::infra::db::Mode::Read).await.unwrap();
            let row = tx.fetch_optional("SELECT seq FROM log_head WHERE workspace_id = $1", vec![admin.workspace.into()]).await.unwrap().unwrap();
            row.int(0).unwrap()
        };
        let before = changes().await;
        for field in surface.mutations.iter().filter(|field| !FOR_STRANGERS.contains(&field["name"].as_str().unwrap())) {
            let name = field["name"].as_str().unwrap();
            let document = format!("mutation {{ {} }}", surface.call(field, &deal));
            let answer = nil.send(&document, json!({})).await;
            let payload = &answer["data"][name];
            let refused = answer["errors"][0]["extensions"]["code"] == "FORBIDDEN" || payload["userErrors"].as_array().is_some_and(|errors| !errors.is_empty());
            // A bulk write by filter that finds nothing did nothing.
            let bulk = payload["userErrors"] == json!([]) && (name.starts_with("update") || name.starts_with("delete"));
            if !refused && !bulk && !FOR_EVERYBODY.contains(&name) {
                effective.push(format!("{name}: {answer}"));
            }
        }
        assert_eq!(changes().await, before, "something was written");
        open.retain(|name| !FOR_EVERYBODY.contains(&name.as_str()));
        assert!(open.is_empty(), "shown to a role that allows nothing: {open:?}");
        assert!(effective.is_empty(), "done for a role that allows nothing: {effective:#?}");
    }
}
