//! Payments from a node's wallet, one at a time: built and signed by the wallet, written to the journal, and only
//! then sent, watched and, whatever happens, never built a second time. A state machine over one connection to the
//! wallet's node. It never touches the ledger: it is told whom to pay, and tells what became of it.
//!
//! How to drive it: after every call of a `&mut self` method take all actions and events. `PlanWanted` is answered
//! with [`Payments::handle_plan`], `Signed` with [`Payments::handle_written`] once the transaction is on disk, or
//! with [`Payments::handle_refused`].

mod answer;
mod build;
mod plan;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::base::Hash32;
use crate::base::rng::Rng;
use crate::base::time::{NEVER, Now, SECOND};
use crate::coin::params::{Coin, Network};
use crate::wire::node_link::{Action, LinkError, NodeLink};

use super::record::{OutPoint, PaymentOutput, PaymentStatus};
use super::spec::PaymentsSpec;
use super::upstream::{LinkAction, LinkKind};
use answer::Fault;
use build::Build;
use watch::Watch;

pub use plan::{Bounds, Candidate, LeftOut, Plan, Planned, Reason};

/// A sent payment is looked for this often; sooner at a new tip.
const WATCH_MS: u64 = 60 * SECOND;
/// After a failure, the first and the longest delay.
const RETRY_MS: (u64, u64) = (2 * SECOND, 300 * SECOND);
/// Whether the schedule is due is looked at this often.
const SCHEDULE_MS: u64 = 60 * SECOND;
/// A call is given up after this: a wallet of many coins takes its time to choose.
const CALL_TIMEOUT_MS: u64 = 60 * SECOND;
/// A payment that has not come forward for so long needs the operator.
const STUCK_MS: u64 = 3_600 * SECOND;

/// Something for the pool to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// Say whom to pay; the outputs may sum to `funds` base units.
    PlanWanted {
        /// What the wallet has, less the highest fee where the pool bears it.
        funds: u64,
    },
    /// The transaction is signed: write it.
    Signed(Transfer),
    /// The payment has come forward, or to its end.
    Judged(PaymentStatus),
}

/// A signed transaction that pays exactly what was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub txid: Hash32,
    /// The whole transaction, as it is sent.
    pub bytes: Vec<u8>,
    /// What it spends.
    pub inputs: Vec<OutPoint>,
    /// Whom it pays, in the order of its outputs.
    pub outputs: Vec<PaymentOutput>,
    /// The network's fee as the wallet gave it, in base units.
    pub fee: u64,
}

/// The wallet for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletStatus {
    /// The wallet's node, without credentials.
    pub url: String,
    /// The payment under way.
    pub payment: Option<u64>,
    /// What is being done, in words.
    pub doing: String,
    /// Confirmations of the payment as the wallet last said.
    pub confirmations: Option<i64>,
    /// Why it does not come forward, in the wallet's words.
    pub trouble: Option<String>,
    /// For how long it has not, in milliseconds.
    pub trouble_ms: Option<u64>,
    /// When it is tried again, in milliseconds from now.
    pub retry_ms: Option<u64>,
}

impl WalletStatus {
    /// Whether the operator should look.
    pub fn is_stuck(&self) -> bool {
        self.trouble_ms.is_some_and(|trouble_ms| trouble_ms >= STUCK_MS)
    }
}

/// One call to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    method: &'static str,
    params: String,
}

/// The work on one payment.
#[derive(Debug)]
enum Work {
    Build(Build),
    Watch(Watch),
}

/// See the module.
pub struct Payments {
    spec: PaymentsSpec,
    coin: &'static Coin,
    network: &'static Network,
    rng: Rng,
    link: NodeLink,
    has_credentials: bool,
    /// Why the credentials could not be read.
    credentials_error: Option<String>,
    credentials_at: u64,
    /// The payment under way, by its number.
    work: Option<(u64, Work)>,
    /// The transaction that waits for the disk.
    unwritten: Option<Transfer>,
    /// The call under way.
    asked: Option<Call>,
    /// Its answer is for a payment that was given up.
    is_unwanted: bool,
    /// The next call is made no sooner.
    at_ms: u64,
    failures: u32,
    trouble: Option<String>,
    trouble_since: Option<u64>,
    tip: Option<Hash32>,
    schedule_at: u64,
    actions: VecDeque<LinkAction>,
    events: VecDeque<(u64, PaymentEvent)>,
}

