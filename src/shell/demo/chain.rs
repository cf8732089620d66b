//! A regtest chain in memory, as a state machine: templates out, blocks in. It judges a block as the coin's own node
//! does, and its proof of merged mining too, but for what it spends: there are no coins but those that the mempool makes
//! up. Has no sockets and no clock; time is an argument.

mod auxblock;
mod template;

use std::collections::VecDeque;

use super::block::{Block, Transaction};
use super::mempool::Mempool;
use super::retarget::{self, Step};
use super::rules::{self, Place};
use crate::base::{Hash32, display_hash};
use crate::coin::block::{block_id, header};
use crate::coin::coinbase::TxOut;
use crate::coin::difficulty::Target;
use crate::coin::uint::U256;

pub use super::spec::ChainSpec;
pub use auxblock::ProofError;

/// Blocks whose contents are kept; of older ones only what the chain needs is.
pub const KEPT_BLOCKS: usize = 1_000;
/// Blocks whose median time the next one must be after.
const MEDIAN_BLOCKS: usize = 11;

/// Why a block did not become the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The bytes are no block (RPC error −22).
    Undecodable,
    /// The node's word for it: `high-hash`, `duplicate`, `inconclusive` …
    Rejected(&'static str),
}

impl From<&'static str> for SubmitError {
    fn from(reason: &'static str) -> SubmitError {
        SubmitError::Rejected(reason)
    }
}

/// A block of the chain, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainBlock {
    /// Its id.
    pub hash: Hash32,
    /// Its place, the genesis block's being 0.
    pub height: u32,
    /// Its header's time, in seconds since 1970.
    pub time: u32,
    /// Its compact target.
    pub bits: u32,
    /// What its transactions paid, in base units.
    pub fees: u64,
    /// The outputs of its coinbase in their order, the witness commitment among them.
    pub outputs: Vec<TxOut>,
    /// The ids of its transactions, the coinbase first.
    pub txids: Vec<Hash32>,
    /// The id of the parent block whose work it stands by, where it was merge-mined.
    pub parent: Option<Hash32>,
    /// The whole block as it was submitted; empty for what was there from the start.
    pub bytes: Vec<u8>,
}

impl ChainBlock {
    /// The id of the block whose header was solved for it: its own, or its parent's. Blocks of several chains that one
    /// nonce won have this in common.
    pub fn solved(&self) -> Hash32 {
        self.parent.unwrap_or(self.hash)
    }
}

/// What is kept of every block.
#[derive(Clone, Copy, Debug)]
struct Link {
    hash: Hash32,
    time: u32,
    bits: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Chain {
    spec: ChainSpec,
    /// Every block, at the place of its height.
    links: Vec<Link>,
    /// The last blocks.
    recent: VecDeque<ChainBlock>,
    mempool: Mempool,
    /// Blocks of its own that wait for a proof.
    made: Vec<auxblock::Made>,
}

impl Chain {
    /// A chain as it stands at this time: of the genesis block, or as high as it must be for merged mining. Those blocks
    /// came at the pace that is wanted, and nobody mined them.
    pub fn new(spec: ChainSpec, now_s: u32) -> Chain {
        let mempool = Mempool::new(spec.seed, now_s, spec.coin);
        let mut chain = Chain { spec, links: Vec::new(), recent: VecDeque::new(), mempool, made: Vec::new() };
        let bits = compact(spec.start_hashes);
        let mut prev = [0; 32];
        for height in 0..=spec.first_height() {
            let time = now_s.saturating_sub((spec.first_height() - height) * spec.block_interval_s.max(1));
            let hash = block_id(&header(rules::version(spec.coin), &prev, &[0; 32], time, bits, 0));
            let (outputs, txids, bytes) = (Vec::new(), Vec::new(), Vec::new());
            chain.append(ChainBlock { hash, height, time, bits, fees: 0, outputs, txids, parent: None, bytes });
            prev = hash;
        }
        chain
    }

    /// What it was made with.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The height of the tip.
    pub fn height(&self) -> u32 {
        self.recent.back().map_or(0, |block| block.height)
    }

    /// The tip's id.
    pub fn best_hash(&self) -> Hash32 {
        self.tip().hash
    }

    /// The id of the block at a height.
    pub fn block_hash(&self, height: u32) -> Option<Hash32> {
        self.links.get(height as usize).map(|link| link.hash)
    }

