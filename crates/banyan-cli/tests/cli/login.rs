//! Logging in and out, and commands that are made with a login.

use std::process::Stdio;
use std::time::Duration;

use banyan_api::v1;
use banyan_core::Denial;
use serde_json::json;

use crate::fake::{Engine, Remote, Script, at, healthy};
use crate::setup::{Run, Setup, run};

fn with(script: Script) -> (Setup, Remote) {
    let setup = Setup::new();
    let remote = Remote::start(&setup, script);
    (setup, remote)
}

/// Runs without a word about the engine, not even in the environment.
fn plain(setup: &Setup, args: &[&str]) -> Run {
    run(setup.command().env_remove("BANYAN_SOCKET").args(args), "")
}

#[test]
fn after_a_login_commands_need_no_more_flags() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    assert_eq!(
        remote.asked.lock().unwrap().people,
        ["login alice correct horse battery"]
    );
    let text = plain(&setup, &["whoami"]).done();
    assert!(text.starts_with("user        alice\n"), "{text}");
    assert!(
        text.contains(&format!("engine      {}\n", remote.address)),
        "{text}"
    );
    assert!(plain(&setup, &["status"]).done().contains("acorn"));
    plain(&setup, &["gitops", "sync", "--wait"]).done();
    // Its pin is remembered also where the engine is named.
    setup
        .run(&["user", "list", "--engine", &remote.address])
        .done();
    // The socket that the environment names is meant before it.
    setup.run(&["user", "list"]).ended(6);
}

#[test]
fn an_engine_that_is_known_by_its_authority_is_remembered_with_the_file() {
    let (setup, remote) = with(healthy());
    let login = [
        "login",
        "--username",
        "alice",
        "--password-stdin",
        "--engine-ca-file",
        "ca.pem",
    ];
    let engine = ["--engine", &remote.address];
    setup
        .run_with(&[&login[..], &engine].concat(), "correct horse battery")
        .done();
    let mut command = setup.command();
    command
        .env_remove("BANYAN_SOCKET")
        .current_dir("/")
        .arg("whoami");
    run(&mut command, "").done();
    let kept: serde_json::Value =
        serde_json::from_str(&setup.read("home/.config/banyan/credentials.json")).unwrap();
    assert_eq!(kept["logins"][0]["caFile"], json!(setup.path("ca.pem")));
    assert_eq!(remote.ca_file, setup.path("ca.pem"));
}

#[test]
fn without_a_login_an_engine_elsewhere_is_not_even_asked() {
    let (setup, remote) = with(healthy());
    let (engine, pin) = (&remote.address, &remote.pin);
    let login = format!("try: `banyan login --engine {engine} --engine-ca-pin {pin}`\n");
    for call in [&["status"][..], &["user", "list"], &["whoami"], &["logout"]] {
        let run = remote.run(&setup, call);
        assert_eq!(
            (run.code, run.out.as_str()),
            (4, ""),
            "{call:?}: {}",
            run.err
        );
        let what = format!("error: you are not logged in at {engine}\n");
        assert!(
            run.err.contains(&what) && run.err.contains(&login),
            "{}",
            run.err
        );
    }
    assert!(remote.asked.lock().unwrap().people.is_empty());
}

#[test]
fn a_token_goes_to_no_engine_with_another_pin() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    let other = format!("sha256:{}", "0".repeat(64));
    let named = [
        "whoami",
        "--engine",
        &remote.address,
        "--engine-ca-pin",
        &other,
    ];
    let err = setup.run(&named).ended(4);
    assert!(err.contains("you are not logged in at"), "{err}");
}

#[test]
fn over_the_socket_the_host_is_meant_and_no_login_is_used() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    // The scripted engine refuses a token there.
    let engine = Engine::start(&setup, healthy());
    let text = engine.run(&setup, &["whoami"]).done();
    assert!(
        text.starts_with("user        none: the host, over the engine's local socket\n"),
        "{text}"
    );
    let err = engine.run(&setup, &["login"]).ended(2);
    assert!(err.contains("needs no login"), "{err}");
    let err = engine.run(&setup, &["logout"]).ended(4);
    assert!(err.contains("you are logged in nowhere"), "{err}");
    let err = engine
        .run(&setup, &["change-password", "--password-stdin"])
        .ended(2);
    assert!(err.contains("banyan user enroll"), "{err}");
}

