//! One stratum connection as the pool remembers it: what was negotiated, who is authorised on it, and
//! which difficulty each job was sent with. Never sends anything itself.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::base::limits::{EXTRANONCE1, STRATUM_LINE};
use crate::base::slots::Key;
use crate::base::time::Now;
use crate::coin::difficulty::Difficulty;
use crate::wire::line::LineBuffer;
use crate::wire::stratum::Submit;

use super::firmware::CoinbaseClass;
use super::guard::{Bucket, Conduct};
use super::identity::Identity;
use super::job::{Filled, JobId};
use super::record::MinerId;
use super::resume::SessionId;
use super::spec::VardiffSpec;
use super::vardiff::Vardiff;
use super::window::RowId;

/// Shares that were found while a new difficulty was on its way come for so long, in milliseconds.
const IN_FLIGHT_MS: u64 = 30_000;
/// Shares that may wait for an authorization.
const MOST_EARLY: usize = 16;
/// Difficulties remembered per connection before the next change waits for the next job.
const MOST_SENT: usize = 64;

/// A username that was accepted on a connection.
#[derive(Debug)]
pub struct Authorised {
    /// As the rig sends it with every share.
    pub username: String,
    /// Who is credited.
    pub miner: MinerId,
    /// Where that is paid.
    pub identity: Identity,
    /// Where its work is credited. It takes a row with its first share that is: a name costs nothing, work does.
    pub row: Option<RowId>,
    /// Its entry among the workers.
    pub worker: Key,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    /// Where the rig connects from.
    pub peer: SocketAddr,
    /// What its rig can come back with; `None` until it subscribes, and once another connection has the session.
    pub id: Option<SessionId>,
    /// Bytes that are not yet a line.
    pub lines: LineBuffer,
    /// The pool's part of the extranonce; no two live connections share one.
    pub extranonce1: [u8; EXTRANONCE1],
    /// Index of the port that it came in by, among the pool's.
    pub port: usize,
    /// The coinbase that it is sent. Never changes once it was sent a job: its shares are of that one.
    pub class: CoinbaseClass,
    is_class_named: bool,
    /// What the rig called itself; empty until it subscribes.
    pub agent: String,
    /// Whether `mining.subscribe` was answered.
    pub subscribed: bool,
    /// Version bits that the rig may roll (BIP310); 0 until negotiated.
    pub version_mask: u32,
    /// Whether the mask was also sent as a message of its own.
    pub mask_told: bool,
    /// Whether the rig takes another extranonce1 while connected.
    pub takes_extranonce: bool,
    /// Who works over this connection.
    pub authorised: Vec<Authorised>,
    /// Fits the difficulty to the rig.
    pub vardiff: Vardiff,
    /// Monotonic milliseconds when it connected.
    pub connected_ms: u64,
    /// Monotonic milliseconds when it last sent a whole line: a byte now and then keeps nothing open.
    pub heard_ms: u64,
    /// Whether anything was received.
    pub has_spoken: bool,
    /// Lines that could not be read since the last accepted share.
    pub garbage: u32,
    /// Shares that wait for the answer to the first authorization.
    early: Vec<Box<[u8]>>,
    /// Whether that was given.
    has_asked: bool,
    /// What it may still ask for.
    pub bucket: Bucket,
    /// How its shares turned out.
    pub conduct: Conduct,
    /// Monotonic milliseconds of the first request after its difficulty changed last.
    pub told_ms: u64,
    /// What it was told by then.
    told: Option<Difficulty>,
    /// Monotonic milliseconds of the last announcement of another difficulty.
    announced_ms: u64,
    /// The difficulty in force from each job on, oldest first.
    sent: Vec<(JobId, Difficulty)>,
    /// Extranonces of before, each with the first sending that no longer carries it; oldest first.
    former: Vec<(JobId, [u8; EXTRANONCE1])>,
    epoch: u32,
    /// Whether difficulty and work were announced over this connection.
    is_greeted: bool,
    /// The first sending over this connection, where those before it went out over an earlier one.
    resumed_from: Option<JobId>,
    is_resumed: bool,
}

