//! Hints that a source on this host may have moved.
//!
//! A hint carries no data: it means "look at the branch". Too many do no harm; the watcher is built so that too few
//! are rare (directories replaced, nested branches, packed references, a full queue), and callers poll besides.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::local::{Local, git_dir};
use crate::{Source, WatchError};

/// Quiet time after an event before the hint: a push touches several files.
const SETTLE: Duration = Duration::from_millis(2);
/// A hint is not held back longer than this, however busy the directory.
const MAX_SETTLE: Duration = Duration::from_millis(6);
/// How often the watched directories are compared with what is watched, which costs a few `stat` calls.
const REARM: Duration = Duration::from_secs(2);
/// After a directory appeared or went: what happened in it before it was watched is looked for then.
const ECHO: Duration = Duration::from_millis(50);
/// How often the branch is looked up where notification does not work.
const POLL: Duration = Duration::from_millis(500);

/// Calls back whenever the source's references may have changed, until dropped.
pub struct RefWatcher {
    mode: String,
    stop: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Event(notify::Result<Event>),
    Stop,
}

type NewWatcher = fn(Sender<Message>) -> notify::Result<RecommendedWatcher>;

impl RefWatcher {
    /// Watches a source on this host; `hint` is called on the watcher's own thread and should return soon.
    ///
    /// A repository that does not exist yet, or goes and comes back, is watched from the moment it is there. Where
    /// the system refuses notification (its inotify limits are used up) the branch is looked up twice a second.
    ///
    /// # Errors
    /// [`WatchError::NotLocal`] for `https://` and `ssh://`, and when no thread can be started.
    pub fn new(source: &Source, hint: impl Fn() + Send + 'static) -> Result<Self, WatchError> {
        Self::start(source, hint, inotify)
    }

    fn start(
        source: &Source,
        hint: impl Fn() + Send + 'static,
        make: NewWatcher,
    ) -> Result<Self, WatchError> {
        let path = source
            .url
            .local_path()
            .ok_or_else(|| WatchError::NotLocal {
                url: source.url.clone(),
            })?;
        let (stop, messages) = channel();
        let armed = make(stop.clone()).and_then(|watcher| {
            let mut armed = Armed::new(watcher, path);
            armed.rearm()?;
            Ok(armed)
        });
        let (mode, body): (String, Box<dyn FnOnce() + Send>) = match armed {
            Ok(armed) => (
                "inotify".to_owned(),
                Box::new(move || armed.run(&messages, &hint)),
            ),
            Err(reason) => {
                let source = source.clone();
                (
                    polling(&reason),
                    Box::new(move || poll(&source, &messages, &hint)),
                )
            }
        };
        let thread = std::thread::Builder::new()
            .name("git-refs".to_owned())
            .spawn(body)
            .map_err(|error| WatchError::Thread {
                url: source.url.clone(),
                source: error,
            })?;
        Ok(Self {
            mode,
            stop,
            thread: Some(thread),
        })
    }

    /// How the source is watched, for a status: `inotify`, or `polling …` with the reason.
    #[must_use]
    pub fn mode(&self) -> &str {
        &self.mode
    }
}

impl Drop for RefWatcher {
    fn drop(&mut self) {
        let _ = self.stop.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for RefWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefWatcher")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

fn inotify(events: Sender<Message>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Our own reads open the files: passing those on would make every look cause the next.
        let is_access = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan());
        if !is_access {
            let _ = events.send(Message::Event(event));
        }
    })
}

fn polling(reason: &notify::Error) -> String {
    format!(
        "polling every {} ms, since file notification failed: {reason} (raise fs.inotify.max_user_instances and max_user_watches)",
        POLL.as_millis()
    )
}

/// Looks the branch up again and again. Libgit2 answers in about 0.1 ms, which is less than a scan of files costs.
fn poll(source: &Source, messages: &Receiver<Message>, hint: &dyn Fn()) {
    let look = || Local::open(source).and_then(|local| local.head()).ok();
    let mut last = look();
    loop {
        match messages.recv_timeout(POLL) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Event(_)) | Err(RecvTimeoutError::Timeout) => {}
        }
        let now = look();
        if now != last {
            last = now;
            hint();
        }
    }
}

/// A directory as it was when it was watched: another one in its place has another identity.
type Identity = (u64, u64);

struct Armed {
    watcher: RecommendedWatcher,
    path: PathBuf,
    watched: BTreeMap<PathBuf, Identity>,
}

/// What an event asks for.
#[derive(Default, Clone, Copy)]
struct Wish {
    hint: bool,
    rearm: bool,
}

impl Armed {
    fn new(watcher: RecommendedWatcher, path: &Path) -> Self {
        Self {
            watcher,
            path: path.to_owned(),
            watched: BTreeMap::new(),
        }
    }

