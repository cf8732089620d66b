//! A pool at its start: the ledgers folded from the journal, the window from its cells, everything else empty. Refuses
//! what contradicts itself; never mends it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

use crate::base::rng::Rng;
use crate::base::slots::Slots;
use crate::base::time::{Now, SECOND};
use crate::coin::pow::Hasher;

use super::Pool;
use super::chain::Chain;
use super::clock::PoolClock;
use super::commit::Commits;
use super::extranonce::Extranonces;
use super::guard::Guard;
use super::job::Jobs;
use super::ledger::LedgerError;
use super::miners::Miners;
use super::record::{Journal, MinerId, Recovered};
use super::resume::{Sessions, secret};
use super::spec::PoolSpec;
use super::window::Window;
use super::workers::{Counts, Rates, Workers};

/// Why a ledger on disk cannot be carried on.
#[derive(Debug)]
pub enum RecoverError {
    /// The journal can't be read to its end.
    Journal(String),
    /// An entry contradicts those before it.
    Entry {
        /// Its sequence number.
        seq: u64,
        /// What is wrong.
        error: LedgerError,
    },
    /// The whole does not add up.
    Sum(LedgerError),
    /// An account of a miner whose script is not on disk.
    UnknownMiner(MinerId),
    /// The record of this miner makes no sense.
    UnreadableMiner(MinerId),
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoverError::Journal(reason) => f.write_str(reason),
            RecoverError::Entry { seq, error } => write!(f, "journal entry {seq}: {error}"),
            RecoverError::Sum(error) => error.fmt(f),
            RecoverError::UnknownMiner(miner) => write!(f, "miner {miner} has an account but no output script"),
            RecoverError::UnreadableMiner(miner) => write!(f, "the record of miner {miner} can't be read"),
        }
    }
}

impl std::error::Error for RecoverError {}

impl Pool {
    /// A pool that carries on from what was on disk. `seed` gives all its chance; two runs must not share
    /// one.
    pub fn new(
        spec: PoolSpec,
        recovered: Recovered,
        journal: &dyn Journal,
        seed: u64,
        now: Now,
    ) -> Result<Pool, RecoverError> {
        let mut rng = Rng::new(seed);
        let clock = PoolClock::resume(recovered.clock.as_ref(), now);
        let mark = recovered.clock.unwrap_or_default();
        let miners = Miners::restore(&recovered.miners).map_err(RecoverError::UnreadableMiner)?;
        let window = restore_window(&spec, &recovered, &miners, clock.pool_ms(now));
        let mut chains: Vec<Chain> = Vec::with_capacity(spec.chains.len());
        for (index, chain) in spec.chains.iter().enumerate() {
            chains.push(Chain::new(index as u8, chain.clone(), &mut rng, now));
        }
        let last_entry = replay(journal, &mut chains)?;
        chains.iter_mut().for_each(|chain| chain.tell_payee(now));
        for chain in &chains {
            chain.ledger.check().map_err(RecoverError::Sum)?;
            if let Some((miner, _)) = chain.ledger.accounts().find(|(miner, _)| miners.script(*miner).is_none()) {
                return Err(RecoverError::UnknownMiner(miner));
            }
            let (in_force, configured) = (chain.ledger.terms().changeable(), chain.ledger.configured().changeable());
            for (term, configured) in in_force.iter().zip(&configured).filter(|(term, configured)| term != configured) {
                let spec = &chain.spec;
                let (term, configured) = (spec.term_text(term), spec.term_text(configured));
                log::warn!(
                    "{}: {term} is in force, as an operator set it; the configuration says {configured}",
                    spec.name
                );
            }
        }
        let mut pool = Pool {
            clock,
            sessions: Slots::default(),
            guard: Guard::default(),
            resumable: Sessions::new(seed, spec.stratum.max_connections),
            // Fresh in every run, so that a share of an earlier run can't be sent again under new work.
            extranonces: Extranonces::new(secret(seed, b"extranonce1", 0) as u32),
            workers: Workers::default(),
            miners,
            window,
            chains,
            jobs: Jobs::default(),
            next_job: 0x10_0000 + secret(seed, b"job", 0) % 0xf0_0000,
            child_work_ms: 0,
            job_fault: None,
            child_faults: BTreeMap::new(),
            ledger_full: None,
            ledger_used_percent: 0,
            payments_held: None,
            audit: BTreeMap::new(),
            audit_due: BTreeSet::new(),
            commits: Commits::new(last_entry + 1, mark, now),
            outputs: VecDeque::new(),
            rates: Rates::new(now.mono_ms),
            counts: Counts::default(),
            rejects: BTreeMap::new(),
            hasher: Hasher::new(),
            total_work: mark.total_work,
            total_shares: mark.total_shares,
            next_tick_ms: now.mono_ms + SECOND,
            spec,
        };
        // A chain may have been added since these were credited.
        for row in pool.window.iter().map(|(row, _)| row).collect::<Vec<_>>() {
            pool.register_row(row);
        }
        pool.resume_blocks(recovered.blocks, now);
        pool.resume_payments(now);
        Ok(pool)
    }
}

/// Folds the whole journal into the chains' ledgers, and gives the number of its last entry.
fn replay(journal: &dyn Journal, chains: &mut [Chain]) -> Result<u64, RecoverError> {
    let (mut last, mut outcome) = (0, Ok(()));
    let read = journal.visit(1, &mut |seq, entry| {
        last = seq;
        outcome = chains.iter_mut().try_for_each(|chain| chain.ledger.apply(seq, &entry));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    read.map_err(RecoverError::Journal)?;
    outcome.map_err(|error| RecoverError::Entry { seq: last, error })?;
    Ok(last)
}

fn restore_window(spec: &PoolSpec, recovered: &Recovered, miners: &Miners, pool_ms: u64) -> Window {
    let mut window = Window::new(spec.window_ms, spec.max_miners, pool_ms);
    let mut left_out = 0;
    for (key, cell) in &recovered.cells {
        match miners.identity(key.miner) {
            Some(identity) if window.restore(*key, *cell, identity) => {}
            _ => left_out += 1,
        }
    }
    if left_out > 0 {
        log::info!("{}: {left_out} cells on disk are older than the window", spec.name);
    }
    window
}
