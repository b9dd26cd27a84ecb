//! What a commit costs by the size of the repo: a commit of one file in a large repo, over the same in one of 200 documents.
//!
//! Both engines are in the benchmark's process and take turns, so that a busy moment hits both. They have no device: its own
//! cost by the number of its peers is the rows `peers` and `peer`.

use anyhow::{Context as _, Result};

use crate::big_repo::{BigRepo, Edit, Layout, Prepared, Shape};
use crate::inside::{EDITS, Edits, Inside};
use crate::out::{self, Row};
use crate::place::Place;
use crate::sample::shown_both;
use crate::stages::{self, Laps};

/// The number of users, and of machines, of the small repo.
const SMALL: usize = 100;
/// Warm-up rounds.
const WARM: usize = 3;

/// A large repo, and what its commits may cost.
struct Scale {
    ids: &'static [&'static str],
    /// The number of users, and of machines.
    size: usize,
    /// Measured rounds, each a commit of each kind.
    rounds: usize,
    /// Over the small repo.
    limit: f64,
}

/// 20,000 documents over 200.
pub(crate) async fn measure(quick: bool) -> Result<Vec<Row>> {
    let scale = Scale {
        ids: &["scale", "scale-median", "scale-p95"],
        size: if quick { 500 } else { 10_000 },
        rounds: if quick { 5 } else { 36 },
        limit: 2.0,
    };
    scale.measure().await
}

/// 200,000 documents over 200.
pub(crate) async fn measure_huge(quick: bool) -> Result<Vec<Row>> {
    let scale = Scale {
        ids: &["scale-huge"],
        size: if quick { 5_000 } else { 100_000 },
        rounds: if quick { 5 } else { 16 },
        limit: 3.0,
    };
    scale.measure().await
}

/// A repo with the commits that are measured.
struct Ready {
    repo: BigRepo,
    commits: Vec<Prepared>,
}

impl Ready {
    fn make(size: usize, rounds: usize) -> Result<Self> {
        let mut repo = BigRepo::of(Shape {
            size,
            layout: Layout::Folders,
            staff: false,
        })?;
        repo.drop_files();
        let commits = repo.prepare(Edit::rounds(rounds))?;
        Ok(Self { repo, commits })
    }

    async fn start(&self) -> Result<Inside<'_>> {
        let engine = Inside::start(&self.repo, "none", "").await?;
        engine.bring(self.commits.last().context("a commit")?)?;
        Ok(engine)
    }

    fn rounds(&self) -> impl Iterator<Item = &[Prepared]> {
        self.commits.chunks(EDITS.len())
    }
}

impl Scale {
    async fn measure(&self) -> Result<Vec<Row>> {
        let documents = self.size * 2;
        out::progress(&format!("making a repo of {documents} documents"));
        let rounds = self.rounds + WARM;
        let mut small = Ready::make(SMALL, rounds)?;
        let mut large = Ready::make(self.size, rounds)?;
        let [one, other] = [small.start().await?, large.start().await?];
        let (mut baseline, mut edits) = <(Edits, Edits)>::default();
        for (round, (few, many)) in small.rounds().zip(large.rounds()).enumerate() {
            if round == WARM {
                (baseline, edits) = Default::default();
            }
            baseline.round(&one, few).await?;
            edits.round(&other, many).await?;
        }
        one.stop().await;
        other.stop().await;
        let mut rows = self.rows(&baseline, &edits);
        let none = Place::without("the stages of this row have no device");
        let few = stages::measure(&mut small.repo, &none, None).await?;
        let many = stages::measure(&mut large.repo, &none, None).await?;
        if let Some(row) = rows.first_mut() {
            row.details
                .extend(Laps::beside(&few, &many, "stage, alone"));
        }
        Ok(rows)
    }

    fn rows(&self, small: &Edits, large: &Edits) -> Vec<Row> {
        let documents = self.size * 2;
        let (few, many) = (small.all(), large.all());
        let mut details = vec![
            ("200 documents".to_owned(), shown_both(&few)),
            (format!("{documents} documents"), shown_both(&many)),
        ];
        let kinds = small.kinds().zip(large.kinds());
        details.extend(kinds.map(|((what, few), (_, many))| {
            let medians = format!("{} → {}", shown_both(few), shown_both(many));
            (what.to_owned(), medians)
        }));
        let what = format!(
            "one-file commit in a repo of {documents} documents ÷ in one of 200 (embedded; no device; {} commits each)",
            many.len()
        );
        let mut ids = self.ids.iter().copied();
        let mut rows = Vec::new();
        if let Some(id) = ids.next() {
            rows.push(Row {
                details,
                ..Row::ratio(id, what, (&many, &few), self.limit)
            });
        }
        let absolute = [
            ("median", many.median(), 15),
            ("95th percentile", many.p95(), 30),
        ];
        rows.extend(ids.zip(absolute).map(|(id, (which, took, limit))| {
            let what = format!("the same in {documents} documents: {which}");
            Row::time(id, what, took, limit)
        }));
        rows
    }
}
