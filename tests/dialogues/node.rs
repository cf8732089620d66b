//! A coin node that gives one template, as bytes of HTTP, and another after a new block.

use edgepool::pool::upstream::LinkKind;
use serde_json::{Value, json};

pub struct Node {
    template: Value,
    waiting: Option<(LinkKind, u64)>,
}

impl Node {
    /// The template of a real node of that coin, with a target that no test meets by chance.
    pub fn of(coin: &str) -> Node {
        let vector = match coin {
            "bitcoin" => include_str!("../vectors/vector_btc_3tx_5outs_versionrolled.json"),
            "litecoin" => include_str!("../vectors/vector_ltc_mweb_emptytx_1out.json"),
            other => panic!("there is no vector of {other}"),
        };
        let vector: Value = serde_json::from_str(vector).unwrap();
        let mut template = vector["gbt"].clone();
        // Difficulty 65,536 on Bitcoin, 1 on Litecoin.
        template["bits"] = if coin == "bitcoin" { "1b00ffff" } else { "1f00ffff" }.into();
        template.as_object_mut().unwrap().remove("target");
        Node { template, waiting: None }
    }

    /// Somebody else's block; the answer to the long poll that waits for it.
    pub fn extend(&mut self, hash: &str) -> Option<(LinkKind, Vec<u8>)> {
        self.template["height"] = (self.template["height"].as_u64().unwrap() + 1).into();
        self.template["previousblockhash"] = hash.into();
        self.template["longpollid"] = format!("{hash}1").into();
        let (link, id) = self.waiting.take()?;
        Some((link, answer(id, &self.template)))
    }

    /// What comes back at once.
    pub fn receive(&mut self, link: LinkKind, request: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(request).unwrap();
        let call: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let id = call["id"].as_u64().unwrap();
        let height = self.template["height"].as_u64().unwrap();
        let result = match call["method"].as_str().unwrap() {
            "getblocktemplate" if call["params"][0]["longpollid"] == self.template["longpollid"] => {
                self.waiting = Some((link, id));
                return None;
            }
            "getblocktemplate" => self.template.clone(),
            "getbestblockhash" => self.template["previousblockhash"].clone(),
            "getblockchaininfo" => json!({
                "chain": "regtest",
                "blocks": height - 1,
                "headers": height - 1,
                "verificationprogress": 1.0,
            }),
            "getconnectioncount" => json!(3),
            other => panic!("an unexpected call: {other}"),
        };
        Some(answer(id, &result))
    }
}

fn answer(id: u64, result: &Value) -> Vec<u8> {
    let body = json!({"result": result, "error": null, "id": id}).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}
