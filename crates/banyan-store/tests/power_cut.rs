//! Power cuts: a disk that loses unsynced writes, at random instants, repeatedly. After each cut
//! the store opens with every acknowledged transaction and no partial one.
//!
//! To repeat one seed: `POWER_CUT_SEED=<seed> cargo nextest run -p banyan-store --test power_cut`.

use support::{Honesty, survive};

const ROUNDS: usize = 120;

#[test]
fn every_acknowledged_write_survives_any_power_cut() {
    let seeds = match std::env::var("POWER_CUT_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("POWER_CUT_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..8,
    };
    for seed in seeds {
        let report = survive(seed, ROUNDS, Honesty::Honest).unwrap_or_else(|e| panic!("{e}"));
        assert!(
            report.acknowledged > ROUNDS,
            "enough was written: {report:?}"
        );
        assert!(report.cut > ROUNDS / 2, "enough was cut: {report:?}");
        assert!(report.torn_away > 0, "cuts hit transactions: {report:?}");
    }
}

/// Proves that the simulation can fail: a disk that lies about syncing loses writes, and the test
/// finds it.
#[test]
fn a_disk_that_lies_is_caught() {
    let caught = (0..8).filter(|seed| survive(*seed, 40, Honesty::Lying).is_err());
    assert_eq!(caught.count(), 8);
}

#[cfg(test)]
mod support {
    use std::collections::BTreeMap;
    use std::io::{Error, ErrorKind, Result as IoResult};
    use std::sync::{Arc, Mutex};

    use banyan_store::{EmbeddedStore, KeyRange, Op, Outcome, Revision, Store, Txn, read_all};
    use redb::StorageBackend;

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Honesty {
        Honest,
        /// Syncing does nothing.
        Lying,
    }

    /// Counters of a run, so that a test can check that it exercised enough.
    #[derive(Debug, Default)]
    pub(crate) struct Report {
        pub(crate) acknowledged: usize,
        pub(crate) cut: usize,
        pub(crate) torn_away: usize,
    }

    type Content = BTreeMap<String, Vec<u8>>;

    /// The states the store may hold: the acknowledged one, or that plus the transaction in flight.
    #[derive(Clone, Default, PartialEq, Debug)]
    struct Model {
        content: Content,
        revision: u64,
    }

    impl Model {
        fn after(&self, txn: &Txn) -> Self {
            let mut next = self.clone();
            for op in &txn.ops {
                match op {
                    Op::Put { key, value, .. } => next.content.insert(key.clone(), value.to_vec()),
                    Op::Delete { key } => next.content.remove(key),
                };
            }
            let writes = txn.ops.iter().any(|op| match op {
                Op::Put { .. } => true,
                Op::Delete { key } => self.content.contains_key(key),
            });
            next.revision += u64::from(writes);
            next
        }
    }

