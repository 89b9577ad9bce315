//! What the built-in roles reach, measured: a file under review, like the schema.
//!
//! Somebody with the role tries each thing on records of their own, of a mate in their team, of the
//! team below, of somebody else, and on what is linked to the person that they are. After a change that
//! is meant, write the file anew with `KITH_BLESS=1 ./test the_matrix`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Actor, Server, capital};

const ROLES: [&str; 7] = ["OWNER", "ADMIN", "MANAGER", "REP", "READ_ONLY", "PORTAL", "INTEGRATION"];
const OBJECTS: [&str; 10] = ["company", "person", "deal", "pipeline", "stage", "task", "note", "tag", "territory", "member"];
const WHOSE: [&str; 5] = ["own", "team", "below", "other", "linked"];

fn input(object: &str, name: &str, pipeline: &Value) -> Value {
    match object {
        "person" => json!({ "lastName": name }),
        "stage" => json!({ "name": name, "pipeline": { "id": pipeline } }),
        "task" => json!({ "subject": name }),
        "note" => json!({ "title": name }),
        _ => json!({ "name": name }),
    }
}

/// What somebody can do with a record: see, change, delete.
async fn rights(actor: &Actor<'_>, object: &str, id: &str) -> [bool; 3] {
    let document = format!("query($id: ID!) {{ {object}(id: $id) {{ viewerAccess {{ canUpdate canDelete }} }} }}");
    let found = actor.ask_with(&document, json!({ "id": id })).await[object].take();
    let ty = capital(object);
    let change = format!("mutation($id: ID!) {{ update{ty}(id: $id, input: {{}}, validateOnly: true) {{ userErrors {{ code }} }} }}");
    let refused = actor.ask_with(&change, json!({ "id": id })).await[format!("update{ty}")]["userErrors"].take();
    let changes = refused == json!([]);
    // What is shown beforehand is what happens.
    assert_eq!(found["viewerAccess"]["canUpdate"] == true, changes, "{object}: {found} {refused}");
    [found.is_object(), changes, found["viewerAccess"]["canDelete"] == true]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_roles_is_what_was_reviewed() {
    let server = Server::on_sqlite().await;
    let admin = server.admin().await;
    let pipeline = admin.ask("{ pipelines { nodes { id } } }").await["pipelines"]["nodes"][0]["id"].take();
    let mut people = Vec::new();
    for name in ["Mate", "Below", "Other"] {
        people.push(server.member(&admin, name, "REP").await.id().await);
    }
    let mut table = String::from(
        "# What the built-in roles reach\n\nMeasured by `tests/it/access/matrix.rs`: whose records somebody with the role sees, changes and deletes. \
         *own*: those that they own; *team*: of a mate; *below*: of the team below theirs; *other*: of somebody else; *linked*: linked to the person that \
         they are.\n\n| role | object | creates | sees | changes | deletes |\n|---|---|---|---|---|---|\n",
    );
    for role in ROLES {
        let person = admin.create("person", json!({ "lastName": "Self" })).await;
        let actor = server.member_with(&admin, &format!("Actor{}", role.replace('_', "")), role, json!({ "personId": person })).await;
        let me = actor.id().await;
        let team = "mutation($i: CreateTeamInput!) { createTeam(input: $i) { team { id } userErrors { message } } }";
        let own = admin.ask_with(team, json!({ "i": { "name": role, "members": [{ "member": me }, { "member": people[0] }] } })).await;
        let below =
            json!({ "name": format!("{role} below"), "parentId": own["createTeam"]["team"]["id"], "members": [{ "member": people[1] }] });
        admin.ask_with(team, json!({ "i": below })).await;
        for object in OBJECTS {
            let ty = capital(object);
            let create = format!("mutation($i: {ty}Create!) {{ create{ty}(input: $i, validateOnly: true) {{ userErrors {{ code }} }} }}");
            let made = actor.send(&create, json!({ "i": input(object, "New", &pipeline) })).await;
            let creates = made["errors"].is_null();
            let mut reached = [Vec::new(), Vec::new(), Vec::new()];
            for (index, whose) in WHOSE.into_iter().enumerate() {
                let owner = match index {
                    0 => &me,
                    n @ (1 | 2) => &people[n - 1],
                    _ => &people[2],
                };
                let mut new = input(object, &format!("{role} {whose}"), &pipeline);
                new["owner"] = json!({ "id": owner });
                let id = match (whose, object) {
                    ("linked", "person") => person.clone(),
                    ("linked", "company") => {
                        new["people"] = json!({ "connect": [{ "id": person }] });
                        admin.create(object, new).await
                    }
                    ("linked", "deal") => {
                        new["people"] = json!({ "connect": [{ "id": person }] });
                        admin.create(object, new).await
                    }
                    ("linked", "task" | "note") => {
                        new["links"] = json!({ "connect": [{ "id": person }] });
                        admin.create(object, new).await
                    }
                    ("linked", _) => continue,
                    _ => admin.create(object, new).await,
                };
                for (list, right) in reached.iter_mut().zip(rights(&actor, object, &id).await) {
                    if right {
                        list.push(whose);
                    }
                }
            }
            let all = if matches!(object, "pipeline" | "stage" | "tag" | "territory" | "member") { 4 } else { 5 };
            let words = |list: &Vec<&str>| match list.len() {
                0 => "–".to_owned(),
                n if n == all => "all".to_owned(),
                _ => list.join(", "),
            };
            let [sees, changes, deletes] = &reached;
            let _ = writeln!(
                table,
                "| {role} | {object} | {} | {} | {} | {} |",
                if creates { "yes" } else { "–" },
                words(sees),
                words(changes),
                words(deletes)
            );
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions-matrix.md");
    if std::env::var_os("KITH_BLESS").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == table, "docs/permissions-matrix.md is not what roles reach now; look at the difference:\n{table}");
}
