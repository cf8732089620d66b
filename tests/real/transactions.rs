//! Transactions of each kind that a block can hold, put into a node's mempool from its own wallet.

use serde_json::{Value, json};

use crate::node::Node;
use crate::place::wait_for;

/// What every transaction made here from chosen coins pays, in litoshi.
const FEE: u64 = 20_000;

impl Node {
    /// Spends a P2PKH coin to a P2PKH address: no witness at all.
    pub fn send_legacy(&self) -> String {
        self.spend("76a914", "legacy")
    }

    /// Spends a P2WPKH coin to a P2WPKH address.
    pub fn send_segwit(&self) -> String {
        self.spend("0014", "bech32")
    }

    /// Spends a P2TR coin to a P2TR address.
    pub fn send_taproot(&self) -> String {
        self.spend("5120", "bech32m")
    }

    /// Moves transparent coins into MWEB; the block needs the HogEx and MWEB data for it.
    pub fn send_peg_in(&self) -> String {
        // The wallet pays from MWEB what it can pay from there: only more than all of that takes transparent coins.
        let coins = self.ask("listunspent", json!([0]));
        let hidden = coins.as_array().unwrap().iter().filter(|coin| coin.get("scriptPubKey").is_none());
        let hidden: u64 = hidden.map(|coin| litoshi(&coin["amount"])).sum();
        let txid = self.send_to_mweb(hidden / 100_000_000 + 1);
        let entry = self.ask("getmempoolentry", json!([txid]));
        assert_ne!(entry["mweb"]["pegins"], json!([]), "a peg-in: {entry}");
        assert_ne!(entry["vsize"], 0, "a peg-in has a transparent half: {entry}");
        txid
    }

    /// Pays from MWEB to MWEB: nothing of it is among the block's transactions.
    pub fn send_within_mweb(&self) -> String {
        let txid = self.send_to_mweb(1);
        let entry = self.ask("getmempoolentry", json!([txid]));
        assert_eq!(entry["vsize"], 0, "nothing but MWEB: {entry}");
        txid
    }

    fn send_to_mweb(&self, coins: u64) -> String {
        let address = self.ask("getnewaddress", json!(["", "mweb"]));
        self.ask("sendtoaddress", json!([address, coins])).as_str().unwrap().to_owned()
    }

    fn spend(&self, script_prefix: &str, address_type: &str) -> String {
        let coins = self.ask("listunspent", json!([]));
        let coin = coins
            .as_array()
            .unwrap()
            .iter()
            .find(|coin| coin["scriptPubKey"].as_str().is_some_and(|script| script.starts_with(script_prefix)))
            .unwrap_or_else(|| panic!("the wallet has a {address_type} coin"));
        let to = self.ask("getnewaddress", json!(["", address_type]));
        let value = litoshi(&coin["amount"]) - FEE;
        let value = format!("{}.{:08}", value / 100_000_000, value % 100_000_000);
        let input = json!([{"txid": coin["txid"], "vout": coin["vout"]}]);
        let raw = self.ask("createrawtransaction", json!([input, {to.as_str().unwrap(): value}]));
        let signed = self.ask("signrawtransactionwithwallet", json!([raw]));
        assert_eq!(signed["complete"], true);
        self.ask("sendrawtransaction", json!([signed["hex"]])).as_str().unwrap().to_owned()
    }

    /// Waits until a block of this hash is in the best chain, and gives it with its transactions (`getblock` 2).
    #[track_caller]
    pub fn block_in_chain(&self, hash: &str) -> Value {
        wait_for(&format!("block {hash} in the chain of the node"), 20, || {
            self.rpc("getblock", json!([hash, 2])).ok().filter(|block| block["confirmations"].as_i64() > Some(0))
        })
    }

    /// How many blocks deep a transaction of the wallet is.
    pub fn confirmations(&self, txid: &str) -> i64 {
        self.ask("gettransaction", json!([txid]))["confirmations"].as_i64().unwrap()
    }
}

/// Whole coins, as a JSON number of the node or as a decimal string, in base units.
#[track_caller]
pub fn litoshi(amount: &Value) -> u64 {
    // Eight places of any amount below 2^53 units survive the trip through a float.
    let text = amount.as_str().map_or_else(|| format!("{:.8}", amount.as_f64().unwrap()), str::to_owned);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    assert!(fraction.len() <= 8, "more places than base units have: {text}");
    format!("{whole}{fraction:0<8}").parse().unwrap_or_else(|_| panic!("an amount: {text}"))
}
