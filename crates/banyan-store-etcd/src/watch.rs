//! A watch on one member: delivers whole transactions, and ends as soon as delivery is no longer
//! certain. The caller resumes elsewhere, because it knows the last revision it saw.

use std::sync::Arc;
use std::time::Duration;

use banyan_store::{Batch, Event, Revision, StoreError, Watch, WatchError, WatchSender};
use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use tokio::time::{Instant, sleep_until};

use crate::Lag;
use crate::failure::{Failure, Kind, Repeat};
use crate::keys::{Keys, RawRange, raw_revision, revision};
use crate::link::Link;
use crate::store::Inner;

/// The maximum size of a message, in bytes. etcd puts up to a thousand transactions into one when a watcher is behind.
const MESSAGE_BYTES: usize = 512 * 1024 * 1024;
/// After this long without a message, we request progress from the server. HTTP/2 pings would not
/// do: etcd closes connections that ping more often than every 5 seconds, or without a stream.
const QUIET: Duration = Duration::from_secs(2);
/// The time limit of the answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Starts a watch and waits until the server has accepted it.
pub(crate) async fn start(
    inner: &Arc<Inner>,
    prefix: &str,
    after: Revision,
) -> Result<Watch, StoreError> {
    let range = inner.keys.under(prefix);
    let options = inner.links.options();
    let open = |link: Arc<Link>, _| {
        let range = &range;
        async move {
            let client = link.client(options).await?;
            let stream = open(client, &link, range, after).await?;
            Ok((link, stream))
        }
    };
    let opened = inner.links.attempt(Repeat::Always, open).await;
    let (link, stream) = opened.map_err(|failure| failure.into_error("starting a watch"))?;
    let (sender, watch) = Watch::channel(options.lag.batches);
    let feed = Feed {
        inner: Arc::downgrade(inner),
        keys: inner.keys.clone(),
        link,
        after,
        lag: options.lag,
    };
    tokio::spawn(feed.run(stream, sender));
    Ok(watch)
}

async fn open(
    client: etcd_client::Client,
    link: &Link,
    range: &RawRange,
    after: Revision,
) -> Result<WatchStream, Failure> {
    // Starts at `after` itself, which is filtered out later: a deletion is not kept at the exact revision of a
    // compaction, so a watch that starts there would silently miss it.
    let first = raw_revision(after).max(1);
    let options = WatchOptions::new()
        .with_range(range.end.clone())
        .with_start_revision(first);
    let failed = |error| Failure::of(&error, link.endpoint(), true);
    let watcher = client.watch_client();
    let mut watcher = watcher.max_decoding_message_size(MESSAGE_BYTES);
    let opening = watcher.watch(range.start.clone(), Some(options)).await;
    let mut stream = opening.map_err(failed)?;
    match stream.message().await.map_err(failed)? {
        Some(answer) if answer.canceled() => Err(refusal(&answer, link)),
        Some(answer) if answer.created() => Ok(stream),
        _ => Err(Failure::new(
            Kind::Broken,
            link.endpoint(),
            "the server did not accept the watch",
        )),
    }
}

/// A watch that is canceled at once. etcd 3.4 answers "permission denied" to an unknown or expired
/// auth token too, so a retry with a new login is worth it.
fn refusal(answer: &WatchResponse, link: &Link) -> Failure {
    let reason = answer.cancel_reason();
    let auth = ["permission denied", "auth", "user name"];
    let kind = if auth.iter().any(|word| reason.contains(word)) {
        Kind::StaleLogin
    } else {
        Kind::Other
    };
    Failure::new(kind, link.endpoint(), reason)
}

/// The state of a watch's task, apart from the stream and the reader.
struct Feed {
    inner: std::sync::Weak<Inner>,
    keys: Keys,
    link: Arc<Link>,
    after: Revision,
    lag: Lag,
}

impl Feed {
    /// Forwards messages until the watch ends. Dropping the stream cancels the watch on the server.
    async fn run(mut self, mut stream: WatchStream, sender: WatchSender) {
        let why = loop {
            let message = tokio::select! {
                () = sender.closed() => return,
                () = self.link.given_up() => break WatchError::Closed,
                message = next(&mut stream) => message,
            };
            let handed_on = match message {
                Ok(message) => self.hand_on(&message, &sender).await,
                Err(reason) => Err(self.closed(reason)),
            };
            if let Err(why) = handed_on {
                break why;
            }
        };
        sender.end(why);
    }

    async fn hand_on(
        &mut self,
        message: &WatchResponse,
        sender: &WatchSender,
    ) -> Result<(), WatchError> {
        if message.canceled() {
            return Err(self.canceled(message));
        }
        for batch in batches(&self.keys, message, self.after) {
            let revision = batch.revision;
            if !sender.send(batch, self.lag.patience).await {
                // Whatever did not fit is still on the server, unless it is compacted in between.
                return Err(WatchError::Compacted { oldest: revision });
            }
            self.after = revision;
        }
        Ok(())
    }

    /// A canceled watch delivers nothing more, although its stream stays open.
    fn canceled(&self, message: &WatchResponse) -> WatchError {
        match revision(message.compact_revision()) {
            Revision(0) => self.closed(message.cancel_reason().to_owned()),
            oldest => WatchError::Compacted { oldest },
        }
    }

    /// Retires the link: its connection or member failed.
    fn closed(&self, reason: String) -> WatchError {
        tracing::debug!(
            endpoint = self.link.endpoint(),
            reason,
            "an etcd watch ended"
        );
        if let Some(inner) = self.inner.upgrade() {
            let failure = Failure::new(Kind::Broken, self.link.endpoint(), reason);
            inner.links.learn_from(&self.link, &failure);
        }
        WatchError::Closed
    }
}

/// The next message, or the reason to end if the server stays silent even after a progress request.
async fn next(stream: &mut WatchStream) -> Result<WatchResponse, String> {
    let quiet_since = Instant::now();
    tokio::select! {
        message = stream.message() => return received(message),
        () = sleep_until(quiet_since + QUIET) => {}
    }
    let asked = stream.request_progress().await;
    asked.map_err(|error| error.to_string())?;
    tokio::select! {
        message = stream.message() => received(message),
        () = sleep_until(quiet_since + QUIET + ANSWER) => {
            Err(format!("no sign of life for {:?}", QUIET + ANSWER))
        }
    }
}

fn received(
    message: Result<Option<WatchResponse>, etcd_client::Error>,
) -> Result<WatchResponse, String> {
    match message {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err("the server ended the stream".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The transactions in a message that come after a revision. etcd never splits one.
fn batches(keys: &Keys, message: &WatchResponse, after: Revision) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for event in message.events() {
        let Some(raw) = event.kv() else { continue };
        let at = revision(raw.mod_revision());
        if at <= after {
            continue;
        }
        let event = match event.event_type() {
            EventType::Put => keys.entry(raw).map(Event::Put),
            EventType::Delete => keys.ours(raw.key()).map(|key| Event::Delete { key }),
        };
        let Some(event) = event else { continue };
        match batches.last_mut() {
            Some(batch) if batch.revision == at => batch.events.push(event),
            _ => batches.push(Batch {
                revision: at,
                events: vec![event],
            }),
        }
    }
    for batch in &mut batches {
        batch.events.sort_by(|a, b| a.key().cmp(b.key()));
    }
    batches
}
