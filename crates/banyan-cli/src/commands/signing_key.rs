//! `banyan signing-key …`: the keys that sign tokens.

mod list;
mod rotate;

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, Table};

#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  banyan signing-key list")]
pub(crate) enum Command {
    List(list::Args),
    Rotate(rotate::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Rotate(args) => rotate::run(args, context),
    }
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SigningKeys {
    keys: Vec<SigningKey>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SigningKey {
    id: String,
    algorithm: String,
    made: Option<Timestamp>,
    signs_from: Option<Timestamp>,
    accepted_until: Option<Timestamp>,
    signs: bool,
    /// `signs`, `waits` or `accepted`.
    state: &'static str,
}

fn show(
    answer: v1::ListSigningKeysResponse,
    args: &TableArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let now = context.now;
    let key = |key| SigningKey::new(key, now);
    let keys = SigningKeys {
        keys: answer.keys.into_iter().map(key).collect(),
    };
    context
        .ui
        .show_table(args, &keys, now, |layout| keys.table(layout))?;
    Ok(Exit::Done)
}

impl SigningKey {
    fn new(key: v1::SigningKey, now: Timestamp) -> Self {
        let signs_from = shape::at(key.signs_from.as_ref());
        Self {
            state: match (key.signs, signs_from) {
                (true, _) => "signs",
                (false, Some(from)) if from > now => "waits",
                (false, _) => "accepted",
            },
            made: shape::at(key.made.as_ref()),
            signs_from,
            accepted_until: shape::at(key.accepted_until.as_ref()),
            id: key.id,
            algorithm: key.algorithm,
            signs: key.signs,
        }
    }
}

impl SigningKeys {
    fn table(&self, layout: Layout) -> Table {
        let head = [
            "ID",
            "ALGORITHM",
            "MADE",
            "SIGNS FROM",
            "ACCEPTED UNTIL",
            "STATUS",
        ];
        let table = Table::new(&head).extra(&["ALGORITHM", "MADE"]);
        let mut table = table.whole(&["ID"]);
        for key in &self.keys {
            table.row([
                key.id.clone(),
                key.algorithm.clone(),
                layout.past(key.made),
                layout.moment(key.signs_from),
                layout.moment(key.accepted_until),
                key.state.to_owned(),
            ]);
        }
        table
    }
}
