//! The results for one file, and moving them to another path.

use std::sync::Arc;

use banyan_core::{AnyDocument, Document, Finding};

use crate::decode;
use crate::find::Findings;
use crate::identity::Identities;
use crate::limits::MAX_FILE_BYTES;
use crate::open::Opener;
use crate::tree;

/// The results of one file.
pub(crate) struct FileResult {
    pub(crate) documents: Vec<AnyDocument>,
    pub(crate) findings: Vec<Finding>,
    /// The number of sealed values that were not opened because there is no identity.
    pub(crate) closed: usize,
}

/// Parses one file.
pub(crate) fn read_file(
    path: &Arc<str>,
    bytes: &[u8],
    identities: Option<&Identities>,
) -> FileResult {
    let mut findings = Findings::new(path);
    let mut opener = Opener {
        identities,
        closed: 0,
    };
    let documents = text_of(bytes, &mut findings)
        .map(|text| tree::documents(text, &mut findings))
        .unwrap_or_default()
        .iter()
        .filter_map(|tree| decode::document(tree, &mut opener, &mut findings))
        .collect();
    FileResult {
        documents,
        findings: findings.into_vec(),
        closed: opener.closed,
    }
}

fn text_of<'a>(bytes: &'a [u8], findings: &mut Findings) -> Option<&'a str> {
    if bytes.len() > MAX_FILE_BYTES {
        findings.whole(
            "too-large",
            format!("the file is larger than {MAX_FILE_BYTES} bytes"),
            "split it, or exclude it in `.banyanignore`",
        );
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            findings.whole(
                "not-utf8",
                format!("not UTF-8 from byte {} on", error.valid_up_to()),
                "save the file as UTF-8",
            );
            None
        }
    }
}

impl FileResult {
    /// The same results, as if the file had been read at another path.
    pub(crate) fn moved_to(&self, path: &Arc<str>) -> Self {
        let findings = self.findings.iter().cloned().map(|finding| Finding {
            path: Arc::clone(path),
            ..finding
        });
        Self {
            documents: self.documents.iter().map(|d| moved_to(d, path)).collect(),
            findings: findings.collect(),
            closed: self.closed,
        }
    }
}

fn moved_to(document: &AnyDocument, path: &Arc<str>) -> AnyDocument {
    fn moved<T: Clone>(document: &Document<T>, path: &Arc<str>) -> Arc<Document<T>> {
        Arc::new(Document {
            path: Arc::clone(path),
            ..document.clone()
        })
    }
    match document {
        AnyDocument::Cluster(document) => AnyDocument::Cluster(moved(document, path)),
        AnyDocument::Role(document) => AnyDocument::Role(moved(document, path)),
        AnyDocument::User(document) => AnyDocument::User(moved(document, path)),
        AnyDocument::Machine(document) => AnyDocument::Machine(moved(document, path)),
    }
}
