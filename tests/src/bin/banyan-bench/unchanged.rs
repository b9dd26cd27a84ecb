//! A pass over an unchanged branch, with the big repo in force.

use std::time::Instant;

use anyhow::Result;

use crate::big_repo::BigRepo;
use crate::engine::{EngineProcess, Ground};
use crate::out::{Measured, Row};
use crate::sample::{Sample, millis, shown};

const CALLS: usize = 300;

pub(crate) async fn measure(repo: &mut BigRepo) -> Result<Vec<Row>> {
    let engine = EngineProcess::start(Ground {
        url: &repo.git.url(),
        identity: &repo.identity_file()?,
        wireguard: "none",
        store: "",
    })
    .await?;
    engine.settle().await?;
    let before = engine.passes().await?;
    let mut calls = Sample::default();
    for _ in 0..CALLS {
        let started = Instant::now();
        engine.sync().await?;
        calls.push(started.elapsed());
    }
    let after = engine.passes().await?;
    let pass = (after.0 - before.0) * 1_000.0 / (after.1 - before.1);
    let (median, p95) = (calls.median(), calls.p95());
    Ok(vec![Row {
        id: "unchanged",
        what: "head unchanged, big repo in force: a check, asked for over the socket".to_owned(),
        target: "under 5 ms".to_owned(),
        figure: format!("{} (p95 {})", shown(median), shown(p95)),
        measured: Some(Measured {
            value: millis(median),
            limit: 5.0,
            unit: "ms",
        }),
        details: vec![(
            "the pass alone, mean by banyan_pass_duration_seconds".to_owned(),
            format!("{pass:.2} ms"),
        )],
    }])
}
