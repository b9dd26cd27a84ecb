//! Whatever comes in, nothing panics.

use proptest::prelude::*;

use super::{Warm, identities, load_with, machine, repo};
use crate::form::Form;
use crate::ignore::Ignore;
use crate::render::{Report, github, json, sarif, text};
use crate::{Identities, Payload, open, parse_recipient};

/// Text that looks like a document here and there.
fn almost() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "apiVersion: banyan/v1\n",
        "kind: ",
        "User\n",
        "Machine\n",
        "Cluster\n",
        "Role\n",
        "metadata:\n",
        "  name: a\n",
        "spec:\n",
        "  roles: ",
        "[",
        "]",
        "{",
        "}",
        "sealed: |\n",
        "plain: ",
        "- ",
        "? ",
        ": ",
        "&a ",
        "*a",
        "!!str ",
        "'",
        "\"",
        "\t",
        "\r\n",
        "---\n",
        "...\n",
        "#",
        "%YAML 1.2\n",
        "~",
        "1",
        "true",
        "\u{feff}",
        "\u{85}",
        "é",
        "|",
        ">",
        "<<: ",
        "\0",
        "  recipients:\n",
        "  guards: ",
        "    ",
        "maxRemoved: 5",
        ",",
        "expires: 2030-01-01T00:00:00Z",
    ]);
    prop::collection::vec(
        prop_oneof![4 => words.prop_map(str::to_owned), 1 => ".{0,4}"],
        0..40,
    )
    .prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn loading_and_rendering(bytes in prop_oneof![almost().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..200)]) {
        let mut repo = repo([]);
        repo.insert("a.yaml".to_owned(), bytes.clone());
        repo.insert(".banyanignore".to_owned(), bytes);
        let loaded = load_with(&mut Warm::new(None), &repo);
        let report = Report { findings: &loaded.findings, files: 1, documents: 1, not_checked: 0 };
        let of = |path: &str| Some(String::from_utf8_lossy(&repo[path]).into_owned());
        let _ = text(&report, &of, true);
        let _ = github(&report, "");
        serde_json::from_str::<serde_json::Value>(&json(&report)).unwrap();
        serde_json::from_str::<serde_json::Value>(&sarif(&report, "1", "")).unwrap();
    }

    #[test]
    fn places_lie_inside_the_file(source in almost()) {
        let repo = repo([("a.yaml", &source)]);
        let loaded = load_with(&mut Warm::new(None), &repo);
        let lines = source.split('\n').count();
        for finding in loaded.findings {
            let Some(pos) = finding.pos else { continue };
            // The end of a file may count as a line of its own; YAML has more line ends than '\n'.
            let lines = lines + source.matches(['\r', '\u{85}', '\u{2028}']).count() + 1;
            prop_assert!(pos.column >= 1 && (1..=lines).contains(&(pos.line as usize)), "{finding}");
        }
    }

    #[test]
    fn payloads(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "(banyan-sealed/v1\n|kind: (Machine|User|x)\n|name: [a-z]\n|field: [a-zA-Z]+\n|recipients: [0-9a-fé]{60,66}\n|value: .*\n){0,8}".prop_map(String::into_bytes),
    ]) {
        if let Ok(payload) = Payload::parse(&bytes) {
            let text = payload.to_text();
            prop_assert_eq!(Payload::parse(text.expose().as_bytes()), Ok(payload));
        }
    }

    #[test]
    fn armors_and_sealed_machines(middle in "[A-Za-z0-9+/=\n >.-]{0,200}") {
        let armored = format!("-----BEGIN AGE ENCRYPTED FILE-----\n{middle}\n-----END AGE ENCRYPTED FILE-----");
        prop_assert!(open(&armored, &identities()).is_err());
        load_with(&mut Warm::new(Some(identities())), &repo([("a.yaml", &machine("m", &armored))]));
    }

    #[test]
    fn ignore_files(patterns in "([a-c*!/#.\n?]|\\*\\*|.){0,60}", path in "[a-c./]{0,20}") {
        Ignore::from_bytes(patterns.as_bytes()).excludes(&path);
    }

    #[test]
    fn identities_and_recipients(text in prop_oneof![".*", "(AGE-SECRET-KEY-1|age1|ssh-ed25519 AAAA|-----BEGIN OPENSSH PRIVATE KEY-----\n)[A-Za-z0-9+/=\n]{0,100}"]) {
        let _ = Identities::from_text(&text);
        let _ = parse_recipient(&text);
    }

    #[test]
    fn forms(text in prop_oneof!["\\PC{0,30}", "[0-9TZ:.+é-]{0,35}", "[0-9a-f:./]{0,25}"]) {
        for form in [Form::Name, Form::Email, Form::Time, Form::Permission, Form::Recipient, Form::Range, Form::Route,
            Form::Address, Form::Endpoint, Form::MachineType, Form::Key, Form::Armor] {
            let _ = form.check(&text);
        }
    }
}
