//! What the demo's nodes can be asked, and their answers: the calls of litecoind 0.21 and dogecoind 1.14 that a pool
//! makes, and a few for a person who looks.

use serde_json::{Value, json};

use super::block::{Block, Input, Transaction};
use super::chain::{Chain, ChainBlock, ProofError, SubmitError};
use super::node::{PULSE, Service};
use crate::base::amount::format_amount;
use crate::base::{display_hash, parse_hash};
use crate::coin::address;
use crate::coin::coinbase::TxOut;
use crate::coin::encode::decode_hex;
use crate::wire::jsonrpc::{METHOD_NOT_FOUND, RpcError};

/// A parameter has the wrong type (litecoind's RPC_MISC_ERROR, which it gives for that).
const WRONG_TYPE: i64 = -1;
/// No such block.
const NOT_FOUND: i64 = -5;
/// A parameter makes no sense.
const INVALID_PARAMETER: i64 = -8;
/// Bytes are not a block, or not a proof.
const UNDECODABLE: i64 = -22;
/// A long poll that waits for nothing but transactions waits this long.
const LONG_POLL_MS: u64 = 60_000;
/// Digits of a hash, with which a long poll's id starts.
const HASH_DIGITS: usize = 64;
/// The other nodes that this one says it has; a pool would not trust one without any.
const PEERS: u32 = 8;

type Answer = Result<Value, RpcError>;

/// One call being answered.
pub(super) struct Calls<'a> {
    pub service: &'a Service,
    pub params: &'a [Value],
}

impl Calls<'_> {
    /// Answers; `getblocktemplate` may take its time.
    pub fn make(&self, method: &str) -> Answer {
        match method {
            "getblocktemplate" => self.template(),
            "submitblock" => self.submit(),
            "createauxblock" if self.is_merged() => self.create_aux_block(),
            "submitauxblock" if self.is_merged() => self.submit_aux_block(),
            "getblockhash" => self.block_hash(),
            "getbestblockhash" => Ok(display_hash(&self.service.lock().best_hash()).into()),
            "getblockcount" => Ok(self.service.lock().height().into()),
            "getblockchaininfo" => Ok(self.chain_info()),
            "getconnectioncount" => Ok(PEERS.into()),
            "getnetworkinfo" => Ok(network_info()),
            "getblock" => self.block(),
            "getblockheader" => self.header(),
            _ => Err(RpcError::new(METHOD_NOT_FOUND, "Method not found")),
        }
    }

    fn template(&self) -> Answer {
        let request = self.params.first().unwrap_or(&Value::Null);
        let names =
            |rule: &&str| request["rules"].as_array().is_some_and(|rules| rules.iter().any(|name| name == *rule));
        let needed = self.service.lock().spec().coin.template_rules;
        if !needed.iter().all(names) {
            let sets = needed.join(" & ");
            let advice = format!(
                "getblocktemplate must be called with the {sets} rule sets (call with {{\"rules\": {needed:?}}})"
            );
            return Err(RpcError::new(INVALID_PARAMETER, advice));
        }
        if let Some(id) = request.get("longpollid") {
            let id = id.as_str().ok_or_else(|| RpcError::new(WRONG_TYPE, "longpollid is not a string"))?;
            self.wait_for_news(id)?;
        }
        let now_s = self.service.now_s();
        Ok(self.service.lock().template(now_s))
    }

    /// Returns once the tip is another than the id says, or after a while if transactions have come.
    fn wait_for_news(&self, id: &str) -> Result<(), RpcError> {
        let watched = id.get(..HASH_DIGITS).and_then(parse_hash);
        let watched =
            watched.ok_or_else(|| RpcError::new(INVALID_PARAMETER, "longpollid must start with a block hash"))?;
        let start_ms = self.service.clock.now().mono_ms;
        let mut chain = self.service.lock();
        loop {
            let now = self.service.clock.now();
            let has_waited = now.mono_ms - start_ms >= LONG_POLL_MS;
            if chain.best_hash() != watched
                || self.service.is_stopping()
                || (has_waited && chain.long_poll_id(self.service.now_s()) != id)
            {
                return Ok(());
            }
            let waited = self.service.changed.wait_timeout(chain, PULSE);
            (chain, _) = waited.expect("nothing panics while it holds the chain");
        }
    }

    fn submit(&self) -> Answer {
        let undecodable = || RpcError::new(UNDECODABLE, "Block decode failed");
        let bytes = self.text(0)?;
        let bytes = decode_hex(bytes).ok_or_else(undecodable)?;
        let now_s = self.service.now_s();
        match self.service.lock().submit(&bytes, now_s) {
            Ok(()) => {
                self.service.changed.notify_all();
                Ok(Value::Null)
            }
            Err(SubmitError::Undecodable) => Err(undecodable()),
            Err(SubmitError::Rejected(reason)) => {
                log::info!("the demo's node refuses a block: {reason}");
                Ok(reason.into())
            }
        }
    }

    fn is_merged(&self) -> bool {
        self.service.lock().spec().coin.auxpow.is_some()
    }

    fn create_aux_block(&self) -> Answer {
        let now_s = self.service.now_s();
        let mut chain = self.service.lock();
        let payee = address::parse(self.text(0)?, chain.spec().coin, chain.spec().network);
        let payee = payee.map_err(|_| RpcError::new(INVALID_PARAMETER, "Invalid coinbase payout address"))?;
        Ok(chain.create_aux_block(&payee.script, now_s))
    }

    fn submit_aux_block(&self) -> Answer {
        let undecodable = || RpcError::new(UNDECODABLE, "AuxPow decode failed");
        let hash = parse_hash(self.text(0)?)
            .ok_or_else(|| RpcError::new(INVALID_PARAMETER, "hash must be of length 64 and hexadecimal"))?;
        let proof = decode_hex(self.text(1)?).ok_or_else(undecodable)?;
        let now_s = self.service.now_s();
        match self.service.lock().submit_aux_block(&hash, &proof, now_s) {
            Ok(()) => {
                self.service.changed.notify_all();
                Ok(true.into())
            }
            Err(ProofError::Undecodable) => Err(undecodable()),
            Err(ProofError::Unknown) => Err(RpcError::new(INVALID_PARAMETER, "block hash unknown")),
            Err(ProofError::Rejected(reason)) => {
                log::info!("the demo's node refuses a proof: {reason}");
                Ok(false.into())
            }
        }
    }

    fn block_hash(&self) -> Answer {
        let height = self.params.first().and_then(Value::as_i64);
        let height = height.ok_or_else(|| RpcError::new(WRONG_TYPE, "JSON value is not an integer as expected"))?;
        let hash = u32::try_from(height).ok().and_then(|height| self.service.lock().block_hash(height));
        hash.map(|hash| display_hash(&hash).into())
            .ok_or_else(|| RpcError::new(INVALID_PARAMETER, "Block height out of range"))
    }

    fn chain_info(&self) -> Value {
        let chain = self.service.lock();
        json!({
            "chain": chain.spec().network.chain_name(),
            "blocks": chain.height(),
            "headers": chain.height(),
            "bestblockhash": display_hash(&chain.best_hash()),
            "verificationprogress": 1,
            "initialblockdownload": false,
            "pruned": false,
            "warnings": "",
        })
    }

    /// The bytes where verbosity is 0 or `false`, otherwise as with 2.
    fn block(&self) -> Answer {
        let chain = self.service.lock();
        let block = self.named(&chain)?;
        if self.params.get(1).is_some_and(|verbosity| *verbosity == 0 || *verbosity == false) {
            return Ok(hex::encode(&block.bytes).into());
        }
        Ok(described(&chain, block))
    }

    fn header(&self) -> Answer {
        let chain = self.service.lock();
        let block = self.named(&chain)?;
        Ok(json!({
            "hash": display_hash(&block.hash),
            "confirmations": chain.height() - block.height + 1,
            "height": block.height,
            "time": block.time,
            "bits": format!("{:08x}", block.bits),
        }))
    }

    /// The block whose id is the first parameter.
    fn named<'c>(&self, chain: &'c Chain) -> Result<&'c ChainBlock, RpcError> {
        let hash = parse_hash(self.text(0)?)
            .ok_or_else(|| RpcError::new(INVALID_PARAMETER, "blockhash must be of length 64 and hexadecimal"))?;
        let block = chain.find(&hash).and_then(|height| chain.block(height));
        block.ok_or_else(|| RpcError::new(NOT_FOUND, "Block not found"))
    }

    fn text(&self, index: usize) -> Result<&str, RpcError> {
        let text = self.params.get(index).and_then(Value::as_str);
        text.ok_or_else(|| RpcError::new(WRONG_TYPE, "JSON value is not a string as expected"))
    }
}

