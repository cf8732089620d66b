//! Proofs as they are built here, judged by a node's rules: right ones, and every fault.

use crate::parent::{EASY_BITS, Parent, mine};
use crate::{dogecoin, text, vector};
use edgepool::{
    base::Hash32,
    coin::{
        auxpow::{
            self, AuxTree, MAGIC,
            check::{self, Proof, ProofFault},
        },
        block,
        coinbase::{Coinbase, CoinbaseSpec, TxOut},
        encode::{ReadError, Reader},
        merkle,
        params::{Algorithm, AuxPow},
        pow::sha256d,
        script::Script,
        template::Template,
    },
};
use proptest::prelude::*;

#[test]
fn a_child_block_of_our_own_coinbase_is_one_that_a_node_finds_right() {
    let (dogecoin, rules) = dogecoin();
    let raw = vector("doge_gbt_regtest_empty.json");
    let template = Template::parse(raw.to_string().as_bytes(), dogecoin).unwrap();
    let outputs = [TxOut { value: template.value, script: Script::p2pkh(&[7; 20]) }];
    let spec = CoinbaseSpec {
        version: dogecoin.coinbase_version,
        height: template.height,
        aux: &[],
        tag: b"/edgepool/",
        extranonce_len: 4,
        outputs: &outputs,
        commitment: template.commitment(),
    };
    let coinbase = Coinbase::build(&spec).unwrap();
    let root = merkle::root(coinbase.txid(&[0; 4], &[]), &template.branch());
    let header = auxpow::child_header(&template, &root, template.curtime);
    let fields = (&header[..4], &header[4..36], &header[68..72], &header[72..]);
    let curtime = template.curtime.to_le_bytes();
    let (version, bits_and_nonce) = ([0x04, 0x01, 0x62, 0x00], [0xff, 0xff, 0x7f, 0x20, 0, 0, 0, 0]);
    assert_eq!(fields, (&version[..], &template.prev_hash[..], &curtime[..], &bits_and_nonce[..]));

    let tree = AuxTree::build(&[(rules.chain_id, block::block_id(&header))]).unwrap();
    let proof = Parent::of(&tree, dogecoin.algorithm).proof(tree.branch(0));
    let in_block = coinbase.for_block(&[0; 4], &[]);
    let whole = block::assemble_merged(&header, &proof, &in_block, &template.transactions, None);
    let (found, read, rest) = check::split(&whole).unwrap();
    assert_eq!((found, rest), (header, [&[1], in_block.as_slice()].concat().as_slice()));
    assert_eq!(read.check(&header, &rules, dogecoin.algorithm), Ok(()));
}

