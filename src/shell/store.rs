//! The ledger on disk: one LMDB environment that holds every pool's records.
//!
//! It knows how records lie in the databases and when they are durable, never what they mean: balances
//! and windows are what the pool makes of what [`Store::load`] and [`Store::journal`] give back.
//!
//! Layout of `<data_dir>/ledger/`, schema 2, all integers big endian so that keys sort by number. A check is the
//! first four bytes of sha256(key ‖ value); everything that can rot has one or is chained.
//!
//! | database | key | value |
//! |---|---|---|
//! | `meta` | `schema` | version, u32 |
//! | `meta` | `<pool>.recent` | clock mark, end of the journal, cells that changed last; postcard, check |
//! | `meta` | `<pool>.chains` | coin and network of each chain, text |
//! | `<pool>.journal` | sequence number u64, from 1 without gaps | link, 32 bytes; the entry, postcard |
//! | `<pool>.cells` | slot start u64, miner u32 | work u64, shares u32, check; `recent` has a newer one or none |
//! | `<pool>.miners` | miner u32 | output script, check |
//! | `<pool>.blocks` | block hash, internal order | the whole block, whose header the key is the hash of, check |

mod draft;
mod environment;
mod error;
mod journal;
mod pages;
mod place;
mod recent;
mod records;
mod schema1;
mod seal;
mod snapshot;
pub mod tie;

use std::cell::RefCell;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use heed::MdbError;

use crate::base::limits;
use crate::face::Journals;
use crate::pool::record::{Batch, Entry, Journal, Recovered};
use environment::Environment;
use error::means_full;

pub use draft::Draft;
pub use error::{Space, StoreError};
pub use journal::Head;
pub use place::{Aside, Place, held_payments, holds_ledger};
pub use snapshot::{Snapshot, SnapshotJournal};

/// The layout that this version reads and writes.
pub const SCHEMA: u32 = 2;
const SCHEMA_KEY: &[u8] = b"schema";
const META: &str = "meta";

/// The open ledger. Its directory is locked until this is dropped.
pub struct Store {
    // Before the place, so that the file is closed when the lock ends.
    environment: RefCell<Option<Rc<Environment>>>,
    map_mib: usize,
    pools: Vec<String>,
    place: Place,
}

/// How full the ledger's map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Bytes of pages in use; freed pages are not counted, they are used again.
    pub used_bytes: u64,
    /// Bytes that the map can hold, from `ledger.map_mib`.
    pub map_bytes: u64,
    /// Bytes of a page, the least that is written.
    pub page_bytes: u64,
}

impl Store {
    /// Opens the ledger below `data_dir`, making it on first start (directories with mode 0700), for
    /// `pools`, which [`Store::load`] and [`Store::commit`] name by their place in that list. It may grow
    /// to `map_mib`, which is bounded by [`limits::MAP_MIB_MAX`]. A damaged one is put aside, and none is made where
    /// one was put aside before.
    pub fn open(data_dir: &Path, map_mib: usize, pools: &[&str]) -> Result<Store, StoreError> {
        let place = Place::take(data_dir)?;
        if !place.holds_ledger()
            && let Some(kept) = place.newest_aside()?
        {
            return Err(StoreError::SetAside { what: None, kept });
        }
        if place.has_lost_ledger() {
            return Err(StoreError::Lost { directory: place.directory().into() });
        }
        if !place.holds_ledger() {
            log::info!("a new ledger is made in {}: it owes nobody anything", place.directory().display());
        }
        let store = Store {
            environment: RefCell::new(None),
            map_mib,
            pools: pools.iter().map(|pool| (*pool).to_string()).collect(),
            place,
        };
        let opened = match store.place.check().and_then(|()| store.with(|_| Ok(()))) {
            Err(StoreError::Schema { found: schema1::VERSION, .. }) => {
                schema1::convert(&store.place, map_mib).and_then(|()| store.with(|_| Ok(())))
            }
            opened => opened,
        };
        match opened {
            Err(StoreError::Damaged(what)) => return Err(store.set_aside(what)),
            opened => opened?,
        }
        store.place.sync()?;
        Ok(store)
    }

    /// Pools that have a ledger in the file and are not in the list given to [`Store::open`]: renamed, or taken out of
    /// the configuration.
    pub fn strangers(&self) -> Result<Vec<String>, StoreError> {
        self.with(|open| {
            let txn = open.env.read_txn()?;
            let mut strangers = Vec::new();
            for record in open.meta.iter(&txn)? {
                let name = std::str::from_utf8(record?.0).ok().and_then(tie::pool_of);
                strangers.extend(name.filter(|name| !self.pools.iter().any(|pool| pool == name)).map(str::to_string));
            }
            Ok(strangers)
        })
    }

    /// Ties the pool at this place of the list to its chains: coin and network of each, in order, as
    /// [`PoolSpec::chains_text`](crate::pool::spec::PoolSpec::chains_text) has them. Refused when it is tied to others.
    pub fn tie(&self, pool: usize, configured: &str) -> Result<(), StoreError> {
        let name = &self.pools[pool];
        self.with(|open| {
            let key = tie::key(name);
            let mut txn = open.env.write_txn()?;
            let recorded = open.meta.get(&txn, key.as_bytes())?.map(<[u8]>::to_vec);
            if let Some(recorded) = recorded {
                if recorded == configured.as_bytes() {
                    return Ok(());
                }
                tie::check(name, &String::from_utf8_lossy(&recorded), configured)?;
            }
            open.meta.put(&mut txn, key.as_bytes(), configured.as_bytes())?;
            Ok(txn.commit()?)
        })
    }

