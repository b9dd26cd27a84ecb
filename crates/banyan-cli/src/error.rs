//! Errors as users see them: what failed, why, what to try; and the exit codes.

use std::error::Error as StdError;
use std::path::Path;
use std::process::ExitCode;

use banyan_api::{Unavailable, denial_cause, retry_after};
use banyan_manifest::LoadError;
use banyan_repo::FolderError;
use tonic::{Code, Status};

/// The exit codes. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Refused = 1,
    Usage = 2,
    Config = 3,
    NotAuthenticated = 4,
    NotPermitted = 5,
    OutOfReach = 6,
    /// A plan with `--detailed-exitcode` that is not empty.
    Changes = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let hint = match &error {
            FolderError::List { .. } => "name a folder that you may read",
            FolderError::TooMuch { .. } => "name the folder of the cluster repo itself",
        };
        Self::refused(error.to_string()).because(&error).hint(hint)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    why: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            why: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Something was refused or failed.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    /// The command line makes no sense.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// The documents of a folder cannot be loaded.
    pub(crate) fn cannot_load(root: &Path, error: &LoadError) -> Self {
        Self::refused(format!("cannot load {}", root.display())).because(error)
    }

    /// Adds an error and its sources as reasons; nothing is said twice.
    pub(crate) fn because(mut self, error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self = self.reason(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds a reason.
    pub(crate) fn reason(mut self, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let said = std::iter::once(&self.what).chain(&self.why);
        if !reason.is_empty() && !said.into_iter().any(|text| text.contains(&reason)) {
            self.why.push(reason);
        }
        self
    }

    /// Adds something to try.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Replaces the exit code.
    pub(crate) fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The reasons in one line, for a table.
    pub(crate) fn in_one_line(&self) -> String {
        let parts: Vec<&str> = std::iter::once(&self.what)
            .chain(&self.why)
            .map(String::as_str)
            .collect();
        parts.join(": ")
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The lines that users read: the failure, its reasons, and what to try.
    pub(crate) fn lines(&self) -> Vec<(&'static str, &str)> {
        let why = self.why.iter().map(|why| ("because", why.as_str()));
        let hints = self.hints.iter().map(|hint| ("try", hint.as_str()));
        std::iter::once(("error", self.what.as_str()))
            .chain(why)
            .chain(hints)
            .collect()
    }

    /// The one table from the engine's status to exit code and advice. `what` completes "cannot …": `list the users`.
    pub(crate) fn from_status(what: &str, status: &Status) -> Self {
        let lost = status.source().is_some();
        if let Some(lack) = Unavailable::of(status) {
            // The engine itself is in reach.
            let failure = Self::refused(format!("cannot {what}")).reason(status.message());
            return failure.hint(without(lack));
        }
        if let Some(cause) = denial_cause(status) {
            return Self::denied(what, cause, status);
        }
        let (exit, hint) = match status.code() {
            Code::Unauthenticated => (
                Exit::NotAuthenticated,
                Some("run it on the engine's host as root, or as the engine's own user"),
            ),
            Code::PermissionDenied => (
                Exit::NotPermitted,
                Some(
                    "ask an admin for the permission; `banyan role permissions` lists all of them",
                ),
            ),
            Code::Unavailable | Code::DeadlineExceeded => (Exit::OutOfReach, Some(LOOK_AT_ENGINE)),
            Code::Unknown | Code::Internal | Code::Cancelled if lost => {
                (Exit::OutOfReach, Some(LOOK_AT_ENGINE))
            }
            Code::Internal | Code::Unknown | Code::DataLoss => (
                Exit::Refused,
                Some("the engine's log says more: `journalctl -u banyan-engine`"),
            ),
            Code::Unimplemented => (
                Exit::Refused,
                Some("the engine has another version; `banyan version` shows both"),
            ),
            _ => (Exit::Refused, None),
        };
        let failure = Self::new(exit, format!("cannot {what}")).reason(status.message());
        let failure = match status.source() {
            Some(source) => failure.because(source),
            None => failure,
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// A call that was denied because of its caller.
    fn denied(what: &str, cause: &str, status: &Status) -> Self {
        // The engine is in reach, even if it is cut off from its store.
        let exit = match status.code() {
            Code::Unauthenticated => Exit::NotAuthenticated,
            Code::PermissionDenied => Exit::NotPermitted,
            _ => Exit::Refused,
        };
        let failure = Self::new(exit, format!("cannot {what}")).reason(status.message());
        if let Some(wait) = retry_after(status) {
            return failure.hint(format!("try again in {} s", wait.as_secs()));
        }
        match (cause, exit) {
            ("bad-credentials", _) => {
                failure.hint("an admin can make a new one-time code: `banyan user enroll NAME`")
            }
            // Some messages say so themselves.
            (_, Exit::NotAuthenticated) if status.message().contains(LOGIN) => failure,
            (_, Exit::NotAuthenticated) => failure.hint(LOGIN),
            (_, Exit::NotPermitted) => {
                failure.hint("`banyan whoami` shows your permissions; ask an admin for more")
            }
            ("cut-off", _) => failure
                .hint("repair the connection to its store, or name another engine with `--engine`"),
            _ => failure.hint("try again later"),
        }
    }
}

/// The advice if a login is needed.
pub(crate) const LOGIN: &str = "run `banyan login`";

/// The advice if the engine answers but lacks something.
fn without(lack: Unavailable) -> &'static str {
    match lack {
        Unavailable::Store => {
            "the engine keeps serving what is in force; repair the store (`banyan status` says what is wrong), then try again"
        }
        Unavailable::Leader => {
            "check which engines run with `banyan engine list`, and try again in a few seconds: another engine takes over by itself"
        }
    }
}

/// The advice if the engine does not answer.
pub(crate) const LOOK_AT_ENGINE: &str =
    "check whether the engine runs: `systemctl status banyan-engine`; `banyan doctor` says more";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_the_engine_has_its_exit_code() {
        for (code, exit) in [
            (Code::Unauthenticated, Exit::NotAuthenticated),
            (Code::PermissionDenied, Exit::NotPermitted),
            (Code::Unavailable, Exit::OutOfReach),
            (Code::DeadlineExceeded, Exit::OutOfReach),
            (Code::NotFound, Exit::Refused),
            (Code::InvalidArgument, Exit::Refused),
            (Code::FailedPrecondition, Exit::Refused),
            (Code::ResourceExhausted, Exit::Refused),
            (Code::Internal, Exit::Refused),
            (Code::Unimplemented, Exit::Refused),
        ] {
            let failure = Failure::from_status("ask", &Status::new(code, "so it is"));
            assert_eq!(failure.exit(), exit, "{code:?}");
            assert_eq!(failure.in_one_line(), "cannot ask: so it is");
        }
    }

    #[test]
    fn a_reason_is_given_once() {
        let failure = Failure::refused("cannot read a: gone")
            .reason("gone")
            .reason("really")
            .reason("really");
        assert_eq!(failure.in_one_line(), "cannot read a: gone: really");
    }
}
