//! Findings on the screen: of folders, of revisions, and of the engine.

use banyan_core::{Finding, any_error};
use banyan_manifest::Loaded;
use banyan_manifest::render::{self, Report};

use crate::ui::Ui;

/// How many documents were valid by themselves.
pub(crate) fn documents(loaded: &Loaded) -> usize {
    loaded.catalog.len()
}

/// The report on what was loaded.
pub(crate) fn of<'a>(loaded: &Loaded, findings: &'a [Finding]) -> Report<'a> {
    Report {
        findings,
        files: loaded.files,
        documents: documents(loaded),
        not_checked: loaded.closed,
    }
}

/// Shows findings on stderr; whether one of them is an error.
pub(crate) fn aside(
    ui: &Ui,
    report: &Report<'_>,
    text_of: &dyn Fn(&str) -> Option<String>,
) -> bool {
    if !report.findings.is_empty() {
        ui.aside(&render::text(report, text_of, ui.paint_err().is_on()));
    }
    any_error(report.findings)
}

/// `1 sealed value was`, `3 sealed values were`.
pub(crate) fn sealed_values_were(number: usize) -> String {
    match number {
        1 => "1 sealed value was".to_owned(),
        _ => format!("{number} sealed values were"),
    }
}
