//! A plan between two revisions, without an engine.

use banyan_core::people::NOBODY;
use banyan_core::{Finding, InForce};
use banyan_git::{Files, Repo};
use banyan_manifest::{Loader, Memory};
use banyan_repo::{Admitted, Baseline, CommitTree, Revision, Tree as _, decide, load};

use super::{Args, Outcome};
use crate::context::Context;
use crate::error::Failure;
use crate::{identity, report};

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
    let read = |rev, memory: &_| Named::read(&repo, rev, args, &loader, memory);
    let (from, memory) = read(from, &Memory::default())?;
    let (to, _) = read(to, &memory)?;
    let Some(Admitted { target, .. }) = from.decide(&InForce::default(), context) else {
        return Ok(Outcome::Refused);
    };
    let in_force = InForce {
        applied: Some(target.applied().clone()),
        objects: target.objects().clone(),
    };
    let Some(Admitted { plan, .. }) = to.decide(&in_force, context) else {
        return Ok(Outcome::Refused);
    };
    say_what_is_closed(to.revision.loaded.closed, context);
    Ok(Outcome::Planned {
        changes: !plan.is_empty(),
        text: plan.to_string(),
    })
}

/// A revision and the name it was given by.
struct Named<'r> {
    name: String,
    revision: Revision,
    files: Files,
    repo: &'r Repo,
}

impl<'r> Named<'r> {
    fn read(
        repo: &'r Repo,
        name: &str,
        args: &Args,
        loader: &Loader,
        memory: &Memory,
    ) -> Result<(Self, Memory), Failure> {
        let cannot = || Failure::refused(format!("cannot read revision {name}"));
        let id = repo.resolve(name).map_err(|e| cannot().because(&e))?;
        let commit = repo.commit(id).map_err(|e| cannot().because(&e))?;
        let files = repo
            .files(id, args.subdir.as_deref())
            .map_err(|e| cannot().because(&e))?;
        let tree = CommitTree {
            repo,
            files: &files,
        };
        let (loaded, memory) = load(loader, memory, &tree).map_err(|e| cannot().because(&e))?;
        let named = Self {
            name: name.to_owned(),
            revision: Revision::of(commit, loaded),
            files,
            repo,
        };
        Ok((named, memory))
    }

    /// Decides the revision as a commit after what is in force. `None` if it is refused; the reasons were printed.
    fn decide(&self, in_force: &InForce, context: &Context) -> Option<Admitted> {
        let baseline = Baseline {
            made_of: None,
            in_force,
            recent: &[],
            others: &[],
            people: &NOBODY,
            now: context.now,
        };
        let decided = decide(None, &baseline, None, self.revision.clone());
        decided
            .map_err(|findings| self.refuse(&findings, context))
            .ok()
    }

    fn refuse(&self, findings: &[Finding], context: &Context) {
        let tree = CommitTree {
            repo: self.repo,
            files: &self.files,
        };
        let text_of = |path: &str| {
            let bytes = tree.read(path, *tree.files().get(path)?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let Revision { commit, loaded } = &self.revision;
        report::aside(&context.ui, &report::of(loaded, findings), &text_of);
        context.ui.say(&format!(
            "Revision {} ({}) is refused.",
            self.name,
            commit.id.short()
        ));
    }
}

fn say_what_is_closed(closed: usize, context: &Context) {
    if closed > 0 {
        context.ui.note(&format!(
            "{} not opened (--identity FILE opens them): values that were sealed again show as replaced, and addresses may differ",
            report::sealed_values_were(closed)
        ));
    }
}
