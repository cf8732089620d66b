//! A rotten card: whatever flips is noticed, and the ledger is not forgotten.

use edgepool::pool::record::Batch;
use edgepool::shell::store::{Store, StoreError};

use crate::program;
use crate::scene::*;

/// A ledger with three of everything, closed.
fn written() -> Scratch {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    (1..=3).for_each(|number| store.commit(&[(0, &batch(number))]).unwrap());
    scratch
}

/// Reads all that is there.
fn read(scratch: &Scratch) -> Result<(), StoreError> {
    let store = open(&scratch.0, &["ltc"]);
    store.load(0)?;
    store.check_journal(0)
}

#[track_caller]
fn damage(database: &str, key: &[u8], value: Option<&[u8]>, named: &str) {
    let scratch = written();
    tamper(&scratch.0, database, |db, txn| match value {
        Some(value) => db.put(txn, key, value).unwrap(),
        None => assert!(db.delete(txn, key).unwrap()),
    });
    let refused = read(&scratch).expect_err("the record is damaged");
    assert!(matches!(refused, StoreError::Damaged(_)));
    assert!(refused.to_string().contains(named), "{refused}");
}

#[test]
fn a_damaged_record_is_named_with_its_database_and_key() {
    let (two, three) = (2u64.to_be_bytes(), 3u64.to_be_bytes());
    damage("ltc.journal", &two, None, "record 0000000000000003 of ltc.journal comes where entry 2 should be");
    damage("ltc.journal", &two, Some(&[0xff]), "record 0000000000000002 of ltc.journal is too short");
    damage("ltc.journal", &two, Some(&[0; 40]), "record 0000000000000002 of ltc.journal does not follow");
    damage("ltc.journal", &three, None, "record 0000000000000003 of ltc.journal should be the last one");
    damage("ltc.journal", b"x", Some(&[]), "record 78 of ltc.journal");
    damage("ltc.miners", b"abc", Some(&[1]), "record 616263 of ltc.miners");
    damage("ltc.miners", &[0, 0, 0, 9], Some(&[1, 2, 3, 4, 5, 6]), "does not match its check");
    damage("meta", b"ltc.recent", Some(&[1]), "of meta does not match its check");
    damage("meta", b"ltc.recent", None, "should be the last one, number 0");
}

#[test]
fn entries_that_changed_places_or_were_doubled_are_noticed() {
    let scratch = written();
    tamper(&scratch.0, "ltc.journal", |db, txn| {
        let record = |number: u64| db.get(txn, &number.to_be_bytes()).unwrap().unwrap().to_vec();
        let (one, two) = (record(1), record(2));
        db.put(txn, &1u64.to_be_bytes(), &two).unwrap();
        db.put(txn, &2u64.to_be_bytes(), &one).unwrap();
    });
    assert!(read(&scratch).unwrap_err().to_string().contains("0000000000000001"));

    let scratch = written();
    tamper(&scratch.0, "ltc.journal", |db, txn| {
        let last = db.get(txn, &3u64.to_be_bytes()).unwrap().unwrap().to_vec();
        db.put(txn, &4u64.to_be_bytes(), &last).unwrap();
    });
    assert!(read(&scratch).unwrap_err().to_string().contains("0000000000000004"));
}

/// Flips one bit of every byte of every value of a database, one after the other.
fn flip_everywhere(database: &str, mut check: impl FnMut(&Scratch, &str)) {
    let scratch = written();
    let mut records = Vec::new();
    tamper(&scratch.0, database, |db, txn| {
        records.extend(db.iter(txn).unwrap().map(|record| record.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap()));
    });
    assert!(!records.is_empty());
    for (key, value) in records {
        for index in 0..value.len().min(200) {
            let mut flipped = value.clone();
            flipped[index] ^= 1 << (index % 8);
            tamper(&scratch.0, database, |db, txn| db.put(txn, &key, &flipped).unwrap());
            check(&scratch, &format!("byte {index} of {database} {}", hex::encode(&key)));
        }
        tamper(&scratch.0, database, |db, txn| db.put(txn, &key, &value).unwrap());
    }
    read(&scratch).expect("everything is as it was");
}

