//! One connection to a coin node as a state machine: calls in, connect/send/close out, answers out. One call
//! is under way at a time. Opens no socket, reads no credentials, knows no method: it carries JSON.
//!
//! How to drive it: after every call of a `&mut self` method, take all actions and all answers. Once
//! [`Action::Close`] was taken, nothing more of that connection may be handed in.
//!
//! What is promised for every call that was queued: exactly one answer.
//! - Where no connection can be made, all calls that wait are answered [`LinkError::Unreachable`].
//! - A connection that breaks answers the call under way and no other; those still queued are sent over the
//!   next connection.
//! - Nothing is ever sent twice: whether a call may be repeated is for its owner to know.
//!
//! Without calls there is no connecting: a node closes idle connections (bitcoind after 30 s), and the next
//! call connects again at once.

use super::http::{HttpError, HttpResponse, ResponseReader, request};
use super::jsonrpc::{self, AnswerError};
use crate::base::limits::{NODE_QUEUE, NODE_RESPONSE};
use crate::base::rng::Rng;
use crate::base::time::{NEVER, Now, SECOND};
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::fmt;

/// A connection that is not made after this long never will be.
const CONNECT_MS: u64 = 10 * SECOND;
/// The first wait after a failure; it doubles with each that follows.
const RETRY_MIN_MS: u64 = 250;
/// The longest wait, before jitter.
const RETRY_MAX_MS: u64 = 15 * SECOND;
/// A connection idle for longer is not used again: the node closes it at 30 s, and a call that meets the
/// closing is lost without anyone knowing whether it was heard.
const REUSE_MS: u64 = 25 * SECOND;
/// Characters kept of a body that is shown in an error.
const SHOWN: usize = 200;

/// What the owner of the socket is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to the node; then `handle_connected` or `handle_closed`.
    Connect,
    /// Write these bytes.
    Send(Vec<u8>),
    /// Drop the connection, also one being made; say nothing of it again.
    Close,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// No connection could be made; the call was not sent.
    Unreachable(String),
    /// No answer in the call's time. The node may yet act on it.
    Timeout,
    /// The connection ended before the answer. The node may have acted on it.
    Closed(String),
    /// The node refused the credentials (401): read them again, then call again.
    Unauthorised,
    /// A status without a JSON-RPC body, such as `Work queue depth exceeded` in a 500.
    Http {
        /// The status.
        status: u16,
        /// The beginning of the body, in one line.
        text: String,
    },
    /// The node's own error.
    Rpc {
        /// Such as −28 (warming up).
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The answer is over [`NODE_RESPONSE`] bytes.
    TooLarge,
    /// Not an answer: is this a coin node?
    Malformed(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Unreachable(reason) => write!(f, "can't connect: {reason}"),
            LinkError::Timeout => f.write_str("no answer in time"),
            LinkError::Closed(reason) => write!(f, "connection lost before the answer: {reason}"),
            LinkError::Unauthorised => f.write_str("the node refuses user and password; check the cookie or rpcauth"),
            LinkError::Http { status, text } if text.is_empty() => write!(f, "HTTP status {status}"),
            LinkError::Http { status, text } => write!(f, "HTTP status {status}: {text}"),
            LinkError::Rpc { code, message } => write!(f, "{message} ({code})"),
            LinkError::TooLarge => write!(f, "answer larger than {NODE_RESPONSE} bytes"),
            LinkError::Malformed(what) => write!(f, "answer not understood: {what}"),
        }
    }
}

impl std::error::Error for LinkError {}

/// The result of a call, not yet parsed, or why there is none.
pub type Answer = Result<Box<RawValue>, LinkError>;

/// A call was not taken: [`NODE_QUEUE`] calls wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NODE_QUEUE} calls to the node wait already")
    }
}

impl std::error::Error for QueueFull {}

#[derive(Debug)]
struct QueuedCall {
    tag: u32,
    method: &'static str,
    params: String,
    timeout_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection; none before `retry_at`, and none without a call.
    Closed {
        retry_at: u64,
    },
    Connecting {
        deadline: u64,
    },
    /// Connected, nothing under way.
    Idle {
        since: u64,
    },
    /// The call `tag` was sent as number `id`.
    Waiting {
        tag: u32,
        id: u64,
        deadline: u64,
    },
}

/// The client of one node over one connection at a time.
#[derive(Debug)]
pub struct NodeLink {
    authority: String,
    path: String,
    authorization: Option<String>,
    rng: Rng,
    state: State,
    retry_ms: u64,
    next_id: u64,
    reader: ResponseReader,
    /// Sent before those of `queue`: a found block waits for nothing.
    first: VecDeque<QueuedCall>,
    queue: VecDeque<QueuedCall>,
    actions: VecDeque<Action>,
    answers: VecDeque<(u32, Answer)>,
}

