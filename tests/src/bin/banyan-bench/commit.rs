//! A commit of one file in the big repo: from the branch's move until store and peers have it.

use anyhow::{Context as _, Result};

use crate::big_repo::{BigRepo, Edit};
use crate::etcd::Etcd;
use crate::inside::{Edits, Inside};
use crate::out::Row;
use crate::place::Place;
use crate::sample::shown_both;
use crate::stages;

/// Of each kind of change.
const EACH: usize = 36;
const QUICK_EACH: usize = 10;
/// Warm-up rounds.
const WARM: usize = 2;

/// Where the state is kept, and how long a commit may take there, in milliseconds: the median and the 95th percentile.
struct Keeping<'e> {
    ids: [&'static str; 2],
    etcd: Option<&'e Etcd>,
    limits: [u32; 2],
    each: usize,
}

fn each(quick: bool) -> usize {
    if quick { QUICK_EACH } else { EACH }
}

/// With the state in the engine's own file.
pub(crate) async fn measure(repo: &mut BigRepo, place: &Place, quick: bool) -> Result<Vec<Row>> {
    let keeping = Keeping {
        ids: ["commit", "commit-p95"],
        etcd: None,
        limits: [15, 30],
        each: each(quick),
    };
    measure_on(repo, place, &keeping).await
}

/// With the state in etcd.
pub(crate) async fn measure_etcd(
    repo: &mut BigRepo,
    place: &Place,
    quick: bool,
) -> Result<Vec<Row>> {
    let etcd = Etcd::start()?;
    let keeping = Keeping {
        ids: ["commit-etcd", "commit-etcd-p95"],
        etcd: Some(&etcd),
        limits: [30, 60],
        each: each(quick),
    };
    let mut rows = measure_on(repo, place, &keeping).await?;
    if let Some(last) = rows.last_mut() {
        last.details.extend(etcd.bare().await?);
    }
    Ok(rows)
}

async fn measure_on(repo: &mut BigRepo, place: &Place, keeping: &Keeping<'_>) -> Result<Vec<Row>> {
    let there = repo.prepare(Edit::rounds(keeping.each))?;
    let elsewhere = repo.prepare(Edit::rounds(QUICK_EACH))?;
    let store = keeping.etcd.map(|etcd| etcd.config("engine-1"));
    let store = store.as_deref().unwrap_or_default();
    let engine = Inside::start(repo, place.wireguard(), store).await?;
    engine.bring(there.last().context("a commit")?)?;
    let figures = Figures {
        there: Edits::measure(&engine, &there, WARM).await?,
        elsewhere: Edits::measure(&engine, &elsewhere, WARM).await?,
    };
    engine.stop().await;
    let mut rows = figures.rows(place, keeping);
    // A separate store: the stages write different state than the engine left there.
    let another = keeping.etcd.map(|_| Etcd::start()).transpose()?;
    let stages = stages::measure(repo, place, another.as_ref()).await?;
    if let Some(last) = rows.last_mut() {
        last.details.extend(stages.shown("stage, alone"));
    }
    Ok(rows)
}

struct Figures {
    /// The clone had the objects.
    there: Edits,
    elsewhere: Edits,
}

impl Figures {
    fn rows(&self, place: &Place, keeping: &Keeping<'_>) -> Vec<Row> {
        let all = self.there.all();
        let mut details: Vec<(String, String)> = (self.there.kinds())
            .map(|(what, sample)| (what.to_owned(), shown_both(sample)))
            .collect();
        details.push((
            "all three, objects still to be copied from a source on this host".to_owned(),
            shown_both(&self.elsewhere.all()),
        ));
        let what = format!(
            "one-file commit in the big repo → in force (state: {}; wireguard: {}; {} commits)",
            keeping.etcd.map_or("embedded", |_| "etcd"),
            place.wireguard(),
            all.len()
        );
        let ([median, p95], [median_limit, p95_limit]) = (keeping.ids, keeping.limits);
        vec![
            Row::time(
                median,
                format!("{what}: median"),
                all.median(),
                median_limit,
            ),
            Row {
                details,
                ..Row::time(
                    p95,
                    "the same: 95th percentile".to_owned(),
                    all.p95(),
                    p95_limit,
                )
            },
        ]
    }
}
