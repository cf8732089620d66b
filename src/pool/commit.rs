//! Durable before acknowledged: what waits for the next commit, and what follows it. The shell takes a
//! batch when one is due, writes it, and says how that went.

use crate::base::Hash32;
use crate::base::slots::Key;
use crate::base::time::Now;

use super::record::{Batch, ClockMark, Entry, MinerId};
use super::window::RowId;
use super::{Output, Pool, Reject};
use crate::wire::stratum::{self, Id, Line};

/// The clock mark is renewed this often while nothing else is written, in milliseconds.
const MARK_MS: u64 = 600_000;
/// After a failed commit the next one is tried no sooner than this, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// A share that was accepted, and whose credit is not known to be on disk.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    pub(super) session: Key,
    pub(super) id: Id,
    pub(super) worker: Key,
    /// `None` for one that was credited when it came first.
    pub(super) credit: Option<Credit>,
}

/// What is taken back when it can't be written.
#[derive(Debug)]
pub(super) struct Credit {
    pub(super) job: u64,
    pub(super) fingerprint: u64,
    pub(super) row: RowId,
    pub(super) work: u64,
    pub(super) slot: u64,
}

/// What waits for the next commit.
#[derive(Debug)]
pub(super) struct Commits {
    /// Journal, miners and blocks that are not on disk yet.
    batch: Batch,
    shares: Vec<Unacknowledged>,
    /// Blocks to submit once the batch is on disk.
    blocks: Vec<(usize, Hash32)>,
    /// Chains whose signed payment is to be sent once the batch is on disk, and not before.
    payments: Vec<usize>,
    /// A block or a changed term must not wait.
    urgent: bool,
    next_entry: u64,
    last_ms: u64,
    not_before_ms: u64,
    /// When the last batch reached the disk, monotonic milliseconds.
    pub(super) committed_ms: Option<u64>,
    /// The last mark that is on disk.
    mark: ClockMark,
    /// Why the last commit failed.
    pub(super) fault: Option<String>,
}

impl Commits {
    pub(super) fn new(next_entry: u64, mark: ClockMark, now: Now) -> Commits {
        Commits {
            batch: Batch::default(),
            shares: Vec::new(),
            blocks: Vec::new(),
            payments: Vec::new(),
            // The first commit marks the start of this run.
            urgent: true,
            next_entry,
            last_ms: now.mono_ms,
            not_before_ms: 0,
            committed_ms: None,
            mark,
            fault: None,
        }
    }

    /// Adds an event to the journal; it is written with the next commit, at once.
    pub(super) fn record(&mut self, entry: Entry) {
        self.batch.journal.push((self.next_entry, entry));
        self.next_entry += 1;
        self.urgent = true;
    }

    /// The number that the next event of the journal will have.
    pub(super) fn next_entry(&self) -> u64 {
        self.next_entry
    }

    /// Keeps a found block until a node answers for good, and submits it once it is on disk.
    pub(super) fn keep_block(&mut self, chain: usize, hash: Hash32, bytes: std::rc::Rc<[u8]>) {
        self.batch.blocks.push((hash, bytes));
        self.blocks.push((chain, hash));
        self.urgent = true;
    }

    /// Sends the chain's signed payment once it is on disk.
    pub(super) fn keep_payment(&mut self, chain: usize) {
        self.payments.push(chain);
        self.urgent = true;
    }

    /// A kept block is answered for.
    pub(super) fn settle_block(&mut self, hash: Hash32) {
        // One that was never written need not be any more, and must not keep the rest from the disk.
        self.batch.blocks.retain(|(kept, _)| *kept != hash);
        self.batch.settled_blocks.push(hash);
        self.urgent = true;
    }

    /// Makes what waits due at once.
    pub(super) fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Writes a miner's script with the next commit.
    pub(super) fn add_miner(&mut self, miner: MinerId, script: Vec<u8>) {
        self.batch.miners.push((miner, script));
    }
}

impl Pool {
    /// Whether a batch should be written now.
    pub fn batch_due(&self, now: Now) -> bool {
        now.mono_ms >= self.commit_deadline()
    }

    /// Why there are money events that are not on disk; `None` when there are none.
    pub fn unwritten(&self) -> Option<String> {
        let fault = || self.commits.fault.clone().unwrap_or_else(|| "it is about to be written".to_string());
        (!self.commits.batch.journal.is_empty()).then(fault)
    }

    /// Whether anything that was credited or decided waits for the disk.
    pub fn awaits_commit(&self) -> bool {
        !self.commits.shares.is_empty() || !self.commits.batch.is_empty() || self.window.has_changed()
    }

    /// Whether everything that was credited or decided is on disk.
    pub(super) fn is_all_written(&self) -> bool {
        !self.awaits_commit() && self.commits.fault.is_none() && self.commits.committed_ms.is_some()
    }

