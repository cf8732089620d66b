//! The records of one pool: how each lies in its database, and back. Never decides what is recorded.

use std::fmt::Display;
use std::ops::{Bound, ControlFlow};

use heed::types::Bytes;
use heed::{CommitToken, Database, DatabaseOpener, OnCommit, PutFlags, RoTxn, RwTxn, WithTls};

use super::StoreError;
use crate::base::Hash32;
use crate::pool::record::{Batch, Cell, CellKey, Entry, Recovered};

/// A database of bytes; keys and values are encoded here.
pub(super) type Raw<'e> = Database<'e, Bytes, Bytes>;

/// Named databases of each pool.
pub(super) const PER_POOL: usize = 4;

/// A database with its name, for errors.
struct Named<'e> {
    name: String,
    raw: Raw<'e>,
}

/// The databases of one pool.
pub(super) struct PoolDatabases<'e> {
    clock_key: String,
    journal: Named<'e>,
    cells: Named<'e>,
    miners: Named<'e>,
    blocks: Named<'e>,
}

impl<'e> PoolDatabases<'e> {
    /// Opens the databases of `pool`, and makes those that are not there.
    pub(super) fn create(
        opener: &DatabaseOpener<'e, WithTls>,
        txn: &mut RwTxn<'e>,
        pool: &str,
    ) -> Result<PoolDatabases<'e>, StoreError> {
        let mut named = |what: &str| -> Result<Named<'e>, StoreError> {
            let name = format!("{pool}.{what}");
            Ok(Named { raw: opener.create_database(txn, Some(&name))?, name })
        };
        Ok(PoolDatabases {
            journal: named("journal")?,
            cells: named("cells")?,
            miners: named("miners")?,
            blocks: named("blocks")?,
            clock_key: format!("{pool}.clock"),
        })
    }

    /// Puts a batch into the transaction.
    pub(super) fn write(&self, meta: &Raw, txn: &mut RwTxn, batch: &Batch) -> Result<(), StoreError> {
        let mark = postcard::to_allocvec(&batch.clock).expect("numbers always encode");
        meta.put(txn, self.clock_key.as_bytes(), &mark)?;
        self.append(txn, &batch.journal)?;
        for (miner, script) in &batch.miners {
            self.miners.keep(txn, &miner.to_be_bytes(), script)?;
        }
        for (key, cell) in &batch.cells {
            let key = join(key.slot_start_ms, key.miner.to_be_bytes());
            self.cells.raw.put(txn, &key, &join(cell.work, cell.shares.to_be_bytes()))?;
        }
        if let Some(before_ms) = batch.forget_cells_before_ms {
            self.forget_cells(txn, before_ms)?;
        }
        for (hash, block) in &batch.blocks {
            self.blocks.raw.put(txn, hash, block)?;
        }
        for hash in &batch.settled_blocks {
            self.blocks.raw.delete(txn, hash)?;
        }
        Ok(())
    }

    /// Journal entries continue where the last one ended. One that is there already may come again, as
    /// after a commit whose outcome the disk left open, but never with other contents.
    fn append(&self, txn: &mut RwTxn, entries: &[(u64, Entry)]) -> Result<(), StoreError> {
        let mut last = match self.journal.raw.last(txn)? {
            Some((key, _)) => u64::from_be_bytes(self.journal.exact(key, key)?),
            None => 0,
        };
        for (sequence, entry) in entries {
            let key = sequence.to_be_bytes();
            if *sequence > last + 1 || *sequence == 0 {
                return Err(self.journal.damaged(&key, format!("can't be written, the last entry is {last}")));
            }
            let bytes = postcard::to_allocvec(entry).map_err(|error| self.journal.damaged(&key, error))?;
            self.journal.keep(txn, &key, &bytes)?;
            last = last.max(*sequence);
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

    /// Everything that is recorded, in the order of the keys.
    pub(super) fn load(&self, meta: &Raw, txn: &RoTxn) -> Result<Recovered, StoreError> {
        let clock_key = self.clock_key.as_bytes();
        let mark = meta.get(txn, clock_key)?.map(|value| {
            postcard::from_bytes(value).map_err(|error| damaged(super::META, clock_key, error.to_string()))
        });
        Ok(Recovered {
            clock: mark.transpose()?,
            miners: self
                .miners
                .read(txn, |key, script| Ok((u32::from_be_bytes(self.miners.exact(key, key)?), script.to_vec())))?,
            cells: self.cells.read(txn, |key, value| {
                let wrong = || self.cells.damaged(key, "has a wrong length");
                let (slot_start_ms, miner) = split(key).ok_or_else(wrong)?;
                let (work, shares) = split(value).ok_or_else(wrong)?;
                let key = CellKey { slot_start_ms, miner: u32::from_be_bytes(miner) };
                Ok((key, Cell { work, shares: u32::from_be_bytes(shares) }))
            })?,
            blocks: self.blocks.read(txn, |key, block| {
                let hash: Hash32 = self.blocks.exact(key, key)?;
                Ok((hash, block.to_vec()))
            })?,
        })
    }

    /// Gives the journal's entries from `from` on, in order, until `each` has had enough.
    pub(super) fn visit_journal(
        &self,
        txn: &RoTxn,
        from: u64,
        each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let first = from.to_be_bytes();
        let range = (Bound::Included(first.as_slice()), Bound::Unbounded);
        for (record, expected) in self.journal.raw.range(txn, &range)?.zip(from..) {
            let (key, value) = record?;
            let sequence = u64::from_be_bytes(self.journal.exact(key, key)?);
            if sequence != expected {
                return Err(self.journal.damaged(key, format!("comes where entry {expected} should be")));
            }
            let entry = match postcard::take_from_bytes(value) {
                Ok((entry, [])) => entry,
                Ok(_) => return Err(self.journal.damaged(key, "has bytes after its end")),
                Err(error) => return Err(self.journal.damaged(key, error)),
            };
            if each(sequence, entry).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl<'e> Named<'e> {
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

    /// Puts a record that never changes once it is there.
    fn keep(&self, txn: &mut RwTxn, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match self.raw.get_or_put_with_flags(txn, PutFlags::NO_OVERWRITE, key, value)? {
            Some(present) if present != value => Err(self.damaged(key, "is there with other contents")),
            _ => Ok(()),
        }
    }

    fn exact<const N: usize>(&self, key: &[u8], bytes: &[u8]) -> Result<[u8; N], StoreError> {
        bytes.try_into().map_err(|_| self.damaged(key, "has a wrong length"))
    }

    fn damaged(&self, key: &[u8], why: impl Display) -> StoreError {
        damaged(&self.name, key, why)
    }
}

impl OnCommit for PoolDatabases<'_> {
    type Committed = PoolDatabases<'static>;

    fn on_commit(self, token: &CommitToken) -> PoolDatabases<'static> {
        let named = |named: Named| Named { raw: named.raw.on_commit(token), name: named.name };
        PoolDatabases {
            clock_key: self.clock_key,
            journal: named(self.journal),
            cells: named(self.cells),
            miners: named(self.miners),
            blocks: named(self.blocks),
        }
    }
}

/// Names the database and the key, which is printed in hexadecimal.
pub(super) fn damaged(database: &str, key: &[u8], why: impl Display) -> StoreError {
    StoreError::Damaged(format!("record {} of {database} {why}", hex::encode(key)))
}

/// A number followed by `N` bytes: keys of cells, cells and clock marks.
fn join<const N: usize>(number: u64, rest: [u8; N]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &rest].concat()
}

fn split<const N: usize>(bytes: &[u8]) -> Option<(u64, [u8; N])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest.try_into().ok()?))
}
