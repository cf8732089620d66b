//! The conversation with miners: what each stratum request does. The order of messages is the one that every
//! rig takes: nothing before the first reply; then subscribe, authorize, difficulty, job.

use std::rc::Rc;

use core::net::SocketAddr;

use crate::base::limits::WORKERS_PER_SESSION;
use crate::base::slots::Key;
use crate::base::time::Now;
use crate::coin::difficulty::{Difficulty, Target};
use crate::coin::uint::U256;
use crate::wire::http;
use crate::wire::stratum::{self, Configure, ErrorCode, Foreign, Granted, Message, Refused, Request, Submit};

use super::commit::Unacknowledged;
use super::job::JobId;
use super::judge::{Reject, Submission, Verdict, judge};
use super::session::{Authorised, Session};
use super::username::{Username, wanted_difficulty};
use super::window::RowId;
use super::workers::Workers;
use super::{Output, Pool};

/// Lines that can't be read before the connection is closed.
const GARBAGE_LINES: u32 = 8;
/// The answer to `client.get_version`.
const VERSION: &str = concat!("edgepool/", env!("CARGO_PKG_VERSION"));

/// A submission that a header could be built of.
struct Judged {
    verdict: Verdict,
    job: JobId,
    difficulty: Difficulty,
}

impl Pool {
    /// A miner has connected.
    pub fn handle_miner_connected(&mut self, peer: SocketAddr, now: Now) -> Key {
        let extranonce1 = self.free_extranonce1();
        self.sessions.insert(Session::new(peer, extranonce1, &self.spec.vardiff, now))
    }

    /// A miner has sent something; any part of a line, or many lines.
    pub fn handle_miner_bytes(&mut self, key: Key, bytes: &[u8], now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.heard_ms = now.mono_ms;
        if !session.has_spoken && !bytes.is_empty() {
            session.has_spoken = true;
            if let Some(foreign) = stratum::foreign_protocol(bytes) {
                if foreign == Foreign::Http {
                    let body = b"This port speaks stratum to mining rigs; the status page is on the RPC port.\n";
                    self.send(key, http::response(400, "text/plain", body, false, &[]));
                }
                return self.close(key, "speaks another protocol");
            }
        }
        session.lines.push(bytes);
        while let Some(session) = self.sessions.get_mut(key) {
            let message = match session.lines.next() {
                None => return,
                Some(Ok(line)) => stratum::parse(line),
                Some(Err(_)) => {
                    let reply = stratum::reply_error(&serde_json::Value::Null, ErrorCode::Other, "Line too long");
                    self.send(key, reply);
                    return self.close(key, "sent a line that is too long");
                }
            };
            match message {
                Ok(message) => self.handle_message(key, message, now),
                Err(refused) => self.handle_garbage(key, &refused),
            }
        }
    }

    /// A miner's connection is gone.
    pub fn handle_miner_closed(&mut self, key: Key) {
        self.forget_session(key);
    }

    /// Tells a miner its difficulty, and sends the current job again under a new name, so that every rig
    /// applies the one with the other.
    pub(super) fn announce_difficulty(&mut self, key: Key) {
        let cap = self.network_difficulty();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let difficulty = cap.map_or(session.vardiff.difficulty(), |cap| session.vardiff.difficulty().min(cap));
        label_workers(&mut self.workers, session);
        if !session.is_mining() || session.announced() == Some(difficulty) || !session.may_resend() {
            return;
        }
        let mut bytes = stratum::set_difficulty(&difficulty.to_string());
        let is_first = session.announced().is_none();
        match self.jobs.current() {
            Some(job) => {
                let id = if is_first { JobId { seq: job.seq, epoch: 0 } } else { session.resend(job.seq) };
                bytes.extend(job.notify(id.epoch, is_first));
                session.note_sent(id, difficulty, self.jobs.oldest().unwrap_or(job.seq));
            }
            None => session.note_sent(JobId { seq: self.next_job, epoch: 0 }, difficulty, self.next_job),
        }
        label_workers(&mut self.workers, session);
        self.send(key, bytes);
    }

    /// The network's difficulty in the unit that miners are told; shares must never be harder than a block.
    pub(super) fn network_difficulty(&self) -> Option<Difficulty> {
        let target: Target = self.jobs.current()?.template.target;
        Some(Difficulty::of_target(target, self.spec.chains[0].coin.algorithm))
    }

    pub(super) fn close(&mut self, key: Key, reason: &str) {
        self.forget_session(key);
        self.outputs.push_back(Output::CloseMiner { session: key, reason: reason.to_string() });
    }

