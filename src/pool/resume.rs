//! Sessions that outlive their connections: a rig that comes back and names its session gets its extranonce1 again,
//! and the shares of its last jobs still count. Never judges a share, and gives nobody's work to another: who a share
//! is credited to is said by the share.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::base::rng::Rng;
use crate::base::slots::Key;
use crate::base::time::{MINUTE, Now};

use super::Pool;
use super::session::Legacy;

/// A session is kept this long after its connection ended, in milliseconds: several times what a rig takes to start
/// again. Its jobs are gone by then anyhow.
const KEPT_MS: u64 = 10 * MINUTE;

/// Names a session. Whoever knows it may go on with the session: it is never told to anybody but its rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// One that nobody can guess.
    pub fn new(rng: &mut Rng) -> SessionId {
        SessionId(rng.next_u64())
    }

    /// Reads what a rig sent back; `None` for what this pool never sends.
    pub fn parse(text: &str) -> Option<SessionId> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(SessionId(u64::from_be_bytes(bytes)))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Every session by its name, with a connection or without.
#[derive(Debug, Default)]
pub struct Resumable {
    connected: BTreeMap<SessionId, Key>,
    departed: BTreeMap<SessionId, Legacy>,
    /// The departed, in the order in which they left, each with when, in monotonic milliseconds. Some may be back.
    order: VecDeque<(u64, SessionId)>,
}

impl Resumable {
    /// The connection that has a session now.
    fn connected(&self, id: SessionId) -> Option<Key> {
        self.connected.get(&id).copied()
    }

    /// A session has a connection.
    fn connect(&mut self, id: SessionId, key: Key) {
        self.connected.insert(id, key);
    }

    /// The session has no connection any more; what can be resumed of it is `legacy`. At most `most` are kept.
    fn depart(&mut self, id: SessionId, legacy: Option<Legacy>, most: usize, mono_ms: u64) {
        self.connected.remove(&id);
        if let Some(legacy) = legacy {
            self.departed.insert(id, legacy);
            self.order.push_back((mono_ms, id));
        }
        while self.order.len() > most {
            self.forget_first();
        }
    }

    /// What a departed session left.
    fn take(&mut self, id: SessionId) -> Option<Legacy> {
        let legacy = self.departed.remove(&id)?;
        self.order.retain(|(_, departed)| *departed != id);
        Some(legacy)
    }

    /// Forgets those that have been away for too long.
    pub(super) fn sweep(&mut self, now: Now) {
        while self.order.front().is_some_and(|(left_ms, _)| left_ms + KEPT_MS < now.mono_ms) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.departed.remove(&id);
        }
    }

    /// What departed sessions left.
    pub(super) fn departed(&self) -> impl Iterator<Item = &Legacy> {
        self.departed.values()
    }
}

impl Pool {
    /// Gives a connection that subscribes the session that it names, or a new one.
    pub(super) fn begin_session(&mut self, key: Key, named: Option<&str>, now: Now) {
        let wanted = named.and_then(SessionId::parse);
        let found = wanted.and_then(|id| Some((id, self.resumable.take(id).or_else(|| self.take_over(id))?)));
        let id = found.as_ref().map_or_else(|| SessionId::new(&mut self.rng), |(id, _)| *id);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some((_, legacy)) = found {
            session.inherit(legacy);
            // That it was away tells nothing of its hashrate.
            session.vardiff.wait(now.mono_ms);
        }
        session.id = Some(id);
        self.resumable.connect(id, key);
    }

    /// Takes a session from the connection that has it: a rig that lost its connection may be back before the pool
    /// knows. A connection that is alive after all goes on with another extranonce1, if its rig takes one.
    fn take_over(&mut self, id: SessionId) -> Option<Legacy> {
        let former = self.resumable.connected(id)?;
        let session = self.sessions.get_mut(former)?;
        let legacy = session.legacy()?;
        session.id = None;
        self.resumable.depart(id, None, 0, 0);
        if !self.renew_extranonce1(former) {
            self.close(former, "its session goes on over another connection");
        }
        Some(legacy)
    }

    /// Keeps what can be resumed of a session whose connection ended.
    pub(super) fn keep_session(&mut self, id: SessionId, legacy: Option<Legacy>) {
        let most = self.spec.stratum.max_connections;
        // When the pool last looked at the time is near enough.
        self.resumable.depart(id, legacy, most, self.next_tick_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_read_back_and_nothing_else_is() {
        let mut rng = Rng::new(7);
        let id = SessionId::new(&mut rng);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_ne!(SessionId::new(&mut rng), id);
        for text in ["", "0", "00000000000000000", "g000000000000000", "-000000000000001", "+000000000000001"] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
