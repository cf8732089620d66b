//! Blocks of the node's own, solved by proofs alone.

use super::merged::Proving;
use super::*;
use crate::coin::auxblock::AuxBlock;

const PEPECOIN: u32 = 63;

fn pepecoin() -> Chain {
    Chain::new(ChainSpec { start_hashes: 4, ..ChainSpec::pepecoin() }, GENESIS_S)
}

fn payee(number: u8) -> Script {
    Script::p2pkh(&[number; 20])
}

fn created(chain: &mut Chain, payee: &Script, now_s: u32) -> AuxBlock {
    let answer = chain.create_aux_block(payee, now_s).to_string();
    AuxBlock::parse(answer.as_bytes(), chain.spec.coin).expect("a block that the pool takes")
}

#[test]
fn a_proof_makes_the_block_that_pays_who_was_named() {
    let mut chain = pepecoin();
    let block = created(&mut chain, &payee(1), NOW_S);
    let proof = Proving::of(PEPECOIN, block.hash).made(block.bits);
    assert_eq!(chain.submit_aux_block(&block.hash, &proof, NOW_S), Ok(()));
    assert_eq!((chain.height(), chain.best_hash()), (block.height, block.hash));
    let made = chain.block(block.height).unwrap();
    assert_eq!(made.outputs, [TxOut { value: block.value, script: payee(1) }]);
    assert!(made.fees > 0 && made.fees + chain.spec.subsidy == block.value);
    assert_eq!(chain.submit_aux_block(&block.hash, &proof, NOW_S), Ok(()), "repeated is as good");
    let next = created(&mut chain, &payee(1), NOW_S);
    assert_eq!((next.prev_hash, next.height), (block.hash, block.height + 1));
    assert_eq!(chain.submit_aux_block(&block.hash, &proof, NOW_S), Err(ProofError::Unknown));
}

#[test]
fn a_block_stays_the_same_for_a_minute_and_each_payee_has_one() {
    let mut chain = pepecoin();
    let first = created(&mut chain, &payee(1), NOW_S);
    let other = created(&mut chain, &payee(2), NOW_S);
    assert_ne!(first.hash, other.hash);
    assert_eq!(created(&mut chain, &payee(1), NOW_S + 60), first);
    let renewed = created(&mut chain, &payee(1), NOW_S + 61);
    assert!(renewed.hash != first.hash && renewed.value > first.value);
    // The older one is good until the tip is another.
    let proof = Proving::of(PEPECOIN, first.hash).made(first.bits);
    assert_eq!(chain.submit_aux_block(&first.hash, &proof, NOW_S + 61), Ok(()));
    let late = Proving::of(PEPECOIN, renewed.hash).made(renewed.bits);
    assert_eq!(chain.submit_aux_block(&renewed.hash, &late, NOW_S + 61), Ok(()), "valid, and beside the tip");
    assert_eq!(chain.best_hash(), first.hash);
}

#[test]
fn a_proof_that_proves_nothing_brings_no_block() {
    let mut chain = pepecoin();
    let block = created(&mut chain, &payee(1), NOW_S);
    let proof = Proving::of(PEPECOIN, block.hash);
    let weak = Proving { meets_target: false, ..Proving::of(PEPECOIN, block.hash) }.made(block.bits);
    assert_eq!(chain.submit_aux_block(&block.hash, &weak, NOW_S), Err(ProofError::Rejected("high-hash")));
    let good = proof.made(block.bits);
    assert_eq!(chain.submit_aux_block(&[1; 32], &good, NOW_S), Err(ProofError::Unknown));
    let longer = [good.as_slice(), &[0]].concat();
    for bytes in [&[], &good[..good.len() - 1], &longer] {
        assert_eq!(chain.submit_aux_block(&block.hash, bytes, NOW_S), Err(ProofError::Undecodable));
    }
    assert_eq!(chain.submit_aux_block(&block.hash, &good, NOW_S), Ok(()));
}
