//! Every mutation that does something leaves a trace: a change in the log, or an entry in the audit.
//! What is added to the schema must be here, or in the list of exceptions, which may only shrink.

use serde_json::{Value, json};

use crate::harness::{Actor, Server, capital, on_both};

/// What leaves no trace: nothing is changed yet, or there is no workspace to keep it.
const WITHOUT_A_TRACE: [&str; 3] = [
    // Only a code of it turns the second factor on, which is in the audit.
    "enrollTotp",
    // A mail is sent, or not; what its reader does is in the audit.
    "requestMagicLink",
    "requestPasswordReset",
];

/// What other tests of the audit look at: they need a mail, a second workspace or a token first.
const TRACED_ELSEWHERE: [&str; 6] =
    ["acceptInvitation", "completeSignIn", "refreshSession", "resetPassword", "retryJob", "switchWorkspace"];

/// A new record of each type.
fn fixtures(pipeline: &str) -> Vec<(&'static str, &'static str, Value)> {
    let times = json!({ "subject": "x", "startAt": "2026-03-12T09:00:00Z", "endAt": "2026-03-12T10:00:00Z" });
    vec![
        ("company", "companies", json!({ "name": "x" })),
        ("person", "people", json!({ "lastName": "x" })),
        ("deal", "deals", json!({ "name": "x" })),
        ("pipeline", "pipelines", json!({ "name": "x" })),
        ("stage", "stages", json!({ "name": "x", "pipeline": { "id": pipeline } })),
        ("task", "tasks", json!({ "subject": "x" })),
        ("call", "calls", json!({ "subject": "x" })),
        ("meeting", "meetings", times),
        ("emailActivity", "emailActivities", json!({ "subject": "x" })),
        ("note", "notes", json!({ "title": "x" })),
        ("tag", "tags", json!({ "name": "x" })),
        ("territory", "territories", json!({ "name": "x" })),
        ("member", "members", json!({ "name": "x" })),
    ]
}

/// How much stands in the log and the audit.
async fn traces(server: &Server, admin: &Actor<'_>) -> i64 {
    let tx = server.app.db.begin(&kith::infra::db::Scope::workspace(admin.workspace), kith::infra::db::Mode::Read).await.unwrap();
    let mut sum = 0;
    for head in ["log_head", "audit_head"] {
        let row = tx.fetch_optional(&format!("SELECT seq FROM {head} WHERE workspace_id = $1"), vec![admin.workspace.into()]).await;
        sum += row.unwrap().unwrap().int(0).unwrap().unwrap();
    }
    sum
}

/// The name of the list that the SDL has, whatever the plural of its type.
fn changed(one: &str, name: &str) -> Value {
    match one {
        "person" => json!({ "lastName": name }),
        "task" | "call" | "meeting" | "emailActivity" => json!({ "subject": name }),
        "note" => json!({ "title": name }),
        _ => json!({ "name": name }),
    }
}

struct Tried {
    seen: Vec<String>,
    silent: Vec<String>,
}

impl Tried {
    async fn ask(&mut self, server: &Server, admin: &Actor<'_>, name: &str, arguments: &str, selection: &str, variables: Value) -> Value {
        let declared: Vec<String> =
            variables.as_object().unwrap().iter().map(|(key, value)| format!("${key}: {}", value["type"].as_str().unwrap())).collect();
        let values: Value = variables
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value["value"].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let declared = if declared.is_empty() { String::new() } else { format!("({})", declared.join(", ")) };
        let arguments = if arguments.is_empty() { String::new() } else { format!("({arguments})") };
        let before = traces(server, admin).await;
        let data = admin.ask_with(&format!("mutation{declared} {{ {name}{arguments} {{ {selection} }} }}"), values).await[name].take();
        assert!(data["userErrors"].as_array().is_none_or(Vec::is_empty), "{name}: {data}");
        self.seen.push(name.to_owned());
        if traces(server, admin).await == before {
            self.silent.push(name.to_owned());
        }
        data
    }
}

fn variable(ty: &str, value: Value) -> Value {
    json!({ "type": ty, "value": value })
}

