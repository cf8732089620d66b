//! The ledger against the chain: every block is there or not as recorded, its coinbase pays what is recorded to the
//! unit, and every settled payment is in its block. Amounts are read as the decimals that the node prints.

use std::fmt::Display;

use super::coins;
use super::fault::Faults;
use super::names::Names;
use super::payees::Payees;
use super::replay::Audit;
use super::wallet::KnownPayments;
use crate::base::display_hash;
use crate::coin::script::Script;
use crate::pool::ledger::{Block, Ledger, Payment, Signed};
use crate::pool::record::{BlockStatus, MinerId, PaymentStatus};
use crate::shell::config::PoolConfig;
use crate::shell::ledger::chain_reader::{ChainReader, Output, ReadError};

/// Compares each chain of a pool, and says what was compared. Payments that are in the chain under another id than the
/// recorded one are made known by that.
pub(super) fn compare(
    pool: &PoolConfig,
    names: &Names,
    audit: &Audit,
    known: &mut KnownPayments,
    faults: &mut Faults,
) -> String {
    let mut text = String::new();
    for (index, ledger) in audit.ledgers() {
        let place = usize::from(index);
        let (Some(spec), Some(secrets)) = (pool.spec.chains.get(place), pool.secrets.get(place)) else {
            text += &format!("  {} is not compared with its chain: it is not configured\n", names.chain(index));
            continue;
        };
        let payees = audit.payees(index);
        match ChainReader::connect(spec, secrets) {
            Err(error) if error.is_of_retired(spec) => {
                let name = &spec.name;
                text += &format!("  {name} is not compared: it is not mined any more and its node does not answer\n");
            }
            Err(error) => faults.add_unchecked(format!("chain {}", spec.name), error),
            Ok(reader) => {
                let (coinbases, payments) = (0, 0);
                let mut comparison = Comparison { reader, index, names, payees, known, faults, coinbases, payments };
                comparison.run(ledger);
                let Comparison { reader, coinbases, payments, .. } = comparison;
                text += &format!("  {} has {coinbases} coinbases and {payments} payments as recorded\n", reader.url());
            }
        }
    }
    text
}

struct Comparison<'c> {
    reader: ChainReader,
    index: u8,
    names: &'c Names<'c>,
    payees: &'c Payees,
    known: &'c mut KnownPayments,
    faults: &'c mut Faults,
    coinbases: usize,
    payments: usize,
}

impl<'c> Comparison<'c> {
    fn run(&mut self, ledger: &Ledger) {
        for block in ledger.blocks() {
            let place =
                format!("entry {} (block {} {})", block.seq, block.found.height, display_hash(&block.found.hash));
            if let Err(error) = self.compare_block(block, &place) {
                self.faults.add_unchecked(&place, &error);
                if matches!(error, ReadError::Lost(_)) {
                    return;
                }
            }
        }
        for payment in ledger.payments() {
            let (PaymentStatus::Settled { height, block }, Some(signed)) = (&payment.status, &payment.signed) else {
                continue;
            };
            let place =
                format!("entry {} (payment {} {})", signed.seq, payment.queued.payment, display_hash(&signed.txid));
            let read = self.compare_payment((payment, signed), *height, &display_hash(block), &place);
            if let Err(error) = read {
                self.faults.add_unchecked(&place, &error);
                if matches!(error, ReadError::Lost(_)) {
                    return;
                }
            }
        }
    }

    fn compare_block(&mut self, block: &Block, place: &str) -> Result<(), ReadError> {
        let (hash, height) = (display_hash(&block.found.hash), block.found.height);
        let there = self.reader.hash_at(height)?;
        let is_there = there.as_ref() == Some(&hash);
        let must_be = match block.status {
            BlockStatus::Submitted => is_there,
            BlockStatus::Accepted | BlockStatus::Confirmed => true,
            BlockStatus::Rejected(_) | BlockStatus::Orphaned(_) => false,
        };
        if is_there != must_be {
            let there = there.unwrap_or_else(|| "no block".into());
            let what = format!("it is {}, and at its height the chain has {there}", block.status.name());
            self.faults.add_passing(!block.is_final, place, what);
        }
        if is_there {
            let coinbase = self.reader.coinbase(&hash)?;
            self.compare_coinbase(block, &coinbase, place);
            self.coinbases += 1;
        }
        Ok(())
    }

