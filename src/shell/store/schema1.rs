//! The ledger's first format, which versions before 0.2 wrote, and its conversion to the present one. May go when
//! nobody can be expected to come from such a version any more, together with [`super::Store::open`]'s call of it.
//!
//! It differs from the present format in this: entries are not chained and records carry no check; the clock mark
//! is `<pool>.clock`; a block's payments are in its parts, and a judgement doesn't say whether it is final.

use std::collections::BTreeMap;
use std::ops::Bound;

use heed::{CommitOrAbort, CommitToken, OnCommit, RoTxn};
use serde::Deserialize;

use super::environment;
use super::place::Place;
use super::records::{Raw, damaged};
use super::snapshot::copy;
use super::{Draft, META, StoreError};
use crate::base::Hash32;
use crate::pool::record::{self, Batch, BlockStatus, Cell, CellKey, ClockMark, MinerId, Payout, Stamp, TermSet};

/// The version in the file.
pub(super) const VERSION: u32 = 1;
/// Where the old file is kept, beside the ledger.
const KEPT: &str = "ledger.schema1";
/// Entries that are converted at one time.
const CHUNK: usize = 128;

/// One event of the old journal.
#[derive(Debug, Deserialize)]
enum Entry {
    TermSet(TermSet),
    BlockFound(Box<BlockFound>),
    BlockJudged(BlockJudged),
}

#[derive(Debug, Deserialize)]
struct BlockFound {
    chain: u8,
    hash: Hash32,
    height: u32,
    at: Stamp,
    finder: MinerId,
    worker: String,
    network_difficulty: u64,
    total_work: u128,
    value: u64,
    fee_ppm: u32,
    min_payout: u64,
    max_outputs: u32,
    pool_script: Vec<u8>,
    pool_amount: u64,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Part {
    miner: MinerId,
    work: u64,
    balance_before: i64,
    entitled: u64,
    paid: u64,
}

#[derive(Debug, Deserialize)]
struct BlockJudged {
    chain: u8,
    hash: Hash32,
    at: Stamp,
    status: BlockStatus,
}

/// Converts the ledger in `place`. The old file is kept; a crash leaves either the old ledger, to be converted at
/// the next start, or the new one.
pub(super) fn convert(place: &Place, map_mib: usize) -> Result<(), StoreError> {
    let env = environment::open_for_reading(place.directory())?;
    place.keep_copy(KEPT, |path| copy(&env, path))?;
    let opened = env.open_databases_and_commit(env.read_txn()?, |opener, txn| {
        let find = |name: &str| {
            let missing = || StoreError::Damaged(format!("there is no database {name}"));
            opener.open_database(txn, Some(name))?.ok_or_else(missing)
        };
        let names = environment::pool_names(opener, txn)?;
        let pools = names.iter().map(|name| OldPool::open(name, find)).collect::<Result<_, _>>()?;
        Ok::<_, StoreError>(CommitOrAbort::<_, StoreError>::Commit(Old { meta: find(META)?, pools }))
    })?;
    let old = Result::from(opened)?;
    let names: Vec<String> = old.pools.iter().map(|pool| pool.name.clone()).collect();
    log::info!("the ledger is converted from format {VERSION}; the old one is kept in {KEPT}");
    let draft = Draft::begin(place, map_mib, &names)?;
    let txn = env.read_txn()?;
    for (index, pool) in old.pools.iter().enumerate() {
        pool.convert(&old.meta, &txn, |batch| draft.commit(index, batch))?;
    }
    drop(txn);
    drop(env);
    draft.install(None).map(|_| ())
}

/// The databases of the old ledger.
struct Old<'e> {
    meta: Raw<'e>,
    pools: Vec<OldPool<'e>>,
}

/// The databases of one pool.
struct OldPool<'e> {
    name: String,
    journal: Raw<'e>,
    cells: Raw<'e>,
    miners: Raw<'e>,
    blocks: Raw<'e>,
}