    /// The ledger below `data_dir` as it is after its last commit, to be read alone, also while another process
    /// has it open. Where there is none, one that was put aside is named.
    pub fn open_read_only(data_dir: &Path) -> Result<Snapshot, StoreError> {
        let directory = place::directory(data_dir);
        if !holds_ledger(&directory)
            && let Some(kept) = place::newest_aside(data_dir)?
        {
            return Err(StoreError::SetAside { what: None, kept });
        }
        Snapshot::open(&directory)
    }

    /// Everything that was committed for the pool at this place of the list given to [`Store::open`], but its
    /// journal. A damaged cell or kept block is left out and logged.
    pub fn load(&self, pool: usize) -> Result<Recovered, StoreError> {
        let (recovered, left_out) = self.with(|open| {
            let txn = open.env.read_txn()?;
            open.pools[pool].load(&open.meta, &txn)
        })?;
        for what in left_out {
            log::error!("{}: the ledger is damaged: {what}; it is left out", self.pools[pool]);
        }
        Ok(recovered)
    }

    /// The pool's journal, read entry by entry.
    pub fn journal(&self, pool: usize) -> StoredJournal<'_> {
        StoredJournal { store: self, pool }
    }

    /// Where the pool's journal ends.
    pub fn head(&self, pool: usize) -> Result<Head, StoreError> {
        self.with(|open| {
            let txn = open.env.read_txn()?;
            open.pools[pool].head(&open.meta, &txn)
        })
    }

    /// Writes all batches, each for the pool at its place, in one transaction that is on disk when this
    /// returns. After an error nothing of them is there, and the same batches may be tried again.
    pub fn commit(&self, batches: &[(usize, &Batch)]) -> Result<(), StoreError> {
        let written = self.with(|open| {
            // A tool that was killed while it read would keep pages from being used again.
            open.env.clear_stale_readers()?;
            let mut txn = open.env.write_txn()?;
            for (pool, batch) in batches {
                open.pools[*pool].write(&open.meta, &mut txn, batch)?;
            }
            Ok(txn.commit()?)
        });
        written.map_err(|error| match error {
            StoreError::Io(..) if self.disk_is_full() => StoreError::Full(Space::Disk),
            other => other,
        })
    }

    /// How much of the map is used.
    pub fn headroom(&self) -> Result<Headroom, StoreError> {
        self.with(|open| {
            let txn = open.env.read_txn()?;
            let main = open.env.unnamed_database_stat();
            // LMDB keeps two pages for itself at the start of the file.
            let mut used_bytes = main.non_free_page_size() + 2 * main.page_size as usize;
            for database in &open.all {
                used_bytes += database.stat(&txn)?.non_free_page_size();
            }
            Ok(Headroom {
                used_bytes: used_bytes as u64,
                map_bytes: open.env.info().map_size as u64,
                page_bytes: main.page_size.into(),
            })
        })
    }

    /// Takes a damaged ledger out of use: its file is moved aside as it is, and no other is made in its place
    /// before the operator says so. Answers the error that says all this.
    pub fn set_aside(self, what: String) -> StoreError {
        self.environment.replace(None);
        match self.place.set_aside(Aside::Damaged) {
            Ok(kept) => StoreError::SetAside { what: Some(what), kept },
            Err(error) => StoreError::Damaged(format!("{what}; it could not be put aside: {error}")),
        }
    }

    /// Reads a pool's journal to its end; the error names the first entry that is not what it was.
    pub fn check_journal(&self, pool: usize) -> Result<(), StoreError> {
        self.visit(pool, 1, &mut |_, _| ControlFlow::Continue(()))
    }

    fn visit(
        &self,
        pool: usize,
        from: u64,
        each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let open = self.environment()?;
        let txn = open.env.read_txn()?;
        let database = &open.pools[pool];
        let end = database.head(&open.meta, &txn)?;
        database.journal.visit(&txn, from, end, |head, entry| each(head.seq, entry))
    }

    /// Runs `work` on the open environment. Once LMDB failed to write its head page it refuses all work
    /// until the file is opened anew; that is done here, so that a fault of the disk may pass.
    fn with<T>(&self, work: impl Fn(&Environment) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = work(&*self.environment()?);
        if !matches!(result, Err(StoreError::Lmdb(MdbError::Panic))) {
            return result;
        }
        self.environment.replace(None);
        work(&*self.environment()?)
    }

    fn environment(&self) -> Result<Rc<Environment>, StoreError> {
        let mut environment = self.environment.borrow_mut();
        if let Some(open) = environment.as_ref() {
            return Ok(Rc::clone(open));
        }
        let open = Rc::new(Environment::open(self.place.directory(), map_bytes(self.map_mib), &self.pools)?);
        Ok(Rc::clone(environment.insert(open)))
    }

    /// LMDB reports a write that was cut short, as the last before a full disk is, as an I/O error like
    /// any other. Writing a little beside it tells.
    fn disk_is_full(&self) -> bool {
        let probe = self.place.directory().join("probe");
        let refused = fs::write(&probe, vec![1; 1 << 20]).is_err_and(|error| means_full(&error));
        // It may never have been made, and nothing depends on its absence.
        let _ = fs::remove_file(&probe);
        refused
    }
}

fn map_bytes(map_mib: usize) -> usize {
    // A mebibyte is a whole number of pages everywhere, also where pages are 64 KiB.
    map_mib.clamp(1, limits::MAP_MIB_MAX) << 20
}

impl Journals for Store {
    fn of(&self, pool: usize) -> Box<dyn Journal + '_> {
        Box::new(self.journal(pool))
    }
}

/// A pool's journal in a [`Store`].
pub struct StoredJournal<'s> {
    store: &'s Store,
    pool: usize,
}

impl Journal for StoredJournal<'_> {
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        self.store.visit(self.pool, from, each).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
