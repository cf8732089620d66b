//! What real nodes gave and accepted, byte for byte.

use crate::{bytes, dogecoin, hashes, text, vector};
use edgepool::{
    base::display_hash,
    coin::{
        auxblock::AuxBlock,
        auxpow::{
            self, AuxTree,
            check::{self, Proof},
        },
        block,
        difficulty::Target,
        encode::Reader,
        params::Algorithm,
        pow::sha256d,
        template::{Template, TemplateError, TemplateTx},
    },
};
use serde_json::{Value, json};

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
        TemplateTx { data: data.into(), txid, wtxid: txid, fee: 0, weight, sigops: 0, depends: vec![], pinned: false }
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
