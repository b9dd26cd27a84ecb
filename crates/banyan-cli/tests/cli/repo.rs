//! `banyan repo init`, `add-user`, `add-machine`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::setup::{KEY, OTHER_KEY, Setup, age_decrypt};

#[test]
fn a_new_repo_with_a_user_and_a_machine_has_no_finding() {
    let setup = Setup::new();
    let run = setup.run(&["repo", "init", "acorn", "--name", "acorn", "--admin", "ada"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(
        run.out,
        "acorn/cluster.yaml\nacorn/users/ada.yaml\nacorn/.banyanignore\nacorn/README.md\n"
    );
    assert!(run.err.contains("git -C acorn add --all"), "{}", run.err);
    let user = setup.run(&[
        "repo", "add-user", "alice", "--role", "deployer", "--repo", "acorn",
    ]);
    assert_eq!(user.out, "acorn/users/alice.yaml\n");
    assert!(
        user.err
            .contains("git -C acorn commit -m 'users: add alice'"),
        "{}",
        user.err
    );
    let route = [
        "--route",
        "192.168.7.0/24",
        "--endpoint",
        "vpn.example.org:51820",
    ];
    let machine = [
        "repo",
        "add-machine",
        "w1",
        "--public-key",
        KEY,
        "--repo",
        "acorn",
    ];
    let machine = setup.run(&[&machine[..], &route].concat());
    assert_eq!(machine.out, "acorn/machines/w1.yaml\n");
    let identity = setup.identity();
    let identity = identity.to_str().unwrap();
    for output in ["text", "json"] {
        let flags = [
            "--require-unseal",
            "--identity",
            identity,
            "--output",
            output,
        ];
        let out = setup
            .run(&[&["validate", "acorn"], &flags[..]].concat())
            .done();
        match output {
            "text" => assert_eq!(out, "4 files, 4 documents: 0 errors, 0 warnings\n"),
            _ => assert!(out.contains("\"findings\": []"), "{out}"),
        }
    }
    assert_eq!(
        setup.git("acorn", &["symbolic-ref", "--short", "HEAD"]),
        "main"
    );
}

#[test]
fn a_new_identity_is_for_its_owner_only_and_never_printed() {
    let setup = Setup::new();
    let run = setup.run(&["repo", "init", "acorn", "--name", "acorn"]);
    let path = setup.identity();
    assert!(run.err.contains(path.to_str().unwrap()), "{}", run.err);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\nAGE-SECRET-KEY-1"), "an identity file");
    let recipient = text
        .lines()
        .find_map(|l| l.strip_prefix("# public key: "))
        .unwrap();
    let written = setup.read("acorn/cluster.yaml");
    assert!(written.contains(recipient), "{written}");
    for text in [&run.out, &run.err, &written] {
        assert!(!text.contains("AGE-SECRET-KEY"));
    }
    assert!(!setup.path("acorn/identities").exists());
}

#[test]
fn an_identity_that_is_there_is_not_overwritten() {
    let setup = Setup::with_repo();
    let before = fs::read_to_string(setup.identity()).unwrap();
    let err = setup
        .run(&["repo", "init", "other", "--name", "acorn"])
        .ended(1);
    assert!(err.contains("try: to use it"), "{err}");
    assert_eq!(fs::read_to_string(setup.identity()).unwrap(), before);
    assert!(!setup.path("other").exists());
}

#[test]
fn given_recipients_are_used_and_no_identity_is_made() {
    let setup = Setup::new();
    let age = "age1hvafkevr3mxpn9q7842dmnstcz9ksu3s46ep7naxtk2jmj2qlp8susq83v";
    let ssh =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINAem2j7FpnKvZpjuhKbRNOestJU8tDKQw802pwaaUDB ada@desk";
    let init = [
        "repo",
        "init",
        "acorn",
        "--name",
        "acorn",
        "--recipient",
        age,
        "--recipient",
        ssh,
    ];
    setup.run(&init).done();
    let cluster = setup.read("acorn/cluster.yaml");
    assert!(
        cluster.contains(age) && cluster.contains("# ada@desk"),
        "{cluster}"
    );
    assert!(!setup.identity().exists());
    setup.run(&["validate", "acorn"]).done();
    let bad = setup.run(&[
        "repo",
        "init",
        "x",
        "--name",
        "x",
        "--recipient",
        "AGE-SECRET-KEY-1QQ",
    ]);
    assert!(bad.ended(2).contains("SECRET key"));
}

#[test]
fn a_repo_is_not_made_over_another_one() {
    let setup = Setup::with_repo();
    let before = setup.read("acorn/cluster.yaml");
    let err = setup
        .run(&["repo", "init", "acorn", "--name", "oak"])
        .ended(1);
    assert!(
        err.starts_with("error: acorn/cluster.yaml exists already\n"),
        "{err}"
    );
    assert_eq!(setup.read("acorn/cluster.yaml"), before);
}

#[test]
fn a_repo_can_be_made_where_there_is_no_git() {
    let setup = Setup::new();
    let mut command = setup.command();
    command.env("PATH", setup.path("home"));
    command.args(["repo", "init", "acorn", "--name", "acorn"]);
    let run = crate::setup::run(&mut command, "");
    assert_eq!(run.code, 0);
    assert!(
        run.err
            .contains("\n  GIT_DEFAULT_REF_FORMAT=files git init -b main acorn\n"),
        "{}",
        run.err
    );
    assert!(!setup.path("acorn/.git").exists());
}

#[test]
fn a_name_that_exists_is_refused_with_its_place() {
    let setup = Setup::with_repo();
    let add = ["repo", "add-user", "admin", "--repo", "acorn"];
    let err = setup.run(&add).ended(1);
    assert!(
        err.contains("user admin is already declared at users/admin.yaml:1"),
        "{err}"
    );
    let add = [
        "repo",
        "add-machine",
        "w1",
        "--repo",
        "acorn",
        "--public-key",
        KEY,
    ];
    setup.run(&add).done();
    assert!(
        setup
            .run(&add)
            .ended(1)
            .contains("machine w1 is already declared at")
    );
}

#[test]
fn what_would_be_an_error_is_not_written() {
    let setup = Setup::with_repo();
    let user = |more: &[&str]| {
        let run = setup.run(&[&["repo", "add-user", "bob", "--repo", "acorn"], more].concat());
        run.ended(1)
    };
    assert!(user(&["--role", "nope"]).contains("because: there is no role nope"));
    assert!(user(&["--email", "nope"]).contains("`email` cannot be `nope`"));
    assert!(!setup.path("acorn/users/bob.yaml").exists());
    let machine = |key: &str, more: &[&str]| {
        let args = [
            "repo",
            "add-machine",
            "w2",
            "--repo",
            "acorn",
            "--public-key",
            key,
        ];
        setup.run(&[&args, more].concat()).ended(1)
    };
    let route = ["--route", "10.200.7.0/24"];
    assert!(machine(OTHER_KEY, &route).contains("10.200.7.0/24"));
    assert!(machine("AAAA", &[]).contains("a key has 32 bytes"));
    assert!(!setup.path("acorn/machines").exists());
}

#[test]
fn a_key_can_come_from_standard_input_and_age_opens_what_is_written() {
    let setup = Setup::with_repo();
    let add = [
        "repo",
        "add-machine",
        "w1",
        "--repo",
        "acorn",
        "--public-key",
        "-",
    ];
    setup.run_with(&add, &format!("{KEY}\n")).done();
    let document = setup.read("acorn/machines/w1.yaml");
    assert!(!document.contains(KEY), "{document}");
    let armored: Vec<&str> = document
        .lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .collect();
    let plain = age_decrypt(&setup.identity(), &armored.join("\n"));
    let lines: Vec<&str> = plain.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "banyan-sealed/v1",
            "kind: Machine",
            "name: w1",
            "field: publicKey"
        ]
    );
    assert_eq!(lines[5], format!("value: {KEY}"));
}

#[test]
fn a_folder_without_a_cluster_is_refused_with_what_to_do() {
    let setup = Setup::new();
    for add in [
        &["repo", "add-user", "a"][..],
        &["repo", "add-machine", "a", "--public-key", KEY],
    ] {
        let err = setup.run(add).ended(1);
        assert!(err.contains("no valid Cluster document"), "{err}");
        assert!(err.contains("banyan repo init"), "{err}");
    }
}
