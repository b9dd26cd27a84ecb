//! Engines that are not there, or refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;

use tonic::Code;

use crate::fake::{Engine, healthy};
use crate::setup::{Setup, run};

const CALLS: [&[&str]; 21] = [
    &["status"],
    &["user", "list"],
    &["role", "list"],
    &["machine", "show", "x"],
    &["gitops", "status"],
    &["gitops", "sync", "--wait"],
    &["gitops", "history"],
    &["gitops", "accept", "0123456789ab"],
    &["engine", "list"],
    &["engine", "remove", "x"],
    &["explain", "user", "x"],
    &["whoami"],
    &["can-i", "users:read"],
    &["user", "add", "x", "--enroll"],
    &["user", "lock", "x"],
    &["user", "remove", "x"],
    &["session", "list"],
    &["session", "revoke", "x"],
    &["signing-key", "rotate"],
    &["audit"],
    &["audit", "verify"],
];

#[test]
fn without_an_engine_every_command_says_where_it_looked_and_what_to_try() {
    let setup = Setup::new();
    let socket = setup.path("none.sock").display().to_string();
    for call in CALLS {
        let run = setup.run(call);
        assert_eq!((run.code, run.out.as_str()), (6, ""), "{call:?}");
        for said in [
            &format!("error: no engine answers at {socket}\n"),
            &format!("because: there is no socket {socket}\n"),
            "systemctl status banyan-engine",
            "BANYAN_SOCKET",
        ] {
            assert!(run.err.contains(said), "{}", run.err);
        }
    }
}

#[test]
fn a_socket_on_which_nobody_listens_is_told_from_none() {
    let setup = Setup::new();
    drop(UnixListener::bind(setup.path("none.sock")).unwrap());
    let err = setup.run(&["status"]).ended(6);
    assert!(
        err.contains("the socket exists, but nothing listens on it"),
        "{err}"
    );
}

#[test]
fn a_socket_that_one_may_not_open_says_to_be_root() {
    let setup = Setup::new();
    let engine = Engine::start(&setup, healthy());
    fs::set_permissions(&engine.socket, fs::Permissions::from_mode(0o000)).unwrap();
    // The path down to the socket is open, only the socket is not.
    fs::set_permissions(setup.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    // By another process: a file that this one holds open for writing while a test beside it starts a program cannot be run.
    let mut copy = std::process::Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_banyan"))
        .arg(setup.path("banyan"));
    run(&mut copy, "").done();
    let mut command = std::process::Command::new(setup.path("banyan"));
    command.current_dir(setup.path("")).env_clear();
    command.arg("status").arg("--socket").arg(&engine.socket);
    // No mode stops root, so root becomes somebody else.
    if fs::metadata(&engine.socket).unwrap().uid() == 0 {
        command.uid(65534);
    }
    let err = run(&mut command, "").ended(6);
    assert!(err.contains("may open the socket"), "{err}");
    assert!(err.contains("sudo banyan"), "{err}");
}

#[test]
fn what_the_engine_refuses_has_its_exit_code() {
    for (code, exit, advice) in [
        (Code::Unauthenticated, 4, "as root"),
        (Code::PermissionDenied, 5, "banyan role permissions"),
        (Code::Unavailable, 6, "systemctl status banyan-engine"),
        (Code::FailedPrecondition, 1, ""),
        (Code::Unimplemented, 1, "another version"),
    ] {
        let setup = Setup::new();
        let mut script = healthy();
        script.refuse = Some((code, "because \u{1b}[2J I say so".to_owned()));
        let engine = Engine::start(&setup, script);
        let err = engine.run(&setup, &["user", "list"]).ended(exit);
        assert!(
            err.starts_with("error: cannot list the users\n  because: because "),
            "{err}"
        );
        assert!(err.contains(advice), "{err}");
        assert!(!err.contains('\u{1b}'), "{err:?}");
    }
}

#[test]
fn an_engine_that_hangs_up_is_out_of_reach() {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.path("none.sock")).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    setup.run(&["user", "list"]).ended(6);
}