impl Payments {
    /// A wallet with nothing to do; it is not asked anything.
    pub fn new(spec: PaymentsSpec, coin: &'static Coin, network: &'static Network, seed: u64, now: Now) -> Payments {
        let mut rng = Rng::new(seed);
        let link = NodeLink::new(spec.wallet.authority.clone(), spec.wallet.path.clone(), rng.next_u64());
        Payments {
            spec,
            coin,
            network,
            rng,
            link,
            has_credentials: false,
            credentials_error: None,
            credentials_at: now.mono_ms,
            work: None,
            unwritten: None,
            asked: None,
            is_unwanted: false,
            at_ms: now.mono_ms,
            failures: 0,
            trouble: None,
            trouble_since: None,
            tip: None,
            schedule_at: now.mono_ms,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What the operator asked for.
    pub fn spec(&self) -> &PaymentsSpec {
        &self.spec
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.work.is_none()
    }

    /// For people to see.
    pub fn status(&self, now: Now) -> WalletStatus {
        let confirmations = match &self.work {
            Some((_, Work::Watch(watch))) => watch.confirmations(),
            _ => None,
        };
        let doing = match &self.work {
            None => "idle".to_string(),
            Some((payment, Work::Build(build))) => format!("payment {payment} {}", build.describe()),
            Some((payment, Work::Watch(_))) => match confirmations {
                Some(depth @ 1..) => {
                    format!("payment {payment} has {depth} of {} confirmations", self.spec.confirmations)
                }
                _ => format!("payment {payment} is in no block yet"),
            },
        };
        let is_waiting = self.trouble.is_some() && self.asked.is_none();
        WalletStatus {
            url: self.spec.wallet.url.clone(),
            payment: self.work.as_ref().map(|(payment, _)| *payment),
            doing,
            confirmations,
            trouble: self.trouble.clone(),
            trouble_ms: self.trouble_since.map(|since| now.mono_ms.saturating_sub(since)),
            retry_ms: is_waiting.then(|| self.at_ms.saturating_sub(now.mono_ms)),
        }
    }

    /// Starts to build a queued payment. There must be nothing else to do.
    pub fn build(&mut self, payment: u64, now: Now) {
        debug_assert!(self.is_idle(), "one payment at a time");
        self.begin(payment, Work::Build(Build::new()), now);
    }

    /// Gives up the building of a payment; what the wallet answers for it is not looked at.
    pub fn cancel(&mut self, payment: u64) {
        if matches!(&self.work, Some((number, Work::Build(_))) if *number == payment) {
            self.events.retain(|(number, _)| *number != payment);
            self.unwritten = None;
            self.is_unwanted = self.asked.is_some();
            self.end();
        }
    }

    /// Carries on with a payment that is signed and on disk: its bytes are sent, again if need be.
    pub fn watch(
        &mut self,
        payment: u64,
        txid: Hash32,
        bytes: Rc<[u8]>,
        inputs: Vec<OutPoint>,
        is_sent: bool,
        now: Now,
    ) {
        debug_assert!(self.is_idle(), "one payment at a time");
        self.begin(payment, Work::Watch(Watch::new(txid, bytes, inputs, is_sent)), now);
    }

    /// Whom to pay: the answer to [`PaymentEvent::PlanWanted`].
    pub fn handle_plan(&mut self, plan: Plan, now: Now) {
        let Some((payment, Work::Build(build))) = &mut self.work else { return };
        if !build.wants_plan() {
            return;
        }
        let payment = *payment;
        match build.take_plan(plan, self.coin) {
            Ok(None) => {}
            Ok(Some(event)) => {
                self.events.push_back((payment, event));
                self.end();
            }
            Err(reason) => self.fail(reason, now),
        }
        self.proceed(now);
    }

    /// The signed transaction is on disk: it is sent now.
    pub fn handle_written(&mut self, now: Now) {
        let (Some((payment, Work::Build(build))), Some(transfer)) = (&self.work, self.unwritten.take()) else { return };
        debug_assert!(build.wants_writing());
        let payment = *payment;
        let watch = Watch::new(transfer.txid, transfer.bytes.into(), transfer.inputs, false);
        self.begin(payment, Work::Watch(watch), now);
    }

    /// The signed transaction must not be sent: the balances have changed since it was planned. It is built anew.
    pub fn handle_refused(&mut self, reason: &str, now: Now) {
        if self.unwritten.take().is_some() {
            self.fail(reason.to_string(), now);
        }
        self.proceed(now);
    }

    /// A node of the chain is at this tip.
    pub fn handle_tip(&mut self, tip: Hash32, now: Now) {
        if self.tip.replace(tip) == Some(tip) {
            return;
        }
        if let Some((_, Work::Watch(watch))) = &self.work
            && watch.is_resting()
        {
            self.at_ms = now.mono_ms;
        }
        self.proceed(now);
    }

    /// Whether to look if a payment is due by the schedule: with nothing to do, and not more often than is of use.
    pub fn is_time_to_schedule(&mut self, now: Now) -> bool {
        let is_time = self.is_idle() && now.mono_ms >= self.schedule_at;
        if is_time {
            self.schedule_at = now.mono_ms + SCHEDULE_MS;
        }
        is_time
    }

    /// The connection is open.
    pub fn handle_connected(&mut self, now: Now) {
        self.link.handle_connected(now);
        self.proceed(now);
    }

    /// Bytes from the node.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now) {
        self.link.handle_bytes(bytes, now);
        self.proceed(now);
    }

    /// The connection is closed, or could not be opened.
    pub fn handle_closed(&mut self, reason: &str, now: Now) {
        self.link.handle_closed(reason, now);
        self.proceed(now);
    }

    /// The answer to [`LinkAction::ReadCredentials`], as [`super::upstream::Upstream::handle_credentials`] takes it.
    pub fn handle_credentials(&mut self, credentials: Result<Option<String>, String>, now: Now) {
        self.credentials_error = credentials.as_ref().err().cloned();
        // Asked without, the node shows whether it is there at all.
        self.link.set_authorization(credentials.ok().flatten());
        self.has_credentials = true;
        self.proceed(now);
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.link.handle_timeout(now);
        self.proceed(now);
    }

    /// When [`Payments::handle_timeout`] is due, in monotonic milliseconds.
    pub fn poll_timeout(&self) -> u64 {
        let due = match &self.work {
            _ if self.asked.is_some() => NEVER,
            None => NEVER,
            Some((_, Work::Build(build))) if build.wants_plan() || build.wants_writing() => NEVER,
            Some(_) if self.has_credentials => self.at_ms,
            Some(_) => self.at_ms.max(self.credentials_at),
        };
        due.min(self.link.poll_timeout())
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<LinkAction> {
        self.actions.pop_front()
    }

    /// The next thing for the pool to do, with the number of the payment.
    pub fn poll_event(&mut self) -> Option<(u64, PaymentEvent)> {
        self.events.pop_front()
    }

    fn begin(&mut self, payment: u64, work: Work, now: Now) {
        self.end();
        self.work = Some((payment, work));
        self.at_ms = now.mono_ms;
        self.proceed(now);
    }

    fn end(&mut self) {
        self.work = None;
        self.failures = 0;
        self.trouble = None;
        self.trouble_since = None;
    }

    /// Takes in answers, makes the call that is due, and hands on what the link wants sent.
    fn proceed(&mut self, now: Now) {
        while let Some((_, answer)) = self.link.poll_answer() {
            let Some(call) = self.asked.take() else { continue };
            if std::mem::take(&mut self.is_unwanted) {
                continue;
            }
            match answer {
                Ok(result) => self.take(Ok(result), &call, now),
                Err(LinkError::Rpc { code, message }) => self.take(Err(Fault { code, message }), &call, now),
                Err(error) => self.take_failure(&error, now),
            }
        }
        self.make_call(now);
        while let Some(action) = self.link.poll_action() {
            self.actions.push_back(match action {
                Action::Connect => LinkAction::Connect(LinkKind::Calls),
                Action::Send(bytes) => LinkAction::Send(LinkKind::Calls, bytes),
                Action::Close => LinkAction::Close(LinkKind::Calls),
            });
        }
    }

    fn make_call(&mut self, now: Now) {
        if self.asked.is_some() || now.mono_ms < self.at_ms {
            return;
        }
        let Some((_, work)) = &mut self.work else { return };
        let call = match work {
            Work::Build(build) => build.call(&self.spec, self.coin),
            Work::Watch(watch) => {
                watch.wake();
                watch.call()
            }
        };
        let Some(call) = call else { return };
        if !self.has_credentials {
            if now.mono_ms >= self.credentials_at {
                self.credentials_at = now.mono_ms + RETRY_MS.0;
                self.actions.push_back(LinkAction::ReadCredentials);
            }
            return;
        }
        let queued = self.link.call(0, call.method, call.params.clone(), CALL_TIMEOUT_MS, now);
        queued.expect("one call is under way at most, far fewer than the queue holds");
        self.asked = Some(call);
    }

    fn take(&mut self, answer: answer::Answer, call: &Call, now: Now) {
        let Some((payment, work)) = &mut self.work else { return };
        let payment = *payment;
        let event = match work {
            Work::Build(build) => build.take(answer, call, &self.spec, (self.coin, self.network)),
            Work::Watch(watch) => watch.take(answer, call, self.spec.confirmations, self.network),
        };
        match event {
            Ok(event) => {
                if let Some(PaymentEvent::Signed(transfer)) = &event {
                    self.unwritten = Some(transfer.clone());
                    self.come_forward();
                }
                self.events.extend(event.map(|event| (payment, event)));
                self.finish_round(now);
            }
            Err(reason) => self.fail(reason, now),
        }
    }

    /// After an answer that was understood: rests, or ends, where the watch has come to that.
    fn finish_round(&mut self, now: Now) {
        let Some((_, Work::Watch(watch))) = &self.work else { return };
        if watch.is_done() {
            self.end();
        } else if watch.is_resting() {
            self.at_ms = now.mono_ms + WATCH_MS;
            match watch.word().map(str::to_string) {
                Some(word) => self.note(word, now),
                None => self.come_forward(),
            }
        }
    }

    fn come_forward(&mut self) {
        self.failures = 0;
        self.trouble = None;
        self.trouble_since = None;
    }

    fn take_failure(&mut self, error: &LinkError, now: Now) {
        let text = match (error, &self.credentials_error) {
            (LinkError::Unauthorised, Some(reason)) => reason.clone(),
            _ => error.to_string(),
        };
        self.fail(text, now);
        // A node has a new cookie at every start.
        if matches!(error, LinkError::Unauthorised | LinkError::Unreachable(_) | LinkError::Closed(_)) {
            self.has_credentials = false;
            self.credentials_at = self.at_ms;
        }
    }

    /// Nothing comes of it now: it is begun anew, later each time.
    fn fail(&mut self, reason: String, now: Now) {
        let Some((_, work)) = &mut self.work else { return };
        match work {
            Work::Build(build) => *build = Build::new(),
            Work::Watch(watch) => watch.restart(),
        }
        if matches!(work, Work::Watch(watch) if watch.is_done()) {
            return self.end();
        }
        let delay = RETRY_MS.0.saturating_mul(1 << self.failures.min(20)).min(RETRY_MS.1);
        self.failures = self.failures.saturating_add(1);
        self.at_ms = now.mono_ms + self.rng.jitter(delay).max(1);
        self.note(reason, now);
    }

    fn note(&mut self, word: String, now: Now) {
        if self.trouble.as_ref() != Some(&word) {
            let payment = self.work.as_ref().map_or(0, |(payment, _)| *payment);
            log::warn!("wallet at {}: payment {payment} waits: {word}", self.spec.wallet.url);
        }
        self.trouble = Some(word);
        self.trouble_since.get_or_insert(now.mono_ms);
    }
}
