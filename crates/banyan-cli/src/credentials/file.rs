//! The credentials file: readable by its owner only, never half written, never followed through a link.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{Credentials, Garbled, MAX_BYTES};
use crate::config;
use crate::error::{Exit, Failure};

const NAME: &str = "credentials.json";

/// The file that is locked while the credentials change. It is never deleted: a lock on a deleted file excludes nothing.
const LOCK: &str = "credentials.lock";

/// The new content, before it replaces the file.
const DRAFT: &str = "credentials.json.new";

/// How long another command may hold the lock: longer than the slowest refresh.
const LOCKED_FOR: Duration = Duration::from_secs(90);

/// The place of the credentials.
#[derive(Debug, Clone)]
pub(crate) struct CredentialsFile {
    folder: PathBuf,
}

/// Why an existing file is not used.
#[derive(Debug)]
pub(crate) enum Damage {
    Io(io::Error),
    /// It is a symbolic link.
    Link,
    NoFile,
    /// It, or its folder, belongs to another user.
    Foreign(PathBuf, u32),
    /// Others can read it.
    Open(u32),
    /// Others can replace what is in its folder.
    OpenFolder(u32),
    TooLong,
    Garbled(Garbled),
}

/// The credentials, locked against other commands.
pub(crate) struct Locked {
    file: CredentialsFile,
    /// Closing it unlocks it.
    _lock: File,
}

/// A file beside the real one, created before its content is known. It is deleted unless it is finished.
pub(crate) struct Draft<'a> {
    locked: &'a Locked,
    file: File,
    path: PathBuf,
    finished: bool,
}

impl CredentialsFile {
    /// The user's own.
    pub(crate) fn own() -> Result<Self, Failure> {
        let folder = config::own_folder().ok_or_else(|| {
            Failure::new(Exit::Config, "there is no place for credentials")
                .reason("neither HOME nor XDG_CONFIG_HOME is set to an absolute path")
                .hint("set HOME")
        })?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// The credentials; empty if there is no file.
    pub(crate) fn read(&self) -> Result<Credentials, Failure> {
        self.look().map_err(|damage| self.unusable(&damage))
    }

    /// As [`CredentialsFile::read`], with the problem as a value.
    pub(crate) fn look(&self) -> Result<Credentials, Damage> {
        let file = match open(&self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Credentials::default()),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(Damage::Link);
            }
            Err(error) => return Err(Damage::Io(error)),
        };
        self.judge_folder()?;
        judge(&file, &self.path())?;
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        file.take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut text)
            .map_err(Damage::Io)?;
        if text.len() > MAX_BYTES {
            return Err(Damage::TooLong);
        }
        Credentials::parse(&text).map_err(Damage::Garbled)
    }

    fn judge_folder(&self) -> Result<(), Damage> {
        let data = fs::metadata(&self.folder).map_err(Damage::Io)?;
        if data.uid() != me() {
            return Err(Damage::Foreign(self.folder.clone(), data.uid()));
        }
        match data.mode() & 0o7777 {
            mode if mode & 0o022 != 0 => Err(Damage::OpenFolder(mode)),
            _ => Ok(()),
        }
    }

    /// Waits until no other command changes the credentials.
    pub(crate) fn lock(&self) -> Result<Locked, Failure> {
        let cannot = |error: &io::Error| {
            let what = format!("cannot lock the credentials in {}", self.folder.display());
            Failure::refused(what).because(error)
        };
        self.make_folder()?;
        self.judge_folder()
            .map_err(|damage| self.unusable(&damage))?;
        let lock = options()
            .create(true)
            .write(true)
            .open(self.folder.join(LOCK));
        let lock = lock.map_err(|e| cannot(&e))?;
        // Waiting for a lock has no timeout, so a thread waits.
        let (done, locked) = mpsc::channel();
        std::thread::spawn(move || {
            let result = lock.lock().map(|()| lock);
            // If the other side has timed out, dropping the file releases the lock.
            let _ = done.send(result);
        });
        match locked.recv_timeout(LOCKED_FOR) {
            Ok(Ok(lock)) => Ok(Locked {
                file: self.clone(),
                _lock: lock,
            }),
            Ok(Err(error)) => Err(cannot(&error)),
            Err(_) => Err(Failure::refused("cannot lock the credentials")
                .reason(format!(
                    "another command has held the lock for {} s",
                    LOCKED_FOR.as_secs()
                ))
                .hint("find the `banyan` that hangs: `pgrep -a banyan`")),
        }
    }

    fn make_folder(&self) -> Result<(), Failure> {
        let make = || -> io::Result<()> {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
            let data = fs::metadata(&self.folder)?;
            if data.uid() == me() && data.mode() & 0o077 != 0 {
                fs::set_permissions(&self.folder, Permissions::from_mode(0o700))?;
            }
            Ok(())
        };
        make().map_err(|error| {
            Failure::refused(format!("cannot make the folder {}", self.folder.display()))
                .because(&error)
        })
    }

    /// The error for a file that is not used.
    pub(crate) fn unusable(&self, damage: &Damage) -> Failure {
        let path = self.path();
        let (path, folder) = (path.display(), self.folder.display());
        let failure = Failure::new(
            Exit::NotAuthenticated,
            format!("cannot use the credentials in {path}"),
        );
        let replace = "`banyan login` replaces it";
        match damage {
            Damage::Io(error) => failure.because(error).hint(format!("make it readable for you, or remove it and run `banyan login`: `rm {path}`")),
            Damage::Link => failure
                .reason("it is a symbolic link, which is not followed for tokens")
                .hint(format!("remove it and run `banyan login`: `rm {path}`")),
            Damage::NoFile => failure.reason("it is not a regular file").hint(format!("remove {path} and run `banyan login`")),
            Damage::Foreign(whose, uid) => failure
                .reason(format!("{} belongs to another user (uid {uid})", whose.display()))
                .hint("use a HOME of your own; on the engine's host, `--socket /run/banyan/engine.sock` needs no credentials"),
            Damage::Open(mode) => failure
                .reason(format!("other users can access it (mode {mode:04o})"))
                .hint(format!("`chmod 600 {path}`; if others use this host, also `banyan session revoke --user …` and `banyan login`")),
            Damage::OpenFolder(mode) => failure
                .reason(format!("other users can replace files in {folder} (mode {mode:04o})"))
                .hint(format!("`chmod 700 {folder}`, and `banyan login`")),
            Damage::TooLong => failure.reason(format!("it has more than {MAX_BYTES} bytes")).hint(replace),
            Damage::Garbled(garbled) => failure.reason(garbled.to_string()).hint(replace),
        }
    }
}

