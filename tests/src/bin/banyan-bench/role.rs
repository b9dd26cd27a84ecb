//! A commit that changes a role which every user holds, over a commit that concerns one user.
//!
//! What comes into force is one record in both cases. The plan of the first names every user whose permissions change, and that is
//! what it costs more.

use anyhow::{Context as _, Result};

use crate::big_repo::{BigRepo, Edit, Layout, STAFF, Shape};
use crate::inside::Inside;
use crate::out::Row;
use crate::place::Place;
use crate::sample::{Sample, shown_both};
use crate::stages;

/// Commits of each kind.
const EACH: usize = 100;
const QUICK_EACH: usize = 10;
/// Warm-up commits of each kind.
const WARM: usize = 5;

pub(crate) async fn measure(quick: bool, size: usize) -> Result<Vec<Row>> {
    let each = if quick { QUICK_EACH } else { EACH };
    let mut repo = BigRepo::of(Shape {
        size,
        layout: Layout::Flat,
        staff: true,
    })?;
    repo.drop_files();
    let pair = [Edit::User, Edit::Role];
    let commits = repo.prepare(std::iter::repeat_n(pair, each + WARM).flatten())?;
    let engine = Inside::start(&repo, "none", "").await?;
    engine.bring(commits.last().context("a commit")?)?;
    let mut samples = <[Sample; 2]>::default();
    for (round, commits) in commits.chunks(pair.len()).enumerate() {
        if round == WARM {
            samples = Default::default();
        }
        engine.apply_all(commits.iter().zip(&mut samples)).await?;
    }
    engine.stop().await;
    let none = Place::without("the stages of this row have no device");
    let alone = stages::measure_edits(&mut repo, &none, None, [Edit::Role]).await?;
    let [user, role] = samples;
    let what = format!("one-file commit that changes the role {STAFF} of {size} users");
    let ratio = format!(
        "{:.2} × ({} → {})",
        role.ratio(&user),
        shown_both(&user),
        shown_both(&role)
    );
    let mut details = vec![(
        "over a commit that changes one user; no target, the plan names every holder".to_owned(),
        ratio,
    )];
    details.extend(alone.shown("stage of the role's commit, alone"));
    Ok(vec![
        Row::time("role", format!("{what}: median"), role.median(), 15),
        Row {
            details,
            ..Row::time(
                "role-p95",
                "the same: 95th percentile".to_owned(),
                role.p95(),
                30,
            )
        },
    ])
}
