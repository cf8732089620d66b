//! Which extranonce1 a connection has. It keeps two rigs from doing the same work: no two connections carry one
//! at the same time. Never judges a share: what an earlier sending carried is the session's to remember.

use crate::base::limits::EXTRANONCE1;
use crate::base::slots::Key;
use crate::wire::stratum;

use super::Pool;
use super::session::Session;

impl Pool {
    /// An extranonce1 that no connection has.
    pub(super) fn free_extranonce1(&mut self) -> [u8; EXTRANONCE1] {
        loop {
            let candidate = self.next_extranonce1.to_be_bytes();
            self.next_extranonce1 = self.next_extranonce1.wrapping_add(1);
            // Only after 2^32 connections can one of them still be open.
            if !self.sessions.iter().any(|(_, session)| session.extranonce1 == candidate) {
                return candidate;
            }
        }
    }

    /// Moves a connection to another extranonce1 without ending it, for when its own goes to another connection. It
    /// is told with a clean job, for the other may be at the same work already; shares of earlier jobs count with
    /// the extranonce1 of before. `false`, and nothing is done, where the rig did not ask for this
    /// (`mining.extranonce.subscribe`).
    pub fn renew_extranonce1(&mut self, key: Key) -> bool {
        let may_be_moved = |session: &Session| session.takes_extranonce && session.may_resend();
        if !self.sessions.get(key).is_some_and(may_be_moved) {
            return false;
        }
        let fresh = self.free_extranonce1();
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let job = self.jobs.current();
        let id = session.renew_extranonce1(fresh, job.map(|job| job.seq));
        let work = id.zip(job).map(|(id, job)| job.notify(session.class, id.epoch, true));
        self.send(key, stratum::set_extranonce(&fresh, self.spec.stratum.extranonce2_len));
        if let Some(work) = work {
            self.send(key, work);
        }
        true
    }
}