    fn compare_coinbase(&mut self, block: &Block, coinbase: &[Output], place: &str) {
        let found = &block.found;
        // Each output with every script that is right for it: a name may be as young as the job.
        let scripts = |miner| self.payees.at(self.names, self.index, miner, found.job_at.pool_ms);
        let mut expected: Vec<(Vec<Option<&Script>>, u64)> =
            found.outputs.iter().map(|out| (scripts(out.miner), out.amount)).collect();
        let pool_script = Script::from_bytes(found.pool_script.clone());
        if found.pool_amount > 0 {
            expected.push((vec![Some(&pool_script)], found.pool_amount));
        }
        let paying: Vec<&Output> = coinbase.iter().filter(|output| !output.is_commitment()).collect();
        for index in 0..expected.len().max(paying.len()) {
            let (found, recorded) = (paying.get(index), expected.get(index));
            let is_right = found.zip(recorded).is_some_and(|(found, (scripts, amount))| {
                scripts.contains(&Some(&found.script)) && found.amount == *amount
            });
            if !is_right {
                let nothing = || "nothing".to_string();
                let recorded = recorded.map_or_else(nothing, |(scripts, amount)| self.output(scripts[0], *amount));
                let found = found.map_or_else(nothing, |output| self.output(Some(&output.script), output.amount));
                self.faults
                    .add(place, format!("output {index} of its coinbase is {found}, and recorded is {recorded}"));
            }
        }
    }

    fn compare_payment(
        &mut self,
        (payment, signed): (&Payment, &Signed),
        height: u32,
        block: &str,
        place: &impl Display,
    ) -> Result<(), ReadError> {
        let there = self.reader.hash_at(height)?.unwrap_or_else(|| "no block".into());
        if there != block {
            let what = format!("it is settled in block {block}, and at height {height} the chain has {there}");
            self.faults.add(place, what);
            return Ok(());
        }
        let (names, payees, chain) = (self.names, self.payees, self.index);
        let (from_ms, to_ms) = (payment.queued.at.pool_ms, signed.at.pool_ms);
        let scripts = |miner| payees.between(names, chain, miner, from_ms, to_ms);
        let Some(outputs) = self.paid(signed, block, scripts)? else {
            let what =
                format!("its transaction is not in block {block}, in which it is settled, nor one that pays the same");
            self.faults.add(place, what);
            return Ok(());
        };
        for (index, recorded) in signed.outputs.iter().enumerate() {
            let scripts = scripts(recorded.miner);
            let found = outputs.get(index);
            let is_right = |out: &Output| scripts.contains(&Some(&out.script)) && out.amount == recorded.received;
            if !found.is_some_and(is_right) {
                let found = found.map_or("nothing".into(), |out| self.output(Some(&out.script), out.amount));
                let recorded = self.output(scripts[0], recorded.received);
                self.faults.add(place, format!("its output {index} is {found}, and recorded is {recorded}"));
            }
        }
        if outputs.len() > signed.outputs.len() + 1 {
            let number = payment.queued.payment;
            self.faults.add(place, format!("payment {number} has more outputs than recorded and its change"));
        }
        self.payments += 1;
        Ok(())
    }

    /// What a payment paid in its block: whoever mined that may have given the transaction another id, and an operator
    /// may have sent it again by hand. Then it is known by what it pays; the bytes are in the journal alone.
    fn paid(
        &mut self,
        signed: &Signed,
        block: &str,
        scripts: impl Fn(MinerId) -> Vec<Option<&'c Script>>,
    ) -> Result<Option<Vec<Output>>, ReadError> {
        if let Some(outputs) = self.reader.transaction(block, &display_hash(&signed.txid))? {
            return Ok(Some(outputs));
        }
        let is_same = |outputs: &[Output]| {
            (signed.outputs.len()..=signed.outputs.len() + 1).contains(&outputs.len())
                && signed.outputs.iter().zip(outputs).all(|(recorded, found)| {
                    scripts(recorded.miner).contains(&Some(&found.script)) && found.amount == recorded.received
                })
        };
        let same = self.reader.transaction_where(block, is_same)?;
        Ok(same.map(|(txid, outputs)| {
            self.known.add(txid);
            outputs
        }))
    }

    fn output(&self, script: Option<&Script>, amount: u64) -> String {
        let to = script.map_or("nobody".into(), |script| self.names.text(self.index, script));
        format!("{} to {to}", coins(amount))
    }
}