#[test]
fn every_flipped_bit_of_journal_miners_and_clock_is_noticed() {
    for database in ["ltc.journal", "ltc.miners", "meta"] {
        flip_everywhere(database, |scratch, what| {
            assert!(
                Store::open(&scratch.0, 16, &["ltc"])
                    .and_then(|store| {
                        store.load(0)?;
                        store.check_journal(0)
                    })
                    .is_err(),
                "{what}"
            );
            unset_aside(scratch);
        });
    }
}

#[test]
fn a_damaged_cell_or_kept_block_costs_only_itself() {
    let scratch = written();
    // So many that the cells get their own places.
    let cells: Vec<_> = (0..600).map(|miner| (key(9_000, miner), Default::default())).collect();
    open(&scratch.0, &["ltc"]).commit(&[(0, &Batch { cells, ..Batch::default() })]).unwrap();
    let whole = open(&scratch.0, &["ltc"]).load(0).unwrap();
    assert_eq!((whole.cells.len(), whole.blocks.len()), (603, 3));
    tamper(&scratch.0, "ltc.cells", |db, txn| {
        for (key, value) in [([0; 12], vec![0; 16]), ([1; 12], vec![0; 11])] {
            db.put(txn, &key, &value).unwrap();
        }
        let key = [&9_000u64.to_be_bytes()[..], &5u32.to_be_bytes()].concat();
        let mut value = db.get(txn, &key).unwrap().unwrap().to_vec();
        value[3] ^= 4;
        db.put(txn, &key, &value).unwrap();
    });
    tamper(&scratch.0, "ltc.blocks", |db, txn| {
        let (key, mut value) = db.first(txn).unwrap().map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap();
        value[7] ^= 1;
        db.put(txn, &key, &value).unwrap();
    });
    let left = open(&scratch.0, &["ltc"]).load(0).unwrap();
    assert_eq!((left.cells.len(), left.blocks.len(), left.miners), (602, 2, whole.miners));
    let snapshot = Store::open_read_only(&scratch.0).unwrap();
    let left_out = snapshot.left_out(0).unwrap();
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    assert!(left_out.iter().all(|what| what.ends_with("is damaged")), "{left_out:?}");
    assert_eq!(snapshot.check().unwrap(), left_out);
}

#[test]
fn a_kept_proof_is_left_out_when_it_or_its_name_is_another() {
    let (name, proof) = ([0x77; 32], vec![5; 90]);
    let written = || {
        let scratch = Scratch::new();
        let kept = Batch { clock: clock(1), blocks: vec![(name, proof.clone().into())], ..Batch::default() };
        open(&scratch.0, &["ltc"]).commit(&[(0, &kept)]).unwrap();
        scratch
    };
    let kept = |scratch: &Scratch| open(&scratch.0, &["ltc"]).load(0).unwrap().blocks;
    assert_eq!(kept(&written()), [(name, proof.clone())]);
    for bit in (0..8 * (proof.len() + 4)).step_by(7) {
        let scratch = written();
        tamper(&scratch.0, "ltc.blocks", |db, txn| {
            let mut value = db.get(txn, &name).unwrap().unwrap().to_vec();
            value[bit / 8] ^= 1 << (bit % 8);
            db.put(txn, &name, &value).unwrap();
        });
        assert_eq!(kept(&scratch), [], "bit {bit}");
    }
    let scratch = written();
    tamper(&scratch.0, "ltc.blocks", |db, txn| {
        let value = db.get(txn, &name).unwrap().unwrap().to_vec();
        assert!(db.delete(txn, &name).unwrap());
        db.put(txn, &[0x78; 32], &value).unwrap();
    });
    assert_eq!(kept(&scratch), []);
}

