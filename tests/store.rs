//! The ledger on a real disk: what was committed is there again, whole, after anything.

#![cfg(feature = "shell")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use edgepool::pool::record::{Batch, Cell, CellKey, ClockMark, Entry, Recovered, Stamp, Term, TermSet};
use edgepool::shell::store::{Space, Store, StoreError};
use proptest::prelude::*;

/// A directory of its own that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
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

fn open(dir: &Path, pools: &[&str]) -> Store {
    Store::open(dir, 16, pools).expect("the ledger opens")
}

fn entry(number: u32) -> Entry {
    let at = Stamp { pool_ms: u64::from(number), wall_ms: u64::MAX };
    let to = Term::MinPayout(u64::from(number) << 40);
    Entry::TermSet(TermSet { chain: 0, at, to, configured: Term::MinPayout(0) })
}

fn key(slot_start_ms: u64, miner: u32) -> CellKey {
    CellKey { slot_start_ms, miner }
}

fn clock(number: u64) -> ClockMark {
    let wall_ms = 1_700_000_000_000 + number;
    ClockMark { pool_ms: number * 1_000, wall_ms, total_work: u128::MAX, total_shares: number }
}

/// One of everything; `number` makes it differ from others.
fn batch(number: u32) -> Batch {
    Batch {
        clock: clock(u64::from(number)),
        journal: vec![(u64::from(number), entry(number))],
        cells: vec![(key(u64::from(number) * 1_000, 7), Cell { work: u64::MAX - 1, shares: number })],
        miners: vec![(number, vec![0x76, 0xa9, number as u8])],
        blocks: vec![([number as u8; 32], vec![number as u8; 5_000].into())],
        ..Batch::default()
    }
}

#[test]
fn what_was_committed_is_loaded_after_reopening() {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    assert_eq!(store.load(0).unwrap(), Recovered::default());
    store.commit(&[(0, &batch(1))]).unwrap();
    drop(store);

    let store = open(&scratch.0, &["ltc"]);
    let whole = Recovered {
        clock: Some(clock(1)),
        miners: vec![(1, vec![0x76, 0xa9, 1])],
        cells: vec![(key(1_000, 7), Cell { work: u64::MAX - 1, shares: 1 })],
        journal: vec![(1, entry(1))],
        blocks: vec![([1; 32], vec![1; 5_000])],
    };
    assert_eq!(store.load(0).unwrap(), whole);

    let settled = Batch { settled_blocks: vec![[1; 32]], forget_cells_before_ms: Some(1_001), ..batch(2) };
    store.commit(&[(0, &settled)]).unwrap();
    let left = store.load(0).unwrap();
    assert_eq!(left.blocks, vec![([2; 32], vec![2; 5_000])]);
    assert_eq!(left.cells, vec![(key(2_000, 7), Cell { work: u64::MAX - 1, shares: 2 })]);
}

#[test]
fn pools_in_one_commit_stay_apart_and_keep_their_records_in_any_order() {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc", "btc"]);
    let (one, two) = (Batch { miners: vec![], ..batch(1) }, Batch { cells: vec![], ..batch(1) });
    store.commit(&[(0, &one), (1, &two)]).unwrap();
    let (ltc, btc) = (store.load(0).unwrap(), store.load(1).unwrap());
    assert!(ltc.miners.is_empty() && ltc.cells.len() == 1);
    assert!(btc.cells.is_empty() && btc.miners.len() == 1);
    drop(store);

    let store = open(&scratch.0, &["doge", "btc", "ltc"]);
    assert_eq!(store.load(0).unwrap(), Recovered::default());
    assert_eq!((store.load(1).unwrap(), store.load(2).unwrap()), (btc, ltc));
}

#[test]
fn a_full_map_writes_nothing_of_the_batch_and_works_again_with_a_smaller_one() {
    let scratch = Scratch::new();
    let store = Store::open(&scratch.0, 1, &["ltc"]).unwrap();
    store.commit(&[(0, &batch(1))]).unwrap();
    let before = store.load(0).unwrap();
    let used = store.headroom().unwrap();
    assert_eq!(used.map_bytes, 1 << 20);
    assert!(used.used_bytes > 5_000 && used.used_bytes < 128 << 10, "{used:?}");

    let block = vec![9; 2 << 20].into();
    let large = Batch { blocks: vec![([9; 32], block)], ..batch(2) };
    for _ in 0..3 {
        assert!(matches!(store.commit(&[(0, &large)]), Err(StoreError::Full(Space::Map))));
        assert_eq!(store.load(0).unwrap(), before);
        assert_eq!(store.headroom().unwrap(), used);
    }
    store.commit(&[(0, &batch(2))]).unwrap();
    assert_eq!(store.load(0).unwrap().journal.len(), 2);

    // Filled with small batches to the brim, room comes back with what is settled.
    let filler = |number| Batch { settled_blocks: vec![], ..batch(number) };
    let full = (3..1_000).find(|number| store.commit(&[(0, &filler(*number))]).is_err()).expect("1 MiB fills up");
    let settle = Batch { settled_blocks: (1..full).map(|number| [number as u8; 32]).collect(), ..Batch::default() };
    store.commit(&[(0, &settle)]).unwrap();
    assert!(store.headroom().unwrap().used_bytes < 512 << 10);
    // LMDB gives the freed pages out again after the commit that follows the one that freed them.
    store.commit(&[(0, &Batch::default())]).unwrap();
    store.commit(&[(0, &batch(full))]).unwrap();
    assert_eq!(store.load(0).unwrap().journal.len(), full as usize);
}

