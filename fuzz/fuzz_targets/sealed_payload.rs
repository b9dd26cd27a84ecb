//! Any bytes as the plaintext of a sealed value, as an armored age file, as a recipient and as an identity file: nothing
//! panics, and a payload that is read is written back as it was.
//!
//! Start it with the seeds: `cargo +nightly fuzz run sealed_payload fuzz/corpus/sealed_payload fuzz/seeds/sealed_payload`.
#![no_main]

use std::sync::LazyLock;

use banyan_manifest::{Identities, Payload, open, parse_recipient};
use libfuzzer_sys::fuzz_target;

static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| Identities::generate().0);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = Payload::parse(bytes) {
        let text = payload.to_text();
        let text = text.expose().as_bytes();
        assert_eq!(text.strip_suffix(b"\n"), Some(bytes.strip_suffix(b"\n").unwrap_or(bytes)));
        assert_eq!(Payload::parse(text), Ok(payload));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    assert!(open(text, &IDENTITIES).is_err(), "opened without its identity");
    let _ = parse_recipient(text);
    let _ = Identities::from_text(text);
});
