//! Sessions that outlive their connections: a rig that names its session when it subscribes again goes on with the
//! same extranonce1, difficulty and history of jobs, so that what it found before is still good. Whoever knows the
//! name has the session, also while the connection before is not known to be dead. Never judges a share: what a
//! session remembers is `session`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::limits::EXTRANONCE1;
use crate::base::slots::Key;
use crate::base::time::{MINUTE, Now};
use crate::coin::pow::sha256d;

use super::Pool;
use super::firmware::CoinbaseClass;
use super::session::Standing;

/// A session that nobody came back to is forgotten after this, in milliseconds.
pub const RESUMABLE_MS: u64 = 10 * MINUTE;

/// Names a session towards its rig. Whoever knows it can take the session over, so it can't be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SessionId {
    /// Reads what a rig names in `mining.subscribe`; `None` for what this pool never gives.
    pub fn parse(text: &str) -> Option<SessionId> {
        let id = SessionId(u64::from_str_radix(text, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

/// The sessions that can be resumed: those of open connections, and those whose connection is gone.
#[derive(Debug)]
pub(super) struct Sessions {
    seed: u64,
    given: u64,
    live: BTreeMap<SessionId, Key>,
    departed: BTreeMap<SessionId, Departed>,
    /// The departed, by the time when they left.
    leaving: BTreeSet<(u64, SessionId)>,
    /// Departed sessions that are remembered.
    most: usize,
}

#[derive(Debug)]
struct Departed {
    left_ms: u64,
    standing: Standing,
}

/// A number that can't be told from chance by who doesn't know the seed, nor the seed from it: unlike the numbers of
/// [`Rng`](crate::base::rng::Rng), of which one gives away the others.
pub(super) fn secret(seed: u64, purpose: &[u8], count: u64) -> u64 {
    let digest = sha256d(&[&seed.to_be_bytes(), &count.to_be_bytes(), purpose].concat());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Sessions {
    pub(super) fn new(seed: u64, most: usize) -> Sessions {
        let (live, departed, leaving) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Sessions { seed, given: 0, live, departed, leaving, most }
    }

    /// A name for a new session, which is this connection's from now on.
    pub(super) fn begin(&mut self, key: Key) -> SessionId {
        loop {
            let id = SessionId(secret(self.seed, b"session", self.given));
            self.given += 1;
            if !self.live.contains_key(&id) && !self.departed.contains_key(&id) {
                self.live.insert(id, key);
                return id;
            }
        }
    }

    /// The connection of a session is gone. `standing`: `None` when there is nothing to come back for. Gives the
    /// extranonce1 of whoever has to be forgotten instead.
    pub(super) fn depart(
        &mut self,
        id: SessionId,
        standing: Option<Standing>,
        left_ms: u64,
    ) -> Option<[u8; EXTRANONCE1]> {
        self.live.remove(&id);
        if let Some(standing) = standing {
            self.leaving.insert((left_ms, id));
            self.departed.insert(id, Departed { left_ms, standing });
        }
        if self.departed.len() > self.most { self.forget_oldest() } else { None }
    }

    /// Forgets one that left so long ago that it will not come back; gives its extranonce1.
    pub(super) fn forget_expired(&mut self, mono_ms: u64) -> Option<[u8; EXTRANONCE1]> {
        let (left_ms, _) = self.leaving.first()?;
        if mono_ms.saturating_sub(*left_ms) < RESUMABLE_MS { None } else { self.forget_oldest() }
    }

    fn forget_oldest(&mut self) -> Option<[u8; EXTRANONCE1]> {
        let (_, id) = self.leaving.pop_first()?;
        self.departed.remove(&id).map(|departed| departed.standing.extranonce1)
    }

    /// The sessions that nobody has now.
    pub(super) fn departed(&self) -> impl Iterator<Item = (SessionId, &Standing)> {
        self.departed.iter().map(|(id, departed)| (*id, &departed.standing))
    }
}

impl Pool {
    /// Gives a connection that subscribes its session: the one that it names, where that can be carried on, or a new
    /// one. `class`: the coinbase that it would be sent in a new one. One that has a session keeps it, and one that
    /// had it taken gets a name for what it does now: were it to go back, its extranonce1 would come to another
    /// connection when it is known what can be found with it.
    pub(super) fn enter_session(&mut self, key: Key, named: Option<&str>, class: CoinbaseClass, now: Now) {
        let Some(session) = self.sessions.get(key).filter(|session| session.id.is_none()) else { return };
        let named = named.filter(|_| !session.subscribed).and_then(SessionId::parse);
        let resumed = named.is_some_and(|id| self.resume(key, id, class, now));
        if !resumed {
            let id = self.resumable.begin(key);
            if let Some(session) = self.sessions.get_mut(key) {
                session.id = Some(id);
            }
        }
    }

    fn resume(&mut self, key: Key, id: SessionId, class: CoinbaseClass, now: Now) -> bool {
        let before = self.resumable.live.get(&id).copied();
        let standing = match before.and_then(|before| self.sessions.get(before)) {
            Some(session) => Some(session.standing()),
            None => self.resumable.departed.get(&id).map(|departed| departed.standing.clone()),
        };
        let Some(standing) = standing.filter(|standing| standing.suits(class)) else { return false };
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let unused = session.resume(id, standing, &self.spec.vardiff, now);
        self.resumable.live.insert(id, key);
        match before {
            Some(before) => self.displace(before, unused),
            None => {
                if let Some(departed) = self.resumable.departed.remove(&id) {
                    self.resumable.leaving.remove(&(departed.left_ms, id));
                }
                self.extranonces.free(unused);
            }
        }
        true
    }

    /// Another connection has this one's session now, and with it its extranonce1. A rig that takes another one
    /// mines on; any other would do the same work twice.
    fn displace(&mut self, key: Key, extranonce1: [u8; EXTRANONCE1]) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.id = None;
        if !self.move_extranonce1(key, extranonce1) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.extranonce1 = extranonce1;
            }
            self.close(key, "is left: its session goes on over another connection");
        }
    }

    /// Remembers what a connection that is gone had, for when its rig comes back.
    pub(super) fn leave_session(&mut self, session: &super::session::Session) {
        let standing = session.was_sent_work().then(|| session.standing());
        let is_kept = standing.is_some() && session.id.is_some();
        let freed = match session.id {
            Some(id) => self.resumable.depart(id, standing, self.ticked_ms()),
            None => None,
        };
        if !is_kept {
            self.extranonces.free(session.extranonce1);
        }
        freed.into_iter().for_each(|extranonce1| self.extranonces.free(extranonce1));
    }

    /// Forgets the sessions that nobody came back to.
    pub(super) fn forget_departed(&mut self, now: Now) {
        while let Some(extranonce1) = self.resumable.forget_expired(now.mono_ms) {
            self.extranonces.free(extranonce1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_read_back_and_nothing_else_is() {
        for id in [0, 7, u64::MAX].map(SessionId) {
            assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        }
        for text in ["", "0", "00000000000000000", "g000000000000000", "-000000000000001", "+000000000000001"] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
