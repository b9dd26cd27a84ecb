//! With the stock `age` tool, both ways.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use banyan_core::{Kind, Recipient, SecretText};

use super::KEY;
use crate::{Identities, OpenError, PUBLIC_KEY, Payload, open, parse_recipient, seal};

fn run(program: &str, args: &[&str], input: &str) -> String {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("cannot run {program} ({error}); install it: apt-get install age openssh-client")
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn payload(recipients: &BTreeSet<Recipient>) -> Payload {
    let value = SecretText::new(KEY.to_owned());
    Payload::new(
        Kind::Machine,
        "m".parse().unwrap(),
        PUBLIC_KEY,
        value,
        recipients,
    )
}

/// The tool opens what we seal, and we open what it seals, with the identity in this file.
fn both_ways(identity: &Path, recipient: &str) {
    let recipients = BTreeSet::from([parse_recipient(recipient).unwrap()]);
    let payload = payload(&recipients);
    let identity_path = identity.to_str().unwrap();
    let sealed = seal(&payload, &recipients).unwrap();
    let opened = run("age", &["--decrypt", "-i", identity_path], &sealed);
    assert_eq!(opened, payload.to_text().expose());

    let identities = Identities::from_text(&std::fs::read_to_string(identity).unwrap()).unwrap();
    assert_eq!(identities.recipients(), &recipients);
    let armored = run(
        "age",
        &["--armor", "-r", recipient],
        payload.to_text().expose(),
    );
    assert_eq!(open(&armored, &identities).unwrap(), payload);
    let stranger = Identities::generate().0;
    assert_eq!(open(&armored, &stranger), Err(OpenError::NotRecipient));
}

#[test]
fn x25519() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("key.txt");
    run("age-keygen", &["-o", identity.to_str().unwrap()], "");
    let recipient = run("age-keygen", &["-y", identity.to_str().unwrap()], "");
    both_ways(&identity, recipient.trim());
}

#[test]
fn an_identity_made_here() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("key.txt");
    let (_, text, recipient) = Identities::generate();
    std::fs::write(&identity, format!("# a comment\n{}\n", text.expose())).unwrap();
    both_ways(&identity, &recipient.0);
}

fn ssh_key(path: &Path, kind: &str, passphrase: &str) {
    let path = path.to_str().unwrap();
    run(
        "ssh-keygen",
        &[
            "-q", "-t", kind, "-N", passphrase, "-C", "me@here", "-f", path,
        ],
        "",
    );
}

#[test]
fn ssh_ed25519() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("id");
    ssh_key(&identity, "ed25519", "");
    let public = std::fs::read_to_string(folder.path().join("id.pub")).unwrap();
    both_ways(&identity, public.trim());
}

#[test]
fn several_recipients_and_several_identities_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let ssh = folder.path().join("id");
    ssh_key(&ssh, "ed25519", "");
    let ssh_text = std::fs::read_to_string(&ssh).unwrap();
    let (_, text, recipient) = Identities::generate();
    let both = Identities::from_text(&format!("# two\n{ssh_text}\n{}", text.expose())).unwrap();
    let mut recipients = both.recipients().clone();
    assert_eq!(recipients.len(), 2);
    recipients.insert(Identities::generate().2);
    let sealed = seal(&payload(&recipients), &recipients).unwrap();
    for identity in [&ssh_text, text.expose()] {
        let alone = Identities::from_text(identity).unwrap();
        assert_eq!(open(&sealed, &alone).unwrap(), payload(&recipients));
    }
    assert!(recipients.contains(&recipient));
}

#[test]
fn keys_under_a_passphrase_and_of_other_types_are_refused() {
    use crate::IdentityError::{Passphrase, SshType};
    let folder = tempfile::tempdir().unwrap();
    for (kind, passphrase, expected) in [
        ("ed25519", "secret", Passphrase { line: 1 }),
        ("rsa", "", SshType { line: 1 }),
        ("ecdsa", "", SshType { line: 1 }),
    ] {
        let path = folder.path().join(format!("{kind}{passphrase}"));
        ssh_key(&path, kind, passphrase);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            Identities::from_text(&text).unwrap_err(),
            expected,
            "{kind}"
        );
        if kind != "ed25519" {
            let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
            let error = parse_recipient(&public).unwrap_err().to_string();
            assert!(error.contains("only ssh-ed25519"), "{error}");
        }
    }
}
