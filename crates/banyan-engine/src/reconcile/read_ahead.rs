//! Reads the branch while another engine leads.

use std::sync::{Arc, Mutex};

use banyan_core::CommitId;
use tracing::{debug, info};

use super::reader::{ReadFailure, Reader, with_reader};

/// Reads the branch head without deciding on it, unless it was read last, so that the first pass of a new leader costs
/// only the changes and not the whole repo.
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
        info!(%commit, "read the branch ahead");
        Ok(commit)
    };
    match with_reader(reader, read).await {
        Ok(Ok(head)) => Some(head),
        // Logged only: the leader reports what is wrong with the source.
        Ok(Err::<_, ReadFailure>(failure)) => {
            debug!(
                error = crate::report(&failure),
                "the branch could not be read ahead"
            );
            last
        }
        Err(_) => last,
    }
}
