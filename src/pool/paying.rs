//! What the pool does about payments from a wallet: whom they may pay, when one is queued, and that each is in the
//! journal, on disk, before it is sent.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::amount::format_amount;
use crate::base::display_hash;
use crate::base::limits::QUEUED_PAYMENTS;
use crate::base::time::Now;
use crate::coin::address;

use super::ledger::{Payment, Signed};
use super::payments::{Bounds, Candidate, PaymentEvent, Payments, Plan, Transfer};
use super::record::{Entry, MinerId, PaymentJudged, PaymentQueued, PaymentSigned, PaymentStatus};
use super::{NodeId, Output, Pool, lacks_template};

/// Why no payment is queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentError {
    /// No wallet may be used.
    NotConfigured(String),
    /// The ledger was put back from a copy, and an operator has yet to say that it may pay again; where to.
    Held(String),
    /// Nobody can be paid now; the plan says why.
    Nobody(Plan),
    /// So many payments wait already.
    TooMany(usize),
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PaymentError::NotConfigured(chain) => write!(
                f,
                "chain {chain} has no wallet to pay from: add \"payments\": {{}} beside its \"payout\" in the \
                 configuration, and restart"
            ),
            PaymentError::Held(path) => write!(f, "{}", held(path)),
            PaymentError::Nobody(plan) if plan.left_out.is_empty() => f.write_str("nobody is owed anything"),
            PaymentError::Nobody(_) => f.write_str("nobody can be paid now: see dry_run"),
            PaymentError::TooMany(count) => write!(f, "{count} payments wait already: see getpayments"),
        }
    }
}

impl std::error::Error for PaymentError {}

/// From here on an operator is told how full the ledger is.
const EARLY_PERCENT: u64 = 70;

fn held(path: &str) -> String {
    format!("no payments are built while {path} is there: read it")
}

impl Pool {
    /// Builds no payment from now on: the ledger may not know all that was paid. What is signed is still sent and
    /// watched. `path` names the file that holds them.
    pub fn hold_payments(&mut self, path: &str) {
        self.payments_held = Some(path.to_string());
        for chain in &mut self.chains {
            let queued = unfinished(chain.ledger.payments()).filter(|payment| payment.signed.is_none());
            if let (Some(payments), Some(payment)) = (&mut chain.payments, queued) {
                payments.cancel(payment.queued.payment);
            }
        }
    }

    /// Queues a payment to those who are `wanted`, or to everybody who is owed the threshold; gives its number. A
    /// miner who is named is paid however little it is, above dust.
    pub fn queue_payment(&mut self, chain: usize, wanted: Vec<MinerId>, now: Now) -> Result<u64, PaymentError> {
        let plan = self.plan_payment(chain, &wanted)?;
        if let Some(path) = &self.payments_held {
            return Err(PaymentError::Held(path.clone()));
        }
        if plan.outputs.is_empty() {
            return Err(PaymentError::Nobody(plan));
        }
        let waiting = self.chains[chain].ledger.payments().iter().filter(|payment| !payment.status.is_final()).count();
        if waiting >= QUEUED_PAYMENTS {
            return Err(PaymentError::TooMany(waiting));
        }
        let threshold = self.threshold(chain, &wanted);
        let payment = self.record_queued(chain, wanted, threshold, false, now);
        self.drain_payments(chain, now);
        Ok(payment)
    }

    /// Gives up a payment that is not signed yet; the error says why that can't be.
    pub fn cancel_payment(&mut self, chain: usize, payment: u64, now: Now) -> Result<(), String> {
        let found = self.payment(chain, payment).ok_or_else(|| format!("there is no payment {payment}"))?;
        if found.status != PaymentStatus::Queued {
            return Err(format!("payment {payment} is {}: only a queued one can be given up", found.status.name()));
        }
        let status = PaymentStatus::Dropped("given up by the operator".into());
        let judged = PaymentJudged { chain: chain as u8, payment, at: self.clock.stamp(now), status };
        self.record(chain, Entry::PaymentJudged(judged)).expect("a queued payment may be dropped");
        if let Some(payments) = &mut self.chains[chain].payments {
            payments.cancel(payment);
        }
        self.drain_payments(chain, now);
        Ok(())
    }

