//! A commit as plain data. Commits are written by anyone: every text is made UTF-8 and bounded, no date is trusted.

use banyan_core::{CommitId, TreeId};
use git2::{ObjectType, Oid};
use jiff::Timestamp;

use crate::error::GitError;
use crate::id::ObjectId as _;
use crate::object::Objects;
use crate::parse_trailers;

/// The largest commit object that is read, in bytes.
const MAX_COMMIT: usize = 1 << 20;
/// The longest message kept, in characters; trailers are looked for in all of it.
const MAX_MESSAGE: usize = 64 * 1024;
/// The longest summary, name and email, in characters.
const MAX_LINE: usize = 256;
/// The most trailers and parents kept.
const MAX_LIST: usize = 256;

/// Who a commit names as its author: a claim, proven by nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// At most 256 characters.
    pub name: String,
    /// At most 256 characters, not checked to be an address.
    pub email: String,
}

/// A commit. Bytes that are no UTF-8 appear as `U+FFFD`, over-long texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The commit.
    pub id: CommitId,
    /// Its parents, the first being the branch it was made on.
    pub parents: Vec<CommitId>,
    /// Its root directory.
    pub tree: TreeId,
    /// Who it says wrote it.
    pub author: Person,
    /// When it says it was written; the epoch if that cannot be read.
    pub authored_at: Timestamp,
    /// When it says it was committed; the epoch if that cannot be read.
    pub committed_at: Timestamp,
    /// The message's first line, at most 256 characters.
    pub summary: String,
    /// The whole message, at most 65,536 characters.
    pub message: String,
    /// The message's trailers, at most 256.
    pub trailers: Vec<(String, String)>,
}

/// What the walk over history needs of a commit, and no more.
pub(crate) struct Links {
    pub(crate) tree: Oid,
    pub(crate) parents: Vec<Oid>,
}

pub(crate) fn read(objects: &Objects<'_>, id: CommitId) -> Result<Commit, GitError> {
    let data = load(objects, id.oid())?;
    let links = links(id.oid(), &data)?;
    let (head, message) = split(&data);
    let message = String::from_utf8_lossy(message);
    let (author, authored_at) = signature(head, b"author ");
    let (_, committed_at) = signature(head, b"committer ");
    let mut trailers = parse_trailers(&message);
    trailers.truncate(MAX_LIST);
    Ok(Commit {
        id,
        parents: links.parents.into_iter().map(CommitId::from_oid).collect(),
        tree: TreeId::from_oid(links.tree),
        author,
        authored_at,
        committed_at,
        summary: cut(
            message
                .trim_start()
                .lines()
                .next()
                .unwrap_or_default()
                .trim_end(),
            MAX_LINE,
        ),
        message: cut(&message, MAX_MESSAGE),
        trailers,
    })
}

pub(crate) fn read_links(objects: &Objects<'_>, id: Oid) -> Result<Links, GitError> {
    links(id, &load(objects, id)?)
}

fn load(objects: &Objects<'_>, id: Oid) -> Result<Vec<u8>, GitError> {
    objects.read_kind(ObjectType::Commit, id, MAX_COMMIT)
}

fn links(id: Oid, data: &[u8]) -> Result<Links, GitError> {
    let malformed = |why| GitError::Malformed {
        kind: "commit",
        id: id.to_string(),
        why,
    };
    let mut lines = split(data).0.split(|b| *b == b'\n');
    let tree = lines
        .next()
        .and_then(|line| header_id(line, b"tree "))
        .ok_or_else(|| malformed("no tree"))?;
    let parents: Vec<Oid> = lines
        .map_while(|line| header_id(line, b"parent "))
        .collect();
    if parents.len() > MAX_LIST {
        return Err(malformed("too many parents"));
    }
    Ok(Links { tree, parents })
}

fn header_id(line: &[u8], key: &[u8]) -> Option<Oid> {
    let digits = std::str::from_utf8(line.strip_prefix(key)?).ok()?;
    digits.parse::<CommitId>().ok().map(|id| id.oid())
}

/// Headers and message: an empty line parts them.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    data.windows(2)
        .position(|pair| pair == b"\n\n")
        .and_then(|at| Some((data.get(..at)?, data.get(at + 2..)?)))
        .unwrap_or((data, b""))
}

/// `Name <email> seconds zone`, each part as far as it is there.
fn signature(head: &[u8], key: &[u8]) -> (Person, Timestamp) {
    let line = head
        .split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let (name, rest) = line.split_once('<').unwrap_or((&line, ""));
    let (email, date) = rest.rsplit_once('>').unwrap_or((rest, ""));
    let at = date
        .split_ascii_whitespace()
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let person = Person {
        name: cut(name.trim(), MAX_LINE),
        email: cut(email.trim(), MAX_LINE),
    };
    (person, at)
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => text.get(..at).unwrap_or_default().to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_authors_line_is_read_as_far_as_it_goes() {
        let check = |line: &str, name: &str, email: &str, second: i64| {
            let (person, at) = signature(format!("tree x\nauthor {line}").as_bytes(), b"author ");
            assert_eq!(
                (person.name.as_str(), person.email.as_str(), at.as_second()),
                (name, email, second),
                "{line}"
            );
        };
        check("A B <a@b> 1700000000 +0100", "A B", "a@b", 1_700_000_000);
        check("A B", "A B", "", 0);
        check("A <a@b", "A", "a@b", 0);
        check("<> 99999999999999999999 +0000", "", "", 0);
        check("A <a> 999999999999999 +0000", "A", "a", 0);
    }

    proptest! {
        #[test]
        fn no_commit_panics(data in proptest::collection::vec(any::<u8>(), 0..300), lead in "(tree [0-9a-f]{40}\n(parent [0-9a-f]{40}\n){0,2}(author )?)?") {
            let mut bytes = lead.into_bytes();
            bytes.extend(data);
            let _ = links(Oid::ZERO_SHA1, &bytes);
            let (head, _) = split(&bytes);
            let _ = signature(head, b"author ");
        }
    }
}
