//! A year of blocks: how large the ledger is after it, what the replay at start takes, and whether everything
//! adds up to the unit. The blocks are shared out by the real rule; sums are kept apart and compared.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use super::ledger::{BenchError, MAP_MIB, Options, Scratch};
use super::shares::{Load, SLOT_MS, script};
use super::system::memory;
use crate::base::amount::parse_amount;
use crate::base::limits::WINDOW_SLOTS;
use crate::coin::pow::sha256d;
use crate::coin::script::Script;
use crate::pool::ledger::Ledger;
use crate::pool::record::{Batch, BlockFound, BlockJudged, BlockStatus, Entry, Journal, MinerId, Payout, Stamp};
use crate::pool::spec::Terms;
use crate::pool::split::{Claim, split};
use crate::shell::store::Store;

const DAYS: u64 = 365;
/// Commits of shares between two blocks: enough to mix their pages as a real day would.
const COMMITS_BETWEEN: u64 = 8;
/// What the ledger may take, in bytes.
const LARGEST: u64 = 100_000_000;

/// What was written, counted by itself.
#[derive(Default)]
struct Sums {
    value: u128,
    paid: u128,
    entitled: u128,
}

/// Writes the year and answers what is to be said of it.
pub(super) fn measured(scratch: &Scratch, options: &Options) -> Result<String, BenchError> {
    let blocks = DAYS * options.blocks_per_day;
    let terms = Terms {
        pool_script: Script::from_bytes(script(MinerId::MAX)),
        fee_ppm: 10_000,
        min_payout: parse_amount("0.001").expect("it is an amount"),
        max_outputs: 10,
    };
    let started = Instant::now();
    let sums = write(scratch, options, blocks, &terms)?;
    let write_s = started.elapsed().as_secs_f64();
    let data = scratch.0.join("ledger/data.mdb");
    let size =
        std::fs::metadata(&data).map_err(|error| BenchError::Io(format!("looking at {}", data.display()), error))?;

    let (before, started) = (memory(), Instant::now());
    let store = Store::open(&scratch.0, MAP_MIB, &["bench"])?;
    let recovered = store.load(0)?;
    let ledger = replay(&store, &terms)?;
    let (replay_s, grown) = (started.elapsed().as_secs_f64(), memory().saturating_sub(before));
    compare(&ledger, &sums)?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    if size.len() >= LARGEST {
        return Err(BenchError::Wrong(format!("the ledger has {} bytes, more than {LARGEST}", size.len())));
    }
    Ok(format!(
        "{blocks} blocks with a part for each of {} miners, and a full window of {} cells\n\
         file: {:.1} MiB (written in {write_s:.0} s)\n\
         start: read and replayed in {replay_s:.2} s, {:.1} MiB of memory\n\
         {} base units found = paid + owed + fees, to the unit\n",
        options.miners,
        recovered.cells.len(),
        mib(size.len()),
        mib(grown),
        sums.value,
    ))
}

fn write(scratch: &Scratch, options: &Options, blocks: u64, terms: &Terms) -> Result<Sums, BenchError> {
    let store = Store::open(&scratch.0, MAP_MIB, &["bench"])?;
    let mut load = Load::new(options.miners);
    store.commit(&[(0, &load.begin())])?;
    let scripts: Vec<Script> = (0..options.miners as MinerId).map(|miner| Script::from_bytes(script(miner))).collect();
    let mut balances: BTreeMap<MinerId, i64> = BTreeMap::new();
    let mut sums = Sums::default();
    let mut seq = 0;
    for number in 0..blocks {
        // Values differ by what transactions pay.
        let value = 625_000_000 + sha256d(&number.to_be_bytes())[0] as u64 * 1_234;
        let works = load.window_work();
        let claims: Vec<Claim> = (0..)
            .zip(scripts.iter().zip(works))
            .map(|(miner, (script, work))| Claim {
                miner,
                script: Some(script),
                work,
                balance: balances.get(&miner).copied().unwrap_or(0),
            })
            .collect();
        let shared = split(value, terms, &claims);
        sums.value += u128::from(value);
        for part in &shared.parts {
            sums.entitled += u128::from(part.entitled);
            *balances.entry(part.miner).or_default() += part.entitled as i64;
        }
        for (miner, _, amount) in &shared.paid {
            sums.paid += u128::from(*amount);
            *balances.entry(*miner).or_default() -= *amount as i64;
        }
        let clock = load.clock();
        let at = Stamp { pool_ms: clock.pool_ms, wall_ms: clock.wall_ms };
        let hash = sha256d(&number.to_le_bytes());
        let found = BlockFound {
            chain: 0,
            hash,
            height: 2_500_000 + number as u32,
            at,
            job_at: at,
            finder: (number % options.miners) as MinerId,
            worker: "rig-01".into(),
            network_difficulty: 40_000_000 << 16,
            total_work: clock.total_work,
            value,
            fee_ppm: terms.fee_ppm,
            min_payout: terms.min_payout,
            max_outputs: terms.max_outputs,
            pool_script: terms.pool_script.as_bytes().to_vec(),
            pool_amount: shared.pool_amount,
            outputs: shared.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect(),
            parts: shared.parts,
            rebuilt: false,
        };
        let judged = |status, is_final| Entry::BlockJudged(BlockJudged { chain: 0, hash, at, status, is_final });
        let life = [
            Entry::BlockFound(Box::new(found)),
            judged(BlockStatus::Accepted, false),
            judged(BlockStatus::Confirmed, true),
        ];
        for entry in life {
            seq += 1;
            store.commit(&[(0, &Batch { journal: vec![(seq, entry)], ..load.next(250) })])?;
        }
        let pause = 86_400_000 / options.blocks_per_day / COMMITS_BETWEEN;
        for _ in 0..COMMITS_BETWEEN {
            store.commit(&[(0, &load.next(pause))])?;
        }
    }
    for _ in 0..WINDOW_SLOTS {
        store.commit(&[(0, &load.next(SLOT_MS))])?;
    }
    Ok(sums)
}

/// What the daemon does at start.
fn replay(store: &Store, terms: &Terms) -> Result<Ledger, BenchError> {
    let mut ledger = Ledger::new(0, terms.clone());
    let mut outcome = Ok(());
    let visited = store.journal(0).visit(1, &mut |seq, entry| {
        outcome = ledger.apply(seq, &entry);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    visited.map_err(BenchError::Wrong)?;
    outcome.and_then(|()| ledger.check()).map_err(|error| BenchError::Wrong(error.to_string()))?;
    Ok(ledger)
}

fn compare(ledger: &Ledger, sums: &Sums) -> Result<(), BenchError> {
    let totals = ledger.totals();
    let owed = sums.entitled as i128 - sums.paid as i128;
    let fees = sums.value - sums.entitled;
    if (totals.value, totals.paid, totals.owed, totals.fees) != (sums.value, sums.paid, owed, fees) {
        let Sums { value, paid, .. } = sums;
        return Err(BenchError::Wrong(format!(
            "written were value {value}, paid {paid}, owed {owed}, fees {fees}; the ledger has {totals:?}"
        )));
    }
    Ok(())
}
