//! Whether this host supports a backend, in words for users.

use std::fs::{self, OpenOptions};
use std::path::Path;

/// Whether a backend can run on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Available,
    /// It cannot.
    Unavailable {
        /// What is missing.
        reason: String,
        /// What to try.
        hint: String,
    },
}

/// `CAP_NET_ADMIN` in `linux/capability.h`.
const NET_ADMIN: u32 = 12;

/// Whether this process can open userspace devices: it needs `/dev/net/tun` and CAP_NET_ADMIN. The check changes
/// nothing.
#[must_use]
pub fn userspace_support() -> Support {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    judge(Path::new("/dev/net/tun"), &status)
}

fn judge(tun: &Path, process_status: &str) -> Support {
    let unavailable = |reason: String, hint: &str| Support::Unavailable {
        reason,
        hint: hint.to_owned(),
    };
    if !tun.exists() {
        return unavailable(
            format!("{} is missing", tun.display()),
            "load it with `modprobe tun`; in a container, add `--device /dev/net/tun`",
        );
    }
    if !may_manage_networks(process_status) {
        return unavailable(
            "this process may not manage networks (no CAP_NET_ADMIN)".to_owned(),
            "run it as root, or give it the capability; in a container, add `--cap-add NET_ADMIN`",
        );
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(tun) {
        return unavailable(
            format!("{} cannot be opened: {error}", tun.display()),
            "check its permissions, and the device rules of the container or unit",
        );
    }
    Support::Available
}

fn may_manage_networks(process_status: &str) -> bool {
    process_status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> NET_ADMIN & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALLOWED: &str = "Name:\tx\nCapEff:\t0000000000001000\n";

    fn reason(support: Support) -> String {
        match support {
            Support::Available => panic!("available"),
            Support::Unavailable { reason, hint } => {
                assert!(!hint.is_empty());
                reason
            }
        }
    }

    #[test]
    fn each_missing_thing_is_named() {
        let missing = Path::new("/nonexistent/tun");
        assert!(reason(judge(missing, ALLOWED)).contains("/nonexistent/tun is missing"));
        let there = Path::new("/dev/null");
        assert_eq!(judge(there, ALLOWED), Support::Available);
        let denied = "CapEff:\tffffffffffffefff\n";
        assert!(reason(judge(there, denied)).contains("CAP_NET_ADMIN"));
        assert!(reason(judge(there, "")).contains("CAP_NET_ADMIN"));
        let folder = Path::new("/proc");
        assert!(reason(judge(folder, ALLOWED)).contains("cannot be opened"));
    }

    proptest! {
        #[test]
        fn any_status_text_gives_an_answer(text in "(CapEff:)?\\PC{0,30}\n?\\PC{0,30}") {
            let _answer = may_manage_networks(&text);
        }
    }
}