    /// The block at a height, if it is one of the last [`KEPT_BLOCKS`].
    pub fn block(&self, height: u32) -> Option<&ChainBlock> {
        let oldest = self.recent.front()?.height;
        self.recent.get(height.checked_sub(oldest)? as usize)
    }

    /// The last [`KEPT_BLOCKS`], the newest first.
    pub fn newest(&self) -> impl Iterator<Item = &ChainBlock> {
        self.recent.iter().rev()
    }

    /// What a long poll is asked with: the tip and how many transactions have come.
    pub fn long_poll_id(&mut self, now_s: u32) -> String {
        self.mempool.advance(now_s);
        format!("{}{}", display_hash(&self.best_hash()), self.mempool.arrivals())
    }

    /// Makes a block the tip, or says why not. A valid block beside the tip is `inconclusive` and not kept: what was
    /// first stays.
    pub fn submit(&mut self, bytes: &[u8], now_s: u32) -> Result<(), SubmitError> {
        let block = Block::decode(bytes, self.spec.coin).map_err(|_| SubmitError::Undecodable)?;
        let hash = block_id(&block.header.bytes);
        if self.find(&hash).is_some() {
            return Err("duplicate".into());
        }
        rules::check(&block, self.spec.coin)?;
        let parent = self.find(&block.header.prev).ok_or("prev-blk-not-found")?;
        let place = self.place_after(parent);
        rules::check_in_place(&block, &place, self.spec.coin, now_s)?;
        if parent != self.height() {
            return Err("inconclusive".into());
        }
        let (coinbase, others) = rules::split(&block)?;
        let fees = self.mempool.fees(others).ok_or("bad-txns-inputs-missingorspent")?;
        let paid = coinbase.outputs.iter().try_fold(0u64, |sum, output| sum.checked_add(output.value));
        if paid.is_none_or(|paid| paid > self.spec.subsidy + fees) {
            return Err("bad-cb-amount".into());
        }
        self.mempool.handle_block(others);
        self.append(ChainBlock {
            hash,
            height: place.height,
            time: block.header.time,
            bits: place.bits,
            fees,
            outputs: coinbase.outputs.clone(),
            txids: block.transactions.iter().map(|Transaction { txid, .. }| *txid).collect(),
            parent: block.proof.as_ref().map(|proof| block_id(&proof.parent)),
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    /// The height of a block. The last are looked at first: they are asked for most.
    pub fn find(&self, hash: &Hash32) -> Option<u32> {
        self.links.iter().rposition(|link| link.hash == *hash).map(|height| height as u32)
    }

    fn tip(&self) -> &ChainBlock {
        self.recent.back().expect("a chain has its genesis block at least")
    }

    fn append(&mut self, block: ChainBlock) {
        self.links.push(Link { hash: block.hash, time: block.time, bits: block.bits });
        self.recent.push_back(block);
        if self.recent.len() > KEPT_BLOCKS {
            self.recent.pop_front();
        }
    }

    /// The place above the block at `parent`.
    fn place_after(&self, parent: u32) -> Place {
        let (before, _) = self.links.split_at(parent as usize + 1);
        let last = |count: usize| &before[before.len().saturating_sub(count)..];
        let step = |link: &Link| Step { time: link.time, hashes: expected_hashes(link.bits) };
        let steps: Vec<Step> = last(retarget::WINDOW + 1).iter().map(step).collect();
        let mut times: Vec<u32> = last(MEDIAN_BLOCKS).iter().map(|link| link.time).collect();
        times.sort_unstable();
        let bits = match self.spec.block_interval_s {
            0 => self.links[parent as usize].bits,
            interval_s => compact(retarget::next_hashes(&steps, interval_s)),
        };
        Place { height: parent + 1, bits, median_time: times[times.len() / 2] }
    }
}

/// The compact target that takes so many hashes on average.
fn compact(hashes: u64) -> u32 {
    let target = Target::new(U256::MAX.div_u64(hashes.max(1)));
    target.expect("a quotient by 64 bits leaves 192").to_compact()
}

fn expected_hashes(bits: u32) -> u64 {
    let hashes = Target::from_compact(bits).and_then(|target| target.expected_hashes().to_u64());
    hashes.expect("targets of this chain are made from 64 bits of hashes")
}

#[cfg(test)]
mod tests;