    /// splitmix64: small, and the same everywhere.
    pub(crate) struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % limit as u64) as usize
        }

        fn txn(&mut self) -> Txn {
            let first = self.below(64);
            let ops = [1, 1, 3, 20][self.below(4)];
            (first..first + ops).fold(Txn::new(), |txn, n| {
                let key = format!("key/{:02}", n % 64);
                match self.below(4) {
                    0 => txn.delete(key),
                    _ => txn.put(key, vec![self.below(256) as u8; self.below(3000)]),
                }
            })
        }
    }

    #[derive(Clone, Debug)]
    struct Disk(Arc<Mutex<Platter>>);

    #[derive(Debug, Default)]
    struct Platter {
        /// The content that reads see.
        cached: Vec<u8>,
        /// The content that survives a cut.
        durable: Vec<u8>,
        pending: Vec<Pending>,
        /// Writes, resizes and syncs left until the power cut.
        left: Option<usize>,
        lying: bool,
    }

    #[derive(Debug)]
    enum Pending {
        Write(usize, Vec<u8>),
        Resize(usize),
    }

    impl Pending {
        fn apply(&self, image: &mut Vec<u8>, torn_at: Option<usize>) {
            match self {
                Self::Resize(len) => image.resize(*len, 0),
                Self::Write(at, data) => {
                    let data = &data[..torn_at.unwrap_or(data.len())];
                    if image.len() < at + data.len() {
                        image.resize(at + data.len(), 0);
                    }
                    image[*at..at + data.len()].copy_from_slice(data);
                }
            }
        }

        fn len(&self) -> usize {
            match self {
                Self::Write(_, data) => data.len(),
                Self::Resize(_) => 0,
            }
        }
    }

    impl Platter {
        /// Counts one operation down. `false`: the power is off.
        fn powered(&mut self) -> bool {
            match &mut self.left {
                None => true,
                Some(0) => false,
                Some(left) => {
                    *left -= 1;
                    true
                }
            }
        }

        fn change(&mut self, change: Pending) -> IoResult<()> {
            if self.left == Some(0) {
                return Err(off());
            }
            // The last operation may reach the disk although its caller never learns of it.
            let heard = self.powered() && self.left != Some(0);
            change.apply(&mut self.cached, None);
            self.pending.push(change);
            if heard { Ok(()) } else { Err(off()) }
        }

        /// The content found after the cut: any subset of the unsynced writes, one of them torn.
        fn after_cut(&self, random: &mut Random) -> Vec<u8> {
            let mut image = self.durable.clone();
            let bias = random.below(5);
            let torn = random.below(self.pending.len().max(1) * 2);
            for (n, change) in self.pending.iter().enumerate() {
                let torn_at = (n == torn && change.len() > 0).then(|| random.below(change.len()));
                if random.below(4) < bias {
                    change.apply(&mut image, torn_at);
                }
            }
            image
        }
    }

    fn off() -> Error {
        Error::other("the power is off")
    }

    impl Disk {
        fn holding(image: Vec<u8>, left: Option<usize>, honesty: Honesty) -> Self {
            Self(Arc::new(Mutex::new(Platter {
                cached: image.clone(),
                durable: image,
                pending: Vec::new(),
                left,
                lying: honesty == Honesty::Lying,
            })))
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> IoResult<u64> {
            Ok(self.0.lock().unwrap().cached.len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
            let platter = self.0.lock().unwrap();
            let at = offset as usize;
            let found = platter.cached.get(at..at + out.len());
            out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn set_len(&self, len: u64) -> IoResult<()> {
            self.0.lock().unwrap().change(Pending::Resize(len as usize))
        }

        fn sync_data(&self) -> IoResult<()> {
            let mut platter = self.0.lock().unwrap();
            if !platter.powered() || platter.left == Some(0) {
                return Err(off());
            }
            if !platter.lying {
                let Platter {
                    durable, pending, ..
                } = &mut *platter;
                pending
                    .drain(..)
                    .for_each(|change| change.apply(durable, None));
            }
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
            let write = Pending::Write(offset as usize, data.to_vec());
            self.0.lock().unwrap().change(write)
        }
    }

    /// One disk through many power cuts. The error names the seed.
    pub(crate) fn survive(seed: u64, rounds: usize, honesty: Honesty) -> Result<Report, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut random = Random(seed);
        let mut report = Report::default();
        let mut image = new_store();
        // The states that the disk may hold; the last is the most recently requested.
        let mut possible = vec![Model::default()];
        for round in 0..rounds {
            let left = [random.below(12), 12 + random.below(150)][random.below(2)];
            let disk = Disk::holding(image, Some(left), honesty);
            let lived = runtime.block_on(live(&disk, &mut possible, &mut random, &mut report));
            lived.map_err(|e| format!("seed {seed}, round {round}: {e}"))?;
            let platter = disk.0.lock().unwrap();
            report.cut += usize::from(platter.left == Some(0));
            image = platter.after_cut(&mut random);
        }
        let disk = Disk::holding(image, None, Honesty::Honest);
        let store = EmbeddedStore::open_with(disk).map_err(|e| format!("seed {seed}: {e:?}"))?;
        let found = runtime
            .block_on(read(&store))
            .map_err(|e| format!("{e:?}"))?;
        settle(&mut possible, found, &mut report)
            .map_err(|e| format!("seed {seed}, at last: {e}"))?;
        Ok(report)
    }

    /// One life of the store, from opening to the cut.
    async fn live(
        disk: &Disk,
        possible: &mut Vec<Model>,
        random: &mut Random,
        report: &mut Report,
    ) -> Result<(), String> {
        let cut = || disk.0.lock().unwrap().left == Some(0);
        let store = match EmbeddedStore::open_with(disk.clone()) {
            Ok(store) => store,
            Err(_) if cut() => return Ok(()),
            Err(error) => return Err(format!("the store does not open: {error:?}")),
        };
        match read(&store).await {
            Ok(found) => settle(possible, found, report)?,
            Err(_) if cut() => return Ok(()),
            Err(error) => return Err(format!("the store cannot be read: {error:?}")),
        }
        for _ in 0..[3, 200][random.below(2)] {
            let txn = random.txn();
            let wanted = possible[0].after(&txn);
            possible.push(wanted);
            match store.commit(txn).await {
                Ok(Outcome::Committed(revision)) => {
                    possible.remove(0);
                    report.acknowledged += 1;
                    if possible[0].revision != revision.0 {
                        return Err(format!(
                            "{revision} acknowledged for {}",
                            possible[0].revision
                        ));
                    }
                }
                Ok(other) => return Err(format!("{other:?}")),
                Err(_) if cut() => return Ok(()),
                Err(error) => return Err(format!("{error:?}")),
            }
        }
        Ok(())
    }

    /// Compares the state found with the allowed ones, and continues from it.
    fn settle(possible: &mut Vec<Model>, found: Model, report: &mut Report) -> Result<(), String> {
        let Some(which) = possible.iter().position(|model| *model == found) else {
            let known: Vec<_> = possible.iter().map(|model| model.revision).collect();
            return Err(format!(
                "found revision {}, none of {known:?}",
                found.revision
            ));
        };
        report.torn_away += usize::from(which + 1 < possible.len());
        *possible = vec![found];
        Ok(())
    }

    async fn read(store: &EmbeddedStore) -> Result<Model, banyan_store::StoreError> {
        let snapshot = store.snapshot().await?;
        let entries = read_all(&*snapshot, &KeyRange::all()).await?;
        let Revision(revision) = snapshot.revision();
        let content = entries
            .into_iter()
            .map(|e| (e.key, e.value.to_vec()))
            .collect();
        Ok(Model { content, revision })
    }

    /// The file of a new store. Its creation is not cut here: a file gets its name once it is
    /// complete.
    fn new_store() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        drop(EmbeddedStore::open(&path).unwrap());
        std::fs::read(path).unwrap()
    }
}
