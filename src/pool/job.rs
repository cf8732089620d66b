//! Jobs: what rigs work on, with everything that is needed to judge their shares and to assemble the
//! block. A job's payouts are frozen when it is made. Never talks to anybody.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::base::Hash32;
use crate::base::limits::{EXTRANONCE1, JOB_STAMP, LIVE_JOBS, SHARES_PER_JOB, STALE_JOBS};
use crate::coin::block;
use crate::coin::coinbase::CoinbaseError;
use crate::coin::template::Template;
use crate::wire::stratum::{Line, NotifyParts, notify};

use super::child::{Children, ParentWork};
use super::coinbases::{Coinbases, Variant, extranonce_len};
use super::firmware::CoinbaseClass;
use super::spec::{ChainSpec, Terms};
use super::split::{Claim, Imbalance};

/// Fingerprints of the shares that were answered `true`. The hasher has no random key: nothing depends on the order, and a rig
/// can only make collisions with its own shares.
type Seen = HashSet<u64, BuildHasherDefault<DefaultHasher>>;

/// One piece of work.
pub struct Job {
    /// Counts the jobs of this pool.
    pub seq: u64,
    /// What it is made from, already fitted to the largest coinbase.
    pub template: Rc<Template>,
    /// The coinbases, and who they pay.
    pub coinbases: Coinbases,
    /// The blocks of merge-mined chains that it works for.
    pub children: Children,
    /// Merkle branch of the coinbase.
    pub branch: Vec<Hash32>,
    /// The version with every bit that rigs may roll cleared.
    pub version: u32,
    /// The terms that the splits follow.
    pub terms: Terms,
    /// The first ntime that was sent, seconds since 1970.
    pub ntime: u32,
    /// When it was made or carried on, monotonic milliseconds.
    made_ms: u64,
    /// How old it was when this run carried it on, in milliseconds; `None` for one of this run.
    inherited_ms: Option<u64>,
    /// The tip has moved on: shares are refused, a block is still tried.
    pub stale: bool,
    seen: Seen,
}

/// What makes a job's coinbase one rig's own: which it was sent, and what fills the room for extranonces.
#[derive(Clone, Copy, Debug)]
pub struct Filled<'a> {
    /// The class whose coinbase it is.
    pub class: CoinbaseClass,
    /// The sending of the job (see [`Job::notify`]).
    pub epoch: u32,
    /// Given to the connection by the pool.
    pub extranonce1: [u8; EXTRANONCE1],
    /// Chosen by the rig; of the length in [`JobParts`].
    pub extranonce2: &'a [u8],
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job {{ seq: {}, height: {}, stale: {} }}", self.seq, self.template.height, self.stale)
    }
}

/// A job as it is written down, but for its template and its children.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    seq: u64,
    coinbases: Coinbases,
    terms: Terms,
    ntime: u32,
    age_ms: u64,
    stale: bool,
    /// In order, so that the same job is always written the same.
    seen: Vec<u64>,
}

/// Why no job could be made of a template.
#[derive(Debug)]
pub enum JobError {
    /// The split is wrong: a bug, stopped before it costs money.
    Split(Imbalance),
    /// The coinbase breaks a consensus rule.
    Coinbase(CoinbaseError),
    /// The coinbase does not fit beside what can't be dropped.
    TooLarge,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Split(error) => error.fmt(f),
            JobError::Coinbase(error) => error.fmt(f),
            JobError::TooLarge => f.write_str("the coinbase does not fit beside what must be in the block"),
        }
    }
}

impl std::error::Error for JobError {}

/// What a job is made of.
pub struct JobParts<'a> {
    /// See [`Job::seq`].
    pub seq: u64,
    /// The node's template.
    pub template: &'a Rc<Template>,
    /// The chain it is for.
    pub chain: &'a ChainSpec,
    /// The terms in force.
    pub terms: &'a Terms,
    /// Everybody who may be paid.
    pub claims: &'a [Claim<'a>],
    /// What the coinbase says of merge-mined chains; empty where there are none.
    pub aux: &'a [u8],
    /// Bytes of the coinbase that a rig may vary.
    pub extranonce2_len: usize,
    /// See [`Job::ntime`].
    pub ntime: u32,
    /// When it is made, monotonic milliseconds.
    pub made_ms: u64,
}

impl Job {
    /// Shares out the template's value, builds the coinbases, and drops transactions if the block would be
    /// too heavy with the largest of them.
    pub fn build(parts: &JobParts, children: Children) -> Result<Job, JobError> {
        let measure = |coinbases: &Coinbases| {
            let largest = |measure: fn(&Variant, usize) -> u64| {
                coinbases.variants().iter().map(|variant| measure(variant, extranonce_len(parts))).max().unwrap_or(0)
            };
            let weight = largest(|variant, extranonce_len| variant.coinbase.weight(extranonce_len));
            let size = largest(|variant, extranonce_len| variant.coinbase.size(extranonce_len));
            let sigops = largest(|variant, _| variant.coinbase.sigops());
            (weight, size, sigops)
        };
        let (template, coinbases) = fit(parts.template, |template| Coinbases::build(parts, template), measure)?;
        Ok(Job {
            seq: parts.seq,
            branch: template.branch(),
            version: template.version & !parts.chain.coin.version_rolling_mask,
            coinbases,
            children,
            terms: parts.terms.clone(),
            ntime: parts.ntime,
            made_ms: parts.made_ms,
            inherited_ms: None,
            stale: false,
            seen: Seen::default(),
            template,
        })
    }