#[test]
fn whoami_says_who_where_and_how_long() {
    let mut script = healthy();
    script.sessions = vec![v1::Session {
        id: "s1".to_owned(),
        user: "alice".to_owned(),
        created: at("2026-01-02T03:04:05Z"),
        current: true,
        ..v1::Session::default()
    }];
    let (setup, remote) = with(script);
    remote.login(&setup);
    let text = remote.run(&setup, &["whoami"]).done();
    for line in [
        "email       alice@example.org\n",
        "roles       viewer\n",
        "permissions logs:read, status:read\n",
        "origin      users/alice.yaml:1\n",
        "session     s1, since 2026-01-02T03:04:05Z (",
        "token       expires 2",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let json = remote.run(&setup, &["whoami", "-o", "json"]).json();
    assert_eq!(
        (&json["kind"], &json["name"]),
        (&json!("user"), &json!("alice"))
    );
    assert_eq!(json["id"], "0".repeat(32));
    assert_eq!(json["session"]["id"], "s1");
    assert_eq!(json["engine"], remote.address);
}

#[test]
fn what_one_may_do_is_answered_and_is_the_exit_code() {
    let mut script = healthy();
    script.may = vec!["logs:read".to_owned()];
    let (setup, remote) = with(script);
    remote.login(&setup);
    assert_eq!(
        remote.run(&setup, &["can-i", "logs:read"]).done(),
        "yes, by role viewer\n"
    );
    let run = remote.run(&setup, &["can-i", "users:write"]);
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (5, "no\n", "")
    );
    let run = remote.run(&setup, &["can-i", "users:write", "-o", "json"]);
    assert_eq!(run.code, 5);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        json,
        json!({"permission": "users:write", "allowed": false, "byRoles": []})
    );
    remote.run(&setup, &["can-i", "Users"]).ended(2);
}

#[test]
fn ones_password_is_changed_with_two_lines() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    let change = ["change-password", "--password-stdin"];
    let run = remote.run_with(&setup, &change, "old one\nnew one of twelve\n");
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.err.contains("your 2 other sessions have ended"),
        "{}",
        run.err
    );
    assert_eq!(
        remote.asked.lock().unwrap().people[1],
        "password old one new one of twelve"
    );
    let err = remote.run_with(&setup, &change, "old one\n").ended(1);
    assert!(err.contains("line 2 of 2 is empty or missing"), "{err}");
}

#[test]
fn where_nobody_can_be_asked_the_flag_is_named() {
    let (setup, remote) = with(healthy());
    for (args, flag) in [
        (&["login"][..], "`--username`"),
        (&["login", "--username", "alice"], "`--password-stdin`"),
        (&["login", "--enroll", "--username", "alice"], "`--code`"),
        (
            &["login", "--enroll", "--username", "alice", "--code", "x"],
            "`--password-stdin`",
        ),
    ] {
        let err = remote.run(&setup, args).ended(2);
        assert!(
            err.contains("there is no terminal") && err.contains(flag),
            "{err}"
        );
    }
    remote.login(&setup);
    let err = remote.run(&setup, &["change-password"]).ended(2);
    assert!(err.contains("`--password-stdin`"), "{err}");
}

#[test]
fn a_password_on_the_command_line_is_warned_of_and_never_repeated() {
    let (setup, remote) = with(healthy());
    let login = [
        "login",
        "--username",
        "alice",
        "--password",
        "correct horse battery",
    ];
    let err = remote.run(&setup, &login).ended(0);
    assert!(err.contains("other users of this host can see"), "{err}");
    assert!(!err.contains("correct horse"), "{err}");
}

#[test]
fn a_wrong_password_and_too_many_of_them_have_their_words_and_codes() {
    for (denial, code, said) in [
        (
            Denial::BadCredentials,
            4,
            "wrong user name, password or code",
        ),
        (
            Denial::TooMany {
                wait: Duration::from_secs(7),
            },
            1,
            "try again in 7 s",
        ),
        (Denial::Busy, 1, "too many logins"),
    ] {
        let mut script = healthy();
        script.deny = Some(denial);
        let (setup, remote) = with(script);
        let login = ["login", "--username", "alice", "--password-stdin"];
        let run = remote.run_with(&setup, &login, "wrong\n");
        assert_eq!((run.code, run.out.as_str()), (code, ""), "{}", run.err);
        assert!(
            run.err.contains("cannot log in as alice") && run.err.contains(said),
            "{}",
            run.err
        );
        assert!(!setup.path("home/.config/banyan/credentials.json").exists());
    }
}

#[test]
fn a_lacking_permission_is_named() {
    let mut script = healthy();
    script.deny = Some(Denial::lacks("users:write"));
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    let err = engine.run(&setup, &["user", "disable", "bob"]).ended(5);
    assert_eq!(
        err,
        "error: cannot disable user bob\n  because: the permission users:write is required\n  \
         try: `banyan whoami` shows your permissions; ask an admin for more\n"
    );
}

#[test]
fn an_engine_that_is_cut_off_is_not_out_of_reach() {
    let mut script = healthy();
    script.deny = Some(Denial::CutOff);
    let setup = Setup::new();
    let engine = Engine::start(&setup, script);
    let err = engine.run(&setup, &["user", "list"]).ended(1);
    assert!(err.contains("lost its store too long ago"), "{err}");
}

#[test]
fn an_access_token_that_is_refused_as_expired_is_renewed_and_the_call_made_again() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    remote.issued().expired = true;
    assert!(remote.run(&setup, &["whoami"]).done().contains("alice"));
    assert_eq!(remote.issued().refreshes, 1);
    remote.run(&setup, &["whoami"]).done();
    assert_eq!(remote.issued().refreshes, 1, "the new one is kept");
}

