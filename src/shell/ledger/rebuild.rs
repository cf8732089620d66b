//! `edgepool ledger rebuild`: a ledger from a backup and the chain's own coinbases, when the ledger itself is lost. A
//! block that the backup does not know becomes an entry that says what its coinbase paid; what nobody can know any
//! more is said, not guessed. The ledger that is there is kept.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::chain_reader::{ChainReader, Output, ReadError, ReadTransaction};
use super::{TaskError, Which, import, verify};
use crate::base::amount::format_amount;
use crate::base::parse_hash;
use crate::base::time::{HOUR, SECOND};
use crate::coin::difficulty::{Difficulty, Target};
use crate::coin::script::Script;
use crate::pool::ledger::Ledger;
use crate::pool::record::{
    Batch, BlockFound, BlockJudged, BlockStatus, Entry, MinerId, Part, Payout, Recovered, Stamp,
};
use crate::pool::spec::ChainSpec;
use crate::shell::config::{self, PoolConfig};
use crate::shell::store::{Aside, Draft, Place, Snapshot, holds_ledger};

/// Entries, cells and miners that are written at one time.
const CHUNK: usize = 64;
/// A block's time may be this much before the time at which it was found.
const TIME_SLACK_S: u64 = 3 * HOUR / SECOND;
/// What a backup and a chain don't tell.
const UNKNOWN: &str = "What can't be known: the contributions since the backup, so the next block shares out by those \
     of the backup; what blocks found since then owed beyond what they paid; blocks that paid neither the pool's \
     address of the backup or the configuration nor only known miners; and payments from the wallet since: compare \
     the wallet's listtransactions with getpayouthistory before you pay from it again.";

/// Makes the ledger anew from the backup in `from`, and checks it.
pub fn run(which: &Which, from: &Path) -> Result<String, TaskError> {
    let config = config::read(&which.config).map_err(TaskError::Config)?;
    let data_dir = which.data_dir.clone().unwrap_or_else(|| config.data_dir.clone());
    let place = Place::take(&data_dir)?;
    let imported = Unpacked::of(from, &data_dir, config.map_mib)?;
    let backup = Snapshot::open(&imported.directory)?;
    let draft = Draft::begin(&place, config.map_mib, backup.pools())?;
    let mut text = String::new();
    for (index, name) in backup.pools().iter().enumerate() {
        let mut rebuilding = Rebuilding::copy(&backup, index, &draft)?;
        match config.pools.iter().find(|pool| pool.spec.name == *name) {
            None => text += &format!("pool {name} is not in the configuration, and copied as the backup has it\n"),
            Some(pool) => text += &rebuilding.search(pool, &backup, index)?,
        }
        rebuilding.write(index, &draft)?;
    }
    drop(backup);
    drop(imported);
    let held = place.hold_payments()?;
    if let Some(kept) = draft.install(Some(Aside::Replaced))? {
        text += &format!("the ledger that was there is kept in {}\n", kept.display());
    }
    drop(place);
    text += &format!("{UNKNOWN}\n{}\n\n", super::held(&held));
    let checked = Which { config: which.config.clone(), data_dir: Some(data_dir) };
    let report = verify::look(&checked, &verify::Options { node: true, ..verify::Options::default() })?;
    text += &report.text;
    if report.faults.is_empty() {
        return Ok(text);
    }
    let may_pass = report.faults.may_pass();
    let lines = report.faults.into_lines().join("\n");
    if !may_pass {
        return Err(TaskError::Refused(format!("{text}\nthe ledger that was made is not true:\n{lines}")));
    }
    // The chain has moved on since the backup; whoever judges blocks is the pool.
    Ok(format!("{text}\nthe pool will judge these when it runs:\n{lines}\n"))
}

/// A backup as a directory; an export is unpacked for as long as this lives.
struct Unpacked {
    directory: PathBuf,
    temporary: Option<PathBuf>,
}

impl Unpacked {
    fn of(from: &Path, data_dir: &Path, map_mib: usize) -> Result<Unpacked, TaskError> {
        if from.is_file() {
            let temporary = data_dir.join("rebuild.unfinished");
            // Left by one that was interrupted.
            let _ = fs::remove_dir_all(&temporary);
            import::run(&temporary, map_mib, from)?;
            return Ok(Unpacked { directory: temporary.join("ledger"), temporary: Some(temporary) });
        }
        let directory = [from.join("ledger"), from.to_path_buf()].into_iter().find(|place| holds_ledger(place));
        let neither = || TaskError::Refused(format!("{} is neither a backup nor an export", from.display()));
        Ok(Unpacked { directory: directory.ok_or_else(neither)?, temporary: None })
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // It is removed before the next try as well.
            let _ = fs::remove_dir_all(temporary);
        }
    }
}

/// One pool of the backup while the chain is searched for more.
struct Rebuilding {
    recovered: Recovered,
    journal: Vec<(u64, Entry)>,
    last: u64,
    scripts: BTreeMap<MinerId, Script>,
    miners: BTreeMap<Script, MinerId>,
    new_miners: Vec<(MinerId, Vec<u8>)>,
}