async fn try_records(server: &Server, admin: &Actor<'_>, tried: &mut Tried) {
    let pipeline = admin.ask("{ pipelines { nodes { id } } }").await["pipelines"]["nodes"][0]["id"].as_str().unwrap().to_owned();
    for (one, many, input) in fixtures(&pipeline) {
        let (ty, plural) = (capital(one), capital(many));
        let errors = format!("{one} {{ id }} userErrors {{ code message path }}");
        let made = tried
            .ask(
                server,
                admin,
                &format!("create{ty}"),
                "input: $i",
                &errors,
                json!({ "i": variable(&format!("{ty}Create!"), input.clone()) }),
            )
            .await;
        let id = made[one]["id"].clone();
        let by_id = || json!({ "id": variable("ID!", id.clone()) });
        let mut update = by_id();
        update["i"] = variable(&format!("{ty}Update!"), changed(one, "y"));
        tried.ask(server, admin, &format!("update{ty}"), "id: $id, input: $i", &errors, update).await;
        let of = if ["task", "call", "meeting", "emailActivity"].contains(&one) { "Activity" } else { &ty };
        let mut upsert = json!({ "k": variable(&format!("{of}Key!"), json!({ "externalId": { "system": "s", "value": one } })) });
        upsert["i"] = variable(&format!("{ty}Create!"), input.clone());
        tried.ask(server, admin, &format!("upsert{ty}"), "key: $k, input: $i", &errors, upsert).await;
        if one == "stage" {
            tried.ask(server, admin, "moveStage", "id: $id", &errors, by_id()).await;
        }
        let removed = "deletedId userErrors { code message path }";
        tried.ask(server, admin, &format!("delete{ty}"), "id: $id", removed, by_id()).await;
        tried.ask(server, admin, &format!("restore{ty}"), "id: $id", &errors, by_id()).await;
        if ["company", "person", "deal", "note", "tag"].contains(&one) {
            let twin = admin.create(one, changed(one, "twin")).await;
            let merged = tried
                .ask(
                    server,
                    admin,
                    &format!("merge{plural}"),
                    &format!("into: \"{twin}\", from: [$id]"),
                    "mergeId userErrors { code message path }",
                    by_id(),
                )
                .await;
            let undo = format!("mergeId: {}", merged["mergeId"]);
            tried.ask(server, admin, &format!("unmerge{ty}"), &undo, "changeSetId userErrors { code message path }", json!({})).await;
        }
        tried.ask(server, admin, &format!("purge{ty}"), "id: $id", removed, by_id()).await;
        let results = "committed userErrors { code message path } results { userErrors { code message } }";
        let mut one_more = input.clone();
        one_more.as_object_mut().unwrap().extend(changed(one, "bulk").as_object().unwrap().clone());
        tried
            .ask(
                server,
                admin,
                &format!("create{plural}"),
                "inputs: $i",
                results,
                json!({ "i": variable(&format!("[{ty}Create!]!"), json!([one_more])) }),
            )
            .await;
        let field = changed(one, "").as_object().unwrap().keys().next().unwrap().clone();
        let filter = variable(&format!("{ty}Filter!"), json!({ field: { "eq": "bulk" } }));
        let mut many = json!({ "f": filter.clone() });
        many["i"] = variable(&format!("{ty}Update!"), if one == "member" { json!({ "jobTitle": "z" }) } else { changed(one, "Bulk") });
        tried.ask(server, admin, &format!("update{plural}"), "filter: $f, input: $i, limit: 10", results, many).await;
        tried.ask(server, admin, &format!("delete{plural}"), "filter: $f, limit: 10", results, json!({ "f": filter })).await;
    }
}

