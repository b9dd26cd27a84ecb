//! A plan between two revisions, without an engine.

use std::collections::BTreeMap;

use banyan_core::{
    AdmitContext, BlobId, Checked, CommitInfo, Finding, Guards, InForce, Target, admit, check, plan,
};
use banyan_git::{Commit, Repo};
use banyan_manifest::{Loaded, Loader, MAX_FILE_BYTES, Memory, ReadError};

use super::{Args, Outcome};
use crate::context::Context;
use crate::error::Failure;
use crate::{identity, report};

/// The largest file that is read from git, in bytes. It is above the largest document, so that a document that is too
/// large is a finding.
pub(super) const READ_LIMIT: usize = 16 * MAX_FILE_BYTES;

pub(super) fn run(
    args: &Args,
    from: &str,
    to: &str,
    context: &Context,
) -> Result<Outcome, Failure> {
    let identities = identity::read(&args.identity)?;
    let repo = Repo::discover(&args.repo)
        .map_err(|e| Failure::refused("cannot compare revisions").because(&e))?;
    let loader = Loader::new(identities);
    let load = |rev, memory: &_| Revision::load(&repo, rev, args, &loader, memory);
    let (from, memory) = load(from, &Memory::default())?;
    let (to, _) = load(to, &memory)?;
    let Some(before) = from.admit(&InForce::default(), context) else {
        return Ok(Outcome::Refused);
    };
    let in_force = InForce {
        applied: Some(before.applied().clone()),
        objects: before.objects().clone(),
    };
    let Some(target) = to.admit(&in_force, context) else {
        return Ok(Outcome::Refused);
    };
    say_what_is_closed(to.loaded.closed, context);
    let plan = plan(&in_force, &target, context.now);
    Ok(Outcome::Planned {
        changes: !plan.is_empty(),
        text: plan.to_string(),
    })
}

/// A revision and its documents.
struct Revision<'r> {
    rev: String,
    commit: CommitInfo,
    files: BTreeMap<String, BlobId>,
    loaded: Loaded,
    repo: &'r Repo,
}

impl<'r> Revision<'r> {
    fn load(
        repo: &'r Repo,
        rev: &str,
        args: &Args,
        loader: &Loader,
        memory: &Memory,
    ) -> Result<(Self, Memory), Failure> {
        let cannot = || Failure::refused(format!("cannot read revision {rev}"));
        let id = repo.resolve(rev).map_err(|e| cannot().because(&e))?;
        let commit = repo.commit(id).map_err(|e| cannot().because(&e))?;
        let files = repo
            .files(id, args.subdir.as_deref())
            .map_err(|e| cannot().because(&e))?
            .entries;
        let read = |_: &str, id: BlobId| content(repo, id).map_err(ReadError::new);
        let (loaded, memory) = loader
            .load(memory, &files, &read)
            .map_err(|e| cannot().because(&e))?;
        let revision = Self {
            rev: rev.to_owned(),
            commit: commit_info(&commit),
            files,
            loaded,
            repo,
        };
        Ok((revision, memory))
    }

    /// Judges the revision as a commit upon what is in force. `None` if it is refused; why was said.
    fn admit(&self, in_force: &InForce, context: &Context) -> Option<Target> {
        let found = self.loaded.findings.clone();
        let admitted = check(&self.loaded.documents, found, context.now)
            .and_then(|checked| self.admit_checked(in_force, &checked, context));
        match admitted {
            Ok(target) => Some(target),
            Err(findings) => {
                self.refuse(&findings, context);
                None
            }
        }
    }

    fn admit_checked(
        &self,
        in_force: &InForce,
        checked: &Checked,
        context: &Context,
    ) -> Result<Target, Vec<Finding>> {
        // No engine, no guards but those that the two revisions declare themselves.
        let circumstances = AdmitContext {
            guards: Guards {
                max_removed_percent: 100,
                max_removed: u32::MAX,
            },
            engine_recipients: &[],
            recent: &[],
            people: &banyan_core::people::NOBODY,
            now: context.now,
        };
        admit(in_force, checked, &self.commit, &circumstances)
    }

    fn refuse(&self, findings: &[Finding], context: &Context) {
        let text_of = |path: &str| {
            let bytes = content(self.repo, *self.files.get(path)?).ok()?;
            String::from_utf8(bytes).ok()
        };
        report::aside(&context.ui, &report::of(&self.loaded, findings), &text_of);
        context.ui.say(&format!(
            "Revision {} ({}) is refused.",
            self.rev,
            self.commit.id.short()
        ));
    }
}

fn content(repo: &Repo, id: BlobId) -> Result<Vec<u8>, banyan_git::GitError> {
    repo.read(id, READ_LIMIT)
}

fn commit_info(commit: &Commit) -> CommitInfo {
    CommitInfo {
        id: commit.id,
        author: format!("{} <{}>", commit.author.name, commit.author.email),
        committed_at: commit.committed_at,
        summary: commit.summary.clone(),
        trailers: commit.trailers.clone(),
    }
}

fn say_what_is_closed(closed: usize, context: &Context) {
    if closed > 0 {
        context.ui.note(&format!(
            "{} not opened (--identity FILE opens them): one that was sealed anew shows as replaced, and addresses may differ",
            report::sealed_values_were(closed)
        ));
    }
}