    /// What a payment would pay now, were there enough in the wallet, and who is left out and why.
    pub fn plan_payment(&self, chain: usize, wanted: &[MinerId]) -> Result<Plan, PaymentError> {
        if self.chains[chain].payments.is_none() {
            return Err(PaymentError::NotConfigured(self.chains[chain].spec.name.clone()));
        }
        Ok(self.plan(chain, wanted, self.threshold(chain, wanted), u64::MAX))
    }

    /// What the operator should look at although it keeps nobody from mining: payments that are stuck.
    pub fn warnings(&self, now: Now) -> Vec<String> {
        let mut warnings: Vec<String> = self.payments_held.iter().map(|path| held(path)).collect();
        if self.ledger_used_percent >= EARLY_PERCENT {
            warnings.push(format!("the ledger is {} % full: raise map_mib in time", self.ledger_used_percent));
        }
        if self.is_ledger_tight() && self.chains.len() > 1 {
            warnings.push("merge-mined chains are left alone: the ledger is nearly full".to_string());
        }
        warnings.extend((0..self.chains.len()).flat_map(|chain| self.chain_warnings(chain, now)));
        warnings
    }

    /// Of them those about one chain.
    pub fn chain_warnings(&self, index: usize, now: Now) -> Vec<String> {
        let chain = &self.chains[index];
        // A merge-mined chain never holds the parent back: that it lies idle is no more than a warning. One that is not
        // mined any more needs its nodes for the blocks that it has.
        let is_needed = index > 0 && (chain.spec.mine || chain.ledger.open_blocks().next().is_some());
        let mut warnings: Vec<String> = lacks_template(chain).filter(|_| is_needed).into_iter().collect();
        warnings.extend(self.child_faults.get(&index).cloned());
        let owed = chain.ledger.totals().owed;
        if !chain.spec.mine && chain.payments.is_none() && owed > 0 {
            warnings.push(format!(
                "{} is not mined any more, and nothing pays what it owes ({}): configure payments",
                chain.spec.name,
                format_amount(u64::try_from(owed).unwrap_or(u64::MAX))
            ));
        }
        let status = chain.payments.as_ref().map(|payments| payments.status(now));
        if let Some(status) = status.filter(|status| status.is_stuck()) {
            let trouble = status.trouble.unwrap_or_default();
            warnings.push(format!("{}: {}, and does not come forward: {trouble}", chain.spec.name, status.doing));
        }
        warnings
    }

    /// Carries on with the payments of the journal that have not come to their end.
    pub(super) fn resume_payments(&mut self, now: Now) {
        for chain in 0..self.chains.len() {
            if self.chains[chain].payments.is_some() {
                self.drain_payments(chain, now);
            } else if let Some(payment) = unfinished(self.chains[chain].ledger.payments()) {
                let number = payment.queued.payment;
                log::error!("{}: payment {number} is not at its end, and payments are not configured", self.spec.name);
            }
        }
    }

    /// Queues the payments that are due.
    pub(super) fn schedule_payments(&mut self, now: Now) {
        for chain in 0..self.chains.len() {
            let is_time = |payments: &mut Payments| payments.is_time_to_schedule(now);
            if self.chains[chain].payments.as_mut().is_some_and(is_time) {
                self.schedule_payment(chain, now);
            }
        }
    }

    /// Passes on what the wallet is asked, acts on what it said, and begins the next payment when one is at its end.
    pub(super) fn drain_payments(&mut self, chain: usize, now: Now) {
        while let Some(payments) = &mut self.chains[chain].payments {
            if let Some(action) = payments.poll_action() {
                let node = NodeId { chain: chain as u8, node: NodeId::WALLET };
                self.outputs.push_back(Output::Link { node, action });
            } else if let Some((payment, event)) = payments.poll_event() {
                self.handle_payment_event(chain, payment, event, now);
            } else if !self.begin_payment(chain, now) {
                break;
            }
        }
    }

    /// The batch is on disk: what was signed in it, on these chains, is sent.
    pub(super) fn send_written_payments(&mut self, chains: Vec<usize>, now: Now) {
        for chain in chains {
            if let Some(payments) = &mut self.chains[chain].payments {
                payments.handle_written(now);
            }
            self.drain_payments(chain, now);
        }
    }

    fn threshold(&self, chain: usize, wanted: &[MinerId]) -> u64 {
        let payments = self.chains[chain].payments.as_ref().filter(|_| wanted.is_empty());
        payments.map_or(0, |payments| payments.spec().threshold)
    }

