//! Untrusted text and numbers, ready to print.

/// Text without characters that could move a terminal's cursor or change the direction of text.
#[must_use]
pub fn harmless(text: &str) -> String {
    let strange = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if strange(c) { '\u{fffd}' } else { c })
        .collect()
}

/// A number of bytes in its unit: `1.5 MiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = u128::from(number) * 10 / 1024;
    let mut unit = "KiB";
    for next in UNITS.into_iter().skip(1) {
        if tenths < 10240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_told_in_their_unit() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn control_characters_and_turned_writing_do_not_reach_the_screen() {
        assert_eq!(
            harmless("a\u{1b}[2J\u{202e}b\nc\t"),
            "a\u{fffd}[2J\u{fffd}b\nc\u{fffd}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_made_harmless_and_any_number_told(text in any::<String>(), number in any::<u64>()) {
            prop_assert!(!harmless(&text).replace('\n', "").contains(char::is_control));
            let _ = bytes(number);
        }
    }
}
