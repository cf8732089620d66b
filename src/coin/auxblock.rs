//! A block that the node of a merge-mined coin made (createauxblock), as far as its parent needs to know it. Never
//! holds the block: the node keeps it, and finds it by its id when the proof comes (submitauxblock).

use super::{
    difficulty::Target,
    params::Coin,
    template::{Template, TemplateError, invalid, member, optional, parse_bits},
};
use crate::base::{Hash32, parse_hash};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is mined for: a block of the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxBlock {
    /// The block's id.
    pub hash: Hash32,
    /// The coin's chain id.
    pub chain_id: u32,
    /// The block it builds on.
    pub prev_hash: Hash32,
    /// What its coinbase pays to the address that was asked for, in base units.
    pub value: u64,
    /// The header's bits.
    pub bits: u32,
    /// The target that `bits` stands for.
    pub target: Target,
    /// The block's height.
    pub height: u32,
}

/// The members that are read, each parsed on its own afterwards so that an error can name it.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    hash: &'a RawValue,
    #[serde(borrow)]
    chainid: &'a RawValue,
    #[serde(borrow)]
    previousblockhash: &'a RawValue,
    #[serde(borrow)]
    coinbasevalue: &'a RawValue,
    #[serde(borrow)]
    bits: &'a RawValue,
    #[serde(borrow)]
    height: &'a RawValue,
    /// `_target` is its name in Namecoin and what follows its interface.
    #[serde(borrow, alias = "_target")]
    target: Option<&'a RawValue>,
}

impl AuxBlock {
    /// Reads the `result` member of a createauxblock answer.
    pub fn parse(result: &[u8], coin: &Coin) -> Result<AuxBlock, TemplateError> {
        let raw: Raw = serde_json::from_slice(result).map_err(|error| TemplateError::Json(error.to_string()))?;
        let chain_id: u32 = member("chainid", raw.chainid)?;
        coin.check_chain_id(chain_id)?;
        let hash = parse_hash(member("hash", raw.hash)?).ok_or_else(|| invalid("hash", "not 64 hexadecimal digits"))?;
        let prev_hash = parse_hash(member("previousblockhash", raw.previousblockhash)?);
        let bits = parse_bits(member("bits", raw.bits)?)?;
        let target = Target::from_compact(bits).ok_or_else(|| invalid("bits", "not a target"))?;
        if let Some(given) = optional::<&str>("target", raw.target)? {
            // The least significant byte comes first, unlike getblocktemplate's; in Junkcoin's latest node it doesn't.
            let target = target.value();
            if ![target.to_le_bytes(), target.to_be_bytes()].map(hex::encode).iter().any(|right| right == given) {
                return Err(invalid("target", "not the one that bits stands for"));
            }
        }
        let height: u32 = member("height", raw.height)?;
        if height == 0 || height >> 31 != 0 {
            return Err(invalid("height", "not between 1 and 2^31"));
        }
        Ok(AuxBlock {
            hash,
            chain_id,
            prev_hash: prev_hash.ok_or_else(|| invalid("previousblockhash", "not 64 hexadecimal digits"))?,
            value: member("coinbasevalue", raw.coinbasevalue)?,
            bits,
            target,
            height,
        })
    }
}
impl From<AuxBlock> for Template {
    /// The block as a template that has nothing to be built.
    fn from(block: AuxBlock) -> Template {
        Template {
            version: 0,
            prev_hash: block.prev_hash,
            height: block.height,
            bits: block.bits,
            target: block.target,
            curtime: 0,
            mintime: 0,
            value: block.value,
            transactions: Vec::new(),
            has_commitment: false,
            mweb: None,
            weight_limit: None,
            size_limit: None,
            sigop_limit: None,
            long_poll_id: String::new(),
            node_block: Some(block.hash),
        }
    }
}
