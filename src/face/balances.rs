//! What is owed to whom as JSON, and the conservation law with its terms.

use serde_json::{Value, json};

use crate::base::amount::{format_amount, format_signed};
use crate::pool::Pool;
use crate::pool::ledger::Account;

use super::params::Page;
use super::views::{address_of, signed_wide};

/// `getbalances`: every account that ever held something, by miner, and the terms of the law. All of it is as
/// entry `journal_seq` of the journal left it.
pub fn balances(pool: &Pool, chain_index: usize, page: Page) -> Value {
    let chain = &pool.chains()[chain_index];
    let totals = chain.ledger.totals();
    let payables = chain.ledger.payables();
    let used = || chain.ledger.accounts().filter(|(_, account)| **account != Account::default());
    let balances: Vec<Value> = page
        .of(used())
        .map(|(miner, account)| {
            let has_address = chain_index == 0 || pool.payout_script(chain_index, miner).is_some();
            let payable = payables.get(&miner).copied().filter(|_| has_address);
            json!({
                "address": address_of(pool, chain, miner),
                "miner": miner,
                "balance": format_signed(account.balance),
                "matured": format_signed(account.matured),
                "reserved": format_amount(account.reserved),
                "paid": format_amount(account.paid),
                "payable": format_amount(payable.unwrap_or(0)),
                "has_address": has_address,
            })
        })
        .collect();
    let check = chain.ledger.check();
    json!({
        "pool": pool.spec().name,
        "chain": chain.spec.name,
        "journal_seq": pool.journal_seq(),
        "balances": balances,
        "balances_total": used().count(),
        "coinbase_total": signed_wide(totals.value as i128),
        "paid_total": signed_wide(totals.paid as i128),
        "owed_total": signed_wide(totals.owed),
        "fees_and_remainders_total": signed_wide(totals.fees as i128),
        "payment_fees_total": signed_wide(totals.payment_fees as i128),
        "conserved": check.is_ok(),
        "error": check.err().map(|error| error.to_string()),
    })
}
