//! The life of a share: found to be a block or not, credited or refused, and counted either way. What is
//! credited is acknowledged by `commit`.

use crate::base::slots::Key;
use crate::base::time::Now;
use crate::coin::difficulty::Difficulty;
use crate::wire::stratum::{self, Id, Submit};

use super::Pool;
use super::commit::{Credit, Unacknowledged};
use super::job::JobId;
use super::judge::{Reject, Submission, Verdict, judge};
use super::window::RowId;
use super::workers::Counts;

/// A submission that a header could be built of.
struct Judged {
    verdict: Verdict,
    job: JobId,
    difficulty: Difficulty,
}

impl Pool {
    /// Judges a share, then credits or refuses it.
    pub(super) fn handle_submit(&mut self, key: Key, id: Id, submit: &Submit, now: Now) {
        let worker = self.sessions.get(key).and_then(|session| session.authorised(&submit.username));
        let worker = worker.map(|authorised| authorised.worker);
        let outcome = self.judge_submit(key, submit, now).and_then(|judged| {
            // A block pays by its job's split, whoever sends it and whatever is wrong with the share.
            if let Some(solution) = &judged.verdict.solves {
                self.handle_solved(key, judged.job, solution, submit, now);
            }
            let worker = worker.ok_or(Reject::Unauthorised)?;
            let fingerprint = judged.verdict.credit.map_err(|reject| self.once(judged.job, reject))?;
            self.remember(judged.job, fingerprint)?;
            // Last: a row that is taken is credited, and its miner's id is written with it.
            let row = self.row_of(key, &submit.username);
            if row.is_err() {
                // What is not credited may come again.
                self.forget(judged.job.seq, fingerprint);
            }
            Ok((worker, row?, judged.job, judged.difficulty, fingerprint))
        });
        match (outcome, worker) {
            (Ok((worker, row, job, difficulty, fingerprint)), _) => {
                let work = difficulty.units();
                let slot = self.window.credit(row, work, self.clock.pool_ms(now));
                let credit = Credit { job: job.seq, fingerprint, row, work, slot };
                self.count_credit(row, worker, difficulty, now);
                self.await_commit(Unacknowledged { session: key, id, worker, credit: Some(credit) });
                self.heed_credit(key, difficulty, now);
            }
            // Its answer was lost with the connection: it is given again, once the credit is on disk, and no credit.
            (Err(Reject::Duplicate), Some(worker)) if self.is_repeated(key, submit) => {
                self.await_commit(Unacknowledged { session: key, id, worker, credit: None });
            }
            (Err(Reject::Lowered(_)), Some(worker)) => {
                self.counts.uncredited += 1;
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.counts.uncredited += 1;
                }
                self.send(key, stratum::reply_true(&id));
            }
            (Err(reject), _) => {
                self.refuse(key, &id, worker, &reject);
                self.note_refusal(key, &reject, &submit.job_id, now);
            }
        }
    }

    /// Judges without counting anything; the error is for what no header can be built of.
    fn judge_submit(&mut self, key: Key, submit: &Submit, now: Now) -> Result<Judged, Reject> {
        let session = self.sessions.get(key).filter(|session| session.subscribed).ok_or(Reject::NotSubscribed)?;
        if session.authorised.is_empty() {
            return Err(Reject::Unauthorised);
        }
        let sent = |id: JobId| Some((id, self.jobs.find(id.seq)?, session.difficulty_of(id)?));
        let named = session.authorised(&submit.username).is_some();
        let unknown = if named { Reject::JobNotFound } else { Reject::Unauthorised };
        let (id, job, difficulty) = JobId::parse(&submit.job_id).and_then(sent).ok_or(unknown)?;
        let submission = Submission {
            filled: session.filled(id, submit),
            ntime: submit.ntime,
            nonce: submit.nonce,
            version_bits: submit.version_bits,
            version_mask: session.version_mask,
            difficulty,
            lowered: session.lowered(now),
        };
        let elapsed_s = (job.age_ms(now.mono_ms) / 1_000) as u32;
        let algorithm = self.spec.chains[0].coin.algorithm;
        let extranonce2_len = self.spec.stratum.extranonce2_len;
        let verdict = judge(job, &submission, algorithm, &mut self.hasher, extranonce2_len, elapsed_s);
        Ok(Judged { verdict, job: id, difficulty })
    }

    /// The row of the window that a worker's shares go to, from its first one that counts on.
    fn row_of(&mut self, key: Key, username: &str) -> Result<RowId, Reject> {
        let authorised = self.sessions.get_mut(key).and_then(|session| session.authorised_mut(username));
        let authorised = authorised.ok_or(Reject::Unauthorised)?;
        if let Some(row) = authorised.row {
            return Ok(row);
        }
        let admitted = self.window.admit(authorised.miner, &authorised.identity);
        let row = admitted.map_err(|full| Reject::Ledger(full.to_string()))?;
        authorised.row = Some(row);
        Ok(row)
    }

    /// Notes a share that is about to be credited, so that it is not credited again.
    fn remember(&mut self, job: JobId, fingerprint: u64) -> Result<(), Reject> {
        if let Some(reason) = &self.ledger_full {
            return Err(Reject::Ledger(reason.clone()));
        }
        let remembered = self.jobs.find_mut(job.seq).is_some_and(|job| job.remember(fingerprint));
        remembered.then_some(()).ok_or_else(|| Reject::Ledger("Too many shares for this job".into()))
    }

    /// A share that is answered `true` without credit is remembered like others: sent again it is a duplicate.
    fn once(&mut self, job: JobId, reject: Reject) -> Reject {
        match reject {
            Reject::Lowered(fingerprint)
                if !self.jobs.find_mut(job.seq).is_some_and(|job| job.remember(fingerprint)) =>
            {
                Reject::LowDifficulty
            }
            other => other,
        }
    }

    /// A share that was remembered has no credit after all.
    pub(super) fn forget(&mut self, job: u64, fingerprint: u64) {
        if let Some(job) = self.jobs.find_mut(job) {
            job.forget(fingerprint);
        }
    }

    /// Whether a share that was credited before is one whose answer may not have arrived: it is of work that was
    /// sent over an earlier connection of the session.
    fn is_repeated(&self, key: Key, submit: &Submit) -> bool {
        let session = self.sessions.get(key);
        session.zip(JobId::parse(&submit.job_id)).is_some_and(|(session, job)| session.is_from_before(job))
    }

    /// What a credited share says of its rig.
    fn heed_credit(&mut self, key: Key, difficulty: Difficulty, now: Now) {
        self.note_credit(key, now);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.garbage = 0;
        if session.vardiff.handle_share(difficulty, &self.spec.vardiff, now.mono_ms).is_some() {
            self.announce_difficulty(key, now);
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
        self.register_row(row);
    }

    fn refuse(&mut self, key: Key, id: &Id, worker: Option<Key>, reject: &Reject) {
        self.count_reject(reject);
        if let Some(worker) = worker.and_then(|worker| self.workers.get_mut(worker)) {
            count(&mut worker.counts, reject);
        }
        self.send(key, stratum::reply_error(id, reject.code(), &reject.reason()));
    }

    pub(super) fn count_reject(&mut self, reject: &Reject) {
        count(&mut self.counts, reject);
        *self.rejects.entry(reject.label()).or_default() += 1;
    }
}

fn count(counts: &mut Counts, reject: &Reject) {
    match reject {
        Reject::Stale | Reject::JobNotFound => counts.stale += 1,
        _ => counts.rejected += 1,
    }
}
