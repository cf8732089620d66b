//! The demo's own chain: like Litecoin on regtest, with a difficulty that keeps blocks a few seconds apart. It
//! believes nothing: every block is taken apart and checked as a node would. Opens no socket; time is an
//! argument.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::base::rng::Rng;
use crate::base::{Hash32, display_hash};
use crate::coin::block::{block_id, header};
use crate::coin::coinbase::COMMITMENT_TAG;
use crate::coin::difficulty::Target;
use crate::coin::encode::{Reader, write_bytes, write_height};
use crate::coin::merkle;
use crate::coin::pow;
use crate::coin::script::Script;
use crate::coin::uint::U256;

use super::block::{Block, Transaction};

/// What a block creates, in base units: 6.25 coins, as on Litecoin's mainnet.
const SUBSIDY: u64 = 625_000_000;
/// Weight units of a block at most.
const WEIGHT_LIMIT: u64 = 4_000_000;
/// Blocks that the difficulty is averaged over.
const RETARGET_BLOCKS: usize = 6;
/// Blocks whose times make the median (BIP113).
const MEDIAN_BLOCKS: usize = 11;
/// A block may be this far ahead of the clock, in seconds.
const AHEAD_S: u64 = 7_200;

/// A block of the chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its id.
    pub hash: Hash32,
    /// Its header's time.
    pub time: u32,
    /// When it arrived, in milliseconds.
    pub arrived_ms: u64,
    /// What its coinbase pays, the commitment not counted.
    pub outputs: Vec<(u64, Script)>,
}

struct Pending {
    transaction: Transaction,
    fee: u64,
}

/// See the module.
pub struct Chain {
    links: Vec<Link>,
    /// Blocks that were valid but not on the tip.
    siblings: Vec<Hash32>,
    mempool: Vec<Pending>,
    mempool_changes: u64,
    target: Target,
    interval_ms: u64,
    rng: Rng,
}

impl Chain {
    /// A chain with one block. `hashes` is what a block takes on average at first; later the difficulty
    /// follows the hashrate, towards a block every `interval_ms`.
    pub fn new(hashes: u64, interval_ms: u64, seed: u64, now_ms: u64) -> Chain {
        let time = (now_ms / 1_000) as u32;
        let genesis = block_id(&header(1, &[0; 32], &[0; 32], time, 0x207f_ffff, 0));
        let mut chain = Chain {
            links: vec![Link { hash: genesis, time, arrived_ms: now_ms, outputs: Vec::new() }],
            siblings: Vec::new(),
            mempool: Vec::new(),
            mempool_changes: 0,
            target: target_of(hashes),
            interval_ms,
            rng: Rng::new(seed),
        };
        chain.fill_mempool();
        chain
    }

    /// Every block, the first one first.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Height of the tip.
    pub fn height(&self) -> u32 {
        self.links.len() as u32 - 1
    }

    /// The tip.
    pub fn tip(&self) -> &Link {
        self.links.last().expect("there is a first block")
    }

    /// What a long poll waits to change.
    pub fn long_poll_id(&self) -> String {
        format!("{}{}", display_hash(&self.tip().hash), self.mempool_changes)
    }

