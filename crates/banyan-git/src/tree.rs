//! The raw form of git's tree objects, and the entries in which two of them differ.
//!
//! Parsed here and not by libgit2, because a comparison of two folders of 10,000 files must not make 20,000 calls,
//! and because a tree with two entries of one name must be refused and not half seen.

use std::cmp::Ordering;

use git2::Oid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    Submodule,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'d> {
    pub(crate) name: &'d [u8],
    pub(crate) kind: Kind,
    pub(crate) id: Oid,
}

/// The entries of a tree object with ids of `id_len` bytes, in the order they stand.
pub(crate) fn parse(data: &[u8], id_len: usize) -> Result<Vec<Entry<'_>>, &'static str> {
    let mut entries = Vec::with_capacity(data.len() / 36);
    let mut rest = data;
    while !rest.is_empty() {
        let (entry, after) = parse_entry(rest, id_len)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

/// Like [`parse`], and every name is one path component, in git's order, once.
pub(crate) fn parse_strict(data: &[u8], id_len: usize) -> Result<Vec<Entry<'_>>, &'static str> {
    let entries = parse(data, id_len)?;
    for entry in &entries {
        if matches!(entry.name, b"." | b".." | b"") || entry.name.contains(&b'/') {
            return Err("a name that is no path component");
        }
    }
    let ordered = entries.is_sorted_by(|a, b| order(a, b) == Ordering::Less);
    if !ordered {
        return Err("entries out of order or twice");
    }
    Ok(entries)
}

fn parse_entry(data: &[u8], id_len: usize) -> Result<(Entry<'_>, &[u8]), &'static str> {
    const CUT: &str = "it is cut off";
    let space = data
        .iter()
        .take(8)
        .position(|b| *b == b' ')
        .ok_or("a mode that is no number")?;
    let (mode, rest) = data.split_at_checked(space).ok_or(CUT)?;
    let rest = rest.get(1..).ok_or(CUT)?;
    let nul = rest.iter().position(|b| *b == 0).ok_or(CUT)?;
    let (name, rest) = rest.split_at_checked(nul).ok_or(CUT)?;
    let (id, after) = rest
        .get(1..)
        .and_then(|rest| rest.split_at_checked(id_len))
        .ok_or(CUT)?;
    let entry = Entry {
        name,
        kind: kind(mode)?,
        id: Oid::from_bytes(id).map_err(|_| CUT)?,
    };
    Ok((entry, after))
}

fn kind(mode: &[u8]) -> Result<Kind, &'static str> {
    let mut value = 0_u32;
    for digit in mode {
        let digit = char::from(*digit)
            .to_digit(8)
            .ok_or("a mode that is no number")?;
        value = value << 3 | digit;
    }
    Ok(match value & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        0o160_000 => Kind::Submodule,
        _ => Kind::Other,
    })
}

/// Git sorts a directory as if its name ended in a slash.
fn order(a: &Entry<'_>, b: &Entry<'_>) -> Ordering {
    fn end(entry: &Entry<'_>) -> Option<u8> {
        (entry.kind == Kind::Dir).then_some(b'/')
    }
    let common = a.name.len().min(b.name.len());
    let (head_a, tail_a) = a.name.split_at(common);
    let (head_b, tail_b) = b.name.split_at(common);
    head_a.cmp(head_b).then_with(|| {
        tail_a
            .iter()
            .copied()
            .chain(end(a))
            .cmp(tail_b.iter().copied().chain(end(b)))
    })
}

/// One name that two trees do not hold alike.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference<'d> {
    pub(crate) old: Option<Entry<'d>>,
    pub(crate) new: Option<Entry<'d>>,
}

/// Where two trees differ. Both must be in git's order for the pairs to be exact; out of order, entries come up as
/// gone and new, which costs time but hides nothing.
pub(crate) fn differences<'d>(old: &[Entry<'d>], new: &[Entry<'d>]) -> Vec<Difference<'d>> {
    let mut found = Vec::new();
    let (mut old, mut new) = (
        old.iter().copied().peekable(),
        new.iter().copied().peekable(),
    );
    loop {
        let side = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        let pair = Difference {
            old: if side.is_le() { old.next() } else { None },
            new: if side.is_ge() { new.next() } else { None },
        };
        if pair.old != pair.new {
            found.push(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(entries: &[(&str, &str, u8)]) -> Vec<u8> {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name.as_bytes());
            data.push(0);
            data.extend_from_slice(&[*id; 20]);
        }
        data
    }

    #[test]
    fn a_tree_is_read_in_gits_order() {
        let data = raw(&[
            ("100644", "a.b", 1),
            ("40000", "a", 2),
            ("100755", "a0", 3),
            ("120000", "l", 4),
            ("160000", "s", 5),
        ]);
        let kinds: Vec<_> = parse_strict(&data, 20)
            .unwrap()
            .iter()
            .map(|e| e.kind)
            .collect();
        assert_eq!(
            kinds,
            [
                Kind::File,
                Kind::Dir,
                Kind::File,
                Kind::Symlink,
                Kind::Submodule
            ]
        );
    }

    #[test]
    fn what_git_would_not_write_is_refused() {
        for bad in [
            raw(&[("100644", "b", 1), ("100644", "a", 1)]),
            raw(&[("100644", "a", 1), ("100644", "a", 2)]),
            raw(&[("100644", "a/b", 1)]),
            raw(&[("100644", "..", 1)]),
            raw(&[("100644", "", 1)]),
            raw(&[("10x644", "a", 1)]),
            raw(&[("100644", "a", 1)])[..20].to_vec(),
        ] {
            assert!(parse_strict(&bad, 20).is_err(), "{bad:?}");
        }
        assert_eq!(parse_strict(b"", 20), Ok(vec![]));
    }

    #[test]
    fn only_what_differs_is_named() {
        let old = raw(&[
            ("100644", "a", 1),
            ("100644", "b", 1),
            ("40000", "c", 1),
            ("100644", "e", 1),
        ]);
        let new = raw(&[
            ("100755", "a", 1),
            ("100644", "b", 2),
            ("100644", "c", 1),
            ("100644", "d", 1),
        ]);
        let (old, new) = (
            parse_strict(&old, 20).unwrap(),
            parse_strict(&new, 20).unwrap(),
        );
        let names: Vec<_> = differences(&old, &new)
            .iter()
            .map(|d| {
                let name =
                    |e: Option<Entry<'_>>| e.map(|e| String::from_utf8_lossy(e.name).into_owned());
                (name(d.old), name(d.new))
            })
            .collect();
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(
            names,
            [
                (some("b"), some("b")),
                (None, some("c")),
                (some("c"), None),
                (None, some("d")),
                (some("e"), None)
            ]
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_strict(&data, 20);
        }

        #[test]
        fn a_damaged_tree_never_panics(at in 0_usize..70, byte: u8, cut in 0_usize..70) {
            let mut data = raw(&[("100644", "a", 1), ("40000", "bcd", 2)]);
            if let Some(slot) = data.get_mut(at) {
                *slot = byte;
            }
            data.truncate(cut);
            if let Ok(entries) = parse(&data, 20) {
                let _ = differences(&entries, &entries);
            }
        }
    }
}
