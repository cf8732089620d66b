//! Blocks on their way to one node: each is submitted until the node answers for good. A node's `null`, `true`
//! or `duplicate` alone is never believed: what counts is `getblockhash(height) == hash`.

use std::cmp::Reverse;
use std::rc::Rc;

use serde_json::value::RawValue;

use crate::base::time::{NEVER, Now, SECOND};
use crate::base::{Hash32, display_hash, parse_hash};
use crate::wire::node_link::LinkError;

/// A block whose submission failed on the way is sent again after this.
const RETRY_MS: u64 = SECOND;
/// A block that is not in the node's main chain is looked for again after this, and after twice that each time.
const WATCH_MS: u64 = 10 * SECOND;
/// So often is the time doubled; and so long does a new tip make a block be looked for at once.
const DOUBLINGS: u32 = 6;

/// What a node says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockVerdict {
    /// It is in the node's main chain.
    InChain,
    /// The node refuses it for good, with its reason.
    Rejected(String),
    /// The node's main chain has another block at its height, under as many more as make it final.
    Passed(String),
    /// Not in the main chain (yet), or not answered for; it is asked again.
    Watching(String),
}

/// The next call that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// `submitblock` with these parameters.
    Submit(String),
    /// `getblockhash` with these parameters.
    Check(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be submitted, not before `at_ms`.
    Submit { at_ms: u64 },
    /// Submitted and taken; its place in the chain is to be checked, not before `at_ms`.
    Check { at_ms: u64 },
}

#[derive(Clone, Debug)]
struct Submission {
    hash: Hash32,
    height: u32,
    block: Rc<[u8]>,
    stage: Stage,
    /// How often it was looked for in vain.
    misses: u32,
    /// Whether it is to be submitted again when it is not found: the node could not judge it yet.
    resubmit: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Submissions {
    blocks: Vec<Submission>,
    /// The block that the outstanding call is about.
    asked: Option<Hash32>,
}

impl Submissions {
    /// Adds a block, to be submitted at once; the same block is added once.
    pub fn add(&mut self, hash: Hash32, height: u32, block: Rc<[u8]>, now: Now) {
        if !self.blocks.iter().any(|submission| submission.hash == hash) {
            let stage = Stage::Submit { at_ms: now.mono_ms };
            self.blocks.push(Submission { hash, height, block, stage, misses: 0, resubmit: false });
        }
    }

    /// Drops a block.
    pub fn remove(&mut self, hash: &Hash32) {
        self.blocks.retain(|submission| submission.hash != *hash);
    }

    /// When [`Submissions::next`] has something.
    pub fn next_at(&self) -> u64 {
        self.blocks.iter().map(Submission::at_ms).min().unwrap_or(NEVER)
    }

    /// The call that is due; one at a time.
    pub fn next(&mut self, now: Now) -> Option<Next> {
        let due = self.blocks.iter().filter(|submission| submission.at_ms() <= now.mono_ms);
        // What was just taken is looked for, which is quick; then comes what was never sent, and last what was
        // looked for in vain. The newest height goes first: the tip does not wait for its losers.
        let rank = |submission: &&Submission| match submission.stage {
            Stage::Check { .. } if submission.misses == 0 => (0, Reverse(submission.height)),
            Stage::Submit { .. } => (1, Reverse(submission.height)),
            Stage::Check { .. } => (2, Reverse(submission.height)),
        };
        let submission = due.min_by_key(rank)?;
        self.asked = Some(submission.hash);
        Some(match submission.stage {
            Stage::Submit { .. } => Next::Submit(format!("[\"{}\"]", hex::encode(&submission.block))),
            Stage::Check { .. } => Next::Check(format!("[{}]", submission.height)),
        })
    }

    /// A new tip may have brought a watched block into the chain.
    pub fn handle_new_tip(&mut self, now: Now) {
        for submission in self.blocks.iter_mut().filter(|submission| submission.misses <= DOUBLINGS) {
            if let Stage::Check { at_ms } = &mut submission.stage {
                *at_ms = now.mono_ms;
            }
        }
    }

    /// Takes in the answer to `submitblock`.
    pub fn handle_submit_answer(
        &mut self,
        answer: Result<Box<RawValue>, LinkError>,
        now: Now,
    ) -> Option<(Hash32, BlockVerdict)> {
        let hash = self.asked.take()?;
        let submission = self.blocks.iter_mut().find(|submission| submission.hash == hash)?;
        let said = match answer {
            Ok(result) => {
                serde_json::from_str::<Option<String>>(result.get()).unwrap_or_else(|_| Some(result.to_string()))
            }
            Err(LinkError::Rpc { code: -22, message }) => {
                submission.stage = Stage::Check { at_ms: now.mono_ms + WATCH_MS };
                return Some((hash, BlockVerdict::Rejected(message)));
            }
            Err(error) => {
                submission.stage = Stage::Submit { at_ms: now.mono_ms + RETRY_MS };
                return Some((hash, BlockVerdict::Watching(error.to_string())));
            }
        };
        match said.as_deref() {
            None | Some("duplicate" | "inconclusive" | "duplicate-inconclusive") => {
                submission.stage = Stage::Check { at_ms: now.mono_ms };
                None
            }
            // The node may lack the parent for now, or its clock may lag.
            Some(reason @ ("prev-blk-not-found" | "time-too-new")) => {
                submission.stage = Stage::Check { at_ms: now.mono_ms + WATCH_MS };
                submission.resubmit = true;
                Some((hash, BlockVerdict::Watching(reason.to_string())))
            }
            // Other nodes may see it otherwise, or never answer: it is looked for until it is found or passed.
            Some(reason) => {
                submission.stage = Stage::Check { at_ms: now.mono_ms + WATCH_MS };
                Some((hash, BlockVerdict::Rejected(reason.to_string())))
            }
        }
    }

    /// Takes in the answer to `getblockhash`. `final_height`: a height that the node's chain will not change
    /// any more, if it is in sync.
    pub fn handle_check_answer(
        &mut self,
        answer: Result<Box<RawValue>, LinkError>,
        final_height: Option<u32>,
        now: Now,
    ) -> Option<(Hash32, BlockVerdict)> {
        let hash = self.asked.take()?;
        let submission = self.blocks.iter_mut().find(|submission| submission.hash == hash)?;
        submission.stage = Stage::Check { at_ms: now.mono_ms + (WATCH_MS << submission.misses.min(DOUBLINGS)) };
        submission.misses += 1;
        if std::mem::take(&mut submission.resubmit) {
            submission.stage = Stage::Submit { at_ms: now.mono_ms };
        }
        let reason = match answer {
            Ok(result) => {
                let found = serde_json::from_str::<String>(result.get()).ok().and_then(|text| parse_hash(&text));
                if found == Some(hash) {
                    self.remove(&hash);
                    return Some((hash, BlockVerdict::InChain));
                }
                let Some(instead) = found else {
                    return Some((hash, BlockVerdict::Watching("getblockhash gives no hash".to_string())));
                };
                let reason = format!("the chain has {} at its height", display_hash(&instead));
                if final_height.is_some_and(|height| submission.height <= height) {
                    self.remove(&hash);
                    return Some((hash, BlockVerdict::Passed(reason)));
                }
                reason
            }
            Err(error) => error.to_string(),
        };
        Some((hash, BlockVerdict::Watching(reason)))
    }
}

impl Submission {
    fn at_ms(&self) -> u64 {
        match self.stage {
            Stage::Submit { at_ms } | Stage::Check { at_ms } => at_ms,
        }
    }
}

#[cfg(test)]
mod tests;
