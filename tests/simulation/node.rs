//! A coin node: a view of the tree, late and sometimes wrong, and JSON-RPC as bytes that fails in the ways that
//! nodes fail.

use std::collections::{BTreeMap, BTreeSet};

use edgepool::coin::auxpow::check::{Proof, split};
use edgepool::coin::encode::Reader;
use edgepool::coin::params::{Algorithm, AuxPow};
use edgepool::pool::upstream::LinkKind;
use serde_json::{Value, json};

use crate::bytes::{self, Hash, Tx, read, sha256d, show};
use crate::tree::Tree;

/// One hash in 16 solves a block of the parent chain.
pub const BITS: u32 = 0x200f_ffff;

/// What the node's chain is to the pool.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Parent,
    /// Merge-mined, with these bits: blocks are made of its templates.
    Merged(AuxPow, u32),
    /// Merge-mined, with these bits: the node makes the blocks.
    Own(AuxPow, u32),
}

impl Kind {
    pub fn bits(self) -> u32 {
        match self {
            Kind::Parent => BITS,
            Kind::Merged(_, bits) | Kind::Own(_, bits) => bits,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// An RPC error to template calls.
    Error(i64),
    /// Plain text with 500.
    Busy,
    Unauthorised,
    Refused,
    /// The connection ends in the middle of an answer.
    Truncated,
    Silent,
    /// Headers are ahead of blocks.
    Behind,
    /// It says so itself.
    Downloading,
    /// A block is taken, and the answer never comes.
    LostAnswers,
}

pub enum Reply {
    Bytes(Vec<u8>),
    /// These bytes, and then the end.
    Broken(Vec<u8>),
    Nothing,
}

pub struct Node {
    /// Its tip.
    pub view: Hash,
    pub fault: Fault,
    /// What `submitblock` answers instead of looking at the block.
    pub verdict: Option<&'static str>,
    /// Nothing comes in or out.
    pub is_isolated: bool,
    /// Lost by a crash, until it hears of them again.
    pub lost: BTreeSet<Hash>,
    /// Since when its view is old, and it says so.
    pub behind_since: Option<u64>,
    /// What it said is in its chain: when, at which height, what; and whether it is to be believed.
    pub told: Vec<(u64, u32, Hash, bool)>,
    /// Blocks that came to be submitted.
    pub submitted: BTreeSet<Hash>,
    pub open: BTreeSet<LinkKind>,
    kind: Kind,
    /// Tells its own blocks from those of others.
    number: u8,
    /// Blocks of its own that wait for a proof: on which tip, and whom they pay.
    own: BTreeMap<Hash, (Hash, Vec<u8>)>,
    long_poll: Option<u64>,
    template: Value,
    extension: Vec<u8>,
    hogex: Hash,
}

impl Node {
    pub fn new(tree: &Tree, kind: Kind, number: u8) -> Node {
        let mut template: Value = match kind {
            Kind::Parent => {
                let vector = include_str!("../vectors/vector_ltc_mweb_emptytx_1out.json");
                serde_json::from_str::<Value>(vector).unwrap()["gbt"].take()
            }
            _ => serde_json::from_str(include_str!("../vectors/doge_gbt_regtest_empty.json")).unwrap(),
        };
        template["bits"] = format!("{:08x}", kind.bits()).into();
        template.as_object_mut().unwrap().remove("target");
        let extension = match (template["transactions"][0]["data"].as_str(), template["mweb"].as_str()) {
            (Some(data), Some(mweb)) => hex::decode(format!("{data}01{mweb}")).unwrap(),
            _ => Vec::new(),
        };
        let hogex = template["transactions"][0]["txid"].as_str().and_then(read).unwrap_or_default();
        Node {
            kind,
            number,
            own: BTreeMap::new(),
            view: tree.tip,
            fault: Fault::None,
            verdict: None,
            is_isolated: false,
            lost: BTreeSet::new(),
            behind_since: None,
            told: Vec::new(),
            submitted: BTreeSet::new(),
            open: BTreeSet::new(),
            long_poll: None,
            extension,
            hogex,
            template,
        }
    }

    pub fn bits(&self) -> u32 {
        self.kind.bits()
    }

    /// Takes over what the network follows, and lets it know what it has.
    pub fn sync(&mut self, tree: &mut Tree) {
        tree.publish(&self.view);
        self.lost.clear();
        if tree.height(&tree.tip) > tree.height(&self.view) {
            self.view = tree.tip;
        }
    }

    /// Whether it said so, and was to be believed.
    pub fn has_told(&self, hash: &Hash) -> bool {
        self.told.iter().any(|(_, _, told, is_believable)| told == hash && *is_believable)
    }

    /// When it said, and was to be believed, that another block is in this one's place.
    pub fn told_another(&self, height: u32, hash: &Hash) -> impl Iterator<Item = u64> {
        let others = self.told.iter().filter(move |(_, at, told, sure)| *sure && *at == height && told != hash);
        others.map(|(at_ms, ..)| *at_ms)
    }

    pub fn close(&mut self, link: LinkKind) {
        self.open.remove(&link);
        if link == LinkKind::LongPoll {
            self.long_poll = None;
        }
    }

    /// The answer to a long poll that waits.
    pub fn wake(&mut self, tree: &Tree, now_ms: u64) -> Option<Vec<u8>> {
        let id = self.long_poll.take()?;
        self.renew(tree, now_ms);
        Some(ok(id, &self.template))
    }

    fn renew(&mut self, tree: &Tree, now_ms: u64) {
        let tip = show(&self.view);
        self.template["height"] = (tree.height(&self.view) + 1).into();
        self.template["coinbasevalue"] = Tree::value_on(&self.view).into();
        self.template["curtime"] = (now_ms / 1_000).into();
        self.template["mintime"] = (now_ms / 1_000 - 3_600).into();
        self.template["longpollid"] = format!("{tip}1").into();
        self.template["previousblockhash"] = tip.into();
    }

    /// Answers one request; gives its method too.
    pub fn receive(&mut self, link: LinkKind, bytes: &[u8], tree: &mut Tree, now_ms: u64) -> (String, Reply) {
        let (id, method, params) = request(bytes);
        let reply = self.answer(link, id, &method, &params, tree, now_ms);
        (method, reply)
    }

    fn answer(&mut self, link: LinkKind, id: u64, method: &str, params: &Value, tree: &mut Tree, now_ms: u64) -> Reply {
        match self.fault {
            Fault::Unauthorised => return Reply::Bytes(http(401, "")),
            Fault::Busy => return Reply::Bytes(http(500, "Work queue depth exceeded")),
            Fault::Silent => return Reply::Nothing,
            Fault::Truncated => {
                let whole = ok(id, &self.template);
                return Reply::Broken(whole[..whole.len() / 2].to_vec());
            }
            Fault::Error(code) if matches!(method, "getblocktemplate" | "createauxblock") => {
                return Reply::Bytes(error(id, code, "wait"));
            }
            _ => {}
        }
        let result = match method {
            "getblocktemplate" => {
                self.renew(tree, now_ms);
                let is_known = params[0]["longpollid"] == self.template["longpollid"];
                if link == LinkKind::LongPoll && is_known {
                    self.long_poll = Some(id);
                    return Reply::Nothing;
                }
                Ok(self.template.clone())
            }
            "getbestblockhash" => Ok(json!(show(&self.view))),
            "getblockchaininfo" => {
                let height = tree.height(&self.view);
                let ahead = if self.fault == Fault::Behind { 3 } else { 0 };
                Ok(json!({
                    "chain": "regtest",
                    "blocks": height,
                    "headers": height + ahead,
                    "verificationprogress": 1.0,
                    "initialblockdownload": self.fault == Fault::Downloading,
                }))
            }
            "getconnectioncount" => Ok(json!(3)),
            "getblockhash" => {
                let height = params[0].as_u64().unwrap() as u32;
                let found = tree.ancestor(&self.view, height);
                // It is asked where it stands every ten seconds.
                let is_believable = self.behind_since.is_none_or(|since| now_ms < since + 15_000);
                self.told.extend(found.map(|hash| (now_ms, height, hash, is_believable)));
                found.map(|hash| json!(show(&hash))).ok_or(-8)
            }
            "createauxblock" => Ok(self.make_own(params[0].as_str().unwrap(), tree)),
            "submitblock" => self.judge(params[0].as_str().unwrap(), tree),
            "submitauxblock" => self.judge_proof(params, tree),
            _ => panic!("an unexpected call: {method}"),
        };
        let bytes = match result {
            Ok(result) => ok(id, &result),
            Err(code) => error(id, code, "no"),
        };
        let is_lost = self.fault == Fault::LostAnswers && method.starts_with("submit");
        if is_lost { Reply::Broken(Vec::new()) } else { Reply::Bytes(bytes) }
    }

    /// Judges a block by all that a node would look at.
    fn judge(&mut self, block: &str, tree: &mut Tree) -> Result<Value, i64> {
        let bytes = hex::decode(block).unwrap();
        self.submitted.insert(sha256d(&bytes[..80]));
        match self.verdict {
            Some("-22") => return Err(-22),
            Some(word) => return Ok(json!(word)),
            None => {}
        }
        let raw = match self.kind {
            Kind::Parent => bytes::block(&bytes),
            Kind::Merged(auxpow, _) => merged_block(&bytes, &auxpow),
            Kind::Own(..) => panic!("property violated: the node is given proofs alone"),
        };
        let is_known = tree.get(&raw.hash).is_some() && !self.lost.contains(&raw.hash);
        if is_known {
            return Ok(json!(if tree.holds(&self.view, &raw.hash) { "duplicate" } else { "duplicate-inconclusive" }));
        }
        if tree.get(&raw.prev).is_none() || self.lost.contains(&raw.prev) {
            return Ok(json!("prev-blk-not-found"));
        }
        let paid: u64 = raw.coinbase.outputs.iter().map(|(value, _)| value).sum();
        let (is_solved, root) = match self.kind {
            Kind::Parent => {
                let is_solved = bytes::scrypt(&bytes[..80]) <= bytes::target(raw.bits);
                (is_solved, sha256d(&[raw.coinbase.id, self.hogex].concat()))
            }
            // The proof was looked at, and the block is its coinbase.
            _ => (true, raw.coinbase.id),
        };
        let is_valid = is_solved
            && raw.bits == self.kind.bits()
            && raw.root == root
            && raw.rest == self.extension
            && paid == Tree::value_on(&raw.prev);
        assert!(is_valid, "property violated: what is submitted is a valid block: {}", show(&raw.hash));
        let is_tip = self.take_in(raw.hash, raw.prev, raw.coinbase, tree);
        Ok(if is_tip { Value::Null } else { json!("inconclusive") })
    }

    /// Whether it is the tip now.
    fn take_in(&mut self, hash: Hash, prev: Hash, coinbase: Tx, tree: &mut Tree) -> bool {
        self.lost.remove(&hash);
        tree.add(hash, prev, Some(coinbase), Vec::new(), !self.is_isolated);
        let is_tip = tree.height(&hash) > tree.height(&self.view) && !self.lost.contains(&prev);
        if is_tip {
            self.view = hash;
        }
        is_tip
    }

    /// A block of its own that pays this address. Those on an older tip are forgotten.
    fn make_own(&mut self, payee: &str, tree: &Tree) -> Value {
        let Kind::Own(auxpow, bits) = self.kind else { panic!("property violated: it makes no blocks of its own") };
        let tip = self.view;
        self.own.retain(|_, (prev, _)| *prev == tip);
        let hash = sha256d(&[&tip[..], payee.as_bytes(), &[self.number]].concat());
        self.own.insert(hash, (tip, crate::who::script_of(payee)));
        json!({
            "hash": show(&hash),
            "chainid": auxpow.chain_id,
            "previousblockhash": show(&tip),
            "coinbasevalue": Tree::value_on(&tip),
            "bits": format!("{bits:08x}"),
            "height": tree.height(&tip) + 1,
        })
    }

    fn judge_proof(&mut self, params: &Value, tree: &mut Tree) -> Result<Value, i64> {
        let Kind::Own(auxpow, bits) = self.kind else { panic!("property violated: it wants whole blocks") };
        let (hash, proof) =
            (read(params[0].as_str().unwrap()).unwrap(), hex::decode(params[1].as_str().unwrap()).unwrap());
        self.submitted.insert(hash);
        match self.verdict {
            Some("-22") => return Err(-22),
            Some(word) => return Ok(json!(word != "bad-cb-amount")),
            None => {}
        }
        let Some((prev, payee)) = self.own.get(&hash).cloned() else { return Err(-8) };
        let mut reader = Reader::new(&proof);
        let proof = Proof::read(&mut reader).expect("property violated: what is submitted is a proof");
        let is_valid = reader.finish().is_ok()
            && proof.check_commitment(&hash, auxpow.chain_id).is_ok()
            && bytes::scrypt(&proof.parent) <= bytes::target(bits);
        assert!(is_valid, "property violated: what is submitted proves the block: {}", show(&hash));
        if tree.get(&hash).is_none() || self.lost.contains(&hash) {
            let coinbase = Tx { id: sha256d(&hash), inputs: Vec::new(), outputs: vec![(Tree::value_on(&prev), payee)] };
            self.take_in(hash, prev, coinbase, tree);
        }
        Ok(json!(true))
    }
}

/// A block of a coinbase alone, whose proof holds.
fn merged_block(bytes: &[u8], auxpow: &AuxPow) -> bytes::RawBlock {
    let (header, proof, rest) = split(bytes).expect("property violated: what is submitted can be read");
    let checked = proof.check(&header, auxpow, Algorithm::Scrypt);
    assert!(checked.is_ok(), "property violated: what is submitted has its proof: {checked:?}");
    assert_eq!(rest[0], 1, "the coinbase");
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let hash = |at: usize| header[at..at + 32].try_into().unwrap();
    bytes::RawBlock {
        hash: sha256d(&header),
        prev: hash(4),
        root: hash(36),
        bits: word(72),
        coinbase: bytes::transaction(&rest[1..]),
        rest: Vec::new(),
    }
}

/// Id, method and parameters of a request.
pub fn request(bytes: &[u8]) -> (u64, String, Value) {
    let text = std::str::from_utf8(bytes).expect("requests are text");
    let (_, body) = text.split_once("\r\n\r\n").expect("a request has a head");
    let mut call: Value = serde_json::from_str(body).expect("a request's body is JSON");
    (call["id"].as_u64().unwrap(), call["method"].as_str().unwrap().to_string(), call["params"].take())
}

pub fn ok(id: u64, result: &Value) -> Vec<u8> {
    http(200, &json!({"result": result, "error": null, "id": id}).to_string())
}

pub fn error(id: u64, code: i64, words: &str) -> Vec<u8> {
    let error = json!({"code": code, "message": words});
    http(500, &json!({"result": null, "error": error, "id": id}).to_string())
}

pub fn http(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