    pub(super) fn count_reject(&mut self, reject: &Reject) {
        match reject {
            Reject::Stale | Reject::JobNotFound => self.counts.stale += 1,
            _ => self.counts.rejected += 1,
        }
        let reason = match reject {
            Reject::Ledger(_) => "Ledger".to_string(),
            other => other.reason(),
        };
        *self.rejects.entry(reason).or_default() += 1;
    }

    fn forget_session(&mut self, key: Key) {
        let Some(session) = self.sessions.remove(key) else { return };
        for authorised in session.authorised {
            self.window.release(authorised.row);
            self.workers.disconnect(authorised.worker);
        }
    }

    fn free_extranonce1(&mut self) -> u32 {
        loop {
            let candidate = self.next_extranonce1;
            self.next_extranonce1 = candidate.wrapping_add(1);
            // Only after 2^32 connections can one of them still be open.
            if !self.sessions.iter().any(|(_, session)| session.extranonce1 == candidate.to_be_bytes()) {
                return candidate;
            }
        }
    }

    fn handle_garbage(&mut self, key: Key, refused: &Refused) {
        self.send(key, stratum::reply_error(&refused.id, refused.code, &refused.reason));
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.garbage += 1;
        if session.garbage >= GARBAGE_LINES {
            self.close(key, "sent too many lines that can't be read");
        }
    }

    fn handle_message(&mut self, key: Key, message: Message, now: Now) {
        let Message { id, request } = message;
        let reply = match request {
            Request::Submit(submit) => return self.handle_submit(key, id, &submit, now),
            Request::Subscribe { agent, .. } => self.subscribe(key, &id, agent.unwrap_or_default()),
            Request::Authorize { username, password } => {
                return self.authorize(key, &id, &username, &password, now);
            }
            Request::Configure(wanted) => self.configure(key, &id, &wanted, now),
            Request::SuggestDifficulty(wanted) => {
                self.suggest(key, Difficulty::from_f64(wanted), now);
                stratum::reply_true(&id)
            }
            Request::SuggestTarget(target) => {
                let algorithm = self.spec.chains[0].coin.algorithm;
                let target = Target::new(U256::from_le_bytes(&target));
                self.suggest(key, target.map(|target| Difficulty::of_target(target, algorithm)), now);
                stratum::reply_true(&id)
            }
            Request::ExtranonceSubscribe | Request::MultiVersion | Request::Capabilities => stratum::reply_true(&id),
            Request::Ping => stratum::reply_result(&id, &serde_json::Value::from("pong")),
            Request::GetVersion => stratum::reply_result(&id, &serde_json::Value::from(VERSION)),
            Request::Reply => return,
            Request::GetTransactions => stratum::reply_result(&id, &serde_json::Value::Array(Vec::new())),
            Request::Unknown(method) => {
                let reason = format!("Unknown method {method}");
                stratum::reply_error(&id, ErrorCode::Other, &reason)
            }
        };
        self.send(key, reply);
        self.announce_difficulty(key);
    }

    fn subscribe(&mut self, key: Key, id: &serde_json::Value, agent: String) -> Vec<u8> {
        let Some(session) = self.sessions.get_mut(key) else { return Vec::new() };
        session.agent = agent.chars().filter(|c| !c.is_control()).take(64).collect();
        session.subscribed = true;
        let session_id = format!("{:016x}", key.to_u64());
        stratum::subscribe_reply(id, &session_id, &session.extranonce1, self.spec.stratum.extranonce2_len)
    }

    fn configure(&mut self, key: Key, id: &serde_json::Value, wanted: &Configure, now: Now) -> Vec<u8> {
        let allowed = self.spec.chains[0].coin.version_rolling_mask;
        let Some(session) = self.sessions.get_mut(key) else { return Vec::new() };
        let minimum = wanted.minimum_difficulty.and_then(Difficulty::from_f64);
        if let Some(minimum) = minimum {
            session.vardiff.suggest(minimum, true, &self.spec.vardiff, now.mono_ms);
        }
        let version_mask = wanted.version_rolling.map(|mask| mask & allowed).filter(|mask| *mask != 0);
        session.version_mask = version_mask.unwrap_or(session.version_mask);
        // The extranonce never changes while a rig is connected, so nothing is promised about it.
        let granted = Granted { version_mask, minimum_difficulty: minimum.is_some(), subscribe_extranonce: false };
        stratum::configure_reply(id, wanted, &granted)
    }

