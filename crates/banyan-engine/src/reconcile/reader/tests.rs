use anyhow::Result;
use banyan_core::fixture::t;
use banyan_core::{Ancestry, Descent, Floor};
use banyan_testkit::git::TestRepo;

use super::*;

struct Setup {
    repo: TestRepo,
    reader: Reader,
}

impl Setup {
    fn new() -> Result<Self> {
        let repo = TestRepo::new()?;
        let source = Source {
            url: repo.url().parse()?,
            branch: "main".to_owned(),
        };
        let reader = Reader::open(&repo.dir().join("clone.git"), source, None, None)?;
        Ok(Self { repo, reader })
    }

    /// Commits and pushes a user; returns the commit id.
    fn push(&self, user: &str) -> Result<CommitId> {
        let path = format!("{user}.yaml");
        let text = format!(
            "apiVersion: banyan/v1\nkind: User\nmetadata:\n  name: {user}\nspec:\n  roles: [admin]\n"
        );
        self.repo.write(&path, text)?;
        let id = self.repo.commit(&format!("add {user}\n"))?;
        self.repo.force_push()?;
        Ok(id.parse()?)
    }

    /// Resets the branch to a commit.
    fn reset(&self, to: CommitId) -> Result<()> {
        self.repo.reset(&to.to_string())?;
        self.repo.force_push()
    }

    fn damage_clone(&self) -> Result<()> {
        let objects = self.repo.dir().join("clone.git/objects");
        std::fs::remove_dir_all(&objects)?;
        Ok(std::fs::create_dir(objects)?)
    }
}

fn users(revision: &Revision) -> Vec<String> {
    let users = revision.loaded.documents().users;
    users
        .iter()
        .map(|user| user.name.value.to_string())
        .collect()
}

#[test]
fn a_head_descends_from_its_history_and_from_nothing_else() -> Result<()> {
    let mut s = Setup::new()?;
    let first = s.push("alice")?;
    let second = s.push("bob")?;
    s.reader.read()?;
    let mut ancestry = |head, applied| s.reader.ancestry(head, applied, None).map(|a| a.applied);
    assert_eq!(ancestry(second, None)?, None);
    assert_eq!(ancestry(second, Some(second))?, Some(Descent::Same));
    assert_eq!(ancestry(second, Some(first))?, Some(Descent::Descends));
    assert_eq!(ancestry(first, Some(second))?, Some(Descent::Apart));
    let unknown = CommitId::from_sha1([7; 20]);
    assert_eq!(ancestry(second, Some(unknown))?, Some(Descent::Unknown));
    s.reset(first)?;
    let rewritten = s.push("carol")?;
    s.reader.read()?;
    let floor = Floor::Accepted {
        commit: rewritten,
        at: t("2026-01-01T00:00:00Z"),
    };
    assert_eq!(
        s.reader.ancestry(rewritten, Some(second), Some(&floor))?,
        Ancestry {
            applied: Some(Descent::Apart),
            accepted: Some(Descent::Same),
        }
    );
    Ok(())
}

#[test]
fn a_damaged_clone_is_rebuilt_rather_than_taken_for_rewritten_history() -> Result<()> {
    let mut s = Setup::new()?;
    let (first, second) = (s.push("alice")?, s.push("bob")?);
    s.reader.read()?;
    s.damage_clone()?;
    let ancestry = s.reader.ancestry(second, Some(first), None)?;
    assert_eq!(ancestry.applied, Some(Descent::Descends));
    Ok(())
}

#[test]
fn a_commit_is_read_again_when_the_branch_has_moved_on_or_the_source_is_away() -> Result<()> {
    let mut s = Setup::new()?;
    let first = s.push("alice")?;
    let second = s.push("bob")?;
    assert_eq!(users(&s.reader.read()?), ["alice", "bob"]);
    let again = s.reader.read_at(first)?;
    assert_eq!(
        (again.commit.id, users(&again)),
        (first, vec!["alice".to_owned()])
    );
    // Afterwards the head is read as before.
    assert_eq!(users(&s.reader.read()?), ["alice", "bob"]);
    let away = s.repo.dir().join("away.git");
    std::fs::rename(s.repo.path(), &away)?;
    assert_eq!(users(&s.reader.read_at(first)?), ["alice"]);
    std::fs::rename(&away, s.repo.path())?;
    // Also after the clone has lost it.
    s.damage_clone()?;
    assert_eq!(users(&s.reader.read_at(second)?), ["alice", "bob"]);
    Ok(())
}

#[test]
fn a_commit_that_was_rewritten_away_is_read_while_the_clone_has_it_and_then_said_to_be_gone()
-> Result<()> {
    let mut s = Setup::new()?;
    let first = s.push("alice")?;
    let second = s.push("bob")?;
    s.reader.read()?;
    s.reset(first)?;
    s.push("carol")?;
    s.reader.read()?;
    assert_eq!(users(&s.reader.read_at(second)?), ["alice", "bob"]);
    let unknown = CommitId::from_sha1([7; 20]);
    let failure = s.reader.read_at(unknown).unwrap_err();
    insta::assert_snapshot!(failure, @"commit 070707070707 is in force but no longer in the branch's history, so that nothing can be restored from it; push that history again, or let the branch as it is follow: see `banyan gitops accept --help`");
    // A commit that does not exist anywhere is no reason to discard the clone.
    assert!(!s.reader.mirror.rebuilt());
    Ok(())
}

#[test]
fn a_commit_of_the_branch_is_found_by_twelve_digits_and_nothing_else_is() -> Result<()> {
    let mut s = Setup::new()?;
    let first = s.push("alice")?;
    let second = s.push("bob")?;
    // The commits were not fetched before; resolving fetches them.
    for commit in [first, second] {
        let text = commit.to_string();
        for digits in [&text[..12], &text[..20], &text, &text[..12].to_uppercase()] {
            let head = second;
            assert_eq!(s.reader.resolve(digits)?, Resolved { commit, head });
        }
    }
    for bad in [
        "",
        "main",
        &first.to_string()[..11],
        &format!("{first}{first}"),
        "12345678901g",
        "é12345678901",
    ] {
        let error = s.reader.resolve(bad).unwrap_err();
        assert!(matches!(error, ResolveError::Malformed { .. }), "{bad}");
    }
    s.reset(first)?;
    let error = s.reader.resolve(&second.short()).unwrap_err();
    let text = error.to_string().replace(&first.short(), "FIRST");
    insta::assert_snapshot!(text.replace(&second.short(), "SECOND"), @"commit SECOND is neither the branch's head (FIRST) nor in its history; push it first, or see `banyan gitops status` for the commit that waits");
    insta::assert_snapshot!(s.reader.resolve("main").unwrap_err(), @r#""main" is not a commit id: give 12 to 64 hexadecimal digits, as `banyan gitops status` shows them"#);
    Ok(())
}
