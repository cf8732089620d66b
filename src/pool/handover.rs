//! What one run of a pool leaves to the next, beside the ledger: the jobs that rigs are at, with the shares that were
//! credited for them, and the sessions, so that a restart costs nobody a share. Encodes, decodes and judges; it never
//! touches a file. What it can't carry on exactly it refuses, and the pool starts as it would without.

mod work;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use serde::{Deserialize, Serialize};

use crate::base::limits::{EXTRANONCE1, LIVE_JOBS, STALE_JOBS};
use crate::base::time::{MINUTE, Now};
use crate::coin::pow::sha256d;

use super::Pool;
use super::record::ClockMark;
use super::resume::SessionId;
use super::session::Standing;
use work::Works;

/// What an encoded handover begins with; its last byte counts the changes of the format.
const MAGIC: &[u8; 8] = b"edgehnd\x02";
const CHECKSUM: usize = 32;
/// A handover that is older, in milliseconds, is of no use: rigs have gone elsewhere, and jobs are stale.
const OLDEST_MS: u64 = 10 * MINUTE;

/// What one pool leaves.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handover {
    pool: String,
    /// Coin and network of each chain, the parent first.
    chain: String,
    extranonce2_len: usize,
    /// How this build takes fingerprints: another could not recognise the shares that were credited.
    fingerprints: u64,
    /// The last mark in the ledger: one that went on without this handover has another.
    mark: ClockMark,
    /// When it was made, by the system's clock.
    wall_ms: u64,
    next_job: u64,
    next_extranonce1: u32,
    works: Works,
    sessions: Vec<(SessionId, Standing)>,
}

/// Why a handover can't be carried on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandoverError {
    /// Of another format, or not one at all.
    Format,
    /// Not as it was written.
    Damaged,
    /// Of a pool that is configured in another way, or of a build that works in another.
    Other(&'static str),
    /// The ledger is not the one that it belongs to.
    Ledger,
    /// Made at a time that is not within the last ten minutes.
    Age,
    /// Its parts contradict each other.
    Contradiction(&'static str),
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandoverError::Format => f.write_str("it has another format"),
            HandoverError::Damaged => f.write_str("it is damaged"),
            HandoverError::Other(what) => write!(f, "it is of another {what}"),
            HandoverError::Ledger => f.write_str("the ledger has gone on without it, or is another"),
            HandoverError::Age => f.write_str("it is older than ten minutes, or the clock was set"),
            HandoverError::Contradiction(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for HandoverError {}

/// The handovers of all pools, as they are written.
pub fn encode(handovers: &[Handover]) -> Vec<u8> {
    let body = postcard::to_allocvec(handovers).expect("everything in it has a length that is known");
    [MAGIC.as_slice(), &sha256d(&body), &body].concat()
}

/// Reads what [`encode`] made.
pub fn decode(bytes: &[u8]) -> Result<Vec<Handover>, HandoverError> {
    let rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(HandoverError::Format)?;
    let (checksum, body) = rest.split_at_checked(CHECKSUM).ok_or(HandoverError::Damaged)?;
    if sha256d(body) != checksum {
        return Err(HandoverError::Damaged);
    }
    postcard::from_bytes(body).map_err(|_| HandoverError::Format)
}

impl Handover {
    /// The pool that it is of.
    pub fn pool(&self) -> &str {
        &self.pool
    }
}

impl Pool {
    /// What the next run can carry on. `None` while anything waits for the disk: the next run could not know it.
    pub fn handover(&self, now: Now) -> Option<Handover> {
        if !self.is_all_written() {
            return None;
        }
        let live = self.sessions.iter().filter(|(_, session)| session.was_sent_work());
        let live = live.filter_map(|(_, session)| Some((session.id?, session.standing())));
        let departed = self.resumable.departed().map(|(id, standing)| (id, standing.clone()));
        Some(Handover {
            pool: self.spec.name.clone(),
            chain: self.spec.chains_text(),
            extranonce2_len: self.spec.stratum.extranonce2_len,
            fingerprints: fingerprints(),
            mark: self.marked(),
            wall_ms: now.wall_ms,
            next_job: self.next_job,
            next_extranonce1: self.extranonces.next(),
            works: Works::of(&self.jobs, now),
            // Those that are connected come last: if there is not room for all, they stay.
            sessions: departed.chain(live).collect(),
        })
    }

    /// Carries on what the run before left. To be called before anything is served; the ledger is not written since
    /// the handover was made, or it is refused.
    pub fn take_over(&mut self, handover: Handover, now: Now) -> Result<(), HandoverError> {
        let Handover { chain, extranonce2_len, mark, wall_ms, next_job, next_extranonce1, works, sessions, .. } =
            handover;
        if handover.pool != self.spec.name || chain != self.spec.chains_text() {
            return Err(HandoverError::Other("pool"));
        }
        if extranonce2_len != self.spec.stratum.extranonce2_len {
            return Err(HandoverError::Other("length of extranonce2"));
        }
        if handover.fingerprints != fingerprints() {
            return Err(HandoverError::Other("build"));
        }
        if mark != self.marked() {
            return Err(HandoverError::Ledger);
        }
        let pause_ms = now.wall_ms.checked_sub(wall_ms).filter(|pause_ms| *pause_ms <= OLDEST_MS);
        let pause_ms = pause_ms.ok_or(HandoverError::Age)?;
        let mut given: Vec<[u8; EXTRANONCE1]> = sessions.iter().map(|(_, standing)| standing.extranonce1).collect();
        given.sort_unstable();
        if given.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(HandoverError::Contradiction("two of its sessions have one extranonce1"));
        }
        let jobs = works.restore(&self.spec.chains, &self.miners, pause_ms, now)?;
        if jobs.last().is_some_and(|job| job.seq >= next_job) || jobs.len() > LIVE_JOBS + STALE_JOBS {
            return Err(HandoverError::Contradiction("its jobs are not those before the next one"));
        }
        log::info!(
            "{}: {} jobs and {} sessions are carried on from {} s ago",
            self.spec.name,
            jobs.len(),
            sessions.len(),
            pause_ms / 1_000
        );
        self.next_job = next_job;
        self.jobs.restore(jobs);
        self.extranonces.restore(next_extranonce1, given);
        for (id, standing) in sessions {
            if let Some(extranonce1) = self.resumable.depart(id, Some(standing), now.mono_ms) {
                self.extranonces.free(extranonce1);
            }
        }
        Ok(())
    }
}

/// Differs when a build would take another fingerprint of the same share: the standard library may change its hasher.
fn fingerprints() -> u64 {
    let mut hasher = DefaultHasher::new();
    ([1u8, 2, 3, 4], b"extranonce2".as_slice(), 5u32, 6u64).hash(&mut hasher);
    hasher.finish()
}
