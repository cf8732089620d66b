//! Nothing that was acknowledged is lost, and nothing is half there, whenever the process dies or the power goes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use edgepool::base::rng::Rng;
use edgepool::pool::record::{Batch, Entry, Recovered};
use edgepool::shell::store::Store;

use crate::program;
use crate::scene::*;

const DIRECTORY: &str = "EDGEPOOL_STORE_TEST_DIR";
/// The commit at which the child dies, and whether before or after it.
const DEATH: &str = "EDGEPOOL_STORE_TEST_DEATH";
/// Commits of the scripted day.
const DAY: u32 = 24;

/// What the commit of this number writes: shares always, the rest now and then.
fn day(number: u32) -> Batch {
    let mut batch = batch(number);
    batch.cells = (0..number % 5 * 60).map(|miner| (key(u64::from(number / 6) * 1_000, miner), cell(number))).collect();
    if number.is_multiple_of(3) {
        batch.settled_blocks = vec![kept(number as u8 - 1).0];
    }
    if number.is_multiple_of(8) {
        batch.forget_cells_before_ms = Some(u64::from(number / 6) * 1_000);
    }
    batch
}

/// Everything in the ledger.
fn contents(store: &Store) -> (Recovered, Vec<(u64, Entry)>) {
    (store.load(0).unwrap(), journal(store))
}

/// What the ledger holds after each commit of the day, from none on.
fn expected() -> Vec<(Recovered, Vec<(u64, Entry)>)> {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    let after = (1..=DAY).map(|number| {
        store.commit(&[(0, &day(number))]).unwrap();
        contents(&store)
    });
    let after: Vec<_> = after.collect();
    [(Recovered::default(), Vec::new())].into_iter().chain(after).collect()
}

/// Not a test by itself: the process that dies.
#[test]
fn child_that_commits_until_it_dies() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let death = std::env::var(DEATH).unwrap_or_default();
    let store = open(Path::new(&dir), &["ltc"]);
    for number in journal(&store).len() as u32 + 1.. {
        let batch = if death.is_empty() { batch(number) } else { day(number) };
        if death == format!("before {number}") {
            std::process::abort();
        }
        store.commit(&[(0, &batch)]).unwrap();
        if death == format!("after {number}") {
            std::process::abort();
        }
        println!("\ncommitted {number}");
    }
}

fn child(dir: &Path, death: &str) -> Command {
    let mut command = program::test_program();
    command
        .args(["--exact", "crash::child_that_commits_until_it_dies", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, dir)
        .env(DEATH, death)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_process_that_dies_at_any_commit_leaves_the_state_before_or_after_it() {
    let expected = expected();
    let scratch = Scratch::new();
    for number in 1..=DAY {
        for (death, survived) in [(format!("before {number}"), number - 1), (format!("after {number}"), number)] {
            let output = child(&scratch.0, &death).output().unwrap();
            assert!(!output.status.success(), "it died");
            assert!(contents(&open(&scratch.0, &["ltc"])) == expected[survived as usize], "{death}");
        }
    }
}

#[test]
fn a_power_cut_within_any_commit_leaves_the_state_before_it() {
    let expected = expected();
    let scratch = Scratch::new();
    let data = scratch.0.join("ledger/data.mdb");
    let store = open(&scratch.0, &["ltc"]);
    let mut before = fs::read(&data).unwrap();
    // Where LMDB's head has the size of a page.
    let at = if cfg!(target_pointer_width = "64") { 40 } else { 28 };
    let page_size = u32::from_le_bytes(*before[at..].first_chunk().unwrap()) as usize;
    let mut rng = Rng::new(7);
    let mut cuts = 0;
    for number in 1..=DAY {
        store.commit(&[(0, &day(number))]).unwrap();
        let after = fs::read(&data).unwrap();
        // The head pages are the first two; they are written when all others are on the disk.
        let changed: Vec<usize> = (2..after.len() / page_size)
            .filter(|page| {
                before.get(page * page_size..(page + 1) * page_size)
                    != Some(&after[page * page_size..(page + 1) * page_size])
            })
            .collect();
        for cut in 0..6 {
            let mut torn = before.clone();
            for page in &changed {
                // All of them but the head, or any of them: disks write in any order.
                if cut == 0 || rng.below(2) == 0 {
                    torn.resize(torn.len().max((page + 1) * page_size), 0);
                    torn[page * page_size..(page + 1) * page_size]
                        .copy_from_slice(&after[page * page_size..(page + 1) * page_size]);
                }
            }
            let elsewhere = Scratch::new();
            fs::create_dir_all(elsewhere.0.join("ledger")).unwrap();
            fs::write(elsewhere.0.join("ledger/data.mdb"), torn).unwrap();
            let survivor = open(&elsewhere.0, &["ltc"]);
            assert!(contents(&survivor) == expected[number as usize - 1], "commit {number}, cut {cut}");
            // It goes on as if nothing had been.
            survivor.commit(&[(0, &day(number))]).unwrap();
            assert!(contents(&survivor) == expected[number as usize], "commit {number}, after cut {cut}");
            cuts += changed.len();
        }
        before = after;
    }
    assert!(cuts > 6 * 3 * DAY as usize, "every commit writes some pages");
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let scratch = Scratch::new();
    let mut acknowledged = 0;
    for round in 1..=4 {
        let mut child = child(&scratch.0, "").spawn().unwrap();
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
        let written = journal(&store);
        assert!(written.len() >= acknowledged as usize, "round {round}");
        let expected: Vec<_> = (1..=written.len() as u32).map(|n| (u64::from(n), entry(n))).collect();
        assert_eq!(written, expected);
        assert_eq!(recovered.cells.len(), written.len());
        assert_eq!(recovered.clock.unwrap().pool_ms, written.len() as u64 * 1_000);
    }
}
