//! Payments from the wallet as the ledger follows them: queued, signed, sent, and settled or given up.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::base::Hash32;
use crate::pool::record::{
    MinerId, OutPoint, PaymentJudged, PaymentOutput, PaymentQueued, PaymentSigned, PaymentStatus, Stamp,
};

use super::{Ledger, LedgerError};

/// A payment and what became of it.
#[derive(Clone, Debug)]
pub struct Payment {
    /// As it was asked for.
    pub queued: PaymentQueued,
    /// Its transaction, once there is one.
    pub signed: Option<Signed>,
    /// Where it is in its life.
    pub status: PaymentStatus,
    /// When the status was last changed by a judgement.
    pub judged: Option<Stamp>,
}

/// The transaction of a payment.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Number of its entry in the journal, where its bytes are for ever.
    pub seq: u64,
    /// When it was signed.
    pub at: Stamp,
    /// Its id.
    pub txid: Hash32,
    /// Whom it pays, in the order of its outputs.
    pub outputs: Vec<PaymentOutput>,
    /// The network's fee, in base units.
    pub fee: u64,
    /// The whole transaction; empty once the payment is final.
    pub bytes: Rc<[u8]>,
    /// The coins that it spends; empty once the payment is final.
    pub inputs: Vec<OutPoint>,
}

impl Payment {
    /// What the payment holds back, while it does.
    pub(super) fn reserving(&self) -> Option<&[PaymentOutput]> {
        self.signed.as_ref().filter(|_| !self.status.is_final()).map(|signed| signed.outputs.as_slice())
    }
}

impl Ledger {
    /// Every payment; number n is at n − 1.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// What a payment from the wallet may pay each miner, in base units: of its balance what came from
    /// blocks that can't be orphaned any more, less what younger blocks and other payments pay already.
    pub fn payables(&self) -> BTreeMap<MinerId, u64> {
        let mut free: BTreeMap<MinerId, i64> = BTreeMap::new();
        for (miner, account) in &self.accounts {
            free.insert(*miner, account.matured.saturating_sub_unsigned(account.reserved));
        }
        for block in self.open_blocks().filter(|block| block.counts) {
            for (miner, entitled, paid) in block.shares().filter(|(_, entitled, paid)| paid > entitled) {
                *free.entry(miner).or_default() -= (paid - entitled) as i64;
            }
        }
        free.into_iter()
            .filter_map(|(miner, free)| Some((miner, u64::try_from(free).ok()?)))
            .filter(|(_, free)| *free > 0)
            .collect()
    }

    pub(super) fn apply_queued(&mut self, queued: &PaymentQueued) -> Result<(), LedgerError> {
        let next = self.payments.len() as u64 + 1;
        if queued.payment != next {
            return Err(LedgerError::Payment(format!("{} comes where {next} should be", queued.payment)));
        }
        let status = PaymentStatus::Queued;
        self.payments.push(Payment { queued: queued.clone(), signed: None, status, judged: None });
        Ok(())
    }

    pub(super) fn apply_signed(&mut self, seq: u64, signed: &PaymentSigned) -> Result<(), LedgerError> {
        let wrong = |what: &str| Err(LedgerError::Payment(format!("{} {what}", signed.payment)));
        let Some(payment) = find(&mut self.payments, signed.payment) else { return wrong("is signed, and unknown") };
        if payment.status != PaymentStatus::Queued {
            return wrong("is signed when it does not wait for that");
        }
        let miners: BTreeSet<MinerId> = signed.outputs.iter().map(|output| output.miner).collect();
        if miners.len() != signed.outputs.len() || miners.is_empty() {
            return wrong("does not pay each of its miners once");
        }
        if signed.outputs.iter().any(|output| output.received == 0 || output.received > output.amount) {
            return wrong("has an output above what it is for, or of nothing");
        }
        for output in &signed.outputs {
            self.accounts.entry(output.miner).or_default().reserved += output.amount;
        }
        payment.status = PaymentStatus::Signed;
        payment.signed = Some(Signed {
            seq,
            at: signed.at,
            txid: signed.txid,
            outputs: signed.outputs.clone(),
            fee: signed.fee,
            bytes: signed.bytes.as_slice().into(),
            inputs: signed.inputs.clone(),
        });
        Ok(())
    }

    pub(super) fn apply_payment_judged(&mut self, judged: &PaymentJudged) -> Result<(), LedgerError> {
        use PaymentStatus::{Conflicted, Dropped, Queued, Sent, Settled, Signed};
        let wrong = |what: &str| Err(LedgerError::Payment(format!("{} {what}", judged.payment)));
        let Some(payment) = find(&mut self.payments, judged.payment) else { return wrong("is judged, and unknown") };
        if payment.status.is_final() {
            return Err(LedgerError::AfterFinal(format!("payment {}", judged.payment)));
        }
        match (&payment.status, &judged.status) {
            (Queued, Dropped(_)) | (Signed, Sent) | (Signed | Sent, Settled { .. } | Conflicted(_)) => {}
            (before, after) => return wrong(&format!("is {} after it was {}", after.name(), before.name())),
        }
        if judged.status.is_final()
            && let Some(signed) = &mut payment.signed
        {
            for output in &signed.outputs {
                let account = self.accounts.entry(output.miner).or_default();
                if matches!(judged.status, Settled { .. }) {
                    account.settle_payment(output.amount, output.received);
                    self.totals.settle_payment(output.amount, output.received);
                    self.settled.settle_payment(output.amount, output.received);
                } else {
                    account.reserved -= output.amount;
                }
            }
            signed.bytes = Rc::from([]);
            signed.inputs = Vec::new();
        }
        payment.status = judged.status.clone();
        payment.judged = Some(judged.at);
        Ok(())
    }
}

fn find(payments: &mut [Payment], number: u64) -> Option<&mut Payment> {
    payments.get_mut(usize::try_from(number.checked_sub(1)?).ok()?)
}
