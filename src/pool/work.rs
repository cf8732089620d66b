//! From templates to jobs: which node is followed, and what its template is made into.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::time::{Now, SECOND};
use crate::coin::template::Template;

use super::job::{Job, JobParts};
use super::record::{Entry, MinerId, Term, TermSet};
use super::split::Claim;
use super::upstream::UpstreamEvent;
use super::{NodeId, Output, Pool};

/// New work this often while the tip stays: rigs give a pool up after 90 s of silence, and fees and
/// contributions have moved on.
const REFRESH_MS: u64 = 30 * SECOND;

impl Pool {
    /// Changes one of a chain's terms: journaled, in force with the next job, which is made at once.
    pub fn set_term(&mut self, chain: usize, to: Term, now: Now) {
        let configured = self.chains[chain].ledger.configured();
        let configured = match to {
            Term::FeePpm(_) => Term::FeePpm(configured.fee_ppm),
            Term::PoolScript(_) => Term::PoolScript(configured.pool_script.as_bytes().to_vec()),
            Term::MinPayout(_) => Term::MinPayout(configured.min_payout),
        };
        log::warn!("{}: {:?} is now in force (configured: {configured:?})", self.spec.chains[chain].name, to);
        let set = TermSet { chain: chain as u8, at: self.clock.stamp(now), to, configured };
        self.record(chain, Entry::TermSet(set)).expect("a term has no sums that could be off");
        self.make_job(false, now);
    }

    /// Passes on what the chain's nodes want to send, and acts on what they said.
    pub(super) fn drain_nodes(&mut self, chain: usize, now: Now) {
        for node in 0..self.chains[chain].nodes.len() {
            while let Some(action) = self.chains[chain].nodes[node].poll_action() {
                let node = NodeId { chain: chain as u8, node: node as u8 };
                self.outputs.push_back(Output::Link { node, action });
            }
            while let Some(event) = self.chains[chain].nodes[node].poll_event() {
                match event {
                    UpstreamEvent::Template => self.tell_wallet(chain, node, now),
                    UpstreamEvent::Block { hash, verdict } => self.handle_verdict(chain, node, hash, verdict, now),
                }
            }
        }
        self.follow_tip(now);
    }

    /// A new tip may bring a payment's confirmations.
    fn tell_wallet(&mut self, chain: usize, node: usize, now: Now) {
        let tip = self.chains[chain].nodes[node].ready_template().map(|template| template.prev_hash);
        if let (Some(payments), Some(tip)) = (&mut self.chains[chain].payments, tip) {
            payments.handle_tip(tip, now);
            self.drain_payments(chain, now);
        }
    }

    /// Makes a clean job when the chosen node is on another tip than the current job, and a job of this run in any case.
    fn follow_tip(&mut self, now: Now) {
        let Some(template) = self.chains[0].choose(now) else { return };
        let tip = template.prev_hash;
        match self.jobs.current() {
            Some(job) if job.template.prev_hash != tip => self.make_job(true, now),
            None => self.make_job(true, now),
            // What the run before left is good, but knows nothing of what changed since.
            Some(job) if job.is_inherited() => self.make_job(false, now),
            Some(_) => {}
        }
    }

    /// New work in time, also when the tip stays; and soon after the first share of an empty window, whose
    /// job would pay the pool alone.
    pub(super) fn refresh_job(&mut self, now: Now) {
        let has_work = self.window.total_work() > 0;
        let is_due = self.jobs.current().is_some_and(|job| {
            job.age_ms(now.mono_ms) >= REFRESH_MS || (job.coinbases.widest().split.parts.is_empty() && has_work)
        });
        if is_due {
            self.make_job(false, now);
        }
    }

    /// Makes a job of the chosen node's template, or of the last one while no node is ready, and sends it.
    pub(super) fn make_job(&mut self, clean: bool, now: Now) {
        let chosen = self.chains[0].choose(now).map(Rc::clone);
        let last = || self.jobs.current().map(|job| Rc::clone(&job.template));
        let Some(template) = chosen.or_else(last) else { return };
        let clean = clean || self.jobs.current().is_some_and(|job| job.template.prev_hash != template.prev_hash);
        match self.build_job(&template, now) {
            Ok(job) => {
                self.job_fault = None;
                if clean {
                    let split = &job.coinbases.widest().split;
                    log::info!(
                        "{}: height {}, {} transactions, value {}, paying {} miners",
                        self.spec.name,
                        job.template.height,
                        job.template.transactions.len(),
                        split.value,
                        split.paid.len()
                    );
                }
                self.jobs.push(job, clean);
                self.next_job += 1;
                self.broadcast(clean, now);
            }
            Err(error) => {
                let fault = format!("no job can be made: {error}");
                if self.job_fault.as_ref() != Some(&fault) {
                    log::error!("{}: {fault}", self.spec.name);
                }
                self.job_fault = Some(fault);
            }
        }
    }

    fn build_job(&mut self, template: &Rc<Template>, now: Now) -> Result<Job, super::job::JobError> {
        self.window.advance(self.clock.pool_ms(now));
        let chain = &self.chains[0];
        let claims = self.claims(0);
        // The node's time goes on by our monotonic clock: a board's wall clock is never asked.
        let since = chain.chosen.and_then(|index| chain.nodes[index].template_age_ms(now)).unwrap_or(0) / SECOND;
        let ntime = template.curtime.saturating_add(since as u32).max(template.mintime);
        let ntime = match self.jobs.current() {
            Some(job) if job.template.prev_hash == template.prev_hash => ntime.max(job.ntime),
            _ => ntime,
        };
        Job::build(&JobParts {
            seq: self.next_job,
            template,
            chain: &chain.spec,
            terms: chain.ledger.terms(),
            claims: &claims,
            extranonce2_len: self.spec.stratum.extranonce2_len,
            ntime,
            made_ms: now.mono_ms,
        })
    }

    /// Everybody with work in the window or a balance on the chain, in order of script.
    fn claims(&self, chain: usize) -> Vec<Claim<'_>> {
        let ledger = &self.chains[chain].ledger;
        let mut claims: BTreeMap<MinerId, Claim> = BTreeMap::new();
        for (_, row) in self.window.iter().filter(|(_, row)| row.work > 0) {
            let claim = Claim { miner: row.miner, script: &row.script, work: row.work, balance: 0 };
            claims.insert(row.miner, claim);
        }
        for (miner, account) in ledger.accounts().filter(|(_, account)| account.available() != 0) {
            // Every account belongs to a registered miner: recovery refuses a ledger where one does not.
            let Some(script) = self.miners.script(miner) else { continue };
            let claim = claims.entry(miner).or_insert(Claim { miner, script, work: 0, balance: 0 });
            claim.balance = account.available();
        }
        claims.into_values().collect()
    }
}
