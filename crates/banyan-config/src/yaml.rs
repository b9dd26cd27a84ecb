//! Parses YAML strictly, without ever quoting it.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ConfigError;

/// Parses YAML strictly; `path` is for errors.
///
/// # Errors
/// If it is not valid YAML, or a key or a type is wrong. The text is never quoted, since it may contain a private key.
pub fn from_yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location();
        ConfigError::Syntax {
            path: path.to_owned(),
            line: place.map_or(1, |p| p.line()),
            column: place.map_or(1, |p| p.column()),
            message: message(error),
        }
    })
}

fn message(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } => unknown(field, expected),
        other => other.to_string(),
    }
}

fn unknown(field: &str, expected: &[&str]) -> String {
    let near = (expected.iter().filter(|key| !key.starts_with('_')))
        .map(|key| (strsim::jaro_winkler(field, key), key))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, key)) => format!("unknown key `{field}`; did you mean `{key}`?"),
        None => format!("unknown key `{field}`; valid keys: {}", expected.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        grpc_port: Option<crate::ListenPort>,
        socket: Option<String>,
    }

    fn error(text: &str) -> String {
        from_yaml::<Section>(Path::new("c.yaml"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        assert_eq!(
            error("# mine\ngrpc_prot: 1\n"),
            "c.yaml:2:1: unknown key `grpc_prot`; did you mean `grpc_port`?"
        );
        assert_eq!(
            error("zzz: 1\n"),
            "c.yaml:1:1: unknown key `zzz`; valid keys: grpc_port, socket"
        );
    }

    #[test]
    fn a_section_is_read() {
        let section: Section = from_yaml(Path::new("c.yaml"), "grpc_port: 1\n").unwrap();
        assert_eq!(section.grpc_port.map(|port| port.0), Some(1));
        assert_eq!(section.socket, None);
    }

    #[test]
    fn a_value_is_not_quoted() {
        assert!(!error("socket: [hunter2, {a: hunter2}]\n").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(socket:|grpc_port:|\\PC|\n|  |\"){0,40}") {
            let _ = from_yaml::<Section>(Path::new("c.yaml"), &text);
        }
    }
}
