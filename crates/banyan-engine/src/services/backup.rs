//! Streams a backup: written on a dedicated thread, at the pace of the client.

use std::io::{self, BufWriter, Write};

use banyan_api::v1::BackupChunk;
use banyan_state::{Archive, ArchiveError, State};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Bytes in one message.
const CHUNK: usize = 64 * 1024;
/// Messages that may wait for a slow client.
const WAITING: usize = 4;

type Chunk = Result<BackupChunk, Status>;

/// Reads the content of a backup.
pub(super) async fn archive(state: &State) -> Result<Archive, Status> {
    let archive = state.archive(crate::clock::now()).await;
    archive.map_err(|error| refusal(&error))
}

/// Writes a backup to a stream.
pub(super) fn stream(archive: Archive) -> ReceiverStream<Chunk> {
    let summary = archive.summary();
    tracing::info!(entries = summary.entries, generation = %summary.generation, "a backup is taken");
    let (chunks, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, Chunks(chunks));
        let written = archive.write(&mut out).and_then(|()| out.flush());
        if let Err(error) = written {
            // The client sees that the last line is missing.
            tracing::debug!(%error, "a backup was not taken to its end");
        }
    });
    ReceiverStream::new(receiver)
}

fn refusal(error: &ArchiveError) -> Status {
    let text = crate::report(error);
    match error {
        ArchiveError::NothingInForce => Status::failed_precondition(text),
        _ => Status::unavailable(text),
    }
}

struct Chunks(mpsc::Sender<Chunk>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let content: Vec<u8> = bytes.iter().copied().take(CHUNK).collect();
        let taken = content.len();
        let sent = self.0.blocking_send(Ok(BackupChunk { content }));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_message_is_longer_than_a_chunk_and_none_is_lost() {
        let (sender, mut receiver) = mpsc::channel(1);
        let bytes: Vec<u8> = (0..3 * CHUNK + 7).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        let writer = tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::with_capacity(CHUNK, Chunks(sender));
            out.write_all(&sent).and_then(|()| out.flush())
        });
        let mut got = Vec::new();
        while let Some(chunk) = receiver.recv().await {
            let content = chunk.unwrap().content;
            assert!((1..=CHUNK).contains(&content.len()));
            got.extend(content);
        }
        writer.await.unwrap().unwrap();
        assert_eq!(got, bytes);
    }

    #[tokio::test]
    async fn writing_ends_when_nobody_takes_it() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let write = move || Chunks(sender).write_all(b"x");
        let written = tokio::task::spawn_blocking(write).await.unwrap();
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
