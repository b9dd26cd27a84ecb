//! Reading commits, trees and files of repositories that the real git made.

use std::path::Path;

use anyhow::Result;
use banyan_core::{BlobId, CommitId};
use banyan_git::{Files, GitError, Limits, Repo, Skip, parse_trailers};
use banyan_testkit::git::{TestRepo, git_input};
use proptest::prelude::*;

fn open(repo: &TestRepo) -> Result<Repo> {
    Ok(Repo::discover(&repo.work())?)
}

fn paths(files: &Files) -> Vec<&str> {
    files.entries.keys().map(AsRef::as_ref).collect()
}

#[test]
fn files_are_read_from_objects_below_the_subdirectory() -> Result<()> {
    let repo = TestRepo::new()?;
    repo.write("README.md", "no")?;
    repo.write("cluster/users/a.yaml", "alice")?;
    repo.write("cluster/b.yaml", "bob")?;
    let id: CommitId = repo.commit("first\n")?.parse()?;
    std::fs::write(repo.work().join("cluster/b.yaml"), "not committed")?;
    let git = Repo::discover(&repo.work().join("cluster/users"))?;
    let all = git.files(id, None)?;
    assert_eq!(
        paths(&all),
        ["README.md", "cluster/b.yaml", "cluster/users/a.yaml"]
    );
    for subdir in ["cluster", "/cluster/", "./cluster"] {
        assert_eq!(
            paths(&git.files(id, Some(subdir))?),
            ["b.yaml", "users/a.yaml"]
        );
    }
    let bob = all.get("cluster/b.yaml").unwrap();
    assert_eq!(git.read(bob, 3)?, b"bob");
    assert!(matches!(
        git.read(bob, 2),
        Err(GitError::TooLarge {
            size: 3,
            limit: 2,
            ..
        })
    ));
    for missing in [
        "clusters",
        "README.md",
        "cluster/users/a.yaml",
        "..",
        "cluster/x",
    ] {
        assert!(
            matches!(git.files(id, Some(missing)), Err(GitError::NoSubdir { .. })),
            "{missing}"
        );
    }
    Ok(())
}

#[test]
fn links_submodules_and_odd_names_are_left_out_and_named() -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let repo = TestRepo::new()?;
    repo.write("a.yaml", "a")?;
    std::os::unix::fs::symlink("a.yaml", repo.work().join("link.yaml"))?;
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.yaml");
    std::fs::write(repo.work().join(odd), "x")?;
    repo.git(["add", "--all"])?;
    let first = repo.commit("first\n")?;
    repo.git([
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{first},sub"),
    ])?;
    let id = repo.commit("second\n")?.parse()?;
    let files = open(&repo)?.files(id, None)?;
    assert_eq!(paths(&files), ["a.yaml"]);
    let skipped: Vec<_> = files.skipped().collect();
    assert_eq!(
        skipped,
        [
            ("caf\u{fffd}.yaml".to_owned(), Skip::Name),
            ("link.yaml".to_owned(), Skip::Symlink),
            ("sub".to_owned(), Skip::Submodule)
        ]
    );
    Ok(())
}

#[test]
fn a_tree_beyond_the_limits_is_an_error_and_not_cut() -> Result<()> {
    let repo = TestRepo::new()?;
    for n in 0..5 {
        repo.write(&format!("d/e/{n}"), "x")?;
    }
    let id = repo.commit("x\n")?.parse()?;
    let git = open(&repo)?;
    let within = |entries, depth| git.files_within(id, None, Limits { entries, depth });
    assert_eq!(within(7, 2)?.len(), 5);
    assert!(matches!(
        within(6, 2),
        Err(GitError::TooMany { limit: 6, .. })
    ));
    assert!(matches!(
        within(7, 1),
        Err(GitError::TooDeep { limit: 1, .. })
    ));
    Ok(())
}

