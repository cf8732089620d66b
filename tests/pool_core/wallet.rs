//! A node's wallet as bytes: it holds coins, builds and signs real transactions, and keeps a memory pool and a
//! chain of its own, so that a test can count what was really paid.

use std::collections::BTreeMap;

use bitcoin_hashes::sha256d;
use edgepool::coin::address;
use edgepool::coin::params::coin;
use edgepool::coin::transaction::Transaction;
use serde_json::{Value, json};

use crate::node::{error_in_words, ok};

/// What each coin of the wallet holds, in base units.
const COIN_VALUE: u64 = 100_000_000;
/// The fee of every transaction, in base units.
const FEE: u64 = 2_000;

type Coin = (String, u32);

/// What breaks at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection, before the call was heard.
    Unheard,
    /// The connection, after the call was done and before its answer was read.
    Unanswered,
    /// The pool's process, at the same moment.
    Death,
    /// The wallet's node, which forgets its locks and its memory pool.
    Node,
}

#[derive(Default)]
pub struct Wallet {
    /// Nobody listens.
    pub is_away: bool,
    pub is_open: bool,
    /// At which of its calls something breaks, and what.
    pub breaks: Option<(usize, Break)>,
    /// Methods that are refused, with code and words.
    pub faults: BTreeMap<String, (i64, String)>,
    /// What it holds, by transaction and output.
    coins: BTreeMap<Coin, u64>,
    /// Coins that something in the chain spends.
    spent: BTreeMap<Coin, u32>,
    mempool: BTreeMap<String, String>,
    /// Height and bytes by id.
    chain: BTreeMap<String, (u32, String)>,
    pub height: u32,
    /// Every transaction that was ever signed, and every one that came to be sent, in order.
    pub signed: Vec<String>,
    pub sent: Vec<String>,
    /// Methods in the order they were called.
    pub calls: Vec<String>,
    is_different: u8,
}

impl Wallet {
    /// A wallet with so many coins.
    pub fn with_coins(count: u8) -> Wallet {
        Wallet::with_coins_of(count, COIN_VALUE)
    }

    /// The same of coins of so many base units.
    pub fn with_coins_of(count: u8, value: u64) -> Wallet {
        let mut wallet = Wallet { height: 1_000, ..Wallet::default() };
        for number in 1..=count {
            wallet.coins.insert((format!("{number:02x}").repeat(32), 0), value);
        }
        wallet
    }

    /// What breaks at the next call.
    pub fn next_break(&mut self) -> Option<Break> {
        let (at, what) = self.breaks?;
        if self.calls.len() < at {
            return None;
        }
        self.breaks = None;
        if what == Break::Node {
            self.mempool.clear();
        }
        Some(what)
    }

    /// A block takes in all that waits.
    pub fn mine(&mut self) {
        self.height += 1;
        for (txid, hex) in std::mem::take(&mut self.mempool) {
            for input in inputs(&hex) {
                self.coins.remove(&input);
                self.spent.insert(input, self.height);
            }
            self.chain.insert(txid, (self.height, hex));
        }
    }

    /// The owner spends every coin that a signed transaction needs, elsewhere, in a block.
    pub fn spend_elsewhere(&mut self, hex: &str) {
        self.height += 1;
        for input in inputs(hex) {
            assert!(self.coins.remove(&input).is_some(), "it was there");
            self.spent.insert(input, self.height);
        }
    }

    /// What the chain really paid to a script, in base units.
    pub fn paid_to(&self, script: &[u8]) -> Vec<u64> {
        let outputs = |hex: &String| Transaction::parse(&hex::decode(hex).unwrap()).unwrap().outputs;
        let all = self.chain.values().flat_map(|(_, hex)| outputs(hex));
        all.filter(|output| output.script.as_bytes() == script).map(|output| output.value).collect()
    }

