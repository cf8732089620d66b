//! Payments from the wallet by themselves: what was signed is what was recorded, nobody is paid what he is not owed,
//! and no coin is spent twice.

use std::collections::BTreeMap;

use crate::base::display_hash;
use crate::coin::script::Script;
use crate::coin::transaction::Transaction;
use crate::pool::ledger::Ledger;
use crate::pool::record::{MinerId, OutPoint, PaymentJudged, PaymentSigned, PaymentStatus};

use super::coins;
use super::names::Names;
use super::payees::Payees;

/// The coins that payments spend, and by which.
#[derive(Default)]
pub(super) struct Spent {
    by: BTreeMap<OutPoint, u64>,
}

impl Spent {
    /// Everything that is wrong with a payment that is signed when the accounts are those of `ledger`.
    pub(super) fn check(
        &mut self,
        signed: &PaymentSigned,
        names: &Names,
        payees: &Payees,
        ledger: &Ledger,
    ) -> Vec<String> {
        let queued =
            signed.payment.checked_sub(1).and_then(|index| ledger.payments().get(usize::try_from(index).ok()?));
        let built_ms = queued.map_or(signed.at.pool_ms, |payment| payment.queued.at.pool_ms);
        let scripts = |miner| payees.between(names, signed.chain, miner, built_ms, signed.at.pool_ms);
        let mut wrong = check_bytes(signed, names, scripts);
        let payable: BTreeMap<MinerId, u64> = ledger.payables();
        for output in &signed.outputs {
            let payable = payable.get(&output.miner).copied().unwrap_or(0);
            if output.amount > payable {
                let name = names.miner(signed.chain, output.miner);
                wrong.push(format!("{name} is paid {}, and {} can be paid", coins(output.amount), coins(payable)));
            }
        }
        let borne: u128 = signed.outputs.iter().map(|out| u128::from(out.amount.saturating_sub(out.received))).sum();
        if borne > u128::from(signed.fee) {
            wrong.push(format!("receivers bear {borne} base units of a network fee of {}", signed.fee));
        }
        for input in &signed.inputs {
            if let Some(other) = self.by.insert(*input, signed.payment) {
                let coin = format!("{}:{}", display_hash(&input.txid), input.vout);
                wrong.push(format!("it spends {coin}, which payment {other} spends"));
            }
        }
        wrong
    }

    /// A payment that can never confirm spends nothing.
    pub(super) fn judge(&mut self, judged: &PaymentJudged) {
        if matches!(judged.status, PaymentStatus::Conflicted(_)) {
            self.by.retain(|_, payment| *payment != judged.payment);
        }
    }
}

/// The bytes against what is recorded of them; `scripts` are those at which an account could be paid while the payment
/// was built.
fn check_bytes<'p>(
    signed: &PaymentSigned,
    names: &Names,
    scripts: impl Fn(MinerId) -> Vec<Option<&'p Script>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let transaction = match Transaction::parse(&signed.bytes) {
        Ok(transaction) => transaction,
        Err(error) => return vec![error.to_string()],
    };
    if transaction.txid != signed.txid {
        let (recorded, found) = (display_hash(&signed.txid), display_hash(&transaction.txid));
        wrong.push(format!("its transaction's id is {found}, and {recorded} is recorded"));
    }
    let inputs: Vec<OutPoint> =
        transaction.inputs.iter().map(|input| OutPoint { txid: input.txid, vout: input.vout }).collect();
    if inputs != signed.inputs {
        wrong.push("its transaction spends other coins than are recorded".into());
    }
    for (index, output) in signed.outputs.iter().enumerate() {
        let name = names.miner(signed.chain, output.miner);
        match transaction.outputs.get(index) {
            None => wrong.push(format!("its transaction has no output {index}, which is to pay {name}")),
            Some(paid) if !scripts(output.miner).contains(&Some(&paid.script)) => {
                let found = names.text(signed.chain, &paid.script);
                wrong.push(format!("output {index} of its transaction pays {found}, and {name} is recorded"));
            }
            Some(paid) if paid.value != output.received => {
                let (found, recorded) = (coins(paid.value), coins(output.received));
                wrong
                    .push(format!("output {index} of its transaction pays {name} {found}, and {recorded} is recorded"));
            }
            Some(_) => {}
        }
    }
    if transaction.outputs.len() > signed.outputs.len() + 1 {
        wrong.push("its transaction has more outputs than those recorded and one for what is left over".into());
    }
    wrong
}
