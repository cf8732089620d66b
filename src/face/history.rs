//! What was paid, to whom and how, as JSON: coinbases and payments from the wallet in one list; and what was done, as
//! points for graphs.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::base::amount::format_amount;
use crate::base::display_hash;
use crate::base::time::{HOUR, Now, SECOND};
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::ledger::{Block, Payment, Signed};
use crate::pool::record::{BlockStatus, MinerId, PaymentOutput, PaymentStatus, Payout, Stamp};
use crate::pool::window::{Row, SlotSum};

use super::blocks::{confirmations, reason};
use super::params::Page;
use super::views::{address_at, hashes, seconds};

/// One sum that one miner got, or is about to.
enum Line<'l> {
    /// An output of a coinbase.
    Coinbase(&'l Block, &'l Payout),
    /// An output of a payment from the wallet.
    Output(&'l Payment, &'l Signed, &'l PaymentOutput),
    /// Somebody whom a payment is to pay for which there is no transaction; everybody for `None`.
    Wanted(&'l Payment, Option<MinerId>),
}

/// `getpayouthistory`: what one miner, or everybody, was paid or is about to be, newest first.
pub fn payouts(pool: &Pool, chain_index: usize, miner: Option<MinerId>, page: Page) -> Value {
    let chain = &pool.chains()[chain_index];
    let is_of = |line: &Line| miner.is_none() || line.miner() == miner;
    let coinbases = chain.ledger.blocks().iter().rev();
    let coinbases = coinbases.flat_map(|block| block.found.outputs.iter().map(move |out| Line::Coinbase(block, out)));
    let payments = chain.ledger.payments().iter().rev().flat_map(lines);
    // Each of the two is in order by itself: what comes later than the page in one is not on it.
    let wanted = page.count.saturating_add(page.skip);
    let mut both: Vec<Line> = coinbases.filter(is_of).take(wanted).chain(payments.filter(is_of).take(wanted)).collect();
    both.sort_by_key(|line| Reverse(line.at().pool_ms));
    page.of(both.iter()).map(|line| line.view(pool, chain)).collect()
}

/// `gethistory`: a point for each slot of the window that began in the last `hours`, the oldest first; of one account of a
/// chain, or of all. The slot under way is measured by what has passed of it.
pub fn points(pool: &Pool, chain_index: usize, miner: Option<MinerId>, hours: u64, now: Now) -> Value {
    let (chain, window) = (&pool.chains()[chain_index], pool.window());
    let is_of = |row: &Row| miner.is_none_or(|miner| row.payees.get(chain_index) == Some(&miner));
    let slots = window.slots(is_of);
    let pool_ms = pool.clock().pool_ms(now);
    let first_ms = pool_ms.saturating_sub(hours.saturating_mul(HOUR));
    let point = |slot: &SlotSum| {
        let passed_ms = pool_ms.saturating_sub(slot.start_ms).clamp(1, window.slot_ms());
        json!({
            "time": pool.clock().wall_ms(slot.start_ms, now) / SECOND,
            "hashrate": hashes(chain, slot.work as f64 / passed_ms as f64 * SECOND as f64),
            "accepted": slot.shares,
            "miners": slot.miners,
        })
    };
    slots.iter().filter(|slot| slot.start_ms >= first_ms).map(point).collect()
}

fn lines(payment: &Payment) -> Vec<Line<'_>> {
    match &payment.signed {
        Some(signed) => signed.outputs.iter().map(|output| Line::Output(payment, signed, output)).collect(),
        None if payment.queued.wanted.is_empty() => vec![Line::Wanted(payment, None)],
        None => payment.queued.wanted.iter().map(|miner| Line::Wanted(payment, Some(*miner))).collect(),
    }
}

impl Line<'_> {
    fn miner(&self) -> Option<MinerId> {
        match self {
            Line::Coinbase(_, output) => Some(output.miner),
            Line::Output(_, _, output) => Some(output.miner),
            Line::Wanted(_, miner) => *miner,
        }
    }

    fn at(&self) -> Stamp {
        match self {
            Line::Coinbase(block, _) => block.found.at,
            Line::Output(_, signed, _) => signed.at,
            Line::Wanted(payment, _) => payment.queued.at,
        }
    }

    /// The moment whose addresses it pays.
    fn paid_by(&self) -> Stamp {
        match self {
            Line::Coinbase(block, _) => block.found.job_at,
            Line::Output(..) | Line::Wanted(..) => self.at(),
        }
    }

    fn view(&self, pool: &Pool, chain: &Chain) -> Value {
        let mut view = match self {
            Line::Coinbase(block, output) => json!({
                "kind": "coinbase",
                "state": coinbase_state(block),
                "reason": reason(block),
                "amount": format_amount(output.amount),
                "height": block.found.height,
                "block": display_hash(&block.found.hash),
                "confirmations": confirmations(chain, block),
            }),
            Line::Output(payment, signed, output) => {
                let (height, block, reason) = end_of(payment);
                json!({
                    "kind": "transaction",
                    "state": payment.status.name(),
                    "reason": reason,
                    "amount": format_amount(output.received),
                    "taken_off_balance": format_amount(output.amount),
                    "payment": payment.queued.payment,
                    "txid": display_hash(&signed.txid),
                    "height": height,
                    "block": block,
                })
            }
            Line::Wanted(payment, _) => json!({
                "kind": "transaction",
                "state": payment.status.name(),
                "reason": end_of(payment).2,
                "amount": null,
                "payment": payment.queued.payment,
            }),
        };
        view["address"] = self.miner().and_then(|miner| address_at(pool, chain, miner, self.paid_by())).into();
        view["time"] = seconds(self.at()).into();
        view
    }
}

/// What a coinbase's output is worth: two blocks of one height can't both pay.
fn coinbase_state(block: &Block) -> &'static str {
    match block.status {
        BlockStatus::Submitted | BlockStatus::Accepted if block.counts => "pending",
        BlockStatus::Submitted | BlockStatus::Accepted => "doubtful",
        BlockStatus::Confirmed => "confirmed",
        BlockStatus::Rejected(_) => "rejected",
        BlockStatus::Orphaned(_) => "orphaned",
    }
}

/// Where a payment is settled, or why it never will be.
fn end_of(payment: &Payment) -> (Option<u32>, Option<String>, Option<&str>) {
    match &payment.status {
        PaymentStatus::Settled { height, block } => (Some(*height), Some(display_hash(block)), None),
        PaymentStatus::Conflicted(reason) | PaymentStatus::Dropped(reason) => (None, None, Some(reason)),
        PaymentStatus::Queued | PaymentStatus::Signed | PaymentStatus::Sent => (None, None, None),
    }
}
