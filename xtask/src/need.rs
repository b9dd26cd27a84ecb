//! The commands' prerequisites: a table, and how each one is detected.
//!
//! Knows nothing about installing.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{answer, cargo, succeeds};

/// A command of `cargo xtask` that has prerequisites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Demo,
    Test,
    Check,
    Bench,
}

impl Task {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Test => "test",
            Self::Check => "check",
            Self::Bench => "bench",
        }
    }
}

/// A prerequisite.
#[derive(Debug)]
pub(crate) struct Need {
    /// Its common name.
    pub(crate) name: &'static str,
    /// What it is needed for.
    pub(crate) why: &'static str,
    probe: Probe,
    pub(crate) source: Source,
    tasks: &'static [Task],
}

/// Where to get it.
#[derive(Debug)]
pub(crate) enum Source {
    System(Packages),
    /// A component of the Rust toolchain.
    Rustup(&'static str),
}

/// The package that contains it, by package manager.
#[derive(Debug)]
pub(crate) struct Packages {
    pub(crate) apt: &'static str,
    pub(crate) dnf: &'static str,
    pub(crate) pacman: &'static str,
    pub(crate) apk: &'static str,
    pub(crate) nix: &'static str,
}

#[derive(Debug)]
enum Probe {
    Program(&'static str),
    /// The C library's headers; a compiler may be installed without them.
    Headers,
    /// `git http-backend`, which some systems package separately from git.
    GitHttpBackend,
    /// The include files of `protoc`; Debian packages them separately.
    ProtobufHeaders,
    /// A subcommand of cargo.
    Cargo(&'static str),
}

use Task::{Bench, Check, Demo, Test};

const BUILDS: &[Task] = &[Demo, Test, Check, Bench];
const TRIAL: &[Task] = &[Demo, Test];

const NEEDS: &[Need] = &[
    Need {
        name: "cc",
        why: "builds the C parts of two libraries (libgit2, ring) and links",
        probe: Probe::Program("cc"),
        source: Source::System(packages("gcc", "gcc", "gcc", "gcc", "gcc")),
        tasks: BUILDS,
    },
    Need {
        name: "C headers",
        why: "the C parts include them",
        probe: Probe::Headers,
        source: Source::System(packages(
            "libc6-dev",
            "glibc-devel",
            "glibc",
            "musl-dev",
            "gcc",
        )),
        tasks: BUILDS,
    },
    Need {
        name: "protoc",
        why: "builds the etcd client",
        probe: Probe::Program("protoc"),
        source: Source::System(packages(
            "protobuf-compiler",
            "protobuf-compiler",
            "protobuf",
            "protoc",
            "protobuf",
        )),
        tasks: BUILDS,
    },
    Need {
        name: "protobuf headers",
        why: "the etcd client includes `google/protobuf/descriptor.proto`",
        probe: Probe::ProtobufHeaders,
        source: Source::System(packages(
            "libprotobuf-dev",
            "protobuf-devel",
            "protobuf",
            "protobuf-dev",
            "protobuf",
        )),
        tasks: BUILDS,
    },
    Need {
        name: "git",
        why: "the cluster repo is pushed and read with it",
        probe: Probe::Program("git"),
        source: Source::System(packages("git", "git", "git", "git", "git")),
        tasks: BUILDS,
    },
    Need {
        name: "git http-backend",
        why: "the trial serves its repo over HTTP with it",
        probe: Probe::GitHttpBackend,
        source: Source::System(packages("git", "git", "git", "git-daemon", "git")),
        tasks: TRIAL,
    },
    Need {
        name: "wg",
        why: "makes keys and shows WireGuard devices",
        probe: Probe::Program("wg"),
        source: Source::System(same("wireguard-tools")),
        tasks: TRIAL,
    },
    Need {
        name: "age",
        why: "the tests unseal with it what Banyan sealed, and the other way round",
        probe: Probe::Program("age"),
        source: Source::System(same("age")),
        tasks: &[Test],
    },
    Need {
        name: "etcd",
        why: "the tests and benchmarks keep state in real clusters of it",
        probe: Probe::Program("etcd"),
        source: Source::System(packages("etcd-server", "etcd", "etcd", "etcd", "etcd")),
        tasks: &[Test, Bench],
    },
    Need {
        name: "openssl",
        why: "the tests make and check certificates with it",
        probe: Probe::Program("openssl"),
        source: Source::System(same("openssl")),
        tasks: &[Test],
    },
    Need {
        name: "etcdctl",
        why: "the tests alter records out of band with it",
        probe: Probe::Program("etcdctl"),
        source: Source::System(packages("etcd-client", "etcd", "etcd", "etcd-ctl", "etcd")),
        tasks: &[Test],
    },
    Need {
        name: "ssh-keygen",
        why: "the tests seal for ssh keys that it made",
        probe: Probe::Program("ssh-keygen"),
        source: Source::System(packages(
            "openssh-client",
            "openssh",
            "openssh",
            "openssh-keygen",
            "openssh",
        )),
        tasks: &[Test],
    },
    Need {
        name: "script",
        why: "the tests look at colours on a terminal that it makes",
        probe: Probe::Program("script"),
        source: Source::System(packages(
            "bsdutils",
            "util-linux-script",
            "util-linux",
            "util-linux-misc",
            "unixtools.script",
        )),
        tasks: &[Test],
    },
    Need {
        name: "wireguard-go",
        why: "the tests connect Banyan's tunnels to it",
        probe: Probe::Program("wireguard-go"),
        source: Source::System(same("wireguard-go")),
        tasks: &[Test],
    },
    Need {
        name: "ip",
        why: "the tests set up their own networks with it",
        probe: Probe::Program("ip"),
        source: Source::System(packages(
            "iproute2", "iproute", "iproute2", "iproute2", "iproute2",
        )),
        tasks: &[Test],
    },
    Need {
        name: "unshare",
        why: "the tests make their own networks with it",
        probe: Probe::Program("unshare"),
        source: Source::System(same("util-linux")),
        tasks: &[Test],
    },
    Need {
        name: "nsenter",
        why: "the tests run programs inside their networks with it",
        probe: Probe::Program("nsenter"),
        source: Source::System(same("util-linux")),
        tasks: &[Test],
    },
    Need {
        name: "ping",
        why: "the tests send packets through tunnels with it",
        probe: Probe::Program("ping"),
        source: Source::System(packages(
            "iputils-ping",
            "iputils",
            "iputils",
            "iputils-ping",
            "iputils",
        )),
        tasks: &[Test],
    },
    Need {
        name: "curl",
        why: "the tests call the HTTP API with it",
        probe: Probe::Program("curl"),
        source: Source::System(same("curl")),
        tasks: &[Test],
    },
    Need {
        name: "rustfmt",
        why: "checks formatting",
        probe: Probe::Cargo("fmt"),
        source: Source::Rustup("rustfmt"),
        tasks: &[Check],
    },
    Need {
        name: "clippy",
        why: "checks the code",
        probe: Probe::Cargo("clippy"),
        source: Source::Rustup("clippy"),
        tasks: &[Check],
    },
];

const fn packages(
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
    apk: &'static str,
    nix: &'static str,
) -> Packages {
    Packages {
        apt,
        dnf,
        pacman,
        apk,
        nix,
    }
}

const fn same(name: &'static str) -> Packages {
    packages(name, name, name, name, name)
}

/// Every missing prerequisite of the command, in the table's order.
pub(crate) fn missing_for(task: Task) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| need.tasks.contains(&task) && !need.probe.finds())
        .collect()
}

/// The whole table.
#[cfg(test)]
pub(crate) fn all() -> &'static [Need] {
    NEEDS
}

