//! One attempt at a delivery, and what follows from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::{Micros, webhook, webhook_delivery};

use super::Webhooks;
use super::model::{Attempt, MOST_TRIES, SECOND, State, seconds, wait};
use super::service::Secrets;
use super::sign::signatures;
use crate::infra::outbound::Answer;

/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: i64 = 24 * 3_600 * SECOND;

/// What came of an attempt.
pub(super) struct Outcome {
    pub hook: Arc<webhook::Model>,
    pub delivery: webhook_delivery::Model,
    pub attempt: Attempt,
    pub retry_after: Option<Duration>,
}

/// What follows from an attempt.
pub(super) struct Verdict {
    pub state: State,
    pub next_at: i64,
    /// Why the webhook is not sent anything more.
    pub over: Option<String>,
}

impl Outcome {
    pub fn verdict(&self, now: Micros) -> Verdict {
        let (tries, status) = (self.delivery.tries + 1, self.attempt.status);
        let asked = self.retry_after.map(|asked| i64::try_from(asked.as_micros()).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT));
        let failed = |why: String| Verdict { state: State::Failed, next_at: now.0, over: Some(why) };
        match wait(tries, rand::random()) {
            _ if status.is_some_and(|status| (200..300).contains(&status)) => {
                Verdict { state: State::Delivered, next_at: now.0, over: None }
            }
            _ if status == Some(410) => failed("The endpoint says that it is gone (410).".to_owned()),
            Some(wait) => Verdict { state: State::Pending, next_at: now.0 + wait.max(asked.unwrap_or(0)), over: None },
            None => failed(format!("An event could not be delivered in {MOST_TRIES} attempts over three days.")),
        }
    }
}

/// Sends one delivery.
pub(super) async fn attempt(
    hooks: Webhooks,
    hook: Arc<webhook::Model>,
    secrets: Arc<Secrets>,
    delivery: webhook_delivery::Model,
    body: String,
) -> Outcome {
    let (at, begun) = (hooks.clock.now(), Instant::now());
    let sent = post(&hooks, &hook, &secrets, &format!("msg_{}", delivery.id.simple()), body).await;
    let well = sent.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status));
    hooks.metrics.attempted(well, begun.elapsed());
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut attempt = Attempt { at: at.0, millis, status: None, error: None, response: None };
    let mut retry_after = None;
    match sent {
        Ok(answer) => {
            attempt.status = Some(answer.status);
            attempt.response = Some(answer.body.chars().take(1_000).collect());
            retry_after = answer.retry_after.filter(|_| matches!(answer.status, 429 | 503));
        }
        Err(why) => attempt.error = Some(why),
    }
    Outcome { hook, delivery, attempt, retry_after }
}

/// Signs a payload and posts it.
pub(super) async fn post(hooks: &Webhooks, hook: &webhook::Model, secrets: &Secrets, id: &str, body: String) -> Result<Answer, String> {
    let now = hooks.clock.now();
    let signed = signatures(&secrets.all, (id, seconds(now)), &body, now).map_err(|e| e.to_string())?;
    let mut headers = reqwest::header::HeaderMap::new();
    let stamp = seconds(now).to_string();
    for (name, value) in
        [("content-type", "application/json"), ("webhook-id", id), ("webhook-timestamp", &stamp), ("webhook-signature", &signed)]
    {
        headers.insert(name, reqwest::header::HeaderValue::from_str(value).map_err(|e| e.to_string())?);
    }
    hooks.outbound.post(&hook.url, headers, body).await
}
