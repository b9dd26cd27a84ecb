//! What an admission looks at: all documents, or those that differ from the ones of which the records before were made.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::{Checked, Document, Indexed, Name, Objects, Table};

/// Which documents can give other records than those before.
pub(super) struct Scope<'a> {
    pub(super) before: &'a Objects,
    /// The documents of which the records before were made; `None` where that is not known, so that all must be looked at.
    pub(super) made_of: Option<&'a Checked>,
    pub(super) checked: &'a Checked,
}

impl Scope<'_> {
    /// The names of the documents that differ from those before, or of all of them and of all records.
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
