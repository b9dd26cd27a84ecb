//! Sealed values: made, opened, pasted elsewhere, damaged.

use std::collections::BTreeSet;

use banyan_core::{Kind, Recipient, Sealed, SecretText, recipients_digest};

use super::{KEY, Warm, identities, load_with, machine, recipients, repo, sealed, shown};
use crate::{
    Identities, IdentityError, OpenError, PASSWORD_HASH, PUBLIC_KEY, Payload, PayloadError,
    RecipientError, SealError, open, parse_recipient, seal,
};

const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";

/// What a loader with the identity says about one file.
fn say(text: &str) -> String {
    let repo = repo([("a.yaml", text)]);
    shown(&repo, &load_with(&mut Warm::new(Some(identities())), &repo))
}

fn user(armored: &str) -> String {
    let block = crate::scaffold::sealed_block(armored, 4);
    format!(
        "apiVersion: banyan/v1\nkind: User\nmetadata: {{name: u}}\nspec:\n  roles: []\n  passwordHash:\n{block}"
    )
}

#[test]
fn a_sealed_key_is_opened_with_its_digest_or_counted() {
    let file = repo([(
        "a.yaml",
        &machine("m", &sealed(Kind::Machine, "m", PUBLIC_KEY, KEY)),
    )]);
    let opened = load_with(&mut Warm::new(Some(identities())), &file);
    assert_eq!((opened.findings.len(), opened.closed), (0, 0));
    let expected = Sealed::Opened {
        value: KEY.parse().unwrap(),
        recipients: recipients_digest(&recipients()),
    };
    assert_eq!(
        opened.documents().machines[0].spec.public_key.value,
        expected
    );
    let closed = load_with(&mut Warm::new(None), &file);
    assert_eq!((closed.findings.len(), closed.closed), (0, 1));
    let key = &closed.documents().machines[0].spec.public_key.value;
    assert!(matches!(key, Sealed::Closed { .. }));
}

