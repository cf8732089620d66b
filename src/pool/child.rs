//! The blocks of merge-mined chains that one job works for, each waiting for the proof of work of a parent block. One
//! commitment in the parent's coinbase names them all. Decides nothing about which there are, and talks to nobody.

use std::fmt;
use std::rc::Rc;

use crate::base::Hash32;
use crate::coin::auxpow::{self, AuxTree, AuxTreeError};
use crate::coin::block::{self, HEADER};
use crate::coin::coinbase::{Coinbase, CoinbaseSpec, TxOut};
use crate::coin::merkle;
use crate::coin::params::AuxPow;
use crate::coin::template::Template;

use super::job::{JobError, fit};
use super::spec::{ChainSpec, Terms};
use super::split::{Claim, Split, split};

/// Bytes in a child's coinbase that tell one job's from another's.
const EXTRANONCE: usize = 8;
/// Bytes that a proof takes of the block: the largest coinbase that rigs are sent, headers and branches.
const PROOF: u64 = 18_000;

/// A block of a merge-mined chain. Its payouts are frozen like those of its job.
#[derive(Debug)]
pub struct ChildBlock {
    /// Index of the chain in its pool.
    pub chain: usize,
    /// What it is made from, already fitted to its coinbase.
    pub template: Rc<Template>,
    /// Its id.
    pub hash: Hash32,
    /// Who it pays.
    pub split: Split,
    /// The terms that the split follows.
    pub terms: Terms,
    /// How its coin is merge-mined.
    auxpow: AuxPow,
    /// `None` for a block that its node keeps.
    own: Option<Own>,
}

/// What a block of our own has beside its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The header, unsolved.
    pub header: [u8; HEADER],
    /// The coinbase.
    pub coinbase: Vec<u8>,
}

/// What a child block is made of.
pub struct ChildParts<'a> {
    /// See [`ChildBlock::chain`].
    pub index: usize,
    /// The chain.
    pub chain: &'a ChainSpec,
    /// How its coin is merge-mined.
    pub auxpow: AuxPow,
    /// Its node's template.
    pub template: &'a Rc<Template>,
    /// The terms in force on the chain.
    pub terms: &'a Terms,
    /// Everybody who may be paid on the chain.
    pub claims: &'a [Claim<'a>],
    /// The number of the job that it is for.
    pub job: u64,
    /// The header's time, seconds since 1970.
    pub ntime: u32,
}

impl ChildBlock {
    /// Shares out the template's value and builds the block around it. One that the node keeps pays the pool's address
    /// alone, and is shared out as balances.
    pub fn build(parts: &ChildParts) -> Result<ChildBlock, JobError> {
        let (chain, auxpow) = (parts.index, parts.auxpow);
        if let Some(hash) = parts.template.node_block {
            let terms = Terms { max_outputs: 1, ..parts.terms.clone() };
            let split = checked_split(parts.template.value, &terms, parts.claims)?;
            return Ok(ChildBlock {
                chain,
                template: Rc::clone(parts.template),
                hash,
                split,
                terms,
                auxpow,
                own: None,
            });
        }
        let terms = parts.terms.clone();
        let build = |template: &Template| {
            let split = checked_split(template.value, &terms, parts.claims)?;
            let coinbase = coinbase(parts, template, &split)?;
            Ok((split, coinbase))
        };
        let measure = |(_, coinbase): &(Split, Coinbase)| {
            (coinbase.weight(EXTRANONCE) + 4 * PROOF, coinbase.size(EXTRANONCE) + PROOF, coinbase.sigops())
        };
        let (template, (split, coinbase)) = fit(parts.template, build, measure)?;
        let extranonce = parts.job.to_be_bytes();
        let root = merkle::root(coinbase.txid(&extranonce, &[]), &template.branch());
        let header = auxpow::child_header(&template, &root, parts.ntime);
        let own = Own { header, coinbase: coinbase.for_block(&extranonce, &[]) };
        Ok(ChildBlock { chain, template, hash: block::block_id(&header), split, terms, auxpow, own: Some(own) })
    }