    fn suggest(&mut self, key: Key, wanted: Option<Difficulty>, now: Now) {
        if let (Some(session), Some(wanted)) = (self.sessions.get_mut(key), wanted) {
            session.vardiff.suggest(wanted, false, &self.spec.vardiff, now.mono_ms);
        }
    }

    fn authorize(&mut self, key: Key, id: &serde_json::Value, username: &str, password: &str, now: Now) {
        let reply = match self.admit(key, username, now) {
            Ok(()) => {
                if let (Some(session), Some(wanted)) = (self.sessions.get_mut(key), wanted_difficulty(password)) {
                    session.vardiff.suggest(wanted, true, &self.spec.vardiff, now.mono_ms);
                }
                stratum::reply_true(id)
            }
            Err((code, reason)) => {
                if let Some(session) = self.sessions.get(key) {
                    log::debug!("{}: {} may not mine as {username:?}: {reason}", self.spec.name, session.peer);
                }
                stratum::reply_error(id, code, &reason)
            }
        };
        self.send(key, reply);
        self.announce_difficulty(key);
    }

    fn admit(&mut self, key: Key, username: &str, now: Now) -> Result<(), (ErrorCode, String)> {
        let Some(session) = self.sessions.get(key) else { return Ok(()) };
        if session.authorised(username).is_some() {
            return Ok(());
        }
        if session.authorised.len() >= WORKERS_PER_SESSION {
            return Err((ErrorCode::Other, format!("More than {WORKERS_PER_SESSION} workers on one connection")));
        }
        let chain = &self.spec.chains[0];
        let Username { script, worker } =
            Username::parse(username, chain).map_err(|error| (ErrorCode::Unauthorized, error.to_string()))?;
        let known = self.window.find(&script).and_then(|row| self.window.row(row)).map(|row| row.miner);
        let miner = known.or_else(|| self.miners.find_or_next(&script));
        let miner = miner.ok_or_else(|| (ErrorCode::Other, "No more addresses until a restart".to_string()))?;
        let row = self.window.admit(miner, &script).map_err(|full| (ErrorCode::Other, full.to_string()))?;
        let peer = session.peer.to_string();
        log::info!(
            "{}: {peer} mines for {} as {worker:?} ({})",
            self.spec.name,
            chain.address_text(&script),
            session.agent
        );
        let worker = self.workers.connect(miner, &worker, &session.agent, &peer, now.mono_ms);
        if let Some(session) = self.sessions.get_mut(key) {
            session.authorised.push(Authorised { username: username.to_string(), row, worker });
        }
        Ok(())
    }

    fn handle_submit(&mut self, key: Key, id: serde_json::Value, submit: &Submit, now: Now) {
        let worker = self.sessions.get(key).and_then(|session| session.authorised(&submit.username));
        let worker = worker.map(|authorised| (authorised.worker, authorised.row));
        let outcome = self.judge_submit(key, submit, now).and_then(|judged| {
            // A block pays by its job's split, whoever sends it and whatever is wrong with the share.
            if let Some(header) = &judged.verdict.solves {
                self.handle_solved(key, judged.job, header, submit, now);
            }
            let (worker, row) = worker.ok_or(Reject::Unauthorised)?;
            let fingerprint = judged.verdict.credit?;
            self.remember(judged.job, fingerprint)?;
            Ok((worker, row, judged.difficulty))
        });
        match outcome {
            Ok((worker, row, difficulty)) => self.credit(key, id, worker, row, difficulty, now),
            Err(reject) => self.refuse(key, &id, worker.map(|(worker, _)| worker), &reject),
        }
    }

    /// Judges without changing anything; the error is for what no header can be built of.
    fn judge_submit(&self, key: Key, submit: &Submit, now: Now) -> Result<Judged, Reject> {
        let session = self.sessions.get(key).filter(|session| session.subscribed).ok_or(Reject::NotSubscribed)?;
        if session.authorised.is_empty() {
            return Err(Reject::Unauthorised);
        }
        let sent = |id: JobId| Some((id, self.jobs.find(id.seq)?, session.difficulty_of(id)?));
        let named = session.authorised(&submit.username).is_some();
        let unknown = if named { Reject::JobNotFound } else { Reject::Unauthorised };
        let (id, job, difficulty) = JobId::parse(&submit.job_id).and_then(sent).ok_or(unknown)?;
        let submission = Submission {
            epoch: id.epoch,
            extranonce1: session.extranonce1,
            extranonce2: submit.extranonce2.as_slice(),
            ntime: submit.ntime,
            nonce: submit.nonce,
            version_bits: submit.version_bits,
            version_mask: session.version_mask,
            difficulty,
        };
        let elapsed_s = (now.mono_ms.saturating_sub(job.made_ms) / 1_000) as u32;
        let algorithm = self.spec.chains[0].coin.algorithm;
        let verdict = judge(job, &submission, algorithm, self.spec.stratum.extranonce2_len, elapsed_s);
        Ok(Judged { verdict, job: id, difficulty })
    }

