//! One coin node as its chain sees it: where templates come from and blocks go to. Two connections, so
//! that nothing ever waits behind a long poll. A node that makes blocks of its own for a merge-mined chain
//! (createauxblock) is asked again and again instead. Every failure of the node is a state that status shows,
//! retried with growing delays; the last good template is kept meanwhile. Chooses nothing: that is the
//! chain's part.

mod answers;
mod link;
mod source;
mod tag;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::base::Hash32;
use crate::base::rng::Rng;
use crate::base::time::{NEVER, Now, SECOND};
use crate::coin::params::{Coin, Network};
use crate::coin::template::Template;
use crate::wire::node_link::{Action, NodeLink};

use super::node_state::{NodeInfo, NodeState, NodeStatus};
use super::spec::NodeSpec;
use super::submission::{Next, Submissions};

use tag::Tag;

pub use super::submission::BlockVerdict;
pub use link::{LinkAction, LinkKind};
pub use source::Source;

/// Something that the chain should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamEvent {
    /// There is a new template.
    Template,
    /// A submitted block was answered for.
    Block {
        /// Which block.
        hash: Hash32,
        /// The answer.
        verdict: BlockVerdict,
    },
}

/// The tip is asked for this often, should a long poll be lost.
const TIP_MS: u64 = 2 * SECOND;
/// The template is renewed this often, for fees and so that its age says something.
const TEMPLATE_MS: u64 = 25 * SECOND;
/// Sync state and peers are asked for this often.
const INFO_MS: u64 = 10 * SECOND;
/// After a failure, the first and the longest delay.
const RETRY_MS: (u64, u64) = (SECOND, 15 * SECOND);
/// A plain call is given up after this.
const CALL_TIMEOUT_MS: u64 = 30 * SECOND;
/// A long poll is never given up early: the node would keep a thread for it until the next block.
const LONG_POLL_TIMEOUT_MS: u64 = 4 * 3_600 * SECOND;

/// See the module.
pub struct Upstream {
    spec: NodeSpec,
    source: Source,
    coin: &'static Coin,
    network: &'static Network,
    rng: Rng,
    calls: NodeLink,
    long_poll: NodeLink,
    has_credentials: bool,
    /// Why the credentials could not be read.
    credentials_error: Option<String>,
    state: NodeState,
    error: Option<String>,
    info: NodeInfo,
    /// Whether the node was asked for its network, and answered in any way. Until then it is not followed.
    has_told_network: bool,
    template: Option<Rc<Template>>,
    template_ms: Option<u64>,
    failures: u32,
    outstanding: [bool; Tag::ALL.len()],
    /// The outstanding question for work named another payee.
    is_outdated: bool,
    submissions: Submissions,
    credentials_at: u64,
    template_at: u64,
    tip_at: u64,
    info_at: u64,
    long_poll_at: u64,
    actions: VecDeque<LinkAction>,
    events: VecDeque<UpstreamEvent>,
}

