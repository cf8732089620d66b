//! Blocks and their transactions as a coin node tells them, call by call. Only reads.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::whole_block::WholeBlock;
use crate::base::amount::parse_amount;
use crate::coin::script::Script;
use crate::pool::spec::{ChainSpec, NodeSpec};
use crate::shell::http_call::{self, CallError};
use crate::shell::secrets::Secret;

/// `getblockhash` beyond the tip.
const OUT_OF_RANGE: i64 = -8;
/// How nodes refuse a parameter of a kind that they don't know.
const MISC: i64 = -1;
const TYPE: i64 = -3;
const INVALID_PARAMS: i64 = -32602;
/// The opcode that makes an output unspendable.
const OP_RETURN: u8 = 0x6a;

/// Why something could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The node does not answer any more.
    Lost(String),
    /// Its answer is not what it should be.
    Answer(String),
    /// The file that holds its login can't be read.
    Login(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Lost(what) => write!(f, "the node does not answer: {what}"),
            ReadError::Answer(what) => write!(f, "the node's answer: {what}"),
            ReadError::Login(what) => f.write_str(what),
        }
    }
}

/// Why no node of a chain can be asked.
#[derive(Debug)]
pub(super) struct Unreachable {
    /// What is wrong with each of them.
    why: String,
    /// None of them answers anything.
    is_silent: bool,
}

impl Unreachable {
    /// Whether the chain is not mined any more and its nodes are gone: what it was can't be looked at, for good.
    pub(super) fn is_of_retired(&self, spec: &ChainSpec) -> bool {
        self.is_silent && !spec.mine
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no node can be asked: {}", self.why)
    }
}

/// One output of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    /// Whom it pays.
    pub(super) script: Script,
    /// In base units.
    pub(super) amount: u64,
}

impl Output {
    /// Whether it pays nobody and only says something.
    pub(super) fn is_commitment(&self) -> bool {
        self.amount == 0 && self.script.as_bytes().first() == Some(&OP_RETURN)
    }
}

/// A coinbase.
#[derive(Clone, Debug)]
pub(super) struct ReadTransaction {
    /// The script of its only input, which is free; `None` where the transaction is no coinbase.
    pub(super) coinbase: Option<Vec<u8>>,
    /// What it pays.
    pub(super) outputs: Vec<Output>,
}

/// A block.
#[derive(Clone, Debug)]
pub(super) struct ReadBlock {
    /// When it was made, by its own word, in seconds since 1970.
    pub(super) time_s: u64,
    /// Its target, as its header has it.
    pub(super) bits: u32,
    /// Its first transaction.
    pub(super) first: ReadTransaction,
}

/// A connection to the first node of a chain that answers and is in sync.
pub(super) struct ChainReader {
    node: NodeSpec,
    authorization: Option<String>,
    /// Height of the node's tip when the reading began.
    pub(super) tip: u32,
    hashes: BTreeMap<u32, Option<String>>,
    /// Whether blocks of the coin may be merge-mined.
    has_auxpow: bool,
    /// Whether the node gives blocks as bytes only.
    tells_bytes: Cell<bool>,
}

/// A block as a node tells it.
enum Told {
    Text(Box<RawValue>),
    Whole(WholeBlock),
}

impl ChainReader {
    /// Tries the nodes in turn; the error says what is wrong with each.
    pub(super) fn connect(spec: &ChainSpec, secrets: &[Secret]) -> Result<ChainReader, Unreachable> {
        let (mut reasons, mut is_silent) = (Vec::new(), true);
        for (node, secret) in spec.nodes.iter().zip(secrets) {
            match ChainReader::try_connect(node, secret, spec.coin.auxpow.is_some()) {
                Ok(reader) => return Ok(reader),
                Err(error) => {
                    is_silent &= error.is_silent;
                    reasons.push(error.why);
                }
            }
        }
        Err(Unreachable { why: reasons.join("; "), is_silent })
    }

