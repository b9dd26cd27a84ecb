//! The engines of the cluster, and this one among them.

use std::time::Duration;

use banyan_api::timestamp;
use banyan_api::v1::Engine;
use banyan_core::Name;
use banyan_state::{Freshness, View};
use tonic::Status;

use super::EngineApi;
use crate::refusal::unavailable;

impl EngineApi {
    /// This engine's name; empty if its store is not shared.
    pub(super) fn name(&self) -> String {
        let name = self.devices.shared_as.as_ref();
        name.map(ToString::to_string).unwrap_or_default()
    }

    /// Why the served state may differ from the store's, and its maximum age.
    pub(super) fn freshness(&self) -> (String, Option<u64>) {
        let freshness = self.state.freshness();
        let freshness = freshness.borrow();
        let shared = self.devices.shared_as.is_some();
        (problem(&freshness), age(&freshness, shared).map(millis))
    }

    /// All engines, by name.
    pub(super) fn engines(&self) -> Vec<Engine> {
        let view = self.state.view();
        match &self.devices.shared_as {
            Some(me) => engines(&view, me),
            None => vec![self.itself()],
        }
    }

    /// An engine whose store is not shared is not registered anywhere.
    fn itself(&self) -> Engine {
        let recipients = self.context.recipients.iter();
        Engine {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            alive: true,
            leads: true,
            since: Some(timestamp(self.started_at)),
            host: crate::ops::store::host().unwrap_or_default(),
            public_key: self.devices.key.public_key().to_string(),
            recipients: recipients.map(ToString::to_string).collect(),
            v4: true,
            self_: true,
            ..Engine::default()
        }
    }

    pub(super) async fn remove(&self, name: &Name) -> Result<(), Status> {
        removable(&self.state.view(), name)?;
        let removed = self.state.remove_engine(name).await;
        removed.map_err(|error| unavailable(&error))?;
        tracing::info!(engine = %name, "an engine was removed from the cluster");
        Ok(())
    }
}

/// The store has the final say; this gives a clear error.
fn removable(view: &View, name: &Name) -> Result<(), Status> {
    let Some(engine) = view.engines.get(name) else {
        let text = format!("there is no engine {name}; see `banyan engine list`");
        return Err(Status::not_found(text));
    };
    match &engine.alive {
        Some(alive) => Err(Status::failed_precondition(format!(
            "engine {name} runs on {}; stop it first",
            alive.host
        ))),
        None => Ok(()),
    }
}

fn engines(view: &View, me: &Name) -> Vec<Engine> {
    let leader = view.leader.as_ref().map(|leader| &leader.engine);
    let engine = |(name, engine): (&Name, &banyan_state::Engine)| {
        let (known, alive) = (engine.registration.as_deref(), engine.alive.as_deref());
        let recipients = known.into_iter().flat_map(|known| &known.recipients);
        Engine {
            name: name.to_string(),
            version: known.map(|k| k.version.clone()).unwrap_or_default(),
            alive: alive.is_some(),
            leads: leader == Some(name),
            since: alive.map(|alive| timestamp(alive.since)),
            host: alive.map(|alive| alive.host.clone()).unwrap_or_default(),
            public_key: known.map(|k| k.public_key.to_string()).unwrap_or_default(),
            recipients: recipients.map(ToString::to_string).collect(),
            v4: view.v4_holder.as_ref() == Some(name),
            registered_at: known.map(|known| timestamp(known.registered_at)),
            self_: name == me,
        }
    };
    view.engines.iter().map(engine).collect()
}

fn problem(freshness: &Freshness) -> String {
    match (&freshness.trouble, freshness.following) {
        (_, true) => String::new(),
        (Some(trouble), false) => trouble.clone(),
        (None, false) => "the store has not been followed yet".to_owned(),
    }
}

/// An embedded store reports every change as it happens; a shared one is polled.
fn age(freshness: &Freshness, shared: bool) -> Option<Duration> {
    if freshness.following && !shared {
        return Some(Duration::ZERO);
    }
    freshness.confirmed.map(|at| at.elapsed())
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banyan_core::fixture::{key, recipients, t};
    use banyan_state::{Alive, Registration};
    use tokio::time::Instant;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// Two engines; `south` does not run.
    fn view() -> View {
        let registration = Arc::new(Registration {
            public_key: key(7),
            recipients: recipients(),
            version: "0.1.0".to_owned(),
            registered_at: t("2026-01-01T00:00:00Z"),
        });
        let alive = Arc::new(Alive {
            since: t("2026-02-01T00:00:00Z"),
            host: "host-1".to_owned(),
        });
        let engine = |alive| banyan_state::Engine {
            registration: Some(Arc::clone(&registration)),
            alive,
        };
        let engines = [
            (name("north"), engine(Some(alive))),
            (name("south"), engine(None)),
        ];
        let mut view = View::default();
        view.engines = Arc::new(engines.into());
        view.v4_holder = Some(name("south"));
        view
    }

    #[test]
    fn engines_are_listed_whether_they_run_or_not() {
        let [north, south] = engines(&view(), &name("north")).try_into().unwrap();
        assert!(north.alive && north.self_ && !north.v4 && !north.leads);
        assert_eq!((north.host.as_str(), north.recipients.len()), ("host-1", 2));
        assert!(!south.alive && !south.self_ && south.v4 && south.since.is_none());
        assert_eq!((south.host.as_str(), south.version.as_str()), ("", "0.1.0"));
    }

    #[test]
    fn only_an_engine_that_is_known_and_does_not_run_can_be_removed() {
        assert!(removable(&view(), &name("south")).is_ok());
        let refused = removable(&view(), &name("north")).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert_eq!(
            refused.message(),
            "engine north runs on host-1; stop it first"
        );
        let refused = removable(&view(), &name("west")).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_served_grows_old_unless_the_store_confirms_it() {
        let seen = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let mut freshness = Freshness {
            following: true,
            confirmed: Some(seen),
            trouble: None,
        };
        assert_eq!(problem(&freshness), "");
        assert_eq!(age(&freshness, false), Some(Duration::ZERO));
        assert_eq!(age(&freshness, true), Some(Duration::from_secs(5)));
        freshness.following = false;
        freshness.trouble = Some("no answer".to_owned());
        assert_eq!(problem(&freshness), "no answer");
        assert_eq!(age(&freshness, false), Some(Duration::from_secs(5)));
        freshness.confirmed = None;
        freshness.trouble = None;
        assert_eq!(age(&freshness, true), None);
        assert!(!problem(&freshness).is_empty());
    }
}