#[test]
fn a_tree_with_two_entries_of_a_name_is_refused() -> Result<()> {
    let repo = TestRepo::new()?;
    let blob = git_input(&repo.work(), ["hash-object", "-w", "--stdin"], b"x")?;
    let id: BlobId = blob.parse()?;
    let mut tree = Vec::new();
    for _ in 0..2 {
        tree.extend_from_slice(b"100644 a.yaml\0");
        tree.extend_from_slice(id.as_bytes());
    }
    let tree = git_input(
        &repo.work(),
        ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"],
        &tree,
    )?;
    let commit = repo.git(["commit-tree", "-m", "x", &tree])?;
    assert!(matches!(
        open(&repo)?.files(commit.parse()?, None),
        Err(GitError::Malformed { .. })
    ));
    Ok(())
}

#[test]
fn a_missing_or_damaged_object_is_damage_and_never_an_empty_tree() -> Result<()> {
    let repo = TestRepo::new()?;
    repo.write("d/a.yaml", "aaaa")?;
    let id = repo.commit("x\n")?.parse()?;
    let blob: BlobId = repo.git(["rev-parse", "HEAD:d/a.yaml"])?.parse()?;
    let file = |hex: &str| {
        repo.work()
            .join(".git/objects")
            .join(&hex[..2])
            .join(&hex[2..])
    };
    let blob_file = file(&blob.to_string());
    std::fs::remove_file(&blob_file)?;
    std::fs::write(&blob_file, b"garbage")?;
    let error = open(&repo)?.read(blob, 100).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    std::fs::remove_file(&blob_file)?;
    assert!(matches!(
        open(&repo)?.read(blob, 100),
        Err(GitError::Missing { kind: "blob", .. })
    ));
    std::fs::remove_file(file(&repo.git(["rev-parse", "HEAD:d"])?))?;
    let error = open(&repo)?.files(id, None).unwrap_err();
    assert!(
        matches!(error, GitError::Missing { kind: "tree", .. }),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn content_that_does_not_match_its_id_is_noticed() -> Result<()> {
    let repo = TestRepo::new()?;
    repo.write("a", "right")?;
    repo.write("b", "wrong")?;
    repo.commit("x\n")?;
    let id = |path: &str| repo.git(["rev-parse", &format!("HEAD:{path}")]);
    let (a, b) = (id("a")?, id("b")?);
    let file = |hex: &str| {
        repo.work()
            .join(".git/objects")
            .join(&hex[..2])
            .join(&hex[2..])
    };
    std::fs::remove_file(file(&a))?;
    std::fs::copy(file(&b), file(&a))?;
    let error = open(&repo)?.read(a.parse()?, 100).unwrap_err();
    assert!(matches!(error, GitError::Corrupt { .. }), "{error:?}");
    Ok(())
}

#[test]
fn revisions_and_ancestry_are_resolved() -> Result<()> {
    let repo = TestRepo::new()?;
    let first = repo.commit("first\n")?;
    repo.switch("side")?;
    let side = repo.commit("side\n")?;
    repo.switch("main")?;
    let second = repo.commit("second\n")?;
    let merge: CommitId = repo.merge("side", "merge\n")?.parse()?;
    let git = open(&repo)?;
    assert_eq!(git.resolve("HEAD~1")?.to_string(), second);
    assert_eq!(git.resolve("side")?.to_string(), side);
    assert_eq!(git.resolve(&first[..10])?.to_string(), first);
    assert!(matches!(
        git.resolve("nothing"),
        Err(GitError::NoRevision { .. })
    ));
    assert_eq!(git.commit(merge)?.parents, [second.parse()?, side.parse()?]);
    let ancestor =
        |a: &str, b: &str| -> Result<bool> { Ok(git.is_ancestor(a.parse()?, b.parse()?)?) };
    assert!(ancestor(&first, &merge.to_string())? && ancestor(&side, &merge.to_string())?);
    assert!(ancestor(&side, &side)?);
    assert!(!ancestor(&second, &side)? && !ancestor(&merge.to_string(), &first)?);
    let unknown = "1".repeat(40);
    assert!(!ancestor(&unknown, &first)?);
    assert!(ancestor(&first, &unknown).is_err());
    Ok(())
}

#[test]
fn a_commit_is_found_in_a_history_by_its_first_digits() -> Result<()> {
    let repo = TestRepo::new()?;
    let first = repo.commit("first\n")?;
    repo.git(["branch", "side"])?;
    let second = repo.commit("second\n")?;
    repo.switch("side")?;
    let side = repo.commit("side\n")?;
    let git = open(&repo)?;
    let found = |digits: &str, head: &str| -> Result<Vec<String>> {
        let found = git.in_history(digits, head.parse()?)?;
        Ok(found.iter().map(ToString::to_string).collect())
    };
    for commit in [&first, &second] {
        assert_eq!(found(commit, &second)?, [commit.as_str()]);
        assert_eq!(found(&commit[..12], &second)?, [commit.as_str()]);
        assert_eq!(
            found(&commit[..12].to_uppercase(), &second)?,
            [commit.as_str()]
        );
    }
    // It is there, but not in this history.
    assert!(found(&side, &second)?.is_empty() && git.has(side.parse()?)?);
    // What names several is told from what names one.
    assert_eq!(found("", &second)?, [second.as_str(), &first]);
    let tree = repo.git(["rev-parse", "main^{tree}"])?;
    assert!(!git.has("1".repeat(40).parse()?)? && !git.has(tree.parse()?)?);
    Ok(())
}

#[test]
fn a_commit_is_plain_data_whatever_bytes_it_holds() -> Result<()> {
    let repo = TestRepo::new()?;
    let id = repo.commit_as(
        "Revoke bob\n\nHe left.\n\nBanyan-Allow-Removals: User=1\n",
        "Alice B <alice@example.org>",
    )?;
    let git = open(&repo)?;
    let commit = git.commit(id.parse()?)?;
    assert_eq!(
        (commit.author.name.as_str(), commit.author.email.as_str()),
        ("Alice B", "alice@example.org")
    );
    assert_eq!(commit.summary, "Revoke bob");
    assert_eq!(
        commit.trailers,
        [("Banyan-Allow-Removals".to_owned(), "User=1".to_owned())]
    );
    assert_eq!(commit.authored_at.as_second(), 1_700_000_000);
    assert_eq!(commit.committed_at.as_second(), 1_700_000_000);
    let tree = commit.tree;
    let odd: [&[u8]; 4] = [
        b"author \xff\xfe <\xff> 99999999999999 +9999\ncommitter\n\n\xff\n\nA: \xff\n",
        b"author\n\n",
        b"",
        b"author > <\ncommitter <<<>>> -1 x\nencoding nope\n\n\n\n",
    ];
    for rest in odd {
        let mut data = format!("tree {tree}\n").into_bytes();
        data.extend_from_slice(rest);
        let id = git_input(
            &repo.work(),
            [
                "hash-object",
                "-t",
                "commit",
                "--literally",
                "-w",
                "--stdin",
            ],
            &data,
        )?;
        assert_eq!(git.commit(id.parse()?)?.tree, tree);
        assert!(git.files(id.parse()?, None)?.is_empty());
    }
    let id = git_input(
        &repo.work(),
        [
            "hash-object",
            "-t",
            "commit",
            "--literally",
            "-w",
            "--stdin",
        ],
        b"nonsense",
    )?;
    assert!(matches!(
        git.commit(id.parse()?),
        Err(GitError::Malformed { .. })
    ));
    Ok(())
}

#[test]
fn a_work_tree_linked_to_a_repository_is_found() -> Result<()> {
    let repo = TestRepo::new()?;
    let id = repo.commit_file("a", "x")?;
    let linked = repo.dir().join("linked");
    repo.git([
        "worktree",
        "add",
        "--quiet",
        "--detach",
        linked.to_str().unwrap(),
    ])?;
    assert_eq!(Repo::discover(&linked)?.resolve("HEAD")?.to_string(), id);
    assert!(matches!(
        Repo::discover(Path::new("/")),
        Err(GitError::NotARepository { .. })
    ));
    Ok(())
}

#[test]
fn the_incremental_reading_equals_the_full_one() -> Result<()> {
    let repo = TestRepo::new()?;
    let git = Repo::discover(&repo.work())?;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    // Names that collide as file and directory, sort around '/', nest, and are no UTF-8 or no file.
    let name = prop_oneof!["[ab]", "[ab]/[ab]", "[ab]/[ab]/[cd]", "a[-.0]", "x/[a-c]"];
    let file = (
        name,
        0..4_u8,
        prop_oneof![Just("100644"), Just("100755"), Just("120000")],
    );
    let tree = proptest::collection::vec(file, 0..8);
    runner.run(&(tree.clone(), tree), |(old, new)| {
        let (old, new) = (make(&repo, &old).unwrap(), make(&repo, &new).unwrap());
        let before = git.files(old, None).unwrap();
        let after = git.files(new, None).unwrap();
        prop_assert_eq!(&git.files_changed(before, old, new, None).unwrap(), &after);
        if let (Ok(before), Ok(after)) = (git.files(old, Some("x")), git.files(new, Some("x"))) {
            prop_assert_eq!(
                git.files_changed(before, old, new, Some("x")).unwrap(),
                after
            );
        }
        Ok(())
    })?;
    Ok(())
}

/// A commit with these files; of two that cannot stand beside each other the first stays.
fn make(repo: &TestRepo, files: &[(String, u8, &str)]) -> Result<CommitId> {
    let mut stream =
        String::from("commit refs/heads/p\ncommitter T <t@t> 1 +0000\ndata 0\ndeleteall\n");
    let mut taken: Vec<&str> = Vec::new();
    for (path, content, mode) in files {
        let clash = |other: &str| {
            other == path
                || other.starts_with(&format!("{path}/"))
                || path.starts_with(&format!("{other}/"))
        };
        if taken.iter().any(|other| clash(other)) {
            continue;
        }
        taken.push(path);
        stream += &format!("M {mode} inline {path}\ndata 1\n{content}\n");
    }
    stream += "M 100644 inline \"n\\377\"\ndata 0\n\n";
    git_input(
        &repo.work(),
        ["fast-import", "--quiet", "--force"],
        stream.as_bytes(),
    )?;
    Ok(repo.git(["rev-parse", "p"])?.parse()?)
}

/// What the real git makes of a message, as `key: value` lines.
fn referee(dir: &Path, message: &str) -> Result<Vec<String>> {
    let text = git_input(
        dir,
        ["interpret-trailers", "--parse", "--no-divider"],
        message.as_bytes(),
    )?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[test]
fn trailers_are_those_of_git_interpret_trailers() {
    let dir = tempfile::tempdir().unwrap();
    let line = prop_oneof![
        4 => "[A-C]-?[a-b]{0,2} ?: ?[a-c#:]{0,3}",
        2 => "[a-c ]{1,6}",
        2 => Just(String::new()),
        1 => " [a-c: ]{0,4}",
        1 => "\t[a-c]{0,2}",
        1 => "#[ a:]{0,4}",
        1 => Just("Signed-off-by: me".to_owned()),
        1 => Just("(cherry picked from commit 1)".to_owned()),
        1 => Just("---".to_owned()),
        1 => Just("Conflicts:".to_owned()),
        1 => Just(":".to_owned()),
        1 => Just("  ".to_owned()),
    ];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let message = (
        proptest::collection::vec(line, 0..9),
        any::<bool>(),
        any::<bool>(),
    );
    runner
        .run(&message, |(lines, title, newline)| {
            let mut message = if title {
                "title\n\n".to_owned()
            } else {
                String::new()
            };
            message += &lines.join("\n");
            if newline {
                message.push('\n');
            }
            let ours: Vec<String> = parse_trailers(&message)
                .into_iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            prop_assert_eq!(
                ours,
                referee(dir.path(), &message).unwrap(),
                "{:?}",
                message
            );
            Ok(())
        })
        .unwrap();
}
