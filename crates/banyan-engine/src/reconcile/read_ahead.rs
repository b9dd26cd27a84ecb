//! Reading the branch while another engine leads.

use std::sync::{Arc, Mutex};

use banyan_core::CommitId;
use tracing::{debug, info};

use super::reader::{ReadFailure, Reader, with_reader};

/// Reads the branch's head without deciding about it, unless that is the commit read last: the first pass of a new
/// leader is to cost what has changed and not the whole repo.
pub(super) async fn read_ahead(
    reader: &Arc<Mutex<Reader>>,
    last: Option<CommitId>,
) -> Option<CommitId> {
    let read = move |reader: &mut Reader| {
        let head = reader.head()?;
        if Some(head) == last {
            return Ok(head);
        }
        let commit = reader.read()?.commit.id;
        info!(%commit, "the branch is read ahead");
        Ok(commit)
    };
    match with_reader(reader, read).await {
        Ok(Ok(head)) => Some(head),
        // It misleads nobody: the leader says what is wrong with the source.
        Ok(Err::<_, ReadFailure>(failure)) => {
            debug!(
                error = crate::report(&failure),
                "the branch cannot be read ahead"
            );
            last
        }
        Err(_) => last,
    }
}