    fn schedule_payment(&mut self, chain: usize, now: Now) {
        if self.payments_held.is_some() {
            return;
        }
        let Some(spec) = self.chains[chain].payments.as_ref().map(Payments::spec) else { return };
        let (Some(every_ms), threshold) = (spec.every_ms, spec.threshold) else { return };
        let scheduled = |payment: &&Payment| payment.queued.is_scheduled;
        let last = self.chains[chain].ledger.payments().iter().rev().find(scheduled);
        let is_due = last.is_none_or(|last| self.clock.pool_ms(now) >= last.queued.at.pool_ms.saturating_add(every_ms));
        if is_due && !self.plan(chain, &[], threshold, u64::MAX).outputs.is_empty() {
            self.record_queued(chain, Vec::new(), threshold, true, now);
            self.drain_payments(chain, now);
        }
    }

    /// Queues another payment after a settled one that had no room for everybody who was meant, or paid one of several
    /// accounts of an address.
    fn follow_up(&mut self, chain: usize, payment: u64, now: Now) {
        let wallet = self.chains[chain].payments.as_ref().filter(|_| self.payments_held.is_none());
        let Some(most) = wallet.map(|payments| payments.spec().max_outputs) else { return };
        let Some(Payment { queued, signed: Some(signed), .. }) = self.payment(chain, payment) else { return };
        let paid = |miner: &MinerId| signed.outputs.iter().any(|output| output.miner == *miner);
        let left: Vec<MinerId> = queued.wanted.iter().copied().filter(|miner| !paid(miner)).collect();
        let is_full = signed.outputs.len() >= most;
        let left = if is_full { left } else { self.behind(chain, signed, &queued.wanted) };
        let is_for_all = is_full && queued.wanted.is_empty();
        if left.is_empty() && !is_for_all {
            return;
        }
        let (threshold, is_scheduled) = (queued.threshold, queued.is_scheduled);
        if !self.plan(chain, &left, threshold, u64::MAX).outputs.is_empty() {
            self.record_queued(chain, left, threshold, is_scheduled, now);
        }
    }

    /// Those who were meant and not paid, for another account is paid at the same script.
    fn behind(&self, chain: usize, signed: &Signed, wanted: &[MinerId]) -> Vec<MinerId> {
        let is_paid = |miner: MinerId| signed.outputs.iter().any(|output| output.miner == miner);
        let places: Vec<_> = signed.outputs.iter().map(|output| self.payout_script(chain, output.miner)).collect();
        let accounts = self.chains[chain].ledger.accounts().map(|(miner, _)| miner);
        let meant = accounts.filter(|miner| (wanted.is_empty() || wanted.contains(miner)) && !is_paid(*miner));
        let is_behind = |miner: &MinerId| {
            let place = self.payout_script(chain, *miner);
            place.is_some() && places.contains(&place)
        };
        meant.filter(is_behind).collect()
    }

    fn payment(&self, chain: usize, payment: u64) -> Option<&Payment> {
        self.chains[chain].ledger.payments().get(usize::try_from(payment.checked_sub(1)?).ok()?)
    }

    fn record_queued(
        &mut self,
        chain: usize,
        wanted: Vec<MinerId>,
        threshold: u64,
        is_scheduled: bool,
        now: Now,
    ) -> u64 {
        let payment = self.chains[chain].ledger.payments().len() as u64 + 1;
        let at = self.clock.stamp(now);
        log::info!("{}: payment {payment} is queued", self.spec.chains[chain].name);
        let queued = PaymentQueued { chain: chain as u8, payment, at, wanted, threshold, is_scheduled };
        self.record(chain, Entry::PaymentQueued(queued)).expect("its number is the next");
        payment
    }

    /// Gives the wallet the first payment that is not at its end; `false` when there is none, or one under way.
    fn begin_payment(&mut self, chain: usize, now: Now) -> bool {
        let is_held = self.payments_held.is_some();
        let chain = &mut self.chains[chain];
        let Some(payments) = chain.payments.as_mut().filter(|payments| payments.is_idle()) else { return false };
        let Some(payment) = unfinished(chain.ledger.payments()) else { return false };
        let number = payment.queued.payment;
        match &payment.signed {
            None if is_held => return false,
            None => payments.build(number, now),
            Some(signed) => {
                let is_sent = payment.status == PaymentStatus::Sent;
                payments.watch(number, signed.txid, signed.bytes.clone(), signed.inputs.clone(), is_sent, now);
            }
        }
        true
    }

