//! What was committed is there again, whole, and nothing else is.

use std::collections::BTreeMap;

use edgepool::pool::record::{Batch, Cell, CellKey, ClockMark, Recovered};
use edgepool::shell::store::{Space, Store, StoreError};
use proptest::prelude::*;

use crate::scene::*;

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
        blocks: vec![block(1, 5_000)],
    };
    assert_eq!(store.load(0).unwrap(), whole);
    assert_eq!(journal(&store), vec![(1, entry(1))]);

    let settled = Batch { settled_blocks: vec![kept(1).0], forget_cells_before_ms: Some(1_001), ..batch(2) };
    store.commit(&[(0, &settled)]).unwrap();
    let left = store.load(0).unwrap();
    assert_eq!(left.blocks, vec![block(2, 5_000)]);
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
    assert_eq!((used.map_bytes, used.page_bytes), (1 << 20, 4_096), "also where the system's pages are larger");
    assert!(used.used_bytes > 5_000 && used.used_bytes < 128 << 10, "{used:?}");

    let (name, bytes) = block(9, 2 << 20);
    let large = Batch { blocks: vec![(name, bytes.into())], ..batch(2) };
    for _ in 0..3 {
        assert!(matches!(store.commit(&[(0, &large)]), Err(StoreError::Full(Space::Map))));
        assert_eq!(store.load(0).unwrap(), before);
        assert_eq!(store.headroom().unwrap(), used);
    }
    store.commit(&[(0, &batch(2))]).unwrap();
    assert_eq!(journal(&store).len(), 2);

    // Filled with small batches to the brim, room comes back with what is settled.
    let filler = |number| Batch { settled_blocks: vec![], ..batch(number) };
    let full = (3..1_000).find(|number| store.commit(&[(0, &filler(*number))]).is_err()).expect("1 MiB fills up");
    let settle = Batch { settled_blocks: (1..full).map(|number| kept(number as u8).0).collect(), ..Batch::default() };
    store.commit(&[(0, &settle)]).unwrap();
    assert!(store.headroom().unwrap().used_bytes < 512 << 10);
    // LMDB gives the freed pages out again after the commit that follows the one that freed them.
    store.commit(&[(0, &Batch::default())]).unwrap();
    store.commit(&[(0, &batch(full))]).unwrap();
    assert_eq!(journal(&store).len(), full as usize);
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
fn a_first_start_that_ended_before_the_file_had_its_name_is_a_first_start_still() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.0.join("ledger")).unwrap();
    std::fs::write(scratch.0.join("ledger/data.mdb.unfinished"), "").unwrap();
    let store = open(&scratch.0, &["ltc"]);
    assert_eq!(store.load(0).unwrap(), Recovered::default());
    store.commit(&[(0, &batch(1))]).unwrap();
}

#[test]
fn a_ledger_that_is_emptied_taken_away_or_out_of_reach_is_not_replaced_by_a_new_one() {
    type Loss = fn(&std::path::Path);
    let emptied: Loss = |file| std::fs::write(file, "").unwrap();
    let taken: Loss = |file| std::fs::remove_file(file).unwrap();
    let unmounted: Loss = |file| {
        std::fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink("/nowhere/data.mdb", file).unwrap();
    };
    for (loss, word) in [(emptied, "it is empty"), (taken, "is gone from"), (unmounted, "/data.mdb")] {
        let scratch = Scratch::new();
        open(&scratch.0, &["ltc"]).commit(&[(0, &batch(1))]).unwrap();
        loss(&scratch.0.join("ledger/data.mdb"));
        let Err(refused) = Store::open(&scratch.0, 16, &["ltc"]) else { panic!("{word}: a new one was made") };
        assert!(refused.to_string().contains(word), "{refused}");
    }
}

#[test]
fn a_pool_keeps_the_coins_that_it_has_money_in() {
    let scratch = Scratch::new();
    let tie =
        |chains: &[&str]| open(&scratch.0, &["ltc"]).tie(0, &chains.join(", ")).map_err(|error| error.to_string());
    assert_eq!(tie(&["litecoin mainnet"]), Ok(()));
    assert_eq!(tie(&["litecoin mainnet"]), Ok(()));
    let refused = tie(&["bitcoin mainnet"]).unwrap_err();
    assert!(refused.contains("is of litecoin mainnet") && refused.ends_with("another name"), "{refused}");
    assert!(tie(&["litecoin testnet"]).is_err());
    assert_eq!(tie(&["litecoin mainnet", "dogecoin mainnet"]), Ok(()));
    let refused = tie(&["litecoin mainnet"]).expect_err("what is owed in dogecoin would be forgotten");
    assert!(refused.ends_with("one that is not to be mined any more \"mine\": false"), "{refused}");
    assert!(tie(&["dogecoin mainnet", "litecoin mainnet"]).is_err());
    assert_eq!(open(&scratch.0, &["ltc"]).strangers().unwrap(), Vec::<String>::new());
    assert_eq!(open(&scratch.0, &["renamed"]).strangers().unwrap(), ["ltc"]);
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
        assert_eq!(journal(&store), vec![(1, entry(1))]);
    }
    // The same entry again is what follows a commit whose outcome was unknown.
    store.commit(&[(0, &Batch { journal: vec![(1, entry(1)), (2, entry(2))], ..batch(1) })]).unwrap();
    assert_eq!(journal(&store), vec![(1, entry(1)), (2, entry(2))]);
}

#[test]
fn a_newer_format_is_refused() {
    let scratch = Scratch::new();
    drop(open(&scratch.0, &["ltc"]));
    tamper(&scratch.0, "meta", |db, txn| db.put(txn, b"schema", &9u32.to_be_bytes()).unwrap());
    let refused = Store::open(&scratch.0, 16, &["ltc"]).err().expect("format 9 is unknown");
    assert!(matches!(refused, StoreError::Schema { found: 9, known: 2 }), "{refused}");
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
        let mut entries = Vec::new();
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
                    let record = (entries.len() as u64 + 1, entry(entries.len() as u32 * 3));
                    batch.journal.push(record.clone());
                    entries.push(record);
                },
                Step::Blocks(list) => for number in list {
                    let (name, bytes) = block(number, usize::from(number) * 1_500);
                    batch.blocks.push((name, bytes.clone().into()));
                    blocks.insert(name, bytes);
                },
                Step::Settle(list) => for number in list {
                    let (name, _) = block(number, 0);
                    batch.settled_blocks.push(name);
                    blocks.remove(&name);
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
                blocks: blocks.clone().into_iter().collect(),
            };
            prop_assert_eq!(store.load(0).unwrap(), held);
            prop_assert_eq!(journal(store), entries.clone());
        }
    }
}
