//! Why a configuration cannot be used.

use std::path::PathBuf;

/// Why a configuration cannot be used. No text of it is repeated but keys, for it may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}{hint}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What to do instead, with what separates it from the rest; may be empty.
        hint: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not YAML, or a key or a type is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong, with the nearest valid key where one is near.
        message: String,
    },
    /// The program's section is missing.
    #[error("{}: there is no section `{section}:`", path.display())]
    NoSection {
        /// The file.
        path: PathBuf,
        /// Its name.
        section: &'static str,
    },
    /// A value cannot be used.
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
