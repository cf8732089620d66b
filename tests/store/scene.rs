//! What the tests of the ledger's file share: a place, batches, and a way past the store's own checks.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use edgepool::base::Hash32;
use edgepool::coin::pow::sha256d;
use edgepool::pool::record::{Batch, Cell, CellKey, ClockMark, Entry, Journal, Stamp, Term, TermSet};
use edgepool::shell::store::Store;

/// A directory of its own that goes away with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("edgepool-store-{}-{number}", std::process::id()));
        // Left behind by a process that had the same id.
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn open(dir: &Path, pools: &[&str]) -> Store {
    Store::open(dir, 16, pools).expect("the ledger opens")
}

pub fn entry(number: u32) -> Entry {
    let at = Stamp { pool_ms: u64::from(number), wall_ms: u64::MAX };
    let to = Term::MinPayout(u64::from(number) << 40);
    Entry::TermSet(TermSet { chain: 0, at, to, configured: Term::MinPayout(0) })
}

pub fn key(slot_start_ms: u64, miner: u32) -> CellKey {
    CellKey { slot_start_ms, miner }
}

pub fn clock(number: u64) -> ClockMark {
    let wall_ms = 1_700_000_000_000 + number;
    ClockMark { pool_ms: number * 1_000, wall_ms, total_work: u128::MAX, total_shares: number }
}

/// A block of `len` bytes and more, with its name.
pub fn block(number: u8, len: usize) -> (Hash32, Vec<u8>) {
    let bytes = vec![number; 80 + len];
    (sha256d(&bytes[..80]), bytes)
}

/// The journal of the first pool from entry `from` on.
pub fn journal_from(store: &Store, from: u64) -> Vec<(u64, Entry)> {
    let mut entries = Vec::new();
    let visited = store.journal(0).visit(from, &mut |seq, entry| {
        entries.push((seq, entry));
        ControlFlow::Continue(())
    });
    visited.unwrap();
    entries
}

pub fn journal(store: &Store) -> Vec<(u64, Entry)> {
    journal_from(store, 1)
}

/// One of everything; `number` makes it differ from others.
pub fn batch(number: u32) -> Batch {
    Batch {
        clock: clock(u64::from(number)),
        journal: vec![(u64::from(number), entry(number))],
        cells: vec![(key(u64::from(number) * 1_000, 7), Cell { work: u64::MAX - 1, shares: number })],
        miners: vec![(number, vec![0x76, 0xa9, number as u8])],
        blocks: vec![kept(number as u8)],
        ..Batch::default()
    }
}

pub fn kept(number: u8) -> (Hash32, Rc<[u8]>) {
    let (name, bytes) = block(number, 5_000);
    (name, bytes.into())
}

/// Writes a raw record past the store's own checks.
pub fn tamper(
    dir: &Path,
    database: &str,
    change: impl FnOnce(&heed::Database<heed::types::Bytes, heed::types::Bytes>, &mut heed::RwTxn),
) {
    let mut options = heed::EnvOpenOptions::new();
    options.max_dbs(64).map_size(16 << 20);
    // SAFETY: the test has closed the store, and nothing else knows the directory.
    let env = unsafe { options.open(dir.join("ledger")) }.unwrap();
    let db = env
        .create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
            opener.create_database(txn, Some(database)).map(heed::CommitOrAbort::<_, ()>::Commit)
        })
        .unwrap()
        .unwrap_commit();
    let mut txn = env.write_txn().unwrap();
    change(&db, &mut txn);
    txn.commit().unwrap();
}

/// Undoes that a damaged ledger was put aside.
pub fn unset_aside(scratch: &Scratch) {
    let kept = scratch.0.join("ledger.damaged-1");
    if kept.exists() {
        std::fs::rename(kept.join("data.mdb"), scratch.0.join("ledger/data.mdb")).unwrap();
        std::fs::remove_dir(kept).unwrap();
    }
}

/// A cell that differs by number.
pub fn cell(number: u32) -> Cell {
    Cell { work: u64::from(number) << 33, shares: number }
}
