//! Collecting the findings of one file.

use std::sync::Arc;

use banyan_core::{Finding, Pos};

use crate::limits::MAX_FINDINGS_PER_FILE;

/// The findings of one file, up to a limit.
pub(crate) struct Findings {
    path: Arc<str>,
    list: Vec<Finding>,
    count: usize,
}

impl Findings {
    pub(crate) fn new(path: &Arc<str>) -> Self {
        Self {
            path: Arc::clone(path),
            list: Vec::new(),
            count: 0,
        }
    }

    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// The number reported, including those over the limit: two equal counts mean that nothing was found in between.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn error(
        &mut self,
        pos: Pos,
        rule: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let path = Arc::clone(&self.path);
        self.push(Finding::error(&path, pos, rule, message).help(help));
    }

    pub(crate) fn whole(
        &mut self,
        rule: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let path = Arc::clone(&self.path);
        self.push(Finding::whole(&path, rule, message).help(help));
    }

    fn push(&mut self, finding: Finding) {
        self.count += 1;
        if self.count <= MAX_FINDINGS_PER_FILE {
            self.list.push(finding);
        }
    }

    pub(crate) fn into_vec(mut self) -> Vec<Finding> {
        let over = self.count.saturating_sub(MAX_FINDINGS_PER_FILE);
        if over > 0 {
            let message = format!("{over} more findings in this file are not shown");
            self.list.push(
                Finding::whole(&self.path, "too-many-findings", message)
                    .help("fix the ones shown first"),
            );
        }
        self.list
    }
}

/// Text of a file made safe for a message: short, without control characters.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).flat_map(escape).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// Control and direction-changing characters as escapes, everything else as it is.
pub(crate) fn escape(c: char) -> impl Iterator<Item = char> {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let (escaped, plain) = if hidden {
        (Some(c.escape_default()), None)
    } else {
        (None, Some(c))
    };
    escaped.into_iter().flatten().chain(plain)
}

/// The name nearest to a mistyped one, if any is near.
pub(crate) fn nearest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wrong = plain(wrong);
    let (distance, name) = names
        .into_iter()
        .map(|name| (strsim::osa_distance(&wrong, &plain(name)), name))
        .min_by_key(|(distance, _)| *distance)?;
    let near = distance <= (wrong.chars().count().max(name.len()) / 3).max(1);
    near.then_some(name)
}