    /// The answer to `getblocktemplate`, in litecoind's shape.
    pub fn template(&self, now_ms: u64) -> Value {
        let transactions: Vec<Value> = self.mempool.iter().map(Pending::to_template).collect();
        let fees: u64 = self.mempool.iter().map(|pending| pending.fee).sum();
        let wtxids: Vec<Hash32> = self.mempool.iter().map(|pending| pending.transaction.wtxid).collect();
        let commitment = [COMMITMENT_TAG.as_slice(), &merkle::witness_commitment(&wtxids)].concat();
        let target = Target::from_compact(self.bits()).expect("the chain's own target");
        json!({
            "capabilities": ["proposal"],
            "version": 0x2000_0000,
            "rules": ["csv", "!segwit", "taproot"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": display_hash(&self.tip().hash),
            "transactions": transactions,
            "coinbaseaux": {},
            "coinbasevalue": SUBSIDY + fees,
            "longpollid": self.long_poll_id(),
            "target": hex::encode(target.value().to_be_bytes()),
            "mintime": self.median_time() + 1,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": 80_000,
            "sizelimit": WEIGHT_LIMIT,
            "weightlimit": WEIGHT_LIMIT,
            "curtime": (now_ms / 1_000).max(u64::from(self.median_time()) + 1),
            "bits": format!("{:08x}", self.bits()),
            "height": self.height() + 1,
            "default_witness_commitment": hex::encode(commitment),
        })
    }

    /// Checks a block as a node does, and puts it on the tip. The error is the string that `submitblock`
    /// answers.
    pub fn submit(&mut self, bytes: &[u8], now_ms: u64) -> Result<(), &'static str> {
        let block = Block::read(bytes).map_err(|_| "decode")?;
        let hash = block_id(&block.header);
        if self.siblings.contains(&hash) || self.links.iter().any(|link| link.hash == hash) {
            return Err("duplicate");
        }
        let parent = self.links.iter().rposition(|link| link.hash == block.prev_hash);
        let parent = parent.ok_or("prev-blk-not-found")?;
        let target = Target::from_compact(block.bits).ok_or("bad-diffbits")?;
        if !target.is_met_by(&pow::scrypt(&block.header)) {
            return Err("high-hash");
        }
        if parent != self.links.len() - 1 {
            // Valid as far as it was looked at, and not the tip.
            self.siblings.push(hash);
            return Err("inconclusive");
        }
        if block.bits != self.bits() {
            return Err("bad-diffbits");
        }
        if block.version < 0x2000_0000 || block.version >> 31 != 0 {
            return Err("bad-version");
        }
        if block.time <= self.median_time() {
            return Err("time-too-old");
        }
        if u64::from(block.time) > now_ms / 1_000 + AHEAD_S {
            return Err("time-too-new");
        }
        let outputs = self.check_transactions(&block)?;
        self.extend(Link { hash, time: block.time, arrived_ms: now_ms, outputs });
        Ok(())
    }

