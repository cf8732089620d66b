//! What wallets answer, read exactly: an amount is read from its digits, never through a float.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::base::amount::parse_amount;
use crate::base::{Hash32, parse_hash};
use crate::coin::encode::decode_hex;
use crate::coin::transaction::Transaction;

/// The node's own error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Such as −4.
    pub code: i64,
    /// The node's words.
    pub message: String,
}

/// The result of a call, or the node's own error.
pub(super) type Answer = Result<Box<RawValue>, Fault>;

/// No such transaction (`RPC_INVALID_ADDRESS_OR_KEY`).
pub(super) const UNKNOWN: i64 = -5;
/// Some input is missing or spent, or the node is not there yet (`RPC_TRANSACTION_ERROR`).
pub(super) const MISSING_INPUTS: i64 = -25;
/// Against the rules of the memory pool: spent there by another, among other things (`RPC_TRANSACTION_REJECTED`).
pub(super) const REJECTED: i64 = -26;
/// In the chain already (`RPC_TRANSACTION_ALREADY_IN_CHAIN`).
pub(super) const IN_CHAIN: i64 = -27;

/// No such method (`RPC_METHOD_NOT_FOUND`): another version, or a node without a wallet.
pub(super) const UNKNOWN_METHOD: i64 = -32601;

/// A method that is about to go (`RPC_METHOD_DEPRECATED`).
pub(super) const DEPRECATED: i64 = -32;

impl Fault {
    /// In words, with what to do where that is known.
    pub fn describe(&self, method: &str) -> String {
        let Fault { code, message } = self;
        let advice = match *code {
            -13 => "; unlock it with walletpassphrase",
            -18 => "; load the wallet, or name it in the URL as /wallet/NAME",
            -19 => "; name the wallet in the URL as /wallet/NAME",
            UNKNOWN_METHOD => "; the node runs without a wallet",
            _ => "",
        };
        format!("{method}: {message} ({code}){advice}")
    }
}

/// A transaction with inputs and change, not signed yet.
#[derive(Debug, Deserialize)]
pub(super) struct Funded {
    /// The transaction.
    pub hex: String,
    /// The network's fee in whole coins.
    fee: Box<RawValue>,
    /// Which output is change; −1: none.
    pub changepos: i64,
}

impl Funded {
    /// The network's fee in base units.
    pub fn fee(&self) -> Result<u64, String> {
        amount("fundrawtransaction", &self.fee)
    }
}

/// A transaction after signing.
#[derive(Debug, Deserialize)]
pub(super) struct SignedHex {
    /// The transaction.
    pub hex: String,
    /// Whether every input is signed.
    pub complete: bool,
}

/// What a wallet knows of a transaction.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    /// Blocks from its own on; 0 while it is in none; negative: so deep is one that excludes it.
    pub confirmations: i64,
    /// Its block.
    blockhash: Option<String>,
    /// Transactions of the wallet that spend a coin of it.
    #[serde(default)]
    walletconflicts: Vec<String>,
    /// The whole transaction.
    hex: Option<String>,
}

impl Found {
    /// Transactions of the wallet that spend a coin of it.
    pub fn rivals(&self) -> Vec<Hash32> {
        self.walletconflicts.iter().filter_map(|text| parse_hash(text)).collect()
    }

    /// The whole transaction.
    pub fn transaction(&self, method: &str) -> Result<Transaction, String> {
        let hex = self.hex.as_ref().ok_or_else(|| format!("{method}: the answer has no transaction"))?;
        Transaction::parse(&bytes(method, hex)?).map_err(|error| format!("{method}: {error}"))
    }

    /// Its block.
    pub fn block(&self) -> Option<Hash32> {
        parse_hash(self.blockhash.as_ref()?)
    }
}

/// What a node knows of a block.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    /// Blocks from it on; −1 off the main chain.
    pub confirmations: i64,
    /// Its height.
    pub height: u32,
}

/// Reads a result of a known shape.
pub(super) fn read<T: DeserializeOwned>(method: &str, result: &RawValue) -> Result<T, String> {
    serde_json::from_str(result.get()).map_err(|_| format!("{method}: the answer is not understood"))
}

/// Reads an amount in whole coins.
pub(super) fn amount(method: &str, result: &RawValue) -> Result<u64, String> {
    parse_amount(result.get()).map_err(|error| format!("{method}: the amount {} {error}", shorten(result.get())))
}

/// Reads hexadecimal bytes.
pub(super) fn bytes(method: &str, hex: &str) -> Result<Vec<u8>, String> {
    decode_hex(hex).ok_or_else(|| format!("{method}: the answer is not hexadecimal"))
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_string()).unwrap()
    }

    #[test]
    fn amounts_are_read_to_the_last_digit() {
        // The first is not a double, and would lose its last digit as one.
        assert_eq!(amount("getbalance", &raw("90071992.54740993")), Ok(9_007_199_254_740_993));
        assert_eq!(amount("getbalance", &raw("0.00000001")), Ok(1));
        assert_eq!(amount("getbalance", &raw("5")), Ok(500_000_000));
        for wrong in ["-1.0", "1e3", "\"1\"", "null", "0.000000001"] {
            assert!(amount("getbalance", &raw(wrong)).is_err(), "{wrong}");
        }
        let funded: Funded =
            read("fundrawtransaction", &raw(r#"{"hex":"00","fee":0.00003420,"changepos":2}"#)).unwrap();
        assert_eq!((funded.fee(), funded.changepos), (Ok(3_420), 2));
    }
}
