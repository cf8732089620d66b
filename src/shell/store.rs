//! The ledger on disk: one LMDB environment that holds every pool's records.
//!
//! It knows how records lie in the databases and when they are durable, never what they mean: balances
//! and windows are what the pool makes of what [`Store::load`] gives back.
//!
//! Layout of `<data_dir>/ledger/`, all integers big endian so that keys sort by number:
//!
//! | database | key | value |
//! |---|---|---|
//! | `meta` | `schema` | version, u32 |
//! | `meta` | `<pool>.clock` | the mark, postcard |
//! | `<pool>.journal` | sequence number u64, from 1 without gaps | the entry, postcard |
//! | `<pool>.cells` | slot start u64, miner u32 | work u64, shares u32 |
//! | `<pool>.miners` | miner u32 | output script |
//! | `<pool>.blocks` | block hash, internal order | the whole block |

mod records;

use std::cell::RefCell;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use heed::types::{DecodeIgnore, Str};
use heed::{CommitOrAbort, CommitToken, DatabaseOpener, Env, EnvOpenOptions, MdbError, OnCommit, RwTxn, WithTls};

use crate::base::limits;
use crate::pool::record::{Batch, Entry, Journal, Recovered};
use records::{PoolDatabases, Raw};

/// The layout that this version reads and writes.
const SCHEMA: u32 = 1;
/// How often, and how long apart, a lock that another process holds is tried again.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const SCHEMA_KEY: &[u8] = b"schema";
const META: &str = "meta";
/// Room for the databases of pools that were renamed or taken out of the configuration.
const MAX_DATABASES: u32 = 1 + 4 * (limits::POOLS * records::PER_POOL) as u32;

/// The open ledger. Its directory is locked until this is dropped.
pub struct Store {
    directory: PathBuf,
    map_bytes: usize,
    pools: Vec<String>,
    environment: RefCell<Option<Environment>>,
    _lock: File,
}

/// How full the ledger's map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Bytes of pages in use; freed pages are not counted, they are used again.
    pub used_bytes: u64,
    /// Bytes that the map can hold, from `ledger.map_mib`.
    pub map_bytes: u64,
}

/// What a full ledger has run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The map, whose size is configured.
    Map,
    /// The disk, the quota or the largest file size.
    Disk,
}

/// Why the ledger could not be opened, read or written.
#[derive(Debug)]
pub enum StoreError {
    /// No room. Nothing of the batch was written, and everything earlier is whole.
    Full(Space),
    /// Another process has the ledger open.
    Locked {
        /// The ledger's directory.
        directory: PathBuf,
        /// The process id that the other one left in the lock file; empty when it left none.
        holder: String,
    },
    /// The ledger was written by a newer edgepool.
    Schema {
        /// The version on disk.
        found: u32,
        /// The version that this edgepool writes.
        known: u32,
    },
    /// A record is not what this edgepool would have written; says where.
    Damaged(String),
    /// The system refused: what was being done, and its reason.
    Io(String, io::Error),
    /// LMDB refused.
    Lmdb(MdbError),
}

