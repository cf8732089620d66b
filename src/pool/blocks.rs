//! The life of a block: found, submitted, accepted, and confirmed or orphaned. Judged by what nodes in sync
//! say that their main chains hold, and never by one answer alone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::base::slots::Key;
use crate::base::time::{Now, SECOND};
use crate::base::{Hash32, display_hash};
use crate::coin::block;
use crate::coin::difficulty::Difficulty;
use crate::coin::template::Template;
use crate::wire::stratum::Submit;

use super::Pool;
use super::child::ChildBlock;
use super::coinbases::Variant;
use super::job::{Job, JobId};
use super::judge::Solution;
use super::ledger::Block;
use super::record::{BlockFound, BlockJudged, BlockStatus, Entry, MinerId, Payout, Stamp};
use super::spec::Terms;
use super::split::Split;
use super::upstream::BlockVerdict;

/// A block is orphaned when a node has said this long, in two answers at least, that another is in its place.
const AWAY_MS: u64 = 10 * SECOND;
/// A tie is not decided: the other block must have this depth before ours, never seen in the chain, is given up.
const DECIDED_DEPTH: u32 = 2;
/// At this depth a block need not be submitted again, whatever a node may lose.
const BURIED_DEPTH: u32 = 6;
/// A node whose tip is further than this below the highest has no say.
const LAG: u32 = 2;

/// A block that is not judged for good.
#[derive(Debug)]
pub struct Watched {
    /// Its height.
    pub height: u32,
    /// The whole block, until it is buried.
    pub bytes: Option<Rc<[u8]>>,
    /// The nodes that refused it for good, with their reasons.
    refused_by: BTreeMap<usize, String>,
    /// The nodes whose main chain holds it.
    held_by: BTreeSet<usize>,
    /// The nodes whose main chain holds another in its place, and since when they say so.
    away: BTreeMap<usize, u64>,
    /// Why it was last not settled, so that the same is not logged again and again.
    last_word: String,
}

/// A solved block, of whichever chain.
struct Won<'a> {
    chain: usize,
    hash: Hash32,
    template: &'a Template,
    split: &'a Split,
    terms: &'a Terms,
}

impl Watched {
    /// A block that no node was asked about.
    pub fn new(height: u32, bytes: Option<Rc<[u8]>>) -> Watched {
        let (refused_by, held_by, away) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Watched { height, bytes, refused_by, held_by, away, last_word: String::new() }
    }
}

impl Pool {
    /// A share solved blocks: journals them, keeps their bytes, and has both written before they are sent.
    pub(super) fn handle_solved(&mut self, key: Key, id: JobId, solution: &Solution, submit: &Submit, now: Now) {
        let Solution { header, parent, children } = solution;
        let Some(session) = self.sessions.get(key) else { return };
        // Whoever has a job has somebody authorised.
        let Some(finder) = session.authorised(&submit.username).or(session.authorised.first()) else { return };
        let (miner, identity) = (finder.miner, finder.identity.clone());
        let filled = session.filled(id, submit);
        let worker = self.workers.get(finder.worker).map_or(String::new(), |worker| worker.name.clone());
        let payees = self.register(miner, &identity);
        let finder = |chain: usize| (payees[chain], worker.clone());
        let Some(job) = self.jobs.find(id.seq) else { return };
        let mut found: Vec<(BlockFound, Vec<u8>)> = Vec::new();
        let is_new = |chain: usize, hash: &Hash32| self.chains[chain].ledger.block(hash).is_none();
        let hash = block::block_id(header);
        if *parent && is_new(0, &hash) {
            let Variant { split, max_outputs, .. } = job.coinbases.of(filled.class);
            let terms = Terms { max_outputs: *max_outputs, ..job.terms.clone() };
            let won = Won { chain: 0, hash, template: &job.template, split, terms: &terms };
            let bytes = job.assemble(header, &filled);
            found.push((self.describe(&won, job, finder(0), now), bytes));
        }
        for (place, child) in job.children.blocks().iter().enumerate() {
            let ChildBlock { chain, hash, template, split, terms, .. } = child;
            if children >> place & 1 == 1 && is_new(*chain, hash) {
                let won = Won { chain: *chain, hash: *hash, template, split, terms };
                let bytes = job.assemble_child(place, header, &filled);
                found.push((self.describe(&won, job, finder(*chain), now), bytes));
            }
        }
        for (found, bytes) in found {
            self.keep_found(found, bytes.into(), &submit.username);
        }
    }

