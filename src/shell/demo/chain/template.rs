//! What the chain answers to getblocktemplate: litecoind's shape, or dogecoind's where the coin has no segwit.

use serde_json::{Value, json};

use super::super::mempool::Waiting;
use super::super::rules::{self, SIZE_LIMIT, WEIGHT_LIMIT};
use super::Chain;
use crate::base::{Hash32, display_hash};
use crate::coin::coinbase::COMMITMENT_TAG;
use crate::coin::difficulty::Target;
use crate::coin::merkle;

/// Signature operations of a block where segwit does not scale them.
const SIGOP_LIMIT: u64 = 20_000;

impl Chain {
    /// The `result` of getblocktemplate.
    pub fn template(&mut self, now_s: u32) -> Value {
        let long_poll_id = self.long_poll_id(now_s);
        let place = self.place_after(self.height());
        let target = Target::from_compact(place.bits).expect("the bits of a place are a target");
        let mintime = place.median_time.saturating_add(1);
        let waiting = self.mempool.waiting();
        let mut template = json!({
            "capabilities": ["proposal"],
            "version": rules::version(self.spec.coin),
            "rules": [],
            "vbavailable": {},
            "vbrequired": 0,
            "previousblockhash": display_hash(&self.best_hash()),
            "transactions": waiting.iter().map(|transaction| entry(transaction, waiting)).collect::<Vec<Value>>(),
            "coinbaseaux": {},
            "coinbasevalue": self.spec.subsidy + self.mempool.all_fees(),
            "longpollid": long_poll_id,
            "target": hex::encode(target.value().to_be_bytes()),
            "mintime": mintime,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": SIGOP_LIMIT,
            "sizelimit": SIZE_LIMIT,
            "curtime": now_s.max(mintime),
            "bits": format!("{:08x}", place.bits),
            "height": place.height,
        });
        if self.spec.coin.segwit {
            let wtxids: Vec<Hash32> = waiting.iter().map(|transaction| transaction.wtxid).collect();
            let commitment = [COMMITMENT_TAG.as_slice(), &merkle::witness_commitment(&wtxids)].concat();
            template["rules"] = json!(["csv", "!segwit", "taproot"]);
            template["sigoplimit"] = (4 * SIGOP_LIMIT).into();
            template["sizelimit"] = WEIGHT_LIMIT.into();
            template["weightlimit"] = WEIGHT_LIMIT.into();
            template["default_witness_commitment"] = hex::encode(commitment).into();
        }
        template
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
