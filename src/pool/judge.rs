//! Judges one submission: does it solve a block, and is it worth credit? Two separate answers, for a
//! block is tried even when its share is refused. Pure: changes nothing, sends nothing.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::base::limits::JOB_STAMP;
use crate::coin::block;
use crate::coin::difficulty::Difficulty;
use crate::coin::merkle;
use crate::coin::params::Algorithm;
use crate::coin::pow::Hasher;
use crate::wire::stratum::ErrorCode;

use super::job::{Filled, Job, JobId};

/// A block's time may be at most this far ahead of the node's clock, in seconds (consensus: two hours), less
/// a margin for clocks that differ.
const NTIME_AHEAD: u32 = 7_000;

/// What a rig claims, and what it was told before.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The coinbase that it is mined with.
    pub filled: Filled<'a>,
    /// Seconds since 1970.
    pub ntime: u32,
    /// The nonce.
    pub nonce: u32,
    /// The version bits that the rig rolled (BIP310), if it sent any.
    pub version_bits: Option<u32>,
    /// The bits that the connection may roll; 0 when it did not negotiate.
    pub version_mask: u32,
    /// What the job was sent with.
    pub difficulty: Difficulty,
    /// The lower one that the rig was told since, for as long as it may mix them up.
    pub lowered: Option<Difficulty>,
}

/// The two answers.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The blocks that the proof of work solves.
    pub solves: Option<Solution>,
    /// The share's fingerprint, or why it is refused.
    pub credit: Result<u64, Reject>,
}

/// A proof of work that meets the target of the parent chain, of chains that are merge-mined with it, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The parent's header.
    pub header: [u8; 80],
    /// Whether it solves the parent's block.
    pub parent: bool,
    /// The child blocks of the job that it solves: see [`super::child::Children::solved_by`].
    pub children: u8,
}

/// Why a share is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The job's tip has been replaced.
    Stale,
    /// The pool doesn't know the job, or never sent it to this connection.
    JobNotFound,
    /// The same share was accepted before.
    Duplicate,
    /// The proof of work does not meet the difficulty that the job was sent with.
    LowDifficulty,
    /// The same, but it meets the lower one that was announced since: rigs apply that to what they work on already.
    /// Nothing is credited, for else a rig could choose its difficulty when it knows the hash; it is answered `true`,
    /// once: this is its fingerprint.
    Lowered(u64),
    /// Before the earliest time that the chain allows.
    NtimeTooOld,
    /// Too far in the future.
    NtimeTooNew,
    /// Bits outside of what the connection may roll.
    VersionBits,
    /// Not the length that `mining.subscribe` announced, in bytes.
    Extranonce2Length(usize),
    /// The username was not authorised on this connection.
    Unauthorised,
    /// `mining.subscribe` comes first.
    NotSubscribed,
    /// The ledger can't take shares, with the reason.
    Ledger(String),
}

impl Reject {
    /// The stratum error code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Reject::Stale | Reject::JobNotFound => ErrorCode::JobNotFound,
            Reject::Duplicate => ErrorCode::Duplicate,
            Reject::LowDifficulty | Reject::Lowered(_) => ErrorCode::LowDifficulty,
            Reject::Unauthorised => ErrorCode::Unauthorized,
            Reject::NotSubscribed => ErrorCode::NotSubscribed,
            Reject::NtimeTooOld
            | Reject::NtimeTooNew
            | Reject::VersionBits
            | Reject::Extranonce2Length(_)
            | Reject::Ledger(_) => ErrorCode::Other,
        }
    }

    /// The reason as rigs show it: about 28 characters are visible on a cgminer screen.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Reject::Extranonce2Length(expected) => format!("extranonce2 is not {expected} bytes").into(),
            Reject::Ledger(reason) => reason.into(),
            other => other.label().into(),
        }
    }

    /// What it is counted under: the reason without its particulars.
    pub fn label(&self) -> &'static str {
        match self {
            Reject::Stale => "Stale: new block",
            Reject::JobNotFound => "Job not found",
            Reject::Duplicate => "Duplicate share",
            Reject::LowDifficulty | Reject::Lowered(_) => "Low difficulty share",
            Reject::NtimeTooOld => "ntime too old",
            Reject::NtimeTooNew => "ntime too new",
            Reject::VersionBits => "Version bits not allowed",
            Reject::Extranonce2Length(_) => "extranonce2 of another length",
            Reject::Unauthorised => "Unauthorized worker",
            Reject::NotSubscribed => "Not subscribed",
            Reject::Ledger(_) => "Ledger",
        }
    }
}

/// Judges `submission` against the job that it names. `elapsed_s`: seconds since the job was made.
pub fn judge(
    job: &Job,
    submission: &Submission,
    algorithm: Algorithm,
    hasher: &mut Hasher,
    extranonce2_len: usize,
    elapsed_s: u32,
) -> Verdict {
    if submission.filled.extranonce2.len() != extranonce2_len {
        // There is no coinbase of that length to build a header on.
        return Verdict { solves: None, credit: Err(Reject::Extranonce2Length(extranonce2_len)) };
    }
    let bits = submission.version_bits.unwrap_or(0);
    let version = job.version | (bits & submission.version_mask);
    let stamp = JobId { seq: job.seq, epoch: submission.filled.epoch }.stamp();
    let fingerprint = fingerprint(submission, stamp, version);
    if job.has_seen(fingerprint) {
        // It was tried for a block when it was new.
        return Verdict { solves: None, credit: Err(Reject::Duplicate) };
    }
    let coinbase = job.coinbase_id(&submission.filled);
    let root = merkle::root(coinbase, &job.branch);
    let template = &job.template;
    let header = block::header(version, &template.prev_hash, &root, submission.ntime, template.bits, submission.nonce);
    let pow = hasher.hash(algorithm, &header);

    let newest = template.curtime.max(job.ntime).saturating_add(elapsed_s).saturating_add(NTIME_AHEAD);
    let credit = if job.stale {
        Err(Reject::Stale)
    } else if bits & !submission.version_mask != 0 {
        Err(Reject::VersionBits)
    } else if submission.ntime < template.mintime {
        Err(Reject::NtimeTooOld)
    } else if submission.ntime > newest {
        Err(Reject::NtimeTooNew)
    } else if !submission.difficulty.target(algorithm).is_met_by(&pow) {
        let is_lowered = submission.lowered.is_some_and(|lowered| lowered.target(algorithm).is_met_by(&pow));
        Err(if is_lowered { Reject::Lowered(fingerprint) } else { Reject::LowDifficulty })
    } else {
        Ok(fingerprint)
    };
    let (parent, children) = (template.target.is_met_by(&pow), job.children.solved_by(&pow, version));
    Verdict { solves: (parent || children != 0).then_some(Solution { header, parent, children }), credit }
}

/// Two submissions of one job have the same fingerprint when they are the same header.
fn fingerprint(submission: &Submission, stamp: [u8; JOB_STAMP], version: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Submission { filled: Filled { extranonce1, extranonce2, .. }, ntime, nonce, .. } = submission;
    (stamp, extranonce1, extranonce2, ntime, nonce, version).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
