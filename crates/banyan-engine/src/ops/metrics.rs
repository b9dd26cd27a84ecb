//! Prometheus metrics.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use banyan_core::Generation;
use banyan_core::audit::Head;
use banyan_state::View;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, &'static str)>;

pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    passes: Family<Labels, Counter>,
    pass_duration: Histogram,
    applied: Counter,
    refused: Counter,
    generation: Gauge<u64, AtomicU64>,
    peers: Gauge<u64, AtomicU64>,
    objects: Family<Labels, Gauge<u64, AtomicU64>>,
    put_back: Family<Labels, Counter>,
    leads: Gauge<u64, AtomicU64>,
    view_age: Gauge<f64, AtomicU64>,
    refused_connections: Family<Labels, Counter>,
    denials: Family<Labels, Counter>,
    logins: Family<Labels, Counter>,
    audit_entries: Counter,
    audit_dropped: Counter,
    audit_head: Family<Vec<(&'static str, String)>, Gauge<u64, AtomicU64>>,
    /// The current member of the family, which has only one.
    audit_ends: Mutex<Option<Head>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("banyan")),
            passes: Family::default(),
            // From a tenth of a millisecond to about a minute and a half.
            pass_duration: Histogram::new(exponential_buckets(0.0001, 4.0, 11)),
            applied: Counter::default(),
            refused: Counter::default(),
            generation: Gauge::default(),
            peers: Gauge::default(),
            objects: Family::default(),
            put_back: Family::default(),
            leads: Gauge::default(),
            view_age: Gauge::default(),
            refused_connections: Family::default(),
            denials: Family::default(),
            logins: Family::default(),
            audit_entries: Counter::default(),
            audit_dropped: Counter::default(),
            audit_head: Family::default(),
            audit_ends: Mutex::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(
            "passes",
            "Passes by outcome: unchanged, applied, refused or failed",
            self.passes.clone(),
        );
        registry.register_with_unit(
            "pass_duration",
            "Duration of passes",
            Unit::Seconds,
            self.pass_duration.clone(),
        );
        registry.register(
            "commits_applied",
            "Commits that were applied",
            self.applied.clone(),
        );
        registry.register(
            "commits_refused",
            "Commits that were refused",
            self.refused.clone(),
        );
        registry.register("generation", "Generation in force", self.generation.clone());
        registry.register(
            "wireguard_peers",
            "Peers on the control tunnel's device",
            self.peers.clone(),
        );
        registry.register("objects", "Objects in force by kind", self.objects.clone());
        registry.register(
            "put_back",
            "Records and peers that were changed out of band and restored",
            self.put_back.clone(),
        );
        registry.register(
            "leads",
            "Whether this engine reconciles",
            self.leads.clone(),
        );
        registry.register_with_unit(
            "view_age",
            "Maximum age of the served state; grows while the store does not answer",
            Unit::Seconds,
            self.view_age.clone(),
        );
        registry.register(
            "refused_connections",
            "Refused TCP connections, by reason: handshake, silent, full or displaced",
            self.refused_connections.clone(),
        );
        registry.register(
            "denials",
            "Calls and logins that were refused, by cause",
            self.denials.clone(),
        );
        registry.register(
            "logins",
            "Successful logins, enrolments and refreshes, by kind",
            self.logins.clone(),
        );
        registry.register(
            "audit_entries",
            "Entries written to this engine's audit log",
            self.audit_entries.clone(),
        );
        registry.register(
            "audit_dropped",
            "Entries that were lost because they could not be written to the audit log",
            self.audit_dropped.clone(),
        );
        registry.register(
            "audit_head",
            "Number of the last entry of this engine's audit log, with its hash: an anchor for verifying",
            self.audit_head.clone(),
        );
    }

    pub(crate) fn passed(&self, outcome: &'static str, took: Duration) {
        self.passes.get_or_create(&vec![("outcome", outcome)]).inc();
        self.pass_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn applied(&self, generation: Generation) {
        self.applied.inc();
        self.generation.set(generation.0);
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn peers(&self, count: usize) {
        self.peers.set(count as u64);
    }

    pub(crate) fn put_back(&self, what: &'static str, count: usize) {
        let counter = self.put_back.get_or_create(&vec![("what", what)]);
        counter.inc_by(count as u64);
    }

    pub(crate) fn refused_connection(&self, why: &'static str) {
        self.refused_connections
            .get_or_create(&vec![("why", why)])
            .inc();
    }

    /// Counts a denied call or login.
    pub(crate) fn denied(&self, cause: &'static str) {
        self.denials.get_or_create(&vec![("cause", cause)]).inc();
    }

    /// Counts a successful login.
    pub(crate) fn logged_in(&self, kind: &'static str) {
        self.logins.get_or_create(&vec![("kind", kind)]).inc();
    }

    pub(crate) fn engine(&self, leads: bool, view_age: Duration) {
        self.leads.set(u64::from(leads));
        self.view_age.set(view_age.as_secs_f64());
    }

    pub(crate) fn audit_written(&self, count: usize) {
        self.audit_entries.inc_by(count as u64);
    }

    pub(crate) fn audit_dropped(&self, count: usize) {
        self.audit_dropped.inc_by(count as u64);
    }

    pub(crate) fn audit_head(&self, head: Head) {
        let mut ends = self
            .audit_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *ends = Some(head);
    }

    /// Makes the last head the only one in the family.
    fn show_audit_head(&self) {
        let ends = self
            .audit_ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(head) = *ends {
            self.audit_head.clear();
            self.audit_head
                .get_or_create(&vec![("hash", head.hash.to_string())])
                .set(head.seq);
        }
    }

    /// The metrics as text, in the OpenMetrics format.
    pub(crate) fn render(&self, generation: Generation, view: &View) -> String {
        let objects = &view.in_force.objects;
        self.generation.set(generation.0);
        let counts = [
            ("user", view.directory().iter().count()),
            ("role", objects.roles.len()),
            ("machine", objects.machines.len()),
        ];
        for (kind, count) in counts {
            self.objects
                .get_or_create(&vec![("kind", kind)])
                .set(count as u64);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.show_audit_head();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// OpenMetrics text in the plain text format of Prometheus (version 0.0.4): counters are described under the name of their
/// samples, and there are neither units nor an end mark.
pub(crate) fn plain(open_metrics: &str) -> String {
    fn described<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
        line.strip_prefix(kind)?.split_once(' ')
    }
    let types = open_metrics.lines();
    let types: BTreeMap<&str, &str> = types
        .filter_map(|line| described(line, "# TYPE "))
        .collect();
    let shown = |name: &str| match types.get(name).copied() {
        Some("counter") => format!("{name}_total"),
        Some("info") => format!("{name}_info"),
        _ => name.to_owned(),
    };
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let line = if let Some((name, help)) = described(line, "# HELP ") {
            format!("# HELP {} {help}", shown(name))
        } else if let Some((name, kind)) = described(line, "# TYPE ") {
            let kind = match kind {
                "info" => "gauge",
                "unknown" => "untyped",
                kind => kind,
            };
            format!("# TYPE {} {kind}", shown(name))
        } else if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        } else {
            line.to_owned()
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_format_describes_each_family_under_the_name_of_its_samples() {
        let metrics = Metrics::new();
        metrics.refused();
        let open = metrics.render(Generation(7), &View::default());
        let text = plain(&open);
        let samples = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(samples(&text), samples(&open));
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
        assert!(
            text.contains("# HELP banyan_commits_refused_total "),
            "{text}"
        );
        assert!(text.contains("# TYPE banyan_commits_refused_total counter\n"));
        let kinds = ["counter", "gauge", "histogram", "summary", "untyped"];
        let mut described = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(kinds.contains(&kind), "{line}");
            described.push(name.to_owned());
        }
        for sample in samples(&text) {
            let name = sample.split(['{', ' ']).next().unwrap();
            let of = |family: &String| {
                name == family
                    || (name.strip_prefix(family.as_str()))
                        .is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest))
            };
            assert!(described.iter().any(of), "{name} is not described");
        }
    }

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.passed("refused", Duration::from_millis(3));
        metrics.refused();
        metrics.applied(Generation(7));
        let text = metrics.render(Generation(7), &View::default());
        for line in [
            "banyan_passes_total{outcome=\"refused\"} 1",
            "banyan_commits_refused_total 1",
            "banyan_generation 7",
            "banyan_pass_duration_seconds_count 1",
            "banyan_objects{kind=\"user\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