#[test]
fn a_second_opening_is_refused_until_the_first_one_ends() {
    let scratch = Scratch::new();
    let first = open(&scratch.0, &["ltc"]);
    let refused = Store::open(&scratch.0, 16, &["ltc"]).err().expect("the directory is locked");
    assert!(matches!(refused, StoreError::Locked { .. }));
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    drop(first);
    open(&scratch.0, &["ltc"]);
}

#[test]
fn the_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let _store = open(&scratch.0, &["ltc"]);
    for directory in [scratch.0.clone(), scratch.0.join("ledger")] {
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", directory.display());
    }
}

#[test]
fn the_journal_takes_no_gap_and_no_second_version_of_an_entry() {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    store.commit(&[(0, &batch(1))]).unwrap();
    let other = Batch { journal: vec![(1, entry(99))], ..Batch::default() };
    let gap = Batch { journal: vec![(2, entry(2)), (4, entry(4))], ..Batch::default() };
    let zero = Batch { journal: vec![(0, entry(0))], ..Batch::default() };
    let moved = Batch { miners: vec![(1, vec![0x51])], ..Batch::default() };
    for wrong in [other, gap, zero, moved] {
        let refused = store.commit(&[(0, &wrong)]).expect_err("it would falsify the ledger");
        assert!(matches!(refused, StoreError::Damaged(_)), "{refused}");
        assert_eq!(store.load(0).unwrap().journal, vec![(1, entry(1))]);
    }
    // The same entry again is what follows a commit whose outcome was unknown.
    store.commit(&[(0, &Batch { journal: vec![(1, entry(1)), (2, entry(2))], ..batch(1) })]).unwrap();
    assert_eq!(store.load(0).unwrap().journal, vec![(1, entry(1)), (2, entry(2))]);
}

