//! What makes a block valid by itself and in its place, in the order and the words of the coin's node (validation.cpp of
//! litecoind 0.21, and of dogecoind 1.14 for a coin that is merge-mined). What it spends and pays is the chain's part.

use super::block::{Block, Transaction};
use crate::base::Hash32;
use crate::coin::auxpow::VERSION_FLAG;
use crate::coin::difficulty::Target;
use crate::coin::encode::write_height;
use crate::coin::params::{AuxPow, Coin};
use crate::coin::pow::sha256d;

/// Most weight of a block, where it has one.
pub const WEIGHT_LIMIT: usize = 4_000_000;
/// Most bytes of a block, where it has no weight.
pub const SIZE_LIMIT: usize = 1_000_000;
/// The least version of a block: the top bits of BIP 9.
const VERSION: u32 = 0x2000_0000;
/// The least lower byte of a version whose upper half is a chain id (BIP 65).
const BASE_VERSION: u32 = 4;
/// The version of blocks before there were chain ids.
const LEGACY_VERSION: u32 = 1;
/// A block may be from this far in the future, in seconds.
const FUTURE_S: u32 = 7_200;
/// How long the script of a coinbase may be.
const COINBASE_SCRIPT: std::ops::RangeInclusive<usize> = 2..=100;

/// The place in the chain that a block is for.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub height: u32,
    pub bits: u32,
    /// The median time of the last blocks before it, in seconds since 1970.
    pub median_time: u32,
}

/// The version of a coin's blocks, before anything is voted for or merge-mined.
pub fn version(coin: &Coin) -> u32 {
    coin.auxpow.map_or(VERSION, |auxpow| auxpow.chain_id << 16 | BASE_VERSION)
}

/// What can be told without the chain.
pub fn check(block: &Block<'_>, coin: &Coin) -> Result<(), &'static str> {
    check_work(block, coin)?;
    let txids = block.transactions.iter().map(|transaction| transaction.txid);
    require(merkle_root(txids.collect()) == block.header.root, "bad-txnmrklroot")?;
    require(coin.segwit || block.size <= SIZE_LIMIT, "bad-blk-length")?;
    let (coinbase, others) = split(block)?;
    require(!others.iter().any(Transaction::is_coinbase), "bad-cb-multiple")?;
    require(coinbase.inputs.iter().all(|input| COINBASE_SCRIPT.contains(&input.script.len())), "bad-cb-length")
}

/// The block's own work, or that of its parent. Whatever is wrong with a proof has the same name; the log tells more, as
/// dogecoind's does.
fn check_work(block: &Block<'_>, coin: &Coin) -> Result<(), &'static str> {
    let header = &block.header;
    let is_legacy = header.version == LEGACY_VERSION;
    let has_id = |auxpow: AuxPow| is_legacy || header.version >> 16 == auxpow.chain_id;
    require(coin.auxpow.is_none_or(has_id), "high-hash")?;
    if let (Some(proof), Some(auxpow)) = (&block.proof, &coin.auxpow) {
        let checked = proof.check(&header.bytes, auxpow, coin.algorithm);
        return checked.map_err(|fault| {
            log::info!("the node of {} refuses a proof: {fault}", coin.name);
            "high-hash"
        });
    }
    let pow = coin.algorithm.pow_hash(&header.bytes);
    require(Target::from_compact(header.bits).is_some_and(|target| target.is_met_by(&pow)), "high-hash")
}

/// What depends on the blocks before it, and on the time.
pub fn check_in_place(block: &Block<'_>, place: &Place, coin: &Coin, now_s: u32) -> Result<(), &'static str> {
    let header = &block.header;
    require(coin.auxpow.is_none() || header.version != LEGACY_VERSION, "late-legacy-block")?;
    require(header.bits == place.bits, "bad-diffbits")?;
    require(header.time > place.median_time, "time-too-old")?;
    require(header.time <= now_s.saturating_add(FUTURE_S), "time-too-new")?;
    let is_current = match coin.auxpow {
        Some(_) => header.version % VERSION_FLAG >= BASE_VERSION,
        // The highest bit would make the version negative.
        None => (VERSION..=i32::MAX as u32).contains(&header.version),
    };
    require(is_current, "bad-version")?;

    let (coinbase, others) = split(block)?;
    let mut height = Vec::new();
    write_height(&mut height, place.height);
    require(coinbase.inputs.iter().all(|input| input.script.starts_with(&height)), "bad-cb-height")?;
    if !coin.segwit {
        return require(!block.transactions.iter().any(Transaction::has_witness), "unexpected-witness");
    }
    check_witness(coinbase, others)?;
    require(block.weight() <= WEIGHT_LIMIT, "bad-blk-weight")
}

/// The coinbase and the rest.
pub fn split<'b, 'a>(block: &'b Block<'a>) -> Result<(&'b Transaction<'a>, &'b [Transaction<'a>]), &'static str> {
    block.transactions.split_first().filter(|(first, _)| first.is_coinbase()).ok_or("bad-cb-missing")
}

/// BIP 141: the coinbase commits to every witness, with the value that its own witness holds.
fn check_witness(coinbase: &Transaction<'_>, others: &[Transaction<'_>]) -> Result<(), &'static str> {
    let Some(committed) = coinbase.commitment() else {
        let has_witness = coinbase.has_witness() || others.iter().any(Transaction::has_witness);
        return require(!has_witness, "unexpected-witness");
    };
    let reserved = match coinbase.inputs.as_slice() {
        [input] => match input.witness.as_slice() {
            [reserved] if reserved.len() == 32 => *reserved,
            _ => return Err("bad-witness-nonce-size"),
        },
        _ => return Err("bad-cb-missing"),
    };
    let wtxids = std::iter::once([0; 32]).chain(others.iter().map(|transaction| transaction.wtxid));
    let expected = sha256d(&[&merkle_root(wtxids.collect())[..], reserved].concat());
    require(committed == expected, "bad-witness-merkle-match")
}

/// The root of the whole tree, level by level: not along the coinbase's branch as the pool reckons it, and so a
/// second opinion.
fn merkle_root(mut level: Vec<Hash32>) -> Hash32 {
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| sha256d(&[pair[0], pair[pair.len() - 1]].concat())).collect();
    }
    level.first().copied().unwrap_or_default()
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