impl Store {
    /// Opens the ledger below `data_dir`, making it on first start (directories with mode 0700), for
    /// `pools`, which [`Store::load`] and [`Store::commit`] name by their place in that list. It may grow
    /// to `map_mib`, which is bounded by [`limits::MAP_MIB_MAX`].
    pub fn open(data_dir: &Path, map_mib: usize, pools: &[&str]) -> Result<Store, StoreError> {
        let directory = data_dir.join("ledger");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| StoreError::Io(format!("making {}", directory.display()), error))?;
        let store = Store {
            _lock: lock(&directory)?,
            directory,
            // A mebibyte is a whole number of pages everywhere, also where pages are 64 KiB.
            map_bytes: map_mib.clamp(1, limits::MAP_MIB_MAX) << 20,
            pools: pools.iter().map(|pool| (*pool).to_string()).collect(),
            environment: RefCell::new(None),
        };
        store.with(|_| Ok(()))?;
        // A commit is durable only if the name of its file is, and LMDB doesn't see to that.
        for made in [&store.directory, data_dir] {
            File::open(made)
                .and_then(|directory| directory.sync_all())
                .map_err(|error| StoreError::Io(format!("syncing {}", made.display()), error))?;
        }
        Ok(store)
    }

    /// Everything that was committed for the pool at this place of the list given to [`Store::open`].
    pub fn load(&self, pool: usize) -> Result<Recovered, StoreError> {
        self.with(|open| {
            let txn = open.env.read_txn()?;
            open.pools[pool].load(&open.meta, &txn)
        })
    }

    /// The journal of the pool at this place of the list given to [`Store::open`].
    pub fn journal(&self, pool: usize) -> StoredJournal<'_> {
        StoredJournal { store: self, pool }
    }

    /// Writes all batches, each for the pool at its place, in one transaction that is on disk when this
    /// returns. After an error nothing of them is there, and the same batches may be tried again.
    pub fn commit(&self, batches: &[(usize, &Batch)]) -> Result<(), StoreError> {
        let written = self.with(|open| {
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
            Ok(Headroom { used_bytes: used_bytes as u64, map_bytes: open.env.info().map_size as u64 })
        })
    }

    /// Runs `work` on the open environment. Once LMDB failed to write its head page it refuses all work
    /// until the file is opened anew; that is done here, so that a fault of the disk may pass.
    fn with<T>(&self, work: impl Fn(&Environment) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut environment = self.environment.borrow_mut();
        if let Some(open) = environment.as_ref() {
            match work(open) {
                Err(StoreError::Lmdb(MdbError::Panic)) => *environment = None,
                result => return result,
            }
        }
        work(environment.insert(Environment::open(&self.directory, self.map_bytes, &self.pools)?))
    }

    /// LMDB reports a write that was cut short, as the last before a full disk is, as an I/O error like
    /// any other. Writing a little beside it tells.
    fn disk_is_full(&self) -> bool {
        let probe = self.directory.join("probe");
        let refused = fs::write(&probe, vec![1; 1 << 20]).is_err_and(|error| means_full(&error));
        // It may never have been made, and nothing depends on its absence.
        let _ = fs::remove_file(&probe);
        refused
    }
}

/// One pool's journal on disk.
pub struct StoredJournal<'a> {
    store: &'a Store,
    pool: usize,
}

impl Journal for StoredJournal<'_> {
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        let each = RefCell::new(each);
        let read = self.store.with(|open| {
            let txn = open.env.read_txn()?;
            open.pools[self.pool].visit_journal(&txn, from, &mut **each.borrow_mut())
        });
        read.map_err(|error| error.to_string())
    }
}

/// Takes the exclusive lock of the directory, which ends with the process however that ends.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("edgepool.lock");
    let failed = |error| StoreError::Io(format!("locking {}", path.display()), error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only the lock counts; a holder that can't be read is not named.
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::Locked { directory: directory.into(), holder: holder.trim().into() });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // On a full disk the process id stays out; the lock holds all the same.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Tries for a moment: a process that is just ending, or that was forked and has yet to become another program,
/// may still hold the lock.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
    file.try_lock()
}

/// LMDB's environment with every named database open.
struct Environment {
    env: Env,
    meta: Raw<'static>,
    pools: Vec<PoolDatabases<'static>>,
    /// Every named database, also those of pools that are no longer configured.
    all: Vec<Raw<'static>>,
}

impl Environment {
    fn open(directory: &Path, map_bytes: usize, pools: &[String]) -> Result<Environment, StoreError> {
        let mut options = EnvOpenOptions::new();
        options.map_size(map_bytes).max_dbs(MAX_DATABASES);
        // SAFETY: the map is unsound only if the file changes beneath it. The directory is for this user
        // alone (mode 0700), and the exclusive lock that `Store` holds keeps a second edgepool out.
        let env = unsafe { options.open(directory) }?;
        env.clear_stale_readers()?;
        let opened = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
            Opening::create(opener, txn, pools).map(CommitOrAbort::<_, StoreError>::Commit)
        })?;
        let Opening { meta, pools, all } = Result::from(opened)?;
        Ok(Environment { env, meta, pools, all })
    }
}

/// The databases while the transaction that opens them is under way.
struct Opening<'e> {
    meta: Raw<'e>,
    pools: Vec<PoolDatabases<'e>>,
    all: Vec<Raw<'e>>,
}