/// Writes a raw record past the store's own checks.
fn tamper(
    dir: &Path,
    database: &str,
    change: impl Fn(&heed::Database<heed::types::Bytes, heed::types::Bytes>, &mut heed::RwTxn),
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

#[test]
fn a_newer_format_is_refused() {
    let scratch = Scratch::new();
    drop(open(&scratch.0, &["ltc"]));
    tamper(&scratch.0, "meta", |db, txn| db.put(txn, b"schema", &9u32.to_be_bytes()).unwrap());
    let refused = Store::open(&scratch.0, 16, &["ltc"]).err().expect("format 9 is unknown");
    assert!(matches!(refused, StoreError::Schema { found: 9, known: 1 }), "{refused}");
}

#[track_caller]
fn damage(database: &str, key: &[u8], value: Option<&[u8]>, named: &str) {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    (1..=3).for_each(|number| store.commit(&[(0, &batch(number))]).unwrap());
    drop(store);
    tamper(&scratch.0, database, |db, txn| match value {
        Some(value) => db.put(txn, key, value).unwrap(),
        None => assert!(db.delete(txn, key).unwrap()),
    });
    let refused = open(&scratch.0, &["ltc"]).load(0).expect_err("the record is damaged");
    assert!(matches!(refused, StoreError::Damaged(_)));
    assert!(refused.to_string().contains(named), "{refused}");
}

#[test]
fn a_damaged_record_is_named_with_its_database_and_key() {
    let two = 2u64.to_be_bytes();
    let mut long = postcard::to_allocvec(&entry(2)).unwrap();
    long.push(0);
    damage("ltc.journal", &two, None, "record 0000000000000003 of ltc.journal");
    damage("ltc.journal", &two, Some(&[0xff]), "record 0000000000000002 of ltc.journal");
    damage("ltc.journal", &two, Some(&long), "record 0000000000000002 of ltc.journal has bytes after");
    damage("ltc.journal", b"x", Some(&[]), "record 78 of ltc.journal");
    damage("ltc.cells", &[0; 12], Some(&[0; 11]), "record 000000000000000000000000 of ltc.cells");
    damage("ltc.cells", &[0; 11], Some(&[0; 12]), "of ltc.cells");
    damage("ltc.miners", b"abc", Some(&[1]), "record 616263 of ltc.miners");
    damage("ltc.blocks", b"abc", Some(&[1]), "record 616263 of ltc.blocks");
    damage("meta", b"ltc.clock", Some(&[1]), "of meta");
}

const CHILD: &str = "EDGEPOOL_STORE_TEST_DIR";

/// Not a test by itself: the process that [`nothing_acknowledged_is_lost_by_kill_9`] kills.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&dir), &["ltc"]);
    for number in store.load(0).unwrap().journal.len() as u32 + 1.. {
        store.commit(&[(0, &batch(number))]).unwrap();
        println!("\ncommitted {number}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let scratch = Scratch::new();
    let mut acknowledged = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD, &scratch.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = |line: std::io::Result<String>| {
            if let Some(number) = line.unwrap().strip_prefix("committed ") {
                acknowledged = number.parse().unwrap();
            }
            acknowledged
        };
        let enough = lines.any(|line| seen(line) >= round * 5);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(enough, "the child ended by itself");
        // What it had printed before it died counts as well.
        lines.for_each(|line| {
            seen(line);
        });

        let store = open(&scratch.0, &["ltc"]);
        let recovered = store.load(0).unwrap();
        assert!(recovered.journal.len() >= acknowledged as usize, "round {round}");
        let expected: Vec<_> = (1..=recovered.journal.len() as u32).map(|n| (u64::from(n), entry(n))).collect();
        assert_eq!(recovered.journal, expected);
        assert_eq!(recovered.cells.len(), recovered.journal.len());
        assert_eq!(recovered.clock.unwrap().pool_ms, recovered.journal.len() as u64 * 1_000);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Cells(Vec<(u8, u8, u64, u32)>),
    Forget(u8),
    Journal(u8),
    Blocks(Vec<u8>),
    Settle(Vec<u8>),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        proptest::collection::vec((any::<u8>(), 0..4u8, any::<u64>(), any::<u32>()), 0..20).prop_map(Step::Cells),
        any::<u8>().prop_map(Step::Forget),
        (0..5u8).prop_map(Step::Journal),
        proptest::collection::vec(0..8u8, 0..3).prop_map(Step::Blocks),
        proptest::collection::vec(0..8u8, 0..3).prop_map(Step::Settle),
        Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_leave_what_a_map_in_memory_holds(steps in proptest::collection::vec(step(), 1..12)) {
        let scratch = Scratch::new();
        let mut store = Some(open(&scratch.0, &["ltc"]));
        let mut cells = BTreeMap::new();
        let mut journal = Vec::new();
        let mut blocks = BTreeMap::new();
        for step in steps {
            let mut batch = Batch::default();
            match step {
                Step::Cells(list) => for (slot, miner, work, shares) in list {
                    let (key, cell) = (key(u64::from(slot) << 56, miner.into()), Cell { work, shares });
                    batch.cells.push((key, cell));
                    cells.insert(key, cell);
                },
                Step::Forget(slot) => {
                    batch.forget_cells_before_ms = Some(u64::from(slot) << 56);
                    cells.retain(|key: &CellKey, _| key.slot_start_ms >= u64::from(slot) << 56);
                }
                Step::Journal(count) => for _ in 0..count {
                    let record = (journal.len() as u64 + 1, entry(journal.len() as u32 * 3));
                    batch.journal.push(record.clone());
                    journal.push(record);
                },
                Step::Blocks(list) => for number in list {
                    let bytes = vec![number; usize::from(number) * 1_500 + 1];
                    batch.blocks.push(([number; 32], bytes.clone().into()));
                    blocks.insert([number; 32], bytes);
                },
                Step::Settle(list) => for number in list {
                    batch.settled_blocks.push([number; 32]);
                    blocks.remove(&[number; 32]);
                },
                Step::Reopen => {
                    drop(store.take());
                    store = Some(open(&scratch.0, &["ltc"]));
                }
            }
            let store = store.as_ref().expect("it was opened again");
            store.commit(&[(0, &batch)]).unwrap();
            let held = Recovered {
                clock: Some(ClockMark::default()),
                miners: vec![],
                cells: cells.clone().into_iter().collect(),
                journal: journal.clone(),
                blocks: blocks.clone().into_iter().collect(),
            };
            prop_assert_eq!(store.load(0).unwrap(), held);
        }
    }
}
