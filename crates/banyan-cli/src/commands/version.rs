//! `banyan version`: of this program, of the formats it reads, and of the engine.

use std::time::Duration;

use banyan_api::{API_VERSION, v1};
use banyan_manifest::MANIFEST_VERSION;
use serde::Serialize;

use crate::args::OutputArgs;
use crate::context::Context;
use crate::credentials;
use crate::error::{Exit, Failure};
use crate::ui::{Lines, Paint};

/// How long the engine may take to connect and to answer. It is not what the command is about.
const SHORTLY: Duration = Duration::from_secs(2);

/// Show the version of this program, the formats it reads, and the engine's version
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  banyan version")]
pub(crate) struct Args {
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let asked = ask(context);
    let versions = Versions {
        client: Client {
            version: env!("CARGO_PKG_VERSION"),
            api: API_VERSION,
            manifest: MANIFEST_VERSION,
            credentials_format: credentials::VERSION,
        },
        problem: asked.as_ref().err().map(Failure::in_one_line),
        engine: asked.ok(),
    };
    context
        .ui
        .show(args.output.output, &versions, |paint| versions.text(paint))?;
    Ok(Exit::Done)
}

fn ask(context: &Context) -> Result<Engine, Failure> {
    let target = context.target()?;
    let engine = context.engine_within(&target, SHORTLY)?;
    let version = engine.call("ask the engine's version", SHORTLY, |client| async move {
        client.engine().get_version(v1::GetVersionRequest {}).await
    })?;
    Ok(Engine {
        address: target.to_string(),
        version: version.version,
        api: version.api,
        manifest: version.manifest,
        store_format: version.store_format,
        archive_format: version.archive_format,
    })
}

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: Client,
    engine: Option<Engine>,
    /// Why nothing is known of the engine.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    version: &'static str,
    api: &'static str,
    manifest: &'static str,
    credentials_format: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Engine {
    address: String,
    version: String,
    api: String,
    manifest: String,
    store_format: u32,
    archive_format: u32,
}

impl Versions {
    fn text(&self, paint: Paint) -> String {
        let mut lines = Lines::new(7, paint);
        let Client {
            version,
            api,
            manifest,
            credentials_format,
        } = &self.client;
        let formats = format!("API {api}, manifests {manifest}");
        lines.add(
            "client",
            &format!("{version}, {formats}, credentials format {credentials_format}"),
        );
        let Some(engine) = &self.engine else {
            let problem = self.problem.as_deref().unwrap_or("not known");
            lines.add("engine", &format!("not known: {problem}"));
            return lines.text();
        };
        let Engine {
            address,
            version,
            api,
            manifest,
            store_format,
            archive_format,
        } = engine;
        let formats = format!(
            "API {api}, manifests {manifest}, store format {store_format}, archive format {archive_format}"
        );
        lines.add("engine", &format!("{version} at {address}, {formats}"));
        lines.text()
    }
}
