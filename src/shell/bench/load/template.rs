//! A block template as large as a busy network's, made of chance. No share that is sent while measuring can be a
//! block: its difficulty is that of mainnet.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::base::rng::Rng;
use crate::base::{Hash32, display_hash};
use crate::coin::merkle;
use crate::coin::pow::sha256d;

/// Bytes of a transaction: two inputs, two outputs, and what some have more.
const TRANSACTION: usize = 350;
/// What each pays, in base units.
const FEE: u64 = 1_500;
/// What a block pays beside the fees, in base units.
const SUBSIDY: u64 = 312_500_000;
/// A target of mainnet.
const BITS: &str = "1702905c";

/// See the module.
pub(super) struct Templates {
    transactions: String,
    commitment: String,
    value: u64,
}

impl Templates {
    pub(super) fn new(count: usize) -> Templates {
        let mut rng = Rng::new(1);
        let mut chance = |length: usize| -> Vec<u8> {
            let words = (0..length.div_ceil(8)).flat_map(|_| rng.next_u64().to_le_bytes());
            words.take(length).collect()
        };
        let mut wtxids: Vec<Hash32> = Vec::new();
        let mut text = String::from("[");
        for index in 0..count {
            // Version 2, marker and flag of segregated witness, then anything.
            let data = [&[2, 0, 0, 0, 0, 1][..], &chance(TRANSACTION - 6)].concat();
            let (txid, wtxid) = (sha256d(&chance(8)), sha256d(&data));
            wtxids.push(wtxid);
            let comma = if index == 0 { "" } else { "," };
            let (data, txid, hash) = (hex::encode(&data), display_hash(&txid), display_hash(&wtxid));
            write!(
                text,
                "{comma}{{\"data\":\"{data}\",\"txid\":\"{txid}\",\"hash\":\"{hash}\",\"depends\":[],\
                 \"fee\":{FEE},\"sigops\":4,\"weight\":{}}}",
                TRANSACTION * 3
            )
            .expect("a String takes everything");
        }
        let commitment = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &merkle::witness_commitment(&wtxids)].concat();
        let value = SUBSIDY + FEE * count as u64;
        Templates { transactions: text + "]", commitment: hex::encode(commitment), value }
    }

    /// The hash of the block before `height` as nodes print it, and the template on it.
    pub(super) fn at(&self, height: u32) -> (String, Arc<str>) {
        let prev_hash = display_hash(&sha256d(&height.to_le_bytes()));
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut template = json!({
            "capabilities": ["proposal"],
            "version": 0x2000_0000,
            "rules": ["csv", "!segwit", "taproot"],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": prev_hash,
            "coinbaseaux": {},
            "coinbasevalue": self.value,
            "longpollid": prev_hash,
            "mintime": now_s - 3_600,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": 80_000,
            "sizelimit": 4_000_000,
            "weightlimit": 4_000_000,
            "curtime": now_s,
            "bits": BITS,
            "height": height,
            "default_witness_commitment": self.commitment,
        })
        .to_string();
        template.pop();
        (prev_hash, format!("{template},\"transactions\":{}}}", self.transactions).into())
    }
}