/// What `getblock` tells of a block.
fn described(chain: &Chain, block: &ChainBlock) -> Value {
    let neighbour = |height: Option<u32>| {
        height.and_then(|height| chain.block_hash(height)).map_or(Value::Null, |hash| display_hash(&hash).into())
    };
    // Of what was there from the start there is nothing but its header.
    let read = Block::decode(&block.bytes, chain.spec().coin);
    let transactions = read.map_or(Vec::new(), |read| read.transactions);
    json!({
        "hash": display_hash(&block.hash),
        "confirmations": chain.height() - block.height + 1,
        "height": block.height,
        "time": block.time,
        "bits": format!("{:08x}", block.bits),
        "nTx": transactions.len(),
        "previousblockhash": neighbour(block.height.checked_sub(1)),
        "nextblockhash": neighbour(block.height.checked_add(1)),
        "tx": transactions.iter().map(|transaction| described_transaction(chain, transaction)).collect::<Vec<Value>>(),
    })
}

fn described_transaction(chain: &Chain, transaction: &Transaction<'_>) -> Value {
    let input = |input: &Input<'_>| match transaction.is_coinbase() {
        true => json!({ "coinbase": hex::encode(input.script) }),
        false => json!({ "txid": display_hash(&input.spent), "vout": input.index }),
    };
    let outputs = transaction.outputs.iter().enumerate();
    json!({
        "txid": display_hash(&transaction.txid),
        "vin": transaction.inputs.iter().map(input).collect::<Vec<Value>>(),
        "vout": outputs.map(|output| described_output(chain, output)).collect::<Vec<Value>>(),
    })
}

fn network_info() -> Value {
    json!({
        "version": 210_000,
        "subversion": concat!("/edgepool-demo:", env!("CARGO_PKG_VERSION"), "/"),
        "protocolversion": 70_017,
        "connections": PEERS,
        "networkactive": true,
        "warnings": "",
    })
}

fn described_output(chain: &Chain, (place, output): (usize, &TxOut)) -> Value {
    let value: Value = serde_json::from_str(&format_amount(output.value)).expect("an amount is a number of JSON too");
    json!({
        "value": value,
        "n": place,
        "scriptPubKey": {
            "hex": hex::encode(output.script.as_bytes()),
            "addresses": Vec::from_iter(address::encode(&output.script, chain.spec().coin, chain.spec().network)),
        },
    })
}
