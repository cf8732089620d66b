//! Found blocks at one node: each is submitted until the node answers for good, and then looked for in the
//! node's main chain until the chain has decided. A node's `null`, `true` or `duplicate` alone is never
//! believed: what counts is `getblockhash(height) == hash`. Judges nothing: that is the chain's part.

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
/// After each so many looks in vain a block that is still at hand is submitted again: a node may have lost it.
const RESUBMIT_MISSES: u32 = 3;

/// What a node says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockVerdict {
    /// It is in the node's main chain.
    InChain,
    /// The node refuses it for good, with its reason.
    Rejected(String),
    /// The node's main chain has this other block at its height.
    Replaced(Hash32),
    /// Not in the main chain (yet), or not answered for; it is asked again.
    Watching(String),
}

/// The next call that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// `submitblock`, or `submitauxblock`, with these parameters.
    Submit(String),
    /// `getblockhash` with these parameters.
    Check(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be submitted, not before `at_ms`.
    Submit { at_ms: u64 },
    /// Its place in the chain is to be checked, not before `at_ms`.
    Check { at_ms: u64 },
}

#[derive(Clone, Debug)]
struct Submission {
    hash: Hash32,
    height: u32,
    /// The whole block, as long as it may have to be submitted again.
    block: Option<Rc<[u8]>>,
    stage: Stage,
    /// Whether it was in the main chain when it was last looked for.
    in_chain: bool,
    /// How often in a row it was looked for in vain.
    misses: u32,
    /// Whether it is to be submitted again when it is not found: the node could not judge it yet.
    resubmit: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Submissions {
    /// The node has the blocks: what is submitted is the proof of one.
    by_proof: bool,
    blocks: Vec<Submission>,
    /// The block that the outstanding call is about.
    asked: Option<Hash32>,
}

impl Submissions {
    /// Of a node that is given whole blocks, or proofs for blocks that it has (`by_proof`).
    pub fn new(by_proof: bool) -> Submissions {
        Submissions { by_proof, ..Submissions::default() }
    }

    /// Adds a block, to be submitted at once; one that a node `has_answered` for, or whose bytes are gone, to be
    /// looked for, and submitted if that is in vain. The same block is added once.
    pub fn add(&mut self, hash: Hash32, height: u32, block: Option<Rc<[u8]>>, has_answered: bool, now: Now) {
        if self.find(&hash).is_none() {
            let at_ms = now.mono_ms;
            let is_new = block.is_some() && !has_answered;
            let stage = if is_new { Stage::Submit { at_ms } } else { Stage::Check { at_ms } };
            let (in_chain, misses) = (false, 0);
            self.blocks.push(Submission { hash, height, block, stage, in_chain, misses, resubmit: has_answered });
        }
    }

    /// Drops a block.
    pub fn remove(&mut self, hash: &Hash32) {
        self.blocks.retain(|submission| submission.hash != *hash);
    }

    /// The block is not submitted any more, but still looked for.
    pub fn forget_bytes(&mut self, hash: &Hash32, now: Now) {
        if let Some(submission) = self.find(hash) {
            submission.block = None;
            if let Stage::Submit { .. } = submission.stage {
                submission.stage = Stage::Check { at_ms: now.mono_ms };
            }
        }
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
        Some(match (&submission.stage, &submission.block) {
            (Stage::Submit { .. }, Some(proof)) if self.by_proof => {
                let (hash, proof) = (display_hash(&submission.hash), hex::encode(proof));
                Next::Submit(format!("[\"{hash}\",\"{proof}\"]"))
            }
            (Stage::Submit { .. }, Some(block)) => Next::Submit(format!("[\"{}\"]", hex::encode(block))),
            _ => Next::Check(format!("[{}]", submission.height)),
        })
    }

