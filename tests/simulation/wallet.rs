//! The node of the wallet: coins and transactions as its view of the tree has them, a memory pool, locks, and
//! JSON-RPC that fails in the ways that wallets fail.

use std::collections::{BTreeMap, BTreeSet};

use edgepool::base::rng::Rng;
use serde_json::{Value, json};

use crate::bytes::{self, Coin, Hash, Tx, read, serialise, show};
use crate::node::{Reply, error, http, ok, request};
use crate::tree::Tree;

/// Pays the wallet.
const CHANGE: [u8; 25] = script(0xcc);
/// Pays somebody else altogether.
pub const FOREIGN: [u8; 25] = script(0xf0);

/// A pay-to-public-key-hash script.
pub const fn script(number: u8) -> [u8; 25] {
    let mut script = [number; 25];
    (script[0], script[1], script[2], script[23], script[24]) = (0x76, 0xa9, 20, 0x88, 0xac);
    script
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    Refused,
    Silent,
    Busy,
    /// What is asked is done, and some answers never come: never that to a transaction.
    LostAnswers,
    /// −13 to what needs keys.
    Locked,
    /// −28 to everything.
    Warming,
    /// Headers are ahead of blocks.
    Behind,
    /// Every transaction is refused as if its inputs were missing.
    Ambiguous,
    /// The fee is above every bound.
    Dear,
}

/// The wallet's coins and transactions on one branch.
#[derive(Default)]
pub struct State {
    /// Every unspent output, with its value and whether the wallet may spend it now.
    pub coins: BTreeMap<Coin, (u64, bool)>,
    /// Which transaction spends a coin, and at which height.
    pub spent: BTreeMap<Coin, (Hash, u32)>,
    /// Height and block by transaction.
    pub confirmed: BTreeMap<Hash, (u32, Hash)>,
}

pub struct Wallet {
    pub view: Hash,
    pub trouble: Trouble,
    pub is_open: bool,
    /// The fee comes off the outputs.
    pub receivers_pay: bool,
    /// Every transaction that anybody ever had.
    pub txs: BTreeMap<Hash, Tx>,
    /// Those that miners of the network know.
    pub broadcast: BTreeSet<Hash>,
    pub mempool: BTreeSet<Hash>,
    /// Bytes of every transaction that came to be sent, with its id.
    pub sent: Vec<(Hash, Vec<u8>)>,
    /// How deep it has said that a transaction is, at most.
    pub deepest: BTreeMap<Hash, u32>,
    /// Codes that sending was answered with.
    pub codes: BTreeSet<i64>,
    known: BTreeSet<Hash>,
    locked: BTreeSet<Coin>,
    float: BTreeMap<Coin, u64>,
    addresses: BTreeMap<String, Vec<u8>>,
    pool_script: Vec<u8>,
    maturity: u32,
    rng: Rng,
}

impl Wallet {
    pub fn new(
        view: Hash,
        pool_script: Vec<u8>,
        addresses: BTreeMap<String, Vec<u8>>,
        maturity: u32,
        seed: u64,
    ) -> Wallet {
        Wallet {
            view,
            trouble: Trouble::None,
            is_open: false,
            receivers_pay: false,
            txs: BTreeMap::new(),
            broadcast: BTreeSet::new(),
            mempool: BTreeSet::new(),
            sent: Vec::new(),
            deepest: BTreeMap::new(),
            codes: BTreeSet::new(),
            known: BTreeSet::new(),
            locked: BTreeSet::new(),
            float: BTreeMap::new(),
            addresses,
            pool_script,
            maturity,
            rng: Rng::new(seed),
        }
    }

    /// Somebody gives the wallet a coin that was always there.
    pub fn give(&mut self, value: u64) {
        let number = self.float.len() as u8 + 1;
        self.float.insert(([number; 32], 0), value);
    }

