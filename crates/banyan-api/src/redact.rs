//! `Debug` for messages that contain a secret.

use std::fmt;

use crate::v1;

macro_rules! redacted {
    ($($message:ident { $($shown:ident),* })*) => {$(
        impl fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), &self.$shown))*
                    .finish_non_exhaustive()
            }
        }
    )*};
}

redacted! {
    LoginRequest { name }
    EnrollRequest { name }
    RefreshRequest {}
    Tokens { name, access_expires, refresh_expires }
    ChangePasswordRequest {}
    AddUserRequest { name, email, roles, expires }
    Enrolment { expires }
    RecoverAdminRequest { name, only_if_none }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_message_is_printed() {
        let secret = || "s3cret".to_owned();
        let shown = format!(
            "{:?}",
            (
                v1::LoginRequest {
                    password: secret(),
                    ..Default::default()
                },
                v1::EnrollRequest {
                    code: secret(),
                    password: secret(),
                    ..Default::default()
                },
                v1::RefreshRequest {
                    refresh_token: secret()
                },
                v1::Tokens {
                    access_token: secret(),
                    refresh_token: secret(),
                    ..Default::default()
                },
                v1::ChangePasswordRequest {
                    current: secret(),
                    new: secret()
                },
                v1::AddUserRequest {
                    password: secret(),
                    ..Default::default()
                },
                v1::Enrolment {
                    code: secret(),
                    ..Default::default()
                },
                v1::RecoverAdminRequest {
                    password: secret(),
                    ..Default::default()
                },
            )
        );
        assert!(!shown.contains("s3cret"), "{shown}");
        let answer = v1::AddUserResponse {
            enrolment: Some(v1::Enrolment {
                code: secret(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert!(!format!("{answer:?}").contains("s3cret"));
    }

    /// The build omits `Debug` for exactly the messages with a secret: a field marked as secret in any other message
    /// would be printed.
    #[test]
    fn every_field_marked_as_secret_is_in_a_message_with_a_redacted_debug() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/banyan/v1");
        let mut with_secrets = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let marked = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let mut message = "";
            for line in marked.lines() {
                if let Some(name) = line.strip_prefix("message ") {
                    message = name.trim_end_matches([' ', '{', '}']);
                } else if line.contains("debug_redact") {
                    with_secrets.insert(message.to_owned());
                }
            }
        }
        let build = include_str!("../build.rs");
        for message in &with_secrets {
            assert!(build.contains(&format!("\"{message}\"")), "{message}");
        }
        assert_eq!(with_secrets.len(), 8, "{with_secrets:?}");
    }
}
