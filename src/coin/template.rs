//! A node's block template (getblocktemplate: BIP 22, 23, 145), read once into what a job needs. Refuses what this
//! pool could not make a valid block of, and never trusts that the coinbase still fits: [`Template::fit`] sees to it.

use super::{
    block::HEADER,
    coinbase::COMMITMENT_TAG,
    difficulty::Target,
    encode::{decode_hex, varint_len},
    merkle,
    params::{AuxPow, Coin},
    uint::U256,
};
use crate::base::{Hash32, parse_hash};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt, rc::Rc};

/// What to build the next block from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The header's version; bit 31 is clear.
    pub version: u32,
    /// The block to build on.
    pub prev_hash: Hash32,
    /// The height of the block to be built.
    pub height: u32,
    /// The header's bits.
    pub bits: u32,
    /// The target that `bits` stands for.
    pub target: Target,
    /// The node's time when it made the template, in seconds since 1970.
    pub curtime: u32,
    /// The earliest header time that is valid, in seconds since 1970.
    pub mintime: u32,
    /// What the coinbase may pay: subsidy and fees, in base units.
    pub value: u64,
    /// Everything but the coinbase, in block order.
    pub transactions: Vec<TemplateTx>,
    /// Whether the coinbase must commit to the witnesses: segwit is active.
    pub has_commitment: bool,
    /// The extension block, where it is active.
    pub mweb: Option<Vec<u8>>,
    /// Most weight of a block; `None` before segwit.
    pub weight_limit: Option<u64>,
    /// Most bytes of a block, the extension block not counted.
    pub size_limit: Option<u64>,
    /// Most signature operations of a block, in the unit of the transactions' counts.
    pub sigop_limit: Option<u64>,
    /// What a long poll is asked with.
    pub long_poll_id: String,
    /// The id of the block, where the node made it itself and keeps it (createauxblock): then there is nothing to build.
    pub node_block: Option<Hash32>,
}

/// A transaction of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateTx {
    /// The bytes that go in the block. Templates that follow each other have most of them in common.
    pub data: Rc<[u8]>,
    /// Its id.
    pub txid: Hash32,
    /// Its id with witness.
    pub wtxid: Hash32,
    /// What it pays, in base units.
    pub fee: u64,
    /// Weight units.
    pub weight: u64,
    /// Signature operations; times four once segwit is active.
    pub sigops: u64,
    /// Places of earlier transactions it needs, the first being 1.
    pub depends: Vec<u32>,
    /// The HogEx or one of its peg-ins: the extension block is only valid with them, so they are never dropped.
    pub pinned: bool,
}