    fn try_connect(node: &NodeSpec, secret: &Secret, has_auxpow: bool) -> Result<ChainReader, Unreachable> {
        let silent = |what: String| {
            let why = format!("{what}; check that the node runs, and its url in the configuration");
            Unreachable { why, is_silent: true }
        };
        let wrong = |why: String| Unreachable { why, is_silent: false };
        let authorization = authorization(node, secret).map_err(|error| match error {
            ReadError::Lost(what) => silent(what),
            error => wrong(error.to_string()),
        })?;
        let mut reader = ChainReader {
            node: node.clone(),
            authorization,
            tip: 0,
            hashes: BTreeMap::new(),
            has_auxpow,
            tells_bytes: Cell::new(false),
        };
        let info = reader.call("getblockchaininfo", json!([])).map_err(|error| match error {
            CallError::Connection(what) => silent(what),
            CallError::Answer(what) => wrong(format!("{what}; check the node's url and login in the configuration")),
            CallError::Rpc { code, message } => wrong(format!("{}: {message} ({code})", node.url)),
        })?;
        let info: Value = serde_json::from_str(info.get()).map_err(|error| wrong(format!("{}: {error}", node.url)))?;
        let height = |name: &str| info[name].as_u64().and_then(|height| u32::try_from(height).ok());
        let (Some(blocks), Some(headers)) = (height("blocks"), height("headers")) else {
            return Err(wrong(format!("{} does not say how high its chain is", node.url)));
        };
        if info["initialblockdownload"] == true || blocks < headers {
            return Err(wrong(format!("{} is at block {blocks} of {headers}", node.url)));
        }
        reader.tip = blocks;
        Ok(reader)
    }

    /// The node that is asked, without credentials.
    pub(super) fn url(&self) -> &str {
        &self.node.url
    }

    /// The hash of the main chain's block at a height; `None` beyond its tip.
    pub(super) fn hash_at(&mut self, height: u32) -> Result<Option<String>, ReadError> {
        if let Some(hash) = self.hashes.get(&height) {
            return Ok(hash.clone());
        }
        let hash = match self.call("getblockhash", json!([height])) {
            Ok(answer) => Some(parsed::<String>(&answer)?),
            Err(CallError::Rpc { code: OUT_OF_RANGE, .. }) => None,
            Err(error) => return Err(read_error(error)),
        };
        self.hashes.insert(height, hash.clone());
        Ok(hash)
    }

    /// What the coinbase of a block pays.
    pub(super) fn coinbase(&self, hash: &str) -> Result<Vec<Output>, ReadError> {
        Ok(self.read_block(hash)?.first.outputs)
    }

    /// A block and its coinbase.
    pub(super) fn read_block(&self, hash: &str) -> Result<ReadBlock, ReadError> {
        let text = match self.block(hash)? {
            Told::Whole(block) => return Ok(block.head),
            Told::Text(text) => text,
        };
        let block: RawBlock = parsed(&text)?;
        let first = block.tx.first().ok_or_else(|| ReadError::Answer(format!("block {hash} is empty")))?;
        let bits = u32::from_str_radix(&block.bits, 16)
            .map_err(|error| ReadError::Answer(format!("bits of block {hash}: {error}")))?;
        Ok(ReadBlock { time_s: block.time, bits, first: read_transaction(first)? })
    }

    /// When the main chain's block at a height was made, by its own word, in seconds since 1970.
    pub(super) fn time_at(&self, height: u32) -> Result<u64, ReadError> {
        let hash = self.call("getblockhash", json!([height])).map_err(read_error)?;
        let header = self.call("getblockheader", json!([parsed::<String>(&hash)?])).map_err(read_error)?;
        Ok(parsed::<RawHeader>(&header)?.time)
    }

    /// What a transaction of a block pays; `None` when it is not there.
    pub(super) fn transaction(&self, block: &str, txid: &str) -> Result<Option<Vec<Output>>, ReadError> {
        let text = match self.block(block)? {
            Told::Whole(block) => {
                return Ok(block.transactions().find(|(name, _)| name == txid).map(|(_, outputs)| outputs));
            }
            Told::Text(text) => text,
        };
        let block: RawBlock = parsed(&text)?;
        for transaction in block.tx {
            let Name { txid: name } = parsed(transaction)?;
            if name == txid {
                return Ok(Some(read_transaction(transaction)?.outputs));
            }
        }
        Ok(None)
    }

    /// Id and outputs of a block's first transaction whose outputs are so; `None` when there is none.
    pub(super) fn transaction_where(
        &self,
        block: &str,
        is_wanted: impl Fn(&[Output]) -> bool,
    ) -> Result<Option<(String, Vec<Output>)>, ReadError> {
        let text = match self.block(block)? {
            Told::Whole(block) => return Ok(block.transactions().find(|(_, outputs)| is_wanted(outputs))),
            Told::Text(text) => text,
        };
        let block: RawBlock = parsed(&text)?;
        for transaction in block.tx {
            let ReadTransaction { outputs, .. } = read_transaction(transaction)?;
            if is_wanted(&outputs) {
                let Name { txid } = parsed(transaction)?;
                return Ok(Some((txid, outputs)));
            }
        }
        Ok(None)
    }

