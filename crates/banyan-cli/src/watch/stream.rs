//! Watching without a terminal, or in a stable shape: prints each change.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Sink;
use crate::args::Output;
use crate::error::Failure;
use crate::ui::{Ui, absolute, shapeless, yaml};

/// Fields that change all the time. A difference in them alone is not a change, unless one of them becomes known or
/// unknown.
const VOLATILE: [&str; 6] = [
    "now",
    "checkedAt",
    "viewAgeMs",
    "lastHandshake",
    "received",
    "sent",
];

/// An output that gets each change.
pub(super) struct Stream<F> {
    ui: Ui,
    output: Output,
    text: F,
    last: Option<Value>,
    silent: bool,
}

impl<F> Stream<F> {
    pub(super) fn new(ui: Ui, output: Output, text: F) -> Self {
        Self {
            ui,
            output,
            text,
            last: None,
            silent: false,
        }
    }
}

impl<T: Serialize, F: Fn(&T, Timestamp) -> String> Sink<T> for Stream<F> {
    fn answer(&mut self, value: T, now: Timestamp) -> Result<bool, Failure> {
        if std::mem::take(&mut self.silent) {
            self.ui.note("the engine answers again");
        }
        let json = serde_json::to_value(&value).map_err(|e| shapeless(&e))?;
        let stable = stable(json);
        if self.last.as_ref() == Some(&stable) {
            return Ok(true);
        }
        self.last = Some(stable);
        self.ui.write(&match self.output {
            Output::Table => format!("{}\n{}\n", absolute(now), (self.text)(&value, now)),
            Output::Json => format!(
                "{}\n",
                serde_json::to_string(&value).map_err(|e| shapeless(&e))?
            ),
            Output::Yaml => format!("---\n{}", yaml(&value)?),
        })
    }

    fn silence(&mut self, why: &Failure, _: Duration, _: Timestamp) -> Result<bool, Failure> {
        if !std::mem::replace(&mut self.silent, true) {
            let why = why.in_one_line();
            self.ui
                .note(&format!("{why}; trying again until it answers"));
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A value without its volatile fields.
fn stable(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let taken = field.take();
                *field = match VOLATILE.contains(&key.as_str()) {
                    true => Value::Bool(!taken.is_null()),
                    false => stable(taken),
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = stable(item.take());
            }
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_changes_all_the_time_is_no_change_but_whether_it_is_known_is_one() {
        let machine = |handshake: Value, received: u64, state: &str| {
            stable(json!({"machines": [
                {"state": state, "peer": {"lastHandshake": handshake, "received": received}}
            ]}))
        };
        let before = machine(json!("2026-01-01T00:00:00Z"), 7, "active");
        assert_eq!(before, machine(json!("2026-01-01T00:02:00Z"), 9, "active"));
        assert_ne!(before, machine(json!(null), 7, "active"));
        assert_ne!(before, machine(json!("2026-01-01T00:00:00Z"), 7, "expired"));
    }
}