/// What a session has beside its connection, and keeps when that ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// See [`Session::extranonce1`].
    pub extranonce1: [u8; EXTRANONCE1],
    class: CoinbaseClass,
    is_class_named: bool,
    version_mask: u32,
    vardiff: Vardiff,
    sent: Vec<(JobId, Difficulty)>,
    former: Vec<(JobId, [u8; EXTRANONCE1])>,
    epoch: u32,
}

impl Standing {
    /// Whether a connection that is to be sent the coinbase of `class` can carry it on.
    pub fn suits(&self, class: CoinbaseClass) -> bool {
        let is_same_coinbase = self.sent.is_empty() || self.is_class_named || self.class == class;
        is_same_coinbase && self.sent.len() < MOST_SENT
    }
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(
        peer: SocketAddr,
        port: usize,
        extranonce1: [u8; EXTRANONCE1],
        vardiff: &VardiffSpec,
        now: Now,
    ) -> Session {
        Session {
            peer,
            id: None,
            lines: LineBuffer::new(STRATUM_LINE),
            extranonce1,
            port,
            class: CoinbaseClass::DEFAULT,
            is_class_named: false,
            agent: String::new(),
            subscribed: false,
            version_mask: 0,
            mask_told: false,
            takes_extranonce: false,
            authorised: Vec::new(),
            vardiff: Vardiff::new(vardiff, now.mono_ms),
            connected_ms: now.mono_ms,
            heard_ms: now.mono_ms,
            has_spoken: false,
            garbage: 0,
            early: Vec::new(),
            has_asked: false,
            bucket: Bucket::default(),
            conduct: Conduct::default(),
            told_ms: now.mono_ms,
            told: None,
            announced_ms: now.mono_ms,
            sent: Vec::new(),
            former: Vec::new(),
            epoch: 0,
            is_greeted: false,
            resumed_from: None,
            is_resumed: false,
        }
    }

    /// What it would keep without its connection.
    pub fn standing(&self) -> Standing {
        Standing {
            extranonce1: self.extranonce1,
            class: self.class,
            is_class_named: self.is_class_named,
            version_mask: self.version_mask,
            vardiff: self.vardiff.clone(),
            sent: self.sent.clone(),
            former: self.former.clone(),
            epoch: self.epoch,
        }
    }

    /// Carries on where another connection was; gives the extranonce1 that it had itself, which was never used.
    pub fn resume(&mut self, id: SessionId, standing: Standing, vardiff: &VardiffSpec, now: Now) -> [u8; EXTRANONCE1] {
        self.id = Some(id);
        self.is_resumed = true;
        if !standing.sent.is_empty() {
            (self.class, self.is_class_named) = (standing.class, standing.is_class_named);
        }
        // A rig that negotiates does so first; one that doesn't may still have shares with those bits.
        if self.version_mask == 0 {
            (self.version_mask, self.mask_told) = (standing.version_mask, true);
        }
        let asked = std::mem::replace(&mut self.vardiff, standing.vardiff).floor();
        self.vardiff.wait(now.mono_ms);
        if asked > self.vardiff.floor() {
            self.vardiff.suggest(asked, true, vardiff, now.mono_ms);
        }
        (self.sent, self.former, self.epoch) = (standing.sent, standing.former, standing.epoch);
        std::mem::replace(&mut self.extranonce1, standing.extranonce1)
    }

