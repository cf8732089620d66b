//! Merged mining against what real nodes gave and accepted, byte for byte, and the checker against every way in which a
//! proof can be wrong.

use edgepool::{
    base::{Hash32, display_hash},
    coin::{
        auxblock::AuxBlock,
        auxpow::{
            self, AuxTree, MAGIC,
            check::{self, Proof, ProofFault},
        },
        block,
        coinbase::{Coinbase, CoinbaseSpec, TxOut},
        difficulty::Target,
        encode::{ReadError, Reader},
        merkle,
        params::{Algorithm, AuxPow, Coin, coin},
        pow::sha256d,
        script::Script,
        template::{Template, TemplateError, TemplateTx},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

fn text(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", name].iter().collect();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_string()
}

fn vector(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string of hexadecimal digits")).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash32> {
    value.as_array().unwrap().iter().map(|hash| bytes(hash).try_into().unwrap()).collect()
}

fn dogecoin() -> (&'static Coin, AuxPow) {
    let dogecoin = coin("dogecoin").unwrap();
    (dogecoin, dogecoin.auxpow.unwrap())
}

fn parse(result: &Value) -> Result<AuxBlock, TemplateError> {
    AuxBlock::parse(result.to_string().as_bytes(), dogecoin().0)
}

/// Builds the tag and the proof of a vector again; gives the block that was mined for and the proof.
fn reproduces(aux: &Value, tag: &Value, coinbase: &Value, branch: &Value, header: &Value) -> (AuxBlock, Vec<u8>) {
    let block = parse(aux).unwrap();
    let tree = AuxTree::build(&[(block.chain_id, block.hash)]).unwrap();
    assert_eq!(hex::encode(tree.tag()), format!("2c{}", tag.as_str().unwrap()));
    let (chain_branch, slot) = tree.branch(0);
    let header = bytes(header).try_into().unwrap();
    (block, auxpow::proof(&bytes(coinbase), &hashes(branch), &chain_branch, slot, &header))
}

#[test]
fn a_proof_that_dogecoind_accepted_is_reproduced_and_found_right() {
    let vector = vector("vector_doge_auxpow_createauxblock.json");
    assert_eq!((&vector["result"], &vector["became_best"]), (&json!(true), &json!(true)));
    let (block, proof) = reproduces(
        &vector["aux"]["createauxblock"],
        &vector["tag_44bytes"],
        &vector["parent_coinbase_nowitness"],
        &vector["parent_merkle_branch"],
        &vector["parent_header"],
    );
    assert_eq!(hex::encode(&proof), vector["auxpow_hex"]);
    let mut reader = Reader::new(&proof);
    let read = Proof::read(&mut reader).unwrap();
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(read.check_commitment(&block.hash, block.chain_id), Ok(()));
    let pow = Algorithm::Scrypt.pow_hash(&read.parent);
    assert_eq!(display_hash(&pow), vector["parent_pow_hash_be"]);
    assert!(block.target.is_met_by(&pow));
}

#[test]
fn a_merge_mined_block_is_rebuilt_from_its_parts_and_found_right() {
    let parts = vector("doge_auxpow_accepted_parts.json");
    let (block, proof) = reproduces(
        &parts["createauxblock"],
        &parts["tag"],
        &parts["coinbase_nowitness"],
        &parts["merkle_branch"],
        &parts["parent_header"],
    );
    assert_eq!(hex::encode(&proof), parts["auxpow"]);
    assert_eq!(hex::encode(&proof), text("doge_auxpow_h81_parent_ltc_h708.hex"));

    let raw = hex::decode(text("doge_block_auxpow_h81_raw.hex")).unwrap();
    let (header, read, rest) = check::split(&raw).unwrap();
    let (dogecoin, rules) = dogecoin();
    assert_eq!(block::block_id(&header), block.hash);
    assert_eq!(read.coinbase, bytes(&parts["coinbase_nowitness"]));
    assert_eq!((&read.branch, read.chain_branch.len()), (&hashes(&parts["merkle_branch"]), 0));
    assert_eq!(read.check(&header, &rules, dogecoin.algorithm), Ok(()));

    // What follows is a count and the transactions, of the sizes and ids that the node shows.
    let getblock = vector("doge_getblock2_auxpow.json");
    let mut reader = Reader::new(rest);
    assert_eq!(reader.varint(), Ok(getblock["tx"].as_array().unwrap().len() as u64));
    let transaction = |shown: &Value| {
        let data = reader.take(shown["size"].as_u64().unwrap() as usize).unwrap().to_vec();
        let (txid, weight) = (sha256d(&data), 4 * data.len() as u64);
        assert_eq!(display_hash(&txid), shown["txid"]);
        TemplateTx { data, txid, wtxid: txid, fee: 0, weight, sigops: 0, depends: vec![], pinned: false }
    };
    let mut others: Vec<TemplateTx> = getblock["tx"].as_array().unwrap().iter().map(transaction).collect();
    let coinbase = others.remove(0).data;
    assert_eq!(hex::encode(block::assemble_merged(&header, &proof, &coinbase, &others, None)), hex::encode(&raw));
}

#[test]
fn a_node_s_own_block_is_read() {
    let result = vector("doge_createauxblock.json");
    let block = parse(&result).unwrap();
    assert_eq!(display_hash(&block.hash), result["hash"]);
    assert_eq!(display_hash(&block.prev_hash), result["previousblockhash"]);
    assert_eq!((block.chain_id, block.height, block.bits), (98, 81, 0x207f_ffff));
    assert_eq!(block.value, 50_000_000_678_000);
    assert_eq!(Some(block.target), Target::from_compact(0x207f_ffff));

    // Namecoin's interface names the target otherwise.
    let mut namecoin = result.clone();
    let target = namecoin.as_object_mut().unwrap().remove("target").unwrap();
    assert_eq!(parse(&namecoin), Ok(block.clone()));
    namecoin["_target"] = target;
    assert_eq!(parse(&namecoin), Ok(block.clone()));

    // Junkcoin's latest node prints the bytes the other way round.
    let mut junkcoin = result;
    junkcoin["target"] = json!(format!("7fffff{}", "0".repeat(58)));
    assert_eq!(parse(&junkcoin), Ok(block));
}

#[test]
fn what_is_wrong_with_a_node_s_own_block_is_named() {
    let right = vector("doge_createauxblock.json");
    let refusal = |member: &str, value: Value| {
        let mut wrong = right.clone();
        wrong[member] = value;
        parse(&wrong).unwrap_err()
    };
    assert_eq!(refusal("chainid", json!(99)), TemplateError::ChainId { found: 99, expected: 98 });
    for (member, value) in [
        ("hash", json!("00")),
        ("chainid", json!(-1)),
        ("previousblockhash", json!("zz")),
        ("coinbasevalue", json!(-1)),
        ("bits", json!("20ffffff")),
        ("bits", json!("207ffffe")),
        ("height", json!(0)),
        ("target", json!(format!("7ffffe{}", "0".repeat(58)))),
        ("target", json!("00")),
    ] {
        let named = if value == json!("207ffffe") { "target" } else { member };
        let reason = refusal(member, value).to_string();
        assert!(reason.starts_with(&format!("the template's {named} is invalid: ")), "{reason}");
    }
    for member in ["hash", "chainid", "previousblockhash", "coinbasevalue", "bits", "height"] {
        let mut missing = right.clone();
        missing.as_object_mut().unwrap().remove(member);
        let reason = parse(&missing).unwrap_err().to_string();
        assert!(reason.contains(&format!("missing field `{member}`")), "{reason}");
    }
}

#[test]
fn a_template_of_another_chain_id_is_refused() {
    let mut template = vector("doge_gbt_regtest_empty.json");
    template["version"] = json!(0x0063_0004);
    let refused = Template::parse(template.to_string().as_bytes(), dogecoin().0);
    assert_eq!(refused, Err(TemplateError::ChainId { found: 99, expected: 98 }));
}

/// The easiest bits of regtest, which every second hash meets.
const EASY_BITS: u32 = 0x207f_ffff;

/// A parent block of the coinbase and three other transactions, as far as a proof shows it.
struct Parent {
    coinbase: Vec<u8>,
    branch: Vec<Hash32>,
    header: [u8; 80],
}

impl Parent {
    /// Mines a block with this version and coinbase.
    fn mine(version: u32, coinbase: Vec<u8>, algorithm: Algorithm) -> Parent {
        let branch = merkle::branch(&[[1; 32], [2; 32], [3; 32]]);
        let root = merkle::root(sha256d(&coinbase), &branch);
        Parent { coinbase, branch, header: mine(version, &root, algorithm, true) }
    }

    /// Mines a block whose coinbase commits to `tree`.
    fn of(tree: &AuxTree, algorithm: Algorithm) -> Parent {
        let outputs = [TxOut { value: 1, script: Script::p2pkh(&[7; 20]) }];
        let spec = CoinbaseSpec {
            version: 2,
            height: 700,
            aux: &tree.tag(),
            tag: b"/edgepool/",
            extranonce_len: 8,
            outputs: &outputs,
            commitment: Some([9; 32]),
        };
        let coinbase = Coinbase::build(&spec).unwrap();
        Parent::mine(0x2000_0000, [&coinbase.first, [4; 8].as_slice(), &coinbase.second].concat(), algorithm)
    }

    fn proof(&self, (chain_branch, slot): (Vec<Hash32>, u32)) -> Vec<u8> {
        auxpow::proof(&self.coinbase, &self.branch, &chain_branch, slot, &self.header)
    }
}

/// A header that meets the easy target, or one that misses it.
fn mine(version: u32, root: &Hash32, algorithm: Algorithm, meets: bool) -> [u8; 80] {
    let target = Target::from_compact(EASY_BITS).unwrap();
    (0..)
        .map(|nonce| block::header(version, &[6; 32], root, 1_700_000_000, EASY_BITS, nonce))
        .find(|header| target.is_met_by(&algorithm.pow_hash(header)) == meets)
        .unwrap()
}

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