    fn keep_found(&mut self, found: BlockFound, bytes: Rc<[u8]>, username: &str) {
        let (chain, hash, height) = (usize::from(found.chain), found.hash, found.height);
        let name = &self.chains[chain].spec.name;
        log::info!("{}: BLOCK {height} of {name} found by {username:?}: {}", self.spec.name, display_hash(&hash));
        if let Err(error) = self.record(chain, Entry::BlockFound(Box::new(found))) {
            // A block is never held back for a fault of the books; status shows it until someone looks.
            log::error!("{}: block {height} is not in the ledger: {error}", self.spec.name);
            self.job_fault = Some(error.to_string());
        }
        self.chains[chain].watched.insert(hash, Watched::new(height, Some(Rc::clone(&bytes))));
        self.commits.keep_block(chain, hash, bytes);
    }

    fn describe(&self, won: &Won, job: &Job, (finder, worker): (MinerId, String), now: Now) -> BlockFound {
        let Terms { pool_script, fee_ppm, min_payout, max_outputs } = won.terms;
        let network = Difficulty::of_target(won.template.target, self.spec.chains[0].coin.algorithm);
        let age_ms = job.age_ms(now.mono_ms);
        let at = self.clock.stamp(now);
        let (pool_ms, wall_ms) = (at.pool_ms.saturating_sub(age_ms), at.wall_ms.saturating_sub(age_ms));
        let paid = &won.split.paid;
        BlockFound {
            chain: won.chain as u8,
            hash: won.hash,
            height: won.template.height,
            at,
            job_at: Stamp { pool_ms, wall_ms },
            finder,
            worker,
            network_difficulty: network.units(),
            total_work: self.total_work,
            value: won.split.value,
            fee_ppm: *fee_ppm,
            min_payout: *min_payout,
            max_outputs: *max_outputs,
            pool_script: pool_script.as_bytes().to_vec(),
            pool_amount: won.split.pool_amount,
            outputs: paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect(),
            parts: won.split.parts.clone(),
            rebuilt: false,
        }
    }

    /// Watches every block that is not judged for good, and submits again those that are kept.
    pub(super) fn resume_blocks(&mut self, kept: Vec<(Hash32, Vec<u8>)>, now: Now) {
        let mut kept: BTreeMap<Hash32, Rc<[u8]>> = kept.into_iter().map(|(hash, bytes)| (hash, bytes.into())).collect();
        for chain in &mut self.chains {
            for block in chain.ledger.open_blocks() {
                let bytes = kept.remove(&block.found.hash);
                if bytes.is_some() && block.judged.is_none() {
                    let height = block.found.height;
                    log::info!("{}: block {height} is submitted again after the restart", self.spec.name);
                }
                chain.watched.insert(block.found.hash, Watched::new(block.found.height, bytes));
            }
            let watched: Vec<Hash32> = chain.watched.keys().copied().collect();
            for hash in watched {
                chain.follow(&hash, now);
            }
        }
        // What the journal does not know, or knows as final, has no use.
        for hash in kept.into_keys() {
            log::warn!("{}: block {} is kept for no reason, and dropped", self.spec.name, display_hash(&hash));
            self.commits.settle_block(hash);
        }
    }

    /// Takes in what a node says of a block.
    pub(super) fn handle_verdict(&mut self, chain: usize, node: usize, hash: Hash32, verdict: BlockVerdict, now: Now) {
        let nodes = self.chains[chain].nodes.len();
        let url = self.chains[chain].nodes[node].spec().url.clone();
        let name = display_hash(&hash);
        let Some(block) = self.chains[chain].watched.get_mut(&hash) else { return };
        match verdict {
            BlockVerdict::InChain => {
                block.away.remove(&node);
                block.held_by.insert(node);
                self.judge_by_chain(chain, node, hash, now);
            }
            BlockVerdict::Replaced(_) => {
                block.held_by.remove(&node);
                block.away.entry(node).or_insert(now.mono_ms);
                self.judge_by_chain(chain, node, hash, now);
            }
            BlockVerdict::Watching(reason) => {
                let word = format!("at {url}: {reason}");
                if block.last_word != word {
                    log::info!("{}: block {name} {word}", self.spec.name);
                    block.last_word = word;
                }
            }
            BlockVerdict::Rejected(reason) => {
                log::error!("{}: block {name} is refused by {url}: {reason}", self.spec.name);
                block.refused_by.insert(node, reason.clone());
                let is_new = |block: &Block| block.status == BlockStatus::Submitted;
                if block.refused_by.len() == nodes && self.chains[chain].ledger.block(&hash).is_some_and(is_new) {
                    self.forget_bytes(chain, hash, now);
                    self.judge_block(chain, hash, BlockStatus::Rejected(reason), false, now);
                }
            }
        }
    }

