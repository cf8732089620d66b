//! Blocks of the node's own that wait for a parent's proof of work (createauxblock, submitauxblock), kept as dogecoind
//! keeps them: one for each payee until the tip is another, a newer one beside it when transactions have come and a
//! minute has passed.

use serde_json::{Value, json};

use super::super::rules;
use super::{Chain, SubmitError};
use crate::base::{Hash32, display_hash};
use crate::coin::auxpow::{VERSION_FLAG, check::Proof};
use crate::coin::block::{HEADER, block_id, header};
use crate::coin::coinbase::{Coinbase, CoinbaseSpec, TxOut};
use crate::coin::difficulty::Target;
use crate::coin::encode::{Reader, write_varint};
use crate::coin::merkle;
use crate::coin::script::Script;

/// A block is not made anew for transactions alone until it is so old, in seconds.
const RENEWED_S: u32 = 60;

/// A block that waits.
#[derive(Clone, Debug)]
pub(super) struct Made {
    payee: Script,
    prev: Hash32,
    header: [u8; HEADER],
    /// What follows header and proof: the count of the transactions and they.
    body: Vec<u8>,
    value: u64,
    /// When it was made, in seconds since 1970.
    made_s: u32,
    /// The transactions that had come by then.
    arrivals: u64,
}

/// Why a proof brought no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// No block of this id waits (RPC error −8).
    Unknown,
    /// The bytes are no proof (RPC error −22).
    Undecodable,
    /// The block is refused, in submitblock's words; submitauxblock says no more than `false`.
    Rejected(&'static str),
}

impl Chain {
    /// The `result` of createauxblock: a block that pays `payee`, for a coin that is merge-mined.
    pub fn create_aux_block(&mut self, payee: &Script, now_s: u32) -> Value {
        self.mempool.advance(now_s);
        let tip = self.best_hash();
        self.made.retain(|made| made.prev == tip);
        let is_good =
            |made: &&Made| made.arrivals == self.mempool.arrivals() || now_s.saturating_sub(made.made_s) <= RENEWED_S;
        let kept = self.made.iter().rev().find(|made| made.payee == *payee).filter(is_good);
        let made = kept.cloned().unwrap_or_else(|| {
            let made = self.make(payee, now_s);
            self.made.push(made.clone());
            made
        });
        let place = self.place_after(self.height());
        let target = Target::from_compact(place.bits).expect("the bits of a place are a target");
        json!({
            "hash": display_hash(&block_id(&made.header)),
            "chainid": self.spec.coin.auxpow.map(|auxpow| auxpow.chain_id),
            "previousblockhash": display_hash(&tip),
            "coinbasevalue": made.value,
            "bits": format!("{:08x}", place.bits),
            "height": place.height,
            // The least significant byte first, unlike getblocktemplate's.
            "target": hex::encode(target.value().to_le_bytes()),
        })
    }

    /// Gives the block of this id its proof and submits it. A block that is there already, or valid beside the tip, is as
    /// good as one that becomes the tip: dogecoind tells no difference.
    pub fn submit_aux_block(&mut self, hash: &Hash32, proof: &[u8], now_s: u32) -> Result<(), ProofError> {
        let made = self.made.iter().find(|made| block_id(&made.header) == *hash).ok_or(ProofError::Unknown)?;
        let mut reader = Reader::new(proof);
        let is_proof = Proof::read(&mut reader).is_ok() && reader.finish().is_ok();
        if !is_proof {
            return Err(ProofError::Undecodable);
        }
        let block = [made.header.as_slice(), proof, &made.body].concat();
        match self.submit(&block, now_s) {
            Ok(()) | Err(SubmitError::Rejected("duplicate" | "inconclusive")) => Ok(()),
            Err(SubmitError::Rejected(reason)) => Err(ProofError::Rejected(reason)),
            Err(SubmitError::Undecodable) => unreachable!("a block of the node's own and a proof are a block"),
        }
    }

    /// A block of everything that waits.
    fn make(&self, payee: &Script, now_s: u32) -> Made {
        let coin = self.spec.coin;
        let place = self.place_after(self.height());
        let waiting = self.mempool.waiting();
        let value = self.spec.subsidy + self.mempool.all_fees();
        let wtxids: Vec<Hash32> = waiting.iter().map(|transaction| transaction.wtxid).collect();
        let coinbase = Coinbase::build(&CoinbaseSpec {
            version: coin.coinbase_version,
            height: place.height,
            aux: &[],
            tag: b"/node/",
            extranonce_len: 4,
            outputs: &[TxOut { value, script: payee.clone() }],
            commitment: coin.segwit.then(|| merkle::witness_commitment(&wtxids)),
        });
        let coinbase = coinbase.expect("one output and a short script are a coinbase");
        // So that two blocks on one tip are two.
        let extranonce = (self.made.len() as u32).to_be_bytes();
        let txids: Vec<Hash32> = waiting.iter().map(|transaction| transaction.txid).collect();
        let root = merkle::root(coinbase.txid(&extranonce, &[]), &merkle::branch(&txids));
        let time = now_s.max(place.median_time.saturating_add(1));
        let prev = self.best_hash();
        let header = header(rules::version(coin) | VERSION_FLAG, &prev, &root, time, place.bits, 0);
        let mut body = Vec::new();
        write_varint(&mut body, waiting.len() as u64 + 1);
        body.extend(coinbase.for_block(&extranonce, &[]));
        waiting.iter().for_each(|transaction| body.extend_from_slice(&transaction.data));
        Made { payee: payee.clone(), prev, header, body, value, made_s: now_s, arrivals: self.mempool.arrivals() }
    }
}
