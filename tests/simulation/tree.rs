//! The network: every block that anybody ever made, and the branch that most of them follow.

use std::collections::BTreeMap;

use crate::bytes::{Hash, Tx};

/// Height of the block that all branches share.
pub const BASE_HEIGHT: u32 = 713;
const BASE: Hash = [7; 32];

/// A block; what the world needs of it.
#[derive(Clone, Debug)]
pub struct Block {
    pub parent: Hash,
    pub height: u32,
    /// The coinbase, if it is the pool's.
    pub own: Option<Tx>,
    /// Wallet's and foreign transactions in it.
    pub txs: Vec<Hash>,
    /// Others have heard of it.
    pub is_public: bool,
}

pub struct Tree {
    blocks: BTreeMap<Hash, Block>,
    /// The tip that the network follows.
    pub tip: Hash,
}

impl Tree {
    pub fn new() -> Tree {
        let base = Block { parent: [0; 32], height: BASE_HEIGHT, own: None, txs: Vec::new(), is_public: true };
        Tree { blocks: BTreeMap::from([(BASE, base)]), tip: BASE }
    }

    pub fn get(&self, hash: &Hash) -> Option<&Block> {
        self.blocks.get(hash)
    }

    pub fn height(&self, hash: &Hash) -> u32 {
        self.blocks[hash].height
    }

    /// What a block on this one may pay, in base units.
    pub fn value_on(parent: &Hash) -> u64 {
        312_500_000 + u64::from(u16::from_le_bytes([parent[3], parent[4]]))
    }

    /// Adds a block that is not there yet.
    pub fn add(&mut self, hash: Hash, parent: Hash, own: Option<Tx>, txs: Vec<Hash>, is_public: bool) {
        let height = self.height(&parent) + 1;
        self.blocks.entry(hash).or_insert(Block { parent, height, own, txs, is_public });
        if is_public {
            self.publish(&hash);
        }
    }

    /// The network hears of a branch, and follows it if it is longer.
    pub fn publish(&mut self, tip: &Hash) {
        let mut at = *tip;
        while let Some(block) = self.blocks.get_mut(&at).filter(|block| !block.is_public) {
            block.is_public = true;
            at = block.parent;
        }
        if self.height(tip) > self.height(&self.tip) {
            self.tip = *tip;
        }
    }

    /// The branch that ends in `tip`, from there down to the base.
    pub fn branch(&self, tip: &Hash) -> impl Iterator<Item = (Hash, &Block)> {
        let at = |hash: Hash| self.blocks.get(&hash).map(|block| (hash, block));
        std::iter::successors(at(*tip), move |(_, block)| at(block.parent))
    }

    /// The block of that height on the branch.
    pub fn ancestor(&self, tip: &Hash, height: u32) -> Option<Hash> {
        self.branch(tip).find(|(_, block)| block.height == height).map(|(hash, _)| hash)
    }

    pub fn holds(&self, tip: &Hash, hash: &Hash) -> bool {
        self.blocks.get(hash).is_some_and(|block| self.ancestor(tip, block.height) == Some(*hash))
    }

    /// Blocks of `tip`'s branch that are not in the other's.
    pub fn beyond_fork(&self, tip: &Hash, other: &Hash) -> u32 {
        let others = self.branch(other).map(|(hash, _)| hash).collect::<std::collections::BTreeSet<Hash>>();
        self.branch(tip).take_while(|(hash, _)| !others.contains(hash)).count() as u32
    }

    /// Ends of public branches that the network does not follow, and that it could come back to by undoing at
    /// most `deepest` blocks.
    pub fn side_tips(&self, deepest: u32) -> Vec<Hash> {
        let parents = self.blocks.values().map(|block| block.parent).collect::<std::collections::BTreeSet<Hash>>();
        let ends = self.blocks.iter().filter(|(hash, block)| block.is_public && !parents.contains(*hash));
        let lowest = self.height(&self.tip).saturating_sub(deepest);
        let near = ends.filter(|(hash, block)| **hash != self.tip && block.height >= lowest);
        near.map(|(hash, _)| *hash).filter(|hash| self.beyond_fork(&self.tip, hash) <= deepest).collect()
    }
}