#[test]
fn a_file_that_is_no_ledger_is_kept_aside_and_none_is_made_in_its_place() {
    let scratch = written();
    let data = scratch.0.join("ledger/data.mdb");
    let garbage = vec![0x5a; 40_000];
    std::fs::write(&data, &garbage).unwrap();
    let refused = Store::open(&scratch.0, 16, &["ltc"]).err().expect("it is garbage");
    let kept = scratch.0.join("ledger.damaged-1");
    assert!(matches!(&refused, StoreError::SetAside { what: Some(_), kept: at } if *at == kept), "{refused}");
    assert!(refused.to_string().contains("edgepool ledger restore BACKUP"), "{refused}");
    assert_eq!(std::fs::read(kept.join("data.mdb")).unwrap(), garbage);
    for _ in 0..2 {
        let refused = Store::open(&scratch.0, 16, &["ltc"]).err().expect("nothing is forgotten unasked");
        assert!(matches!(&refused, StoreError::SetAside { what: None, kept: at } if *at == kept), "{refused}");
        assert!(!data.exists());
    }
    // Only the operator may decide to begin anew.
    std::fs::rename(&kept, scratch.0.join("old")).unwrap();
    assert_eq!(open(&scratch.0, &["ltc"]).load(0).unwrap(), Default::default());
}

#[test]
fn a_ledger_that_turns_out_damaged_later_is_put_aside_as_well() {
    let scratch = written();
    let before = std::fs::read(scratch.0.join("ledger/data.mdb")).unwrap();
    let refused = open(&scratch.0, &["ltc"]).set_aside("entry 2 is wrong".into());
    assert!(refused.to_string().starts_with("the ledger is damaged: entry 2 is wrong; it is kept as it is in "));
    assert_eq!(std::fs::read(scratch.0.join("ledger.damaged-1/data.mdb")).unwrap(), before);
    assert!(matches!(Store::open(&scratch.0, 16, &["ltc"]), Err(StoreError::SetAside { what: None, .. })));
}

/// Starts the daemon over a ledger and answers how it ended, and what it said.
fn run(scratch: &Scratch) -> (Option<i32>, String) {
    let config = scratch.0.join("edgepool.json");
    let text = format!(
        r#"{{ "data_dir": {:?}, "rpc": {{ "listen": "127.0.0.1:0" }}, "pools": [{{
            "coin": "litecoin", "network": "regtest", "stratum": {{ "listen": "127.0.0.1:0" }},
            "nodes": [{{ "url": "http://127.0.0.1:1", "user": "u", "password": "p" }}],
            "payout": {{ "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr" }} }}] }}"#,
        scratch.0
    );
    std::fs::write(&config, text).unwrap();
    let output = program::command().arg("run").arg("--config").arg(&config).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_daemon_keeps_a_damaged_ledger_aside_says_what_to_do_and_does_not_start() {
    for (what, named) in [("ltc.journal", "ltc.journal"), ("ltc.miners", "ltc.miners"), ("meta", "of meta")] {
        let scratch = written();
        tamper(&scratch.0, what, |db, txn| {
            let (key, mut value) = db.first(txn).unwrap().map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap();
            value[0] ^= 0x10;
            db.put(txn, &key, &value).unwrap();
        });
        let before = std::fs::read(scratch.0.join("ledger/data.mdb")).unwrap();
        let (code, said) = run(&scratch);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(named) && said.contains("edgepool ledger restore BACKUP"), "{said}");
        assert!(said.contains("edgepool ledger rebuild --from BACKUP"), "{said}");
        assert_eq!(std::fs::read(scratch.0.join("ledger.damaged-1/data.mdb")).unwrap(), before);
        // Who only reads is told the same.
        let refused = Store::open_read_only(&scratch.0).err().expect("there is no ledger to be read").to_string();
        assert!(refused.contains("one that was put aside") && refused.contains("ledger.damaged-1"), "{refused}");
        // A supervisor starts it again and again: nothing is made, and nothing more is moved.
        for _ in 0..2 {
            let (code, said) = run(&scratch);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("one that was put aside") && said.contains("ledger.damaged-1"), "{said}");
        }
        assert!(!scratch.0.join("ledger/data.mdb").exists() && !scratch.0.join("ledger.damaged-2").exists());
    }
}
