//! `banyan seal`.

use crate::setup::{KEY, Setup, age_decrypt};

const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde";

#[test]
fn what_is_sealed_opens_with_the_real_age() {
    let setup = Setup::with_repo();
    setup.write("hash", &format!("  {HASH}\n"));
    let machine = [
        "seal", "--kind", "machine", "--name", "w1", "--repo", "acorn",
    ];
    let user = [
        "seal",
        "--kind",
        "user",
        "--name",
        "ada",
        "--repo",
        "acorn",
        "--value-file",
        "hash",
    ];
    for (args, input, kind, value) in [
        (
            &machine[..],
            KEY,
            "kind: Machine\nname: w1\nfield: publicKey\n",
            KEY,
        ),
        (
            &user[..],
            "",
            "kind: User\nname: ada\nfield: passwordHash\n",
            HASH,
        ),
    ] {
        let armored = setup.run_with(args, input).done();
        assert!(
            armored.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"),
            "{armored}"
        );
        let plain = age_decrypt(&setup.identity(), &armored);
        assert!(
            plain.starts_with(&format!("banyan-sealed/v1\n{kind}recipients: ")),
            "{plain}"
        );
        assert!(plain.ends_with(&format!("\nvalue: {value}\n")), "{plain}");
    }
}

#[test]
fn the_lines_for_a_manifest_fit_into_one() {
    let setup = Setup::with_repo();
    let args = [
        "seal",
        "--kind",
        "machine",
        "--name",
        "w1",
        "--repo",
        "acorn",
        "--manifest",
    ];
    let lines = setup.run_with(&args, KEY).done();
    assert!(
        lines.starts_with("  publicKey:\n    sealed: |\n      -----BEGIN AGE"),
        "{lines}"
    );
    let head = "apiVersion: banyan/v1\nkind: Machine\nmetadata: {name: w1}\nspec:\n  type: agent\n";
    setup.write("acorn/w1.yaml", &format!("{head}{lines}"));
    let identity = setup.identity();
    let identity = identity.to_str().unwrap();
    setup
        .run(&[
            "validate",
            "acorn",
            "--require-unseal",
            "--identity",
            identity,
        ])
        .done();
}

#[test]
fn a_value_that_could_not_be_used_is_refused_and_not_repeated() {
    let setup = Setup::with_repo();
    for (kind, value, why) in [
        ("machine", "hunter2hunter2", "not base64"),
        (
            "machine",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "all zero",
        ),
        ("user", "hunter2hunter2", "not a bcrypt hash"),
        ("user", "", "it is empty"),
    ] {
        let args = ["seal", "--kind", kind, "--name", "x", "--repo", "acorn"];
        let run = setup.run_with(&args, value);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
        assert!(run.err.contains(why), "{}", run.err);
        assert!(!run.err.contains("hunter2"), "{}", run.err);
    }
}

#[test]
fn other_recipients_can_be_named_and_fields_must_fit() {
    let setup = Setup::with_repo();
    let identity = std::fs::read_to_string(setup.identity()).unwrap();
    let recipient = identity
        .lines()
        .find_map(|l| l.strip_prefix("# public key: "))
        .unwrap();
    let args = [
        "seal",
        "--kind",
        "machine",
        "--name",
        "w1",
        "--repo",
        "/nonexistent",
        "--recipient",
    ];
    let armored = setup
        .run_with(&[&args[..], &[recipient]].concat(), KEY)
        .done();
    assert!(age_decrypt(&setup.identity(), &armored).contains(KEY));
    let args = [
        "seal",
        "--kind",
        "machine",
        "--name",
        "w1",
        "--field",
        "passwordHash",
    ];
    assert!(
        setup
            .run(&args)
            .ended(2)
            .contains("a machine has no field passwordHash")
    );
    let args = ["seal", "--kind", "machine", "--name", "w1", "--value", "x"];
    assert!(setup.run(&args).ended(2).contains("unexpected argument"));
}
