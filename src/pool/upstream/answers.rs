//! What a node answered, and what state that makes of it: templates, its tip, its network, and failures, each
//! retried with growing delays. Makes no calls: it says when the next are due.

use std::rc::Rc;

use serde_json::value::RawValue;

use crate::base::parse_hash;
use crate::base::time::{Now, SECOND};
use crate::wire::node_link::LinkError;

use super::tag::Tag;
use super::{BlockVerdict, NodeState, RETRY_MS, TEMPLATE_MS, Upstream, UpstreamEvent};

/// What is said of a node that gives templates and lacks blocks; how far it is stands beside it.
const CATCHING_UP: &str = "the node is still catching up with its network";

impl Upstream {
    /// Takes in the answer to a call.
    pub(super) fn handle_answer(&mut self, tag: Tag, answer: Result<Box<RawValue>, LinkError>, now: Now) {
        match tag {
            Tag::Template | Tag::LongPoll => match answer {
                Ok(_) if std::mem::take(&mut self.is_outdated) => self.template_at = now.mono_ms,
                Ok(result) => self.take_template(tag, &result, now),
                Err(error) => self.take_failure(tag, &error, now),
            },
            Tag::Tip => {
                let tip = answer.ok().and_then(|result| serde_json::from_str::<String>(result.get()).ok());
                let tip = tip.and_then(|text| parse_hash(&text));
                let known = self.template.as_ref().map(|template| template.prev_hash);
                if tip.is_some() && tip != known && self.state == NodeState::Ready {
                    self.template_at = now.mono_ms;
                }
            }
            Tag::ChainInfo => self.take_chain_info(answer, now),
            Tag::Peers => self.info.peers = answer.ok().and_then(|result| serde_json::from_str(result.get()).ok()),
            Tag::Submit | Tag::Check => {
                if let Err(LinkError::Unauthorised | LinkError::Unreachable(_)) = answer {
                    let delay = self.rng.jitter(RETRY_MS.0);
                    self.renew_credentials(now.mono_ms + delay);
                }
                let in_sync = self.synced_tip().is_some();
                let event = match tag {
                    Tag::Submit => self.submissions.handle_submit_answer(answer, now),
                    _ => self.submissions.handle_check_answer(answer, in_sync, now),
                };
                // A block of ours that is in the chain may be a new tip, and no long poll tells of it.
                if self.source.is_node_block() && matches!(event, Some((_, BlockVerdict::InChain))) {
                    self.tip_at = now.mono_ms;
                }
                self.events.extend(event.map(|(hash, verdict)| UpstreamEvent::Block { hash, verdict }));
            }
        }
    }

    /// A node of another network is not followed, however good its templates look. One that does not tell
    /// (its operator may have restricted the call) is trusted.
    fn take_chain_info(&mut self, answer: Result<Box<RawValue>, LinkError>, now: Now) {
        match answer {
            Ok(result) => self.info.take_chain_info(&result),
            Err(LinkError::Rpc { .. } | LinkError::Http { status: 403, .. }) => {}
            Err(_) => return,
        }
        let was_followed = self.ready_template().is_some();
        self.has_told_network = true;
        if let Some(chain) = self.foreign_chain() {
            let error = format!("the node is on {chain}, this pool on {}", self.network.name);
            self.fail(NodeState::WrongNetwork, error, now);
        } else if self.is_catching_up() && self.state == NodeState::Ready {
            self.fail(NodeState::Syncing, CATCHING_UP.to_string(), now);
        }
        self.tell_if_ready(was_followed);
    }

    /// Logs that the node is followed from now on.
    fn tell_if_ready(&self, was_followed: bool) {
        if let Some(template) = self.ready_template().filter(|_| !was_followed) {
            log::info!("node {} is ready at height {}", self.spec.url, template.height);
        }
    }

    /// Whether the node says that it lacks blocks. On test networks it gives templates all the same, of a tip that
    /// everybody else has left.
    fn is_catching_up(&self) -> bool {
        self.info.is_catching_up == Some(true) && !self.network.is_private()
    }

    fn foreign_chain(&self) -> Option<&str> {
        self.info.chain.as_deref().filter(|chain| *chain != self.network.chain_name())
    }

    fn take_template(&mut self, tag: Tag, result: &RawValue, now: Now) {
        match self.source.read(result, self.coin, self.network) {
            Ok(_) if self.foreign_chain().is_some() => self.template_at = now.mono_ms + TEMPLATE_MS,
            Ok(_) if self.is_catching_up() => self.fail(NodeState::Syncing, CATCHING_UP.to_string(), now),
            Ok(mut template) => {
                let was_followed = self.ready_template().is_some();
                let on_same_tip = self.template.as_ref().filter(|old| old.prev_hash == template.prev_hash);
                let is_new_tip = on_same_tip.is_none();
                // A block takes most transactions with it, and is not waited with.
                if let Some(old) = on_same_tip {
                    template.share_with(old);
                }
                let tip_height = template.height.saturating_sub(1);
                self.template = Some(Rc::new(template));
                self.template_ms = Some(now.mono_ms);
                self.template_at = now.mono_ms + TEMPLATE_MS;
                self.state = NodeState::Ready;
                self.error = None;
                self.failures = 0;
                self.tell_if_ready(was_followed);
                if is_new_tip {
                    self.submissions.handle_new_tip(tip_height, self.network.maturity, now);
                }
                // A node that answers long polls at once is not asked in a tight circle.
                if tag == Tag::LongPoll {
                    self.long_poll_at = now.mono_ms + SECOND / 4;
                }
                self.events.push_back(UpstreamEvent::Template);
            }
            Err(reason) => self.fail(NodeState::TemplateRefused, reason, now),
        }
    }

    fn take_failure(&mut self, tag: Tag, error: &LinkError, now: Now) {
        if matches!(error, LinkError::Unreachable(_) | LinkError::Closed(_)) {
            // What answers next may be another node: it has to tell its network before it is followed.
            self.has_told_network = false;
            self.info_at = self.info_at.min(now.mono_ms);
        }
        if tag == Tag::LongPoll {
            // The calls' link tells what state the node is in.
            self.long_poll_at = now.mono_ms + self.rng.jitter(RETRY_MS.0);
            self.template_at = self.template_at.min(now.mono_ms);
            return;
        }
        let text = match (error, &self.credentials_error) {
            (LinkError::Unauthorised, Some(reason)) => reason.clone(),
            _ => error.to_string(),
        };
        self.fail(NodeState::of_error(error), text, now);
        // A node has a new cookie at every start.
        if matches!(error, LinkError::Unauthorised | LinkError::Unreachable(_) | LinkError::Closed(_)) {
            self.renew_credentials(self.template_at);
        }
    }

    /// Reads the credentials again, not before `at_ms`, and calls nothing until then.
    fn renew_credentials(&mut self, at_ms: u64) {
        self.has_credentials = false;
        self.credentials_at = at_ms;
    }

    fn fail(&mut self, state: NodeState, error: String, now: Now) {
        if self.state != state || self.error.as_ref() != Some(&error) {
            log::warn!("node {}: {}: {error}", self.spec.url, state.name());
        }
        self.state = state;
        self.error = Some(error);
        let delay = (RETRY_MS.0 << self.failures.min(8)).min(RETRY_MS.1);
        self.failures += 1;
        self.template_at = now.mono_ms + self.rng.jitter(delay);
        self.info_at = self.info_at.min(self.template_at);
    }
}
