//! Work that is done later: once in effect, whoever does it and whoever dies over it.

use kith::infra::db::{Mode, Scope};
use kith::platform::jobs::{self, Done, NewJob};
use kith::work::work_once;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Actor, Server, on_both};

const LIST: &str = "{ jobs(first: 50) { nodes { id kind state tries error } } }";

async fn enqueue(server: &Server, workspace: Uuid, kind: &'static str, key: Option<&str>, priority: i64) {
    let tx = server.app.db.begin(&Scope::workspace(workspace), Mode::Write).await.unwrap();
    let new = NewJob { kind, key: key.map(str::to_owned), payload: json!({}), priority, run_at: server.clock.now() };
    jobs::enqueue(&tx, &server.clock, workspace, new).await.unwrap();
    tx.commit().await.unwrap();
}

async fn finish(server: &Server, job: &entity::job::Model, done: Done) {
    let tx = server.app.db.begin(&Scope::worker(), Mode::Write).await.unwrap();
    jobs::finish(&tx, &server.clock, job, &done).await.unwrap();
    tx.commit().await.unwrap();
}

async fn list(actor: &Actor<'_>) -> Vec<Value> {
    actor.ask(LIST).await["jobs"]["nodes"].as_array().unwrap().clone()
}

async fn count(server: &Server, workspace: Uuid, table: &str) -> i64 {
    let tx = server.app.db.begin(&Scope::workspace(workspace), Mode::Read).await.unwrap();
    let sql = format!("SELECT count(*) FROM {table} WHERE workspace_id = $1");
    let row = tx.fetch_optional(&sql, vec![workspace.into()]).await.unwrap().unwrap();
    row.int(0).unwrap().unwrap()
}

/// The same workspace by a key, whose time is not over so soon.
async fn keyed<'a>(admin: &Actor<'a>) -> Actor<'a> {
    let owner = admin.role("OWNER").await;
    let make = format!("mutation {{ createApiKey(input: {{ name: \"k\", roles: [\"{owner}\"] }}) {{ secret }} }}");
    let secret = admin.ask(&make).await["createApiKey"]["secret"].as_str().unwrap().to_owned();
    Actor { credential: Some(secret), ..admin.clone() }
}

