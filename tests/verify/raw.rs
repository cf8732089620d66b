//! Faults of the card or of somebody who does not know the format: bytes that are not what was written.

use std::path::Path;

use crate::keeper::true_ledger;
use crate::place::{Scratch, assert_found, verify_alone};

type Bytes = heed::types::Bytes;

/// Changes a database past the store's own checks.
fn tamper(dir: &Path, database: &str, change: impl FnOnce(&heed::Database<Bytes, Bytes>, &mut heed::RwTxn)) {
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

#[track_caller]
fn case(database: &str, place: &str, what: &str, change: impl FnOnce(&heed::Database<Bytes, Bytes>, &mut heed::RwTxn)) {
    let scratch = Scratch::with(&true_ledger());
    verify_alone(&scratch.0).expect("it was true");
    tamper(&scratch.0, database, change);
    let faults = verify_alone(&scratch.0).expect_err("the fault is found");
    assert_found(&faults, place, what);
}

fn key(seq: u64) -> [u8; 8] {
    seq.to_be_bytes()
}

#[test]
fn altered_missing_doubled_and_swapped_records_of_the_journal_are_found_at_their_number() {
    let read =
        |db: &heed::Database<Bytes, Bytes>, txn: &heed::RwTxn, seq| db.get(txn, &key(seq)).unwrap().unwrap().to_vec();
    case("ltc.journal", "entry 7", "record 0000000000000007 of ltc.journal", |db, txn| {
        let mut value = read(db, txn, 7);
        value[60] ^= 4;
        db.put(txn, &key(7), &value).unwrap();
    });
    case("ltc.journal", "entry 9", "comes where entry 9 should be", |db, txn| {
        assert!(db.delete(txn, &key(9)).unwrap());
    });
    case("ltc.journal", "entry 48", "record 0000000000000030 of ltc.journal", |db, txn| {
        let last = read(db, txn, 47);
        db.put(txn, &key(48), &last).unwrap();
    });
    case("ltc.journal", "entry 3", "record 0000000000000003 of ltc.journal", |db, txn| {
        let (three, five) = (read(db, txn, 3), read(db, txn, 5));
        db.put(txn, &key(3), &five).unwrap();
        db.put(txn, &key(5), &three).unwrap();
    });
    case("ltc.journal", "entry 47", "should be the last one, number 47", |db, txn| {
        assert!(db.delete(txn, &key(47)).unwrap());
    });
}

#[test]
fn altered_scripts_cells_and_marks_are_found_by_their_checks() {
    case("ltc.miners", "the file", "record 00000002 of ltc.miners", |db, txn| {
        let mut value = db.get(txn, &2u32.to_be_bytes()).unwrap().unwrap().to_vec();
        value[5] ^= 1;
        db.put(txn, &2u32.to_be_bytes(), &value).unwrap();
    });
    case("meta", "the file", "of meta does not match its check", |db, txn| {
        let mut value = db.get(txn, b"ltc.recent").unwrap().unwrap().to_vec();
        value[3] ^= 1;
        db.put(txn, b"ltc.recent", &value).unwrap();
    });
    case("ltc.cells", "the file", "of ltc.cells is damaged", |db, txn| {
        let name = [&1_795_000_200_000u64.to_be_bytes()[..], &1u32.to_be_bytes()].concat();
        db.put(txn, &name, &[7; 16]).unwrap();
    });
}