    /// Notes a share that is about to be credited, so that it is not credited again.
    fn remember(&mut self, job: JobId, fingerprint: u64) -> Result<(), Reject> {
        if let Some(reason) = &self.ledger_full {
            return Err(Reject::Ledger(reason.clone()));
        }
        let remembered = self.jobs.find_mut(job.seq).is_some_and(|job| job.remember(fingerprint));
        remembered.then_some(()).ok_or_else(|| Reject::Ledger("Too many shares for this job".into()))
    }

    /// Credits a share; it is acknowledged once that is on disk.
    fn credit(&mut self, key: Key, id: serde_json::Value, worker: Key, row: RowId, difficulty: Difficulty, now: Now) {
        self.count_credit(row, worker, difficulty, now);
        let slot = self.window.credit(row, difficulty.units(), self.clock.pool_ms(now));
        self.await_commit(Unacknowledged { session: key, id, worker, row, work: difficulty.units(), slot });
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.garbage = 0;
        if session.vardiff.handle_share(difficulty, &self.spec.vardiff, now.mono_ms).is_some() {
            self.announce_difficulty(key);
        }
    }

    /// Counts an accepted share everywhere but in the window.
    fn count_credit(&mut self, row: RowId, worker: Key, difficulty: Difficulty, now: Now) {
        let work = difficulty.units();
        self.total_work += u128::from(work);
        self.total_shares += 1;
        self.rates.add(work, now.mono_ms);
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.rates.add(work, now.mono_ms);
            worker.last_share_ms = self.clock.pool_ms(now);
        }
        self.register(row);
    }

    /// Makes the miner of a row permanent: the ledger refers to it from now on.
    pub(super) fn register(&mut self, row: RowId) {
        if let Some(row) = self.window.row(row)
            && self.miners.script(row.miner).is_none()
        {
            self.miners.insert(row.miner, row.script.clone());
            self.commits.add_miner(row.miner, row.script.as_bytes().to_vec());
        }
    }

    fn refuse(&mut self, key: Key, id: &serde_json::Value, worker: Option<Key>, reject: &Reject) {
        self.count_reject(reject);
        if let Some(worker) = worker.and_then(|worker| self.workers.get_mut(worker)) {
            match reject {
                Reject::Stale | Reject::JobNotFound => worker.counts.stale += 1,
                _ => worker.counts.rejected += 1,
            }
        }
        self.send(key, stratum::reply_error(id, reject.code(), &reject.reason()));
    }

    /// Sends `job` to every miner at once; those whose difficulty is above the network's are told first.
    pub(super) fn broadcast(&mut self, clean: bool) {
        let cap = self.network_difficulty();
        let Some(job) = self.jobs.current() else { return };
        let oldest = self.jobs.oldest().unwrap_or(job.seq);
        let line: Rc<[u8]> = job.notify(0, clean).into();
        let id = JobId { seq: job.seq, epoch: 0 };
        for (key, session) in self.sessions.iter_mut().filter(|(_, session)| session.is_mining()) {
            let difficulty = cap.map_or(session.vardiff.difficulty(), |cap| session.vardiff.difficulty().min(cap));
            if session.announced() != Some(difficulty) {
                let bytes = stratum::set_difficulty(&difficulty.to_string()).into();
                self.outputs.push_back(Output::ToMiner { session: key, bytes });
                session.note_sent(id, difficulty, oldest);
                label_workers(&mut self.workers, session);
            } else {
                session.note_sent(id, difficulty, oldest);
            }
            self.outputs.push_back(Output::ToMiner { session: key, bytes: Rc::clone(&line) });
        }
    }
}

/// Shows the difficulty that a connection was told last with each of its workers.
fn label_workers(workers: &mut Workers, session: &Session) {
    let Some(difficulty) = session.announced() else { return };
    for authorised in &session.authorised {
        if let Some(worker) = workers.get_mut(authorised.worker) {
            worker.difficulty = difficulty.to_string();
        }
    }
}
