//! The hash chain: each entry's hash covers its number, the previous hash and its exact bytes; a head names the last
//! entry.
//!
//! Changing, removing, inserting or moving an entry breaks the chain from there on, and truncating it leaves a head
//! that names a missing entry. An attacker who can write both entries and head can build another consistent chain; only
//! an [`Anchor`], a head kept elsewhere, reveals that.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Digest, Name};

const LINK: &[u8] = b"banyan audit link v1\0";
const GENESIS: &[u8] = b"banyan audit genesis v1\0";

/// The hash before the first entry of an engine's chain; it differs per engine.
#[must_use]
pub fn genesis(engine: &Name) -> Digest {
    let digest = Sha256::new().chain_update(GENESIS);
    Digest(digest.chain_update(engine.as_str()).finalize().into())
}

/// An entry and its position in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number, from 1.
    pub seq: u64,
    /// The hash of the previous entry.
    pub prev: Digest,
    /// Its own hash.
    pub hash: Digest,
    /// The exact bytes of the entry.
    pub entry: Box<str>,
}

impl Link {
    /// Places an entry in the chain.
    #[must_use]
    pub fn new(seq: u64, prev: Digest, entry: Box<str>) -> Self {
        Self {
            seq,
            prev,
            hash: hash(seq, prev, &entry),
            entry,
        }
    }

    /// Whether the stored hash matches the content.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.hash == hash(self.seq, self.prev, &self.entry)
    }
}

/// Number and hash have fixed lengths, so the encoding is unambiguous.
fn hash(seq: u64, prev: Digest, entry: &str) -> Digest {
    let digest = Sha256::new()
        .chain_update(LINK)
        .chain_update(seq.to_be_bytes())
        .chain_update(prev.0)
        .chain_update(entry);
    Digest(digest.finalize().into())
}

/// Where a chain ends, and where its retained part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last entry; 0 before there is one.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// The number of the oldest retained entry.
    pub first: u64,
    /// The hash of the entry before that one.
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

    /// The number of retained entries.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.seq.saturating_add(1).saturating_sub(self.first)
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: Box<str>) -> Link {
        let link = Link::new(self.seq.saturating_add(1), self.hash, entry);
        self.seq = link.seq;
        self.hash = link.hash;
        link
    }
}

/// The number and hash of an entry, kept outside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The number.
    pub seq: u64,
    /// The hash.
    pub hash: Digest,
}

/// The result of a successful verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its head.
    pub head: Head,
    /// The result of the comparison with an anchor.
    pub anchored: Anchored,
}

/// The result of comparing a chain with an anchor. A mismatch is a [`Break`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchored {
    /// No anchor was given: a chain that was completely rewritten would not be noticed.
    Without,
    /// The chain contains the anchor's entry.
    Holds,
    /// The entry is no longer retained, so the anchor proves nothing.
    TooOld,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {at} {what}")]
pub struct Break {
    /// The number of the entry.
    pub at: u64,
    /// What is wrong.
    pub what: Fault,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is missing although later ones exist.
    #[error("is missing")]
    Missing,
    /// It and all later ones are missing although the head names them.
    #[error("to entry {to} are missing: the end of the log was cut off")]
    CutOff {
        /// The number of the last one.
        to: u64,
    },
    /// Its content does not match its hash.
    #[error("was altered")]
    Altered,
    /// It cannot be parsed.
    #[error("cannot be read")]
    Unreadable,
    /// Its previous hash is not that of the entry before it.
    #[error("does not follow the previous entry")]
    Unlinked,
    /// It is stored under another number.
    #[error("is in the wrong position")]
    Misplaced,
    /// The head is missing or cannot be parsed.
    #[error("and all others cannot be verified: the head is missing or unreadable")]
    Headless,
    /// The head names another last entry.
    #[error("is not the one the head names")]
    Head,
    /// The chain differs from the one the anchor was taken from, or ends before it.
    #[error("does not match the anchor: the log was cut off or rewritten")]
    Anchor,
}

/// Checks a chain, one link at a time.
#[derive(Debug)]
pub struct Verifier {
    head: Head,
    anchor: Option<Anchor>,
    anchored: bool,
    /// The next expected number, and the hash before it.
    next: u64,
    last: Digest,
}

impl Verifier {
    /// Starts with the head.
    ///
    /// # Errors
    /// If the head contradicts itself or belongs to another engine.
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

    /// The number of the next expected entry.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.next
    }

    /// Checks the next link.
    ///
    /// # Errors
    /// If it is not the expected one.
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

    /// Compares the end of the links with the head.
    ///
    /// # Errors
    /// If the links end elsewhere, or the anchor is not among them.
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
    /// This fault at the given entry.
    #[must_use]
    pub fn at(self, at: u64) -> Break {
        Break { at, what: self }
    }
}

/// Checks a whole chain.
///
/// # Errors
/// The first fault.
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
