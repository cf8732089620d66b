//! Which extranonce1 a connection has. It keeps two rigs from doing the same work: no two connections carry one
//! at the same time. Never judges a share: what an earlier sending carried is the session's to remember.

use std::collections::BTreeSet;

use crate::base::limits::EXTRANONCE1;
use crate::base::slots::Key;
use crate::wire::stratum;

use super::Pool;
use super::session::Session;

/// Those that connections and sessions have, and the next one to be given. One that is given up is not given again
/// before all the others: somebody may still mine with it.
#[derive(Debug)]
pub(super) struct Extranonces {
    next: u32,
    taken: BTreeSet<[u8; EXTRANONCE1]>,
}

impl Extranonces {
    /// None is taken; `next` is given first.
    pub(super) fn new(next: u32) -> Extranonces {
        Extranonces { next, taken: BTreeSet::new() }
    }

    /// One that nobody has.
    pub(super) fn take(&mut self) -> [u8; EXTRANONCE1] {
        loop {
            let candidate = self.next.to_be_bytes();
            self.next = self.next.wrapping_add(1);
            // Connections and sessions are bounded far below 2^32.
            if self.taken.insert(candidate) {
                return candidate;
            }
        }
    }

    /// The one that is looked at first when the next is given.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Goes on from an earlier run.
    pub(super) fn restore(&mut self, next: u32, taken: Vec<[u8; EXTRANONCE1]>) {
        *self = Extranonces { next, taken: taken.into_iter().collect() };
    }

    /// Nobody has it any more.
    pub(super) fn free(&mut self, extranonce1: [u8; EXTRANONCE1]) {
        self.taken.remove(&extranonce1);
    }
}

impl Pool {
    /// Moves a connection to another extranonce1 without ending it. It is told with a clean job; shares of earlier
    /// jobs count with the extranonce1 of before. `false`, and nothing is done, where the rig did not ask for this
    /// (`mining.extranonce.subscribe`).
    pub fn renew_extranonce1(&mut self, key: Key) -> bool {
        let Some(former) = self.sessions.get(key).map(|session| session.extranonce1) else { return false };
        let fresh = self.extranonces.take();
        let is_moved = self.move_extranonce1(key, fresh);
        self.extranonces.free(if is_moved { former } else { fresh });
        is_moved
    }

    /// As [`Pool::renew_extranonce1`], to one that is taken already; its own goes to another connection, which may
    /// be at the same work already.
    pub(super) fn move_extranonce1(&mut self, key: Key, fresh: [u8; EXTRANONCE1]) -> bool {
        let may_be_moved = |session: &&mut Session| session.takes_extranonce && session.may_resend();
        let Some(session) = self.sessions.get_mut(key).filter(may_be_moved) else { return false };
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