impl NodeLink {
    /// A link to `authority` (`host:port`, as in the Host header), posting to `path`. Not connected.
    pub fn new(authority: String, path: String, seed: u64) -> NodeLink {
        NodeLink {
            authority,
            path,
            authorization: None,
            rng: Rng::new(seed),
            state: State::Closed { retry_at: 0 },
            retry_ms: RETRY_MIN_MS,
            next_id: 1,
            reader: ResponseReader::new(NODE_RESPONSE),
            first: VecDeque::new(),
            queue: VecDeque::new(),
            actions: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// The value of the Authorization header of every call sent from now on.
    pub fn set_authorization(&mut self, value: Option<String>) {
        self.authorization = value;
    }

    /// Queues a call. `params` is a JSON array; `tag` comes back with the answer; `timeout_ms` counts from
    /// when it is sent ([`NEVER`] for a long poll).
    pub fn call(
        &mut self,
        tag: u32,
        method: &'static str,
        params: String,
        timeout_ms: u64,
        now: Now,
    ) -> Result<(), QueueFull> {
        self.enqueue(QueuedCall { tag, method, params, timeout_ms }, false, now)
    }

    /// As [`NodeLink::call`], ahead of all calls that were queued that way.
    pub fn call_first(
        &mut self,
        tag: u32,
        method: &'static str,
        params: String,
        timeout_ms: u64,
        now: Now,
    ) -> Result<(), QueueFull> {
        self.enqueue(QueuedCall { tag, method, params, timeout_ms }, true, now)
    }

    /// The connection was made.
    pub fn handle_connected(&mut self, now: Now) {
        if matches!(self.state, State::Connecting { .. }) {
            self.state = State::Idle { since: now.mono_ms };
            self.advance(now);
        }
    }

    /// The node sent bytes.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now) {
        match self.state {
            State::Closed { .. } | State::Connecting { .. } => {}
            // A node speaks only when asked; what it says unasked must not answer the next call.
            State::Idle { .. } => self.close(now.mono_ms),
            State::Waiting { tag, id, .. } => {
                self.reader.push(bytes);
                if let Some(outcome) = self.reader.next() {
                    let reusable = !self.reader.is_busy();
                    self.conclude(tag, id, outcome, reusable, now);
                }
            }
        }
        self.advance(now);
    }

    /// The connection ended, or could not be made, for `reason`.
    pub fn handle_closed(&mut self, reason: &str, now: Now) {
        match self.state {
            State::Closed { .. } => {}
            State::Connecting { .. } => self.give_up(reason, now),
            State::Idle { .. } => self.state = State::Closed { retry_at: now.mono_ms },
            State::Waiting { tag, id, .. } => {
                let outcome = self.reader.finish();
                self.state = State::Closed { retry_at: now.mono_ms };
                match outcome {
                    Some(Ok(response)) => self.conclude(tag, id, Ok(response), false, now),
                    Some(Err(error)) => self.fail(tag, LinkError::Closed(format!("{reason} ({error})")), now),
                    None => self.fail(tag, LinkError::Closed(reason.to_owned()), now),
                }
            }
        }
        self.advance(now);
    }

    /// The time of [`NodeLink::poll_timeout`] has come (or not: then nothing happens).
    pub fn handle_timeout(&mut self, now: Now) {
        match self.state {
            State::Connecting { deadline } if now.mono_ms >= deadline => {
                self.actions.push_back(Action::Close);
                self.give_up("no connection in 10 s", now);
            }
            State::Waiting { tag, deadline, .. } if now.mono_ms >= deadline => {
                self.fail(tag, LinkError::Timeout, now);
            }
            _ => {}
        }
        self.advance(now);
    }

    /// When [`NodeLink::handle_timeout`] is to be called, in monotonic milliseconds; [`NEVER`] when only
    /// calls and the node move this on. After `handle_timeout` it is later than that call's `now`.
    pub fn poll_timeout(&self) -> u64 {
        match self.state {
            State::Closed { .. } if self.queued() == 0 => NEVER,
            State::Closed { retry_at } => retry_at,
            State::Connecting { deadline } | State::Waiting { deadline, .. } => deadline,
            State::Idle { .. } => NEVER,
        }
    }

    /// The next thing to do to the socket.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next answer, with its call's tag.
    pub fn poll_answer(&mut self) -> Option<(u32, Answer)> {
        self.answers.pop_front()
    }

    fn queued(&self) -> usize {
        self.first.len() + self.queue.len()
    }

    fn enqueue(&mut self, call: QueuedCall, first: bool, now: Now) -> Result<(), QueueFull> {
        if self.queued() >= NODE_QUEUE {
            return Err(QueueFull);
        }
        if first {
            self.first.push_back(call);
        } else {
            self.queue.push_back(call);
        }
        self.advance(now);
        Ok(())
    }

    /// Connects or sends where that is due.
    fn advance(&mut self, now: Now) {
        if self.queued() == 0 {
            return;
        }
        if let State::Idle { since } = self.state {
            if now.mono_ms.saturating_sub(since) <= REUSE_MS {
                return self.send_next(now);
            }
            self.close(now.mono_ms);
        }
        if let State::Closed { retry_at } = self.state
            && now.mono_ms >= retry_at
        {
            self.actions.push_back(Action::Connect);
            self.state = State::Connecting { deadline: now.mono_ms.saturating_add(CONNECT_MS) };
        }
    }

    fn send_next(&mut self, now: Now) {
        let Some(call) = self.first.pop_front().or_else(|| self.queue.pop_front()) else { return };
        let id = self.next_id;
        self.next_id += 1;
        let body = jsonrpc::call(id, call.method, &call.params);
        let bytes = request(&self.authority, &self.path, self.authorization.as_deref(), body.as_bytes());
        self.actions.push_back(Action::Send(bytes));
        self.reader = ResponseReader::new(NODE_RESPONSE);
        let deadline = now.mono_ms.saturating_add(call.timeout_ms.max(1));
        self.state = State::Waiting { tag: call.tag, id, deadline };
    }

    /// Answers the call under way with what was read, and decides what becomes of the connection.
    fn conclude(&mut self, tag: u32, id: u64, outcome: Result<HttpResponse, HttpError>, reusable: bool, now: Now) {
        let response = match outcome {
            Ok(response) => response,
            Err(HttpError::BodyTooLarge) => return self.fail(tag, LinkError::TooLarge, now),
            Err(error) => return self.fail(tag, LinkError::Malformed(error.to_string()), now),
        };
        let reusable = reusable && response.keep_alive;
        let answer = read_answer(&response, id);
        if let Err(LinkError::Malformed(_)) = answer {
            self.answers.push_back((tag, answer));
            return self.back_off(now);
        }
        let good = matches!(answer, Ok(_) | Err(LinkError::Rpc { .. }));
        self.answers.push_back((tag, answer));
        self.reader = ResponseReader::new(NODE_RESPONSE);
        if good {
            self.retry_ms = RETRY_MIN_MS;
        }
        match self.state {
            State::Waiting { .. } if reusable => self.state = State::Idle { since: now.mono_ms },
            _ if good => self.close(now.mono_ms),
            _ => self.back_off(now),
        }
    }

    /// Answers the call under way with an error that also ends the connection.
    fn fail(&mut self, tag: u32, error: LinkError, now: Now) {
        self.answers.push_back((tag, Err(error)));
        self.back_off(now);
    }

    /// No connection can be made: whoever waits is told, and may call again.
    fn give_up(&mut self, reason: &str, now: Now) {
        let calls = self.first.drain(..).chain(self.queue.drain(..));
        self.answers.extend(calls.map(|call| (call.tag, Err(LinkError::Unreachable(reason.to_owned())))));
        self.state = State::Closed { retry_at: now.mono_ms };
        self.back_off(now);
    }

    /// Ends the connection and waits, longer each time until an answer is good again.
    fn back_off(&mut self, now: Now) {
        let wait = self.rng.jitter(self.retry_ms).max(1);
        self.retry_ms = (self.retry_ms * 2).min(RETRY_MAX_MS);
        self.close(now.mono_ms.saturating_add(wait));
    }

    fn close(&mut self, retry_at: u64) {
        if !matches!(self.state, State::Closed { .. }) {
            self.actions.push_back(Action::Close);
        }
        self.reader = ResponseReader::new(NODE_RESPONSE);
        self.state = State::Closed { retry_at };
    }
}

fn read_answer(response: &HttpResponse, id: u64) -> Answer {
    if response.status == 401 {
        return Err(LinkError::Unauthorised);
    }
    jsonrpc::answer(&response.body, id).map_err(|error| match error {
        AnswerError::Rpc { code, message } => LinkError::Rpc { code, message: one_line(message.as_bytes()) },
        AnswerError::Malformed(what) if response.status == 200 => LinkError::Malformed(what),
        AnswerError::Malformed(_) => LinkError::Http { status: response.status, text: one_line(&response.body) },
    })
}

/// The beginning of a text, fit for a log: a peer's control characters don't reach a terminal.
fn one_line(body: &[u8]) -> String {
    let start = &body[..body.len().min(4 * SHOWN)];
    let printable = String::from_utf8_lossy(start).replace(char::is_control, " ");
    printable.trim().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
