//! What a node of a merge-mined chain looks at in a block: the proof by the rules of [`check`], and that the block is one
//! of its template. Builds nothing.

use edgepool::base::{Hash32, parse_hash};
use edgepool::coin::auxpow::check::{Proof, split};
use edgepool::coin::block::block_id;
use edgepool::coin::difficulty::Target;
use edgepool::coin::encode::Reader;
use edgepool::coin::params::{Algorithm, AuxPow};
use edgepool::coin::transaction::Transaction;

/// What is wrong with a block.
#[derive(Debug)]
pub struct Wrong(#[allow(dead_code, reason = "shown when a test fails")] pub String);

/// The whole block, of a coinbase alone.
pub fn check(block: &[u8], auxpow: &AuxPow, algorithm: Algorithm, value: u64, bits: u32) -> Result<(), Wrong> {
    let (header, proof, rest) = split(block).map_err(|error| Wrong(format!("{error:?}")))?;
    proof.check(&header, auxpow, algorithm).map_err(|fault| Wrong(fault.to_string()))?;
    let coinbase = Transaction::parse(&rest[1..]).map_err(|error| Wrong(format!("{error:?}")))?;
    let paid: u64 = coinbase.outputs.iter().map(|output| output.value).sum();
    // Of one transaction the root is its id.
    let is_right =
        rest[0] == 1 && coinbase.txid == header[36..68] && paid == value && header[72..76] == bits.to_le_bytes();
    if is_right { Ok(()) } else { Err(Wrong(format!("{} transactions pay {paid} of {value}", rest[0]))) }
}

/// A proof for a block that the node has.
pub fn check_proof(hash: &str, proof: &[u8], auxpow: &AuxPow, algorithm: Algorithm, bits: u32) -> Result<(), Wrong> {
    let mut reader = Reader::new(proof);
    let proof = Proof::read(&mut reader).map_err(|error| Wrong(format!("{error:?}")))?;
    reader.finish().map_err(|error| Wrong(format!("{error:?}")))?;
    let hash: Hash32 = parse_hash(hash).unwrap();
    proof.check_commitment(&hash, auxpow.chain_id).map_err(|fault| Wrong(fault.to_string()))?;
    let target = Target::from_compact(bits).unwrap();
    let is_met = target.is_met_by(&algorithm.pow_hash(&proof.parent));
    if is_met { Ok(()) } else { Err(Wrong("the parent's work misses the target".into())) }
}

/// Script in hexadecimal and amount of each output of a block's coinbase, in order.
pub fn outputs(block: &str) -> Vec<(String, u64)> {
    let bytes = hex::decode(block).unwrap();
    let (_, _, rest) = split(&bytes).unwrap();
    let coinbase = Transaction::parse(&rest[1..]).unwrap();
    coinbase.outputs.iter().map(|output| (hex::encode(output.script.as_bytes()), output.value)).collect()
}

/// The id of the parent block whose work proves a block.
pub fn parent_of(block: &str) -> String {
    let bytes = hex::decode(block).unwrap();
    let (_, proof, _) = split(&bytes).unwrap();
    assert_eq!(proof.parent_id, block_id(&proof.parent));
    edgepool::base::display_hash(&proof.parent_id)
}