/// The mutations that are the same in every workspace: name, arguments, selection. `{x}` is what an earlier one gave.
const STATIC: &[(&str, &str, &str, Option<&str>)] = &[
    ("updateWorkspace", "input: { name: \"New\" }", "workspace { id }", None),
    ("createField", "input: { object: DEAL, name: \"x\", kind: TEXT, label: \"x\", encrypted: true }", "field { id }", Some("field")),
    ("updateField", "input: { id: \"{field}\", label: \"y\" }", "field { id }", None),
    ("rotateDataKey", "", "rotated", None),
    ("archiveField", "input: { id: \"{field}\" }", "field { id }", None),
    (
        "createObject",
        "input: { name: \"house\", plural: \"houses\", label: \"House\", pluralLabel: \"Houses\" }",
        "object { id }",
        Some("object"),
    ),
    ("updateObject", "input: { id: \"{object}\", label: \"Home\" }", "object { id }", None),
    (
        "createRelation",
        "input: { from: HOUSE, to: DEAL, name: \"deals\", inverseName: \"house\", label: \"Deals\", inverseLabel: \"House\", cardinality: ONE_TO_MANY }",
        "relation { id }",
        Some("relation"),
    ),
    ("updateRelation", "input: { id: \"{relation}\", label: \"Sales\" }", "relation { id }", None),
    ("archiveRelation", "input: { id: \"{relation}\" }", "relation { id }", None),
    ("archiveObject", "input: { id: \"{object}\" }", "object { id }", None),
    ("setDuplicateRule", "input: { object: DEAL, action: WARN }", "duplicateRule { action }", None),
    ("createRole", "input: { name: \"r\" }", "role { id }", Some("role")),
    ("updateRole", "input: { id: \"{role}\", name: \"s\" }", "role { id }", None),
    ("inviteMember", "input: { name: \"n\", email: \"n@test.example\", roles: [\"{role}\"] }", "member { id }", Some("member")),
    ("setRoles", "input: { holder: \"{member}\", roles: [\"{role}\"] }", "roles { id }", None),
    ("deleteRole", "input: { id: \"{role}\" }", "deletedId", None),
    ("createTeam", "input: { name: \"t\" }", "team { id }", Some("team")),
    ("updateTeam", "input: { id: \"{team}\", name: \"u\" }", "team { id }", None),
    ("shareRecord", "input: { record: \"{deal}\", grantee: \"{team}\" }", "share { id }", Some("share")),
    ("unshareRecord", "input: { id: \"{share}\" }", "userErrors { code }", None),
    ("deleteTeam", "input: { id: \"{team}\" }", "deletedId", None),
    ("createApplication", "input: { name: \"a\" }", "application { id }", Some("application")),
    ("registerDocuments", "input: { applicationId: \"{application}\", documents: [\"{ __typename }\"] }", "application { id }", None),
    ("createInboundHook", "input: { name: \"h\", type: \"Note\", input: { title: \"x\" } }", "inboundHook { id }", Some("inboundHook")),
    ("updateInboundHook", "input: { id: \"{inboundHook}\", name: \"x\" }", "inboundHook { id }", None),
    ("rotateInboundHookSecret", "input: { id: \"{inboundHook}\" }", "secret", None),
    ("deleteInboundHook", "input: { id: \"{inboundHook}\" }", "deletedId", None),
    ("createWebhook", "input: { name: \"w\", url: \"https://nowhere.invalid/\" }", "webhook { id }", Some("webhook")),
    ("updateWebhook", "input: { id: \"{webhook}\", name: \"x\" }", "webhook { id }", None),
    ("rotateWebhookSecret", "input: { id: \"{webhook}\" }", "secret", None),
    ("sendTestWebhook", "input: { id: \"{webhook}\" }", "body", None),
    ("replayWebhooks", "input: { webhookId: \"{webhook}\", from: \"2026-01-01T00:00:00Z\" }", "pending", None),
    ("rewindLogReader", "input: { name: WEBHOOKS, position: 0 }", "reader { lag }", None),
    ("deleteWebhook", "input: { id: \"{webhook}\" }", "deletedId", None),
    ("createApiKey", "input: { name: \"k\" }", "apiKey { id } secret", Some("apiKey")),
    ("revokeApiKey", "input: { id: \"{apiKey}\" }", "apiKey { id }", None),
    ("changePassword", "input: { present: \"correct horse\", new: \"battery staple\" }", "changed", None),
];