    /// Whether there is anything that shares could come for.
    pub fn was_sent_work(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Whether difficulty and work were announced over this connection.
    pub fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// Whether this sending of a job went out over an earlier connection: its shares may come twice, for the rig
    /// can't know which of them have arrived.
    pub fn is_from_before(&self, job: JobId) -> bool {
        self.is_resumed && self.resumed_from.is_none_or(|first| job < first)
    }

    /// Sends it the coinbase of `class`, unless its password named one. Too late once it was sent a job.
    pub fn choose_class(&mut self, class: CoinbaseClass) {
        if self.sent.is_empty() && !self.is_class_named {
            self.class = class;
        }
    }

    /// As [`Session::choose_class`], by the password: whatever firmware and port say.
    pub fn name_class(&mut self, class: CoinbaseClass) {
        self.choose_class(class);
        self.is_class_named = true;
    }

    /// It has sent a request, which is read at `per_second`.
    pub fn note_request(&mut self, per_second: u32, now: Now) {
        self.heard_ms = now.mono_ms;
        self.bucket.take(per_second, now);
        if self.told != self.announced() {
            self.told = self.announced();
            self.told_ms = now.mono_ms;
        }
    }

    /// The difficulty that it was told last, while its rig may still send what it found before it heard of it.
    pub fn lowered(&self, now: Now) -> Option<Difficulty> {
        self.announced().filter(|_| now.mono_ms.saturating_sub(self.announced_ms) < IN_FLIGHT_MS)
    }

    /// Keeps the line of a share that came before its rig asked for any authorization; `false` where it can be
    /// answered at once, or too many are kept.
    pub fn keep_early(&mut self, line: &[u8]) -> bool {
        let is_early = self.subscribed && !self.has_asked && self.early.len() < MOST_EARLY;
        if is_early {
            self.early.push(line.into());
        }
        is_early
    }

    /// The lines that were kept until now, when its rig was answered whether it is authorised.
    pub fn take_early(&mut self) -> Vec<Box<[u8]>> {
        self.has_asked = true;
        std::mem::take(&mut self.early)
    }

    /// Whether it gets jobs.
    pub fn is_mining(&self) -> bool {
        self.subscribed && !self.authorised.is_empty()
    }

    /// The difficulty that the rig was last told; `None` before the first time.
    pub fn announced(&self) -> Option<Difficulty> {
        self.sent.last().map(|(_, difficulty)| *difficulty)
    }

    /// Notes that jobs from `job` on are worked at `difficulty`. Sendings that no kept job can refer to
    /// any more (all before `oldest_job`) are forgotten.
    pub fn note_sent(&mut self, job: JobId, difficulty: Difficulty, oldest_job: u64, now: Now) {
        if self.announced() != Some(difficulty) {
            self.announced_ms = now.mono_ms;
        }
        // A repeated sending is remembered by its name.
        if self.announced() != Some(difficulty) || job.epoch > 0 {
            self.sent.push((job, difficulty));
        }
        self.is_greeted = true;
        self.resumed_from.get_or_insert(job);
        let needed = self.sent.iter().rposition(|(id, _)| id.seq < oldest_job).unwrap_or(0);
        self.sent.drain(..needed);
        self.former.retain(|(since, _)| since.seq >= oldest_job);
    }

    /// Whether the current job may be sent again with another difficulty. A rig that asks for one after
    /// the other must not fill the memory: it is told at the next job.
    pub fn may_resend(&self) -> bool {
        self.sent.len() < MOST_SENT
    }

    /// A fresh name for sending the job `seq` once more.
    pub fn resend(&mut self, seq: u64) -> JobId {
        self.epoch += 1;
        JobId { seq, epoch: self.epoch }
    }

    /// Gives the connection another extranonce1. What was sent so far is judged with the one that it was sent with;
    /// the current job has to be sent again, under the name that is returned. `None` where no job was sent yet.
    pub fn renew_extranonce1(&mut self, extranonce1: [u8; EXTRANONCE1], current_job: Option<u64>) -> Option<JobId> {
        let former = std::mem::replace(&mut self.extranonce1, extranonce1);
        let (difficulty, seq) = (self.announced()?, current_job?);
        let id = self.resend(seq);
        self.sent.push((id, difficulty));
        self.former.push((id, former));
        Some(id)
    }

    /// The coinbase that a share of this sending of a job was mined with.
    pub fn filled<'s>(&self, job: JobId, submit: &'s Submit) -> Filled<'s> {
        let (class, extranonce1) = (self.class, self.extranonce1_of(job));
        Filled { class, epoch: job.epoch, extranonce1, extranonce2: submit.extranonce2.as_slice() }
    }

    /// The extranonce1 that this sending of a job was mined with.
    fn extranonce1_of(&self, job: JobId) -> [u8; EXTRANONCE1] {
        let former = self.former.iter().find(|(since, _)| job < *since);
        former.map_or(self.extranonce1, |(_, extranonce1)| *extranonce1)
    }

    /// What the job was sent with; `None` if it was never sent on this connection. A repeated sending has to be
    /// one that was made: were the difficulty of any other looked up when its share comes, a rig could ask for
    /// the difficulty that suits a hash it has already found.
    pub fn difficulty_of(&self, job: JobId) -> Option<Difficulty> {
        let at = self.sent.partition_point(|(id, _)| *id <= job);
        let (sent, difficulty) = self.sent.get(at.checked_sub(1)?)?;
        (job.epoch == 0 || *sent == job).then_some(*difficulty)
    }

    /// Who sends shares under `username`.
    pub fn authorised(&self, username: &str) -> Option<&Authorised> {
        self.authorised.iter().find(|authorised| authorised.username == username)
    }

    /// As [`Session::authorised`], to change it.
    pub fn authorised_mut(&mut self, username: &str) -> Option<&mut Authorised> {
        self.authorised.iter_mut().find(|authorised| authorised.username == username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_share_is_judged_by_the_difficulty_that_its_job_was_sent_with() {
        let spec =
            VardiffSpec { start: Difficulty::ONE, min: Difficulty::ONE, max: Difficulty::ONE, target_share_ms: 15_000 };
        let now = Now { mono_ms: 0, wall_ms: 0 };
        let mut session = Session::new("127.0.0.1:1".parse().unwrap(), 0, [0, 0, 0, 7], &spec, now);
        let difficulty = |units| Difficulty::from_units(units).unwrap();
        let first = JobId { seq: 10, epoch: 0 };
        session.note_sent(first, difficulty(100), 10, now);
        let again = session.resend(10);
        session.note_sent(again, difficulty(200), 10, now);
        session.note_sent(JobId { seq: 11, epoch: 0 }, difficulty(200), 10, now);

        assert_eq!(session.difficulty_of(JobId { seq: 9, epoch: 0 }), None);
        assert_eq!(session.difficulty_of(first), Some(difficulty(100)));
        assert_eq!(session.difficulty_of(again), Some(difficulty(200)));
        assert_eq!(session.difficulty_of(JobId { seq: 11, epoch: 0 }), Some(difficulty(200)));

        // A sending that was never made has no difficulty that could be chosen later.
        for (seq, epoch) in [(10, 2), (10, 0x1_0000), (11, 1), (11, 2)] {
            assert_eq!(session.difficulty_of(JobId { seq, epoch }), None, "{seq} {epoch}");
        }

        // With another extranonce1 there is another sending, at the same difficulty; those of before keep theirs.
        let renewed = session.renew_extranonce1([9; 4], Some(11)).unwrap();
        assert_eq!(session.difficulty_of(renewed), Some(difficulty(200)));
        let of = |session: &Session, seq, epoch| session.extranonce1_of(JobId { seq, epoch });
        let (old, new) = ([0, 0, 0, 7], [9; 4]);
        let jobs = [(10, 0), (10, 1), (11, 0), (11, renewed.epoch), (12, 0)];
        assert_eq!(jobs.map(|(seq, epoch)| of(&session, seq, epoch)), [old, old, old, new, new]);
        session.note_sent(JobId { seq: 12, epoch: 0 }, difficulty(200), 11, now);
        assert_eq!(of(&session, 11, 0), old);

        // Once job 10 is gone, only what is still in force is remembered.
        session.note_sent(JobId { seq: 12, epoch: 0 }, difficulty(50), 12, now);
        assert_eq!(session.sent.len(), 2);
        assert_eq!(session.difficulty_of(JobId { seq: 12, epoch: 0 }), Some(difficulty(50)));
    }
}
