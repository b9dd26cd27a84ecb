//! `banyan audit verify`.

use banyan_api::v1;
use serde::Serialize;

use crate::args::TableArgs;
use crate::context::Context;
use crate::engine::WORK;
use crate::error::{Exit, Failure};
use crate::shape;
use crate::ui::{Layout, Table};

/// Verify each engine's chain of entries from end to end
///
/// Exit code 1 if an entry was altered or is missing. That the newest entries were cut off shows only in comparison with
/// a head that was noted elsewhere; `--wide` prints its whole hash.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan audit verify --wide")]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Chains {
    chains: Vec<Chain>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Chain {
    engine: Option<String>,
    entries: u64,
    first: u64,
    head: Option<Head>,
    broken: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    number: u64,
    hash: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let engine = context.engine()?;
    let answer = engine.call("verify the audit log", WORK, |client| async move {
        client.audit().verify_audit(v1::VerifyAuditRequest {}).await
    })?;
    let chains = Chains {
        chains: answer.chains.into_iter().map(Chain::new).collect(),
    };
    let now = context.now;
    context
        .ui
        .show_table(&args.table, &chains, now, |layout| chains.table(layout))?;
    let broken = chains.chains.iter().any(|chain| chain.broken.is_some());
    Ok(if broken { Exit::Refused } else { Exit::Done })
}

impl Chain {
    fn new(chain: v1::AuditChain) -> Self {
        Self {
            engine: shape::some(chain.engine),
            entries: chain.entries,
            first: chain.first,
            head: chain.head.map(|head| Head {
                number: head.number,
                hash: head.hash,
            }),
            broken: shape::some(chain.broken),
        }
    }
}

impl Chains {
    fn table(&self, layout: Layout) -> Table {
        let table = Table::new(&["ENGINE", "ENTRIES", "FIRST", "HEAD", "RESULT"]);
        let mut table = table.wrapping(&["RESULT"]);
        for chain in &self.chains {
            let head = chain.head.as_ref();
            let head = head.map(|head| match layout.wide {
                true => format!("{} {}", head.number, head.hash),
                false => format!("{} {}", head.number, shape::short(&head.hash)),
            });
            let broken = chain.broken.as_ref();
            table.row([
                chain.engine.clone().unwrap_or_default(),
                chain.entries.to_string(),
                chain.first.to_string(),
                head.unwrap_or_default(),
                broken.map_or("whole".to_owned(), |why| format!("broken: {why}")),
            ]);
        }
        table
    }
}
