//! The records of one pool: how each lies in its database, and back. Never decides what is recorded.

use std::fmt::Display;

use heed::types::Bytes;
use heed::{CommitToken, Database, OnCommit, PutFlags, RoTxn, RwTxn};

use super::StoreError;
use super::journal::{Head, JournalDatabase};
use super::recent::Recent;
use super::seal::{opened, sealed};
use crate::base::Hash32;
use crate::pool::record::{Batch, Cell, CellKey, MinerId, Recovered};

/// A database of bytes; keys and values are encoded here.
pub(super) type Raw<'e> = Database<'e, Bytes, Bytes>;

/// Named databases of each pool.
pub(super) const PER_POOL: usize = 4;
/// How the name of a pool's journal ends; what is before it is the pool's name.
pub(super) const JOURNAL: &str = ".journal";

/// A database with its name, for errors.
pub(super) struct Named<'e> {
    pub(super) name: String,
    pub(super) raw: Raw<'e>,
}

/// The databases of one pool.
pub(super) struct PoolDatabases<'e> {
    recent_key: String,
    pub(super) journal: JournalDatabase<'e>,
    cells: Named<'e>,
    miners: Named<'e>,
    blocks: Named<'e>,
}

impl<'e> PoolDatabases<'e> {
    /// The databases of `pool`, each opened by its name.
    pub(super) fn open(
        pool: &str,
        mut database: impl FnMut(&str) -> Result<Raw<'e>, StoreError>,
    ) -> Result<PoolDatabases<'e>, StoreError> {
        let mut named = |name: String| -> Result<Named<'e>, StoreError> { Ok(Named { raw: database(&name)?, name }) };
        Ok(PoolDatabases {
            journal: named(format!("{pool}{JOURNAL}"))?.into(),
            cells: named(format!("{pool}.cells"))?,
            miners: named(format!("{pool}.miners"))?,
            blocks: named(format!("{pool}.blocks"))?,
            recent_key: format!("{pool}.recent"),
        })
    }

    /// Puts a batch into the transaction.
    pub(super) fn write(&self, meta: &Raw, txn: &mut RwTxn, batch: &Batch) -> Result<(), StoreError> {
        let mut recent = self.recent(meta, txn)?.unwrap_or_default();
        recent.mark = batch.clock;
        recent.head = self.journal.append(txn, &batch.journal)?;
        for (miner, script) in &batch.miners {
            let key = miner.to_be_bytes();
            self.miners.keep(txn, &key, &sealed(&key, script))?;
        }
        batch.cells.iter().for_each(|(key, cell)| recent.put(*key, *cell));
        if let Some(before_ms) = batch.forget_cells_before_ms {
            recent.forget(before_ms);
            self.forget_cells(txn, before_ms)?;
        }
        let (bytes, cells) = recent.encode();
        for (key, cell) in cells {
            let key = join(key.slot_start_ms, key.miner.to_be_bytes());
            self.cells.raw.put(txn, &key, &sealed(&key, &join(cell.work, cell.shares.to_be_bytes())))?;
        }
        let key = self.recent_key.as_bytes();
        meta.put(txn, key, &sealed(key, &bytes))?;
        for (hash, block) in &batch.blocks {
            self.blocks.raw.put(txn, hash, &sealed(hash, block))?;
        }
        for hash in &batch.settled_blocks {
            self.blocks.raw.delete(txn, hash)?;
        }
        Ok(())
    }

    fn forget_cells(&self, txn: &mut RwTxn, before_ms: u64) -> Result<(), StoreError> {
        let end = before_ms.to_be_bytes();
        // One at a time: there are few, and a range can't be walked while it is cut.
        while let Some((key, _)) = self.cells.raw.first(txn)?.filter(|(key, _)| *key < end.as_slice()) {
            let key = key.to_vec();
            self.cells.raw.delete(txn, &key)?;
        }
        Ok(())
    }

    /// Everything that is recorded but the journal, in the order of the keys, and what had to be left out: cells
    /// and kept blocks that are damaged cost nobody more than themselves.
    pub(super) fn load(&self, meta: &Raw, txn: &RoTxn) -> Result<(Recovered, Vec<String>), StoreError> {
        let mut left_out = Vec::new();
        let recent = self.recent(meta, txn)?;
        let miners = self.miners.read(txn, |key, stored| self.miner(key, stored))?;
        let mut cells = self.cells.read_whole(txn, &mut left_out, cell)?;
        for (key, cell) in recent.iter().flat_map(Recent::cells) {
            match cells.binary_search_by_key(&key, |(key, _)| *key) {
                Ok(index) => cells[index].1 = cell,
                Err(index) => cells.insert(index, (key, cell)),
            }
        }
        let blocks = self.blocks.read_whole(txn, &mut left_out, block)?;
        Ok((Recovered { clock: recent.map(|recent| recent.mark), miners, cells, blocks }, left_out))
    }

    /// Where the journal ends, as the last commit has it.
    pub(super) fn head(&self, meta: &Raw, txn: &RoTxn) -> Result<Head, StoreError> {
        Ok(self.recent(meta, txn)?.map_or_else(Head::default, |recent| recent.head))
    }

    fn recent(&self, meta: &Raw, txn: &RoTxn) -> Result<Option<Recent>, StoreError> {
        let key = self.recent_key.as_bytes();
        let wrong = |why: String| damaged(super::META, key, why);
        let Some(stored) = meta.get(txn, key)? else { return Ok(None) };
        let bytes = opened(key, stored).ok_or_else(|| wrong("does not match its check".into()))?;
        Recent::decode(bytes).map(Some).map_err(wrong)
    }

    fn miner(&self, key: &[u8], stored: &[u8]) -> Result<(MinerId, Vec<u8>), StoreError> {
        let miner = u32::from_be_bytes(self.miners.exact(key, key)?);
        let script = opened(key, stored).ok_or_else(|| self.miners.damaged(key, "does not match its check"))?;
        Ok((miner, script.to_vec()))
    }
}

