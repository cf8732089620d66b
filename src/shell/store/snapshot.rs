//! The ledger at one moment, read alone: for tools, also while the daemon goes on writing. Never changes the file.
//!
//! While a snapshot is open LMDB can't use again the pages that it sees, so it should not be kept for long.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use heed::{CommitOrAbort, CommitToken, CompactionOption, DatabaseOpener, MdbError, OnCommit, RoTxn, WithoutTls};

use super::environment::{self, Lmdb};
use super::error::io_error;
use super::journal::Head;
use super::records::{PoolDatabases, Raw};
use super::{META, SCHEMA_KEY, StoreError, place, tie};
use crate::pool::record::{Entry, Journal, Recovered};

/// See the module.
pub struct Snapshot {
    directory: PathBuf,
    env: Lmdb,
    txn: RoTxn<'static, WithoutTls>,
    meta: Raw<'static>,
    names: Vec<String>,
    pools: Vec<PoolDatabases<'static>>,
}

impl Snapshot {
    /// Opens the ledger in `directory`, which is usually called `ledger`, as it is after its last commit.
    pub fn open(directory: &Path) -> Result<Snapshot, StoreError> {
        if !place::holds_ledger(directory) {
            return Err(StoreError::Missing(directory.into()));
        }
        place::check_unless_in_use(directory)?;
        let env = environment::open_for_reading(directory)?;
        place::hand_over_readers(directory)?;
        let opened =
            env.open_databases_and_commit(env.read_txn()?, |opener, txn| Opening::find(opener, txn, directory))?;
        let Opening { meta, names, pools } = Result::from(opened)?;
        Ok(Snapshot { directory: directory.into(), txn: env.clone().static_read_txn()?, env, meta, names, pools })
    }

    /// The directory that it was opened in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The pools that the file holds, by name; [`Snapshot::load`] and the others take a place in this list.
    pub fn pools(&self) -> &[String] {
        &self.names
    }

    /// The chains that a pool's ledger is tied to; `None` where it never ran since they are recorded.
    pub fn chains(&self, pool: usize) -> Result<Option<String>, StoreError> {
        let recorded = self.meta.get(&self.txn, tie::key(&self.names[pool]).as_bytes())?;
        Ok(recorded.map(|recorded| String::from_utf8_lossy(recorded).into_owned()))
    }

    /// Everything of a pool but its journal. What is damaged and costs nobody money is left out: see
    /// [`Snapshot::left_out`].
    pub fn load(&self, pool: usize) -> Result<Recovered, StoreError> {
        Ok(self.pools[pool].load(&self.meta, &self.txn)?.0)
    }

    /// The damaged cells and kept blocks that [`Snapshot::load`] leaves out, each in words.
    pub fn left_out(&self, pool: usize) -> Result<Vec<String>, StoreError> {
        Ok(self.pools[pool].load(&self.meta, &self.txn)?.1)
    }

    /// Where a pool's journal ends.
    pub fn head(&self, pool: usize) -> Result<Head, StoreError> {
        self.pools[pool].head(&self.meta, &self.txn)
    }

    /// A pool's journal.
    pub fn journal(&self, pool: usize) -> SnapshotJournal<'_> {
        SnapshotJournal { snapshot: self, pool }
    }

    /// Gives the entries of a pool from number `from` on, with their links.
    pub fn visit(
        &self,
        pool: usize,
        from: u64,
        each: impl FnMut(Head, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let end = self.head(pool)?;
        self.pools[pool].journal.visit(&self.txn, from, end, each)
    }

    /// Reads every record of every pool. The error names the first that costs money or can't be done without;
    /// what [`Snapshot::load`] leaves out is answered in words.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut left_out = Vec::new();
        for pool in 0..self.pools.len() {
            left_out.extend(self.left_out(pool)?);
            self.visit(pool, 1, |_, _| ControlFlow::Continue(()))?;
        }
        Ok(left_out)
    }

    /// Copies what was committed last, which may be more than this sees, compactly to `<to>/ledger`, so that `to` can
    /// be used like a `data_dir`. The copy is on the disk and was read back when it has its name; answers like
    /// [`Snapshot::check`].
    pub fn back_up(self, to: &Path) -> Result<Vec<String>, StoreError> {
        let (unfinished, copied) = (to.join("ledger.unfinished"), place::directory(to));
        place::remove(&unfinished)?;
        place::make(&unfinished)?;
        copy(&self.env, &unfinished.join(place::DATA))?;
        drop(self);
        let left_out = Snapshot::open(&unfinished)?.check()?;
        place::forget_readers(&unfinished)?;
        place::sync(&unfinished)?;
        place::rename(&unfinished, &copied)?;
        place::sync(to)?;
        Ok(left_out)
    }
}

/// Writes a compact copy of what was committed last to `path`, and waits until it is on the disk.
pub(super) fn copy(env: &Lmdb, path: &Path) -> Result<(), StoreError> {
    let copy: File = match env.copy_to_path(path, CompactionOption::Enabled) {
        // Pages that belong to nobody keep LMDB from compacting, and cost only their room.
        Err(heed::Error::Mdb(MdbError::Incompatible)) => env.copy_to_path(path, CompactionOption::Disabled)?,
        copied => copied?,
    };
    place::keep_private(path)?;
    copy.sync_all().map_err(io_error("syncing", path))
}

/// A pool's journal in a [`Snapshot`].
pub struct SnapshotJournal<'s> {
    snapshot: &'s Snapshot,
    pool: usize,
}

impl Journal for SnapshotJournal<'_> {
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String> {
        let visited = self.snapshot.visit(self.pool, from, |head, entry| each(head.seq, entry));
        visited.map_err(|error| error.to_string())
    }
}

/// The databases while the transaction that finds them is under way.
struct Opening<'e> {
    meta: Raw<'e>,
    names: Vec<String>,
    pools: Vec<PoolDatabases<'e>>,
}

impl<'e> Opening<'e> {
    fn find(
        opener: &DatabaseOpener<'e, WithoutTls>,
        txn: &RoTxn<'e, WithoutTls>,
        directory: &Path,
    ) -> Result<CommitOrAbort<Opening<'e>, StoreError>, StoreError> {
        let missing = || StoreError::Missing(directory.into());
        let meta: Raw = opener.open_database(txn, Some(META))?.ok_or_else(missing)?;
        environment::check_schema(meta.get(txn, SCHEMA_KEY)?.ok_or_else(missing)?)?;
        let names = environment::pool_names(opener, txn)?;
        let gone = |name: &str| StoreError::Damaged(format!("there is no database {name}"));
        let mut find = |name: &str| opener.open_database(txn, Some(name))?.ok_or_else(|| gone(name));
        let pools = names.iter().map(|pool| PoolDatabases::open(pool, &mut find)).collect::<Result<_, _>>()?;
        Ok(CommitOrAbort::Commit(Opening { meta, names, pools }))
    }
}

impl OnCommit for Opening<'_> {
    type Committed = Opening<'static>;

    fn on_commit(self, token: &CommitToken) -> Opening<'static> {
        Opening {
            meta: self.meta.on_commit(token),
            names: self.names,
            pools: self.pools.into_iter().map(|pool| pool.on_commit(token)).collect(),
        }
    }
}
