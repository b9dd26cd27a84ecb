//! A storage that keeps writes in memory above a read-only base. Knows no store.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

const PAGE: usize = 4096;

/// Clones are handles to the same storage.
#[derive(Clone)]
pub(super) struct Overlay {
    base: Option<Arc<dyn StorageBackend>>,
    state: Arc<Mutex<State>>,
}

struct State {
    len: u64,
    /// The length of the base that is still valid; a truncated part reads as zeros if the file
    /// grows again.
    base_len: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}

impl Overlay {
    /// An empty storage without a base.
    pub(super) fn empty() -> Self {
        Self::new(None)
    }

    /// Above a base, which is locked and read but never written.
    pub(super) fn over(base: impl StorageBackend) -> Self {
        Self::new(Some(Arc::new(base)))
    }

    fn new(base: Option<Arc<dyn StorageBackend>>) -> Self {
        let state = State {
            len: u64::MAX,
            base_len: u64::MAX,
            pages: BTreeMap::new(),
        };
        Self {
            base,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The whole content.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// The state with its lengths known. They are read late, because the lock comes first.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.base_len == u64::MAX {
            state.base_len = self.base.as_ref().map_or(Ok(0), |base| base.len())?;
            state.len = state.base_len;
        }
        Ok(state)
    }

    fn page(&self, state: &State, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(page) = state.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; PAGE];
        let start = number * PAGE as u64;
        let held = state.base_len.saturating_sub(start).min(PAGE as u64);
        if let (Some(base), Some(part)) = (&self.base, page.get_mut(..held as usize))
            && !part.is_empty()
        {
            base.read(start, part)?;
        }
        Ok(page.into())
    }

    fn lock<T>(
        &self,
        work: impl FnOnce(&dyn StorageBackend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.base
            .as_deref()
            .map_or(Err(BackendError::Unsupported), work)
    }
}

/// The pages that a byte range touches: number, first byte within, bytes within.
fn stretches(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let within = (at % PAGE as u64) as usize;
        let count = (PAGE - within).min((end - at) as usize);
        let found = (at / PAGE as u64, within, count);
        at += count as u64;
        (count > 0).then_some(found)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state()?;
        if offset.saturating_add(out.len() as u64) > state.len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut rest = &mut *out;
        for (number, within, count) in stretches(offset, rest.len()) {
            let page = self.page(&state, number)?;
            let (part, after) = rest.split_at_mut(count);
            part.copy_from_slice(page.get(within..within + count).unwrap_or_default());
            rest = after;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if len < state.len {
            let last = len / PAGE as u64;
            let mut page = self.page(&state, last)?;
            let kept = (len % PAGE as u64) as usize;
            page.iter_mut().skip(kept).for_each(|byte| *byte = 0);
            state.pages.split_off(&last);
            state.pages.insert(last, page);
            state.base_len = state.base_len.min(len);
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        let mut rest = data;
        for (number, within, count) in stretches(offset, data.len()) {
            let mut page = self.page(&state, number)?;
            let (part, after) = rest.split_at(count);
            if let Some(target) = page.get_mut(within..within + count) {
                target.copy_from_slice(part);
            }
            state.pages.insert(number, page);
            rest = after;
        }
        state.len = state.len.max(offset.saturating_add(data.len() as u64));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.base.as_ref().map_or(Ok(()), |base| base.close())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lock(|base| base.try_lock_range(start, end))
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.lock(|base| base.try_lock_shared_range(start, end))
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.lock(|base| base.lock_range(start, end))
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.lock(|base| base.lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.lock(|base| base.unlock_range(start, end))
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lock(|base| base.query_lock_range(start, end))
    }
}
