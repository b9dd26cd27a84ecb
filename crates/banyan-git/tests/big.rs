//! The big repository: two folders of 10,000 files each. Prints what each step takes and checks that the price is the
//! change's, as ratios within the run.

use std::time::{Duration, Instant};

use anyhow::Result;
use banyan_git::{Mirror, Source};
use banyan_testkit::git::{TestRepo, git_input};

const FILES: usize = 10_000;

fn content(kind: &str, n: usize, version: usize) -> String {
    format!(
        "apiVersion: banyan/v1\nkind: {kind}\nmetadata:\n  name: x-{n:05}\nspec:\n  version: {version}\n  filler: {:064x}\n",
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the test is run by hand for"
)]
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = run();
    let took = begin.elapsed();
    println!("{what:<40} {:>9.3} ms", took.as_secs_f64() * 1e3);
    (result, took)
}

#[test]
fn a_one_file_commit_in_a_big_repository_costs_its_change() -> Result<()> {
    let files: Vec<(String, String)> = (0..FILES)
        .flat_map(|n| {
            [
                (format!("users/x-{n:05}.yaml"), content("User", n, 0)),
                (format!("machines/x-{n:05}.yaml"), content("Machine", n, 0)),
            ]
        })
        .collect();
    let repo = TestRepo::with_files(files.iter().map(|(p, c)| (p.as_str(), c.as_bytes())), false)?;
    let source = Source {
        url: repo.url().parse()?,
        branch: "main".to_owned(),
    };
    let deadline = || Instant::now() + Duration::from_secs(120);
    let mirror = Mirror::open(&repo.dir().join("mirror"))?;
    let (head, cold) = timed("first fetch", || mirror.fetch(&source, deadline()));
    let mut head = head?;
    let (all, full) = timed("files, all", || mirror.files(head, None));
    let mut all = all?;
    assert_eq!(all.len(), 2 * FILES);
    timed("read, all", || {
        all.entries
            .values()
            .try_for_each(|blob| mirror.read(*blob, 1 << 20).map(drop))
    })
    .0?;
    timed("remote_head, unchanged", || mirror.remote_head(&source)).0?;
    timed("fetch, unchanged", || mirror.fetch(&source, deadline())).0?;
    let (mut fetches, mut changes) = (Vec::new(), Vec::new());
    for version in 1..=5 {
        let body = content("Machine", 77, version);
        let stream = format!(
            "commit refs/heads/main\ncommitter T <t@t> 1 +0000\ndata 0\nfrom refs/heads/main^0\nM 100644 inline machines/x-00077.yaml\ndata {}\n{body}\n",
            body.len()
        );
        git_input(&repo.path(), ["fast-import", "--quiet"], stream.as_bytes())?;
        timed("remote_head, changed", || mirror.remote_head(&source)).0?;
        let (next, fetch) = timed("fetch, one file", || mirror.fetch(&source, deadline()));
        let next = next?;
        let (changed, change) = timed("files_changed, one file", || {
            mirror.files_changed(std::mem::take(&mut all), head, next, None)
        });
        let changed = changed?;
        let blob = changed
            .get("machines/x-00077.yaml")
            .expect("the file is there");
        let (bytes, _) = timed("read, one file", || mirror.read(blob, 1 << 20));
        assert_eq!(bytes?, body.as_bytes());
        assert_eq!(changed, mirror.files(next, None)?);
        (head, all) = (next, changed);
        fetches.push(fetch);
        changes.push(change);
    }
    timed("remote_head, 1000 times", || {
        (0..1000).try_for_each(|_| mirror.remote_head(&source).map(drop))
    })
    .0?;
    fetches.sort();
    changes.sort();
    assert!(
        fetches[2] * 5 < cold,
        "fetching one file took {:?}, everything {cold:?}",
        fetches[2]
    );
    assert!(
        changes[2] < full * 2,
        "the change took {:?}, all files {full:?}",
        changes[2]
    );
    Ok(())
}