#[test]
fn a_sealed_password_hash_is_opened_and_a_weak_or_foreign_one_refused() {
    let text = user(&sealed(Kind::User, "u", PASSWORD_HASH, HASH));
    let loaded = load_with(
        &mut Warm::new(Some(identities())),
        &repo([("a.yaml", &text)]),
    );
    assert_eq!(loaded.findings, []);
    let hash = loaded.documents().users[0]
        .spec
        .password_hash
        .clone()
        .unwrap();
    assert_eq!(hash.value.value().unwrap().expose(), HASH);
    for bad in [
        "hunter2 is my password",
        &HASH.replace("$12$", "$09$"),
        &HASH.replace("$12$", "$15$"),
        &HASH.replace("$2b$", "$2x$"),
        &HASH[..59],
        &format!("{HASH}4"),
        &HASH.replace("ABC", "A!C"),
    ] {
        let said = say(&user(&sealed(Kind::User, "u", PASSWORD_HASH, bad)));
        assert!(said.contains("bad-password-hash"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("ABC"), "{said}");
    }
}

#[test]
fn a_ciphertext_pasted_elsewhere_is_refused() {
    let alice = sealed(Kind::Machine, "alice", PUBLIC_KEY, KEY);
    insta::assert_snapshot!(say(&machine("mallory", &alice)), @"
    error[sealed-for-other]: sealed for machine `alice`, but this is machine `mallory`
     --> a.yaml:8:7
      |
    8 |       -----BEGIN AGE ENCRYPTED FILE-----
      |       ^^^^^^^^^^
      = help: a sealed value cannot be moved: seal it again with `banyan seal`

    1 file, 0 documents: 1 error, 0 warnings
    ");
    insta::assert_snapshot!(say(&user(&sealed(Kind::Machine, "u", PUBLIC_KEY, KEY))), @"
    error[sealed-for-other]: sealed for machine `u`, but this is user `u`
     --> a.yaml:8:7
      |
    8 |       -----BEGIN AGE ENCRYPTED FILE-----
      |       ^^^^^^^^^^
      = help: a sealed value cannot be moved: seal it again with `banyan seal`

    1 file, 0 documents: 1 error, 0 warnings
    ");
    insta::assert_snapshot!(say(&machine("m", &sealed(Kind::Machine, "m", "endpoint", KEY))), @"
    error[sealed-for-other]: sealed for `endpoint`, but this is `publicKey`
     --> a.yaml:8:7
      |
    8 |       -----BEGIN AGE ENCRYPTED FILE-----
      |       ^^^^^^^^^^
      = help: a sealed value cannot be moved: seal it again with `banyan seal`

    1 file, 0 documents: 1 error, 0 warnings
    ");
}

#[test]
fn a_bad_key_that_was_sealed_is_not_printed() {
    let said = say(&machine(
        "m",
        &sealed(Kind::Machine, "m", PUBLIC_KEY, "TOPSECRETTOPSECRET"),
    ));
    assert!(
        said.contains("the sealed key is unusable") && !said.contains("TOPSECRET"),
        "{said}"
    );
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    insta::assert_snapshot!(say(&machine("m", &sealed(Kind::Machine, "m", PUBLIC_KEY, zero))), @"
    error[bad-key]: the sealed key is unusable: the key is all zero
     --> a.yaml:8:7
      |
    8 |       -----BEGIN AGE ENCRYPTED FILE-----
      |       ^^^^^^^^^^
      = help: use the line that `wg pubkey` prints

    1 file, 0 documents: 1 error, 0 warnings
    ");
}

#[test]
fn what_cannot_be_opened_says_why_at_its_place() {
    let (_, _, stranger) = Identities::generate();
    let strangers = BTreeSet::from([stranger]);
    let value = SecretText::new(KEY.to_owned());
    let payload = Payload::new(
        Kind::Machine,
        "m".parse().unwrap(),
        PUBLIC_KEY,
        value,
        &strangers,
    );
    insta::assert_snapshot!(say(&machine("m", &seal(&payload, &strangers).unwrap())), @"
    error[cannot-unseal]: cannot unseal: it is not sealed for this identity
     --> a.yaml:8:7
      |
    8 |       -----BEGIN AGE ENCRYPTED FILE-----
      |       ^^^^^^^^^^
      = help: use the identity of one of the Cluster's recipients, or seal it again for all of them with `banyan seal`

    1 file, 0 documents: 1 error, 0 warnings
    ");

    let good = sealed(Kind::Machine, "m", PUBLIC_KEY, KEY);
    let mut lines: Vec<&str> = good.trim().lines().collect();
    lines.remove(lines.len() - 2);
    let cut = lines.join("\n");
    insta::assert_snapshot!(say(&machine("m", &cut)), @"
    error[cannot-unseal]: cannot unseal: it is damaged or truncated
     --> a.yaml:8:7
      |
    8 |       -----BEGIN AGE ENCRYPTED FILE-----
      |       ^^^^^^^^^^
      = help: seal the value again with `banyan seal`

    1 file, 0 documents: 1 error, 0 warnings
    ");
    insta::assert_snapshot!(say(&machine("m", "hello")), @"
    error[cannot-unseal]: `sealed` is unusable: not an armored age file, which starts with `-----BEGIN AGE ENCRYPTED FILE-----`
     --> a.yaml:8:7
      |
    8 |       hello
      |       ^^^^^
      = help: create one with `banyan seal`

    1 file, 0 documents: 1 error, 0 warnings
    ");
}

#[test]
fn faults_beside_a_sealed_value_do_not_hide_its_own() {
    let text =
        machine("m", &sealed(Kind::Machine, "other", PUBLIC_KEY, KEY)).replace("agent", "agnt");
    let said = say(&text);
    assert!(
        said.contains("bad-value") && said.contains("sealed-for-other"),
        "{said}"
    );
}

#[test]
fn any_single_damaged_character_is_noticed() {
    let good = sealed(Kind::Machine, "m", PUBLIC_KEY, KEY);
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let opened = open(&text, &identities());
        assert!(opened.is_err(), "byte {at}");
    }
}

#[test]
fn the_payload_is_six_exact_lines() {
    let digest = recipients_digest(&recipients()).to_string();
    let good = format!(
        "banyan-sealed/v1\nkind: Machine\nname: m\nfield: publicKey\nrecipients: {digest}\nvalue: a: b \n"
    );
    let payload = Payload::parse(good.as_bytes()).unwrap();
    assert_eq!(payload.value.expose(), "a: b ");
    assert_eq!(payload.to_text().expose(), good);
    assert_eq!(
        Payload::parse(good.trim_end_matches('\n').as_bytes()),
        Ok(payload)
    );
    let line = |line, expected| Err(PayloadError::Line { line, expected });
    for (bad, expected) in [
        (
            good.replace("sealed/v1", "sealed/v2"),
            Err(PayloadError::Version),
        ),
        (String::new(), Err(PayloadError::NotBanyan)),
        (format!("\n{good}"), Err(PayloadError::NotBanyan)),
        (good.replace("Machine", "machine"), line(2, "kind")),
        (good.replace("name: m", "name: M"), line(3, "name")),
        (good.replace("name:", "nam:"), line(3, "name")),
        (good.replace("publicKey", "public key"), line(4, "field")),
        (
            good.replace(&digest, &digest.to_uppercase()),
            line(5, "recipients"),
        ),
        (good.replace(&digest, &digest[1..]), line(5, "recipients")),
        (good.replace("value: ", "value:"), line(6, "value")),
        (format!("{good}\n"), Err(PayloadError::Trailing)),
        (format!("{good}value: x"), Err(PayloadError::Trailing)),
        (good.replace('\n', "\r\n"), Err(PayloadError::Version)),
        ("x".repeat(5_000), Err(PayloadError::TooLong)),
    ] {
        assert_eq!(Payload::parse(bad.as_bytes()), expected, "{bad:?}");
    }
    assert_eq!(Payload::parse(b"\xff"), Err(PayloadError::NotText));
}

#[test]
fn what_could_not_be_read_back_is_not_sealed() {
    let name = || "m".parse().unwrap();
    let value = SecretText::new("two\nlines".to_owned());
    let payload = Payload::new(Kind::Machine, name(), PUBLIC_KEY, value, &recipients());
    assert!(matches!(
        seal(&payload, &recipients()),
        Err(SealError::Payload(_))
    ));
    let value = SecretText::new(KEY.to_owned());
    let payload = Payload::new(Kind::Machine, name(), PUBLIC_KEY, value, &recipients());
    assert!(matches!(
        seal(&payload, &BTreeSet::new()),
        Err(SealError::NoRecipients)
    ));
    let other = BTreeSet::from([Identities::generate().2]);
    assert!(matches!(
        seal(&payload, &other),
        Err(SealError::OtherRecipients)
    ));
    let nonsense = BTreeSet::from([Recipient("age1nonsense".to_owned())]);
    let value = SecretText::new(KEY.to_owned());
    let payload = Payload::new(Kind::Machine, name(), PUBLIC_KEY, value, &nonsense);
    assert!(matches!(
        seal(&payload, &nonsense),
        Err(SealError::Recipient { .. })
    ));
}

#[test]
fn recipients_are_read_and_others_refused_with_the_reason() {
    let age = super::secret().1.to_string();
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICEaopw9+uEoltljAV4Z2N1osjxPovBh7Rmguc4+Oo0w";
    assert_eq!(parse_recipient(&format!(" {age}\n")).unwrap().0, age);
    assert_eq!(
        parse_recipient(&format!("{ssh} alice@laptop")).unwrap().0,
        ssh
    );
    let (mistyped, end) = age.split_at(age.len() - 1);
    let mistyped = format!("{mistyped}{}", if end == "q" { 'p' } else { 'q' });
    for (bad, expected) in [
        (mistyped.as_str(), RecipientError::Age),
        ("age1", RecipientError::Age),
        ("age1yubikey1qwertyuiopasdfghjkl", RecipientError::Plugin),
        ("AGE-SECRET-KEY-1QQQ", RecipientError::Secret),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            RecipientError::Secret,
        ),
        ("ssh-ed25519", RecipientError::Ssh),
        (&ssh[..60], RecipientError::Ssh),
        (
            "ssh-rsa AAAA",
            RecipientError::SshType("ssh-rsa".to_owned()),
        ),
        (
            "sk-ssh-ed25519@openssh.com AAAA",
            RecipientError::SshType("sk-ssh-ed25519@openssh.com".to_owned()),
        ),
        ("alice", RecipientError::Unknown),
        ("", RecipientError::Unknown),
    ] {
        assert_eq!(parse_recipient(bad), Err(expected), "{bad}");
    }
}

#[test]
fn identity_files_are_read_and_others_refused_without_repeating_them() {
    let text = format!(
        "# created: today\n# public key: x\n\n  {}\n",
        super::secret().0.expose()
    );
    assert_eq!(
        Identities::from_text(&text).unwrap().recipients(),
        &recipients()
    );
    for (bad, expected) in [
        ("# nothing\n", IdentityError::Empty),
        ("\nhunter2\n", IdentityError::Unknown { line: 2 }),
        ("AGE-PLUGIN-YUBIKEY-1QQQ", IdentityError::Plugin { line: 1 }),
        ("AGE-SECRET-KEY-PQ-1QQQ", IdentityError::Plugin { line: 1 }),
        (
            "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA",
            IdentityError::Passphrase { line: 1 },
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----",
            IdentityError::SshType { line: 1 },
        ),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA",
            IdentityError::Ssh { line: 1 },
        ),
    ] {
        let error = Identities::from_text(bad).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("hunter2"));
    }
    let secret = super::secret().0.expose();
    assert!(!format!("{:?}", identities()).contains(secret));
}

#[test]
fn a_sealed_value_with_too_many_recipients_is_refused_before_any_key_is_tried() {
    let mut header = b"age-encryption.org/v1\n".to_vec();
    for _ in 0..=crate::MAX_RECIPIENTS {
        header.extend(b"-> X25519 AAAA\nAAAA\n");
    }
    header.extend(b"--- AAAA\n");
    use std::io::Write as _;
    let mut armor =
        age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).unwrap();
    armor.write_all(&header).unwrap();
    let text = String::from_utf8(armor.finish().unwrap()).unwrap();
    assert_eq!(
        open(&text, &identities()),
        Err(OpenError::TooManyRecipients)
    );
}
