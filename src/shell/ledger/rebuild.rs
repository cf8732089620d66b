//! `edgepool ledger rebuild`: a ledger from a backup and the chain's own coinbases, when the ledger itself is lost. A
//! block that the backup does not know becomes an entry that says what its coinbase paid; what nobody can know any
//! more is said, not guessed. The ledger that is there is kept.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::chain_reader::{ChainReader, Output, ReadError, ReadTransaction};
use super::verify::names::Names;
use super::{TaskError, Which, import, verify};
use crate::base::amount::format_amount;
use crate::base::parse_hash;
use crate::base::time::{HOUR, SECOND};
use crate::coin::difficulty::{Difficulty, Target};
use crate::coin::script::Script;
use crate::pool::identity::Identity;
use crate::pool::ledger::Ledger;
use crate::pool::record::{
    Batch, BlockFound, BlockJudged, BlockStatus, Entry, MinerId, Part, Payout, Recovered, Stamp,
};
use crate::pool::spec::ChainSpec;
use crate::shell::config::{self, PoolConfig};
use crate::shell::store::tie;
use crate::shell::store::{Aside, Draft, Place, Snapshot, holds_ledger};

/// Entries, cells and miners that are written at one time.
const CHUNK: usize = 64;
/// A block's time may be this much before the time at which it was found.
const TIME_SLACK_S: u64 = 3 * HOUR / SECOND;
/// What a backup and a chain don't tell.
const UNKNOWN: &str = "What can't be known: the contributions since the backup, so the next block shares out by those \
     of the backup; what blocks found since then owed beyond what they paid; blocks that paid neither the pool's \
     address of the backup or the configuration nor only known miners; and payments from a wallet since, \
     which are still owed here.";