    fn run(mut self, messages: &Receiver<Message>, hint: &dyn Fn()) {
        let mut echo_at: Option<Instant> = None;
        let mut rearm_at = Instant::now() + REARM;
        loop {
            let wake = echo_at.map_or(rearm_at, |echo| echo.min(rearm_at));
            let mut wish =
                match messages.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                    Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Ok(Message::Event(event)) => {
                        let mut wish = self.judge(&event);
                        if self.settle(messages, &mut wish) {
                            return;
                        }
                        wish
                    }
                    Err(RecvTimeoutError::Timeout) => Wish::default(),
                };
            let now = Instant::now();
            if wish.rearm {
                echo_at = Some(now + ECHO);
            } else if echo_at.is_some_and(|at| at <= now) {
                echo_at = None;
                wish = Wish {
                    hint: true,
                    rearm: true,
                };
            }
            if wish.rearm || rearm_at <= now {
                rearm_at = now + REARM;
                // A failure here is met again at the next turn; meanwhile the caller's own polling holds.
                wish.hint |= self.rearm().unwrap_or(true);
            }
            if wish.hint {
                hint();
            }
        }
    }

    /// Takes what else comes in a burst; says whether to stop.
    fn settle(&self, messages: &Receiver<Message>, wish: &mut Wish) -> bool {
        let until = Instant::now() + MAX_SETTLE;
        while (wish.hint || wish.rearm) && Instant::now() < until {
            match messages.recv_timeout(SETTLE) {
                Ok(Message::Event(event)) => {
                    let more = self.judge(&event);
                    wish.hint |= more.hint;
                    wish.rearm |= more.rearm;
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
        false
    }

    fn judge(&self, event: &notify::Result<Event>) -> Wish {
        let both = Wish {
            hint: true,
            rearm: true,
        };
        let Ok(event) = event else { return both };
        if event.need_rescan() || event.paths.is_empty() {
            return both;
        }
        let mut wish = Wish::default();
        for path in &event.paths {
            if self.watched.keys().any(|watched| watched.starts_with(path)) || path.is_dir() {
                // A watched directory or one above it came or went, or a new one appeared among the references.
                let relevant = self.is_ours(path);
                wish.hint |= relevant;
                wish.rearm |= relevant;
            } else if self.is_reference(path) {
                wish.hint = true;
            } else if self.is_ours(path) {
                wish.rearm = true;
            }
        }
        wish
    }

    /// A file under `refs`, or one of the git directory that says what references there are.
    fn is_reference(&self, path: &Path) -> bool {
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            return false;
        }
        let name = path.file_name().unwrap_or_default();
        name == "packed-refs"
            || name == "HEAD"
            || path.components().any(|part| part.as_os_str() == "refs")
    }

    /// The repository's path, something above it, its git directory, or a directory of references.
    fn is_ours(&self, path: &Path) -> bool {
        self.path.starts_with(path)
            || path == self.path.join(".git")
            || path.file_name().is_some_and(|name| name == "refs")
            || path.parent().is_some_and(|parent| {
                self.watched.contains_key(parent)
                    && parent.components().any(|part| part.as_os_str() == "refs")
            })
    }

    /// Watches what is there now and is not watched yet; says whether anything was new or had gone.
    fn rearm(&mut self) -> notify::Result<bool> {
        let wanted = wanted(&self.path);
        if wanted == self.watched {
            return Ok(false);
        }
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, identity)| wanted.get(*path) != Some(*identity))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            // The kernel has dropped the watch of a removed directory already.
            let _ = self.watcher.unwatch(&path);
            self.watched.remove(&path);
        }
        for (path, identity) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, identity);
                }
                // Gone again between the look and the watch.
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The directories that matter: the nearest ones above the repository, the git directory, and all below `refs/heads`.
fn wanted(path: &Path) -> BTreeMap<PathBuf, Identity> {
    let mut dirs = BTreeMap::new();
    // The parent tells when the repository is replaced; where that is missing too, the nearest that exists.
    for above in path.ancestors().skip(1) {
        if note(&mut dirs, above) {
            break;
        }
    }
    if !note(&mut dirs, path) {
        return dirs;
    }
    let Ok(git) = git_dir(path) else { return dirs };
    let git = common_dir(&git);
    note(&mut dirs, &git);
    note(&mut dirs, &git.join("refs"));
    let mut open = vec![git.join("refs/heads")];
    while let Some(dir) = open.pop() {
        if note(&mut dirs, &dir) {
            let inner = fs::read_dir(&dir).into_iter().flatten().flatten();
            open.extend(
                inner
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
    }
    dirs
}

fn note(dirs: &mut BTreeMap<PathBuf, Identity>, dir: &Path) -> bool {
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {
            dirs.insert(dir.to_owned(), (meta.dev(), meta.ino()));
            true
        }
        Ok(_) | Err(_) => false,
    }
}

/// A linked work tree keeps its references in the main repository.
fn common_dir(git: &Path) -> PathBuf {
    match fs::read_to_string(git.join("commondir")) {
        Ok(text) => git.join(text.trim_end()),
        Err(_) => git.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banyan_testkit::git::TestRepo;

    fn source(repo: &TestRepo) -> Source {
        Source {
            url: repo.url().parse().unwrap(),
            branch: "main".to_owned(),
        }
    }

    #[test]
    fn without_notification_the_branch_is_polled_and_the_reason_told() {
        let repo = TestRepo::new().unwrap();
        repo.commit_file("a", "1").unwrap();
        let (send, hints) = channel();
        let refused: NewWatcher = |_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        let watcher =
            RefWatcher::start(&source(&repo), move || send.send(()).unwrap(), refused).unwrap();
        assert!(
            watcher.mode().starts_with("polling") && watcher.mode().contains("limit"),
            "{}",
            watcher.mode()
        );
        assert_eq!(hints.recv_timeout(POLL * 3), Err(RecvTimeoutError::Timeout));
        repo.commit_file("a", "2").unwrap();
        hints.recv_timeout(Duration::from_secs(10)).unwrap();
        repo.delete_branch("main").unwrap();
        hints.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn an_overflow_is_a_hint() {
        let repo = TestRepo::new().unwrap();
        let armed = Armed::new(inotify(channel().0).unwrap(), &repo.path());
        let event = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        let wish = armed.judge(&Ok(event));
        assert!(wish.hint && wish.rearm);
    }
}
