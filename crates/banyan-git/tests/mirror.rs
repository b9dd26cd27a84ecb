//! Fetching into the clone: what goes right, what must be an error, and how the clone heals.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use banyan_core::CommitId;
use banyan_git::{FetchError, Mirror, Source};
use banyan_testkit::git::{TestRepo, git, git_input};

struct Setup {
    repo: TestRepo,
    source: Source,
    mirror: Mirror,
}

impl Setup {
    fn new() -> Result<Self> {
        Self::with(TestRepo::new()?)
    }

    fn with(repo: TestRepo) -> Result<Self> {
        let source = Source {
            url: repo.url().parse()?,
            branch: "main".to_owned(),
        };
        let mirror = Mirror::open(&repo.dir().join("mirror"))?;
        Ok(Self {
            repo,
            source,
            mirror,
        })
    }

    fn clone_dir(&self) -> PathBuf {
        self.repo.dir().join("mirror")
    }

    fn fetch(&self) -> Result<CommitId, FetchError> {
        self.mirror.fetch(&self.source, soon())
    }

    fn reopen(self) -> Result<Self> {
        let Self {
            repo,
            source,
            mirror,
        } = self;
        drop(mirror);
        let mirror = Mirror::open(&repo.dir().join("mirror"))?;
        Ok(Self {
            repo,
            source,
            mirror,
        })
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn files_below(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn the_head_and_all_its_history_are_brought_and_a_second_fetch_writes_nothing() -> Result<()> {
    let s = Setup::new()?;
    let first: CommitId = s.repo.commit_file("a.yaml", "one")?.parse()?;
    s.repo.switch("side")?;
    s.repo.commit_file("d/side.yaml", "side")?;
    s.repo.switch("main")?;
    s.repo.commit_file("d/b.yaml", "two")?;
    let head: CommitId = s.repo.merge("side", "merge\n")?.parse()?;
    s.repo.push()?;
    assert_eq!(s.mirror.remote_head(&s.source)?, head);
    assert_eq!(s.fetch()?, head);
    assert_eq!(s.mirror.files(head, None)?.len(), 3);
    assert!(s.mirror.is_ancestor(first, head)?);
    git(&s.clone_dir(), ["fsck", "--strict", "--full"])?;
    let before = files_below(&s.clone_dir())?;
    assert_eq!(s.fetch()?, head);
    assert_eq!(files_below(&s.clone_dir())?, before);
    assert!(!s.mirror.rebuilt());
    Ok(())
}

#[test]
fn a_one_file_commit_costs_its_own_objects_only() -> Result<()> {
    let s = Setup::new()?;
    for n in 0..50 {
        s.repo.write(&format!("users/{n}.yaml"), n.to_string())?;
        s.repo.write(&format!("machines/{n}.yaml"), n.to_string())?;
    }
    s.repo.commit_file("x", "x")?;
    s.fetch()?;
    let before = files_below(&s.clone_dir().join("objects"))?.len();
    s.repo.commit_file("users/7.yaml", "changed")?;
    s.fetch()?;
    // The file, its directory, the root, the commit.
    assert_eq!(
        files_below(&s.clone_dir().join("objects"))?.len(),
        before + 4
    );
    Ok(())
}

#[test]
fn rewritten_history_is_followed_and_the_old_commit_stays_readable() -> Result<()> {
    let s = Setup::new()?;
    let base: CommitId = s.repo.commit_file("a", "1")?.parse()?;
    let old: CommitId = s.repo.commit_file("a", "2")?.parse()?;
    s.fetch()?;
    s.repo.reset(&base.to_string())?;
    s.repo.write("a", "3")?;
    let new: CommitId = s.repo.commit("other\n")?.parse()?;
    s.repo.force_push()?;
    assert_eq!(s.fetch()?, new);
    assert!(!s.mirror.is_ancestor(old, new)? && s.mirror.is_ancestor(base, new)?);
    assert_eq!(s.mirror.files(old, None)?.len(), 1);
    Ok(())
}

#[test]
fn what_is_wrong_with_the_source_is_an_error_that_says_what_to_do() -> Result<()> {
    let s = Setup::new()?;
    let text = |error: FetchError| error.to_string();
    assert!(matches!(s.fetch(), Err(FetchError::Empty { .. })));
    let head = s.repo.commit_file("a", "1")?;
    s.fetch()?;
    let ask = |branch: &str| {
        let source = Source {
            branch: branch.to_owned(),
            ..s.source.clone()
        };
        let (head, fetched) = (
            s.mirror.remote_head(&source).unwrap_err(),
            s.mirror.fetch(&source, soon()).unwrap_err(),
        );
        assert_eq!(head.to_string(), fetched.to_string());
        fetched
    };
    match ask("trunk") {
        FetchError::NoBranch {
            branch, present, ..
        } => assert_eq!(
            (branch.as_str(), present),
            ("trunk", vec!["main".to_owned()])
        ),
        other => panic!("{other:?}"),
    }
    assert!(text(ask("trunk")).contains("main"));
    assert!(matches!(ask("not a branch"), FetchError::NoBranch { .. }));
    let blob = git_input(&s.repo.path(), ["hash-object", "-w", "--stdin"], b"x")?;
    fs::write(s.repo.path().join("refs/heads/blob"), format!("{blob}\n"))?;
    assert!(matches!(ask("blob"), FetchError::NotACommit { found, .. } if found == "blob"));
    s.repo
        .git_bare(["update-ref", "refs/heads/other", "main"])?;
    s.repo.delete_branch("main")?;
    assert!(matches!(ask("main"), FetchError::NoBranch { .. }));
    s.repo.delete_branch("other")?;
    fs::remove_file(s.repo.path().join("refs/heads/blob"))?;
    assert!(matches!(ask("main"), FetchError::Empty { .. }));
    fs::write(s.repo.path().join("refs/heads/main"), "garbage")?;
    assert!(matches!(ask("main"), FetchError::Corrupt { .. }));
    fs::write(s.repo.path().join("refs/heads/main"), "1".repeat(40))?;
    assert!(matches!(ask("main"), FetchError::Corrupt { .. }));
    fs::rename(s.repo.path(), s.repo.dir().join("elsewhere"))?;
    assert!(matches!(ask("main"), FetchError::Unreachable { .. }));
    // None of it touched what was there.
    assert!(!s.mirror.rebuilt());
    assert_eq!(s.mirror.files(head.parse()?, None)?.len(), 1);
    for url in [
        "https://user:hunter2@forge.example/x.git",
        "ssh://git@forge.example/x.git",
    ] {
        let source = Source {
            url: url.parse()?,
            branch: "main".to_owned(),
        };
        let error = s.mirror.fetch(&source, soon()).unwrap_err();
        assert!(matches!(&error, FetchError::Unsupported { .. }));
        assert!(!format!("{error} {error:?} {source:?}").contains("hunter2"));
    }
    Ok(())
}

#[test]
fn unreadable_objects_in_the_source_are_an_error_and_healed_by_mending_the_source() -> Result<()> {
    let s = Setup::new()?;
    let first = s.repo.commit_file("a", "1")?;
    s.fetch()?;
    let head: CommitId = s.repo.commit_file("d/b", "2")?.parse()?;
    for rev in ["main:d/b", "main:d", "main^{tree}", "main"] {
        let id = s.repo.git_bare(["rev-parse", rev])?;
        let file = s.repo.path().join("objects").join(&id[..2]).join(&id[2..]);
        let content = fs::read(&file)?;
        fs::remove_file(&file)?;
        assert!(
            matches!(s.fetch(), Err(FetchError::Corrupt { .. })),
            "{rev} gone"
        );
        fs::write(&file, &content[..content.len() / 2])?;
        assert!(
            matches!(s.fetch(), Err(FetchError::Corrupt { .. })),
            "{rev} cut"
        );
        fs::write(&file, &content)?;
    }
    assert!(!s.mirror.rebuilt() && s.mirror.is_ancestor(first.parse()?, first.parse()?)?);
    assert_eq!(s.fetch()?, head);
    assert_eq!(s.mirror.files(head, None)?.len(), 2);
    Ok(())
}

#[test]
fn a_shallow_source_is_refused_as_incomplete() -> Result<()> {
    let mut s = Setup::new()?;
    for n in 0..3 {
        s.repo.commit_file("a", n.to_string())?;
    }
    let shallow = s.repo.dir().join("shallow");
    git(
        s.repo.dir(),
        [
            "clone",
            "--quiet",
            "--depth=1",
            &s.repo.url(),
            shallow.to_str().unwrap(),
        ],
    )?;
    s.source.url = shallow.to_str().unwrap().parse()?;
    let error = s.fetch().unwrap_err();
    assert!(
        matches!(error, FetchError::Corrupt { .. }) && error.to_string().contains("unshallow"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_damaged_clone_is_rebuilt() -> Result<()> {
    let mut s = Setup::new()?;
    s.repo.commit_file("d/a", "1")?;
    let head = s.fetch()?;
    type Harm = fn(&Path) -> std::io::Result<()>;
    let harms: [(&str, Harm); 7] = [
        ("HEAD gone", |dir| fs::remove_file(dir.join("HEAD"))),
        ("objects gone", |dir| {
            fs::remove_dir_all(dir.join("objects"))
        }),
        ("refs gone", |dir| fs::remove_dir_all(dir.join("refs"))),
        ("config damaged", |dir| {
            fs::write(dir.join("config"), "[core")
        }),
        ("reference damaged", |dir| {
            fs::write(dir.join("refs/banyan/source"), "x")
        }),
        ("objects damaged", |dir| {
            for file in files_below(&dir.join("objects"))? {
                fs::remove_file(&file)?;
                fs::write(file, "x")?;
            }
            Ok(())
        }),
        ("killed while it was made", |dir| {
            fs::write(dir.join("banyan-clone"), "building\n")?;
            fs::remove_file(dir.join("config"))
        }),
    ];
    for (what, harm) in harms {
        harm(&s.clone_dir())?;
        s = s.reopen()?;
        assert!(s.mirror.rebuilt(), "{what}");
        assert_eq!(s.fetch()?, head, "{what}");
        assert_eq!(s.mirror.files(head, None)?.len(), 1, "{what}");
        s = s.reopen()?;
        assert!(!s.mirror.rebuilt(), "{what}: sound afterwards");
    }
    Ok(())
}

#[test]
fn damage_met_while_running_is_healed_by_the_fetch_or_by_the_reader() -> Result<()> {
    let s = Setup::new()?;
    s.repo.commit_file("d/a", "1")?;
    let head = s.fetch()?;
    fs::remove_dir_all(s.clone_dir())?;
    assert_eq!(s.fetch()?, head);
    assert!(s.mirror.rebuilt());
    assert_eq!(s.mirror.files(head, None)?.len(), 1);
    let tree = s.repo.git(["rev-parse", "HEAD:d"])?;
    fs::remove_file(
        s.clone_dir()
            .join("objects")
            .join(&tree[..2])
            .join(&tree[2..]),
    )?;
    s.mirror.rebuild()?;
    let error = s.mirror.files(head, None).unwrap_err();
    assert!(error.is_damage());
    assert_eq!(s.fetch()?, head);
    assert_eq!(s.mirror.files(head, None)?.len(), 1);
    Ok(())
}

#[test]
fn a_truncated_pack_is_noticed_and_rebuilt() -> Result<()> {
    let files: Vec<(String, String)> = (0..400)
        .map(|n| (format!("d/{n}.yaml"), format!("name: {n}")))
        .collect();
    let repo = TestRepo::with_files(files.iter().map(|(p, c)| (p.as_str(), c.as_bytes())), false)?;
    let s = Setup::with(repo)?;
    let head = s.fetch()?;
    let pack = files_below(&s.clone_dir().join("objects"))?
        .into_iter()
        .find(|file| file.extension().is_some_and(|e| e == "pack"))
        .expect("a large fetch is one pack");
    let content = fs::read(&pack)?;
    fs::remove_file(&pack)?;
    fs::write(&pack, &content[..content.len() / 2])?;
    let s = s.reopen()?;
    if !s.mirror.rebuilt() {
        let read = s.mirror.files(head, None).and_then(|files| {
            files
                .entries
                .values()
                .try_for_each(|blob| s.mirror.read(*blob, 1000).map(drop))
        });
        assert!(read.unwrap_err().is_damage());
        s.mirror.rebuild()?;
    }
    assert_eq!(s.fetch()?, head);
    assert_eq!(s.mirror.files(head, None)?.len(), 400);
    Ok(())
}

#[test]
fn a_stale_lock_of_a_crash_blocks_nothing() -> Result<()> {
    let s = Setup::new()?;
    s.repo.commit_file("a", "1")?;
    s.fetch()?;
    fs::write(s.clone_dir().join("refs/banyan/source.lock"), "")?;
    let s = s.reopen()?;
    let head = s.repo.commit_file("a", "2")?;
    assert_eq!(s.fetch()?.to_string(), head);
    assert!(!s.mirror.rebuilt());
    Ok(())
}

#[test]
fn what_is_not_ours_is_moved_aside_and_kept() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("clone");
    fs::create_dir(&path)?;
    fs::write(path.join("precious"), "data")?;
    assert!(Mirror::open(&path)?.rebuilt());
    assert_eq!(
        fs::read_to_string(dir.path().join("clone.aside-1/precious"))?,
        "data"
    );
    fs::create_dir(dir.path().join("empty"))?;
    assert!(!Mirror::open(&dir.path().join("empty"))?.rebuilt());
    assert!(!Mirror::open(&dir.path().join("new/deep"))?.rebuilt());
    Ok(())
}

#[test]
fn the_deadline_stops_a_fetch_and_the_next_one_starts_clean() -> Result<()> {
    let files: Vec<String> = (0..3000).map(|n| format!("d/{n}.yaml")).collect();
    let repo = TestRepo::with_files(files.iter().map(|p| (p.as_str(), p.as_bytes())), false)?;
    let s = Setup::with(repo)?;
    for micros in [0, 500, 3_000, 10_000] {
        let begin = Instant::now();
        let fetched = s
            .mirror
            .fetch(&s.source, begin + Duration::from_micros(micros));
        if let Err(error) = fetched {
            assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
            assert!(begin.elapsed() < Duration::from_secs(2));
        }
    }
    let head = s.fetch()?;
    assert_eq!(s.mirror.files(head, None)?.len(), 3000);
    git(&s.clone_dir(), ["fsck", "--full"])?;
    Ok(())
}

#[test]
fn a_source_repacked_while_it_is_followed_goes_on_working() -> Result<()> {
    let s = Setup::new()?;
    for n in 0..10 {
        let head = s.repo.commit_file("a", n.to_string())?;
        s.repo.git_bare(["gc", "--quiet", "--prune=now"])?;
        assert_eq!(s.fetch()?.to_string(), head);
    }
    Ok(())
}

#[test]
fn a_repository_of_another_user_is_read() -> Result<()> {
    let s = Setup::new()?;
    let head = s.repo.commit_file("a", "1")?;
    let id = std::process::Command::new("id").arg("-u").output()?;
    assert_eq!(
        String::from_utf8(id.stdout)?.trim(),
        "0",
        "giving a repository away takes root: run the tests as root"
    );
    for file in files_below(&s.repo.path())?
        .into_iter()
        .chain([s.repo.path()])
    {
        std::os::unix::fs::chown(file, Some(12_345), Some(12_345))?;
    }
    assert_eq!(s.fetch()?.to_string(), head);
    assert_eq!(
        banyan_git::Repo::discover(&s.repo.path())?
            .resolve("main")?
            .to_string(),
        head
    );
    Ok(())
}

#[test]
fn many_pushes_do_not_pile_up() -> Result<()> {
    let s = Setup::new()?;
    s.repo.commit_file("keep/first", "1")?;
    let first = s.fetch()?;
    for n in 0..450 {
        let stream = format!(
            "commit refs/heads/main\ncommitter T <t@t> 1 +0000\ndata 0\nfrom refs/heads/main^0\nM 100644 inline d/{n}\ndata 3\n{n:03}\n"
        );
        git_input(
            &s.repo.path(),
            ["fast-import", "--quiet"],
            stream.as_bytes(),
        )?;
        s.fetch()?;
    }
    let head = s.fetch()?;
    let objects = files_below(&s.clone_dir().join("objects"))?.len();
    assert!(objects < 1100, "{objects} object files after 450 pushes");
    assert_eq!(s.mirror.files(head, None)?.len(), 451);
    assert_eq!(s.mirror.files(first, None)?.len(), 1);
    git(&s.clone_dir(), ["fsck", "--full"])?;
    Ok(())
}
