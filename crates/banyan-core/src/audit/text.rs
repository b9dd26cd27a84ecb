//! Text from untrusted sources, made safe to store and display.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text of at most `MAX` characters, none of which affects how a terminal or log displays it. Longer text is cut and
/// ends in `…`; control characters, and those that hide or reorder what follows, are escaped as `\u{202e}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Text<const MAX: usize = 128>(Box<str>);

impl<const MAX: usize> Text<MAX> {
    /// Bounds and escapes a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut safe = String::with_capacity(text.len().min(MAX));
        let mut room = MAX;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let escaped = Escaped(c).to_string();
            // The last character is reserved for `…` until it is clear that nothing is cut.
            let needed = escaped.chars().count() + usize::from(rest.peek().is_some());
            if needed > room {
                safe.push('…');
                break;
            }
            room -= needed - usize::from(rest.peek().is_some());
            safe.push_str(&escaped);
        }
        Self(safe.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

struct Escaped(char);

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if misleads(self.0) {
            write!(f, "{}", self.0.escape_unicode())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Whether a character is invisible or affects its surroundings: controls, line and paragraph separators, bidirectional
/// marks, zero-width characters.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl<const MAX: usize> From<String> for Text<MAX> {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl<const MAX: usize> From<&str> for Text<MAX> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0.into()
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
