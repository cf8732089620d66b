//! The merkle tree over the child blocks of one parent block. Never holds the blocks, only their ids.

use super::{MAGIC, slot};
use crate::base::{
    Hash32,
    limits::{AUX_TAG, CHAINS},
};
use crate::coin::merkle::node;
use std::{collections::BTreeMap, fmt};

/// The highest chain id: above it the header's version would be negative, which nodes read as another id.
const HIGHEST_ID: u32 = 0x7fff;
/// The tree's height at which any two chain ids have slots of their own.
const HIGHEST: u32 = u32::BITS - HIGHEST_ID.leading_zeros();
/// What fills the slots that no child has: any hash that is no block's.
const EMPTY: Hash32 = [0; 32];
/// The nonce of every tree: it shifts all slots alike, so no other one parts two children that share a slot.
const NONCE: u32 = 0;

/// The tree over the child blocks that one parent block works for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxTree {
    height: u32,
    root: Hash32,
    /// Branch and slot of each child, in the order they were given.
    places: Vec<(Vec<Hash32>, u32)>,
}

/// Why there is no tree over some children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxTreeError {
    /// There is no child.
    Empty,
    /// There are so many of them, above [`CHAINS`].
    TooMany(usize),
    /// Two have this chain id.
    Twice(u32),
    /// One has this chain id, which no version can hold.
    ChainId(u32),
}

impl fmt::Display for AuxTreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuxTreeError::Empty => f.write_str("there is no chain to merge-mine"),
            AuxTreeError::TooMany(count) => {
                write!(f, "{count} chains are above the {CHAINS} that are merge-mined at once")
            }
            AuxTreeError::Twice(id) => {
                write!(f, "two chains have the chain id {id}: only one of them can be merge-mined")
            }
            AuxTreeError::ChainId(id) => write!(f, "the chain id {id} is above {HIGHEST_ID}"),
        }
    }
}

impl std::error::Error for AuxTreeError {}

impl AuxTree {
    /// The smallest tree that has a slot for each child, given as chain id and block id (internal byte order). The
    /// same children give the same tree, in whichever order they come.
    pub fn build(children: &[(u32, Hash32)]) -> Result<AuxTree, AuxTreeError> {
        if children.is_empty() {
            return Err(AuxTreeError::Empty);
        }
        if children.len() > CHAINS {
            return Err(AuxTreeError::TooMany(children.len()));
        }
        for (place, (id, _)) in children.iter().enumerate() {
            if *id > HIGHEST_ID {
                return Err(AuxTreeError::ChainId(*id));
            }
            if children[..place].iter().any(|(other, _)| other == id) {
                return Err(AuxTreeError::Twice(*id));
            }
        }
        let slots_at = |height| children.iter().map(move |(id, block)| (slot(NONCE, *id, height), *block));
        let (height, leaves) = (0..=HIGHEST)
            .map(|height| (height, slots_at(height).collect::<BTreeMap<u32, Hash32>>()))
            .find(|(_, leaves)| leaves.len() == children.len())
            .expect("different ids of 15 bits have different slots in a tree of that height");
        let mut places: Vec<(Vec<Hash32>, u32)> = slots_at(height).map(|(slot, _)| (Vec::new(), slot)).collect();

        // Only the nodes above a child are kept, level by level; every other one is `filler`.
        let (mut level, mut filler) = (leaves, EMPTY);
        for depth in 0..height {
            let at = |place: u32| level.get(&place).copied().unwrap_or(filler);
            for (branch, slot) in &mut places {
                branch.push(at((*slot >> depth) ^ 1));
            }
            let above = level.keys().map(|place| (place >> 1, node(&at(place & !1), &at(place | 1)))).collect();
            (level, filler) = (above, node(&filler, &filler));
        }
        Ok(AuxTree { height, root: level[&0], places })
    }

