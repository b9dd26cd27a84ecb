//! Errors of the configuration.

use std::path::PathBuf;

/// Why a configuration is unusable. Apart from keys, no text of the file is repeated, since it may contain secrets.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}{hint}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// A hint at what to do, with its separator; may be empty.
        hint: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// It is not valid YAML, or a key or a type is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong, with the nearest valid key if one is similar.
        message: String,
    },
    /// The program's section is missing.
    #[error("{}: the section `{section}:` is missing", path.display())]
    NoSection {
        /// The file.
        path: PathBuf,
        /// The name of the section.
        section: &'static str,
    },
    /// A value is invalid.
    #[error("{}: {key}: {why}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        why: String,
    },
}
