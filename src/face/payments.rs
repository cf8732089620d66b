//! Payments from a wallet as JSON: the wallet's state, every payment, and what a new one would pay. Amounts are
//! decimal strings in whole coins; times are seconds since 1970.

use serde_json::{Value, json};

use crate::base::amount::format_amount;
use crate::base::display_hash;
use crate::base::time::{Now, SECOND};
use crate::pool::Pool;
use crate::pool::chain::Chain;
use crate::pool::ledger::Payment;
use crate::pool::payments::Plan;
use crate::pool::record::{PaymentOutput, PaymentStatus};

use super::views::{address_at, address_of};

/// The wallet of a chain for `getinfo`; null where none is used.
pub fn wallet(chain: &Chain, now: Now) -> Value {
    let Some(status) = chain.payments.as_ref().map(|payments| payments.status(now)) else { return Value::Null };
    let waiting = chain.ledger.payments().iter().filter(|payment| !payment.status.is_final()).count();
    json!({
        "wallet": status.url,
        "state": status.doing,
        "waiting": waiting,
        "confirmations": status.confirmations,
        "stuck": status.is_stuck(),
        "trouble": status.trouble,
        "trouble_s": status.trouble_ms.map(|trouble_ms| trouble_ms / SECOND),
        "retry_in_s": status.retry_ms.map(|retry_ms| retry_ms.div_ceil(SECOND)),
    })
}

/// `getpayments`: the newest `count` payments of a chain, newest first.
pub fn payments(pool: &Pool, chain_index: usize, count: usize, now: Now) -> Value {
    let chain = &pool.chains()[chain_index];
    chain.ledger.payments().iter().rev().take(count).map(|payment| view(pool, chain, payment, now)).collect()
}

/// `paybalances` as a dry run: who would be paid now, and who would not and why. What the wallet holds is not asked.
pub fn plan(pool: &Pool, chain_index: usize, plan: &Plan) -> Value {
    let address = |miner| address_of(pool, &pool.chains()[chain_index], miner);
    let pays = plan.outputs.iter().map(|out| json!({ "address": out.address, "amount": format_amount(out.amount) }));
    let left_out = plan.left_out.iter().map(
        |out| json!({ "address": address(out.miner), "owed": format_amount(out.owed), "reason": out.why.to_string() }),
    );
    json!({
        "pays": pays.collect::<Vec<Value>>(),
        "total": format_amount(plan.total()),
        "left_out": left_out.collect::<Vec<Value>>(),
    })
}

fn view(pool: &Pool, chain: &Chain, payment: &Payment, now: Now) -> Value {
    let queued = &payment.queued;
    let wallet = chain.payments.as_ref().map(|payments| payments.status(now));
    let wallet = wallet.filter(|status| status.payment == Some(queued.payment));
    let (height, block, reason) = match &payment.status {
        PaymentStatus::Settled { height, block } => (Some(height), Some(display_hash(block)), None),
        PaymentStatus::Conflicted(reason) | PaymentStatus::Dropped(reason) => (None, None, Some(reason)),
        PaymentStatus::Queued | PaymentStatus::Signed | PaymentStatus::Sent => (None, None, None),
    };
    let signed = payment.signed.as_ref();
    let output = |out: &PaymentOutput| {
        json!({
            "address": address_at(pool, chain, out.miner, signed.map_or(queued.at, |signed| signed.at)),
            "amount": format_amount(out.amount),
            "received": format_amount(out.received),
        })
    };
    let outputs: Option<Vec<Value>> = signed.map(|signed| signed.outputs.iter().map(output).collect());
    let total: Option<u64> = signed.map(|signed| signed.outputs.iter().map(|out| out.amount).sum());
    let wanted: Vec<Value> = queued.wanted.iter().map(|miner| json!(address_of(pool, chain, *miner))).collect();
    json!({
        "payment": queued.payment,
        "status": payment.status.name(),
        "reason": reason,
        "time": queued.at.wall_ms / SECOND,
        "scheduled": queued.is_scheduled,
        "threshold": format_amount(queued.threshold),
        "wanted": wanted,
        "txid": signed.map(|signed| display_hash(&signed.txid)),
        "signed_time": signed.map(|signed| signed.at.wall_ms / SECOND),
        "judged_time": payment.judged.map(|judged| judged.wall_ms / SECOND),
        "amount": total.map(format_amount),
        "fee": signed.map(|signed| format_amount(signed.fee)),
        "outputs": outputs,
        "height": height,
        "block": block,
        "confirmations": wallet.as_ref().and_then(|status| status.confirmations),
        "state": wallet.as_ref().map(|status| status.doing.clone()),
        "trouble": wallet.and_then(|status| status.trouble),
    })
}
