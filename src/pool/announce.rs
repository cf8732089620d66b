//! What miners are told of their own accord: the difficulty, and jobs. Each set_difficulty is followed by a
//! job with a new name, so that every rig applies the one with the other.

use crate::base::slots::Key;
use crate::base::time::Now;
use crate::coin::difficulty::Difficulty;
use crate::wire::stratum::{self, Line};

use super::firmware::CoinbaseClass;
use super::job::JobId;
use super::session::Session;
use super::spec::VardiffSpec;
use super::workers::Workers;
use super::{Output, Pool};

impl Pool {
    /// Tells a miner its difficulty, and sends the current job again under a new name, so that every rig
    /// applies the one with the other.
    pub(super) fn announce_difficulty(&mut self, key: Key, now: Now) {
        let cap = self.network_difficulty();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let difficulty = limited(session, cap, &self.spec.vardiff);
        label_workers(&mut self.workers, session, &self.spec.vardiff);
        let is_told = session.is_greeted() && session.announced() == Some(difficulty);
        if !session.is_mining() || is_told || !session.may_resend() {
            return;
        }
        let mut work = None;
        let is_first = !session.is_greeted();
        match self.jobs.current() {
            Some(job) => {
                // A rig that comes back begins to search anew: under another name it does not find the same again.
                let id = match session.announced() {
                    None => JobId { seq: job.seq, epoch: 0 },
                    Some(_) => session.resend(job.seq),
                };
                work = Some(job.notify(session.class, id.epoch, is_first));
                session.note_sent(id, difficulty, self.jobs.oldest().unwrap_or(job.seq), now);
            }
            None => session.note_sent(JobId { seq: self.next_job, epoch: 0 }, difficulty, self.next_job, now),
        }
        label_workers(&mut self.workers, session, &self.spec.vardiff);
        self.send(key, stratum::set_difficulty(&difficulty.to_string()));
        if let Some(work) = work {
            self.send(key, work);
        }
    }

    /// The network's difficulty in the unit that miners are told; shares must never be harder than a block.
    /// That of the easiest chain, where several are mined together, but for a child no less than the least that rigs
    /// are given.
    pub(super) fn network_difficulty(&self) -> Option<Difficulty> {
        let job = self.jobs.current()?;
        let algorithm = self.spec.chains[0].coin.algorithm;
        let of = |target| Difficulty::of_target(target, algorithm);
        // For a child that is easier than that, rigs are not made to send shares that nobody wants: some of its blocks
        // are not found.
        let children = job.children.blocks().iter().map(|child| of(child.template.target).max(self.spec.vardiff.min));
        children.chain([of(job.template.target)]).min()
    }

    /// Sends `job` to every miner at once; those whose difficulty is above the network's are told first.
    pub(super) fn broadcast(&mut self, clean: bool, now: Now) {
        let cap = self.network_difficulty();
        let Some(job) = self.jobs.current() else { return };
        let oldest = self.jobs.oldest().unwrap_or(job.seq);
        // Classes that share a coinbase share the line.
        let mut lines: [Option<Line>; CoinbaseClass::COUNT] = Default::default();
        let id = JobId { seq: job.seq, epoch: 0 };
        for (key, session) in self.sessions.iter_mut().filter(|(_, session)| session.is_mining()) {
            let difficulty = limited(session, cap, &self.spec.vardiff);
            let is_changed = session.announced() != Some(difficulty);
            session.note_sent(id, difficulty, oldest, now);
            if is_changed {
                let line = stratum::set_difficulty(&difficulty.to_string());
                self.outputs.push_back(Output::ToMiner { session: key, line });
                label_workers(&mut self.workers, session, &self.spec.vardiff);
            }
            let line =
                lines[job.coinbases.index(session.class)].get_or_insert_with(|| job.notify(session.class, 0, clean));
            self.outputs.push_back(Output::ToMiner { session: key, line: line.clone() });
        }
    }
}

/// What a connection is to be told, now that this is the network's difficulty.
fn limited(session: &mut Session, network: Option<Difficulty>, spec: &VardiffSpec) -> Difficulty {
    if let Some(network) = network {
        session.vardiff.limit(network, spec);
    }
    session.vardiff.difficulty()
}

/// Shows the difficulty that a connection was told last with each of its workers, and remembers the one that
/// suits it.
fn label_workers(workers: &mut Workers, session: &Session, spec: &VardiffSpec) {
    let Some(difficulty) = session.announced() else { return };
    for authorised in &session.authorised {
        if let Some(worker) = workers.get_mut(authorised.worker) {
            worker.difficulty = difficulty.to_string();
            worker.suited = session.vardiff.fitted(spec).or(worker.suited);
        }
    }
}