impl Upstream {
    /// A node that is about to be asked for its first template.
    pub fn new(
        spec: NodeSpec,
        source: Source,
        coin: &'static Coin,
        network: &'static Network,
        seed: u64,
        now: Now,
    ) -> Upstream {
        let mut rng = Rng::new(seed);
        let mut link = || NodeLink::new(spec.authority.clone(), spec.path.clone(), rng.next_u64());
        let (calls, long_poll) = (link(), link());
        let submissions = Submissions::new(source.is_node_block());
        Upstream {
            source,
            coin,
            network,
            calls,
            long_poll,
            rng,
            spec,
            has_credentials: false,
            credentials_error: None,
            state: NodeState::Connecting,
            error: None,
            info: NodeInfo::default(),
            has_told_network: false,
            template: None,
            template_ms: None,
            failures: 0,
            outstanding: [false; Tag::ALL.len()],
            is_outdated: false,
            submissions,
            credentials_at: now.mono_ms,
            template_at: now.mono_ms,
            tip_at: now.mono_ms + TIP_MS,
            info_at: now.mono_ms,
            long_poll_at: now.mono_ms,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Where it answers.
    pub fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The newest template, if the node is in a state to be followed.
    pub fn ready_template(&self) -> Option<&Rc<Template>> {
        self.template.as_ref().filter(|_| self.state == NodeState::Ready && self.has_told_network)
    }

    /// How long ago the newest template arrived, in milliseconds.
    pub fn template_age_ms(&self, now: Now) -> Option<u64> {
        self.template_ms.map(|at| now.mono_ms.saturating_sub(at))
    }

    /// For people to see.
    pub fn status(&self, now: Now) -> NodeStatus {
        NodeStatus {
            url: self.spec.url.clone(),
            state: self.state,
            info: self.info.clone(),
            template_age_ms: self.template_age_ms(now),
            error: self.error.clone(),
        }
    }

    /// What state it is in, and why, in one line.
    pub fn state_text(&self) -> String {
        let what = match self.state {
            NodeState::Ready if !self.has_told_network => "has not said yet which network it is on".to_string(),
            NodeState::Ready if self.template.is_none() => "has not given new work yet".to_string(),
            state => {
                let why = self.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
                format!("is {}{why}", state.name())
            }
        };
        format!("{} {what}", self.spec.url)
    }

    /// Blocks that the node makes pay this address from now on.
    pub fn set_payee(&mut self, payee: String, now: Now) {
        let source = Source::NodeBlock { payee };
        if self.source.is_node_block() && self.source != source {
            self.source = source;
            // The one at hand pays another, and so does one that is on its way.
            self.template = None;
            self.is_outdated = self.outstanding[Tag::Template as usize];
            self.template_at = now.mono_ms;
            self.proceed(now);
        }
    }

    /// A connection is open.
    pub fn handle_connected(&mut self, link: LinkKind, now: Now) {
        self.link(link).handle_connected(now);
        self.proceed(now);
    }

    /// Bytes from the node.
    pub fn handle_bytes(&mut self, link: LinkKind, bytes: &[u8], now: Now) {
        self.link(link).handle_bytes(bytes, now);
        self.proceed(now);
    }

    /// A connection is closed, or could not be opened.
    pub fn handle_closed(&mut self, link: LinkKind, reason: &str, now: Now) {
        self.link(link).handle_closed(reason, now);
        self.proceed(now);
    }

    /// The answer to [`LinkAction::ReadCredentials`]: the value of the Authorization header, none where the
    /// node asks for nothing, or why it can't be had.
    pub fn handle_credentials(&mut self, credentials: Result<Option<String>, String>, now: Now) {
        match credentials {
            Ok(authorization) => {
                self.credentials_error = None;
                self.calls.set_authorization(authorization.clone());
                self.long_poll.set_authorization(authorization);
            }
            Err(reason) => {
                // Asked without, the node shows whether it is there at all: a missing cookie mostly means
                // that it is not running.
                self.credentials_error = Some(reason);
                self.calls.set_authorization(None);
                self.long_poll.set_authorization(None);
            }
        }
        self.has_credentials = true;
        self.proceed(now);
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.calls.handle_timeout(now);
        self.long_poll.handle_timeout(now);
        self.proceed(now);
    }

    /// When [`Upstream::handle_timeout`] is due, in monotonic milliseconds.
    pub fn poll_timeout(&self) -> u64 {
        let links = self.calls.poll_timeout().min(self.long_poll.poll_timeout());
        if !self.has_credentials {
            return links.min(self.credentials_at);
        }
        let due = |tag: Tag, at: u64| if self.outstanding[tag as usize] { NEVER } else { at };
        let submit = if self.outstanding[Tag::Submit as usize] || self.outstanding[Tag::Check as usize] {
            NEVER
        } else {
            self.submissions.next_at()
        };
        links
            .min(due(Tag::Template, self.template_at))
            .min(due(Tag::Tip, self.tip_at))
            .min(due(Tag::ChainInfo, self.info_at))
            .min(if self.source.has_long_polls() && self.ready_template().is_some() {
                due(Tag::LongPoll, self.long_poll_at)
            } else {
                NEVER
            })
            .min(submit)
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<LinkAction> {
        self.actions.pop_front()
    }

    /// The next thing for the chain to know.
    pub fn poll_event(&mut self) -> Option<UpstreamEvent> {
        self.events.pop_front()
    }

    /// Follows a block. With its bytes it is submitted, unless a node `has_answered` for it: at once if this one
    /// can be reached, and again until it answers for good. Then it is looked for in the node's chain.
    pub fn follow(&mut self, hash: Hash32, height: u32, block: Option<Rc<[u8]>>, has_answered: bool, now: Now) {
        self.submissions.add(hash, height, block, has_answered, now);
        self.proceed(now);
    }

    /// The block needs no more submitting, only watching.
    pub fn forget_bytes(&mut self, hash: &Hash32, now: Now) {
        self.submissions.forget_bytes(hash, now);
    }

    /// The block needs no more watching.
    pub fn forget(&mut self, hash: &Hash32) {
        self.submissions.remove(hash);
    }

    /// The height of the node's tip, when it is to be believed about what its chain holds: it gives templates
    /// and knows of no blocks that it has yet to take in.
    pub fn synced_tip(&self) -> Option<u32> {
        let tip = self.ready_template()?.height.checked_sub(1)?;
        self.info.is_synced().then_some(tip)
    }

    fn link(&mut self, kind: LinkKind) -> &mut NodeLink {
        match kind {
            LinkKind::LongPoll => &mut self.long_poll,
            LinkKind::Calls => &mut self.calls,
        }
    }

    /// Takes in answers, makes the calls that are due, and hands on what the links want sent.
    fn proceed(&mut self, now: Now) {
        for kind in [LinkKind::Calls, LinkKind::LongPoll] {
            while let Some((tag, answer)) = self.link(kind).poll_answer() {
                if let Some(tag) = Tag::ALL.get(tag as usize) {
                    self.outstanding[*tag as usize] = false;
                    self.handle_answer(*tag, answer, now);
                }
            }
        }
        self.make_calls(now);
        for kind in [LinkKind::Calls, LinkKind::LongPoll] {
            while let Some(action) = self.link(kind).poll_action() {
                self.actions.push_back(match action {
                    Action::Connect => LinkAction::Connect(kind),
                    Action::Send(bytes) => LinkAction::Send(kind, bytes),
                    Action::Close => LinkAction::Close(kind),
                });
            }
        }
    }

    fn make_calls(&mut self, now: Now) {
        if !self.has_credentials {
            if now.mono_ms >= self.credentials_at {
                self.credentials_at = now.mono_ms + RETRY_MS.1;
                self.actions.push_back(LinkAction::ReadCredentials);
            }
            return;
        }
        let is_due = |outstanding: &[bool], tag: Tag, at: u64| !outstanding[tag as usize] && now.mono_ms >= at;
        if !self.outstanding[Tag::Submit as usize] && !self.outstanding[Tag::Check as usize] {
            match self.submissions.next(now) {
                Some(Next::Submit(params)) => self.call(Tag::Submit, params, now),
                Some(Next::Check(params)) => self.call(Tag::Check, params, now),
                None => {}
            }
        }
        if is_due(&self.outstanding, Tag::Template, self.template_at) {
            self.call(Tag::Template, self.source.request(self.coin, None), now);
        }
        if is_due(&self.outstanding, Tag::Tip, self.tip_at) {
            self.tip_at = now.mono_ms + TIP_MS;
            self.call(Tag::Tip, "[]".to_string(), now);
        }
        if is_due(&self.outstanding, Tag::ChainInfo, self.info_at) {
            self.info_at = now.mono_ms + INFO_MS;
            self.call(Tag::ChainInfo, "[]".to_string(), now);
            if !self.outstanding[Tag::Peers as usize] {
                self.call(Tag::Peers, "[]".to_string(), now);
            }
        }
        let template = self.ready_template().filter(|_| self.source.has_long_polls());
        let long_poll_id = template.map(|template| template.long_poll_id.clone());
        if let Some(id) = long_poll_id
            && is_due(&self.outstanding, Tag::LongPoll, self.long_poll_at)
        {
            self.call(Tag::LongPoll, self.source.request(self.coin, Some(&id)), now);
        }
    }

    fn call(&mut self, tag: Tag, params: String, now: Now) {
        let (number, method) = (tag as u32, tag.method(&self.source));
        let taken = match tag {
            Tag::LongPoll => self.long_poll.call(number, method, params, LONG_POLL_TIMEOUT_MS, now),
            // A block goes ahead of whatever else waits.
            Tag::Submit | Tag::Check => self.calls.call_first(number, method, params, CALL_TIMEOUT_MS, now),
            _ => self.calls.call(number, method, params, CALL_TIMEOUT_MS, now),
        };
        taken.expect("of each kind one call is outstanding at most, far fewer than the queue holds");
        self.outstanding[tag as usize] = true;
    }
}
