//! Found blocks as JSON, from the newest.

use serde_json::{Value, json};

use crate::base::amount::format_amount;
use crate::base::display_hash;
use crate::coin::script::Script;
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::ledger::Block;
use crate::pool::record::{BlockFound, BlockStatus, Payout};

use super::params::Page;
use super::views::{address_at, rounded, seconds};

/// `getblocks`: found blocks of a chain, newest first.
pub fn blocks(pool: &Pool, chain_index: usize, page: Page) -> Value {
    let chain = &pool.chains()[chain_index];
    page.of(chain.ledger.blocks().iter().rev()).map(|block| view(pool, chain, block)).collect()
}

/// What the coinbase pays, in the order of its outputs; the pool's is the last.
pub(super) fn outputs(pool: &Pool, chain: &Chain, found: &BlockFound) -> Value {
    let output = |paid: &Payout| json!({ "address": address_at(pool, chain, paid.miner, found.job_at), "amount": format_amount(paid.amount) });
    let mut outputs: Vec<Value> = found.outputs.iter().map(output).collect();
    if found.pool_amount > 0 {
        let script = Script::from_bytes(found.pool_script.clone());
        outputs.push(json!({
            "address": chain.spec.address_text(&script),
            "amount": format_amount(found.pool_amount),
            "pool": true,
        }));
    }
    outputs.into()
}

/// Why a block is rejected or orphaned.
pub(super) fn reason(block: &Block) -> Option<&str> {
    match &block.status {
        BlockStatus::Rejected(reason) | BlockStatus::Orphaned(reason) => Some(reason),
        BlockStatus::Submitted | BlockStatus::Accepted | BlockStatus::Confirmed => None,
    }
}

/// Blocks on top of one in the main chain and itself, by the height that the nodes know; 0 for others.
pub(super) fn confirmations(chain: &Chain, block: &Block) -> u32 {
    if !matches!(block.status, BlockStatus::Accepted | BlockStatus::Confirmed) {
        return 0;
    }
    let next = chain.nodes.iter().filter_map(|node| node.ready_template()).map(|template| template.height).max();
    let known = next.map_or(1, |next| next.saturating_sub(block.found.height).max(1));
    // Right after a start no node has said how high the chain is.
    if block.status == BlockStatus::Confirmed { known.max(chain.spec.network.maturity) } else { known }
}

fn view(pool: &Pool, chain: &Chain, block: &Block) -> Value {
    let found = &block.found;
    json!({
        "height": found.height,
        "hash": display_hash(&found.hash),
        "time": seconds(found.at),
        "finder": address_at(pool, chain, found.finder, found.job_at),
        "worker": found.worker,
        "value": format_amount(found.value),
        "fees": format_amount(block.fees),
        "status": block.status.name(),
        "reason": reason(block),
        "confirmations": confirmations(chain, block),
        "counts": block.counts,
        "final": block.is_final,
        "rebuilt": found.rebuilt,
        "effort_percent": rounded(block.effort_work as f64 / found.network_difficulty.max(1) as f64 * 100.0),
        "outputs": outputs(pool, chain, found),
    })
}