/// The header of some child block with this chain id.
fn child(chain_id: u32, seed: u8) -> [u8; 80] {
    block::header(chain_id << 16 | 0x104, &[seed; 32], &[seed; 32], 1_700_000_000, EASY_BITS, 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn one_parent_proves_each_of_its_children(ids in prop::collection::btree_set(0..0x2000u32, 1..=8), seed: u8) {
        let children: Vec<(AuxPow, [u8; 80])> =
            ids.iter().map(|id| (AuxPow { chain_id: *id, ..dogecoin().1 }, child(*id, seed))).collect();
        let committed: Vec<(u32, Hash32)> =
            children.iter().map(|(rules, header)| (rules.chain_id, block::block_id(header))).collect();
        let tree = AuxTree::build(&committed).unwrap();
        let parent = Parent::of(&tree, Algorithm::Sha256d);
        for (place, (rules, header)) in children.iter().enumerate() {
            let proof = parent.proof(tree.branch(place));
            let read = Proof::read(&mut Reader::new(&proof)).unwrap();
            prop_assert_eq!(read.check(header, rules, Algorithm::Sha256d), Ok(()));
            // Nor does it prove any other block.
            let other = child(rules.chain_id, seed.wrapping_add(1));
            prop_assert_eq!(read.check(&other, rules, Algorithm::Sha256d), Err(ProofFault::NoRoot));
        }
    }

    #[test]
    fn any_bytes_are_read_as_a_proof_or_refused(place in 0..2_000usize, byte: u8,) {
        let mut raw = hex::decode(text("doge_block_auxpow_h81_raw.hex")).unwrap();
        let place = place % raw.len();
        raw[place] = byte;
        if let Ok((header, proof, _)) = check::split(&raw) {
            let _ = proof.check(&header, &dogecoin().1, Algorithm::Scrypt);
        }
    }
}

/// A coinbase with this script, and nothing but that.
fn coinbase(script: &[u8]) -> Vec<u8> {
    [&[1, 0, 0, 0, 1], [0; 36].as_slice(), &[script.len() as u8], script, &[0xff; 4], &[0; 5]].concat()
}

#[test]
fn every_fault_of_a_proof_is_found() {
    let (dogecoin, rules) = dogecoin();
    let header = child(98, 5);
    let mut root = block::block_id(&header);
    root.reverse();
    let height = [2, 0xbc, 2];
    let size_and_nonce = [1, 0, 0, 0, 0, 0, 0, 0];
    let verdict = |coinbase: Vec<u8>, parent_version: u32, change: &dyn Fn(&mut Proof)| {
        let proof = Parent::mine(parent_version, coinbase, dogecoin.algorithm).proof((vec![], 0));
        let mut read = Proof::read(&mut Reader::new(&proof)).unwrap();
        change(&mut read);
        read.check(&header, &rules, dogecoin.algorithm)
    };
    let of_script = |parts: &[&[u8]]| verdict(coinbase(&parts.concat()), 0x2000_0000, &|_| ());
    let right: [&[u8]; 4] = [&height, &MAGIC, &root, &size_and_nonce];
    assert_eq!(of_script(&right), Ok(()));
    // As merged mining began: without the magic, early in the script.
    assert_eq!(of_script(&[&height, &root, &size_and_nonce]), Ok(()));
    assert_eq!(of_script(&[&[0; 20], &root, &size_and_nonce]), Ok(()));
    assert_eq!(of_script(&[&[0; 21], &root, &size_and_nonce]), Err(ProofFault::LateRoot));
    assert_eq!(of_script(&[&right.concat(), &MAGIC]), Err(ProofFault::TwoMagics));
    assert_eq!(of_script(&[&MAGIC, &right.concat()]), Err(ProofFault::TwoMagics));
    assert_eq!(of_script(&[&MAGIC, &[0], &root, &size_and_nonce]), Err(ProofFault::MagicElsewhere));
    assert_eq!(of_script(&[&root, &MAGIC, &size_and_nonce]), Err(ProofFault::MagicElsewhere));
    assert_eq!(of_script(&[&height, &MAGIC, &block::block_id(&header), &size_and_nonce]), Err(ProofFault::NoRoot));
    assert_eq!(of_script(&[&MAGIC, &root, &size_and_nonce[..7]]), Err(ProofFault::NoSize));
    assert_eq!(of_script(&[&MAGIC, &root, &[2, 0, 0, 0, 0, 0, 0, 0]]), Err(ProofFault::Size));
    assert_eq!(of_script(&[&MAGIC, &root, &[0; 8]]), Err(ProofFault::Size));
    let without_input = [[1, 0, 0, 0], [0, 0, 0, 0], [0; 4]].concat()[..10].to_vec();
    assert_eq!(verdict(without_input, 0x2000_0000, &|_| ()), Err(ProofFault::NoInput));

    let coinbase = coinbase(&right.concat());
    let changed = |change: &dyn Fn(&mut Proof)| verdict(coinbase.clone(), 0x2000_0000, change);
    assert_eq!(verdict(coinbase.clone(), 0x0062_0004, &|_| ()), Err(ProofFault::ParentChainId));
    assert_eq!(verdict(coinbase.clone(), 0x0063_0004, &|_| ()), Ok(()));
    assert_eq!(changed(&|proof| proof.index = 1), Err(ProofFault::NotCoinbase));
    assert_eq!(changed(&|proof| proof.chain_branch = vec![[0; 32]; 31]), Err(ProofFault::LongBranch));
    assert_eq!(changed(&|proof| proof.branch[0][0] ^= 1), Err(ProofFault::ParentRoot));
    assert_eq!(changed(&|proof| proof.slot = 1), Err(ProofFault::Slot));
    // Nobody looks at what the proof calls its parent.
    assert_eq!(changed(&|proof| proof.parent_id = [0; 32]), Ok(()));
    let parent_root = merkle::root(sha256d(&coinbase), &merkle::branch(&[[1; 32], [2; 32], [3; 32]]));
    let idle = mine(0x2000_0000, &parent_root, dogecoin.algorithm, false);
    assert_eq!(changed(&|proof| proof.parent = idle), Err(ProofFault::HighHash));

    let proof = Parent::mine(0x2000_0000, coinbase.clone(), dogecoin.algorithm).proof((vec![], 0));
    let read = Proof::read(&mut Reader::new(&proof)).unwrap();
    let of_header = |header: [u8; 80]| read.check(&header, &rules, dogecoin.algorithm);
    assert_eq!(of_header(child(99, 5)), Err(ProofFault::ChainId));
    let plain = block::header(98 << 16 | 4, &[5; 32], &[5; 32], 1_700_000_000, EASY_BITS, 0);
    assert_eq!(of_header(plain), Err(ProofFault::NoFlag));
    for end in 0..proof.len() {
        let cut = Proof::read(&mut Reader::new(&proof[..end]));
        assert_eq!(cut, Err(ReadError::Truncated), "cut at {end}");
    }
}

#[test]
fn a_slot_of_another_nonce_is_found_wrong() {
    // In a tree of two slots the nonce 1 moves every child to the other one.
    let (_, rules) = dogecoin();
    let header = child(98, 5);
    let tree = AuxTree::build(&[(98, block::block_id(&header)), (63, [8; 32])]).unwrap();
    let mut tag = tree.tag();
    let check = |tag: &[u8]| {
        let parent = Parent::mine(0x2000_0000, coinbase(tag), Algorithm::Sha256d);
        let proof = parent.proof(tree.branch(0));
        Proof::read(&mut Reader::new(&proof)).unwrap().check(&header, &rules, Algorithm::Sha256d)
    };
    assert_eq!(check(&tag), Ok(()));
    tag[41] = 1;
    assert_eq!(check(&tag), Err(ProofFault::Slot));
}