impl Rebuilding {
    /// Writes what the backup has of a pool to the new ledger.
    fn copy(backup: &Snapshot, index: usize, draft: &Draft) -> Result<Rebuilding, TaskError> {
        let recovered = backup.load(index)?;
        let clock = recovered.clock.unwrap_or_default();
        for miners in recovered.miners.chunks(CHUNK * CHUNK) {
            draft.commit(index, &Batch { clock, miners: miners.to_vec(), ..Batch::default() })?;
        }
        for cells in recovered.cells.chunks(CHUNK * CHUNK) {
            draft.commit(index, &Batch { clock, cells: cells.to_vec(), ..Batch::default() })?;
        }
        for (hash, bytes) in &recovered.blocks {
            let blocks = vec![(*hash, bytes.as_slice().into())];
            draft.commit(index, &Batch { clock, blocks, ..Batch::default() })?;
        }
        let (mut chunk, mut outcome) = (Vec::new(), Ok(()));
        backup.visit(index, 1, |head, entry| {
            chunk.push((head.seq, entry));
            if chunk.len() == CHUNK {
                outcome =
                    draft.commit(index, &Batch { clock, journal: std::mem::take(&mut chunk), ..Batch::default() });
            }
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        draft.commit(index, &Batch { clock, journal: chunk, ..Batch::default() })?;
        let scripts: BTreeMap<MinerId, Script> =
            recovered.miners.iter().map(|(miner, script)| (*miner, Script::from_bytes(script.clone()))).collect();
        let miners = scripts.iter().map(|(miner, script)| (script.clone(), *miner)).collect();
        let last = backup.head(index)?.seq;
        let (journal, new_miners) = (Vec::new(), Vec::new());
        Ok(Rebuilding { recovered, journal, last, scripts, miners, new_miners })
    }

    /// Searches each chain for coinbases that are this pool's.
    fn search(&mut self, pool: &PoolConfig, backup: &Snapshot, pool_index: usize) -> Result<String, TaskError> {
        let mut text = String::new();
        for (index, (spec, secrets)) in (0..).zip(pool.spec.chains.iter().zip(&pool.secrets)) {
            let mut ledger = Ledger::new(index, spec.terms.clone());
            let mut outcome = Ok(());
            backup.visit(pool_index, 1, |head, entry| {
                let wrong = |error| TaskError::Refused(format!("the backup is not true: entry {}: {error}", head.seq));
                outcome = ledger.apply(head.seq, &entry).map_err(wrong);
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            outcome?;
            let refused = |what: String| TaskError::Refused(format!("chain {}: {what}", spec.name));
            let mut reader = ChainReader::connect(&spec.nodes, secrets).map_err(refused)?;
            let found = self.search_chain(spec, &mut ledger, &mut reader);
            let (from, blocks) = found.map_err(|error| refused(error.to_string()))?;
            text += &format!(
                "chain {}: blocks {from} to {} of {} hold {} more of this pool\n",
                spec.name,
                reader.tip,
                reader.url(),
                blocks.len()
            );
            text += &blocks.concat();
        }
        Ok(text)
    }

    /// Adds what the chain holds and the ledger does not know; answers from where it was read, and a line for each.
    fn search_chain(
        &mut self,
        spec: &ChainSpec,
        ledger: &mut Ledger,
        reader: &mut ChainReader,
    ) -> Result<(u32, Vec<String>), ReadError> {
        let from = self.first_height(ledger, reader)?;
        let mut lines = Vec::new();
        for height in from..=reader.tip {
            let Some(name) = reader.hash_at(height)? else { break };
            let hash = parse_hash(&name).ok_or_else(|| ReadError::Answer(format!("{name} is no hash")))?;
            if ledger.block(&hash).is_some() {
                continue;
            }
            let block = reader.read_block(&name)?;
            let Some((outputs, pool)) = self.ours(spec, ledger, &block.first) else { continue };
            let target = Target::from_compact(block.bits)
                .ok_or_else(|| ReadError::Answer(format!("bits of {name} are {:08x}", block.bits)))?;
            let at = Stamp {
                pool_ms: self.recovered.clock.unwrap_or_default().pool_ms,
                wall_ms: block.time_s.saturating_mul(SECOND),
            };
            let mut found = self.describe(ledger, &outputs, pool, at);
            (found.hash, found.height) = (hash, height);
            found.network_difficulty = Difficulty::of_target(target, spec.coin.algorithm).units();
            let (value, miners) = (format_amount(found.value), found.outputs.len());
            let (chain, status) = (found.chain, BlockStatus::Accepted);
            let judged = BlockJudged { chain, hash, at, status, is_final: false };
            for entry in [Entry::BlockFound(Box::new(found)), Entry::BlockJudged(judged)] {
                self.last += 1;
                let wrong = |error| ReadError::Answer(format!("block {name} does not fit the ledger: {error}"));
                ledger.apply(self.last, &entry).map_err(wrong)?;
                self.journal.push((self.last, entry));
            }
            lines.push(format!("  block {height} {name}: {value}, outputs to miners: {miners}\n"));
        }
        Ok((from, lines))
    }

    /// The first height at which the chain may hold what the backup does not know.
    fn first_height(&self, ledger: &Ledger, reader: &ChainReader) -> Result<u32, ReadError> {
        let open = ledger.open_blocks().map(|block| block.found.height).min();
        let last = ledger.blocks().iter().map(|block| block.found.height).max();
        if let Some(height) = open.or(last) {
            return Ok(height);
        }
        // Nothing was found before: the first block that is as young as the backup.
        let saved_s = (self.recovered.clock.unwrap_or_default().wall_ms / SECOND).saturating_sub(TIME_SLACK_S);
        let (mut low, mut high) = (0, reader.tip);
        while low < high {
            let middle = low + (high - low) / 2;
            if reader.time_at(middle)? < saved_s { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The outputs to miners and the pool's amount, if the coinbase is this pool's: it has the tag, and pays the pool
    /// or nobody but known miners.
    fn ours(
        &self,
        spec: &ChainSpec,
        ledger: &Ledger,
        coinbase: &ReadTransaction,
    ) -> Option<(Vec<Output>, Option<Output>)> {
        let tag = spec.coinbase_tag.as_slice();
        let script = coinbase.coinbase.as_deref()?;
        if !tag.is_empty() && !script.windows(tag.len()).any(|part| part == tag) {
            return None;
        }
        let mut outputs: Vec<Output> = coinbase.outputs.iter().filter(|out| !out.is_commitment()).cloned().collect();
        let pool_scripts = [&ledger.terms().pool_script, &spec.terms.pool_script];
        let is_pool = |output: &Output| pool_scripts.contains(&&output.script);
        let pool = outputs.pop_if(|last| is_pool(last));
        let all_known = !outputs.is_empty() && outputs.iter().all(|output| self.miners.contains_key(&output.script));
        let mut scripts: Vec<&Script> = outputs.iter().map(|output| &output.script).collect();
        scripts.sort();
        let is_split = scripts.windows(2).all(|pair| pair[0] != pair[1]);
        (is_split && (pool.is_some() || all_known)).then_some((outputs, pool))
    }

    /// The entry of a block of which only the coinbase is known: who was paid had earned that, as far as nothing was
    /// owed before.
    fn describe(&mut self, ledger: &Ledger, outputs: &[Output], pool: Option<Output>, at: Stamp) -> BlockFound {
        let terms = ledger.terms();
        let payouts: Vec<Payout> =
            outputs.iter().map(|output| Payout { miner: self.miner(&output.script), amount: output.amount }).collect();
        let mut parts: Vec<Part> = payouts
            .iter()
            .map(|payout| {
                let owed = u64::try_from(ledger.account(payout.miner).available()).unwrap_or(0).min(payout.amount);
                Part { miner: payout.miner, work: 0, balance_before: owed as i64, entitled: payout.amount - owed }
            })
            .collect();
        parts.sort_by_key(|part| part.miner);
        let pool_amount = pool.as_ref().map_or(0, |output| output.amount);
        let pool_script = pool.map_or_else(|| terms.pool_script.clone(), |output| output.script);
        let finder = payouts.first().map(|payout| payout.miner).or_else(|| self.scripts.keys().next().copied());
        BlockFound {
            chain: ledger.chain(),
            hash: [0; 32],
            height: 0,
            at,
            job_at: at,
            finder: finder.unwrap_or_else(|| self.miner(&pool_script)),
            worker: String::new(),
            network_difficulty: 0,
            total_work: self.recovered.clock.unwrap_or_default().total_work,
            value: payouts.iter().map(|payout| payout.amount).sum::<u64>() + pool_amount,
            fee_ppm: terms.fee_ppm,
            min_payout: terms.min_payout,
            max_outputs: terms.max_outputs,
            pool_script: pool_script.as_bytes().to_vec(),
            pool_amount,
            outputs: payouts,
            parts,
            rebuilt: true,
        }
    }

    /// The id of a script, which is given one if it has none.
    fn miner(&mut self, script: &Script) -> MinerId {
        if let Some(miner) = self.miners.get(script) {
            return *miner;
        }
        let miner = self.scripts.last_key_value().map_or(0, |(last, _)| last + 1);
        self.scripts.insert(miner, script.clone());
        self.miners.insert(script.clone(), miner);
        self.new_miners.push((miner, script.as_bytes().to_vec()));
        miner
    }

    /// Writes what was found.
    fn write(self, index: usize, draft: &Draft) -> Result<(), TaskError> {
        let clock = self.recovered.clock.unwrap_or_default();
        draft.commit(index, &Batch { clock, miners: self.new_miners, ..Batch::default() })?;
        for journal in self.journal.chunks(CHUNK) {
            draft.commit(index, &Batch { clock, journal: journal.to_vec(), ..Batch::default() })?;
        }
        Ok(())
    }
}