    /// As it can be written down.
    pub fn kept(&self, mono_ms: u64) -> Kept {
        let mut seen: Vec<u64> = self.seen.iter().copied().collect();
        seen.sort_unstable();
        Kept {
            seq: self.seq,
            coinbases: self.coinbases.clone(),
            terms: self.terms.clone(),
            ntime: self.ntime,
            age_ms: self.age_ms(mono_ms),
            stale: self.stale,
            seen,
        }
    }

    /// The job that was kept `pause_ms` ago. `rolling_mask`: the version bits that rigs may roll.
    pub fn restore(
        kept: Kept,
        template: Rc<Template>,
        children: Children,
        rolling_mask: u32,
        pause_ms: u64,
        mono_ms: u64,
    ) -> Job {
        Job {
            children,
            seq: kept.seq,
            branch: template.branch(),
            version: template.version & !rolling_mask,
            coinbases: kept.coinbases,
            terms: kept.terms,
            ntime: kept.ntime,
            made_ms: mono_ms,
            inherited_ms: Some(kept.age_ms.saturating_add(pause_ms)),
            stale: kept.stale,
            seen: kept.seen.into_iter().collect(),
            template,
        }
    }

    /// Milliseconds since it was made, also if that was in an earlier run.
    pub fn age_ms(&self, mono_ms: u64) -> u64 {
        self.inherited_ms.unwrap_or(0).saturating_add(mono_ms.saturating_sub(self.made_ms))
    }

    /// Whether it was made in an earlier run.
    pub fn is_inherited(&self) -> bool {
        self.inherited_ms.is_some()
    }

    /// The `mining.notify` line for rigs of a class. `epoch` tells a job that is sent again with a new
    /// difficulty from the first sending; 0 is the first.
    pub fn notify(&self, class: CoinbaseClass, epoch: u32, clean: bool) -> Line {
        let id = JobId { seq: self.seq, epoch };
        let coinbase = &self.coinbases.of(class).coinbase;
        notify(&NotifyParts {
            job_id: &id.to_string(),
            prev_hash: &block::stratum_prev_hash(&self.template.prev_hash),
            first: &[coinbase.first.as_slice(), &id.stamp()].concat(),
            second: &coinbase.second,
            branch: &self.branch,
            version: self.version,
            bits: self.template.bits,
            ntime: self.ntime,
            clean,
        })
    }

    /// The id of a coinbase as it was mined.
    pub fn coinbase_id(&self, filled: &Filled) -> Hash32 {
        self.coinbases.of(filled.class).coinbase.txid(&self.prefix(filled), filled.extranonce2)
    }

    /// The whole block that `header`, mined with that coinbase, solves.
    pub fn assemble(&self, header: &[u8; 80], filled: &Filled) -> Vec<u8> {
        let coinbase = &self.coinbases.of(filled.class).coinbase;
        let coinbase = coinbase.for_block(&self.prefix(filled), filled.extranonce2);
        block::assemble(header, &coinbase, &self.template.transactions, self.template.mweb.as_deref())
    }

    /// What is submitted to the node of the child at `place`, which `header`, mined with that coinbase, solves.
    pub fn assemble_child(&self, place: usize, header: &[u8; 80], filled: &Filled) -> Vec<u8> {
        let coinbase = &self.coinbases.of(filled.class).coinbase;
        let coinbase = coinbase.stripped(&self.prefix(filled), filled.extranonce2);
        self.children.assemble(place, &ParentWork { coinbase: &coinbase, branch: &self.branch, header })
    }

    /// Whether a share with this fingerprint was accepted.
    pub fn has_seen(&self, fingerprint: u64) -> bool {
        self.seen.contains(&fingerprint)
    }

    /// Remembers an accepted share; `false` when the memory for this job is full.
    pub fn remember(&mut self, fingerprint: u64) -> bool {
        if self.seen.len() >= SHARES_PER_JOB {
            return false;
        }
        self.seen.insert(fingerprint);
        true
    }

    /// Forgets a share whose credit was taken back: it may come again.
    pub fn forget(&mut self, fingerprint: u64) {
        self.seen.remove(&fingerprint);
    }

    fn prefix(&self, filled: &Filled) -> [u8; JOB_STAMP + EXTRANONCE1] {
        let mut prefix = [0; JOB_STAMP + EXTRANONCE1];
        prefix[..JOB_STAMP].copy_from_slice(&JobId { seq: self.seq, epoch: filled.epoch }.stamp());
        prefix[JOB_STAMP..].copy_from_slice(&filled.extranonce1);
        prefix
    }
}

