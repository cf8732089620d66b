//! A ledger that was lost comes back from an old backup and the chain.

use std::path::Path;

use edgepool::base::display_hash;
use edgepool::coin::script::Script;
use edgepool::pool::record::{BlockFound, BlockStatus, Entry};
use edgepool::shell::ledger::{Task, TaskError, Which, run};
use edgepool::shell::store::Store;

use crate::chain::{Chain, configure, true_chain};
use crate::keeper::{Ledgers, past_ledger, pool_script, script, true_ledger};
use crate::place::Scratch;

/// Entries of the backup: the first two blocks, both accepted.
const SAVED: usize = 4;

fn rebuild(scratch: &Scratch, config: &Path, from: &Path) -> String {
    let which = Which { config: config.into(), data_dir: Some(scratch.0.clone()) };
    run(&which, &Task::Rebuild { from: from.into() }).unwrap()
}

fn entries(scratch: &Scratch) -> Vec<Entry> {
    let snapshot = Store::open_read_only(&scratch.0).unwrap();
    let mut entries = Vec::new();
    snapshot
        .visit(0, 1, |_, entry| {
            entries.push(entry);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    entries
}

fn rebuilt(entries: &[Entry]) -> Vec<&BlockFound> {
    let found = entries.iter().filter_map(|entry| match entry {
        Entry::BlockFound(found) if found.rebuilt => Some(&**found),
        _ => None,
    });
    found.collect()
}

/// A chain with the pool's blocks and some that only look like them.
fn chain(ledger: &Ledgers) -> Chain {
    let mut chain = true_chain(ledger);
    let mut add = |height: u32, outputs: Vec<(Script, u64)>| {
        let hash = display_hash(&[height as u8; 32]);
        chain.blocks.insert(hash, vec![("55".repeat(32), outputs)]);
    };
    // Another edgepool, where one of the miners works too.
    add(120, vec![(script(0), 500), (Script::p2pkh(&[0xaa; 20]), 500)]);
    // Somebody who came after the backup; and nobody but the pool.
    add(121, vec![(script(8), 700), (pool_script(), 300)]);
    add(122, vec![(pool_script(), 1_000)]);
    // The pool's output was left out: old balances took all.
    add(123, vec![(script(2), 600), (script(1), 400)]);
    chain
}

#[test]
fn blocks_that_the_backup_does_not_know_come_back_from_the_chain() {
    let whole = true_ledger();
    let (backup, scratch) = (Scratch::with(&past_ledger(SAVED)), Scratch::with(&whole));
    let config = configure(&scratch, chain(&whole).serve());
    let text = rebuild(&scratch, &config, &backup.0);
    assert!(text.contains("chain ltc: blocks 100 to 159") && text.contains("hold 10 more of this pool"), "{text}");
    assert!(text.contains("is kept in") && text.contains("What can't be known"), "{text}");
    assert!(text.contains("has 12 coinbases and 0 payments as recorded"), "{text}");

    let made = entries(&scratch);
    assert_eq!(made[..SAVED], whole.entries[..SAVED], "the backup is as it was");
    let blocks = rebuilt(&made);
    let heights: Vec<u32> = blocks.iter().map(|block| block.height).collect();
    assert_eq!(heights, [102, 104, 105, 106, 109, 110, 111, 121, 122, 123]);
    // What was owed at the backup is paid from first; the rest was earned.
    for block in &blocks {
        for part in &block.parts {
            let paid = block.outputs.iter().find(|output| output.miner == part.miner).unwrap().amount;
            assert_eq!(part.balance_before + part.entitled as i64, paid as i64);
            assert!(part.balance_before >= 0 && part.work == 0);
        }
    }
    assert!(blocks.iter().flat_map(|block| &block.parts).any(|part| part.balance_before > 0));
    let unknown = blocks.iter().find(|block| block.height == 121).unwrap();
    assert_eq!(unknown.outputs[0].miner, 5, "a new number");
    let is_accepted =
        |entry: &Entry| matches!(entry, Entry::BlockJudged(judged) if judged.status == BlockStatus::Accepted);
    assert_eq!(made.iter().filter(|entry| is_accepted(entry)).count(), 2 + blocks.len());
    let kept = Store::open_read_only(&scratch.0.join("ledger.replaced-1"));
    assert!(kept.is_err() && scratch.0.join("ledger.replaced-1/data.mdb").exists());

    // Again from what was made: there is nothing more.
    let again = Scratch::new();
    let text = rebuild(&again, &config, &scratch.0);
    assert!(text.contains("hold 0 more of this pool"), "{text}");
    assert_eq!(entries(&again), made);
}

#[test]
fn what_could_not_be_checked_is_said_beside_what_is_wrong_and_what_is_left_to_the_pool() {
    let whole = true_ledger();
    let backup = Scratch::with(&past_ledger(SAVED));
    let outcome = |change: &dyn Fn(&mut Chain)| {
        let mut chain = true_chain(&whole);
        chain.has_no_wallet = true;
        change(&mut chain);
        let scratch = Scratch::new();
        std::fs::create_dir_all(&scratch.0).unwrap();
        let which = Which { config: configure(&scratch, chain.serve()), data_dir: Some(scratch.0.clone()) };
        run(&which, &Task::Rebuild { from: backup.0.clone() }).unwrap_err()
    };
    let hash = display_hash(&whole.clone().found(100, 0).1.hash);
    let false_one = outcome(&|chain| chain.blocks.get_mut(&hash).unwrap()[0].1[0].1 -= 1);
    assert!(matches!(&false_one, TaskError::Faults { checked, .. } if checked.contains("What can't be known")));
    let said = false_one.to_string();
    assert!(said.contains("not true, in 1 points") && said.contains("its wallet can't be asked"), "{said}");

    // A block that another took the place of since.
    let unjudged = outcome(&|chain| _ = chain.hashes.insert(101, "77".repeat(32)));
    assert!(matches!(&unjudged, TaskError::Unchecked { checked, .. } if checked.contains("it is accepted, and at")));
    let said = unjudged.to_string();
    assert!(said.contains("a point is left to the pool's judging") && said.contains("its wallet can't"), "{said}");
    let said = outcome(&|_| {}).to_string();
    assert!(said.contains("nothing wrong was found, but not everything could be checked"), "{said}");
}

#[test]
fn an_export_serves_as_well_as_a_backup() {
    let whole = true_ledger();
    let (backup, scratch) = (Scratch::with(&past_ledger(SAVED)), Scratch::new());
    std::fs::create_dir_all(&scratch.0).unwrap();
    let file = backup.0.join("export.jsonl");
    let which = Which { config: "none".into(), data_dir: Some(backup.0.clone()) };
    run(&which, &Task::Export { to: Some(file.clone()) }).unwrap();
    let config = configure(&scratch, chain(&whole).serve());
    let text = rebuild(&scratch, &config, &file);
    assert!(text.contains("hold 10 more of this pool"), "{text}");
    assert_eq!(rebuilt(&entries(&scratch)).len(), 10);
    assert!(!scratch.0.join("rebuild.unfinished").exists());
}
