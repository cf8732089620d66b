//! Holding the line: who may connect and who has to go, so that what hostile clients do costs them alone. The
//! counting and its rules are `guard`'s.

use core::net::IpAddr;

use crate::base::slots::Key;
use crate::base::time::{MINUTE, Now, SECOND};
use crate::wire::stratum::{self, ErrorCode, Id, Line};

use super::Pool;
use super::guard::{Ban, Denied, Origin, Outcome, TurnedAway};
use super::job::JobId;
use super::judge::Reject;
use super::session::Session;

/// A connection that has not authorised itself may be closed for a newcomer after this long, in milliseconds.
const SILENT_MS: u64 = 10 * SECOND;
/// The same of one that has, but has not sent one share that was credited.
const WORKLESS_MS: u64 = 5 * MINUTE;
/// Shares of a rig that has worked before are not held against it for so long after its difficulty changed.
const DIFFICULTY_GRACE_MS: u64 = MINUTE;
/// Jobs that nobody knows are not held against a connection that is so young: it may come from before a restart.
const JOB_GRACE_MS: u64 = 2 * MINUTE;
/// Requests a second that are read of a connection until its first share is credited.
const NEWCOMER: u32 = 100;
/// Requests a second that are read of a connection that sends nearly only what is refused.
const SLOWED: u32 = 5;

impl Pool {
    /// Whether a connection from `address` may be. If so it counts as open until [`Pool::handle_socket_closed`]. When the
    /// pool is full, or the system has no descriptors to spare, whoever has done no work so far makes room.
    pub fn admit_connection(&mut self, address: IpAddr, has_descriptors: bool, now: Now) -> Result<(), Denied> {
        let is_full = !has_descriptors || self.sessions.len() >= self.spec.stratum.max_connections;
        let idler = if is_full { self.longest_workless(now) } else { None };
        let has_room = !is_full || idler.is_some();
        self.guard.admit(address.into(), has_room, &self.spec.stratum.guard, now)?;
        if let Some(key) = idler {
            self.say_goodbye(key, "Pool is full: no work came from here");
        }
        Ok(())
    }

    /// A connection that was admitted has no socket any more.
    pub fn handle_socket_closed(&mut self, address: IpAddr) {
        self.guard.release(address.into());
    }

    /// When more may be read from a connection, in monotonic milliseconds; not after now: at once.
    pub fn reads_from(&self, key: Key) -> u64 {
        self.sessions.get(key).map_or(0, |session| session.bucket.ready_at())
    }

    /// The bans in force.
    pub fn bans(&self, now: Now) -> impl Iterator<Item = Ban> {
        self.guard.bans(now)
    }

    /// How loud a line of the log about one connection is to be: there may be thousands in a second.
    pub fn log_level(&mut self, now: Now) -> log::Level {
        self.guard.log_level(now)
    }

    /// Lifts the bans of an address, or all of them; says how many there were.
    pub fn unban(&mut self, address: Option<IpAddr>) -> usize {
        self.guard.lift(address.map(Origin::from))
    }

    /// Connections that were turned away since start.
    pub fn turned_away(&self) -> TurnedAway {
        self.guard.turned_away()
    }

    /// Counts a request. One that comes after nearly only useless ones counts for many: they cost the pool a proof of
    /// work each, and nobody but their sender shall wait for it.
    pub(super) fn count_request(&mut self, key: Key, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_wasteful = session.conduct.is_wasteful() || self.guard.is_wasteful(session.peer.ip().into());
        let most = self.spec.stratum.guard.max_requests_per_second;
        let rate = match session.conduct.has_worked {
            _ if is_wasteful => SLOWED,
            false => NEWCOMER,
            true => most,
        };
        session.note_request(rate.min(most), now);
    }

    /// Notes that a share was credited.
    pub(super) fn note_credit(&mut self, key: Key, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.conduct.note(Outcome::Credited, now);
        self.guard.note(session.peer.ip().into(), Outcome::Credited, !session.conduct.is_wasteful(), now);
    }

    /// Notes that a share was refused, and ends a flood.
    pub(super) fn note_refusal(&mut self, key: Key, reject: &Reject, job: &str, now: Now) {
        let Some(session) = self.sessions.get(key) else { return };
        let age_ms = now.mono_ms.saturating_sub(session.connected_ms);
        let is_after_change =
            session.conduct.has_worked && now.mono_ms.saturating_sub(session.told_ms) < DIFFICULTY_GRACE_MS;
        let is_old = JobId::parse(job).is_some_and(|id| id.seq < self.next_job);
        let outcome = match reject {
            Reject::Ledger(_) => return,
            Reject::Stale => Outcome::Late,
            Reject::JobNotFound if is_old || age_ms < JOB_GRACE_MS => Outcome::Late,
            Reject::LowDifficulty if is_after_change => Outcome::Late,
            _ => Outcome::Invalid,
        };
        let origin = Origin::from(session.peer.ip());
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.conduct.note(outcome, now);
        let is_flood = session.conduct.is_flood();
        self.guard.note(origin, outcome, false, now);
        if self.spec.stratum.guard.ban_ms == 0 {
            return;
        }
        if self.guard.is_flood(origin) {
            self.ban(origin, now);
        } else if is_flood {
            self.ban_workers(key, origin, now);
        }
    }

    /// Keeps out an address that sends nothing but floods.
    fn ban(&mut self, origin: Origin, now: Now) {
        self.guard.ban(origin, None, &self.spec.stratum.guard, now);
        log::warn!("{}: {origin} is banned for a flood of invalid shares; unban {origin} lifts it", self.spec.name);
        let of_origin = self.sessions.iter().filter(|(_, session)| Origin::from(session.peer.ip()) == origin);
        for key in of_origin.map(|(key, _)| key).collect::<Vec<Key>>() {
            self.say_goodbye(key, "Banned: invalid shares only");
        }
    }

    /// Keeps out whom a connection's flood came from, where others of the same address work.
    fn ban_workers(&mut self, key: Key, origin: Origin, now: Now) {
        let Some(session) = self.sessions.get(key) else { return };
        for authorised in &session.authorised {
            let worker = self.workers.get(authorised.worker);
            // Others may work over the same connection.
            if worker.is_none_or(|worker| worker.counts.accepted < worker.counts.rejected) {
                log::warn!("{}: {} of {origin} floods with invalid shares", self.spec.name, authorised.username);
                self.guard.ban(origin, Some(authorised.username.clone()), &self.spec.stratum.guard, now);
            }
        }
        self.say_goodbye(key, "Closed: invalid shares only");
    }

    /// Who has been connected for longest without any work; those come first that have not even authorised.
    fn longest_workless(&self, now: Now) -> Option<Key> {
        let age_ms = |connected_ms: u64| now.mono_ms.saturating_sub(connected_ms);
        let workless = self.sessions.iter().filter(|(_, session)| {
            let patience = if session.authorised.is_empty() { SILENT_MS } else { WORKLESS_MS };
            !session.conduct.has_worked && age_ms(session.connected_ms) >= patience
        });
        let order = |(_, session): &(Key, &Session)| (!session.authorised.is_empty(), session.connected_ms);
        workless.min_by_key(order).map(|(key, _)| key)
    }

    /// Closes a connection, and tells why in the words of stratum.
    fn say_goodbye(&mut self, key: Key, reason: &str) {
        self.send(key, stratum::reply_error(&Id::NULL, ErrorCode::Other, reason));
        self.close(key, reason);
    }
}

/// What a connection is told that is turned away.
pub fn farewell(denied: Denied) -> Line {
    stratum::reply_error(&Id::NULL, ErrorCode::Other, &denied.to_string())
}
