//! A coin node whose chain has blocks of others only, or those of the pool, which it takes as they come.

use edgepool::pool::upstream::LinkKind;
use serde_json::{Value, json};

pub struct Node {
    height: u64,
    waiting: Option<(LinkKind, u64)>,
}

impl Node {
    pub fn new() -> Node {
        Node { height: 100, waiting: None }
    }

    /// A new block; the answer to the long poll that waits for it.
    pub fn extend(&mut self) -> Option<(LinkKind, Vec<u8>)> {
        self.height += 1;
        let (link, id) = self.waiting.take()?;
        Some((link, answer(id, self.template(), Value::Null)))
    }

    /// The connection ends.
    pub fn forget(&mut self, link: LinkKind) {
        if self.waiting.is_some_and(|(waiting, _)| waiting == link) {
            self.waiting = None;
        }
    }

    /// What comes back at once.
    pub fn receive(&mut self, link: LinkKind, request: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(request).expect("a request is text");
        let (_, body) = text.split_once("\r\n\r\n").expect("a request has a head");
        let call: Value = serde_json::from_str(body).expect("a call is JSON");
        let id = call["id"].as_u64().expect("a number");
        let result = match call["method"].as_str().expect("a text") {
            "getblocktemplate" if call["params"][0]["longpollid"] == self.tip() => {
                self.waiting = Some((link, id));
                return None;
            }
            "getblocktemplate" => self.template(),
            "getbestblockhash" => self.tip().into(),
            "getblockchaininfo" => json!({
                "chain": "regtest",
                "blocks": self.height,
                "headers": self.height,
                "verificationprogress": 1.0,
            }),
            "getconnectioncount" => json!(3),
            "submitblock" => Value::Null,
            _ => return Some(answer(id, Value::Null, json!({"code": -5, "message": "not found"}))),
        };
        Some(answer(id, result, Value::Null))
    }

    fn tip(&self) -> String {
        format!("{:064x}", self.height)
    }

    fn template(&self) -> Value {
        json!({
            "version": 0x2000_0000,
            "rules": ["csv", "!segwit", "taproot"],
            "previousblockhash": self.tip(),
            "transactions": [],
            "coinbasevalue": 5_000_000_000u64,
            "longpollid": self.tip(),
            "mintime": 1_700_000_000,
            "curtime": 1_795_000_000,
            "sigoplimit": 80_000,
            "sizelimit": 4_000_000,
            "weightlimit": 4_000_000,
            "bits": "207fffff",
            "height": self.height + 1,
        })
    }
}

fn answer(id: u64, result: Value, error: Value) -> Vec<u8> {
    let body = json!({"result": result, "error": error, "id": id}).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}