#[test]
fn an_access_token_that_is_over_by_its_date_is_renewed_before_it_is_sent() {
    let (setup, remote) = with(healthy());
    remote.issued().lives = -1;
    remote.login(&setup);
    remote.issued().lives = 0;
    remote.run(&setup, &["whoami"]).done();
    assert_eq!(remote.issued().refreshes, 1);
    assert_eq!(remote.asked.lock().unwrap().people.len(), 2);
}

#[test]
fn of_many_commands_that_find_it_expired_one_renews_it_and_all_work() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    remote.issued().expired = true;
    let start = |_| {
        let mut command = setup.command();
        command.arg("whoami").args(remote.named());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..12).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("alice"));
    }
    assert_eq!(remote.issued().refreshes, 1);
    assert!(!remote.issued().ended);
}

#[test]
fn a_login_that_was_made_anew_meanwhile_is_taken() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    let kept = setup.path("home/.config/banyan/credentials.json");
    for ended in [true, false] {
        let kept = kept.clone();
        let mut issued = remote.issued();
        (issued.ended, issued.expired) = (ended, !ended);
        issued.meanwhile = Some(Box::new(move |issued| {
            let (before, after) = (issued.number, issued.number + 1);
            let text = std::fs::read_to_string(&kept).unwrap();
            let text = text.replace(&format!("access-{before}"), &format!("access-{after}"));
            std::fs::write(&kept, text).unwrap();
            (issued.number, issued.ended, issued.expired) = (after, false, false);
        }));
        drop(issued);
        remote.run(&setup, &["whoami"]).done();
    }
    assert_eq!(remote.issued().refreshes, 0);
}

#[test]
fn what_was_begun_as_one_user_is_not_ended_as_another() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    let kept = setup.path("home/.config/banyan/credentials.json");
    remote.issued().expired = true;
    remote.issued().meanwhile = Some(Box::new(move |issued| {
        let text = std::fs::read_to_string(&kept).unwrap();
        let text = text.replace("access-1", "access-2").replace("alice", "bob");
        std::fs::write(&kept, text).unwrap();
        (issued.number, issued.expired) = (2, false);
    }));
    let err = remote.run(&setup, &["user", "lock", "carol"]).ended(4);
    assert!(err.contains("bob has logged in here meanwhile"), "{err}");
    assert_eq!(remote.asked.lock().unwrap().people.len(), 1, "the login");
}

#[test]
fn a_session_that_has_ended_says_to_log_in_and_deletes_nothing() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    for expired in [false, true] {
        {
            let mut issued = remote.issued();
            (issued.ended, issued.expired) = (true, expired);
        }
        let err = remote.run(&setup, &["whoami"]).ended(4);
        assert!(err.contains("the session has ended"), "{err}");
        assert!(err.contains("run `banyan login`"), "{err}");
        assert!(setup.path("home/.config/banyan/credentials.json").exists());
    }
    remote.login(&setup);
    remote.run(&setup, &["whoami"]).done();
}

#[test]
fn a_refresh_token_that_is_refused_says_to_log_in() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    {
        let mut issued = remote.issued();
        issued.expired = true;
        issued.number += 1;
    }
    let err = remote.run(&setup, &["whoami"]).ended(4);
    assert!(
        err.starts_with("error: cannot renew the login of alice at 127.0.0.1:"),
        "{err}"
    );
    assert!(err.contains("run `banyan login`"), "{err}");
    assert!(!err.contains("refresh-"), "{err}");
}

#[test]
fn an_engine_out_of_reach_has_its_exit_code_whatever_the_login() {
    let (setup, remote) = with(healthy());
    remote.issued().lives = -1;
    remote.login(&setup);
    // The same login, of an engine that is gone.
    let kept = setup.path("home/.config/banyan/credentials.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replace(&remote.address, "127.0.0.1:1")).unwrap();
    let err = plain(&setup, &["whoami"]).ended(6);
    assert!(err.contains("no engine answers at 127.0.0.1:1"), "{err}");
}

#[test]
fn logging_out_ends_the_session_and_deletes_the_file() {
    let (setup, remote) = with(healthy());
    remote.login(&setup);
    let run = plain(&setup, &["logout"]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    assert!(remote.issued().ended);
    assert!(!setup.path("home/.config/banyan/credentials.json").exists());
    remote.run(&setup, &["logout"]).ended(4);
}

#[test]
fn logging_out_where_the_session_is_over_or_the_engine_gone_deletes_the_file_too() {
    let (setup, remote) = with(healthy());
    let kept = setup.path("home/.config/banyan/credentials.json");
    remote.login(&setup);
    remote.issued().ended = true;
    let err = plain(&setup, &["logout"]).ended(0);
    assert!(err.contains("had ended there before"), "{err}");
    assert!(!kept.exists());
    remote.login(&setup);
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replace(&remote.address, "127.0.0.1:1")).unwrap();
    let err = plain(&setup, &["logout"]).ended(1);
    assert!(
        err.contains("no engine answers") && err.contains("deleted here"),
        "{err}"
    );
    assert!(!kept.exists());
}
