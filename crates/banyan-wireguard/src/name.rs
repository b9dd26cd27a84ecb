//! Names of network interfaces, by Linux's rules.

use std::fmt;
use std::str::FromStr;

/// The longest interface name, in bytes (`IFNAMSIZ` less the closing NUL).
pub const MAX_INTERFACE_NAME_LEN: usize = 15;

/// An interface name that Linux accepts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(Box<str>);

/// Why a text is not an [`InterfaceName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceNameError {
    /// Empty.
    #[error("an interface name must not be empty")]
    Empty,
    /// Longer than [`MAX_INTERFACE_NAME_LEN`].
    #[error("an interface name has at most {MAX_INTERFACE_NAME_LEN} bytes, this one has {0}")]
    TooLong(usize),
    /// `.` or `..`, which name directories.
    #[error("an interface cannot be called \".\" or \"..\"")]
    Dots,
    /// A character that is not allowed by the kernel or in the path of a control socket.
    #[error("{0:?} is not allowed in an interface name: use letters, digits, '-', '_' and '.'")]
    Character(char),
}

impl InterfaceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, InterfaceNameError> {
        if text.is_empty() {
            return Err(InterfaceNameError::Empty);
        }
        // The kernel would treat '%' as a numbering pattern.
        let refused = |c: &char| c.is_whitespace() || c.is_control() || "/:%".contains(*c);
        if let Some(bad) = text.chars().find(refused) {
            return Err(InterfaceNameError::Character(bad));
        }
        if text.len() > MAX_INTERFACE_NAME_LEN {
            return Err(InterfaceNameError::TooLong(text.len()));
        }
        if text == "." || text == ".." {
            return Err(InterfaceNameError::Dots);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_linux_takes_is_taken_and_the_rest_is_refused() {
        for good in [
            "a",
            "wg-control",
            "banyan-wg",
            "eth0.100",
            "123456789012345",
        ] {
            assert_eq!(good.parse::<InterfaceName>().unwrap().as_str(), good);
        }
        let refused = |text: &str| text.parse::<InterfaceName>().unwrap_err();
        assert_eq!(refused(""), InterfaceNameError::Empty);
        assert_eq!(refused("1234567890123456"), InterfaceNameError::TooLong(16));
        assert_eq!(refused("éééééééé"), InterfaceNameError::TooLong(16));
        assert_eq!(refused("."), InterfaceNameError::Dots);
        assert_eq!(refused(".."), InterfaceNameError::Dots);
        for bad in ['/', ' ', '\t', '\n', ':', '%', '\0', '\u{a0}'] {
            assert_eq!(
                refused(&format!("wg{bad}")),
                InterfaceNameError::Character(bad)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_that_is_one_file_name_or_an_error(text in ".{0,20}") {
            if let Ok(name) = text.parse::<InterfaceName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(!text.is_empty() && text.len() <= MAX_INTERFACE_NAME_LEN);
                prop_assert_eq!(std::path::Path::new(&text).file_name().unwrap(), text.as_str());
            }
        }
    }
}
