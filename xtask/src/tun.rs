//! Whether this machine allows tunnel devices.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};

const DEVICE: &str = "/dev/net/tun";

/// Opens the device that userspace WireGuard needs, and closes it again.
pub(crate) fn probe() -> io::Result<()> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map(drop)
}

/// What is wrong with the device and how to fix it.
pub(crate) fn explain(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::NotFound => {
            "as root: modprobe tun; if the file is still missing: \
             mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200"
        }
        ErrorKind::PermissionDenied => "as root: chmod 666 /dev/net/tun",
        _ => "as root: modprobe tun",
    };
    format!(
        "{DEVICE} cannot be opened: {error}\n  on a host, {advice}\n  \
         in a container, start it with: --device {DEVICE} --cap-add NET_ADMIN"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_to_do_on_a_host_and_in_a_container() {
        for (kind, advice) in [
            (ErrorKind::NotFound, "mknod -m 666 /dev/net/tun c 10 200"),
            (ErrorKind::PermissionDenied, "chmod 666"),
            (ErrorKind::Other, "modprobe tun"),
        ] {
            let text = explain(&io::Error::from(kind));
            assert!(text.contains(advice), "{text}");
            assert!(
                text.contains("--device /dev/net/tun --cap-add NET_ADMIN"),
                "{text}"
            );
        }
    }
}