    /// A block as an earlier run left it; `None` when it is not the one that was committed to.
    pub fn restore(
        chain: usize,
        auxpow: AuxPow,
        template: Rc<Template>,
        split: Split,
        terms: Terms,
        own: Option<Own>,
    ) -> Option<ChildBlock> {
        let hash = match (&own, template.node_block) {
            (Some(own), None) => block::block_id(&own.header),
            (None, Some(hash)) => hash,
            _ => return None,
        };
        Some(ChildBlock { chain, template, hash, split, terms, auxpow, own })
    }

    /// What the block has beside its template; `None` for one that its node keeps.
    pub fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// What is submitted when `proof` solves it: the whole block, or the proof alone where the node has the block.
    fn assemble(&self, proof: &[u8]) -> Vec<u8> {
        match &self.own {
            Some(Own { header, coinbase }) => block::assemble_merged(
                header,
                proof,
                coinbase,
                &self.template.transactions,
                self.template.mweb.as_deref(),
            ),
            None => proof.to_vec(),
        }
    }
}

fn checked_split(value: u64, terms: &Terms, claims: &[Claim]) -> Result<Split, JobError> {
    let split = split(value, terms, claims);
    split.check(terms).map_err(JobError::Split)?;
    Ok(split)
}

fn coinbase(parts: &ChildParts, template: &Template, split: &Split) -> Result<Coinbase, JobError> {
    let mut outputs: Vec<TxOut> =
        split.paid.iter().map(|(_, script, amount)| TxOut { value: *amount, script: script.clone() }).collect();
    if split.pool_amount > 0 {
        outputs.push(TxOut { value: split.pool_amount, script: parts.terms.pool_script.clone() });
    }
    Coinbase::build(&CoinbaseSpec {
        version: parts.chain.coin.coinbase_version,
        height: template.height,
        aux: &[],
        tag: &parts.chain.coinbase_tag,
        extranonce_len: EXTRANONCE,
        outputs: &outputs,
        commitment: template.commitment(),
    })
    .map_err(JobError::Coinbase)
}

/// All child blocks of one job, and the tree that its coinbase commits to.
#[derive(Default)]
pub struct Children {
    blocks: Vec<ChildBlock>,
    tree: Option<AuxTree>,
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.blocks.iter().map(|block| (block.chain, block.template.height))).finish()
    }
}

/// Parent's proof of work that solves a child.
pub struct ParentWork<'a> {
    /// The parent's coinbase without witness.
    pub coinbase: &'a [u8],
    /// Its merkle branch.
    pub branch: &'a [Hash32],
    /// The parent's header.
    pub header: &'a [u8; HEADER],
}

impl Children {
    /// The blocks, of a chain each.
    pub fn new(blocks: Vec<ChildBlock>) -> Result<Children, AuxTreeError> {
        if blocks.is_empty() {
            return Ok(Children::default());
        }
        let leaves: Vec<(u32, Hash32)> = blocks.iter().map(|block| (block.auxpow.chain_id, block.hash)).collect();
        Ok(Children { tree: Some(AuxTree::build(&leaves)?), blocks })
    }

    /// What the parent's scriptSig carries; empty without children.
    pub fn tag(&self) -> Vec<u8> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| tree.tag().to_vec())
    }

    /// The blocks, in the order of their chains.
    pub fn blocks(&self) -> &[ChildBlock] {
        &self.blocks
    }

    /// The block of a chain.
    pub fn of(&self, chain: usize) -> Option<&ChildBlock> {
        self.blocks.iter().find(|block| block.chain == chain)
    }

    /// The blocks whose target a proof of work meets, by their places: bit n stands for block n.
    /// One whose nodes would refuse a parent of this version, for it has their chain id, is not solved.
    pub fn solved_by(&self, pow: &Hash32, version: u32) -> u8 {
        let solves = |block: &ChildBlock| block.template.target.is_met_by(pow) && block.auxpow.accepts_parent(version);
        let solved = self.blocks.iter().enumerate().filter(|(_, block)| solves(block));
        solved.fold(0, |solved, (place, _)| solved | 1 << place)
    }

    /// What is submitted to the node of the block at `place`, which the parent's work solves.
    pub fn assemble(&self, place: usize, work: &ParentWork) -> Vec<u8> {
        let tree = self.tree.as_ref().expect("where there is a block there is a tree");
        let (chain_branch, slot) = tree.branch(place);
        let proof = auxpow::proof(work.coinbase, work.branch, &chain_branch, slot, work.header);
        self.blocks[place].assemble(&proof)
    }
}
