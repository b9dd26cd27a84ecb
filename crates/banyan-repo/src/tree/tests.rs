use anyhow::Result;
use banyan_testkit::git::TestRepo;

use super::*;
use crate::Folder;

fn user(name: &str) -> String {
    format!(
        "apiVersion: banyan/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{roles: [admin]}}\n"
    )
}

/// A repo with two users, a file that is too large for a document and one that is not a document.
fn repo() -> Result<TestRepo> {
    let repo = TestRepo::new()?;
    repo.write("users/a.yaml", user("a"))?;
    repo.write("users/b.yaml", user("b"))?;
    repo.write("large.yaml", "#".repeat(4 * MAX_FILE_BYTES))?;
    repo.write("README.md", "[")?;
    repo.commit("all\n")?;
    Ok(repo)
}

#[test]
fn a_commit_a_folder_and_an_upload_of_the_same_files_give_the_same() -> Result<()> {
    let repo = repo()?;
    let git = Repo::discover(&repo.work())?;
    let files = git.files(git.resolve("HEAD")?, None)?;
    let commit = CommitTree {
        repo: &git,
        files: &files,
    };
    let folder = Folder::list(&repo.work())?;
    let loader = Loader::new(None);
    let (by_commit, contents) = load_and_keep(&loader, &commit)?;
    let (by_folder, _) = load_and_keep(&loader, &folder)?;
    assert_eq!(by_commit.documents().users.len(), 2);
    let rules: Vec<_> = by_commit.findings.iter().map(|f| &*f.rule).collect();
    assert_eq!(rules, ["too-large"]);
    assert_eq!(by_commit, by_folder);
    // The kept content is what a plan uploads: the documents, and just enough of an oversized file to show that.
    let names: Vec<_> = contents.keys().map(String::as_str).collect();
    assert_eq!(names, ["large.yaml", "users/a.yaml", "users/b.yaml"]);
    let (by_upload, _) = load(&loader, &Memory::default(), &Uploaded::new(&contents)?)?;
    assert_eq!(by_upload, by_commit);
    Ok(())
}

#[test]
fn an_upload_costs_what_the_memory_of_commits_does_not_have() -> Result<()> {
    let repo = repo()?;
    let git = Repo::discover(&repo.work())?;
    let files = git.files(git.resolve("HEAD")?, None)?;
    let commit = CommitTree {
        repo: &git,
        files: &files,
    };
    let loader = Loader::new(None);
    let (_, memory) = load(&loader, &Memory::default(), &commit)?;
    let sent: BTreeMap<_, _> = [("a", "a"), ("b", "c")]
        .map(|(file, name)| (format!("users/{file}.yaml"), user(name).into_bytes()))
        .into();
    let (few, _) = load(&loader, &memory, &Uploaded::new(&sent)?)?;
    assert_eq!((few.files, few.parsed), (2, 1));
    let (again, _) = load(&loader, &memory, &commit)?;
    assert_eq!(again.parsed, 0, "the upload evicted nothing");
    Ok(())
}
