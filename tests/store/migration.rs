//! A ledger of an older version is carried on, and kept as it was.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use edgepool::base::Hash32;
use edgepool::coin::script::Script;
use edgepool::pool::ledger::Ledger;
use edgepool::pool::record::*;
use edgepool::pool::spec::Terms;
use edgepool::shell::store::{Store, StoreError};

use crate::program;
use crate::scene::*;

/// The records of a ledger as version 0.1.0 wrote it: names of databases, and below each its records.
const OLD: &str = include_str!("../vectors/ledger-schema1.txt");
const POOLS: [&str; 3] = ["ltc", "empty", "btc"];

/// Writes the old ledger as its version would have.
fn write_old(dir: &Path) {
    std::fs::create_dir_all(dir.join("ledger")).unwrap();
    let mut database = "";
    for line in OLD.lines() {
        let Some(record) = line.strip_prefix("  ") else {
            database = line;
            tamper(dir, database, |_, _| ());
            continue;
        };
        let (key, value) = record.split_once(' ').expect("a key and a value");
        let (key, value) = (hex::decode(key).unwrap(), hex::decode(value).unwrap());
        tamper(dir, database, |db, txn| db.put(txn, &key, &value).unwrap());
    }
}

fn at(number: u64) -> Stamp {
    Stamp { pool_ms: 1_700_000_000_000 + number, wall_ms: 1_800_000_000_000 + number }
}

fn mark(number: u64) -> Option<ClockMark> {
    let Stamp { pool_ms, wall_ms } = at(number);
    Some(ClockMark { pool_ms, wall_ms, total_work: (1 << 70) + u128::from(number), total_shares: number })
}

fn part(miner: u32, balance_before: i64, entitled: u64) -> Part {
    Part { miner, work: 1_000 * u64::from(miner), balance_before, entitled }
}

fn found(hash: Hash32, value: u64, pool_amount: u64, outputs: Vec<Payout>, parts: Vec<Part>) -> Entry {
    Entry::BlockFound(Box::new(BlockFound {
        chain: 0,
        hash,
        height: 700_001,
        at: at(5),
        job_at: at(5),
        finder: 3,
        worker: "rig1".into(),
        network_difficulty: 1 << 40,
        total_work: (1 << 70) + 5,
        value,
        fee_ppm: 10_000,
        min_payout: 100,
        max_outputs: 10,
        pool_script: vec![0x51],
        pool_amount,
        outputs,
        parts,
        rebuilt: false,
    }))
}

fn judged(hash: Hash32, number: u64, status: BlockStatus) -> Entry {
    Entry::BlockJudged(BlockJudged { chain: 0, hash, at: at(number), status, is_final: false })
}

fn term(number: u64, to: Term, configured: Term) -> Entry {
    Entry::TermSet(TermSet { chain: 0, at: at(number), to, configured })
}

/// What was put in when the old file was written, as it reads today.
fn expected() -> Vec<Entry> {
    let hash = block(7, 0).0;
    let outputs = [(4, 400), (3, 300), (1, 300)].map(|(miner, amount)| Payout { miner, amount });
    let parts = vec![part(1, 0, 300), part(2, 0, 50), part(3, -20, 320), part(4, 100, 300)];
    vec![
        term(1, Term::FeePpm(10_000), Term::FeePpm(20_000)),
        term(2, Term::PoolScript(vec![0x51]), Term::PoolScript(vec![0x52, 0x53])),
        found(hash, 1_000_000, 999_000, outputs.to_vec(), parts),
        judged(hash, 6, BlockStatus::Accepted),
        found([9; 32], 500, 500, vec![], vec![]),
        judged([9; 32], 8, BlockStatus::Orphaned("reorg".into())),
        found([8; 32], 500, 500, vec![], vec![part(1, 0, 5)]),
        judged([8; 32], 9, BlockStatus::Rejected("bad-txns".into())),
        term(9, Term::MinPayout(7), Term::MinPayout(100)),
    ]
}

