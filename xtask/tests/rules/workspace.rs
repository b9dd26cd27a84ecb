//! Locates the workspace's files, and runs cargo on its packages.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The workspace's root directory.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The output of `cargo metadata`, for this machine's platform and the current `Cargo.lock`.
pub(crate) fn metadata() -> Result<Value> {
    let text = cargo(&[
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        "host-tuple",
    ])?;
    serde_json::from_slice(&text).context("reading `cargo metadata`")
}

/// The names of all packages that one of ours is built with, dev-dependencies aside.
pub(crate) fn built_with(package: &str) -> Result<BTreeSet<String>> {
    let text = cargo(&[
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "no-dev",
        "--prefix",
        "none",
    ])?;
    let text = String::from_utf8(text).context("reading `cargo tree`")?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}

/// Every tracked or addable file, by its path from the root; deleted files and symlinks are left out.
pub(crate) fn tracked_files() -> Result<Vec<String>> {
    let listed = output(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let listed = String::from_utf8(listed).context("a file name is not UTF-8")?;
    let is_file = |path: &&str| {
        root()
            .join(path)
            .symlink_metadata()
            .is_ok_and(|found| found.is_file())
    };
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(is_file)
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// The Rust files under a directory, by their paths from the root, sorted.
pub(crate) fn rust_files(folder: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(root().join(&folder)).with_context(|| format!("cannot list {folder}"))?;
        for entry in entries {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn cargo(args: &[&str]) -> Result<Vec<u8>> {
    output(Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))).args(args))
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .current_dir(root())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}
