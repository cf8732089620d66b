//! `getpayoutproof`: everything that a block's split was made of, so that a person can redo it by the payout rule.
//! Read from the journal as it was written when the block was found; only what follows from it is computed here.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::base::amount::{MILLION, format_amount, format_percent, format_signed};
use crate::base::time::HOUR;
use crate::base::{Hash32, display_hash, parse_hash};
use crate::coin::script::Script;
use crate::pool::Pool;
use crate::pool::ledger::Block;
use crate::pool::record::{BlockFound, Entry, Journal, Part};

use super::blocks::{confirmations, outputs, reason};
use super::params::Page;
use super::views::{address_at, percent_of, seconds, signed_wide};

/// How a block is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockName {
    /// By its height: of several blocks the one that counts, else the first that was found.
    Height(u32),
    /// By its id.
    Hash(Hash32),
}

impl BlockName {
    /// Reads a height or a hash.
    pub fn parse(text: &str) -> Option<BlockName> {
        match text.parse() {
            Ok(height) => Some(BlockName::Height(height)),
            Err(_) => parse_hash(text).map(BlockName::Hash),
        }
    }

    /// The block of that name among those that were found.
    pub fn find(self, pool: &Pool, chain_index: usize) -> Option<&Block> {
        let ledger = &pool.chains()[chain_index].ledger;
        match self {
            BlockName::Hash(hash) => ledger.block(&hash),
            BlockName::Height(height) => {
                let mut found = ledger.blocks_at(height);
                ledger.blocks_at(height).find(|block| block.counts).or_else(|| found.next())
            }
        }
    }
}

/// A block as it was found. Its parts are in memory until it is final, and in the journal for ever.
pub fn recorded(block: &Block, journal: &dyn Journal) -> Result<BlockFound, String> {
    if !block.is_final {
        return Ok(block.found.clone());
    }
    match journal.entry(block.seq)? {
        Some(Entry::BlockFound(found)) if found.hash == block.found.hash => Ok(*found),
        _ => Err(format!("entry {} of the journal is not this block; see edgepool ledger verify", block.seq)),
    }
}

/// `getpayoutproof` of a block, whose parts are in `found`.
pub fn proof(pool: &Pool, chain_index: usize, block: &Block, found: &BlockFound, page: Page) -> Value {
    let chain = &pool.chains()[chain_index];
    let fee = (u128::from(found.value) * u128::from(found.fee_ppm) / u128::from(MILLION)) as u64;
    let total_work: u128 = found.parts.iter().map(|part| u128::from(part.work)).sum();
    let entitled: u64 = found.parts.iter().map(|part| part.entitled).sum();
    let paid: u64 = found.outputs.iter().map(|output| output.amount).sum();
    let paid_to =
        |part: &Part| found.outputs.iter().find(|output| output.miner == part.miner).map_or(0, |out| out.amount);
    let script = |part: &Part| pool.payout_script_at(chain_index, part.miner, found.job_at.pool_ms);
    let is_payable = |part: &Part| script(part).is_some() && due(part) >= i128::from(found.min_payout.max(1));
    let mut ranked: Vec<&Part> = found.parts.iter().collect();
    // Who has no address on the chain comes after those who have.
    ranked.sort_by_key(|part| (script(part).is_none(), Reverse(due(part)), script(part).map(Script::as_bytes)));
    let contribution = |(rank, part): (usize, &&Part)| {
        let paid = paid_to(part);
        json!({
            "address": address_at(pool, chain, part.miner, found.job_at),
            "payable": script(part).is_some(),
            "script": script(part).map(|script| hex::encode(script.as_bytes())),
            "work": part.work.to_string(),
            "percent": percent_of(part.work, total_work),
            "entitled": format_amount(part.entitled),
            "balance_before": format_signed(part.balance_before),
            "due": signed_wide(due(part)),
            "rank": is_payable(part).then_some(rank + 1),
            "paid": format_amount(paid),
            "carried": signed_wide(due(part) - i128::from(paid)),
        })
    };
    json!({
        "pool": pool.spec().name,
        "chain": chain.spec.name,
        "height": found.height,
        "hash": display_hash(&found.hash),
        "time": seconds(found.at),
        "job_time": seconds(found.job_at),
        "finder": address_at(pool, chain, found.finder, found.job_at),
        "worker": found.worker,
        "status": block.status.name(),
        "reason": reason(block),
        "confirmations": confirmations(chain, block),
        "counts": block.counts,
        "final": block.is_final,
        "rebuilt": found.rebuilt,
        "journal_entry": block.seq,
        "parameters": {
            "value": format_amount(found.value),
            "fee_percent": format_percent(found.fee_ppm),
            "fee_ppm": found.fee_ppm,
            "fee": format_amount(fee),
            "distributable": format_amount(found.value - fee),
            "min_payout": format_amount(found.min_payout),
            "max_outputs": found.max_outputs,
            "window_hours": pool.spec().window_ms as f64 / HOUR as f64,
            "total_work": total_work.to_string(),
        },
        "contributions": page.of(ranked.iter().enumerate()).map(contribution).collect::<Vec<Value>>(),
        "contributions_total": found.parts.len(),
        "outputs": outputs(pool, chain, found),
        "sums": {
            "value": format_amount(found.value),
            "entitled": format_amount(entitled),
            "fee": format_amount(fee),
            "remainder": signed_wide(i128::from(found.value) - i128::from(entitled) - i128::from(fee)),
            "paid": format_amount(paid),
            "carried": signed_wide(i128::from(entitled) - i128::from(paid)),
            "pool_amount": format_amount(found.pool_amount),
        },
    })
}

/// What a miner has coming: its part of this block and what it was owed before.
fn due(part: &Part) -> i128 {
    i128::from(part.entitled) + i128::from(part.balance_before)
}
