//! A persistent map from a key to several values: cloning is cheap, and versions share what they have in common.

use imbl::{OrdMap, OrdSet};

/// Values by key, in order. A single value, the usual case, is stored without a set.
#[derive(Debug, Clone)]
pub(crate) struct Multimap<K: Ord, V: Ord>(OrdMap<K, Values<V>>);

#[derive(Debug, Clone)]
enum Values<V: Ord> {
    One(V),
    Many(OrdSet<V>),
}

impl<K: Ord, V: Ord> Default for Multimap<K, V> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Multimap<K, V> {
    /// Adds a value; does nothing if it is already present.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.0.get_mut(&key) {
            None => drop(self.0.insert(key, Values::One(value))),
            Some(Values::One(one)) if *one == value => {}
            Some(Values::Many(many)) => drop(many.insert(value)),
            Some(values) => {
                let mut many: OrdSet<V> = values.iter().cloned().collect();
                many.insert(value);
                *values = Values::Many(many);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K, value: &V) {
        let empty = match self.0.get_mut(key) {
            None => false,
            Some(Values::One(one)) => one == value,
            Some(Values::Many(many)) => {
                many.remove(value);
                many.is_empty()
            }
        };
        if empty {
            self.0.remove(key);
        }
    }

    /// The values of a key, in order.
    pub(crate) fn get<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        self.0.get(key).into_iter().flat_map(Values::iter)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// The greatest value of a key that is less than `value`.
    pub(crate) fn before<'a>(&'a self, key: &K, value: &V) -> Option<&'a V> {
        match self.0.get(key)? {
            Values::One(one) => (one < value).then_some(one),
            Values::Many(many) => many.range::<_, V>(..value).next_back(),
        }
    }

    /// The values of the keys in a range, by key.
    pub(crate) fn range<R: std::ops::RangeBounds<K>>(
        &self,
        keys: R,
    ) -> impl Iterator<Item = (&K, &V)> {
        let keys = self.0.range::<R, K>(keys);
        keys.flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
    }
}

impl<V: Ord> Values<V> {
    fn iter(&self) -> impl Iterator<Item = &V> {
        let (one, many) = match self {
            Self::One(one) => (Some(one), None),
            Self::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_set_of_pairs(edits in proptest::collection::vec((any::<bool>(), 0u8..4, 0u8..6), 0..60)) {
            let mut map = Multimap::default();
            let mut model = BTreeSet::new();
            for (add, key, value) in edits {
                if add {
                    map.insert(key, value);
                    model.insert((key, value));
                } else {
                    map.remove(&key, &value);
                    model.remove(&(key, value));
                }
                let pairs: Vec<(u8, u8)> = map.range(..).map(|(k, v)| (*k, *v)).collect();
                prop_assert_eq!(&pairs, &model.iter().copied().collect::<Vec<_>>());
                for key in 0..4 {
                    prop_assert_eq!(map.contains_key(&key), model.iter().any(|(k, _)| *k == key));
                    for value in 0..6 {
                        let before = model.range((key, 0)..(key, value)).next_back().map(|(_, v)| v);
                        prop_assert_eq!(map.before(&key, &value), before);
                    }
                }
            }
        }
    }
}