impl Locked {
    /// Creates the new file. This fails before a token is requested that could not be stored.
    pub(crate) fn draft(&self) -> Result<Draft<'_>, Failure> {
        let path = self.file.folder.join(DRAFT);
        // A killed command may have left one. No other command writes it, because this one holds the lock.
        let _ = fs::remove_file(&path);
        let file = options().create_new(true).write(true).open(&path);
        Ok(Draft {
            locked: self,
            file: file.map_err(|error| self.cannot_write(&error))?,
            path,
            finished: false,
        })
    }

    /// Writes the credentials, or deletes the file if none are left.
    pub(crate) fn write(&self, credentials: &Credentials) -> Result<(), Failure> {
        if !credentials.is_empty() {
            return self.draft()?.finish(credentials);
        }
        match fs::remove_file(self.file.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.cannot_write(&error)),
            _ => Ok(()),
        }
    }

    fn cannot_write(&self, error: &io::Error) -> Failure {
        let path = self.file.path();
        Failure::refused(format!("cannot write {}", path.display()))
            .because(error)
            .hint("check the free space and the permissions of the folder")
    }
}

impl Draft<'_> {
    /// Replaces the file with it: a reader sees either all of the old content or all of the new.
    pub(crate) fn finish(mut self, credentials: &Credentials) -> Result<(), Failure> {
        let result = self.put(credentials);
        self.finished = result.is_ok();
        result.map_err(|error| self.locked.cannot_write(&error))
    }

    fn put(&mut self, credentials: &Credentials) -> io::Result<()> {
        let file = &self.locked.file;
        self.file.write_all(&credentials.text()?)?;
        self.file.sync_all()?;
        fs::rename(&self.path, file.path())?;
        File::open(&file.folder)?.sync_all()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // It may be gone already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Options for files in this folder: private to the owner, links not followed, and never blocking on a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits() as i32);
    options
}

fn open(path: &Path) -> io::Result<File> {
    options().read(true).open(path)
}

fn judge(file: &File, path: &Path) -> Result<(), Damage> {
    let data = file.metadata().map_err(Damage::Io)?;
    if !data.is_file() {
        return Err(Damage::NoFile);
    }
    if data.uid() != me() {
        return Err(Damage::Foreign(path.to_owned(), data.uid()));
    }
    match data.mode() & 0o7777 {
        mode if mode & 0o077 != 0 => Err(Damage::Open(mode)),
        _ => Ok(()),
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}