/// Why a template can't be mined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// Not a JSON object, or a member is missing; in serde_json's words.
    Json(String),
    /// A member holds something that makes no sense.
    Invalid {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A member of the transaction at this place, the first being 1, is not what it should be.
    InvalidTransaction(usize, &'static str),
    /// The network demands a rule that is not known here.
    UnknownRule(String),
    /// The node's blocks have this chain id, and the coin's have another one.
    ChainId {
        /// The node's.
        found: u32,
        /// The coin's.
        expected: u32,
    },
    /// The version has its highest bit set or doesn't fit 32 bits: no proof of work known here.
    Version(i64),
    /// MWEB is active, and the HogEx or the extension block is not there.
    MwebMissing,
    /// The node's witness commitment is not the one that its transactions have.
    Commitment,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::Json(reason) => write!(f, "the template can't be read: {reason}"),
            TemplateError::Invalid { member, reason } => write!(f, "the template's {member} is invalid: {reason}"),
            TemplateError::InvalidTransaction(place, field) => {
                write!(f, "the {field} of the template's transaction {place} is invalid")
            }
            TemplateError::UnknownRule(rule) => {
                write!(f, "the network demands the rule \"{rule}\", which this version does not know: upgrade edgepool")
            }
            TemplateError::Version(version) => {
                write!(f, "the block version {version:#x} belongs to another proof of work: check which node this is")
            }
            TemplateError::ChainId { found, expected } => {
                write!(f, "the node's chain id is {found}, the coin's is {expected}: check which node this is")
            }
            TemplateError::MwebMissing => {
                f.write_str("the template has no HogEx transaction with its extension block: upgrade the node")
            }
            TemplateError::Commitment => {
                f.write_str("the node's witness commitment does not match its transactions: check the node")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

/// The members that are read, each parsed on its own afterwards so that an error can name it.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    version: &'a RawValue,
    #[serde(borrow)]
    rules: Option<&'a RawValue>,
    #[serde(borrow)]
    previousblockhash: &'a RawValue,
    #[serde(borrow)]
    transactions: &'a RawValue,
    #[serde(borrow)]
    coinbasevalue: &'a RawValue,
    #[serde(borrow)]
    longpollid: &'a RawValue,
    #[serde(borrow)]
    target: Option<&'a RawValue>,
    #[serde(borrow)]
    mintime: &'a RawValue,
    #[serde(borrow)]
    curtime: &'a RawValue,
    #[serde(borrow)]
    sigoplimit: Option<&'a RawValue>,
    #[serde(borrow)]
    sizelimit: Option<&'a RawValue>,
    #[serde(borrow)]
    weightlimit: Option<&'a RawValue>,
    #[serde(borrow)]
    bits: &'a RawValue,
    #[serde(borrow)]
    height: &'a RawValue,
    #[serde(borrow)]
    default_witness_commitment: Option<&'a RawValue>,
    #[serde(borrow)]
    mweb: Option<&'a RawValue>,
}

/// Hexadecimal is borrowed: a full template has megabytes of it.
#[derive(Deserialize)]
struct RawTx<'a> {
    data: &'a str,
    txid: &'a str,
    hash: &'a str,
    depends: Vec<u32>,
    fee: u64,
    sigops: u64,
    weight: u64,
}

impl Template {
    /// Reads the `result` member of a getblocktemplate answer.
    pub fn parse(result: &[u8], coin: &'static Coin) -> Result<Template, TemplateError> {
        let raw: Raw = serde_json::from_slice(result).map_err(|error| TemplateError::Json(error.to_string()))?;
        let rules: Vec<Cow<str>> = optional("rules", raw.rules)?.unwrap_or_default();
        let has_rule = |name: &str| rules.iter().any(|rule| rule.strip_prefix('!').unwrap_or(rule) == name);
        // First of all: what an unknown rule changes may be the meaning of everything else.
        for demanded in rules.iter().filter_map(|rule| rule.strip_prefix('!')) {
            if !coin.known_rules.contains(&demanded) {
                return Err(TemplateError::UnknownRule(demanded.to_string()));
            }
        }
        let version: i64 = member("version", raw.version)?;
        let bits = parse_bits(member("bits", raw.bits)?)?;
        let target = Target::from_compact(bits).ok_or_else(|| invalid("bits", "not a target"))?;
        if let Some(given) = optional("target", raw.target)?
            && parse_hash(given).map(|hash| U256::from_le_bytes(&hash)) != Some(target.value())
        {
            return Err(invalid("target", "not the one that bits stands for"));
        }
        let height: u32 = member("height", raw.height)?;
        if height == 0 || height >> 31 != 0 {
            return Err(invalid("height", "not between 1 and 2^31"));
        }
        let prev_hash = parse_hash(member("previousblockhash", raw.previousblockhash)?);
        if raw.mweb.is_some() && !coin.mweb {
            return Err(invalid("mweb", "this coin has no extension block: check which node this is"));
        }
        let mweb = optional::<&str>("mweb", raw.mweb)?
            .map(|text| decode_hex(text).ok_or_else(|| invalid("mweb", "not hexadecimal")));
        let version =
            u32::try_from(version).ok().filter(|bits| bits >> 31 == 0).ok_or(TemplateError::Version(version))?;
        coin.check_chain_id(version >> 16)?;
        let mut template = Template {
            version,
            prev_hash: prev_hash.ok_or_else(|| invalid("previousblockhash", "not 64 hexadecimal digits"))?,
            height,
            bits,
            target,
            curtime: member("curtime", raw.curtime)?,
            mintime: member("mintime", raw.mintime)?,
            value: member("coinbasevalue", raw.coinbasevalue)?,
            transactions: parse_transactions(&member::<Vec<RawTx>>("transactions", raw.transactions)?)?,
            has_commitment: coin.segwit && has_rule("segwit"),
            mweb: mweb.transpose()?,
            weight_limit: optional("weightlimit", raw.weightlimit)?,
            size_limit: optional("sizelimit", raw.sizelimit)?,
            sigop_limit: optional("sigoplimit", raw.sigoplimit)?,
            long_poll_id: member("longpollid", raw.longpollid)?,
            node_block: None,
        };
        let fees = template.transactions.iter().try_fold(0u64, |sum, transaction| sum.checked_add(transaction.fee));
        if fees.is_none_or(|fees| fees > template.value) {
            return Err(invalid("coinbasevalue", "less than the fees"));
        }
        template.pin_hogex(coin.mweb && has_rule("mweb"))?;
        let given: Option<&str> = optional("default_witness_commitment", raw.default_witness_commitment)?;
        if given.is_some_and(|given| !template.commits_to(given)) {
            return Err(TemplateError::Commitment);
        }
        Ok(template)
    }

    /// Keeps the bytes of a transaction that `before` has as well only once.
    pub fn share_with(&mut self, before: &Template) {
        let known: BTreeMap<&Hash32, &Rc<[u8]>> =
            before.transactions.iter().map(|transaction| (&transaction.wtxid, &transaction.data)).collect();
        for transaction in &mut self.transactions {
            // The ids are the node's word; what goes in the block is compared.
            if let Some(data) = known.get(&transaction.wtxid)
                && **data == transaction.data
            {
                transaction.data = Rc::clone(data);
            }
        }
    }

    /// What the coinbase must commit to, where it must.
    pub fn commitment(&self) -> Option<Hash32> {
        self.has_commitment.then(|| self.witness_commitment())
    }

    /// The merkle branch of the coinbase.
    pub fn branch(&self) -> Vec<Hash32> {
        let txids: Vec<Hash32> = self.transactions.iter().map(|transaction| transaction.txid).collect();
        merkle::branch(&txids)
    }

    fn witness_commitment(&self) -> Hash32 {
        let wtxids: Vec<Hash32> = self.transactions.iter().map(|transaction| transaction.wtxid).collect();
        merkle::witness_commitment(&wtxids)
    }

    /// Whether `script` (hexadecimal) is the output script that commits to these transactions.
    fn commits_to(&self, script: &str) -> bool {
        let ours = [COMMITMENT_TAG.as_slice(), &self.witness_commitment()].concat();
        hex::decode(script).is_ok_and(|given| given == ours)
    }

    /// Marks what the extension block needs; with MWEB active the HogEx is the last transaction.
    fn pin_hogex(&mut self, mweb_active: bool) -> Result<(), TemplateError> {
        let hogex = self.transactions.last_mut().filter(|last| is_hogex(&last.data));
        if !mweb_active && hogex.is_none() && self.mweb.is_none() {
            return Ok(());
        }
        let Some(hogex) = hogex.filter(|_| self.mweb.as_ref().is_some_and(|mweb| !mweb.is_empty())) else {
            return Err(TemplateError::MwebMissing);
        };
        hogex.pinned = true;
        let peg_ins = hogex.depends.clone();
        for place in peg_ins {
            self.transactions[place as usize - 1].pinned = true;
        }
        Ok(())
    }
}

/// Whether a transaction is the HogEx: marker 0 and flag 8 after its version (LIP 2).
fn is_hogex(data: &[u8]) -> bool {
    matches!(data, [_, _, _, _, 0, 8, ..])
}

pub(super) fn invalid(member: &'static str, reason: &str) -> TemplateError {
    TemplateError::Invalid { member, reason: reason.to_string() }
}

pub(super) fn member<'a, T: Deserialize<'a>>(name: &'static str, raw: &'a RawValue) -> Result<T, TemplateError> {
    serde_json::from_str(raw.get()).map_err(|error| invalid(name, &error.to_string()))
}

pub(super) fn optional<'a, T: Deserialize<'a>>(
    name: &'static str,
    raw: Option<&'a RawValue>,
) -> Result<Option<T>, TemplateError> {
    raw.map(|raw| member(name, raw)).transpose()
}

pub(super) fn parse_bits(text: &str) -> Result<u32, TemplateError> {
    let mut bytes = [0; 4];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| invalid("bits", "not 8 hexadecimal digits"))?;
    Ok(u32::from_be_bytes(bytes))
}