/// Whether the cargo subcommand is installed.
pub(crate) fn has_cargo_command(name: &str) -> bool {
    succeeds(&mut cargo([name, "--version"]))
}

/// Whether the program is on `PATH`.
pub(crate) fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| is_executable(&folder.join(name)))
}

impl Probe {
    fn finds(&self) -> bool {
        match self {
            Self::Program(name) => has_program(name),
            Self::Headers => has_headers(),
            Self::GitHttpBackend => has_git_http_backend(),
            Self::ProtobufHeaders => has_protobuf_headers(),
            Self::Cargo(name) => has_cargo_command(name),
        }
    }
}

fn has_headers() -> bool {
    let mut compiler = Command::new("cc");
    compiler.args(["-E", "-x", "c", "-"]);
    compiler
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = compiler.spawn() else {
        return false;
    };
    if let Some(mut source) = child.stdin.take() {
        // The exit code shows whether the compiler accepted it.
        let _ = source.write_all(b"#include <stdio.h>\n");
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Asks `protoc` itself, because it knows its include path: it compiles a single import from standard input.
fn has_protobuf_headers() -> bool {
    let mut protoc = Command::new("protoc");
    protoc.args(["--proto_path=/dev", "--descriptor_set_out=/dev/null"]);
    protoc.arg("google/protobuf/descriptor.proto");
    succeeds(&mut protoc)
}

fn has_git_http_backend() -> bool {
    let folder = answer(Command::new("git").arg("--exec-path"));
    folder.is_some_and(|folder| is_executable(&PathBuf::from(folder).join("git-http-backend")))
}

fn is_executable(file: &Path) -> bool {
    #[cfg(unix)]
    let may_run = |found: &std::fs::Metadata| {
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o111 != 0
    };
    #[cfg(not(unix))]
    let may_run = |_: &std::fs::Metadata| true;
    file.metadata()
        .is_ok_and(|found| found.is_file() && may_run(&found))
}