    /// The answer to one request.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(bytes).expect("requests are text");
        let (_, body) = text.split_once("\r\n\r\n").expect("a request has a head");
        let call: Value = serde_json::from_str(body).expect("a request's body is JSON");
        let (id, params) = (call["id"].as_u64().unwrap(), &call["params"]);
        let method = call["method"].as_str().unwrap();
        self.calls.push(method.to_string());
        if let Some((code, words)) = self.faults.get(method) {
            return error_in_words(id, *code, words);
        }
        match self.answer(method, params) {
            Ok(result) => ok(id, &result),
            Err((code, words)) => error_in_words(id, code, words),
        }
    }

    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, (i64, &'static str)> {
        let text = |index: usize| params[index].as_str().unwrap_or_default();
        Ok(match method {
            "getblockchaininfo" => {
                json!({ "chain": "regtest", "blocks": self.height, "headers": self.height, "initialblockdownload": false })
            }
            "getbalance" => json!(self.coins.values().sum::<u64>() as f64 / 1e8),
            // Opaque to the pool: what fundrawtransaction needs to know.
            "createrawtransaction" => json!(hex::encode(params[1].to_string())),
            "fundrawtransaction" => {
                let outputs: Value = serde_json::from_slice(&hex::decode(text(0)).unwrap()).unwrap();
                let places = params[1]["changePosition"].as_u64().unwrap();
                self.fund(&outputs, places)?
            }
            "signrawtransactionwithwallet" | "signrawtransaction" => {
                self.signed.push(text(0).to_string());
                json!({ "hex": text(0), "complete": true })
            }
            "lockunspent" => json!(true),
            "sendrawtransaction" => self.send(text(0))?,
            "gettransaction" if self.mempool.contains_key(text(0)) => json!({ "confirmations": 0 }),
            "gettransaction" => match self.chain.get(text(0)) {
                Some((height, _)) => json!({
                    "confirmations": self.height - height + 1,
                    "blockhash": format!("{height:064x}"),
                }),
                None if self.is_source(text(0)) => json!({ "confirmations": 200, "blockhash": "ff".repeat(32) }),
                None => return Err((-5, "Invalid or non-wallet transaction id")),
            },
            "getblockheader" => {
                let height = u32::from_str_radix(text(0), 16).unwrap();
                json!({ "height": height, "confirmations": self.height - height + 1 })
            }
            "gettxout" => {
                let coin = (text(0).to_string(), params[1].as_u64().unwrap() as u32);
                if self.coins.contains_key(&coin) { json!({ "confirmations": 200 }) } else { Value::Null }
            }
            _ => panic!("an unexpected call: {method}"),
        })
    }

    fn is_source(&self, txid: &str) -> bool {
        self.coins.keys().chain(self.spent.keys()).any(|(source, _)| source == txid)
    }

    /// Adds coins from the first on, and change; each transaction differs from all before.
    fn fund(&mut self, outputs: &Value, change_position: u64) -> Result<Value, (i64, &'static str)> {
        let litecoin = coin("litecoin").unwrap();
        let regtest = litecoin.network("regtest").unwrap();
        let mut paid: Vec<(u64, Vec<u8>)> = Vec::new();
        for (text, amount) in outputs.as_object().unwrap() {
            let amount = edgepool::base::amount::parse_amount(amount.as_str().unwrap()).unwrap();
            paid.push((amount, address::parse(text, litecoin, regtest).unwrap().script.as_bytes().to_vec()));
        }
        // serde_json sorts keys; the pool's order is largest first, then by script.
        paid.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        assert_eq!(change_position, paid.len() as u64);
        let wanted = paid.iter().map(|(amount, _)| amount).sum::<u64>() + FEE;
        let (mut chosen, mut sum) = (Vec::new(), 0);
        for (coin, value) in &self.coins {
            if sum < wanted {
                chosen.push(coin.clone());
                sum += value;
            }
        }
        if sum < wanted {
            return Err((-4, "Insufficient funds"));
        }
        let changepos = if sum > wanted {
            paid.push((sum - wanted, [[0].as_slice(), &[20], &[0xcc; 20]].concat()));
            paid.len() as i64 - 1
        } else {
            -1
        };
        self.is_different = self.is_different.wrapping_add(1);
        let hex = serialise(&chosen, &paid, self.is_different);
        Ok(json!({ "hex": hex, "fee": FEE as f64 / 1e8, "changepos": changepos }))
    }

    fn send(&mut self, hex: &str) -> Result<Value, (i64, &'static str)> {
        self.sent.push(hex.to_string());
        let txid = txid(hex);
        if self.chain.contains_key(&txid) {
            return Err((-27, "Transaction already in block chain"));
        }
        if inputs(hex).iter().any(|input| self.spent.contains_key(input)) {
            return Err((-25, "bad-txns-inputs-missingorspent"));
        }
        let others = self.mempool.iter().filter(|(other, _)| **other != txid);
        if others.flat_map(|(_, other)| inputs(other)).any(|input| inputs(hex).contains(&input)) {
            return Err((-26, "txn-mempool-conflict"));
        }
        self.mempool.insert(txid.clone(), hex.to_string());
        Ok(json!(txid))
    }
}

pub fn txid(hex: &str) -> String {
    // These have no witness: the id is the hash of all.
    let mut hash = sha256d::Hash::hash(&hex::decode(hex).unwrap()).to_byte_array();
    hash.reverse();
    hex::encode(hash)
}

fn inputs(hex: &str) -> Vec<Coin> {
    let transaction = Transaction::parse(&hex::decode(hex).unwrap()).unwrap();
    let coin = |input: &edgepool::coin::transaction::Input| (edgepool::base::display_hash(&input.txid), input.vout);
    transaction.inputs.iter().map(coin).collect()
}

fn serialise(coins: &[Coin], outputs: &[(u64, Vec<u8>)], lock_time: u8) -> String {
    let mut out = vec![2, 0, 0, 0, coins.len() as u8];
    for (txid, vout) in coins {
        let mut txid = hex::decode(txid).unwrap();
        txid.reverse();
        out.extend(txid);
        out.extend(vout.to_le_bytes());
        out.extend([0, 0xfe, 0xff, 0xff, 0xff]);
    }
    out.push(outputs.len() as u8);
    for (value, script) in outputs {
        out.extend(value.to_le_bytes());
        out.push(script.len() as u8);
        out.extend(script);
    }
    out.extend([lock_time, 0, 0, 0]);
    hex::encode(out)
}
