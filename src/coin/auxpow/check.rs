//! A proof of merged mining taken apart and checked as a node of the child coin does it (`auxpow.cpp` and
//! `CheckAuxPowProofOfWork` of Dogecoin Core), in its order. Shares nothing with what builds proofs, and checks no more
//! of the child block than its header.

use super::{MAGIC, VERSION_FLAG};
use crate::base::Hash32;
use crate::coin::{
    block::{HEADER, block_id},
    difficulty::Target,
    encode::{ReadError, Reader},
    params::{Algorithm, AuxPow},
    pow::sha256d,
};
use std::fmt;

/// Longest branch from a child block to the root in the parent's coinbase.
const LONGEST_CHAIN_BRANCH: usize = 30;
/// Without the magic, the root starts at most so many bytes into the script.
const EARLY: usize = 20;

/// A proof as it stands in a child block, after its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The parent's coinbase without witness.
    pub coinbase: &'a [u8],
    /// The script of the coinbase's first input; `None` where it has no input.
    pub script: Option<&'a [u8]>,
    /// The parent block's id as it is claimed, which nobody checks.
    pub parent_id: Hash32,
    /// From the coinbase to the root in the parent's header.
    pub branch: Vec<Hash32>,
    /// The coinbase's place in the parent block.
    pub index: u32,
    /// From the child block to the root in the coinbase.
    pub chain_branch: Vec<Hash32>,
    /// The child's place in the tree of chains.
    pub slot: u32,
    /// The parent's header.
    pub parent: [u8; HEADER],
}

/// Why a proof is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofFault {
    /// The child's header does not say that a proof follows.
    NoFlag,
    /// The child's header has another chain id than the coin.
    ChainId,
    /// The child's bits are no target.
    Bits,
    /// The parent's work does not meet the child's target.
    HighHash,
    /// The coinbase stands elsewhere than at the start of the parent block.
    NotCoinbase,
    /// The parent's header has the child's chain id.
    ParentChainId,
    /// The branch from the child is longer than 30 hashes.
    LongBranch,
    /// The coinbase is not in the parent block.
    ParentRoot,
    /// The coinbase has no input.
    NoInput,
    /// The child is not in the coinbase.
    NoRoot,
    /// The coinbase has two magics.
    TwoMagics,
    /// The magic stands elsewhere than right before the root.
    MagicElsewhere,
    /// There is no magic, and the root comes late in the script.
    LateRoot,
    /// The script ends before size and nonce.
    NoSize,
    /// The size is not that of the branch.
    Size,
    /// The child's slot is not the one that nonce and chain id give.
    Slot,
}

impl fmt::Display for ProofFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProofFault::NoFlag => "the version lacks the auxpow flag",
            ProofFault::ChainId => "the version has another chain id",
            ProofFault::Bits => "the bits are no target",
            ProofFault::HighHash => "the parent's work misses the target",
            ProofFault::NotCoinbase => "the proof is not by a coinbase",
            ProofFault::ParentChainId => "the parent has the chain id of its child",
            ProofFault::LongBranch => "the chain branch is too long",
            ProofFault::ParentRoot => "the coinbase is not in the parent block",
            ProofFault::NoInput => "the coinbase has no input",
            ProofFault::NoRoot => "the coinbase lacks the chain merkle root",
            ProofFault::TwoMagics => "the coinbase has two merged-mining headers",
            ProofFault::MagicElsewhere => "the merged-mining header is not right before the chain merkle root",
            ProofFault::LateRoot => "the chain merkle root starts too late in the coinbase",
            ProofFault::NoSize => "the coinbase lacks tree size and nonce",
            ProofFault::Size => "the tree size is not that of the chain branch",
            ProofFault::Slot => "the child is in the wrong slot of the tree",
        })
    }
}

impl std::error::Error for ProofFault {}

