//! A first read of everything, against a bare baseline: the same YAML parsed and the same values decrypted, nothing
//! else.

use std::hint::black_box;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use age::armor::ArmoredReader;
use anyhow::{Context as _, Result, anyhow, ensure};
use banyan_core::FileMap;
use banyan_manifest::{Loader, ReadError};
use jiff::Timestamp;
use rayon::prelude::*;

use crate::big_repo::BigRepo;
use crate::engine::program;
use crate::out::{Measured, Row};
use crate::sample::{Sample, millis, shown, timed};

/// Alternates with the baseline, so that a busy moment hits both.
const ROUNDS: usize = 7;
const LIMIT: f64 = 1.5;

pub(crate) fn measure_load(repo: &BigRepo) -> Result<Vec<Row>> {
    let ids = repo.ids()?;
    let what = "cold load of the big repo (parse, unseal, check) ÷ bare parsing and decryption";
    compare("cold", what, repo, || load(repo, &ids))
}

pub(crate) fn measure_validate(repo: &BigRepo) -> Result<Vec<Row>> {
    let folder = repo.git.dir().join("checkout");
    for (path, bytes) in &repo.files {
        let file = folder.join(path);
        let parent = file.parent().context("a file has a folder")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(file, bytes)?;
    }
    let (banyan, identity) = (program("banyan")?, repo.identity_file()?);
    let what = "banyan validate --identity of it, the whole process ÷ bare parsing and decryption";
    compare("validate", what, repo, || {
        let mut command = Command::new(&banyan);
        command.args(["validate", "--identity"]).arg(&identity);
        command.arg(&folder).stdin(Stdio::null());
        let (output, took) = timed(|| command.output());
        let output = output?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "banyan validate failed: {said}");
        Ok(took)
    })
}

fn compare(
    id: &'static str,
    what: &str,
    repo: &BigRepo,
    mut run: impl FnMut() -> Result<Duration>,
) -> Result<Vec<Row>> {
    let bare = Bare::of(repo)?;
    // Caches and allocators are warm, except for what is measured cold.
    run()?;
    bare.run::<serde_json::Value>()?;
    let (mut ours, mut baseline, mut least) = <(Sample, Sample, Sample)>::default();
    for _ in 0..ROUNDS {
        ours.push(run()?);
        baseline.push(bare.run::<serde_json::Value>()?);
        least.push(bare.run::<serde::de::IgnoredAny>()?);
    }
    let against = |bare: &Sample| millis(ours.median()) / millis(bare.median());
    Ok(vec![Row {
        id,
        what: what.to_owned(),
        target: format!("within {LIMIT} ×"),
        figure: format!("{:.2} ×", against(&baseline)),
        measured: Some(Measured {
            value: against(&baseline),
            limit: LIMIT,
            unit: "ratio",
        }),
        details: vec![
            (
                "medians: ours, bare".to_owned(),
                format!("{}, {}", shown(ours.median()), shown(baseline.median())),
            ),
            (
                "against bare parsing that keeps nothing".to_owned(),
                format!("{:.2} ×", against(&least)),
            ),
        ],
    }])
}

fn load(repo: &BigRepo, ids: &FileMap) -> Result<Duration> {
    let loader = Loader::new(Some(repo.identities()?));
    let now = now();
    let (checked, took) = timed(|| -> Result<_> {
        let loaded = loader.load_once(ids, &|path, _| {
            let bytes = repo.files.get(path).cloned();
            bytes.ok_or_else(|| ReadError::new("no such file"))
        })?;
        let findings = loaded.findings.clone();
        let checked = loaded.catalog.check(findings, now);
        let checked = checked.map_err(|findings| anyhow!("{:?}", findings.first()))?;
        Ok((loaded, checked))
    });
    checked?;
    Ok(took)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the benchmark is a shell of its own"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The unavoidable work: each file's YAML, and each sealed value, extracted beforehand.
struct Bare<'r> {
    texts: Vec<&'r str>,
    armored: &'r [String],
    identity: age::x25519::Identity,
}

impl<'r> Bare<'r> {
    fn of(repo: &'r BigRepo) -> Result<Self> {
        let texts = repo.files.values().map(|bytes| std::str::from_utf8(bytes));
        let identity = repo.identity().trim().parse();
        Ok(Self {
            texts: texts.collect::<Result<_, _>>()?,
            armored: &repo.armored,
            identity: identity.map_err(|error: &str| anyhow!(error))?,
        })
    }

    fn run<T: serde::de::DeserializeOwned + Send>(&self) -> Result<Duration> {
        let (done, took) = timed(|| -> Result<()> {
            self.texts.par_iter().try_for_each(|text| -> Result<()> {
                black_box(serde_saphyr::from_str::<T>(text)?);
                Ok(())
            })?;
            self.armored
                .par_iter()
                .try_for_each(|sealed| self.open(sealed))
        });
        done?;
        Ok(took)
    }

    fn open(&self, sealed: &str) -> Result<()> {
        let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(sealed.as_bytes()))?;
        let identity: &dyn age::Identity = &self.identity;
        let mut plain = Vec::new();
        decryptor
            .decrypt(std::iter::once(identity))?
            .read_to_end(&mut plain)?;
        black_box(plain);
        Ok(())
    }
}
