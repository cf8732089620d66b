//! A chain that is merge-mined: its own rules, and what its node finds wrong with a proof.

use super::*;
use crate::coin::auxpow::check::{self, ProofFault};
use crate::coin::auxpow::{AuxTree, VERSION_FLAG, proof};
use crate::coin::block::{HEADER, assemble_merged};
use crate::coin::pow::sha256d;

const DOGECOIN: u32 = 98;
const OTHER: u32 = 63;

pub(super) fn dogecoin() -> Chain {
    Chain::new(ChainSpec { start_hashes: 4, ..ChainSpec::dogecoin() }, GENESIS_S)
}

/// A proof before its parent's work, with everything that a test may want to be wrong.
pub(super) struct Proving {
    pub children: Vec<(u32, Hash32)>,
    /// Which of the children the proof is for.
    pub place: usize,
    pub parent_version: u32,
    pub tag: fn(Vec<u8>) -> Vec<u8>,
    pub branch: Vec<Hash32>,
    pub slot_flip: u32,
    /// Changes the coinbase that is shown.
    pub coinbase_flip: u8,
    pub meets_target: bool,
}

impl Proving {
    /// One that is right.
    pub fn of(chain_id: u32, block: Hash32) -> Proving {
        Proving {
            children: vec![(chain_id, block)],
            place: 0,
            parent_version: 0x2000_0000,
            tag: |tag| tag,
            branch: merkle::branch(&[[1; 32], [2; 32]]),
            slot_flip: 0,
            coinbase_flip: 0,
            meets_target: true,
        }
    }

    /// The proof by a parent whose work meets `bits`.
    pub fn made(&self, bits: u32) -> Vec<u8> {
        let tree = AuxTree::build(&self.children).unwrap();
        let coinbase = Coinbase::build(&CoinbaseSpec {
            version: 2,
            height: 700,
            aux: &(self.tag)(tree.tag().to_vec()),
            tag: &[],
            extranonce_len: EXTRANONCE.len(),
            outputs: &[TxOut { value: 1, script: Script::p2pkh(&[7; 20]) }],
            commitment: Some([9; 32]),
        });
        let mut coinbase = coinbase.unwrap().stripped(&EXTRANONCE, &[]);
        let root = merkle::root(sha256d(&coinbase), &self.branch);
        let target = Target::from_compact(bits).unwrap();
        let header: [u8; HEADER] = (0..100_000)
            .map(|nonce| header(self.parent_version, &[6; 32], &root, NOW_S, 0x207f_ffff, nonce))
            .find(|header| target.is_met_by(&Algorithm::Scrypt.pow_hash(header)) == self.meets_target)
            .unwrap();
        *coinbase.last_mut().unwrap() ^= self.coinbase_flip;
        let (chain_branch, slot) = tree.branch(self.place);
        proof(&coinbase, &self.branch, &chain_branch, slot ^ self.slot_flip, &header)
    }
}

impl Draft {
    /// The block with a proof in the place of work of its own.
    fn merged(&self, spoil: impl FnOnce(&mut Proving)) -> Vec<u8> {
        let (coinbase, root) = self.coinbase();
        let header = header(self.version | VERSION_FLAG, &self.prev, &root, self.time, self.bits, 0);
        let mut proving = Proving::of(DOGECOIN, block_id(&header));
        spoil(&mut proving);
        assemble_merged(&header, &proving.made(self.bits), &coinbase, &self.transactions, None)
    }
}

/// Breaks one thing of a good block or of its proof; both are taken once they are right again.
#[track_caller]
fn refused(reason: &'static str, block: impl FnOnce(&mut Draft), proof: impl FnOnce(&mut Proving)) {
    let mut chain = dogecoin();
    let mut draft = Draft::on(&mut chain, NOW_S);
    block(&mut draft);
    let tip = (chain.height(), chain.best_hash());
    assert_eq!(chain.submit(&draft.merged(proof), NOW_S), Err(SubmitError::Rejected(reason)));
    assert_eq!((chain.height(), chain.best_hash()), tip, "a refused block leaves the chain as it was");
    let good = Draft::on(&mut chain, NOW_S).merged(|_| ());
    assert_eq!(chain.submit(&good, NOW_S), Ok(()), "and the good block is still taken");
}

#[test]
fn it_begins_where_blocks_may_be_merge_mined_and_has_no_witnesses() {
    let mut chain = dogecoin();
    assert_eq!(chain.height(), 19);
    let raw = chain.template(NOW_S);
    assert_eq!(raw["version"], 0x0062_0004);
    assert!(raw.get("default_witness_commitment").is_none() && raw.get("weightlimit").is_none(), "{raw}");
    let template = template(&mut chain, NOW_S);
    assert_eq!((template.height, template.has_commitment), (20, false));
    assert!(template.transactions.len() > 4);
    assert!(template.transactions.iter().all(|transaction| transaction.txid == transaction.wtxid));
    let fees: u64 = template.transactions.iter().map(|transaction| transaction.fee).sum();
    assert_eq!(template.value, 1_000_000_000_000 + fees);
}