/// Builds what goes with a template, and drops transactions until the block is within every limit: what was built is
/// measured in weight, bytes and signature operations.
pub(super) fn fit<T>(
    template: &Rc<Template>,
    build: impl Fn(&Template) -> Result<T, JobError>,
    measure: impl Fn(&T) -> (u64, u64, u64),
) -> Result<(Rc<Template>, T), JobError> {
    let mut template = Rc::clone(template);
    loop {
        let built = build(&template)?;
        let (weight, size, sigops) = measure(&built);
        if template.fits(weight, size, sigops) {
            return Ok((template, built));
        }
        let fitted = Template::clone(&template).fit(weight, size, sigops);
        if fitted.transactions.len() == template.transactions.len() {
            return Err(JobError::TooLarge);
        }
        // The value is lower by the dropped fees, so it is shared out again. Each round drops at least one
        // transaction, so there is an end.
        template = Rc::new(fitted);
    }
}

/// The name of a job as rigs see it: its number in hexadecimal, and `x` and the epoch when it was sent
/// again with another difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId {
    /// See [`Job::seq`].
    pub seq: u64,
    /// See [`Job::notify`].
    pub epoch: u32,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            0 => write!(f, "{:x}", self.seq),
            epoch => write!(f, "{:x}x{epoch:x}", self.seq),
        }
    }
}

impl JobId {
    /// What the coinbase carries before the extranonce. Without it two jobs of one template and one split
    /// would have the same headers: a share could be sent for both, or the job chosen, after the hash is
    /// known, whose difficulty pays best. Jobs that are kept at the same time are far fewer than 2^16.
    pub fn stamp(&self) -> [u8; JOB_STAMP] {
        let ([_, _, _, _, _, _, seq_high, seq_low], [_, _, epoch_high, epoch_low]) =
            (self.seq.to_be_bytes(), self.epoch.to_be_bytes());
        [seq_high, seq_low, epoch_high, epoch_low]
    }

    /// Reads what a rig sent back; `None` for what this pool never sends.
    pub fn parse(text: &str) -> Option<JobId> {
        match text.split_once('x') {
            None => Some(JobId { seq: hexadecimal(text)?, epoch: 0 }),
            Some((seq, epoch)) => {
                let epoch = u32::try_from(hexadecimal(epoch)?).ok().filter(|epoch| *epoch > 0)?;
                Some(JobId { seq: hexadecimal(seq)?, epoch })
            }
        }
    }
}

/// A number as `{:x}` writes it: no sign, no capitals, no zeros before it.
fn hexadecimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_short = text == "0" || !text.starts_with('0');
    (is_plain && is_short).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The jobs that shares may still come for, oldest first.
#[derive(Debug, Default)]
pub struct Jobs(VecDeque<Job>);

impl Jobs {
    /// Adds the newest job. `clean`: the tip has moved, everything before is stale.
    pub fn push(&mut self, job: Job, clean: bool) {
        if clean {
            self.0.iter_mut().for_each(|job| job.stale = true);
        }
        self.0.push_back(job);
        let stale = self.0.iter().filter(|job| job.stale).count();
        let live = self.0.len() - stale;
        // Stale jobs are older than live ones, so both kinds leave from the front.
        let excess = stale.saturating_sub(STALE_JOBS);
        self.0.drain(..excess);
        if live > LIVE_JOBS {
            self.0.remove(stale - excess);
        }
    }

    /// Begins with jobs of an earlier run, oldest first.
    pub fn restore(&mut self, jobs: Vec<Job>) {
        self.0 = jobs.into();
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.0.iter()
    }

    /// The job that rigs should be working on.
    pub fn current(&self) -> Option<&Job> {
        self.0.back()
    }

    /// The job with this number.
    pub fn find(&self, seq: u64) -> Option<&Job> {
        self.0.iter().find(|job| job.seq == seq)
    }

    /// As [`Jobs::find`], to remember a share.
    pub fn find_mut(&mut self, seq: u64) -> Option<&mut Job> {
        self.0.iter_mut().find(|job| job.seq == seq)
    }

    /// The number of the oldest job that is kept.
    pub fn oldest(&self) -> Option<u64> {
        self.0.front().map(|job| job.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_is_read_back_and_nothing_else_is() {
        for id in [JobId { seq: 0, epoch: 0 }, JobId { seq: 0xabc123, epoch: 0 }, JobId { seq: 7, epoch: 31 }] {
            assert_eq!(JobId::parse(&id.to_string()), Some(id));
        }
        for text in ["", "x", "7x", "x7", "07", "7x0", "7X1", "AB", "+7", "7x1x1", "-1", "10000000000000000"] {
            assert_eq!(JobId::parse(text), None, "{text:?}");
        }
    }
}
