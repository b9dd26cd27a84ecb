//! The engine's version, and the formats that it reads and writes.

use banyan_api::{API_VERSION, v1};
use banyan_manifest::MANIFEST_VERSION;
use banyan_state::{ARCHIVE_FORMAT, STORE_FORMAT};
use clap::{Args, ValueEnum};
use serde_json::json;

/// The engine's version, and the formats that it reads and writes.
#[must_use]
pub fn version() -> v1::Version {
    v1::Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: API_VERSION.to_owned(),
        manifest: MANIFEST_VERSION.to_owned(),
        store_format: STORE_FORMAT,
        archive_format: ARCHIVE_FORMAT,
    }
}

/// How to print the version.
#[derive(Debug, Args)]
pub struct VersionOptions {
    /// Format of the output.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

impl VersionOptions {
    /// What the command prints.
    #[must_use]
    pub fn text(&self) -> String {
        let v1::Version {
            version,
            api,
            manifest,
            store_format,
            archive_format,
        } = version();
        match self.output {
            Output::Text => format!(
                "version         {version}\n\
                 API             {api}\n\
                 manifests       {manifest}\n\
                 store format    {store_format}\n\
                 archive format  {archive_format}\n"
            ),
            Output::Json => {
                let version = json!({
                    "version": version, "api": api, "manifest": manifest, "storeFormat": store_format,
                    "archiveFormat": archive_format,
                });
                format!("{version:#}\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_with_every_format_as_text_and_as_json() {
        let text = |output| VersionOptions { output }.text();
        let json: serde_json::Value = serde_json::from_str(&text(Output::Json)).unwrap();
        let told = json!({
            "version": env!("CARGO_PKG_VERSION"), "api": "v1", "manifest": "banyan/v1", "storeFormat": 1,
            "archiveFormat": 1,
        });
        assert_eq!(json, told);
        let lines = text(Output::Text);
        assert!(lines.contains("manifests       banyan/v1\n"), "{lines}");
        assert!(lines.contains("store format    1\n"), "{lines}");
    }
}