    /// Judges a block by the main chains of the nodes that have a say; one of them has just spoken.
    fn judge_by_chain(&mut self, index: usize, node: usize, hash: Hash32, now: Now) {
        let chain = &self.chains[index];
        let Some(block) = chain.watched.get(&hash) else { return };
        let tips = || chain.nodes.iter().map(|node| node.synced_tip());
        let Some(highest) = tips().flatten().max() else { return };
        let has_say = |node: &usize| tips().nth(*node).flatten().is_some_and(|tip| tip + LAG >= highest);
        if !has_say(&node) {
            return;
        }
        let held = block.held_by.iter().any(has_say);
        let mut away = block.away.iter().filter(|(node, _)| has_say(node)).peekable();
        let is_disputed = held && away.peek().is_some();
        let is_away = away.any(|(_, since)| now.mono_ms >= since + AWAY_MS);
        let depth = (highest + 1).saturating_sub(block.height);
        let is_final = !is_disputed && depth >= chain.spec.network.maturity;
        let Some(status) = chain.ledger.block(&hash).map(|block| block.status.clone()) else { return };
        if held {
            if depth >= BURIED_DEPTH && !is_disputed {
                self.forget_bytes(index, hash, now);
            }
            let status = if is_final { BlockStatus::Confirmed } else { BlockStatus::Accepted };
            self.judge_block(index, hash, status, is_final, now);
        } else if is_away && (depth >= DECIDED_DEPTH || status == BlockStatus::Accepted) {
            if depth >= BURIED_DEPTH {
                self.forget_bytes(index, hash, now);
            }
            let status = match status {
                BlockStatus::Submitted | BlockStatus::Accepted => {
                    BlockStatus::Orphaned("the main chain has another block at its height".to_string())
                }
                given_up => given_up,
            };
            self.judge_block(index, hash, status, is_final, now);
        }
    }

    /// The block need not be submitted again.
    fn forget_bytes(&mut self, chain: usize, hash: Hash32, now: Now) {
        let chain = &mut self.chains[chain];
        let kept = chain.watched.get_mut(&hash).and_then(|block| block.bytes.take());
        if kept.is_some() {
            chain.nodes.iter_mut().for_each(|node| node.forget_bytes(&hash, now));
            self.commits.settle_block(hash);
        }
    }

    fn judge_block(&mut self, chain: usize, hash: Hash32, status: BlockStatus, is_final: bool, now: Now) {
        let Some(block) = self.chains[chain].ledger.block(&hash) else { return };
        if block.status == status && block.is_final == is_final {
            return;
        }
        let (height, counted) = (block.found.height, block.counts);
        let is_confirmed = |block: &Block| block.found.hash != hash && block.status == BlockStatus::Confirmed;
        if status.is_live() && self.chains[chain].ledger.blocks_at(height).any(is_confirmed) {
            let word = "it is in the main chain in the place of another that was confirmed for good";
            log::error!("{}: block {height} {}: {word}; see ledger verify", self.spec.name, display_hash(&hash));
            self.chains[chain].unfollow(&hash);
            return;
        }
        if status.is_live() && !matches!(block.status, BlockStatus::Accepted) {
            self.give_way(chain, hash, height, now);
        }
        log::info!("{}: block {height} {} is {}", self.spec.name, display_hash(&hash), status.name());
        let judged = BlockJudged { chain: chain as u8, hash, at: self.clock.stamp(now), status, is_final };
        self.record(chain, Entry::BlockJudged(judged)).expect("the block is in the ledger and not judged for good");
        if is_final {
            self.forget_bytes(chain, hash, now);
            self.chains[chain].unfollow(&hash);
        }
        let counts = self.chains[chain].ledger.block(&hash).is_some_and(|block| block.counts);
        if counted != counts {
            self.make_job(false, now);
        }
    }

    /// One chain has one block at a height: when one of ours is in it, another that was there no longer is.
    fn give_way(&mut self, chain: usize, hash: Hash32, height: u32, now: Now) {
        let siblings = self.chains[chain].ledger.blocks_at(height);
        let was_accepted = siblings.filter(|block| block.found.hash != hash && block.status == BlockStatus::Accepted);
        for sibling in was_accepted.map(|block| block.found.hash).collect::<Vec<Hash32>>() {
            let reason = format!("the main chain has {} at its height", display_hash(&hash));
            self.judge_block(chain, sibling, BlockStatus::Orphaned(reason), false, now);
        }
    }
}
