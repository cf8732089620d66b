//! A Litecoin-like regtest chain in memory, as a state machine: templates out, blocks in. It judges a block as
//! litecoind does, but for what it spends: there are no coins but those that the mempool makes up. Has no
//! sockets and no clock; time is an argument.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::block::{Block, Transaction};
use super::mempool::{Mempool, Waiting};
use super::retarget::{self, Step};
use super::rules::{self, Place, VERSION, WEIGHT_LIMIT};
use crate::base::{Hash32, display_hash};
use crate::coin::block::{block_id, header};
use crate::coin::coinbase::{COMMITMENT_TAG, TxOut};
use crate::coin::difficulty::Target;
use crate::coin::merkle;
use crate::coin::params::{Coin, Network, coin};
use crate::coin::uint::U256;

/// What a coinbase may pay beside the fees, in base units. It never halves: a demo that runs for long shall still
/// have something to pay.
pub const SUBSIDY: u64 = 1_250_000_000;
/// Blocks whose contents are kept; of older ones only what the chain needs is.
pub const KEPT_BLOCKS: usize = 1_000;
/// Blocks whose median time the next one must be after.
const MEDIAN_BLOCKS: usize = 11;

/// What a chain is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// A block shall come this often, in seconds.
    pub block_interval_s: u32,
    /// Hashes that the first block takes on average; at least 2.
    pub start_hashes: u64,
    /// Where the transactions' chance comes from.
    pub seed: u64,
}

/// Why a block did not become the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The bytes are no block (RPC error −22).
    Undecodable,
    /// litecoind's word for it: `high-hash`, `duplicate`, `inconclusive` …
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
}

impl Chain {
    /// A chain of a genesis block made at this time.
    pub fn new(spec: ChainSpec, now_s: u32) -> Chain {
        let bits = compact(spec.start_hashes);
        let hash = block_id(&header(VERSION, &[0; 32], &[0; 32], now_s, bits, 0));
        let genesis =
            ChainBlock { hash, height: 0, time: now_s, bits, fees: 0, outputs: Vec::new(), txids: Vec::new() };
        let mempool = Mempool::new(spec.seed, now_s);
        let mut chain = Chain { spec, links: Vec::new(), recent: VecDeque::new(), mempool };
        chain.append(genesis);
        chain
    }

    /// The row of the coin table that it follows, but for the extension block: it has none.
    pub fn coin() -> &'static Coin {
        coin("litecoin").expect("litecoin is in the table")
    }

    /// The network: where its addresses start with `rltc`.
    pub fn network() -> &'static Network {
        Chain::coin().network("regtest").expect("litecoin has a regtest")
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

    /// What a long poll is asked with: the tip and how many transactions have come.
    pub fn long_poll_id(&mut self, now_s: u32) -> String {
        self.mempool.advance(now_s);
        format!("{}{}", display_hash(&self.best_hash()), self.mempool.arrivals())
    }

    /// The `result` of getblocktemplate in litecoind's shape.
    pub fn template(&mut self, now_s: u32) -> Value {
        let long_poll_id = self.long_poll_id(now_s);
        let place = self.place_after(self.height());
        let target = Target::from_compact(place.bits).expect("the bits of a place are a target");
        let mintime = place.median_time.saturating_add(1);
        let waiting = self.mempool.waiting();
        let wtxids: Vec<Hash32> = waiting.iter().map(|transaction| transaction.wtxid).collect();
        let commitment = [COMMITMENT_TAG.as_slice(), &merkle::witness_commitment(&wtxids)].concat();
        let fees: u64 = waiting.iter().map(|transaction| transaction.fee).sum();
        json!({
            "capabilities": ["proposal"],
            "version": VERSION,
            "rules": ["csv", "!segwit", "taproot"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": display_hash(&self.best_hash()),
            "transactions": waiting.iter().map(|transaction| entry(transaction, waiting)).collect::<Vec<Value>>(),
            "coinbaseaux": {},
            "coinbasevalue": SUBSIDY + fees,
            "longpollid": long_poll_id,
            "target": hex::encode(target.value().to_be_bytes()),
            "mintime": mintime,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": 80_000,
            "sizelimit": 4_000_000,
            "weightlimit": WEIGHT_LIMIT,
            "curtime": now_s.max(mintime),
            "bits": format!("{:08x}", place.bits),
            "height": place.height,
            "default_witness_commitment": hex::encode(commitment),
        })
    }

    /// Makes a block the tip, or says why not. A valid block beside the tip is `inconclusive` and not kept: what was
    /// first stays.
    pub fn submit(&mut self, bytes: &[u8], now_s: u32) -> Result<(), SubmitError> {
        let block = Block::decode(bytes).map_err(|_| SubmitError::Undecodable)?;
        let hash = block_id(&block.header.bytes);
        if self.find(&hash).is_some() {
            return Err("duplicate".into());
        }
        rules::check(&block)?;
        let parent = self.find(&block.header.prev).ok_or("prev-blk-not-found")?;
        let place = self.place_after(parent);
        rules::check_in_place(&block, &place, now_s)?;
        if parent != self.height() {
            return Err("inconclusive".into());
        }
        let (coinbase, others) = rules::split(&block)?;
        let fees = self.mempool.fees(others).ok_or("bad-txns-inputs-missingorspent")?;
        let paid = coinbase.outputs.iter().try_fold(0u64, |sum, output| sum.checked_add(output.value));
        if paid.is_none_or(|paid| paid > SUBSIDY + fees) {
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
        Place {
            height: parent + 1,
            bits: compact(retarget::next_hashes(&steps, self.spec.block_interval_s)),
            median_time: times[times.len() / 2],
        }
    }
}

/// A template's entry for a transaction.
fn entry(transaction: &Waiting, all: &[Waiting]) -> Value {
    let needed = all.iter().position(|other| Some(other.txid) == transaction.parent).map(|place| place + 1);
    json!({
        "data": hex::encode(&transaction.data),
        "txid": display_hash(&transaction.txid),
        "hash": display_hash(&transaction.wtxid),
        "depends": Vec::from_iter(needed),
        "fee": transaction.fee,
        "sigops": transaction.sigops,
        "weight": transaction.weight,
    })
}

/// The compact target that takes so many hashes on average.
fn compact(hashes: u64) -> u32 {
    // Two hashes are regtest's easiest target.
    let target = Target::new(U256::MAX.div_u64(hashes.max(2)));
    target.expect("a quotient by 64 bits leaves 192").to_compact()
}

fn expected_hashes(bits: u32) -> u64 {
    let hashes = Target::from_compact(bits).and_then(|target| target.expected_hashes().to_u64());
    hashes.expect("targets of this chain are made from 64 bits of hashes")
}

#[cfg(test)]
mod tests;
