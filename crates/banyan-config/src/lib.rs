//! The configuration file `banyan.yaml`: parsed strictly, with uniform errors that say what is wrong and where.
//!
//! Each program defines its own section with serde; this crate parses it and provides the value types that sections
//! share. It knows no section. Errors never quote the file, which may contain secrets.

mod error;
mod value;
mod yaml;

pub use error::ConfigError;
pub use value::{ListenPort, Poll, Port, RemotePort, duration, read_file};
pub use yaml::from_yaml;
