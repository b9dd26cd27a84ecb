//! The documents an admission examines: all, or those that differ from the documents behind the current records.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::{Checked, Document, Indexed, Name, Objects, Table};

/// Determines which documents can produce different records.
pub(super) struct Scope<'a> {
    pub(super) before: &'a Objects,
    /// The documents from which the current records were made; `None` if unknown, so that all are examined.
    pub(super) made_of: Option<&'a Checked>,
    pub(super) checked: &'a Checked,
}

impl Scope<'_> {
    /// The names of the documents that differ, or of all documents and all records.
    pub(super) fn names<T: Indexed, D: PartialEq>(
        &self,
        before: &Table<T>,
        documents: for<'c> fn(&'c Checked) -> &'c OrdMap<Name, Arc<Document<D>>>,
    ) -> BTreeSet<Name> {
        let after = documents(self.checked);
        let Some(made_of) = self.made_of else {
            return before.keys().chain(after.keys()).cloned().collect();
        };
        let differing = documents(made_of).diff(after).map(|item| match item {
            DiffItem::Add(name, _) | DiffItem::Remove(name, _) => name.clone(),
            DiffItem::Update { new: (name, _), .. } => name.clone(),
        });
        differing.collect()
    }
}