impl<'e> Opening<'e> {
    fn create(
        opener: &DatabaseOpener<'e, WithTls>,
        txn: &mut RwTxn<'e>,
        pools: &[String],
    ) -> Result<Opening<'e>, StoreError> {
        let meta: Raw = opener.create_database(txn, Some(META))?;
        match meta.get(txn, SCHEMA_KEY)? {
            None => meta.put(txn, SCHEMA_KEY, &SCHEMA.to_be_bytes())?,
            Some(value) => match <[u8; 4]>::try_from(value).map(u32::from_be_bytes) {
                Ok(SCHEMA) => {}
                Ok(found) => return Err(StoreError::Schema { found, known: SCHEMA }),
                Err(_) => return Err(records::damaged(META, SCHEMA_KEY, "is not a version number")),
            },
        }
        let pools = pools.iter().map(|pool| PoolDatabases::create(opener, txn, pool)).collect::<Result<_, _>>()?;
        // LMDB lists the named databases as records of the unnamed one.
        let main = opener.create_database::<Str, DecodeIgnore>(txn, None)?;
        let names = main.iter(txn)?.map(|record| Ok(record?.0.to_string())).collect::<Result<Vec<_>, heed::Error>>()?;
        let all =
            names.iter().map(|name| opener.create_database(txn, Some(name))).collect::<Result<_, heed::Error>>()?;
        Ok(Opening { meta, pools, all })
    }
}

impl OnCommit for Opening<'_> {
    type Committed = Opening<'static>;

    fn on_commit(self, token: &CommitToken) -> Opening<'static> {
        Opening {
            meta: self.meta.on_commit(token),
            pools: self.pools.into_iter().map(|pool| pool.on_commit(token)).collect(),
            all: self.all.into_iter().map(|database| database.on_commit(token)).collect(),
        }
    }
}

fn means_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> StoreError {
        match error {
            heed::Error::Mdb(MdbError::MapFull) => StoreError::Full(Space::Map),
            heed::Error::Io(error) if means_full(&error) => StoreError::Full(Space::Disk),
            heed::Error::Io(error) => StoreError::Io("using the ledger's file".into(), error),
            heed::Error::Mdb(error) => StoreError::Lmdb(error),
            heed::Error::Encoding(error) | heed::Error::Decoding(error) => StoreError::Damaged(error.to_string()),
            heed::Error::EnvAlreadyOpened => {
                StoreError::Locked { directory: PathBuf::new(), holder: std::process::id().to_string() }
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Full(Space::Map) => f.write_str(
                "the ledger has reached its largest size; raise ledger.map_mib in the configuration and restart",
            ),
            StoreError::Full(Space::Disk) => {
                f.write_str("the disk that holds the ledger is full; free some space on it")
            }
            StoreError::Locked { directory, holder } => {
                write!(f, "another edgepool")?;
                if !holder.is_empty() {
                    write!(f, " (process {holder})")?;
                }
                write!(f, " is using the ledger {}; stop it, or give this one another data_dir", directory.display())
            }
            StoreError::Schema { found, known } => write!(
                f,
                "the ledger has format {found}, and this edgepool knows format {known}; \
                 install the version that wrote it, or a newer one"
            ),
            StoreError::Damaged(what) => {
                write!(f, "the ledger is damaged: {what}; restore its directory from a backup")
            }
            StoreError::Io(doing, error) => {
                write!(f, "{doing}: {error}; check the disk, and that data_dir belongs to edgepool's user")
            }
            StoreError::Lmdb(error) => write!(f, "the ledger's database refused: {error}; restart edgepool"),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::record::ClockMark;

    #[test]
    fn the_file_is_opened_anew_when_the_environment_was_given_up() {
        let scratch = std::env::temp_dir().join(format!("edgepool-reopen-{}", std::process::id()));
        let store = Store::open(&scratch, 1, &["ltc"]).unwrap();
        let batch = |pool_ms| Batch { clock: ClockMark { pool_ms, ..ClockMark::default() }, ..Batch::default() };
        store.commit(&[(0, &batch(1))]).unwrap();
        *store.environment.borrow_mut() = None;
        assert_eq!(store.load(0).unwrap().clock.unwrap().pool_ms, 1);
        let tried = std::cell::Cell::new(0);
        // As LMDB answers from a failed write of its head page on.
        let recovered = store.with(|_| match tried.replace(tried.get() + 1) {
            0 => Err(StoreError::Lmdb(MdbError::Panic)),
            _ => Ok(()),
        });
        assert!(recovered.is_ok() && tried.get() == 2);
        store.commit(&[(0, &batch(2))]).unwrap();
        assert_eq!(store.load(0).unwrap().clock.unwrap().pool_ms, 2);
        drop(store);
        fs::remove_dir_all(scratch).unwrap();
    }
}
