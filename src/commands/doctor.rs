//! `kith doctor`: looks at everything that a server needs, and says what is wrong.

use std::time::Duration;

use kith::app::{self, App, StartError};
use kith::config::Config;
use kith::infra::clock::Clock;
use kith::infra::db::Standing;

/// Deliveries that are due for longer, in seconds, are late.
const LATE: i64 = 600;
/// Readers of the log that are further behind are late.
const BEHIND: i64 = 10_000;

/// What was looked at.
#[derive(Default)]
struct Findings {
    wrong: usize,
}

impl Findings {
    fn good(&self, what: &str, how: impl std::fmt::Display) {
        println!("ok     {what}: {how}");
    }

    fn wrong(&mut self, what: &str, how: impl std::fmt::Display) {
        self.wrong += 1;
        println!("WRONG  {what}: {how}");
    }

    fn judge(&mut self, what: &str, good: bool, how: impl std::fmt::Display) {
        if good { self.good(what, how) } else { self.wrong(what, how) }
    }
}

pub async fn doctor(config: Config) -> Result<(), StartError> {
    let mut findings = Findings::default();
    findings.good("settings", "read");
    if let Err(error) = app::connect(&config, "database.url (DATABASE_URL)", &config.database.url).await {
        findings.wrong("database", error);
        return Err(verdict(&findings));
    }
    let redis = config.redis.url.clone();
    match App::start(config, Clock::default()).await {
        Ok(app) => {
            look(&app, &mut findings).await;
            match app.bus.ping().await {
                None => findings.good("redis", "not configured"),
                Some(Ok(())) => findings.good("redis", "answers"),
                Some(Err(error)) => findings.wrong("redis", error),
            }
            match standing(&app).await {
                None => findings.good("replica", "not configured"),
                Some((Standing::Serves, behind)) => findings.good("replica", format!("serves, {} ms behind", behind.as_millis())),
                Some((Standing::Behind, behind)) => findings.wrong("replica", format!("{} s behind", behind.as_secs())),
                Some((Standing::Away, _)) => findings.wrong("replica", "does not answer"),
            }
            app.close().await;
        }
        Err(error) if !redis.is_empty() && error.to_string().starts_with("redis.url") => findings.wrong("redis", error),
        Err(error) => findings.wrong("start", error),
    }
    if findings.wrong == 0 { Ok(()) } else { Err(verdict(&findings)) }
}

/// How the replica is, if there is one. One that is in use is hardly ever up to date at the first look.
async fn standing(app: &App) -> Option<(Standing, Duration)> {
    let replica = &app.replica.as_ref()?.replica;
    for _ in 0..5 {
        if replica.standing().0 == Standing::Serves {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Some(replica.standing())
}

fn verdict(findings: &Findings) -> StartError {
    StartError(format!("{} of what was looked at is wrong.", findings.wrong))
}

async fn look(app: &App, findings: &mut Findings) {
    match app::applied_migrations(&app.db).await {
        Ok(steps) => findings.good("schema", format!("at step {steps}, as this version wants it")),
        Err(error) => findings.wrong("schema", error),
    }
    let mail = if app.mailer.is_set_up() { "set up" } else { "not set up: no invitations, links and notices are sent" };
    findings.good("mail", mail);
    let looked = match app.look().await {
        Ok(looked) => looked,
        Err(error) => return findings.wrong("work", error),
    };
    for (reader, lag) in &looked.lag {
        findings.judge("log reader", *lag <= BEHIND, format!("{reader} is {lag} entries behind"));
    }
    let failed = looked.jobs.iter().find(|(state, _)| state == "FAILED").map_or(0, |(_, count)| *count);
    findings.judge("jobs", failed == 0, format!("{failed} were given up (`jobs(filter: {{ states: [FAILED] }})`)"));
    let (due, oldest) = looked.deliveries;
    findings.judge("webhooks", oldest <= LATE, format!("{due} deliveries are due, the oldest for {oldest} s"));
}
