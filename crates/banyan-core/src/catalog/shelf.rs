//! The documents of one kind by name. Of several with the same name, the first by position is effective.

use std::sync::Arc;

use imbl::OrdMap;

use crate::{Document, Name};

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    /// The effective documents.
    first: OrdMap<Name, Arc<Document<T>>>,
    /// All documents of each duplicate name, by position.
    several: OrdMap<Name, Vec<Arc<Document<T>>>>,
}

/// The effective document of a name before and after an edit.
pub(super) struct Replaced<T> {
    pub(super) before: Option<Arc<Document<T>>>,
    pub(super) after: Option<Arc<Document<T>>>,
}

impl<T> Shelf<T> {
    /// The effective documents, by name.
    pub(crate) fn first(&self) -> &OrdMap<Name, Arc<Document<T>>> {
        &self.first
    }

    /// All documents of a duplicate name, by position.
    pub(crate) fn several(&self, name: &Name) -> &[Arc<Document<T>>] {
        self.several.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every document, by position.
    pub(super) fn all(&self) -> Vec<Arc<Document<T>>> {
        let later = self.several.values().flat_map(|all| all.iter().skip(1));
        let mut all: Vec<_> = self.first.values().chain(later).cloned().collect();
        all.sort_by_key(|document| document.place());
        all
    }

    pub(crate) fn len(&self) -> usize {
        let more = self.several.values().map(|all| all.len().saturating_sub(1));
        self.first.len() + more.sum::<usize>()
    }

    pub(super) fn insert(&mut self, document: Arc<Document<T>>) -> Replaced<T> {
        let name = document.name.value.clone();
        let Some(before) = self.first.get(&name).cloned() else {
            self.first.insert(name, Arc::clone(&document));
            return Replaced {
                before: None,
                after: Some(document),
            };
        };
        let mut all = match self.several.get(&name) {
            Some(all) => all.clone(),
            None => vec![Arc::clone(&before)],
        };
        let at = all.partition_point(|other| other.place() <= document.place());
        all.insert(at, document);
        self.set(name, all, Some(before))
    }

    pub(super) fn remove(&mut self, document: &Arc<Document<T>>) -> Replaced<T> {
        let name = document.name.value.clone();
        let before = self.first.get(&name).cloned();
        let mut all = match self.several.get(&name) {
            Some(all) => all.clone(),
            None => before.iter().cloned().collect(),
        };
        all.retain(|other| other.place() != document.place());
        self.set(name, all, before)
    }

    fn set(
        &mut self,
        name: Name,
        all: Vec<Arc<Document<T>>>,
        before: Option<Arc<Document<T>>>,
    ) -> Replaced<T> {
        let after = all.first().cloned();
        match &after {
            Some(first) => drop(self.first.insert(name.clone(), Arc::clone(first))),
            None => drop(self.first.remove(&name)),
        }
        if all.len() > 1 {
            self.several.insert(name, all);
        } else {
            self.several.remove(&name);
        }
        Replaced { before, after }
    }
}

impl<T: Eq> PartialEq for Shelf<T> {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first && self.several == other.several
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            first: OrdMap::new(),
            several: OrdMap::new(),
        }
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self {
            first: self.first.clone(),
            several: self.several.clone(),
        }
    }
}