impl Coin {
    /// Whether a node's blocks are this coin's: those of a merge-mined one carry its chain id.
    pub(super) fn check_chain_id(&self, found: u32) -> Result<(), TemplateError> {
        match self.auxpow {
            Some(AuxPow { chain_id: expected, .. }) if found != expected => {
                Err(TemplateError::ChainId { found, expected })
            }
            _ => Ok(()),
        }
    }
}

fn parse_transactions(raw: &[RawTx]) -> Result<Vec<TemplateTx>, TemplateError> {
    let parse = |(index, raw): (usize, &RawTx)| {
        let place = index + 1;
        let invalid = |field| TemplateError::InvalidTransaction(place, field);
        // Only earlier places: so what a transaction needs is always before it, and nothing needs itself.
        if raw.depends.iter().any(|needed| *needed == 0 || *needed as usize >= place) {
            return Err(invalid("depends"));
        }
        Ok(TemplateTx {
            data: decode_hex(raw.data).filter(|data| !data.is_empty()).ok_or(invalid("data"))?.into(),
            txid: parse_hash(raw.txid).ok_or(invalid("txid"))?,
            wtxid: parse_hash(raw.hash).ok_or(invalid("hash"))?,
            fee: raw.fee,
            weight: raw.weight,
            sigops: raw.sigops,
            depends: raw.depends.clone(),
            pinned: false,
        })
    };
    raw.iter().enumerate().map(parse).collect()
}

