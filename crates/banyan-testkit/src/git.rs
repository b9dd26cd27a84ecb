//! Git repositories for tests, made by the real `git` in a cleared environment with fixed names and dates.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// The date of every commit, unless a test sets another: seconds and zone.
pub const DATE: &str = "1700000000 +0000";

/// A bare repository to push to, and a work clone that pushes. Both are deleted on drop.
#[derive(Debug)]
pub struct TestRepo {
    dir: TempDir,
}

impl TestRepo {
    /// An empty bare repository and a work clone on an unborn branch `main`.
    pub fn new() -> Result<Self> {
        Self::with_format("sha1")
    }

    /// [`TestRepo::new`] in an object format, `sha1` or `sha256`.
    pub fn with_format(format: &str) -> Result<Self> {
        let repo = Self {
            dir: TempDir::new()?,
        };
        let bare = repo.path();
        let format = format!("--object-format={format}");
        let init = ["init", "--quiet", "--initial-branch=main", &format];
        git(
            repo.dir.path(),
            [&init[..], &["--bare", path_text(&bare)?]].concat(),
        )?;
        git(repo.dir.path(), [&init[..], &["work"]].concat())?;
        repo.git(["remote", "add", "origin", path_text(&bare)?])?;
        Ok(repo)
    }

    /// A repository whose `main` holds these files in one pushed commit. Fast for tens of thousands of files; the work
    /// clone is checked out only if `checkout` is set.
    pub fn with_files<'f>(
        files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
        checkout: bool,
    ) -> Result<Self> {
        let repo = Self::new()?;
        let mut stream = Vec::new();
        let message = "import\n";
        write!(
            stream,
            "commit refs/heads/main\ncommitter Test <test@example.org> {DATE}\ndata {}\n{message}",
            message.len()
        )?;
        for (path, content) in files {
            write!(stream, "M 100644 inline {path}\ndata {}\n", content.len())?;
            stream.extend_from_slice(content);
            stream.push(b'\n');
        }
        git_input(&repo.work(), ["fast-import", "--quiet"], &stream)?;
        if checkout {
            repo.git(["reset", "--quiet", "--hard", "main"])?;
        } else {
            // Without files on disk, commits are made from the index alone.
            repo.git(["read-tree", "main"])?;
        }
        repo.push()?;
        Ok(repo)
    }

    /// The bare repository's directory.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("bare.git")
    }

    /// The bare repository as a `file://` URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// The work clone's directory.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// The directory that holds both; anything else put there is deleted with them.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs git in the work clone and returns its output without the final line break.
    pub fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        git(&self.work(), args)
    }

    /// Runs git in the bare repository.
    pub fn git_bare<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        git(&self.path(), args)
    }

    /// Writes a file of the work clone, with its directories, and stages it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.work().join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, content)?;
        self.git(["add", "--", path])?;
        Ok(())
    }

    /// Removes a file of the work clone and stages that.
    pub fn remove(&self, path: &str) -> Result<()> {
        self.git(["rm", "-r", "--quiet", "--", path])?;
        Ok(())
    }

    /// Commits the staged changes (also if there are none) and returns the commit id. The message is used verbatim.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.commit_as(message, "Test <test@example.org>")
    }

    /// [`TestRepo::commit`] by a named author, as `Name <email>`.
    pub fn commit_as(&self, message: &str, author: &str) -> Result<String> {
        let args = [
            "commit",
            "--quiet",
            "--allow-empty",
            "--allow-empty-message",
            "--cleanup=verbatim",
            "--file=-",
            "--author",
        ];
        git_input(
            &self.work(),
            args.into_iter().chain([author]),
            message.as_bytes(),
        )?;
        self.head()
    }

    /// Writes one file, commits and pushes: the usual step of a test.
    pub fn commit_file(&self, path: &str, content: impl AsRef<[u8]>) -> Result<String> {
        self.write(path, content)?;
        let id = self.commit(&format!("change {path}\n"))?;
        self.push()?;
        Ok(id)
    }

    /// The commit that the work clone is on.
    pub fn head(&self) -> Result<String> {
        self.git(["rev-parse", "HEAD"])
    }

    /// The branch that the work clone is on.
    pub fn branch(&self) -> Result<String> {
        self.git(["symbolic-ref", "--short", "HEAD"])
    }

    /// Switches the work clone to a branch, creating it at the current commit if it does not exist.
    pub fn switch(&self, branch: &str) -> Result<()> {
        let known = self.git([
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("refs/heads/{branch}"),
        ]);
        match known {
            Ok(_) => self.git(["switch", "--quiet", branch])?,
            Err(_) => self.git(["switch", "--quiet", "--create", branch])?,
        };
        Ok(())
    }

    /// Merges a branch into the current branch of the work clone, always with a merge commit.
    pub fn merge(&self, branch: &str, message: &str) -> Result<String> {
        self.git(["merge", "--quiet", "--no-ff", "-m", message, branch])?;
        self.head()
    }

    /// Pushes the current branch.
    pub fn push(&self) -> Result<()> {
        self.git(["push", "--quiet", "origin", "HEAD"])?;
        Ok(())
    }

    /// Force-pushes the current branch.
    pub fn force_push(&self) -> Result<()> {
        self.git(["push", "--quiet", "--force", "origin", "HEAD"])?;
        Ok(())
    }

    /// Deletes a branch of the bare repository.
    pub fn delete_branch(&self, branch: &str) -> Result<()> {
        self.git_bare(["update-ref", "-d", &format!("refs/heads/{branch}")])?;
        Ok(())
    }

    /// Resets the work clone's branch to a revision, as before a history rewrite.
    pub fn reset(&self, rev: &str) -> Result<()> {
        self.git(["reset", "--quiet", "--hard", rev])?;
        Ok(())
    }
}

/// A git command that reads no configuration but its repository's, for the same result on every
/// machine.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(dir).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    for (name, value) in [
        ("HOME", "/nonexistent"),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Test"),
        ("GIT_AUTHOR_EMAIL", "test@example.org"),
        ("GIT_AUTHOR_DATE", DATE),
        ("GIT_COMMITTER_NAME", "Test"),
        ("GIT_COMMITTER_EMAIL", "test@example.org"),
        ("GIT_COMMITTER_DATE", DATE),
    ] {
        command.env(name, value);
    }
    // Background maintenance would race with the test.
    command.args([
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=false",
        "-c",
        "protocol.file.allow=always",
    ]);
    command
}

/// Where git is. Given a path, std spawns without copying the page tables of this process, which may be large.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|folder| folder.join("git"));
        let found = places.find(|file| file.is_absolute() && file.is_file());
        found.unwrap_or_else(|| "git".into())
    })
}

/// Runs git in a directory and returns its output without the final line break.
pub fn git<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Result<String> {
    git_input(dir, args, b"")
}

/// [`git`] with this standard input.
pub fn git_input<S: AsRef<OsStr>>(
    dir: &Path,
    args: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Result<String> {
    let mut command = command(dir);
    command.args(args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run git: install it with `apt-get install git`")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // Written while reading, so that long input and long output cannot deadlock.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // If git exited early, its error is reported below.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output()
    })?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str()
        .context("the temporary directory's path is no UTF-8")
}
