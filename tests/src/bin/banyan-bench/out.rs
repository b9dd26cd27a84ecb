//! Rows, their verdicts, and their output: a table for people, JSON for machines.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::Place;
use crate::sample::{Sample, millis, shown};

/// A measurement and its target.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) figure: String,
    /// The figure and its limit as numbers; without them there is no verdict.
    pub(crate) measured: Option<Measured>,
    /// The parts of the figure.
    pub(crate) details: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) limit: f64,
    pub(crate) unit: &'static str,
}

impl Measured {
    fn met(self) -> bool {
        self.value <= self.limit
    }
}

impl Row {
    /// A row that this program does not measure.
    pub(crate) fn untimed(id: &'static str, what: &str, figure: &str) -> Self {
        Self {
            id,
            what: what.to_owned(),
            target: String::new(),
            figure: figure.to_owned(),
            measured: None,
            details: Vec::new(),
        }
    }

    /// A duration and its limit, in milliseconds.
    pub(crate) fn time(id: &'static str, what: String, took: Duration, limit: u32) -> Self {
        Self {
            id,
            what,
            target: format!("under {limit} ms"),
            figure: shown(took),
            measured: Some(Measured {
                value: millis(took),
                limit: f64::from(limit),
                unit: "ms",
            }),
            details: Vec::new(),
        }
    }

    /// The quotient of two samples' medians and its limit.
    pub(crate) fn ratio(
        id: &'static str,
        what: String,
        (sample, baseline): (&Sample, &Sample),
        limit: f64,
    ) -> Self {
        let ratio = sample.ratio(baseline);
        Self {
            id,
            what,
            target: format!("at most {limit} ×"),
            figure: format!("{ratio:.2} ×"),
            measured: Some(Measured {
                value: ratio,
                limit,
                unit: "ratio",
            }),
            details: Vec::new(),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "",
            Some(measured) if measured.met() => "ok",
            Some(_) => "MISS",
        }
    }
}

/// The results of one run.
pub(crate) struct Report {
    rows: Vec<Row>,
    size: usize,
    quick: bool,
    machine: Machine,
}

struct Machine {
    cores: usize,
    kernel: String,
    profile: &'static str,
    load: String,
    network: String,
}

impl Report {
    pub(crate) fn new(rows: Vec<Row>, size: usize, quick: bool, place: &Place) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let machine = Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            profile: if cfg!(debug_assertions) {
                "dev: no figure counts"
            } else {
                "release"
            },
            load: read("/proc/loadavg")
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
            network: place.to_string(),
        };
        Self {
            rows,
            size,
            quick,
            machine,
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut table = vec![["", "target", "figure", ""].map(str::to_owned)];
        for row in &self.rows {
            table.push([
                row.what.clone(),
                row.target.clone(),
                row.figure.clone(),
                row.verdict().to_owned(),
            ]);
            let details = row.details.iter();
            table.extend(details.map(|(what, figure)| {
                [
                    format!("  {what}"),
                    String::new(),
                    figure.clone(),
                    String::new(),
                ]
            }));
        }
        let width = |column: usize| {
            let cells = table.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let (first, second, third) = (width(0), width(1), width(2));
        let mut text = String::new();
        for [what, target, figure, verdict] in &table {
            let line = format!("{what:first$} | {target:second$} | {figure:third$} | {verdict}");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "\n{}", self.facts());
        text
    }

    fn facts(&self) -> String {
        let Machine {
            cores,
            kernel,
            profile,
            load,
            network,
        } = &self.machine;
        let quick = if self.quick {
            "; QUICK: a small repo, no figure counts"
        } else {
            ""
        };
        format!(
            "{cores} cores, kernel {kernel}, profile {profile}, load {load} at the end, {} users and {} machines, {network}{quick}",
            self.size, self.size
        )
    }

    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        let value = json!({
            "rows": rows,
            "quick": self.quick,
            "users": self.size,
            "machines": self.size,
            "machine": {
                "cores": self.machine.cores,
                "kernel": self.machine.kernel,
                "profile": self.machine.profile,
                "load": self.machine.load,
                "network": self.machine.network,
            },
        });
        format!("{value:#}\n")
    }
}

fn row_json(row: &Row) -> Value {
    let details: Vec<Value> = (row.details.iter())
        .map(|(what, figure)| json!({"what": what, "figure": figure}))
        .collect();
    json!({
        "id": row.id,
        "what": row.what,
        "target": row.target,
        "figure": row.figure,
        "value": row.measured.map(|m| m.value),
        "limit": row.measured.map(|m| m.limit),
        "unit": row.measured.map(|m| m.unit),
        "met": row.measured.map(Measured::met),
        "details": details,
    })
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the program is for"
)]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Prints progress for the user.
#[expect(clippy::print_stderr, reason = "a run takes a minute or two")]
pub(crate) fn progress(doing: &str) {
    eprintln!("{doing} …");
}

#[expect(
    clippy::print_stderr,
    reason = "the one place that tells why measuring failed"
)]
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("banyan-bench: {error:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_at_its_limit_is_met_and_one_above_is_not() {
        let row = |value| Row {
            measured: Some(Measured {
                value,
                limit: 5.0,
                unit: "ms",
            }),
            ..Row::untimed("x", "", "")
        };
        assert_eq!(row(5.0).verdict(), "ok");
        assert_eq!(row(5.1).verdict(), "MISS");
        assert_eq!(Row::untimed("x", "", "").verdict(), "");
    }
}