on_both! {
    async fn every_mutation_leaves_a_trace(server: &Server) {
        let admin = server.admin().await;
        let email = admin.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].as_str().unwrap().to_owned();
        let mut tried = Tried { seen: Vec::new(), silent: Vec::new() };
        try_records(server, &admin, &mut tried).await;
        let mut known = serde_json::Map::from_iter([("deal".to_owned(), json!(admin.create("deal", json!({ "name": "d" })).await))]);
        for (name, arguments, selection, gives) in STATIC {
            let filled = known.iter().fold((*arguments).to_owned(), |text, (key, id)| text.replace(&format!("{{{key}}}"), id.as_str().unwrap()));
            let selection = if selection.contains("userErrors") { (*selection).to_owned() } else { format!("{selection} userErrors {{ code message path }}") };
            let data = tried.ask(server, &admin, name, &filled, &selection, json!({})).await;
            if let Some(what) = gives {
                known.insert((*what).to_owned(), data[*what]["id"].clone());
            }
            if *name == "createApiKey" {
                // A key makes an embed token.
                let key = Actor { credential: data["secret"].as_str().map(str::to_owned), ..admin.clone() };
                tried.ask(server, &key, "createEmbedToken", "input: { restrictions: { scopes: [{ object: DEAL, access: READ }] } }", "token userErrors { code }", json!({})).await;
            }
        }
        let set = admin.ask("mutation { createTag(input: { name: \"undone\" }) { changeSetId } }").await["createTag"]["changeSetId"].take();
        tried.ask(server, &admin, "revertChangeSet", &format!("input: {{ id: {set} }}"), "changeSetId userErrors { code }", json!({})).await;
        // Sessions, the second factor and a workspace of one's own.
        let sign_in = format!("input: {{ email: \"{email}\", password: \"battery staple\" }}");
        tried.ask(server, &admin, "signIn", &sign_in, "userErrors { code }", json!({})).await;
        let other = admin.ask("{ sessions { id current } }").await["sessions"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap()["id"].clone();
        tried.ask(server, &admin, "revokeSession", &format!("input: {{ id: {other} }}"), "revokedId userErrors { code }", json!({})).await;
        let secret = admin.ask("mutation { enrollTotp(input: { password: \"battery staple\" }) { secret } }").await["enrollTotp"]["secret"].as_str().unwrap().to_owned();
        let code = crate::stories::totp_code(&secret, server);
        let confirmed = tried.ask(server, &admin, "confirmTotp", &format!("input: {{ code: \"{code}\" }}"), "recoveryCodes userErrors { code }", json!({})).await;
        tried.ask(server, &admin, "disableTotp", &format!("input: {{ code: {} }}", confirmed["recoveryCodes"][0]), "disabled userErrors { code }", json!({})).await;
        let make = "mutation { createWorkspace(input: { name: \"W\", adminName: \"A\", email: \"new@test.example\", password: \"correct horse\" }) { workspaceId userErrors { code } } }";
        let made = server.anonymous().ask(make).await["createWorkspace"]["workspaceId"].as_str().unwrap().parse().unwrap();
        assert!(traces(server, &Actor { workspace: made, ..admin.clone() }).await > 0);
        tried.seen.push("createWorkspace".into());
        tried.ask(server, &admin, "signOut", "", "signedOut", json!({})).await;
        assert!(tried.silent.is_empty(), "no trace of {:?}", tried.silent);

        let all = server.admin().await.ask("{ __type(name: \"Mutation\") { fields { name } } }").await;
        let all: Vec<&str> = all["__type"]["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
        let untried: Vec<&&str> = all.iter().filter(|name| {
            !tried.seen.iter().any(|seen| seen == **name) && !WITHOUT_A_TRACE.contains(*name) && !TRACED_ELSEWHERE.contains(*name)
        }).collect();
        assert!(untried.is_empty(), "not tried: {untried:?}");
        for name in WITHOUT_A_TRACE.iter().chain(&TRACED_ELSEWHERE) {
            assert!(all.contains(name), "{name} is gone: take it off the list");
        }
    }
}