impl<'a> Proof<'a> {
    /// Reads a proof off the front of what follows a child's header.
    pub fn read(reader: &mut Reader<'a>) -> Result<Proof<'a>, ReadError> {
        let whole = reader.rest();
        let script = read_coinbase(reader)?;
        let coinbase = &whole[..whole.len() - reader.rest().len()];
        Ok(Proof {
            coinbase,
            script,
            parent_id: reader.hash()?,
            branch: read_branch(reader)?,
            index: reader.u32()?,
            chain_branch: read_branch(reader)?,
            slot: reader.u32()?,
            parent: reader.array()?,
        })
    }

    /// Whether the proof is one for the child block with this header.
    pub fn check(&self, header: &[u8; HEADER], coin: &AuxPow, algorithm: Algorithm) -> Result<(), ProofFault> {
        let version = version(header);
        require(version >> 16 == coin.chain_id, ProofFault::ChainId)?;
        require(version & VERSION_FLAG != 0, ProofFault::NoFlag)?;
        self.check_commitment(&block_id(header), coin.chain_id)?;
        let bits = u32::from_le_bytes(header[72..76].try_into().expect("four bytes"));
        let target = Target::from_compact(bits).ok_or(ProofFault::Bits)?;
        require(target.is_met_by(&algorithm.pow_hash(&self.parent)), ProofFault::HighHash)
    }

    /// Whether the parent's header commits to the child block of this id; says nothing of work.
    pub fn check_commitment(&self, child: &Hash32, chain_id: u32) -> Result<(), ProofFault> {
        require(self.index == 0, ProofFault::NotCoinbase)?;
        require(version(&self.parent) >> 16 != chain_id, ProofFault::ParentChainId)?;
        require(self.chain_branch.len() <= LONGEST_CHAIN_BRANCH, ProofFault::LongBranch)?;
        let mut root = climb(*child, &self.chain_branch, self.slot);
        root.reverse();
        let parent_root = climb(sha256d(self.coinbase), &self.branch, self.index);
        require(parent_root == self.parent[36..68], ProofFault::ParentRoot)?;

        let script = self.script.ok_or(ProofFault::NoInput)?;
        let at = find(script, &root).ok_or(ProofFault::NoRoot)?;
        match find(script, &MAGIC) {
            Some(magic) => {
                require(find(&script[magic + 1..], &MAGIC).is_none(), ProofFault::TwoMagics)?;
                require(magic + MAGIC.len() == at, ProofFault::MagicElsewhere)?;
            }
            None => require(at <= EARLY, ProofFault::LateRoot)?,
        }
        let mut rest = Reader::new(&script[at + root.len()..]);
        let (Ok(size), Ok(nonce)) = (rest.u32(), rest.u32()) else { return Err(ProofFault::NoSize) };
        let height = self.chain_branch.len() as u32;
        require(size == 1 << height, ProofFault::Size)?;
        require(self.slot == expected_slot(nonce, chain_id, height), ProofFault::Slot)
    }
}

/// Takes a merge-mined block apart: its header, its proof, and what follows, which is the count of its transactions
/// and they.
pub fn split(block: &[u8]) -> Result<([u8; HEADER], Proof<'_>, &[u8]), ReadError> {
    let mut reader = Reader::new(block);
    let header = reader.array()?;
    let proof = Proof::read(&mut reader)?;
    Ok((header, proof, reader.rest()))
}

/// The slot that a chain has in a tree of 2^`height` slots: exact, and cut to 32 bits at the end, which is the same
/// as wrapping on the way.
pub(super) fn expected_slot(nonce: u32, chain_id: u32, height: u32) -> u32 {
    let [nonce, chain_id] = [nonce, chain_id].map(u128::from);
    let exact = (nonce * 1_103_515_245 + 12_345 + chain_id) * 1_103_515_245 + 12_345;
    (exact % (1 << height)) as u32
}

/// The root above a leaf at this place of a tree.
pub(super) fn climb(leaf: Hash32, branch: &[Hash32], place: u32) -> Hash32 {
    branch.iter().enumerate().fold(leaf, |below, (depth, sibling)| {
        let is_right = u64::from(place) >> depth & 1 == 1;
        sha256d(&if is_right { [*sibling, below] } else { [below, *sibling] }.concat())
    })
}

fn version(header: &[u8; HEADER]) -> u32 {
    u32::from_le_bytes(header[..4].try_into().expect("four bytes"))
}

/// Passes a transaction without witness; gives the script of its first input.
fn read_coinbase<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, ReadError> {
    reader.u32()?;
    let mut first = None;
    for _ in 0..reader.varint()? {
        reader.take(36)?;
        let script = reader.bytes()?;
        first.get_or_insert(script);
        reader.u32()?;
    }
    for _ in 0..reader.varint()? {
        reader.u64()?;
        reader.bytes()?;
    }
    reader.u32()?;
    Ok(first)
}

fn read_branch(reader: &mut Reader<'_>) -> Result<Vec<Hash32>, ReadError> {
    (0..reader.varint()?).map(|_| reader.hash()).collect()
}

fn find(script: &[u8], part: &[u8]) -> Option<usize> {
    script.windows(part.len()).position(|window| window == part)
}

fn require(holds: bool, otherwise: ProofFault) -> Result<(), ProofFault> {
    if holds { Ok(()) } else { Err(otherwise) }
}