/// What is not told of merge-mined chains either.
const UNKNOWN_MERGED: &str = "Of merge-mined chains also: addresses that were named since the backup for miners that had \
     none; what was paid there is in the ledger as another miner's, and is still owed to the first, too (see \
     setmineraddress).";

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
        let recorded = backup.chains(index)?;
        if let Some(recorded) = &recorded {
            draft.tie(index, recorded)?;
        }
        match config.pools.iter().find(|pool| pool.spec.name == *name) {
            None => text += &format!("pool {name} is not in the configuration, and copied as the backup has it\n"),
            Some(pool) => {
                if let Some(recorded) = &recorded {
                    tie::check(name, recorded, &pool.spec.chains_text())?;
                }
                text += &rebuilding.search(pool, &backup, index)?;
            }
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
    // The chain has moved on since the backup; whoever judges blocks is the pool.
    let only_unjudged = report.faults.may_pass();
    let (wrong, unchecked) = report.faults.into_lines();
    if !only_unjudged {
        return Err(TaskError::Faults { checked: text, wrong, unchecked });
    }
    if !wrong.is_empty() {
        text += &format!("\nthe pool will judge these when it runs:\n{}\n", wrong.join("\n"));
    }
    match unchecked.is_empty() {
        true => Ok(text),
        false => Err(TaskError::Unchecked { checked: text, unjudged: wrong.len(), unchecked }),
    }
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
    /// The accounts that are not in the backup.
    ids: BTreeMap<Identity, MinerId>,
    next_id: MinerId,
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
        let next_id = recovered.miners.iter().map(|(miner, _)| miner + 1).max().unwrap_or(0);
        let last = backup.head(index)?.seq;
        let (journal, ids, new_miners) = (Vec::new(), BTreeMap::new(), Vec::new());
        Ok(Rebuilding { recovered, journal, last, ids, next_id, new_miners })
    }

    /// Searches each chain for coinbases that are this pool's.
    fn search(&mut self, pool: &PoolConfig, backup: &Snapshot, pool_index: usize) -> Result<String, TaskError> {
        let mut text = String::new();
        let names = Names::new(&self.recovered, &pool.spec.chains);
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
            let mut reader = match ChainReader::connect(spec, secrets) {
                Ok(reader) => reader,
                Err(error) if error.is_of_retired(spec) => {
                    text += &format!(
                        "chain {}: kept as the backup has it, and not searched: it is not mined any more and its node \
                         does not answer\n",
                        spec.name
                    );
                    continue;
                }
                Err(error) => return Err(refused(error.to_string())),
            };
            let found = self.search_chain(spec, &names, &mut ledger, &mut reader);
            let (from, blocks) = found.map_err(|error| refused(error.to_string()))?;
            text += &format!(
                "chain {}: blocks {from} to {} of {} hold {} more of this pool\n",
                spec.name,
                reader.tip,
                reader.url(),
                blocks.len()
            );
            text += &blocks.concat();
            if names.is_node_block(index) && !blocks.is_empty() {
                text += &format!(
                    "  blocks of {} pay the pool alone, and are its by this: that they pay its address. Whom they owe to \
                     can't be known, so the pool owes none of it: share it out by hand\n",
                    spec.name
                );
            }
        }
        if pool.spec.chains.len() > 1 {
            text += &format!("{UNKNOWN_MERGED}\n");
        }
        Ok(text)
    }

    /// Adds what the chain holds and the ledger does not know; answers from where it was read, and a line for each.
    fn search_chain(
        &mut self,
        spec: &ChainSpec,
        names: &Names,
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
            let Some((outputs, pool)) = self.ours(spec, names, ledger, &block.first) else { continue };
            let Some(payouts) = self.payouts(names, ledger, &outputs) else { continue };
            let target = Target::from_compact(block.bits)
                .ok_or_else(|| ReadError::Answer(format!("bits of {name} are {:08x}", block.bits)))?;
            let at = Stamp {
                pool_ms: self.recovered.clock.unwrap_or_default().pool_ms,
                wall_ms: block.time_s.saturating_mul(SECOND),
            };
            let mut found = self.describe(names, ledger, payouts, pool, at);
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

    /// The outputs to miners and the pool's, if the coinbase is this pool's: it has the tag, and pays the pool or nobody
    /// but known miners. One that the node made has no tag of ours, and pays the pool alone.
    fn ours(
        &self,
        spec: &ChainSpec,
        names: &Names,
        ledger: &Ledger,
        coinbase: &ReadTransaction,
    ) -> Option<(Vec<Output>, Option<Output>)> {
        let is_node_block = names.is_node_block(ledger.chain());
        let tag = spec.coinbase_tag.as_slice();
        let script = coinbase.coinbase.as_deref()?;
        if !is_node_block && !tag.is_empty() && !script.windows(tag.len()).any(|part| part == tag) {
            return None;
        }
        let mut outputs: Vec<Output> = coinbase.outputs.iter().filter(|out| !out.is_commitment()).cloned().collect();
        let pool_scripts = [&ledger.terms().pool_script, &spec.terms.pool_script];
        let is_pool = |output: &Output| pool_scripts.contains(&&output.script);
        let pool = outputs.pop_if(|last| is_pool(last));
        if is_node_block {
            return (pool.is_some() && outputs.is_empty()).then_some((outputs, pool));
        }
        let is_known = |output: &Output| !self.accounts_at(names, ledger, &output.script).is_empty();
        let all_known = !outputs.is_empty() && outputs.iter().all(is_known);
        (pool.is_some() || all_known).then_some((outputs, pool))
    }

    /// The accounts that are paid at a script of a chain: its own, and those for which it was named.
    fn accounts_at(&self, names: &Names, ledger: &Ledger, script: &Script) -> Vec<MinerId> {
        let own = names.paid_at(ledger.chain(), script);
        let own = names.find(&own).or_else(|| self.ids.get(&own).copied());
        own.into_iter().chain(ledger.names().filter(|(_, named)| *named == script).map(|(miner, _)| miner)).collect()
    }

    /// Whom the outputs pay: each its own account, as every coinbase of a pool does; `None` where that can't be.
    fn payouts(&mut self, names: &Names, ledger: &Ledger, outputs: &[Output]) -> Option<Vec<Payout>> {
        let mut scripts: BTreeMap<&Script, Vec<MinerId>> = BTreeMap::new();
        for Output { script, .. } in outputs {
            // Taken from the end: its own comes first.
            let accounts = || self.accounts_at(names, ledger, script).into_iter().rev().collect();
            scripts.entry(script).or_insert_with(accounts);
        }
        let counts = |script: &Script| outputs.iter().filter(|output| output.script == *script).count();
        if scripts.iter().any(|(script, accounts)| counts(script) > accounts.len().max(1)) {
            return None;
        }
        let payout = |output: &Output| {
            let known = scripts.get_mut(&output.script).and_then(Vec::pop);
            let miner = known.unwrap_or_else(|| self.account(names.paid_at(ledger.chain(), &output.script)));
            Payout { miner, amount: output.amount }
        };
        Some(outputs.iter().map(payout).collect())
    }

    /// The entry of a block of which only the coinbase is known: who was paid had earned that, as far as nothing was
    /// owed before.
    fn describe(
        &mut self,
        names: &Names,
        ledger: &Ledger,
        payouts: Vec<Payout>,
        pool: Option<Output>,
        at: Stamp,
    ) -> BlockFound {
        let terms = ledger.terms();
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
        let is_account = |miner: &MinerId| names.check_account(ledger.chain(), *miner).is_none();
        let anybody = || self.recovered.miners.iter().map(|(miner, _)| *miner).find(is_account);
        let finder = payouts.first().map(|payout| payout.miner).or_else(anybody);
        BlockFound {
            chain: ledger.chain(),
            hash: [0; 32],
            height: 0,
            at,
            job_at: at,
            finder: finder.unwrap_or_else(|| self.account(names.paid_at(ledger.chain(), &pool_script))),
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

    /// The id of an account that is not in the backup, which is given one if it has none.
    fn account(&mut self, identity: Identity) -> MinerId {
        if let Some(miner) = self.ids.get(&identity) {
            return *miner;
        }
        let miner = self.next_id;
        self.next_id += 1;
        self.new_miners.push((miner, identity.to_bytes()));
        self.ids.insert(identity, miner);
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