    /// Follows the network; transactions of blocks that are gone are back in the memory pool.
    pub fn sync(&mut self, tree: &Tree) {
        if tree.height(&tree.tip) > tree.height(&self.view) {
            self.view = tree.tip;
        }
        let state = self.state(tree, &self.view);
        self.known.extend(state.confirmed.keys());
        let fits = |tx: &Tx, pool: &BTreeSet<Coin>| {
            !state.confirmed.contains_key(&tx.id)
                && tx.inputs.iter().all(|coin| state.coins.contains_key(coin) && !pool.contains(coin))
        };
        let mut taken = BTreeSet::new();
        let mut kept = BTreeSet::new();
        let candidates: Vec<Hash> = self.mempool.iter().chain(&self.broadcast).copied().collect();
        for id in candidates {
            let tx = &self.txs[&id];
            if !kept.contains(&id) && fits(tx, &taken) {
                taken.extend(tx.inputs.iter().copied());
                kept.insert(id);
            }
        }
        self.mempool = kept;
    }

    /// The process died: what is in memory alone is gone.
    pub fn crash(&mut self) {
        self.mempool.clear();
        self.locked.clear();
    }

    pub fn state(&self, tree: &Tree, tip: &Hash) -> State {
        let mut state = State::default();
        state.coins.extend(self.float.iter().map(|(coin, value)| (*coin, (*value, true))));
        let tip_height = tree.height(tip);
        let mut blocks: Vec<_> = tree.branch(tip).collect();
        blocks.reverse();
        for (hash, block) in blocks {
            if let Some(coinbase) = &block.own {
                let is_mature = tip_height + 1 >= block.height + self.maturity;
                for (vout, (value, script)) in coinbase.outputs.iter().enumerate() {
                    if *script == self.pool_script && *value > 0 {
                        state.coins.insert((coinbase.id, vout as u32), (*value, is_mature));
                    }
                }
            }
            for id in &block.txs {
                let tx = &self.txs[id];
                for coin in &tx.inputs {
                    let coin_was = state.coins.remove(coin);
                    assert!(coin_was.is_some(), "the network takes valid transactions only");
                    state.spent.insert(*coin, (*id, block.height));
                }
                for (vout, (value, script)) in tx.outputs.iter().enumerate() {
                    let is_ours = script[..] == CHANGE;
                    state.coins.insert((*id, vout as u32), (*value, is_ours));
                }
                state.confirmed.insert(*id, (block.height, hash));
            }
        }
        state
    }

    /// Transactions that a block on `parent` may take in.
    pub fn minable(&mut self, tree: &Tree, parent: &Hash) -> Vec<Hash> {
        let mut state = self.state(tree, parent);
        let mut chosen = Vec::new();
        // Miners choose as they like.
        let mut waiting: Vec<Hash> = self.broadcast.iter().copied().collect();
        while !waiting.is_empty() {
            let id = &waiting.swap_remove(self.rng.below(waiting.len() as u64) as usize);
            let inputs = &self.txs[id].inputs;
            if !state.confirmed.contains_key(id) && inputs.iter().all(|coin| state.coins.contains_key(coin)) {
                state.coins.retain(|coin, _| !inputs.contains(coin));
                chosen.push(*id);
            }
        }
        chosen
    }

    /// Another transaction spends a coin of this one.
    pub fn spend_elsewhere(&mut self, id: &Hash, into_mempool: bool) -> Hash {
        let coin = self.txs[id].inputs[0];
        let lock_time = self.rng.next_u64() as u32;
        let tx = bytes::transaction(&serialise(&[coin], &[(1_000, FOREIGN.to_vec())], lock_time));
        let foreign = tx.id;
        self.txs.insert(foreign, tx);
        self.broadcast.insert(foreign);
        if into_mempool {
            self.mempool.remove(id);
            self.mempool.insert(foreign);
        }
        foreign
    }

    /// Answers one request; gives its method too.
    pub fn receive(&mut self, bytes: &[u8], tree: &Tree) -> (String, Reply) {
        let (id, method, params) = request(bytes);
        let needs_keys = method.starts_with("sign");
        match self.trouble {
            Trouble::Silent => return (method, Reply::Nothing),
            Trouble::Busy => return (method, Reply::Bytes(http(500, "Work queue depth exceeded"))),
            Trouble::Warming => return (method, Reply::Bytes(error(id, -28, "Loading wallet…"))),
            Trouble::Locked if needs_keys => {
                return (method, Reply::Bytes(error(id, -13, "Please enter the wallet passphrase")));
            }
            _ => {}
        }
        let bytes = match self.answer(&method, &params, tree) {
            Ok(result) => ok(id, &result),
            Err((code, words)) => error(id, code, words),
        };
        let is_lost =
            self.trouble == Trouble::LostAnswers && (method == "sendrawtransaction" || self.rng.below(8) == 0);
        (method, if is_lost { Reply::Broken(Vec::new()) } else { Reply::Bytes(bytes) })
    }

