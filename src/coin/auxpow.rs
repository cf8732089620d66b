//! Merged mining (AuxPoW): what a parent block's coinbase says of the child blocks it works for, and the proof that a
//! child block carries in place of work of its own. Never builds the parent's coinbase, and decides nothing about
//! which children there are.
//!
//! The rules are those of Namecoin's `auxpow.cpp`, which Dogecoin and every other coin in the table share; [`check`]
//! holds them the way a node does.

pub mod check;
mod tree;

pub use tree::{AuxTree, AuxTreeError};

use super::{
    block::{self, HEADER},
    encode::write_varint,
    pow::sha256d,
    template::Template,
};
use crate::base::Hash32;

/// What stands right before the root in a parent's scriptSig, and only there.
pub const MAGIC: [u8; 4] = [0xfa, 0xbe, b'm', b'm'];
/// The bit of a child header's version that says that an auxpow follows.
pub const VERSION_FLAG: u32 = 1 << 8;

/// The slot of a chain in a tree of 2^`height` slots: the node's reckoning, in 32 bits that wrap.
const fn slot(nonce: u32, chain_id: u32, height: u32) -> u32 {
    let mixed = nonce.wrapping_mul(1_103_515_245).wrapping_add(12_345).wrapping_add(chain_id);
    mixed.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << height)
}

/// The header of a child block: the template's version with the auxpow flag, nonce 0, for no work is done on it.
pub fn child_header(template: &Template, root: &Hash32, ntime: u32) -> [u8; HEADER] {
    block::header(template.version | VERSION_FLAG, &template.prev_hash, root, ntime, template.bits, 0)
}

/// Serialises the proof that a parent block gives its child: the parent's coinbase without witness, its merkle
/// `branch`, the `chain_branch` and `slot` of the child in the [`AuxTree`], and the parent's solved header.
pub fn proof(coinbase: &[u8], branch: &[Hash32], chain_branch: &[Hash32], slot: u32, header: &[u8; HEADER]) -> Vec<u8> {
    let hashes = 1 + branch.len() + chain_branch.len();
    let mut proof = Vec::with_capacity(coinbase.len() + 32 * hashes + 2 * 9 + 2 * 4 + HEADER);
    proof.extend_from_slice(coinbase);
    proof.extend_from_slice(&sha256d(header));
    write_branch(&mut proof, branch, 0);
    write_branch(&mut proof, chain_branch, slot);
    proof.extend_from_slice(header);
    proof
}

/// A merkle branch and the place of its leaf.
fn write_branch(out: &mut Vec<u8>, branch: &[Hash32], place: u32) {
    write_varint(out, branch.len() as u64);
    out.extend_from_slice(branch.as_flattened());
    out.extend_from_slice(&place.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn slots_are_those_that_a_node_reckons() {
        let vector = include_str!("../../tests/vectors/vector_auxpow_expected_index.json");
        let vector: Value = serde_json::from_str(vector).unwrap();
        let examples = vector["examples"].as_array().unwrap();
        assert_eq!(examples.len(), 25);
        for example in examples {
            let number = |name: &str| example[name].as_u64().unwrap() as u32;
            let (nonce, chain_id, height) = (number("nonce"), number("chainid"), number("h"));
            assert_eq!(slot(nonce, chain_id, height), number("index"));
            assert_eq!(check::expected_slot(nonce, chain_id, height), number("index"));
        }
    }
}
