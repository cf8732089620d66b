//! From templates to jobs: which node is followed, and what its template is made into.

use std::rc::Rc;

use crate::base::time::{Now, SECOND};
use crate::coin::template::Template;

use super::chain::Chain;
use super::child::{ChildBlock, ChildParts, Children};
use super::job::{Job, JobError, JobParts};
use super::record::{Entry, Term, TermSet};
use super::upstream::UpstreamEvent;
use super::{NodeId, Output, Pool};

/// New work this often while the tip stays: rigs give a pool up after 90 s of silence, and fees and
/// contributions have moved on.
const REFRESH_MS: u64 = 30 * SECOND;
/// Merge-mined chains that go on make new work this often on average: several fast chains must not push out the jobs that
/// slow rigs are at. As many may follow each other at once as there are such chains, whatever else made new work: one nonce
/// may win them all, and what is found on a tip that is old is lost.
const CHILD_MS: u64 = 2 * SECOND;

impl Pool {
    /// Changes one of a chain's terms: journaled, in force with the next job, which is made at once.
    pub fn set_term(&mut self, chain: usize, to: Term, now: Now) {
        let configured = self.chains[chain].ledger.configured();
        let configured = match to {
            Term::FeePpm(_) => Term::FeePpm(configured.fee_ppm),
            Term::PoolScript(_) => Term::PoolScript(configured.pool_script.as_bytes().to_vec()),
            Term::MinPayout(_) => Term::MinPayout(configured.min_payout),
        };
        let spec = &self.spec.chains[chain];
        let (now_said, configured_said) = (spec.term_text(&to), spec.term_text(&configured));
        log::info!("{}: {now_said} is in force from now on (configured: {configured_said})", spec.name);
        let set = TermSet { chain: chain as u8, at: self.clock.stamp(now), to, configured };
        self.record(chain, Entry::TermSet(set)).expect("a term has no sums that could be off");
        self.chains[chain].tell_payee(now);
        self.drain_nodes(chain, now);
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
    /// A merge-mined chain on another tip than its block in the current job makes a new job too, but no clean one: what
    /// rigs are at stays good for every other chain.
    fn follow_tip(&mut self, now: Now) {
        let tip = self.chains[0].choose(now).map(|template| template.prev_hash);
        let is_behind = self.has_new_child_tip(now);
        let at_once = CHILD_MS * (self.chains.len() as u64).saturating_sub(2);
        match (self.jobs.current(), tip) {
            (Some(job), Some(tip)) if job.template.prev_hash != tip => self.make_job(true, now),
            (None, Some(_)) => self.make_job(true, now),
            // What the run before left is good, but knows nothing of what changed since.
            (Some(job), Some(_)) if job.is_inherited() => self.make_job(false, now),
            // Also while the parent has no node: what rigs are at then may win the child alone.
            (Some(_), _) if is_behind && self.child_work_ms <= now.mono_ms + at_once => {
                self.child_work_ms = self.child_work_ms.max(now.mono_ms) + CHILD_MS;
                self.heed_names(now);
                self.make_job(false, now);
            }
            _ => {}
        }
    }

    /// Whether a merge-mined chain has gone on since the current job was made, or come back.
    fn has_new_child_tip(&mut self, now: Now) -> bool {
        let Some(job) = self.jobs.current().filter(|_| !self.is_ledger_tight()) else { return false };
        let chains = self.chains.iter_mut().enumerate().skip(1);
        let mut tips = chains.filter_map(|(index, chain)| {
            let tip = chain.choose(now)?.prev_hash;
            chain.spec.mine.then_some((index, tip))
        });
        tips.any(|(index, tip)| match job.children.of(index) {
            Some(child) => child.template.prev_hash != tip,
            None => !self.child_faults.contains_key(&index),
        })
    }

    /// New work in time, also when the tip stays; and soon after the first share of an empty window, whose
    /// job would pay the pool alone.
    pub(super) fn refresh_job(&mut self, now: Now) {
        let has_work = self.window.total_work() > 0;
        let is_due = self.jobs.current().is_some_and(|job| {
            job.age_ms(now.mono_ms) >= REFRESH_MS || (job.coinbases.widest().split.parts.is_empty() && has_work)
        });
        if is_due {
            self.heed_names(now);
            self.make_job(false, now);
        } else {
            // A child's tip that came too soon after the last job is followed now.
            self.follow_tip(now);
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

    fn build_job(&mut self, template: &Rc<Template>, now: Now) -> Result<Job, JobError> {
        self.window.advance(self.clock.pool_ms(now));
        let children = self.build_children(now);
        let aux = children.tag();
        let chain = &self.chains[0];
        let claims = self.claims(0);
        let ntime = ntime(chain, template, now);
        let ntime = match self.jobs.current() {
            Some(job) if job.template.prev_hash == template.prev_hash => ntime.max(job.ntime),
            _ => ntime,
        };
        let parts = JobParts {
            seq: self.next_job,
            template,
            chain: &chain.spec,
            terms: chain.ledger.terms(),
            claims: &claims,
            aux: &aux,
            extranonce2_len: self.spec.stratum.extranonce2_len,
            ntime,
            made_ms: now.mono_ms,
        };
        Job::build(&parts, children)
    }

    /// A block of each merge-mined chain whose node is ready. One that can't be built is left out, and the parent is
    /// not held back.
    fn build_children(&mut self, now: Now) -> Children {
        let mut blocks = Vec::new();
        // Where the ledger has room for few blocks more, those are the parent's.
        let children = if self.is_ledger_tight() { 1..1 } else { 1..self.chains.len() };
        for index in children {
            let Some(template) = self.chains[index].choose(now).map(Rc::clone) else { continue };
            let chain = &self.chains[index];
            if !chain.spec.mine {
                continue;
            }
            let Some(auxpow) = chain.spec.coin.auxpow else { continue };
            let built = ChildBlock::build(&ChildParts {
                index,
                chain: &chain.spec,
                auxpow,
                template: &template,
                terms: chain.ledger.terms(),
                claims: &self.claims(index),
                job: self.next_job,
                ntime: ntime(chain, &template, now),
            });
            match built {
                Ok(block) => {
                    self.child_faults.remove(&index);
                    blocks.push(block);
                }
                Err(error) => {
                    let fault = format!("no block of {} can be made: {error}", chain.spec.name);
                    if self.child_faults.get(&index) != Some(&fault) {
                        log::error!("{}: {fault}", self.spec.name);
                    }
                    self.child_faults.insert(index, fault);
                }
            }
        }
        Children::new(blocks).expect("the configuration has each chain id once")
    }
}

/// The time of a header on a template. The node's time goes on by our monotonic clock: a board's wall clock is never
/// asked.
fn ntime(chain: &Chain, template: &Template, now: Now) -> u32 {
    let since = chain.chosen.and_then(|index| chain.nodes[index].template_age_ms(now)).unwrap_or(0) / SECOND;
    template.curtime.saturating_add(since as u32).max(template.mintime)
}