    /// The mark that the ledger has.
    pub(super) fn marked(&self) -> ClockMark {
        self.commits.mark
    }

    /// Number of the last event of the journal, on disk or about to be; 0 while there is none.
    pub fn journal_seq(&self) -> u64 {
        self.commits.next_entry - 1
    }

    pub(super) fn commit_deadline(&self) -> u64 {
        let commits = &self.commits;
        let due = if commits.urgent {
            0
        } else if self.window.has_changed() || !commits.shares.is_empty() {
            commits.last_ms + self.spec.commit_ms
        } else {
            commits.last_ms + MARK_MS
        };
        due.max(commits.not_before_ms)
    }

    /// What must be on disk before [`Pool::handle_committed`] is called.
    pub fn batch(&mut self, now: Now) -> &Batch {
        self.window.advance(self.clock.pool_ms(now));
        let mark = self.clock_mark(now);
        let batch = &mut self.commits.batch;
        batch.clock = mark;
        batch.cells = self.window.take_changed();
        if let Some(before) = self.window.take_expired_before() {
            batch.forget_cells_before_ms = Some(before);
        }
        batch
    }

    /// The batch is on disk: its shares are acknowledged and its blocks submitted.
    pub fn handle_committed(&mut self, now: Now) {
        let commits = &mut self.commits;
        // Taken before anything else is done: one that is signed from here on waits for the next commit.
        let payments = std::mem::take(&mut commits.payments);
        commits.mark = commits.batch.clock;
        commits.batch = Batch::default();
        commits.urgent = false;
        commits.last_ms = now.mono_ms;
        commits.committed_ms = Some(now.mono_ms);
        commits.not_before_ms = 0;
        if let Some(fault) = commits.fault.take() {
            log::warn!("{}: the ledger can be written again (it was: {fault})", self.spec.name);
        }
        self.submit_kept_blocks(now);
        self.send_written_payments(payments, now);
        for share in self.commits.shares.drain(..) {
            if share.credit.is_some() {
                if let Some(worker) = self.workers.get_mut(share.worker) {
                    worker.counts.accepted += 1;
                }
                self.counts.accepted += 1;
            }
            let line = stratum::reply_true(&share.id);
            self.outputs.push_back(Output::ToMiner { session: share.session, line });
        }
    }

    /// The batch is not on disk. Its shares are refused and their credit taken back; its money events and blocks stay for
    /// the next try, and its payments wait for that. A found block is submitted all the same: it is worth more than its
    /// place in the journal.
    pub fn handle_commit_failed(&mut self, reason: &str, now: Now) {
        log::error!("{}: the ledger cannot be written: {reason}", self.spec.name);
        let commits = &mut self.commits;
        commits.fault = Some(reason.to_string());
        commits.last_ms = now.mono_ms;
        commits.not_before_ms = now.mono_ms + RETRY_MS;
        let cells = std::mem::take(&mut commits.batch.cells);
        self.window.mark_changed(&cells);
        self.submit_kept_blocks(now);
        let reject = Reject::Ledger(format!("ledger: {reason}"));
        // What a block's entry tells of the effort so far must stay so: the next block's can't tell less.
        let is_told = self.commits.batch.journal.iter().any(|(_, entry)| matches!(entry, Entry::BlockFound(_)));
        for share in std::mem::take(&mut self.commits.shares) {
            if let Some(credit) = &share.credit {
                self.window.revoke(credit.row, credit.work, credit.slot);
                self.forget(credit.job, credit.fingerprint);
                if !is_told {
                    self.total_work -= u128::from(credit.work);
                    self.total_shares -= 1;
                }
            }
            if let Some(worker) = self.workers.get_mut(share.worker) {
                worker.counts.rejected += 1;
            }
            self.count_reject(&reject);
            self.send(share.session, stratum::reply_error(&share.id, reject.code(), &reject.reason()));
        }
    }

    /// Puts an accepted share in line for the next commit.
    pub(super) fn await_commit(&mut self, share: Unacknowledged) {
        self.commits.shares.push(share);
    }

    pub(super) fn clock_mark(&self, now: Now) -> ClockMark {
        ClockMark {
            pool_ms: self.clock.pool_ms(now),
            wall_ms: now.wall_ms,
            total_work: self.total_work,
            total_shares: self.total_shares,
        }
    }

    fn submit_kept_blocks(&mut self, now: Now) {
        for (chain, hash) in std::mem::take(&mut self.commits.blocks) {
            self.chains[chain].follow(&hash, now);
            self.drain_nodes(chain, now);
        }
    }

    pub(super) fn send(&mut self, session: Key, line: Line) {
        self.outputs.push_back(Output::ToMiner { session, line });
    }
}