#[track_caller]
fn is_converted(dir: &Path) {
    let store = open(dir, &POOLS);
    let recovered = store.load(0).unwrap();
    assert_eq!(recovered.clock, mark(9));
    let cell = |work, shares| Cell { work, shares };
    let cells = vec![(key(1_699_999_000_000, 1), cell(77, 3)), (key(1_699_999_300_000, 3), cell(u64::MAX, u32::MAX))];
    assert_eq!(recovered.cells, cells);
    assert_eq!(recovered.miners, [(1, vec![0x76, 1]), (2, vec![0x76, 2]), (3, vec![0, 3]), (4, vec![0xa9, 4])]);
    assert_eq!(recovered.blocks, [(block(7, 0).0, [&[7; 80][..], &[1, 2, 3]].concat())]);
    let entries: Vec<Entry> = journal(&store).into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(entries, expected());
    assert_eq!(store.load(1).unwrap(), Recovered::default());
    assert_eq!(store.load(2).unwrap(), Recovered { clock: mark(2), ..Recovered::default() });
    assert!(dir.join("ledger.schema1/data.mdb").exists() && !dir.join("ledger.schema1-2").exists());
    assert!(!dir.join("ledger/making").exists() && !dir.join("ledger.schema1.unfinished").exists());
}

#[test]
fn an_old_ledger_is_converted_and_kept_and_adds_up() {
    let scratch = Scratch::new();
    write_old(&scratch.0);
    is_converted(&scratch.0);
    is_converted(&scratch.0);

    let terms = Terms { pool_script: Script::from_bytes(vec![0x51]), fee_ppm: 0, min_payout: 0, max_outputs: 1 };
    let mut ledger = Ledger::new(0, terms);
    for (seq, entry) in (1..).zip(expected()) {
        ledger.apply(seq, &entry).unwrap();
    }
    ledger.check().unwrap();
    let balances: Vec<_> = ledger.accounts().map(|(miner, account)| (miner, account.balance, account.paid)).collect();
    assert_eq!(balances[..4], [(1, 0, 300), (2, 50, 0), (3, 20, 300), (4, -100, 400)]);

    // The one that was kept can be put back and converted again.
    let data = |dir: &str| scratch.0.join(dir).join("data.mdb");
    std::fs::copy(data("ledger.schema1"), data("ledger")).unwrap();
    is_converted(&scratch.0);
}

#[test]
fn a_reader_says_that_the_daemon_converts() {
    let scratch = Scratch::new();
    write_old(&scratch.0);
    let refused = Store::open_read_only(&scratch.0).err().expect("it is old");
    assert!(matches!(refused, StoreError::Schema { found: 1, known: 2 }));
    assert!(refused.to_string().contains("the next edgepool run converts it"), "{refused}");
}

#[test]
fn an_old_entry_that_cannot_be_read_is_damage() {
    let scratch = Scratch::new();
    write_old(&scratch.0);
    tamper(&scratch.0, "ltc.journal", |db, txn| db.put(txn, &4u64.to_be_bytes(), &[9]).unwrap());
    let refused = Store::open(&scratch.0, 16, &POOLS).err().expect("entry 4 is nothing");
    assert!(
        matches!(&refused, StoreError::SetAside { what: Some(what), .. } if what.contains("ltc.journal")),
        "{refused}"
    );
    assert!(scratch.0.join("ledger.damaged-1/data.mdb").exists());
}

#[test]
fn whatever_an_interrupted_conversion_left_behind_is_no_hindrance() {
    let leftovers: [&[&str]; 3] = [
        &["ledger.schema1.unfinished/data.mdb"],
        &["ledger/making/data.mdb", "ledger/making/lock.mdb"],
        &["ledger.schema1.unfinished/data.mdb", "ledger/making/data.mdb"],
    ];
    for (files, keep_copy) in leftovers.iter().flat_map(|files| [(files, false), (files, true)]) {
        let scratch = Scratch::new();
        write_old(&scratch.0);
        if keep_copy {
            // As far as the copy, and no further.
            let old = std::fs::read(scratch.0.join("ledger/data.mdb")).unwrap();
            drop(open(&scratch.0, &POOLS));
            std::fs::write(scratch.0.join("ledger/data.mdb"), old).unwrap();
        }
        for file in *files {
            let file = scratch.0.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, [0x5a; 5_000]).unwrap();
        }
        is_converted(&scratch.0);
    }
}

const CHILD: &str = "EDGEPOOL_MIGRATION_TEST_DIR";

/// Not a test by itself: the process that is killed while it converts.
#[test]
fn child_that_converts() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    open(Path::new(&dir), &POOLS);
}

#[test]
fn a_conversion_that_is_killed_at_any_moment_is_done_by_the_next_start() {
    for delay_ms in 0..25 {
        let scratch = Scratch::new();
        write_old(&scratch.0);
        let mut child = program::test_program()
            .args(["--exact", "migration::child_that_converts", "--test-threads=1"])
            .env(CHILD, &scratch.0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        is_converted(&scratch.0);
    }
}
