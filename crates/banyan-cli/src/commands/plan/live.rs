//! A plan by the engine: uploads the tree, the engine does the rest.

use std::collections::BTreeMap;
use std::path::Path;

use banyan_api::{MAX_PLAN_BYTES, from_finding, v1};
use banyan_core::Finding;
use banyan_git::Repo;
use banyan_manifest::{Loaded, Loader, MAX_FILE_BYTES};
use banyan_repo::{CommitTree, Folder, load_and_keep};

use super::{Args, Outcome};
use crate::context::Context;
use crate::engine::WORK;
use crate::error::Failure;
use crate::report;

/// The most file content of a message with more than one file, in bytes.
const CHUNK: usize = 512 * 1024;

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome, Failure> {
    let tree = Tree::read(args)?;
    tree.check_size()?;
    let engine = context.engine()?;
    let plan = engine.call("plan this tree", WORK, |client| {
        let requests = tokio_stream::iter(chunks(tree.files.clone()));
        async move { client.gitops().plan(requests).await }
    })?;
    let findings: Vec<Finding> = plan.findings.iter().map(from_finding).collect();
    let text_of = |path: &str| String::from_utf8(tree.files.get(path)?.clone()).ok();
    report::aside(&context.ui, &report::of(&tree.loaded, &findings), &text_of);
    if plan.refused {
        context.ui.say("A commit of this tree would be refused.");
        return Ok(Outcome::Refused);
    }
    Ok(Outcome::Planned {
        changes: !plan.changes.is_empty(),
        text: plan.text,
    })
}

/// The files that the loader reads, and no others.
struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    loaded: Loaded,
}

impl Tree {
    fn read(args: &Args) -> Result<Self, Failure> {
        let dir = Path::new(&args.target);
        let (loaded, files) = match dir.is_dir() {
            true => in_folder(dir)?,
            false => at_revision(args)?,
        };
        if loaded.files == 0 {
            return Err(
                Failure::refused(format!("there is no document in {}", args.target))
                    .reason("documents are *.yaml and *.yml files outside hidden folders")
                    .hint("name the folder of a cluster repo, or a revision of one"),
            );
        }
        Ok(Self { files, loaded })
    }

    fn check_size(&self) -> Result<(), Failure> {
        let large = self
            .files
            .iter()
            .find(|(_, content)| content.len() > MAX_FILE_BYTES);
        if let Some((path, _)) = large {
            let what = format!("{path} has more than {MAX_FILE_BYTES} bytes");
            return Err(Failure::refused(what).hint("split it, or exclude it in .banyanignore"));
        }
        let all: usize = self.files.values().map(Vec::len).sum();
        if all > MAX_PLAN_BYTES {
            let what =
                format!("the documents have {all} bytes; a plan takes at most {MAX_PLAN_BYTES}");
            return Err(Failure::refused(what)
                .hint("exclude files that are not documents in .banyanignore"));
        }
        Ok(())
    }
}

/// The files of a revision of the repository, from git objects.
fn at_revision(args: &Args) -> Result<(Loaded, BTreeMap<String, Vec<u8>>), Failure> {
    let rev = &args.target;
    let cannot = || Failure::refused(format!("cannot plan {rev}"));
    let repo = Repo::discover(&args.repo)
        .map_err(|e| cannot().reason("there is no such folder").because(&e))?;
    let commit = repo
        .resolve(rev)
        .map_err(|e| cannot().reason("there is no such folder").because(&e))?;
    let files = repo
        .files(commit, args.subdir.as_deref())
        .map_err(|e| cannot().because(&e))?;
    let tree = CommitTree {
        repo: &repo,
        files: &files,
    };
    load_and_keep(&Loader::new(None), &tree).map_err(|e| cannot().because(&e))
}

/// The files of a folder.
fn in_folder(dir: &Path) -> Result<(Loaded, BTreeMap<String, Vec<u8>>), Failure> {
    let folder = Folder::list(dir)?;
    load_and_keep(&Loader::new(None), &folder).map_err(|e| Failure::cannot_load(dir, &e))
}

/// The files as messages, each as full as it may be.
fn chunks(files: BTreeMap<String, Vec<u8>>) -> Vec<v1::PlanRequest> {
    let mut chunks = Vec::new();
    let mut files_of_chunk = Vec::new();
    let mut size = 0;
    for (path, content) in files {
        let length = path.len() + content.len();
        if size + length > CHUNK && !files_of_chunk.is_empty() {
            chunks.push(v1::PlanRequest {
                files: std::mem::take(&mut files_of_chunk),
            });
            size = 0;
        }
        size += length;
        files_of_chunk.push(v1::File {
            path,
            content: content.into(),
        });
    }
    chunks.push(v1::PlanRequest {
        files: files_of_chunk,
    });
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_file_goes_up_once_and_no_message_is_larger_than_it_must_be(
            sizes in proptest::collection::vec(0..MAX_FILE_BYTES, 0..12)
        ) {
            let files: BTreeMap<String, Vec<u8>> = (sizes.iter().enumerate())
                .map(|(index, size)| (format!("f{index:02}.yaml"), vec![b'x'; *size]))
                .collect();
            let chunks = chunks(files.clone());
            for chunk in &chunks {
                let size: usize = chunk.files.iter().map(|f| f.path.len() + f.content.len()).sum();
                prop_assert!(size <= CHUNK || chunk.files.len() == 1);
            }
            let sent = chunks.into_iter().flat_map(|c| c.files).map(|f| (f.path, f.content.to_vec()));
            prop_assert_eq!(sent.collect::<Vec<_>>(), files.into_iter().collect::<Vec<_>>());
        }
    }
}
