//! A bounded table whose entries have a weight and an age.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// When it is full, the lightest entry is evicted, and of several the least recently touched. So an entry can be evicted
/// only by filling the table with entries that are at least as heavy.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    capacity: usize,
    /// How long an entry is kept after it was last touched.
    keep: Duration,
    entries: BTreeMap<K, Entry<V>>,
    by_weight: BTreeSet<(u32, Duration, K)>,
    by_age: BTreeSet<(Duration, K)>,
}

#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    pub(crate) touched: Duration,
    weight: u32,
}

impl<K: Ord + Copy, V> Table<K, V> {
    pub(crate) fn new(capacity: usize, keep: Duration) -> Self {
        Self {
            capacity: capacity.max(1),
            keep,
            entries: BTreeMap::new(),
            by_weight: BTreeSet::new(),
            by_age: BTreeSet::new(),
        }
    }

    /// Removes entries that were not touched for as long as entries are kept.
    pub(crate) fn forget(&mut self, now: Duration) {
        while let Some(&(touched, key)) = self.by_age.first() {
            if touched.saturating_add(self.keep) > now {
                break;
            }
            self.remove(&key);
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Entry<V>> {
        self.entries.get(key)
    }

    /// Puts an entry, replacing one with the same key. Its time never goes back.
    pub(crate) fn put(&mut self, key: K, value: V, weight: u32, now: Duration) {
        let former = self.remove(&key);
        if self.entries.len() >= self.capacity
            && let Some(&(_, _, lightest)) = self.by_weight.first()
        {
            self.remove(&lightest);
        }
        let touched = former.map_or(now, |former| former.touched.max(now));
        self.by_weight.insert((weight, touched, key));
        self.by_age.insert((touched, key));
        let entry = Entry {
            value,
            touched,
            weight,
        };
        self.entries.insert(key, entry);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let entry = self.entries.remove(key)?;
        self.by_weight.remove(&(entry.weight, entry.touched, *key));
        self.by_age.remove(&(entry.touched, *key));
        Some(entry)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.by_weight.len());
        assert_eq!(self.entries.len(), self.by_age.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_lightest_goes_first_and_of_those_the_one_untouched_longest() {
        let mut table = Table::new(3, at(100));
        table.put('a', (), 2, at(1));
        table.put('b', (), 1, at(3));
        table.put('c', (), 1, at(2));
        table.put('d', (), 1, at(4));
        assert!(table.get(&'c').is_none());
        table.put('e', (), 1, at(5));
        assert!(table.get(&'b').is_none());
        assert!(table.get(&'a').is_some());
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn changing_an_entry_pushes_out_no_other() {
        let mut table = Table::new(2, at(100));
        table.put('a', 1, 1, at(1));
        table.put('b', 1, 1, at(2));
        table.put('b', 2, 2, at(3));
        assert_eq!(table.get(&'b').map(|entry| entry.value), Some(2));
        assert!(table.get(&'a').is_some());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn entries_go_when_they_were_not_touched_for_as_long_as_they_are_kept() {
        let mut table = Table::new(3, at(10));
        table.put('a', (), 9, at(1));
        table.put('b', (), 1, at(2));
        table.forget(at(10));
        assert_eq!(table.len(), 2);
        table.forget(at(11));
        assert!(table.get(&'a').is_none());
        table.put('b', (), 1, at(20));
        table.forget(at(29));
        assert_eq!(table.len(), 1);
        table.forget(at(30));
        assert_eq!(table.len(), 0);
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_searched_from_end_to_end_does(
            steps in prop::collection::vec((0..8_u8, 0..4_u32, 0..4_u64, any::<bool>()), 1..100),
        ) {
            let keep = at(6);
            let mut table = Table::new(4, keep);
            let mut list: Vec<(u32, Duration, u8)> = Vec::new();
            let mut now = at(0);
            for (key, weight, pause, removes) in steps {
                now += at(pause);
                table.forget(now);
                list.retain(|(_, touched, _)| *touched + keep > now);
                if removes {
                    table.remove(&key);
                    list.retain(|(_, _, other)| *other != key);
                } else {
                    table.put(key, (), weight, now);
                    list.retain(|(_, _, other)| *other != key);
                    list.sort();
                    if list.len() == 4 {
                        list.remove(0);
                    }
                    list.push((weight, now, key));
                }
                prop_assert_eq!(table.len(), list.len());
                for (weight, touched, key) in &list {
                    let entry = table.get(key).map(|entry| (entry.weight, entry.touched));
                    prop_assert_eq!(entry, Some((*weight, *touched)));
                }
            }
        }
    }
}