impl<'e> OldPool<'e> {
    fn open(name: &str, find: impl Fn(&str) -> Result<Raw<'e>, StoreError>) -> Result<OldPool<'e>, StoreError> {
        let find = |what: &str| find(&format!("{name}.{what}"));
        let (journal, cells) = (find("journal")?, find("cells")?);
        Ok(OldPool { name: name.to_string(), journal, cells, miners: find("miners")?, blocks: find("blocks")? })
    }

    /// Gives everything in batches, miners first.
    fn convert(
        &self,
        meta: &Raw,
        txn: &RoTxn,
        mut write: impl FnMut(&Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let clock_key = format!("{}.clock", self.name);
        // A pool that never ran has only empty databases.
        let Some(mark) = meta.get(txn, clock_key.as_bytes())? else { return Ok(()) };
        let clock: ClockMark =
            postcard::from_bytes(mark).map_err(|error| damaged(META, clock_key.as_bytes(), error))?;
        let mut scripts = BTreeMap::new();
        for record in self.miners.iter(txn)? {
            let (key, script) = record?;
            let miner = key.try_into().map_err(|_| self.wrong("miners", key))?;
            scripts.insert(MinerId::from_be_bytes(miner), script.to_vec());
        }
        let mut batch = Batch { clock, ..Batch::default() };
        for record in self.cells.iter(txn)? {
            let (key, value) = record?;
            let cell = cell(key, value).ok_or_else(|| self.wrong("cells", key))?;
            batch.cells.push(cell);
        }
        for record in self.blocks.iter(txn)? {
            let (key, block) = record?;
            batch.blocks.push((key.try_into().map_err(|_| self.wrong("blocks", key))?, block.into()));
        }
        batch.miners = scripts.iter().map(|(miner, script)| (*miner, script.clone())).collect();
        write(&batch)?;
        let mut next = 1u64;
        loop {
            let start = next.to_be_bytes();
            let mut chunk = Batch { clock, ..Batch::default() };
            for record in self.journal.range(txn, &(Bound::Included(&start[..]), Bound::Unbounded))?.take(CHUNK) {
                let (key, value) = record?;
                if key != next.to_be_bytes() {
                    return Err(damaged(&self.name, key, format!("comes where entry {next} should be")));
                }
                let (entry, rest) =
                    postcard::take_from_bytes::<Entry>(value).map_err(|_| self.wrong("journal", key))?;
                if !rest.is_empty() {
                    return Err(self.wrong("journal", key));
                }
                chunk.journal.push((next, converted(entry, &scripts)));
                next += 1;
            }
            if chunk.journal.is_empty() {
                return Ok(());
            }
            write(&chunk)?;
        }
    }

    fn wrong(&self, database: &str, key: &[u8]) -> StoreError {
        damaged(&format!("{}.{database}", self.name), key, "can't be read")
    }
}

impl OnCommit for Old<'_> {
    type Committed = Old<'static>;

    fn on_commit(self, token: &CommitToken) -> Old<'static> {
        let pool = |pool: OldPool| OldPool {
            name: pool.name,
            journal: pool.journal.on_commit(token),
            cells: pool.cells.on_commit(token),
            miners: pool.miners.on_commit(token),
            blocks: pool.blocks.on_commit(token),
        };
        Old { meta: self.meta.on_commit(token), pools: self.pools.into_iter().map(pool).collect() }
    }
}

fn cell(key: &[u8], value: &[u8]) -> Option<(CellKey, Cell)> {
    let split = |bytes: &[u8]| -> Option<(u64, u32)> {
        let (number, rest) = bytes.split_first_chunk()?;
        Some((u64::from_be_bytes(*number), u32::from_be_bytes(rest.try_into().ok()?)))
    };
    let ((slot_start_ms, miner), (work, shares)) = (split(key)?, split(value)?);
    Some((CellKey { slot_start_ms, miner }, Cell { work, shares }))
}

/// The same event as it is written now. What was not written then is as good as it can be known: the order of
/// a coinbase's outputs is that of the rule, except that old balances were in it; the job is as old as the find.
fn converted(entry: Entry, scripts: &BTreeMap<MinerId, Vec<u8>>) -> record::Entry {
    match entry {
        Entry::TermSet(set) => record::Entry::TermSet(set),
        Entry::BlockJudged(BlockJudged { chain, hash, at, status }) => {
            record::Entry::BlockJudged(record::BlockJudged { chain, hash, at, status, is_final: false })
        }
        Entry::BlockFound(found) => record::Entry::BlockFound(Box::new(found.converted(scripts))),
    }
}

impl BlockFound {
    fn converted(self, scripts: &BTreeMap<MinerId, Vec<u8>>) -> record::BlockFound {
        let paid = self.parts.iter().filter(|part| part.paid > 0);
        let mut outputs: Vec<Payout> = paid.map(|part| Payout { miner: part.miner, amount: part.paid }).collect();
        outputs.sort_by(|one, two| {
            two.amount.cmp(&one.amount).then_with(|| scripts.get(&one.miner).cmp(&scripts.get(&two.miner)))
        });
        let mut parts: Vec<record::Part> = self.parts.iter().map(Part::converted).collect();
        parts.sort_by_key(|part| part.miner);
        record::BlockFound {
            chain: self.chain,
            hash: self.hash,
            height: self.height,
            at: self.at,
            job_at: self.at,
            finder: self.finder,
            worker: self.worker,
            network_difficulty: self.network_difficulty,
            total_work: self.total_work,
            value: self.value,
            fee_ppm: self.fee_ppm,
            min_payout: self.min_payout,
            max_outputs: self.max_outputs,
            pool_script: self.pool_script,
            pool_amount: self.pool_amount,
            outputs,
            parts,
            rebuilt: false,
        }
    }
}

impl Part {
    fn converted(&self) -> record::Part {
        let Part { miner, work, balance_before, entitled, .. } = *self;
        record::Part { miner, work, balance_before, entitled }
    }
}
