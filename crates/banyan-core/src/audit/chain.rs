//! The chain: each entry's hash covers its number, the hash before it and its exact bytes, and a head names the last.
//!
//! Whoever changes, removes, inserts or moves an entry breaks the chain from there on, and whoever cuts off its end
//! leaves a head that names what is not there. Whoever may write everything, entries and head, can make another chain
//! that is whole in itself: that shows only against an [`Anchor`], a head that was kept elsewhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Digest, Name};

const LINK: &[u8] = b"banyan audit link v1\0";
const GENESIS: &[u8] = b"banyan audit genesis v1\0";

/// What stands before the first entry of an engine's chain, so that one engine's chain is not another's.
#[must_use]
pub fn genesis(engine: &Name) -> Digest {
    let digest = Sha256::new().chain_update(GENESIS);
    Digest(digest.chain_update(engine.as_str()).finalize().into())
}

/// One entry in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number, from 1.
    pub seq: u64,
    /// The hash of the entry before it.
    pub prev: Digest,
    /// Its own hash.
    pub hash: Digest,
    /// The entry as it was written down, to the byte.
    pub entry: Box<str>,
}

impl Link {
    /// Puts an entry in a place.
    #[must_use]
    pub fn new(seq: u64, prev: Digest, entry: Box<str>) -> Self {
        Self {
            seq,
            prev,
            hash: hash(seq, prev, &entry),
            entry,
        }
    }

    /// Whether its hash is that of what it holds.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.hash == hash(self.seq, self.prev, &self.entry)
    }
}

/// Number and hash have fixed lengths, so that no two links are the same bytes.
fn hash(seq: u64, prev: Digest, entry: &str) -> Digest {
    let digest = Sha256::new()
        .chain_update(LINK)
        .chain_update(seq.to_be_bytes())
        .chain_update(prev.0)
        .chain_update(entry);
    Digest(digest.finalize().into())
}

/// Where a chain ends, and where what is kept of it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last entry; 0 before there is one.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// The number of the oldest entry that is kept.
    pub first: u64,
    /// The hash of the entry before that.
    pub before: Digest,
}

impl Head {
    /// The head of a chain without entries.
    #[must_use]
    pub fn start(engine: &Name) -> Self {
        let genesis = genesis(engine);
        Self {
            seq: 0,
            hash: genesis,
            first: 1,
            before: genesis,
        }
    }

    /// How many entries are kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.seq.saturating_add(1).saturating_sub(self.first)
    }

    /// Adds an entry to the end.
    pub fn push(&mut self, entry: Box<str>) -> Link {
        let link = Link::new(self.seq.saturating_add(1), self.hash, entry);
        self.seq = link.seq;
        self.hash = link.hash;
        link
    }
}

/// Number and hash of an entry that somebody has kept outside of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The number.
    pub seq: u64,
    /// The hash.
    pub hash: Digest,
}

/// A chain that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its head.
    pub head: Head,
    /// What an anchor says of it.
    pub anchored: Anchored,
}

/// What comparing with an anchor came to. One that does not hold is a [`Break`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchored {
    /// There was none: a chain that was made anew as a whole would not show.
    Without,
    /// The chain is the one of which the anchor was taken.
    Holds,
    /// The entry is no longer kept, so that nothing can be said.
    TooOld,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {at} {what}")]
pub struct Break {
    /// The number of the entry.
    pub at: u64,
    /// What is wrong with it.
    pub what: Fault,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there although later ones are.
    #[error("is missing")]
    Missing,
    /// It and all after it are not there although the head names them.
    #[error("and those up to {to} are missing: the end was cut off")]
    CutOff {
        /// The number of the last one.
        to: u64,
    },
    /// It is not what was written.
    #[error("was altered")]
    Altered,
    /// It cannot be read at all.
    #[error("cannot be read")]
    Unreadable,
    /// It was written after another entry than the one before it.
    #[error("does not follow from the one before it")]
    Unlinked,
    /// It stands where an entry does not belong.
    #[error("stands in a wrong place")]
    Misplaced,
    /// There is no head, or none that can be read.
    #[error("and all others are named by no head: it is gone, or cannot be read")]
    Headless,
    /// The head names another last entry.
    #[error("is not the one that the head names")]
    Head,
    /// The chain is another than the one of which the anchor was taken, or ends before it.
    #[error("is not the one that was kept outside: the log was cut off or made anew")]
    Anchor,
}