    /// The node has a new tip, at `tip_height`. It may have brought a watched block into the chain, or taken
    /// some out: of those that are in it the highest is looked for, since it carries all below it; and each
    /// that comes to `maturity` is, for its own last word.
    pub fn handle_new_tip(&mut self, tip_height: u32, maturity: u32, now: Now) {
        let highest = self.blocks.iter().filter(|block| block.in_chain).map(|block| block.height).max();
        for block in &mut self.blocks {
            let is_due = if block.in_chain {
                Some(block.height) == highest || block.is_mature(tip_height, maturity)
            } else {
                block.misses <= DOUBLINGS || block.is_mature(tip_height, maturity)
            };
            if let (true, Stage::Check { at_ms }) = (is_due, &mut block.stage) {
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
        let (hash, is_proof) = (self.asked.take()?, self.by_proof);
        let submission = self.find(&hash)?;
        let said = match answer {
            // submitauxblock says true also of a block that is not the best, and false of one that it refuses.
            Ok(result) if result.get() == "true" => None,
            Ok(result) if result.get() == "false" => Some("the node does not take the proof".to_string()),
            Ok(result) => {
                serde_json::from_str::<Option<String>>(result.get()).unwrap_or_else(|_| Some(result.to_string()))
            }
            // Not to be read; or a proof for a block that the node no longer knows.
            Err(LinkError::Rpc { code, message }) if code == -22 || (is_proof && code == -8) => {
                submission.block = None;
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
                submission.block = None;
                submission.stage = Stage::Check { at_ms: now.mono_ms + WATCH_MS };
                Some((hash, BlockVerdict::Rejected(reason.to_string())))
            }
        }
    }

    /// Takes in the answer to `getblockhash`. While the node is not `in_sync` it says nothing.
    pub fn handle_check_answer(
        &mut self,
        answer: Result<Box<RawValue>, LinkError>,
        in_sync: bool,
        now: Now,
    ) -> Option<(Hash32, BlockVerdict)> {
        let hash = self.asked.take()?;
        let submission = self.find(&hash)?;
        let watching = |reason: &str| Some((hash, BlockVerdict::Watching(reason.to_string())));
        let found = match answer {
            Ok(result) => {
                let hash = serde_json::from_str::<String>(result.get()).ok().and_then(|text| parse_hash(&text));
                let Some(hash) = hash else {
                    submission.miss(now);
                    return watching("getblockhash gives no hash");
                };
                Some(hash)
            }
            // The chain does not reach its height.
            Err(LinkError::Rpc { code: -8, .. }) => None,
            Err(error) => {
                submission.stage = Stage::Check { at_ms: now.mono_ms + RETRY_MS };
                return watching(&error.to_string());
            }
        };
        if !in_sync {
            submission.stage = Stage::Check { at_ms: now.mono_ms + WATCH_MS };
            return watching("the node is not in sync");
        }
        if found == Some(hash) {
            submission.in_chain = true;
            submission.misses = 0;
            submission.stage = Stage::Check { at_ms: NEVER };
            return Some((hash, BlockVerdict::InChain));
        }
        let was_in_chain = std::mem::take(&mut submission.in_chain);
        submission.miss(now);
        if was_in_chain {
            // What it carried may be gone as well.
            for block in self.blocks.iter_mut().filter(|block| block.in_chain) {
                block.stage = Stage::Check { at_ms: now.mono_ms };
            }
        }
        match found {
            Some(instead) => Some((hash, BlockVerdict::Replaced(instead))),
            None => watching("the chain does not reach its height"),
        }
    }

    fn find(&mut self, hash: &Hash32) -> Option<&mut Submission> {
        self.blocks.iter_mut().find(|submission| submission.hash == *hash)
    }
}

impl Submission {
    fn at_ms(&self) -> u64 {
        match self.stage {
            Stage::Submit { at_ms } | Stage::Check { at_ms } => at_ms,
        }
    }

    fn is_mature(&self, tip_height: u32, maturity: u32) -> bool {
        u64::from(self.height) + u64::from(maturity) <= u64::from(tip_height) + 1
    }

    /// It was looked for in vain: again later, and submitted again before that where that may help.
    fn miss(&mut self, now: Now) {
        self.stage = Stage::Check { at_ms: now.mono_ms + (WATCH_MS << self.misses.min(DOUBLINGS)) };
        self.misses += 1;
        let may_be_lost = std::mem::take(&mut self.resubmit) || self.misses.is_multiple_of(RESUBMIT_MISSES);
        if may_be_lost && self.block.is_some() {
            self.stage = Stage::Submit { at_ms: now.mono_ms };
        }
    }
}

#[cfg(test)]
mod tests;