    /// What the parent's scriptSig carries: the push of the 44 bytes that nodes look for.
    pub fn tag(&self) -> [u8; AUX_TAG] {
        let mut tag = [0; AUX_TAG];
        tag[0] = (AUX_TAG - 1) as u8;
        tag[1..5].copy_from_slice(&MAGIC);
        tag[5..37].copy_from_slice(&self.root);
        // As people read it: here, and nowhere else, nodes want the most significant byte first.
        tag[5..37].reverse();
        tag[37..41].copy_from_slice(&(1u32 << self.height).to_le_bytes());
        tag[41..].copy_from_slice(&NONCE.to_le_bytes());
        tag
    }

    /// Merkle branch and slot of the child at this place of the children that the tree was built from.
    pub fn branch(&self, place: usize) -> (Vec<Hash32>, u32) {
        self.places[place].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::auxpow::check;
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    /// The ids of the coins that are merge-mined under Litecoin, three of which share their lowest bits.
    const IDS: [u32; 7] = [98, 63, 16, 8_211, 8_224, 74, 1];

    fn children(ids: &[u32]) -> Vec<(u32, Hash32)> {
        ids.iter().map(|id| (*id, [*id as u8; 32])).collect()
    }

    /// What a node finds in the tag: the root as it hashes it, the size and the nonce.
    fn in_tag(tree: &AuxTree) -> (Hash32, u32, u32) {
        let tag = tree.tag();
        assert_eq!(tag[..5], [44, 0xfa, 0xbe, 0x6d, 0x6d]);
        let mut root: Hash32 = tag[5..37].try_into().unwrap();
        root.reverse();
        let word = |at: usize| u32::from_le_bytes(tag[at..at + 4].try_into().unwrap());
        (root, word(37), word(41))
    }

    #[test]
    fn a_single_child_is_its_own_tree() {
        let tree = AuxTree::build(&[(98, [7; 32])]).unwrap();
        assert_eq!(in_tag(&tree), ([7; 32], 1, 0));
        assert_eq!(tree.branch(0), (vec![], 0));
    }

    #[test]
    fn no_tree_is_smaller_than_what_parts_its_children() {
        let size = |ids: &[u32]| in_tag(&AuxTree::build(&children(ids)).unwrap()).1;
        assert_eq!(size(&[98, 63]), 2);
        assert_eq!(size(&[98, 74]), 16);
        assert_eq!(size(&[16, 8_224]), 32);
        assert_eq!(size(&IDS), 32);
        assert_eq!(size(&[0, 0x4000]), 1 << 15);
    }

    #[test]
    fn children_that_have_no_tree_are_refused() {
        assert_eq!(AuxTree::build(&[]), Err(AuxTreeError::Empty));
        let nine: Vec<u32> = (0..=CHAINS as u32).collect();
        assert_eq!(AuxTree::build(&children(&nine)), Err(AuxTreeError::TooMany(9)));
        assert!(AuxTree::build(&children(&nine[1..])).is_ok());
        assert_eq!(AuxTree::build(&children(&[98, 16, 98])), Err(AuxTreeError::Twice(98)));
        assert_eq!(AuxTree::build(&children(&[98, 0x8000])), Err(AuxTreeError::ChainId(0x8000)));
    }

    proptest! {
        #[test]
        fn every_child_is_found_where_a_node_looks_for_it(ids in subsequence(&IDS, 1..=IDS.len()).prop_shuffle()) {
            let children = children(&ids);
            let tree = AuxTree::build(&children).unwrap();
            let (root, size, nonce) = in_tag(&tree);
            for (place, (id, block)) in children.iter().enumerate() {
                let (branch, slot) = tree.branch(place);
                prop_assert_eq!(size, 1 << branch.len());
                prop_assert_eq!(slot, check::expected_slot(nonce, *id, branch.len() as u32));
                prop_assert_eq!(check::climb(*block, &branch, slot), root);
            }
            let mut sorted = children.clone();
            sorted.sort();
            prop_assert_eq!(AuxTree::build(&sorted).unwrap().tag(), tree.tag());
        }

        #[test]
        fn no_nonce_parts_two_children_that_share_a_slot(nonce: u32, one in 0..=HIGHEST_ID, other in 0..=HIGHEST_ID, height in 0..=HIGHEST) {
            let shared = |nonce| slot(nonce, one, height) == slot(nonce, other, height);
            prop_assert_eq!(shared(nonce), shared(NONCE));
        }
    }
}