#[test]
fn a_block_is_taken_with_a_proof_or_with_work_of_its_own() {
    let mut chain = dogecoin();
    let merged = Draft::on(&mut chain, NOW_S).merged(|_| ());
    assert_eq!(chain.submit(&merged, NOW_S), Ok(()));
    assert_eq!(chain.submit(&merged, NOW_S), Err("duplicate".into()));
    let block = chain.block(20).unwrap();
    assert!(block.parent.is_some_and(|parent| parent == block.solved()) && block.bytes == merged);
    let alone = Draft::on(&mut chain, NOW_S + 1).mined();
    assert_eq!(chain.submit(&alone, NOW_S + 1), Ok(()));
    let block = chain.block(21).unwrap();
    assert_eq!((block.parent, block.solved()), (None, block.hash));
}

/// A proof with one thing wrong is refused, and for that very thing.
#[track_caller]
fn high_hash(fault: ProofFault, block: fn(&mut Draft), proof: fn(&mut Proving)) {
    let mut draft = Draft::on(&mut dogecoin(), NOW_S);
    block(&mut draft);
    let bytes = draft.merged(proof);
    let (header, found, _) = check::split(&bytes).unwrap();
    let coin = ChainSpec::dogecoin().coin;
    assert_eq!(found.check(&header, &coin.auxpow.unwrap(), coin.algorithm), Err(fault));
    refused("high-hash", block, proof);
}

#[test]
fn whatever_is_wrong_with_a_proof_is_high_hash() {
    let as_it_is: fn(&mut Draft) = |_| ();
    high_hash(ProofFault::HighHash, as_it_is, |proof| proof.meets_target = false);
    high_hash(ProofFault::NoRoot, as_it_is, |proof| proof.children[0].1[0] ^= 1);
    high_hash(ProofFault::ParentChainId, as_it_is, |proof| proof.parent_version = DOGECOIN << 16 | 4);
    high_hash(ProofFault::ParentRoot, as_it_is, |proof| proof.coinbase_flip = 1);
    high_hash(ProofFault::Slot, as_it_is, |proof| proof.slot_flip = 1);
    high_hash(ProofFault::NoRoot, as_it_is, |proof| {
        proof.children.push((OTHER, [3; 32]));
        proof.place = 1;
    });
    high_hash(ProofFault::TwoMagics, as_it_is, |proof| {
        proof.tag = |tag| [&[4, 0xfa, 0xbe, 0x6d, 0x6d], tag.as_slice()].concat();
    });
    high_hash(ProofFault::Size, as_it_is, |proof| {
        proof.tag = |mut tag| {
            // The size of the tree, after push, magic and root.
            tag[37] = 2;
            tag
        }
    });
    high_hash(ProofFault::ChainId, |block| block.version = OTHER << 16 | 4, |_| ());
}

#[test]
fn two_chains_may_share_a_parent() {
    let mut chain = dogecoin();
    let block = Draft::on(&mut chain, NOW_S).merged(|proof| proof.children.insert(0, (OTHER, [3; 32])));
    assert_eq!(chain.submit(&block, NOW_S), Err("high-hash".into()), "the proof is for the other chain");
    let block = Draft::on(&mut chain, NOW_S).merged(|proof| {
        proof.children.insert(0, (OTHER, [3; 32]));
        proof.place = 1;
    });
    assert_eq!(chain.submit(&block, NOW_S), Ok(()));
}

#[test]
fn every_other_fault_has_its_own_name() {
    let named = |reason, spoil: fn(&mut Draft)| refused(reason, spoil, |_| ());
    named("bad-txnmrklroot", |block| block.root_flip = 1);
    named("prev-blk-not-found", |block| block.prev[0] ^= 1);
    named("bad-diffbits", |block| block.bits = 0x207f_fffe);
    named("time-too-new", |block| block.time = NOW_S + 7_201);
    named("time-too-old", |block| block.time = GENESIS_S - 30);
    named("bad-version", |block| block.version -= 1);
    named("bad-cb-height", |block| block.height += 1);
    named("bad-cb-amount", |block| block.value += 1);
    named("unexpected-witness", |block| block.commitment = Some([5; 32]));
    named("bad-blk-length", |block| {
        block.more_outputs = 30_000;
        block.value -= 30_000;
    });
    named("bad-txns-inputs-missingorspent", |block| {
        let twice = block.transactions[0].clone();
        block.transactions.push(twice);
    });

    let mut chain = dogecoin();
    let legacy = Draft { version: 1, ..Draft::on(&mut chain, NOW_S) }.mined();
    assert_eq!(chain.submit(&legacy, NOW_S), Err("late-legacy-block".into()));
}

#[test]
fn the_flag_and_the_proof_come_together() {
    let mut chain = dogecoin();
    let draft = Draft::on(&mut chain, NOW_S);
    let unproved = Draft { version: draft.version | VERSION_FLAG, ..Draft::on(&mut chain, NOW_S) }.mined();
    assert_eq!(chain.submit(&unproved, NOW_S), Err(SubmitError::Undecodable));
    let mut unflagged = draft.merged(|_| ());
    unflagged[1] ^= 1;
    assert_eq!(chain.submit(&unflagged, NOW_S), Err(SubmitError::Undecodable));
    let merged = draft.merged(|_| ());
    assert_eq!(chain.submit(&merged[..200], NOW_S), Err(SubmitError::Undecodable));
}
