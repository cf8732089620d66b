//! A coin node: a view of the tree, late and sometimes wrong, and JSON-RPC as bytes that fails in the ways that
//! nodes fail.

use std::collections::BTreeSet;

use edgepool::pool::upstream::LinkKind;
use serde_json::{Value, json};

use crate::bytes::{self, Hash, read, sha256d, show};
use crate::tree::Tree;

/// One hash in 16 solves a block.
pub const BITS: &str = "200fffff";

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
    /// Own blocks that it said are in its chain.
    pub told: BTreeSet<Hash>,
    pub open: BTreeSet<LinkKind>,
    long_poll: Option<u64>,
    template: Value,
    extension: Vec<u8>,
    hogex: Hash,
}

impl Node {
    pub fn new(tree: &Tree) -> Node {
        let vector = include_str!("../vectors/vector_ltc_mweb_emptytx_1out.json");
        let mut vector: Value = serde_json::from_str(vector).unwrap();
        let mut template = vector["gbt"].take();
        template["bits"] = BITS.into();
        template.as_object_mut().unwrap().remove("target");
        let data = template["transactions"][0]["data"].as_str().unwrap();
        let mweb = template["mweb"].as_str().unwrap();
        Node {
            view: tree.tip,
            fault: Fault::None,
            verdict: None,
            is_isolated: false,
            lost: BTreeSet::new(),
            told: BTreeSet::new(),
            open: BTreeSet::new(),
            long_poll: None,
            extension: hex::decode(format!("{data}01{mweb}")).unwrap(),
            hogex: read(template["transactions"][0]["txid"].as_str().unwrap()).unwrap(),
            template,
        }
    }

    /// Takes over what the network follows, and lets it know what it has.
    pub fn sync(&mut self, tree: &mut Tree) {
        tree.publish(&self.view);
        self.lost.clear();
        if tree.height(&tree.tip) > tree.height(&self.view) {
            self.view = tree.tip;
        }
    }

    pub fn close(&mut self, link: LinkKind) {
        self.open.remove(&link);
        if link == LinkKind::LongPoll {
            self.long_poll = None;
        }
    }

    /// The answer to a long poll that waits.
    pub fn wake(&mut self, tree: &Tree, seconds: u64) -> Option<Vec<u8>> {
        let id = self.long_poll.take()?;
        self.renew(tree, seconds);
        Some(ok(id, &self.template))
    }

    fn renew(&mut self, tree: &Tree, seconds: u64) {
        let tip = show(&self.view);
        self.template["height"] = (tree.height(&self.view) + 1).into();
        self.template["coinbasevalue"] = Tree::value_on(&self.view).into();
        self.template["curtime"] = seconds.into();
        self.template["mintime"] = (seconds - 3_600).into();
        self.template["longpollid"] = format!("{tip}1").into();
        self.template["previousblockhash"] = tip.into();
    }

    /// Answers one request; gives its method too.
    pub fn receive(&mut self, link: LinkKind, bytes: &[u8], tree: &mut Tree, seconds: u64) -> (String, Reply) {
        let (id, method, params) = request(bytes);
        let reply = self.answer(link, id, &method, &params, tree, seconds);
        (method, reply)
    }

    fn answer(
        &mut self,
        link: LinkKind,
        id: u64,
        method: &str,
        params: &Value,
        tree: &mut Tree,
        seconds: u64,
    ) -> Reply {
        match self.fault {
            Fault::Unauthorised => return Reply::Bytes(http(401, "")),
            Fault::Busy => return Reply::Bytes(http(500, "Work queue depth exceeded")),
            Fault::Silent => return Reply::Nothing,
            Fault::Truncated => {
                let whole = ok(id, &self.template);
                return Reply::Broken(whole[..whole.len() / 2].to_vec());
            }
            Fault::Error(code) if method == "getblocktemplate" => return Reply::Bytes(error(id, code, "wait")),
            _ => {}
        }
        let result = match method {
            "getblocktemplate" => {
                self.renew(tree, seconds);
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
                let found = tree.ancestor(&self.view, params[0].as_u64().unwrap() as u32);
                self.told.extend(found);
                found.map(|hash| json!(show(&hash))).ok_or(-8)
            }
            "submitblock" => self.judge(params[0].as_str().unwrap(), tree),
            _ => panic!("an unexpected call: {method}"),
        };
        let bytes = match result {
            Ok(result) => ok(id, &result),
            Err(code) => error(id, code, "no"),
        };
        let is_lost = self.fault == Fault::LostAnswers && method == "submitblock";
        if is_lost { Reply::Broken(Vec::new()) } else { Reply::Bytes(bytes) }
    }

    /// Judges a block by all that a node would look at.
    fn judge(&mut self, block: &str, tree: &mut Tree) -> Result<Value, i64> {
        match self.verdict {
            Some("-22") => return Err(-22),
            Some(word) => return Ok(json!(word)),
            None => {}
        }
        let bytes = hex::decode(block).unwrap();
        let raw = bytes::block(&bytes);
        let is_known = tree.get(&raw.hash).is_some() && !self.lost.contains(&raw.hash);
        if is_known {
            return Ok(json!(if tree.holds(&self.view, &raw.hash) { "duplicate" } else { "duplicate-inconclusive" }));
        }
        if tree.get(&raw.prev).is_none() || self.lost.contains(&raw.prev) {
            return Ok(json!("prev-blk-not-found"));
        }
        let paid: u64 = raw.coinbase.outputs.iter().map(|(value, _)| value).sum();
        let root = sha256d(&[raw.coinbase.id, self.hogex].concat());
        let is_valid = bytes::scrypt(&bytes[..80]) <= bytes::target(raw.bits)
            && format!("{:08x}", raw.bits) == BITS
            && raw.root == root
            && raw.rest == self.extension
            && paid == Tree::value_on(&raw.prev);
        assert!(is_valid, "property violated: what is submitted is a valid block: {}", show(&raw.hash));
        self.lost.remove(&raw.hash);
        tree.add(raw.hash, raw.prev, Some(raw.coinbase), Vec::new(), !self.is_isolated);
        if tree.height(&raw.hash) > tree.height(&self.view) && !self.lost.contains(&raw.prev) {
            self.view = raw.hash;
            return Ok(Value::Null);
        }
        Ok(json!("inconclusive"))
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
