//! The configuration file `banyan.yaml`: read strictly, with one wording of what is wrong and where.
//!
//! A program defines its own section by serde; this crate reads it and has the values that sections share. It knows no
//! section. No error quotes the file, which may hold secrets.

mod error;
mod value;
mod yaml;

pub use error::ConfigError;
pub use value::{ListenPort, Poll, Port, RemotePort, duration, read_file};
pub use yaml::from_yaml;
