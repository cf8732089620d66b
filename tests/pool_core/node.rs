//! A coin node as bytes: it reads the requests that the pool would send and answers as litecoind does, or
//! fails in every way that nodes fail.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin_hashes::sha256d;
use edgepool::coin::params::{AuxPow, AuxWork, Coin, Network};
use edgepool::pool::NodeId;
use edgepool::pool::spec::ChainSpec;
use edgepool::pool::upstream::LinkKind;
use serde_json::{Value, json};

use crate::merged_block::{self, Wrong};

/// The block's target: one hash in 64 solves it.
pub const BITS: &str = "2003ffff";
/// That of a merge-mined chain: one in 32.
const CHILD_BITS: &str = "2007ffff";

/// How the node behaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    Good,
    /// Every template call gets this RPC error.
    Error(i64),
    /// 401 to everything.
    Unauthorised,
    /// Nobody listens.
    Refused,
    /// The connection ends in the middle of an answer.
    Truncated,
    /// An answer that claims to be larger than anything a node would send.
    Oversized,
    /// Connects and never answers.
    Silent,
    /// Something else listens on the port.
    Nonsense,
    /// Well, but on this network.
    On(&'static str),
    /// Gives templates on this network, and says that it lacks blocks, as nodes do on test networks.
    CatchingUp(&'static str),
    /// Well, but the operator allows no `getblockchaininfo`.
    Reticent,
}

/// What comes back over a connection.
pub enum Reply {
    Bytes(Vec<u8>),
    /// These bytes, and then the end.
    Broken(Vec<u8>),
    Nothing,
}

pub struct FakeNode {
    pub id: NodeId,
    pub mode: Mode,
    /// What is answered to a submitted block instead of looking at it; a number is an RPC error.
    pub verdict: Option<Value>,
    /// Whole blocks as they came.
    pub submitted: Vec<String>,
    /// Names of the calls answered or ignored, in order.
    pub calls: Vec<String>,
    /// Connections that are there.
    pub open: BTreeSet<LinkKind>,
    /// Headers that it knows of beyond its blocks.
    pub behind: u64,
    /// Blocks of the pool's that it took as its tip, in order.
    pub won: Vec<String>,
    /// The addresses that its own blocks were to pay, in the order they were asked for.
    pub payees: Vec<String>,
    template: Value,
    chain: BTreeMap<u64, String>,
    long_poll: Option<u64>,
    coin: &'static Coin,
    network: &'static Network,
    /// How its chain is mined with a parent, where it is.
    merged: Option<AuxPow>,
    /// Blocks of its own on its tip that wait for a proof.
    own: BTreeMap<String, u64>,
}

impl FakeNode {
    /// Every node of a chain of a pool.
    pub fn all_of(chain: usize, spec: &ChainSpec) -> impl Iterator<Item = FakeNode> {
        (0..spec.nodes.len()).map(move |node| FakeNode::new(NodeId { chain: chain as u8, node: node as u8 }, spec))
    }

    fn new(id: NodeId, spec: &ChainSpec) -> FakeNode {
        let (coin, network) = (spec.coin, spec.network);
        let is_child = id.chain > 0;
        let mut template: Value = if coin.mweb {
            let vector = include_str!("../vectors/vector_ltc_mweb_emptytx_1out.json");
            serde_json::from_str::<Value>(vector).unwrap()["gbt"].take()
        } else {
            serde_json::from_str(include_str!("../vectors/doge_gbt_regtest_empty.json")).unwrap()
        };
        if !coin.mweb {
            template["version"] = coin.auxpow.map_or(0x2000_0000, |auxpow| auxpow.chain_id << 16 | 4).into();
        }
        if let Some(first) = network.auxpow_height.filter(|first| *first > 80) {
            template["height"] = (first + 1).into();
        }
        template["bits"] = if is_child { CHILD_BITS } else { BITS }.into();
        template.as_object_mut().unwrap().remove("target");
        FakeNode {
            id,
            coin,
            network,
            merged: coin.auxpow.filter(|_| is_child),
            own: BTreeMap::new(),
            payees: Vec::new(),
            won: Vec::new(),
            mode: Mode::Good,
            verdict: None,
            submitted: Vec::new(),
            calls: Vec::new(),
            open: BTreeSet::new(),
            behind: 0,
            template,
            chain: BTreeMap::new(),
            long_poll: None,
        }
    }

    pub fn height(&self) -> u64 {
        self.template["height"].as_u64().unwrap()
    }

    pub fn bits(&self) -> u32 {
        u32::from_str_radix(self.template["bits"].as_str().unwrap(), 16).unwrap()
    }

    /// What its next block brings, in base units.
    pub fn value(&self) -> u64 {
        self.template["coinbasevalue"].as_u64().unwrap()
    }

    pub fn prev_hash(&self) -> &str {
        self.template["previousblockhash"].as_str().unwrap()
    }

    pub fn set(&mut self, member: &str, value: Value) {
        self.template[member] = value;
    }

    /// Whether the block is in its chain.
    pub fn has(&self, hash: &str) -> bool {
        self.chain.values().any(|known| known == hash)
    }

    /// A block of somebody else's, or of ours, is the new tip.
    pub fn extend(&mut self, hash: &str) {
        let height = self.height();
        self.chain.insert(height, hash.to_string());
        self.own.clear();
        self.set("height", (height + 1).into());
        self.set("previousblockhash", hash.into());
        self.set("longpollid", format!("{hash}1").into());
    }

    /// Another branch takes over from `height` on.
    pub fn reorganise(&mut self, height: u64, branch: &[String]) {
        let parent = self.chain.get(&(height - 1)).cloned().unwrap_or_else(|| "00".repeat(32));
        self.own.clear();
        self.chain.retain(|known, _| *known < height);
        self.set("height", height.into());
        self.set("previousblockhash", parent.as_str().into());
        self.set("longpollid", format!("{parent}{}", branch.len()).into());
        branch.iter().for_each(|hash| self.extend(hash));
    }

    /// The answer to a long poll that waits, if there is something new.
    pub fn wake(&mut self) -> Option<Vec<u8>> {
        let id = self.long_poll.take()?;
        Some(ok(id, &self.template))
    }

    /// Connections are gone.
    pub fn forget_connections(&mut self) {
        self.open.clear();
        self.long_poll = None;
    }

    pub fn close(&mut self, link: LinkKind) {
        self.open.remove(&link);
        if link == LinkKind::LongPoll {
            self.long_poll = None;
        }
    }

    pub fn receive(&mut self, link: LinkKind, bytes: &[u8]) -> Reply {
        let text = std::str::from_utf8(bytes).expect("requests are text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a request has a head");
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        let call: Value = serde_json::from_str(body).expect("a request's body is JSON");
        let id = call["id"].as_u64().unwrap();
        let method = call["method"].as_str().unwrap().to_string();
        self.calls.push(method.clone());
        match (method.as_str(), &call["params"]) {
            ("submitblock", params) => self.submitted.push(params[0].as_str().unwrap().to_string()),
            ("submitauxblock", params) => self.submitted.push(params[1].as_str().unwrap().to_string()),
            _ => {}
        }
        match self.mode {
            Mode::Good | Mode::Error(_) | Mode::On(_) | Mode::CatchingUp(_) | Mode::Reticent => {}
            Mode::Unauthorised => return Reply::Bytes(http(401, "Unauthorized", "")),
            Mode::Truncated => {
                let whole = ok(id, &self.template);
                return Reply::Broken(whole[..whole.len() / 2].to_vec());
            }
            Mode::Oversized => {
                return Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{".to_vec());
            }
            Mode::Silent => return Reply::Nothing,
            Mode::Nonsense => return Reply::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
            Mode::Refused => unreachable!("nothing is sent without a connection"),
        }
        let answer = match (method.as_str(), &self.mode) {
            ("getblocktemplate" | "createauxblock", Mode::Error(code)) => return Reply::Bytes(error(id, *code)),
            ("getblocktemplate", _) if call["params"][0]["longpollid"].is_string() => {
                assert_eq!(link, LinkKind::LongPoll);
                if call["params"][0]["longpollid"] == self.template["longpollid"] {
                    self.long_poll = Some(id);
                    return Reply::Nothing;
                }
                self.template.clone()
            }
            ("getblocktemplate", _) => self.template.clone(),
            ("getbestblockhash", _) => self.template["previousblockhash"].clone(),
            ("getblockchaininfo", Mode::Reticent) => return Reply::Bytes(error(id, -32601)),
            ("getblockchaininfo", mode) => json!({
                "chain": if let Mode::On(network) | Mode::CatchingUp(network) = mode { network } else { self.network.chain_name() },
                "initialblockdownload": matches!(mode, Mode::CatchingUp(_)),
                "blocks": self.height() - 1,
                "headers": self.height() - 1 + self.behind,
                "verificationprogress": 1.0,
            }),
            ("getconnectioncount", _) => json!(3),
            ("getblockhash", _) => match self.chain.get(&call["params"][0].as_u64().unwrap()) {
                Some(hash) => json!(hash),
                None => return Reply::Bytes(error(id, -8)),
            },
            ("createauxblock", _) => self.make_own(call["params"][0].as_str().unwrap()),
            ("submitblock" | "submitauxblock", _) => match &self.verdict {
                Some(Value::Number(code)) => return Reply::Bytes(error(id, code.as_i64().unwrap())),
                Some(verdict) => verdict.clone(),
                None if method == "submitblock" => self.judge(call["params"][0].as_str().unwrap()),
                None => match self.judge_proof(&call["params"]) {
                    Ok(verdict) => verdict,
                    Err(code) => return Reply::Bytes(error(id, code)),
                },
            },
            _ => panic!("an unexpected call: {method}"),
        };
        Reply::Bytes(ok(id, &answer))
    }

    fn judge(&mut self, block: &str) -> Value {
        assert!(self.merged.is_none_or(|auxpow| auxpow.work == AuxWork::Template));
        let hash = block_hash(block);
        if self.chain.values().any(|known| *known == hash) {
            return json!("duplicate");
        }
        let bytes = hex::decode(block).unwrap();
        let mut prev = bytes[4..36].to_vec();
        prev.reverse();
        if hex::encode(prev) != self.prev_hash() {
            return json!("inconclusive");
        }
        if let Some(auxpow) = &self.merged {
            merged_block::check(&bytes, auxpow, self.coin.algorithm, self.value(), self.bits()).unwrap();
        }
        self.extend(&hash);
        self.won.push(hash);
        Value::Null
    }

    /// A block of the node's own that pays this address; the same one while nothing changes.
    fn make_own(&mut self, payee: &str) -> Value {
        if self.payees.last().is_none_or(|last| last != payee) {
            self.payees.push(payee.to_string());
        }
        let (height, value) = (self.height(), self.value());
        let hash =
            hex::encode(sha256d::Hash::hash(format!("{payee}{}{value}", self.prev_hash()).as_bytes()).as_byte_array());
        self.own.insert(hash.clone(), height);
        json!({
            "hash": hash,
            "chainid": self.merged.expect("it is asked of merge-mined coins alone").chain_id,
            "previousblockhash": self.prev_hash(),
            "coinbasevalue": value,
            "bits": self.template["bits"],
            "height": height,
        })
    }

    fn judge_proof(&mut self, params: &Value) -> Result<Value, i64> {
        let (hash, proof) = (params[0].as_str().unwrap(), hex::decode(params[1].as_str().unwrap()).unwrap());
        if !self.own.contains_key(hash) {
            return Err(-8);
        }
        let auxpow = self.merged.expect("it is asked of merge-mined coins alone");
        match merged_block::check_proof(hash, &proof, &auxpow, self.coin.algorithm, self.bits()) {
            Ok(()) => {
                self.extend(hash);
                self.won.push(hash.to_string());
                Ok(json!(true))
            }
            Err(Wrong(_)) => Ok(json!(false)),
        }
    }
}

/// The block's id as nodes print it.
pub fn block_hash(block: &str) -> String {
    let header = hex::decode(&block[..160]).unwrap();
    let mut hash = sha256d::Hash::hash(&header).to_byte_array();
    hash.reverse();
    hex::encode(hash)
}

pub fn ok(id: u64, result: &Value) -> Vec<u8> {
    http(200, "OK", &json!({"result": result, "error": null, "id": id}).to_string())
}

fn error(id: u64, code: i64) -> Vec<u8> {
    error_in_words(id, code, &format!("node says {code}"))
}

pub fn error_in_words(id: u64, code: i64, words: &str) -> Vec<u8> {
    let error = json!({"code": code, "message": words});
    http(500, "Internal Server Error", &json!({"result": null, "error": error, "id": id}).to_string())
}

fn http(status: u16, reason: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
