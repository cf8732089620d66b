//! Ledgers on disk, and what verify says of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use edgepool::pool::record::Batch;
use edgepool::shell::ledger::verify::Options;
use edgepool::shell::ledger::{Task, TaskError, Which, run};
use edgepool::shell::store::Store;

use crate::keeper::Ledgers;

/// A directory of its own that goes away with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("edgepool-verify-{}-{number}", std::process::id()));
        // Left behind by a process that had the same id.
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }

    /// A directory with this ledger, correctly chained and sealed.
    pub fn with(ledger: &Ledgers) -> Scratch {
        Scratch::of_pools(ledger, &["ltc"])
    }

    /// A directory in which each of these pools has this ledger.
    pub fn of_pools(ledger: &Ledgers, pools: &[&str]) -> Scratch {
        let ledgers: Vec<(&str, &Ledgers)> = pools.iter().map(|pool| (*pool, ledger)).collect();
        Scratch::of_ledgers(&ledgers)
    }

    /// A directory in which each pool has its own.
    pub fn of_ledgers(ledgers: &[(&str, &Ledgers)]) -> Scratch {
        let scratch = Scratch::new();
        let pools: Vec<&str> = ledgers.iter().map(|(pool, _)| *pool).collect();
        let store = Store::open(&scratch.0, 16, &pools).unwrap();
        let batch = |(_, ledger): &(&str, &Ledgers)| Batch {
            clock: ledger.clock,
            journal: (1..).zip(ledger.entries.iter().cloned()).collect(),
            cells: ledger.cells.iter().map(|(key, cell)| (*key, *cell)).collect(),
            miners: ledger.miners.iter().map(|(miner, script)| (*miner, script.clone())).collect(),
            ..Batch::default()
        };
        let batches: Vec<Batch> = ledgers.iter().map(batch).collect();
        let batches: Vec<(usize, &Batch)> = batches.iter().enumerate().collect();
        store.commit(&batches).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What verify says: a summary, or every fault.
pub fn verify(data_dir: &Path, config: &Path, options: Options) -> Result<String, Vec<String>> {
    let which = Which { config: config.into(), data_dir: Some(data_dir.into()) };
    match run(&which, &Task::Verify(options)) {
        Ok(text) => Ok(text),
        Err(TaskError::Faults { wrong, .. }) => Err(wrong),
        Err(other) => panic!("{other}"),
    }
}

/// What verify says of a ledger with which nothing is wrong, though not everything could be checked: what was, and what
/// was not.
#[track_caller]
pub fn unchecked(data_dir: &Path, config: &Path, options: Options) -> (String, Vec<String>) {
    let which = Which { config: config.into(), data_dir: Some(data_dir.into()) };
    match run(&which, &Task::Verify(options)) {
        Err(TaskError::Unchecked { checked, unchecked, .. }) => (checked, unchecked),
        other => panic!("everything was checked, or something is wrong: {other:?}"),
    }
}

pub fn verify_alone(data_dir: &Path) -> Result<String, Vec<String>> {
    verify(data_dir, Path::new("none"), Options::default())
}

/// One of the faults names the place and says what is wrong.
#[track_caller]
pub fn assert_found(faults: &[String], place: &str, what: &str) {
    let found = faults.iter().any(|line| line.contains(place) && line.contains(what));
    assert!(found, "nothing about {place:?} and {what:?} in\n{}", faults.join("\n"));
}