fn cell(key: &[u8], stored: &[u8]) -> Option<(CellKey, Cell)> {
    let (slot_start_ms, miner) = split(key)?;
    let (work, shares) = split(opened(key, stored)?)?;
    let key = CellKey { slot_start_ms, miner: u32::from_be_bytes(miner) };
    Some((key, Cell { work, shares: u32::from_be_bytes(shares) }))
}

/// A block by its id: whole, or what its node is sent to complete one that it keeps.
fn block(key: &[u8], stored: &[u8]) -> Option<(Hash32, Vec<u8>)> {
    Some((key.try_into().ok()?, opened(key, stored)?.to_vec()))
}

impl Named<'_> {
    fn read<T>(
        &self,
        txn: &RoTxn,
        mut decode: impl FnMut(&[u8], &[u8]) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let records = self.raw.iter(txn)?;
        records
            .map(|record| {
                let (key, value) = record?;
                decode(key, value)
            })
            .collect()
    }

    /// The records that are whole; those that are not are named in `left_out`.
    fn read_whole<T>(
        &self,
        txn: &RoTxn,
        left_out: &mut Vec<String>,
        decode: impl Fn(&[u8], &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = self.read(txn, |key, value| {
            let whole = decode(key, value);
            if whole.is_none() {
                left_out.push(described(&self.name, key, "is damaged"));
            }
            Ok(whole)
        })?;
        Ok(all.into_iter().flatten().collect())
    }

    /// Puts a record that never changes once it is there.
    fn keep(&self, txn: &mut RwTxn, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match self.raw.get_or_put_with_flags(txn, PutFlags::NO_OVERWRITE, key, value)? {
            Some(present) if present != value => Err(self.damaged(key, "is there with other contents")),
            _ => Ok(()),
        }
    }

    /// Bytes of exactly this length.
    pub(super) fn exact<const N: usize>(&self, key: &[u8], bytes: &[u8]) -> Result<[u8; N], StoreError> {
        bytes.try_into().map_err(|_| self.damaged(key, "has a wrong length"))
    }

    /// Says that a record of this database is damaged.
    pub(super) fn damaged(&self, key: &[u8], why: impl Display) -> StoreError {
        damaged(&self.name, key, why)
    }
}

impl OnCommit for Named<'_> {
    type Committed = Named<'static>;

    fn on_commit(self, token: &CommitToken) -> Named<'static> {
        Named { raw: self.raw.on_commit(token), name: self.name }
    }
}

impl OnCommit for PoolDatabases<'_> {
    type Committed = PoolDatabases<'static>;

    fn on_commit(self, token: &CommitToken) -> PoolDatabases<'static> {
        PoolDatabases {
            recent_key: self.recent_key,
            journal: self.journal.on_commit(token),
            cells: self.cells.on_commit(token),
            miners: self.miners.on_commit(token),
            blocks: self.blocks.on_commit(token),
        }
    }
}

/// Names the database and the key, which is printed in hexadecimal.
pub(super) fn damaged(database: &str, key: &[u8], why: impl Display) -> StoreError {
    StoreError::Damaged(described(database, key, why))
}

fn described(database: &str, key: &[u8], why: impl Display) -> String {
    format!("record {} of {database} {why}", hex::encode(key))
}

/// A number followed by `N` bytes: keys of cells and cells.
fn join<const N: usize>(number: u64, rest: [u8; N]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &rest].concat()
}

fn split<const N: usize>(bytes: &[u8]) -> Option<(u64, [u8; N])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest.try_into().ok()?))
}