on_both! {
    async fn a_job_with_a_key_is_enqueued_once_and_the_urgent_ones_come_first(server: &Server) {
        let admin = server.admin().await;
        enqueue(server, admin.workspace, "LATER", Some("a"), 50).await;
        enqueue(server, admin.workspace, "LATER", Some("a"), 50).await;
        enqueue(server, admin.workspace, "SOON", None, 1).await;
        let taken = jobs::take(&server.app.db, &server.clock, 10).await.unwrap();
        let kinds: Vec<&str> = taken.iter().map(|job| job.kind.as_str()).collect();
        assert_eq!(kinds, ["SOON", "LATER"]);
        assert!(jobs::take(&server.app.db, &server.clock, 10).await.unwrap().is_empty(), "they are leased");
        for job in &taken {
            finish(server, job, Done::Well).await;
        }
        enqueue(server, admin.workspace, "LATER", Some("a"), 50).await;
        assert!(jobs::take(&server.app.db, &server.clock, 10).await.unwrap().is_empty(), "it was done already");
    }

    async fn whoever_died_over_a_job_leaves_it_to_others_and_writes_nothing_any_more(server: &Server) {
        let admin = server.admin().await;
        enqueue(server, admin.workspace, "X", None, 1).await;
        let lost = jobs::take(&server.app.db, &server.clock, 1).await.unwrap().remove(0);
        server.clock.advance(301_000_000);
        let again = jobs::take(&server.app.db, &server.clock, 1).await.unwrap().remove(0);
        assert_eq!(again.id, lost.id);
        finish(server, &lost, Done::GiveUp("too late".into())).await;
        finish(server, &again, Done::Well).await;
        let all = list(&admin).await;
        assert_eq!((&all[0]["state"], &all[0]["error"], &all[0]["tries"]), (&json!("DONE"), &Value::Null, &json!(2)));
    }

    async fn a_job_over_which_everybody_dies_is_given_up(server: &Server) {
        let admin = keyed(&server.admin().await).await;
        enqueue(server, admin.workspace, "X", None, 1).await;
        for _ in 0..jobs::MOST_TRIES {
            assert_eq!(jobs::take(&server.app.db, &server.clock, 1).await.unwrap().len(), 1);
            server.clock.advance(301_000_000);
        }
        assert!(jobs::take(&server.app.db, &server.clock, 1).await.unwrap().is_empty());
        let job = list(&admin).await.remove(0);
        assert_eq!((&job["state"], &job["error"]), (&json!("FAILED"), &json!("Whoever did it died over it.")));
    }

    async fn what_fails_is_tried_again_ever_later_given_up_and_repeated_on_request(server: &Server) {
        let admin = keyed(&server.admin().await).await;
        enqueue(server, admin.workspace, "X", None, 1).await;
        let mut waits = Vec::new();
        for tries in 1.. {
            let Some(job) = jobs::take(&server.app.db, &server.clock, 1).await.unwrap().pop() else { break };
            finish(server, &job, Done::Retry(format!("no {tries}"))).await;
            let tx = server.app.db.begin(&Scope::workspace(admin.workspace), Mode::Read).await.unwrap();
            let row = tx.fetch_optional("SELECT run_at FROM job", Vec::new()).await.unwrap().unwrap();
            let wait = row.int(0).unwrap().unwrap() - server.clock.now().0;
            drop(tx);
            waits.push(wait);
            if wait > 0 {
                server.clock.advance(wait - 1);
                assert!(jobs::take(&server.app.db, &server.clock, 1).await.unwrap().is_empty());
                server.clock.advance(1);
            }
        }
        assert_eq!(waits.len(), usize::try_from(jobs::MOST_TRIES).unwrap());
        assert!(waits[..5].windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        let job = list(&admin).await.remove(0);
        assert_eq!((&job["state"], &job["error"]), (&json!("FAILED"), &json!("no 8")));
        let retry = format!("mutation {{ retryJob(input: {{ id: {} }}) {{ job {{ state tries }} userErrors {{ code }} }} }}", job["id"]);
        // Nobody else can.
        let other = server.admin().await;
        assert_eq!(other.ask(&retry).await["retryJob"]["userErrors"][0]["code"], "NOT_FOUND");
        assert_eq!(list(&other).await, Vec::<Value>::new());
        let rep = server.member(&other, "Rep", "REP").await;
        assert_eq!(rep.refused(&retry).await.0, "FORBIDDEN");
        assert_eq!(admin.ask(&retry).await["retryJob"], json!({ "job": { "state": "QUEUED", "tries": 0 }, "userErrors": [] }));
        let audit = admin.ask("{ audit(filter: { actions: [JOB_RETRIED] }) { nodes { subjectId } } }").await;
        assert_eq!(audit["audit"]["nodes"], json!([{ "subjectId": job["id"] }]));
        // What nobody knows is given up, not lost.
        while work_once(&server.app).await.unwrap() {}
        assert_eq!(list(&admin).await[0]["state"], "FAILED");
    }

    async fn old_things_are_let_go_every_hour_and_what_is_not_over_stays(server: &Server) {
        let admin = server.admin().await;
        let of = admin.workspace;
        for n in 0..3 {
            enqueue(server, of, "X", None, n).await;
        }
        for job in jobs::take(&server.app.db, &server.clock, 2).await.unwrap() {
            finish(server, &job, Done::Well).await;
        }
        admin.post(json!({ "query": "mutation { createTag(input: { name: \"a\" }) { tag { id } } }" }), &[("idempotency-key", "k")]).await;
        assert_eq!((count(server, of, "job").await, count(server, of, "idempotency_key").await, count(server, of, "session").await), (3, 2, 1));
        while work_once(&server.app).await.unwrap() {}
        assert_eq!((count(server, of, "idempotency_key").await, count(server, of, "session").await), (2, 1), "nothing is old yet");
        server.clock.advance(200 * 86_400_000_000);
        enqueue(server, of, "Y", None, 1).await;
        let being_done = jobs::take(&server.app.db, &server.clock, 1).await.unwrap();
        while work_once(&server.app).await.unwrap() {}
        assert_eq!((count(server, of, "idempotency_key").await, count(server, of, "session").await), (0, 0));
        assert_eq!(count(server, of, "job").await, 1, "what is being done stays: {being_done:?}");
    }
}

/// Two nodes, one schedule.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_scheduled_is_done_by_one_node_alone() {
    let server = Server::on_postgres().await;
    let other = server.second_node().await;
    server.admin().await;
    let (a, b) = tokio::join!(work_once(&server.app), work_once(&other.app));
    assert!(a.unwrap() | b.unwrap());
    while work_once(&server.app).await.unwrap() | work_once(&other.app).await.unwrap() {}
    let tx = server.app.db.begin(&Scope::worker(), Mode::Read).await.unwrap();
    let rows = tx.fetch_all("SELECT kind, state, tries FROM job ORDER BY kind", Vec::new()).await.unwrap();
    let rows: Vec<(&str, &str, i64)> =
        rows.iter().map(|row| (row.text(0).unwrap().unwrap(), row.text(1).unwrap().unwrap(), row.int(2).unwrap().unwrap())).collect();
    assert_eq!(rows, [("EXPIRE", "DONE", 1), ("REPAIR_SEARCH", "DONE", 1)]);
}
