//! Merkle trees as blocks have them, seen from the coinbase: the branch that leads from it to the root. Never holds
//! the coinbase itself.

use super::pow::sha256d;
use crate::base::Hash32;

/// The sibling at each level above a block's first leaf, given all the other leaves in order.
pub fn branch(others: &[Hash32]) -> Vec<Hash32> {
    // Everything right of the first node of the level.
    let mut level = others.to_vec();
    let mut branch = Vec::new();
    while let Some((sibling, rest)) = level.split_first() {
        branch.push(*sibling);
        // A node without a sibling is its own.
        level = rest.chunks(2).map(|pair| node(&pair[0], pair.last().expect("a chunk is never empty"))).collect();
    }
    branch
}

/// The root above `leaf` along `branch`.
pub fn root(leaf: Hash32, branch: &[Hash32]) -> Hash32 {
    branch.iter().fold(leaf, |hash, sibling| node(&hash, sibling))
}

/// What BIP 141's coinbase output commits to: the root over all witness ids, the coinbase counting as zero, hashed
/// with the reserved value, which is 32 zero bytes here.
pub fn witness_commitment(wtxids: &[Hash32]) -> Hash32 {
    node(&root([0; 32], &branch(wtxids)), &[0; 32])
}

/// The node above two others.
pub(super) fn node(left: &Hash32, right: &Hash32) -> Hash32 {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    sha256d(&pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole tree, level by level: pairs are hashed until one node is left.
    fn whole_tree(mut leaves: Vec<Hash32>) -> Hash32 {
        while leaves.len() > 1 {
            if leaves.len() % 2 == 1 {
                leaves.push(leaves[leaves.len() - 1]);
            }
            leaves = (0..leaves.len() / 2).map(|i| sha256d(&[leaves[2 * i], leaves[2 * i + 1]].concat())).collect();
        }
        leaves[0]
    }

    proptest! {
        #[test]
        fn the_branch_leads_to_the_root_of_the_whole_tree(leaf in any::<Hash32>(), others in prop::collection::vec(any::<Hash32>(), 0..40)) {
            let all = [vec![leaf], others.clone()].concat();
            prop_assert_eq!(root(leaf, &branch(&others)), whole_tree(all));
        }
    }

    #[test]
    fn a_coinbase_alone_is_its_own_root() {
        assert_eq!(root([3; 32], &branch(&[])), [3; 32]);
    }
}
