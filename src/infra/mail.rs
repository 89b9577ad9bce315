//! Mail that the server sends: by SMTP, or into a folder where it can be looked at.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncFileTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::current::Current;

/// How often sending is tried, and how long after a failure.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Mailer {
    post: Current<Option<Post>>,
}

/// Which way mail goes, and from whom.
struct Post {
    way: Way,
    from: Mailbox,
}

enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Folder(AsyncFileTransport<Tokio1Executor>),
}

/// A letter to one address, in plain text.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: String,
    pub subject: String,
    pub text: String,
}

impl Mailer {
    /// `smtp://user:password@host:587?tls=required`, `smtps://…`, `file:///folder`; empty: no mail.
    pub fn new(url: &str, from: &str) -> Result<Self, String> {
        if url.is_empty() {
            return Ok(Self { post: Current::new(None) });
        }
        let from = from.parse().map_err(|_| format!("mail.from (KITH_MAIL_FROM): `{from}` is no address."))?;
        let wrong = |e: String| format!("mail.url (KITH_MAIL_URL): {e}");
        let way = match url.strip_prefix("file://") {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|e| wrong(format!("{folder}: {e}")))?;
                Way::Folder(AsyncFileTransport::new(folder))
            }
            None => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|e| wrong(e.to_string()))?;
                Way::Smtp(Box::new(builder.timeout(Some(Duration::from_secs(20))).build()))
            }
        };
        Ok(Self { post: Current::new(Some(Post { way, from })) })
    }

    /// Goes on as another one does.
    pub fn renew(&self, fresh: &Self) {
        self.post.set(fresh.post.get());
    }

    pub fn is_set_up(&self) -> bool {
        self.post.get().is_some()
    }

    /// Sends a letter, once; why it could not be sent.
    pub async fn send(&self, letter: &Letter) -> Result<(), String> {
        match self.post.get().as_ref() {
            Some(post) => post.send(letter).await,
            None => Ok(()),
        }
    }

    /// Sends a letter in the background: whoever asked does not wait, nor learn from the time it takes
    /// whether anything was sent.
    pub fn post(&self, letter: Letter) {
        if !self.is_set_up() {
            return;
        }
        let mailer = self.clone();
        tokio::spawn(async move {
            for attempt in 1..=TRIES {
                match mailer.send(&letter).await {
                    Ok(()) => return,
                    // Neither the address nor the text belongs into the log.
                    Err(error) => tracing::warn!(attempt, "a mail could not be sent: {error}"),
                }
                tokio::time::sleep(PAUSE * attempt * attempt).await;
            }
            tracing::error!("a mail was given up");
        });
    }
}

impl Post {
    async fn send(&self, letter: &Letter) -> Result<(), String> {
        let to: Mailbox = letter.to.parse().map_err(|_| "its address cannot be written to".to_owned())?;
        let message = Message::builder().from(self.from.clone()).to(to).subject(&letter.subject).body(letter.text.clone());
        let message = message.map_err(|e| e.to_string())?;
        match &self.way {
            Way::Smtp(transport) => transport.send(message).await.map(drop).map_err(|e| e.to_string()),
            Way::Folder(transport) => transport.send(message).await.map(drop).map_err(|e| e.to_string()),
        }
    }
}