/// Checks a chain, one link at a time.
#[derive(Debug)]
pub struct Verifier {
    head: Head,
    anchor: Option<Anchor>,
    anchored: bool,
    /// The number that comes next, and the hash that comes before it.
    next: u64,
    last: Digest,
}

impl Verifier {
    /// Begins with what the head says.
    ///
    /// # Errors
    /// The head contradicts itself or the engine.
    pub fn new(engine: &Name, head: Head, anchor: Option<Anchor>) -> Result<Self, Break> {
        let Head {
            seq, first, before, ..
        } = head;
        if first == 0 || first > seq.saturating_add(1) {
            return Err(Fault::Head.at(seq));
        }
        if first == 1 && before != genesis(engine) {
            return Err(Fault::Unlinked.at(1));
        }
        let mut verifier = Self {
            head,
            anchor,
            anchored: false,
            next: first,
            last: before,
        };
        verifier.compare(first - 1, before)?;
        Ok(verifier)
    }

    /// The number of the entry that comes next.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.next
    }

    /// Takes the next link there is.
    ///
    /// # Errors
    /// It is not the one that belongs there.
    pub fn take(&mut self, link: &Link) -> Result<(), Break> {
        if link.seq > self.head.seq && self.next > self.head.seq {
            return Err(Fault::Misplaced.at(link.seq));
        }
        if link.seq > self.next {
            return Err(Fault::Missing.at(self.next));
        }
        if link.seq < self.next {
            return Err(Fault::Misplaced.at(link.seq));
        }
        if !link.is_intact() {
            return Err(Fault::Altered.at(link.seq));
        }
        if link.prev != self.last {
            return Err(Fault::Unlinked.at(link.seq));
        }
        self.compare(link.seq, link.hash)?;
        self.next = link.seq.saturating_add(1);
        self.last = link.hash;
        Ok(())
    }

    fn compare(&mut self, seq: u64, hash: Digest) -> Result<(), Break> {
        let Some(anchor) = self.anchor.filter(|anchor| anchor.seq == seq) else {
            return Ok(());
        };
        if anchor.hash != hash {
            return Err(Fault::Anchor.at(seq));
        }
        self.anchored = true;
        Ok(())
    }

    /// Ends with the head.
    ///
    /// # Errors
    /// The links end elsewhere, or the anchor is not among them.
    pub fn finish(self) -> Result<Verified, Break> {
        let head = self.head;
        if self.next <= head.seq {
            return Err(Fault::CutOff { to: head.seq }.at(self.next));
        }
        if self.last != head.hash {
            return Err(Fault::Head.at(head.seq));
        }
        let anchored = match self.anchor {
            None => Anchored::Without,
            Some(_) if self.anchored => Anchored::Holds,
            Some(anchor) if anchor.seq > head.seq => return Err(Fault::Anchor.at(anchor.seq)),
            Some(_) => Anchored::TooOld,
        };
        Ok(Verified { head, anchored })
    }
}

impl Fault {
    /// At this entry.
    #[must_use]
    pub fn at(self, at: u64) -> Break {
        Break { at, what: self }
    }
}

/// Checks a whole chain.
///
/// # Errors
/// The first place where it is broken.
pub fn verify<'a>(
    engine: &Name,
    links: impl IntoIterator<Item = &'a Link>,
    head: Head,
    anchor: Option<Anchor>,
) -> Result<Verified, Break> {
    let mut verifier = Verifier::new(engine, head, anchor)?;
    for link in links {
        verifier.take(link)?;
    }
    verifier.finish()
}