/// What a coinbase, or a transaction, or a block takes of the block's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    weight: u64,
    size: u64,
    sigops: u64,
}

impl Cost {
    fn of(transaction: &TemplateTx) -> Cost {
        Cost { weight: transaction.weight, size: transaction.data.len() as u64, sigops: transaction.sigops }
    }

    /// Saturating, since the numbers are the node's; what saturates is above every limit.
    fn plus(self, other: Cost) -> Cost {
        Cost {
            weight: self.weight.saturating_add(other.weight),
            size: self.size.saturating_add(other.size),
            sigops: self.sigops.saturating_add(other.sigops),
        }
    }
}

impl Template {
    /// Drops transactions until a block with this coinbase is within every limit: from the end, so that nothing that
    /// is kept needs what is dropped, and never the HogEx, its peg-ins or what they need. Their fees leave the value.
    /// In the common case nothing is dropped. If even that is not enough, everything droppable is gone.
    ///
    /// `coinbase_sigops` is unscaled, as [`Coinbase::sigops`](super::coinbase::Coinbase::sigops) counts.
    pub fn fit(mut self, coinbase_weight: u64, coinbase_size: u64, coinbase_sigops: u64) -> Template {
        let fixed = self.fixed_cost(coinbase_weight, coinbase_size, coinbase_sigops);
        if self.fits(coinbase_weight, coinbase_size, coinbase_sigops) {
            return self;
        }
        let keep = self.choose(fixed);
        self.retain(&keep);
        self
    }

    /// Whether a block of everything in the template and such a coinbase is within every limit.
    pub fn fits(&self, coinbase_weight: u64, coinbase_size: u64, coinbase_sigops: u64) -> bool {
        let fixed = self.fixed_cost(coinbase_weight, coinbase_size, coinbase_sigops);
        self.allows(self.transactions.iter().map(Cost::of).fold(fixed, Cost::plus))
    }

    /// What a block takes beside its other transactions.
    fn fixed_cost(&self, coinbase_weight: u64, coinbase_size: u64, coinbase_sigops: u64) -> Cost {
        let frame = (HEADER + varint_len(self.transactions.len() as u64 + 1)) as u64;
        let scale = if self.has_commitment { 4 } else { 1 };
        Cost {
            weight: coinbase_weight.saturating_add(4 * frame),
            size: coinbase_size.saturating_add(frame),
            sigops: coinbase_sigops.saturating_mul(scale),
        }
    }

    fn allows(&self, cost: Cost) -> bool {
        let within = |cost: u64, limit: Option<u64>| limit.is_none_or(|limit| cost <= limit);
        within(cost.weight, self.weight_limit)
            && within(cost.size, self.size_limit)
            && within(cost.sigops, self.sigop_limit)
    }

    /// Which transactions stay: all that are needed, and of the others the longest run from the start that fits.
    fn choose(&self, fixed: Cost) -> Vec<bool> {
        let mut keep: Vec<bool> = self.transactions.iter().map(|transaction| transaction.pinned).collect();
        for (index, transaction) in self.transactions.iter().enumerate().rev() {
            if keep[index] {
                for needed in &transaction.depends {
                    keep[*needed as usize - 1] = true;
                }
            }
        }
        let needed = self.transactions.iter().zip(&keep).filter(|(_, keep)| **keep);
        let mut cost = needed.map(|(transaction, _)| Cost::of(transaction)).fold(fixed, Cost::plus);
        for (transaction, keep) in self.transactions.iter().zip(&mut keep).filter(|(_, keep)| !**keep) {
            cost = cost.plus(Cost::of(transaction));
            if !self.allows(cost) {
                break;
            }
            *keep = true;
        }
        keep
    }

    /// Drops what is not kept, and renumbers what the rest depends on.
    fn retain(&mut self, keep: &[bool]) {
        let places: Vec<u32> = keep
            .iter()
            .scan(0, |place, keep| {
                *place += u32::from(*keep);
                Some(*place)
            })
            .collect();
        let mut dropped = 0;
        let mut keep = keep.iter();
        self.transactions.retain_mut(|transaction| {
            let stays = *keep.next().expect("there is one verdict for each transaction");
            if !stays {
                dropped += transaction.fee;
            }
            for needed in &mut transaction.depends {
                *needed = places[*needed as usize - 1];
            }
            stays
        });
        self.value -= dropped;
    }
}