    fn answer(&mut self, method: &str, params: &Value, tree: &Tree) -> Result<Value, (i64, &'static str)> {
        let text = |index: usize| params[index].as_str().unwrap_or_default();
        let state = self.state(tree, &self.view);
        let height = tree.height(&self.view);
        Ok(match method {
            "getblockchaininfo" => {
                let ahead = if self.trouble == Trouble::Behind { 5 } else { 0 };
                json!({ "chain": "regtest", "blocks": height, "headers": height + ahead, "initialblockdownload": false })
            }
            "getbalance" => {
                let sum: u64 = self.spendable(&state).iter().map(|(_, value)| value).sum();
                serde_json::from_str(&coins(sum)).unwrap()
            }
            "createrawtransaction" => json!(hex::encode(params[1].to_string())),
            "fundrawtransaction" => self.fund(&hex::decode(text(0)).unwrap(), &params[1], &state)?,
            "signrawtransactionwithwallet" | "signrawtransaction" => {
                let tx = bytes::transaction(&hex::decode(text(0)).unwrap());
                self.txs.insert(tx.id, tx);
                json!({ "hex": text(0), "complete": true })
            }
            "lockunspent" => {
                for coin in params[1].as_array().unwrap() {
                    let coin = (read(coin["txid"].as_str().unwrap()).unwrap(), coin["vout"].as_u64().unwrap() as u32);
                    if params[0] == true {
                        self.locked.remove(&coin)
                    } else {
                        self.locked.insert(coin)
                    };
                }
                json!(true)
            }
            "sendrawtransaction" => {
                let sent = self.send(hex::decode(text(0)).unwrap(), &state);
                self.codes.extend(sent.as_ref().err().map(|(code, _)| *code));
                sent?
            }
            "gettransaction" => self.find(&read(text(0)).unwrap(), &state, tree)?,
            "getblockheader" => {
                let hash = read(text(0)).unwrap();
                let block = tree.get(&hash).ok_or((-5, "Block not found"))?;
                let depth = if tree.holds(&self.view, &hash) { i64::from(height - block.height) + 1 } else { -1 };
                json!({ "height": block.height, "confirmations": depth })
            }
            "gettxout" => {
                let coin = (read(text(0)).unwrap(), params[1].as_u64().unwrap() as u32);
                if state.coins.contains_key(&coin) { json!({ "confirmations": 1 }) } else { Value::Null }
            }
            _ => panic!("an unexpected call: {method}"),
        })
    }

    fn spendable(&self, state: &State) -> Vec<(Coin, u64)> {
        let taken: BTreeSet<Coin> = self.mempool.iter().flat_map(|id| self.txs[id].inputs.clone()).collect();
        let free = |coin: &Coin| !taken.contains(coin) && !self.locked.contains(coin);
        let ours = state.coins.iter().filter(|(coin, (_, is_ours))| *is_ours && free(coin));
        ours.map(|(coin, (value, _))| (*coin, *value)).collect()
    }

