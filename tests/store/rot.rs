//! Bits that flip anywhere in the file, and files that end early: the process never dies of them, and what is
//! read is what was written.

use std::fs;

use edgepool::base::rng::Rng;
use edgepool::pool::record::{Batch, Entry, Recovered};
use edgepool::shell::store::{Store, StoreError};

use crate::scene::*;

/// Names the variable with which more than a few bits are tried.
const FLIPS: &str = "EDGEPOOL_FLIPS";

/// A closed ledger that has lived: with trees of several levels, long records and free pages.
fn lived() -> Vec<u8> {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    for number in 1..=40 {
        let cells = (0..300).map(|miner| (key(u64::from(number) * 1_000, miner), cell(number))).collect();
        let forget = u64::from(number.max(8) - 8) * 1_000;
        let mut batch = Batch { cells, forget_cells_before_ms: Some(forget), ..batch(number) };
        batch.settled_blocks = vec![kept(number as u8 - 1).0];
        batch.miners = (0..10).map(|miner| (number * 1_000 + miner, vec![number as u8; 25])).collect();
        store.commit(&[(0, &batch)]).unwrap();
    }
    drop(store);
    fs::read(scratch.0.join("ledger/data.mdb")).unwrap()
}

fn contents(store: &Store) -> Result<(Recovered, Vec<(u64, Entry)>), StoreError> {
    store.check_journal(0)?;
    Ok((store.load(0)?, journal(store)))
}

/// Opens these bytes as a ledger and reads it; then writes to it and reads again.
fn used(bytes: &[u8]) -> Result<(Recovered, Vec<(u64, Entry)>), StoreError> {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.0.join("ledger")).unwrap();
    fs::write(scratch.0.join("ledger/data.mdb"), bytes).unwrap();
    let store = Store::open(&scratch.0, 16, &["ltc"])?;
    let found = contents(&store)?;
    let before = found.1.len() as u32;
    for number in before + 1..before + 4 {
        let more = (0..500).map(|miner| (key(99_000, miner), cell(number))).collect();
        store.commit(&[(0, &Batch { cells: more, ..batch(number) })])?;
    }
    assert_eq!(contents(&store)?.1.len(), before as usize + 3);
    Ok(found)
}

#[test]
fn no_flipped_bit_is_fatal_and_none_changes_money() {
    let bytes = lived();
    let whole = used(&bytes).expect("nothing is wrong yet");
    let mut rng = Rng::new(11);
    let flips = std::env::var(FLIPS).map_or(200, |count| count.parse().expect("a number"));
    let (mut noticed, mut harmless) = (0, 0);
    for number in 0..flips {
        let mut rotten = bytes.clone();
        // Every third in the beginning of a page, where the structure is.
        let page = rng.below(bytes.len() as u64 / 4_096) as usize * 4_096;
        let at = if number % 3 == 0 { page + rng.below(64) as usize } else { page + rng.below(4_096) as usize };
        rotten[at] ^= 1 << rng.below(8);
        match used(&rotten) {
            Err(StoreError::SetAside { .. } | StoreError::Damaged(_) | StoreError::Schema { .. }) => noticed += 1,
            Err(other) => panic!("bit {number} at {at}: {other}"),
            Ok((recovered, journal)) => {
                assert_eq!((&recovered.miners, &journal), (&whole.0.miners, &whole.1), "bit {number} at {at}");
                assert_eq!(recovered.clock, whole.0.clock, "bit {number} at {at}");
                for (key, cell) in recovered.cells {
                    let place = whole.0.cells.binary_search_by_key(&key, |(key, _)| *key).expect("a cell that was");
                    assert_eq!(whole.0.cells[place].1, cell, "bit {number} at {at}");
                }
                harmless += 1;
            }
        }
    }
    assert!(noticed > flips / 5 && harmless > flips / 5, "{noticed} noticed, {harmless} in what is not used");
}

#[test]
fn a_file_that_ends_early_or_has_holes_is_noticed() {
    let bytes = lived();
    let whole = used(&bytes).unwrap();
    let mut noticed = 0;
    for pages in 1..bytes.len() / 4_096 {
        match used(&bytes[..pages * 4_096]) {
            Err(StoreError::SetAside { .. }) => noticed += 1,
            // What is free at the end need not be there.
            found => assert!(found.unwrap() == whole, "{pages} pages"),
        }
    }
    assert!(noticed > bytes.len() / 4_096 / 2);
    for cut in [1, 100, 4_095, 4_097, 9_000] {
        assert!(matches!(used(&bytes[..cut]), Err(StoreError::SetAside { .. })), "{cut} bytes");
    }
    let mut rng = Rng::new(5);
    for _ in 0..40 {
        let mut holes = bytes.clone();
        let page = 2 + rng.below(bytes.len() as u64 / 4_096 - 2) as usize;
        holes[page * 4_096..(page + 1) * 4_096].fill(0);
        // A free page, or a part of a kept block, may be anything.
        if let Ok(found) = used(&holes) {
            assert_eq!((found.0.miners, found.1), (whole.0.miners.clone(), whole.1.clone()));
        }
    }
}

#[test]
fn a_file_of_another_word_size_is_no_damage() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.0.join("ledger")).unwrap();
    let data = scratch.0.join("ledger/data.mdb");
    let (magic_at, bits) = if cfg!(target_pointer_width = "64") { (12, 32) } else { (16, 64) };
    let mut bytes = vec![0; 20_000];
    bytes[magic_at..magic_at + 4].copy_from_slice(&0xbeef_c0de_u32.to_ne_bytes());
    fs::write(&data, bytes).unwrap();
    let refused = Store::open(&scratch.0, 16, &["ltc"]).err().expect("it can't be read here");
    assert!(matches!(refused, StoreError::Foreign { bits: found } if found == bits), "{refused}");
    assert!(data.exists(), "it stays where it is");
}