    fn check_transactions(&self, block: &Block) -> Result<Vec<(u64, Script)>, &'static str> {
        let (coinbase, others) = block.transactions.split_first().ok_or("bad-cb-missing")?;
        let ids = |id: fn(&Transaction) -> Hash32| others.iter().map(id).collect::<Vec<Hash32>>();
        let branch = merkle::branch(&ids(|transaction| transaction.txid));
        if merkle::root(coinbase.txid, &branch) != block.root {
            return Err("bad-txnmrklroot");
        }
        let [(spent, u32::MAX, script)] = &coinbase.inputs[..] else { return Err("bad-cb-missing") };
        if *spent != [0; 32] {
            return Err("bad-cb-missing");
        }
        if !(2..=100).contains(&script.len()) {
            return Err("bad-cb-length");
        }
        let mut height = Vec::new();
        write_height(&mut height, self.height() + 1);
        if !script.starts_with(&height) {
            return Err("bad-cb-height");
        }
        let mut fees = 0;
        for transaction in others {
            let known = self.mempool.iter().find(|pending| pending.transaction.bytes == transaction.bytes);
            fees += known.ok_or("bad-txns-inputs-missingorspent")?.fee;
        }
        let paid: u128 = coinbase.outputs.iter().map(|(amount, _)| u128::from(*amount)).sum();
        if paid > u128::from(SUBSIDY + fees) {
            return Err("bad-cb-amount");
        }
        let commitment =
            coinbase.outputs.iter().rev().find(|(_, script)| script.as_bytes().starts_with(&COMMITMENT_TAG));
        match commitment {
            Some((_, script)) => {
                let ours = merkle::witness_commitment(&ids(|transaction| transaction.wtxid));
                if coinbase.witness != [vec![0; 32]] {
                    return Err("bad-witness-nonce-size");
                }
                if script.as_bytes()[COMMITMENT_TAG.len()..] != ours {
                    return Err("bad-witness-merkle-match");
                }
            }
            None if block.transactions.iter().any(|transaction| !transaction.witness.is_empty()) => {
                return Err("unexpected-witness");
            }
            None => {}
        }
        let weight: u64 = block.transactions.iter().map(|transaction| transaction.weight).sum();
        if weight + 4 * 89 > WEIGHT_LIMIT {
            return Err("bad-blk-weight");
        }
        let pays = |(_, script): &&(u64, Script)| !script.as_bytes().starts_with(&COMMITMENT_TAG);
        Ok(coinbase.outputs.iter().filter(pays).cloned().collect())
    }

    fn extend(&mut self, link: Link) {
        self.links.push(link);
        self.retarget();
        self.mempool.clear();
        self.fill_mempool();
    }

    /// Follows the hashrate: the average of the last blocks' times decides, at most doubling or halving.
    fn retarget(&mut self) {
        let count = self.links.len().min(RETARGET_BLOCKS + 1);
        let recent = &self.links[self.links.len() - count..];
        let (Some(first), Some(last)) = (recent.first(), recent.last()) else { return };
        let taken = last.arrived_ms.saturating_sub(first.arrived_ms).max(1);
        let wanted = self.interval_ms * (count as u64 - 1);
        let hashes = self.target.expected_hashes().to_u64().unwrap_or(u64::MAX);
        let next = (u128::from(hashes) * u128::from(wanted) / u128::from(taken)) as u64;
        // Half of the step, so that chance in a few blocks is not taken for a change of hashrate.
        let next = next.clamp(hashes / 2, hashes.saturating_mul(2));
        self.target = target_of((hashes + next) / 2);
    }

    fn bits(&self) -> u32 {
        self.target.to_compact()
    }

    fn median_time(&self) -> u32 {
        let recent: VecDeque<u32> = self.links.iter().rev().take(MEDIAN_BLOCKS).map(|link| link.time).collect();
        let mut sorted = Vec::from(recent);
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    /// A few payments for the next block to carry, legacy and segwit by turns.
    fn fill_mempool(&mut self) {
        for index in 0..2 + self.rng.below(4) {
            let bytes = made_up_payment(&mut self.rng, index % 2 == 0);
            let transaction = Transaction::read(&mut Reader::new(&bytes)).expect("the chain's own serialisation");
            self.mempool.push(Pending { transaction, fee: 1_000 + self.rng.below(50_000) });
        }
        self.mempool_changes += 1;
    }
}

impl Pending {
    fn to_template(&self) -> Value {
        let Transaction { bytes, txid, wtxid, weight, .. } = &self.transaction;
        json!({
            "data": hex::encode(bytes),
            "txid": display_hash(txid),
            "hash": display_hash(wtxid),
            "depends": [],
            "fee": self.fee,
            "sigops": 4,
            "weight": weight,
        })
    }
}

/// The target that takes `hashes` attempts on average, as its compact form can say it.
fn target_of(hashes: u64) -> Target {
    let exact = Target::new(U256::MAX.div_u64(hashes.max(2))).expect("a share of the largest number is not zero");
    Target::from_compact(exact.to_compact()).expect("a target's own compact form")
}

/// A well-formed transaction whose inputs exist nowhere: signatures are not what the demo is about.
fn made_up_payment(rng: &mut Rng, segwit: bool) -> Vec<u8> {
    let mut random = |length: usize| (0..length).map(|_| rng.next_u64() as u8).collect::<Vec<u8>>();
    let mut bytes = 2u32.to_le_bytes().to_vec();
    if segwit {
        bytes.extend([0, 1]);
    }
    bytes.push(1);
    bytes.extend(random(32));
    bytes.extend(0u32.to_le_bytes());
    write_bytes(&mut bytes, &if segwit { Vec::new() } else { random(107) });
    bytes.extend(0xffff_fffd_u32.to_le_bytes());
    bytes.push(1);
    bytes.extend(50_000_000u64.to_le_bytes());
    write_bytes(&mut bytes, &[&[0, 20][..], &random(20)].concat());
    if segwit {
        bytes.push(2);
        write_bytes(&mut bytes, &random(71));
        write_bytes(&mut bytes, &random(33));
    }
    bytes.extend(0u32.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests;