    /// Adds coins by chance, and change.
    fn fund(&mut self, outputs: &[u8], options: &Value, state: &State) -> Result<Value, (i64, &'static str)> {
        let outputs: Value = serde_json::from_slice(outputs).unwrap();
        let mut paid: Vec<(u64, Vec<u8>)> = Vec::new();
        for (address, amount) in outputs.as_object().unwrap() {
            let amount = amount.as_str().unwrap().replace('.', "").parse().unwrap();
            paid.push((amount, self.addresses[address].clone()));
        }
        // JSON keys come sorted; the pool's order is largest first, then by script.
        paid.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        assert_eq!(options["changePosition"], paid.len());
        assert_eq!(options["subtractFeeFromOutputs"].is_array(), self.receivers_pay);
        let fee = if self.trouble == Trouble::Dear { 1_000_000 } else { 1_000 + self.rng.below(5_000) };
        let sum: u64 = paid.iter().map(|(amount, _)| amount).sum();
        let wanted = if self.receivers_pay { sum } else { sum + fee };
        let mut free = self.spendable(state);
        let (mut chosen, mut has) = (Vec::new(), 0);
        while has < wanted && !free.is_empty() {
            let (coin, value) = free.swap_remove(self.rng.below(free.len() as u64) as usize);
            chosen.push(coin);
            has += value;
        }
        if has < wanted {
            return Err((-4, "Insufficient funds"));
        }
        if self.receivers_pay {
            let count = paid.len() as u64;
            for (index, (amount, _)) in paid.iter_mut().enumerate() {
                let part = fee / count + if index == 0 { fee % count } else { 0 };
                *amount = amount.checked_sub(part).filter(|left| *left > 6_000).ok_or((-4, "amount is too small"))?;
            }
        }
        let changepos = if has > wanted { paid.len() as i64 } else { -1 };
        if has > wanted {
            paid.push((has - wanted, CHANGE.to_vec()));
        }
        let hex = hex::encode(serialise(&chosen, &paid, self.rng.next_u64() as u32));
        let fee: Value = serde_json::from_str(&coins(fee)).unwrap();
        Ok(json!({ "hex": hex, "fee": fee, "changepos": changepos }))
    }

    fn send(&mut self, bytes: Vec<u8>, state: &State) -> Result<Value, (i64, &'static str)> {
        let tx = bytes::transaction(&bytes);
        self.sent.push((tx.id, bytes));
        if self.trouble == Trouble::Ambiguous {
            return Err((-25, "bad-txns-inputs-missingorspent"));
        }
        if state.confirmed.contains_key(&tx.id) {
            return Err((-27, "Transaction already in block chain"));
        }
        if tx.inputs.iter().any(|coin| !state.coins.contains_key(coin)) {
            return Err((-25, "bad-txns-inputs-missingorspent"));
        }
        let others = self.mempool.iter().filter(|other| **other != tx.id);
        if others.flat_map(|other| &self.txs[other].inputs).any(|coin| tx.inputs.contains(coin)) {
            return Err((-26, "txn-mempool-conflict"));
        }
        self.known.insert(tx.id);
        self.mempool.insert(tx.id);
        self.broadcast.insert(tx.id);
        Ok(json!(show(&tx.id)))
    }

    fn find(&mut self, id: &Hash, state: &State, tree: &Tree) -> Result<Value, (i64, &'static str)> {
        let tip = tree.height(&self.view);
        if self.float.keys().any(|(source, _)| source == id) {
            return Ok(json!({ "confirmations": 500, "blockhash": "00".repeat(32) }));
        }
        let coinbase = |block: &crate::tree::Block| block.own.as_ref().is_some_and(|coinbase| coinbase.id == *id);
        if let Some((hash, block)) = tree.branch(&self.view).find(|(_, block)| coinbase(block)) {
            return Ok(json!({ "confirmations": tip - block.height + 1, "blockhash": show(&hash) }));
        }
        if let Some((height, block)) = state.confirmed.get(id) {
            let deepest = self.deepest.entry(*id).or_default();
            *deepest = (*deepest).max(tip - height + 1);
            return Ok(json!({ "confirmations": tip - height + 1, "blockhash": show(block) }));
        }
        let tx = self.txs.get(id).filter(|_| self.known.contains(id)).ok_or((-5, "Invalid transaction id"))?;
        let excluded = tx.inputs.iter().filter_map(|coin| state.spent.get(coin)).map(|(_, height)| *height).min();
        Ok(json!({ "confirmations": excluded.map_or(0, |height| -i64::from(tip - height + 1)) }))
    }
}

/// Base units in whole coins.
fn coins(units: u64) -> String {
    format!("{}.{:08}", units / 100_000_000, units % 100_000_000)
}
