//! `banyan signing-key …`: the keys that tokens are signed with.

mod list;
mod rotate;

use banyan_api::v1;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Table, moment};

#[derive(Debug, Subcommand)]
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
}

fn show(
    answer: v1::ListSigningKeysResponse,
    output: &OutputArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let keys = SigningKeys {
        keys: answer.keys.into_iter().map(SigningKey::new).collect(),
    };
    context.ui.show(output.output, &keys, |paint| {
        keys.table(context.now).text(paint)
    })?;
    Ok(Exit::Done)
}

impl SigningKey {
    fn new(key: v1::SigningKey) -> Self {
        Self {
            made: shape::at(key.made.as_ref()),
            signs_from: shape::at(key.signs_from.as_ref()),
            accepted_until: shape::at(key.accepted_until.as_ref()),
            id: key.id,
            algorithm: key.algorithm,
            signs: key.signs,
        }
    }

    fn status(&self, now: Timestamp) -> &'static str {
        match (self.signs, self.signs_from) {
            (true, _) => "signs",
            (false, Some(from)) if from > now => "waits",
            (false, _) => "accepted",
        }
    }
}

impl SigningKeys {
    fn table(&self, now: Timestamp) -> Table {
        let head = [
            "ID",
            "ALGORITHM",
            "MADE",
            "SIGNS FROM",
            "ACCEPTED UNTIL",
            "STATUS",
        ];
        let mut table = Table::new(&head);
        let shown = |at: Option<Timestamp>| at.map(|at| moment(at, now)).unwrap_or_default();
        for key in &self.keys {
            table.row([
                key.id.clone(),
                key.algorithm.clone(),
                shown(key.made),
                shown(key.signs_from),
                shown(key.accepted_until),
                key.status(now).to_owned(),
            ]);
        }
        table
    }
}