    fn handle_payment_event(&mut self, chain: usize, payment: u64, event: PaymentEvent, now: Now) {
        match event {
            PaymentEvent::PlanWanted { funds } => {
                let Some(payment) = self.payment(chain, payment) else { return };
                let plan = self.plan(chain, &payment.queued.wanted, payment.queued.threshold, funds);
                if let Some(payments) = &mut self.chains[chain].payments {
                    payments.handle_plan(plan, now);
                }
            }
            PaymentEvent::Signed(transfer) => self.handle_signed(chain, payment, transfer, now),
            PaymentEvent::Judged(status) => {
                let name = &self.spec.chains[chain].name;
                log::info!("{name}: payment {payment} is {}", status.name());
                let is_freed = matches!(status, PaymentStatus::Conflicted(_));
                let is_settled = matches!(status, PaymentStatus::Settled { .. });
                let judged = PaymentJudged { chain: chain as u8, payment, at: self.clock.stamp(now), status };
                self.record(chain, Entry::PaymentJudged(judged)).expect("the payment is not at its end");
                if is_freed {
                    self.make_job(false, now);
                }
                if is_settled {
                    self.follow_up(chain, payment, now);
                }
            }
        }
    }

    fn handle_signed(&mut self, chain: usize, payment: u64, transfer: Transfer, now: Now) {
        let payables = self.chains[chain].ledger.payables();
        let is_due = |miner: &MinerId, amount: u64| payables.get(miner).is_some_and(|payable| amount <= *payable);
        let outcome = if transfer.outputs.iter().all(|output| is_due(&output.miner, output.amount)) {
            let (txid, count) = (display_hash(&transfer.txid), transfer.outputs.len());
            let Transfer { txid: id, bytes, inputs, outputs, fee } = transfer;
            let at = self.clock.stamp(now);
            let signed = PaymentSigned { chain: chain as u8, payment, at, txid: id, bytes, inputs, outputs, fee };
            let recorded = self.record(chain, Entry::PaymentSigned(Box::new(signed)));
            recorded.map(|()| (txid, count)).map_err(|error| error.to_string())
        } else {
            Err("a balance has changed while the payment was built".to_string())
        };
        match outcome {
            Ok((txid, count)) => {
                log::info!("{}: payment {payment} pays {count} miners: {txid}", self.spec.chains[chain].name);
                self.commits.keep_payment(chain);
                // What the payment holds is not for the next coinbase.
                self.make_job(false, now);
            }
            Err(reason) => {
                if let Some(payments) = &mut self.chains[chain].payments {
                    payments.handle_refused(&reason, now);
                }
            }
        }
    }

    fn plan(&self, chain_index: usize, wanted: &[MinerId], threshold: u64, funds: u64) -> Plan {
        let chain = &self.chains[chain_index];
        let payables: BTreeMap<MinerId, u64> = chain.ledger.payables();
        let accounts = chain.ledger.accounts();
        let candidates = accounts.filter(|(miner, _)| wanted.is_empty() || wanted.contains(miner));
        let candidates = candidates.filter_map(|(miner, account)| {
            // Who has no address on this chain stays owed until one is named. Every account belongs to a registered miner:
            // recovery refuses a ledger where one does not.
            let paid_at = self.payout_script(chain_index, miner);
            let address = paid_at.and_then(|script| address::encode(script, chain.spec.coin, chain.spec.network));
            let script = paid_at.or_else(|| self.miners.script(miner))?.clone();
            let payable = payables.get(&miner).copied().unwrap_or(0);
            let owed = u64::try_from(account.balance).ok().filter(|owed| *owed > 0)?;
            Some(Candidate { miner, script, address, owed, reserved: account.reserved, payable })
        });
        let max_outputs = chain.payments.as_ref().map_or(0, |payments| payments.spec().max_outputs);
        let bounds = Bounds { threshold, dust: chain.spec.coin.dust, max_outputs, funds };
        Plan::choose(candidates.collect(), &bounds)
    }
}

fn unfinished(payments: &[Payment]) -> Option<&Payment> {
    payments.iter().find(|payment| !payment.status.is_final())
}