    /// A block with its transactions. A node that can't tell those (Dogecoin Core before 1.14.7 knows no verbosity 2) is
    /// asked for the bytes.
    fn block(&self, hash: &str) -> Result<Told, ReadError> {
        if !self.tells_bytes.get() {
            match self.call("getblock", json!([hash, 2])) {
                Ok(text) => return Ok(Told::Text(text)),
                Err(CallError::Rpc { code: MISC | TYPE | INVALID_PARAMS, .. }) => self.tells_bytes.set(true),
                Err(error) => return Err(read_error(error)),
            }
        }
        let text: String = parsed(&self.call("getblock", json!([hash, false])).map_err(read_error)?)?;
        let wrong = |what: String| ReadError::Answer(format!("block {hash}: {what}"));
        let bytes = hex::decode(text).map_err(|error| wrong(error.to_string()))?;
        Ok(Told::Whole(WholeBlock::read(&bytes, self.has_auxpow).map_err(wrong)?))
    }

    fn call(&self, method: &str, params: Value) -> Result<Box<RawValue>, CallError> {
        http_call::call_raw(&self.node, self.authorization.as_deref(), method, &params)
    }
}

/// A block whose transactions are still text: their amounts are decimals, not floats.
#[derive(Deserialize)]
struct RawBlock<'j> {
    time: u64,
    bits: String,
    #[serde(borrow)]
    tx: Vec<&'j RawValue>,
}

#[derive(Deserialize)]
struct RawHeader {
    time: u64,
}

#[derive(Deserialize)]
struct Name {
    txid: String,
}

#[derive(Deserialize)]
struct RawTransaction<'j> {
    txid: String,
    vin: Vec<RawInput>,
    #[serde(borrow)]
    vout: Vec<RawOutput<'j>>,
}

#[derive(Deserialize)]
struct RawInput {
    coinbase: Option<String>,
}

#[derive(Deserialize)]
struct RawOutput<'j> {
    #[serde(borrow)]
    value: &'j RawValue,
    #[serde(rename = "scriptPubKey")]
    script: RawScript,
}

#[derive(Deserialize)]
struct RawScript {
    hex: String,
}

fn read_transaction(raw: &RawValue) -> Result<ReadTransaction, ReadError> {
    let raw: RawTransaction = parsed(raw)?;
    let bytes = |text: &str| hex::decode(text).map_err(|error| ReadError::Answer(format!("{}: {error}", raw.txid)));
    let mut outputs = Vec::with_capacity(raw.vout.len());
    for output in &raw.vout {
        let amount = parse_amount(output.value.get())
            .map_err(|error| ReadError::Answer(format!("{}: {} {error}", raw.txid, output.value)))?;
        outputs.push(Output { script: Script::from_bytes(bytes(&output.script.hex)?), amount });
    }
    let coinbase = raw.vin.first().and_then(|input| input.coinbase.as_deref()).map(bytes).transpose()?;
    Ok(ReadTransaction { coinbase, outputs })
}

/// The header by which a node is logged in at, if it asks for one; the error names the file that can't be read. A node
/// that does not run has no cookie file either: then that is the error.
pub(super) fn authorization(node: &NodeSpec, secret: &Secret) -> Result<Option<String>, ReadError> {
    let text =
        secret.credentials().map_err(|why| match http_call::call_raw(node, None, "getblockchaininfo", &json!([])) {
            Err(CallError::Connection(what)) => ReadError::Lost(what),
            _ => ReadError::Login(why),
        })?;
    Ok((!text.is_empty()).then(|| format!("Basic {}", BASE64_STANDARD.encode(text))))
}

pub(super) fn parsed<'j, T: Deserialize<'j>>(answer: &'j RawValue) -> Result<T, ReadError> {
    serde_json::from_str(answer.get()).map_err(|error| ReadError::Answer(error.to_string()))
}

pub(super) fn read_error(error: CallError) -> ReadError {
    match error {
        CallError::Connection(what) => ReadError::Lost(what),
        CallError::Answer(what) => ReadError::Answer(what),
        CallError::Rpc { code, message } => ReadError::Answer(format!("{message} ({code})")),
    }
}
