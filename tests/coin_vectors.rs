//! The coin floor against what real nodes made and accepted: every byte of the vectors is reproduced.

use edgepool::{
    base::{Hash32, display_hash},
    coin::{
        address::{self, AddressError},
        block,
        coinbase::{COMMITMENT_TAG, Coinbase, CoinbaseSpec, TxOut},
        difficulty::Target,
        encode::{Reader, varint_len},
        merkle,
        params::{Coin, Network, coin},
        pow::sha256d,
        script::Script,
        template::{Template, TemplateError, TemplateTx},
    },
};
use serde_json::Value;
use std::{fs, path::PathBuf};

fn text(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", name].iter().collect();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string of hexadecimal digits")).unwrap()
}

fn internal(value: &Value) -> Hash32 {
    bytes(value).try_into().unwrap()
}

fn parse(template: &Value, coin_name: &str) -> Result<Template, TemplateError> {
    Template::parse(template.to_string().as_bytes(), coin(coin_name).unwrap())
}

#[track_caller]
fn reproduces(name: &str, coin_name: &str) {
    let vector = json(name);
    let coin = coin(coin_name).unwrap();
    let template = parse(&vector["gbt"], coin_name).unwrap();
    let outputs: Vec<TxOut> = vector["payouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payout| TxOut {
            value: payout["value"].as_u64().unwrap(),
            script: Script::from_bytes(bytes(&payout["script"])),
        })
        .collect();
    let (extranonce1, extranonce2) = (bytes(&vector["extranonce1"]), bytes(&vector["extranonce2"]));
    let extranonce_len = extranonce1.len() + extranonce2.len();
    let coinbase = Coinbase::build(&CoinbaseSpec {
        version: coin.coinbase_version,
        height: template.height,
        aux: &[],
        tag: b"/minipool/",
        extranonce_len,
        outputs: &outputs,
        commitment: template.commitment(),
    })
    .unwrap();
    assert_eq!(hex::encode(&coinbase.first), vector["coinbase1"]);
    assert_eq!(hex::encode(&coinbase.second), vector["coinbase2"]);
    let txid = coinbase.txid(&extranonce1, &extranonce2);
    assert_eq!(display_hash(&txid), vector["coinbase_txid"]);
    let in_block = coinbase.for_block(&extranonce1, &extranonce2);
    assert_eq!(hex::encode(&in_block), vector["coinbase_serialized_in_block"]);
    assert_eq!(coinbase.size(extranonce_len), in_block.len() as u64);

    let branch = template.branch();
    let expected: Vec<Hash32> = vector["merkle_branch"].as_array().unwrap().iter().map(internal).collect();
    assert_eq!(branch, expected);
    let root = merkle::root(txid, &branch);
    assert_eq!(root, internal(&vector["merkle_root_internal_order"]));

    assert_eq!(block::stratum_prev_hash(&template.prev_hash), vector["stratum_prevhash"]);
    let number = |field: &str| u32::from_str_radix(vector[field].as_str().unwrap(), 16).unwrap();
    assert_eq!(template.bits, number("nbits"));
    let rolled = number("version_hex");
    assert_eq!((rolled ^ template.version) & !coin.version_rolling_mask, 0, "only rollable bits differ");
    let header =
        block::header(rolled, &template.prev_hash, &root, number("ntime_hex"), template.bits, number("nonce_hex"));
    assert_eq!(hex::encode(header), vector["header"]);
    let pow = coin.algorithm.pow_hash(&header);
    assert_eq!(display_hash(&pow), vector["pow_hash_be"]);
    assert!(template.target.is_met_by(&pow));
    assert_eq!(display_hash(&block::block_id(&header)), vector["block_hash"]);
    let block = block::assemble(&header, &in_block, &template.transactions, template.mweb.as_deref());
    assert_eq!(hex::encode(block), vector["block_hex"]);
}

#[test]
fn litecoin_with_an_extension_block_is_reproduced() {
    reproduces("vector_ltc_mweb_emptytx_1out.json", "litecoin");
}

#[test]
fn bitcoin_with_a_rolled_version_is_reproduced() {
    reproduces("vector_btc_3tx_5outs_versionrolled.json", "bitcoin");
}

#[test]
fn dogecoin_mined_directly_is_reproduced() {
    reproduces("vector_doge_direct_2tx_2outs.json", "dogecoin");
}

/// A transaction as it was found in a block.
struct Found {
    stripped: Vec<u8>,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<TxOut>,
    transaction: TemplateTx,
}

fn read_transaction(reader: &mut Reader) -> Found {
    let whole = reader.rest();
    let version: [u8; 4] = reader.array().unwrap();
    let flag = match reader.rest() {
        [0, flag, ..] => *flag,
        _ => 0,
    };
    reader.take(if flag == 0 { 0 } else { 2 }).unwrap();
    let body = reader.rest();
    let inputs: Vec<Vec<u8>> = (0..reader.varint().unwrap())
        .map(|_| {
            reader.take(36).unwrap();
            let script = reader.bytes().unwrap().to_vec();
            reader.u32().unwrap();
            script
        })
        .collect();
    let outputs = (0..reader.varint().unwrap())
        .map(|_| TxOut { value: reader.u64().unwrap(), script: Script::from_bytes(reader.bytes().unwrap().to_vec()) })
        .collect();
    let body = &body[..body.len() - reader.rest().len()];
    if flag & 1 != 0 {
        for _ in &inputs {
            for _ in 0..reader.varint().unwrap() {
                reader.bytes().unwrap();
            }
        }
    }
    if flag & 8 != 0 {
        assert_eq!(reader.u8(), Ok(0), "a transaction in a block carries no extension data of its own");
    }
    let lock_time: [u8; 4] = reader.array().unwrap();
    let data = whole[..whole.len() - reader.rest().len()].to_vec();
    let stripped = [&version, body, &lock_time].concat();
    let weight = 3 * stripped.len() + if flag == 8 { stripped.len() } else { data.len() };
    let (txid, wtxid) = (sha256d(&stripped), sha256d(if flag == 8 { &stripped } else { &data }));
    let transaction = TemplateTx {
        data: data.into(),
        txid,
        wtxid,
        fee: 0,
        weight: weight as u64,
        sigops: 0,
        depends: vec![],
        pinned: false,
    };
    Found { stripped, inputs, outputs, transaction }
}

/// Takes an accepted block apart and builds it again from the parts.
#[track_caller]
fn rebuilds(name: &str, coin_name: &str, getblock: Option<&str>) {
    let coin = coin(coin_name).unwrap();
    let original = hex::decode(text(name).trim()).unwrap();
    let mut reader = Reader::new(&original);
    let header: [u8; 80] = reader.array().unwrap();
    let mut fields = Reader::new(&header);
    let (version, prev, root) = (fields.u32().unwrap(), fields.hash().unwrap(), fields.hash().unwrap());
    let (ntime, bits, nonce) = (fields.u32().unwrap(), fields.u32().unwrap(), fields.u32().unwrap());
    fields.finish().unwrap();
    let count = reader.varint().unwrap();
    let coinbase = read_transaction(&mut reader);
    let others: Vec<TemplateTx> = (1..count).map(|_| read_transaction(&mut reader).transaction).collect();
    let mweb = (!reader.rest().is_empty()).then(|| {
        assert_eq!(reader.u8(), Ok(1));
        reader.rest()
    });

    // The scriptSig: height, what stands between it and the extranonce, the extranonce, the pool's name.
    let script = &coinbase.inputs[0];
    let mut reader = Reader::new(script);
    let height = reader.height().unwrap();
    let after_height = reader.rest();
    let tag = b"/minipool/";
    let mut aux = &after_height[..0];
    let mut extranonce = reader.push().unwrap();
    while reader.rest() != tag {
        aux = &after_height[..aux.len() + 1 + extranonce.len()];
        extranonce = reader.push().unwrap();
    }
    let is_commitment = |output: &&TxOut| output.script.as_bytes().starts_with(&COMMITMENT_TAG);
    let committed = coinbase.outputs.last().filter(is_commitment).is_some();
    let wtxids: Vec<Hash32> = others.iter().map(|other| other.wtxid).collect();
    let rebuilt = Coinbase::build(&CoinbaseSpec {
        version: coin.coinbase_version,
        height,
        aux,
        tag,
        extranonce_len: extranonce.len(),
        outputs: &coinbase.outputs[..coinbase.outputs.len() - usize::from(committed)],
        commitment: committed.then(|| merkle::witness_commitment(&wtxids)),
    })
    .unwrap();
    assert_eq!(committed, coin.segwit);
    let (extranonce1, extranonce2) = extranonce.split_at(2);
    assert_eq!(rebuilt.for_block(extranonce1, extranonce2), *coinbase.transaction.data);
    assert_eq!(rebuilt.txid(extranonce1, extranonce2), coinbase.transaction.txid);
    assert_eq!(rebuilt.size(extranonce.len()), coinbase.transaction.data.len() as u64);
    assert_eq!(rebuilt.weight(extranonce.len()), coinbase.transaction.weight);
    assert_eq!([&rebuilt.first, extranonce, &rebuilt.second].concat(), coinbase.stripped);

    let txids: Vec<Hash32> = others.iter().map(|other| other.txid).collect();
    let our_root = merkle::root(coinbase.transaction.txid, &merkle::branch(&txids));
    assert_eq!(our_root, root);
    let our_header = block::header(version, &prev, &our_root, ntime, bits, nonce);
    let block = block::assemble(&our_header, &rebuilt.for_block(extranonce1, extranonce2), &others, mweb);
    assert_eq!(hex::encode(block), hex::encode(&original));
    let target = Target::from_compact(bits).unwrap();
    assert!(target.is_met_by(&coin.algorithm.pow_hash(&our_header)));
    assert_eq!(target.to_compact(), bits);

    let Some(getblock) = getblock.map(json) else { return };
    assert_eq!(display_hash(&block::block_id(&our_header)), getblock["hash"]);
    assert_eq!(height, getblock["height"].as_u64().unwrap() as u32);
    let all: Vec<&TemplateTx> = std::iter::once(&coinbase.transaction).chain(&others).collect();
    for (ours, theirs) in all.iter().zip(getblock["tx"].as_array().unwrap()) {
        assert_eq!(display_hash(&ours.txid), theirs["txid"]);
        assert_eq!(display_hash(&ours.wtxid), theirs["hash"]);
        assert_eq!(ours.weight, theirs["weight"]);
    }
    // What `Template::fit` adds up is what the node counts.
    let frame = 4 * (block::HEADER + varint_len(count)) as u64;
    assert_eq!(frame + all.iter().map(|transaction| transaction.weight).sum::<u64>(), getblock["weight"]);
}

#[test]
fn accepted_litecoin_blocks_are_rebuilt_from_their_parts() {
    rebuilds("ltc_block_h2_premweb_5outs_segwit.hex", "litecoin", Some("ltc_getblock2_h2_premweb.json"));
    rebuilds("ltc_block_h432_first_mweb_pegin_5outs.hex", "litecoin", Some("ltc_getblock2_h432_first_mweb.json"));
    rebuilds("ltc_block_h562_mweb_mixed_5outs.hex", "litecoin", Some("ltc_getblock2_h562_mweb_mixed.json"));
}

#[test]
fn an_accepted_bitcoin_block_is_rebuilt_from_its_parts() {
    rebuilds("btc_block_regtest_h111_rolled_version_5outs.hex", "bitcoin", Some("btc_getblock2_h111.json"));
}

#[test]
fn an_accepted_dogecoin_block_is_rebuilt_from_its_parts() {
    rebuilds("doge_block_direct_h87_5outs.hex", "dogecoin", None);
}

#[track_caller]
fn template(name: &str, coin_name: &str) -> Template {
    let raw = json(name);
    let template = parse(&raw, coin_name).unwrap();
    assert_eq!(u64::from(template.height), raw["height"]);
    assert_eq!(display_hash(&template.prev_hash), raw["previousblockhash"]);
    assert_eq!(template.value, raw["coinbasevalue"]);
    assert_eq!(template.long_poll_id, raw["longpollid"]);
    assert_eq!(u64::from(template.version), raw["version"]);
    assert_eq!(
        (u64::from(template.curtime), u64::from(template.mintime)),
        (raw["curtime"].as_u64().unwrap(), raw["mintime"].as_u64().unwrap())
    );
    if let Some(commitment) = template.commitment() {
        let script = [COMMITMENT_TAG.as_slice(), &commitment].concat();
        assert_eq!(hex::encode(script), raw["default_witness_commitment"]);
    }
    template
}

#[test]
fn every_template_of_a_real_node_is_read() {
    for (name, mweb, pinned) in [
        ("ltc_gbt_regtest_h2_segwit_premweb_notx.json", false, vec![]),
        ("ltc_gbt_regtest_tip143.json", false, vec![]),
        ("ltc_gbt_regtest_tip300.json", false, vec![]),
        ("ltc_gbt_regtest_tip430.json", false, vec![]),
        ("ltc_gbt_regtest_tip431_first_mweb_with_pegin.json", true, vec![true, true]),
        ("ltc_gbt_regtest_tip432_mweb_empty.json", true, vec![true]),
        ("ltc_gbt_regtest_mweb_mixed_mempool.json", true, vec![false, false, false, false, false, true]),
    ] {
        let template = template(name, "litecoin");
        assert!(template.has_commitment, "{name}");
        assert_eq!(template.mweb.is_some(), mweb, "{name}");
        let found: Vec<bool> = template.transactions.iter().map(|transaction| transaction.pinned).collect();
        assert_eq!(found, pinned, "{name}");
        assert_eq!((template.weight_limit, template.sigop_limit), (Some(4_000_000), Some(80_000)), "{name}");
    }
    for name in ["empty", "4tx", "blake2b_tip18"] {
        assert!(template(&format!("btc_knots_gbt_regtest_{name}.json"), "bitcoin").has_commitment);
    }
    let doge = template("doge_gbt_regtest_empty.json", "dogecoin");
    assert_eq!((doge.commitment(), doge.weight_limit, doge.size_limit), (None, None, Some(1_000_000)));
}

#[test]
fn templates_that_follow_each_other_share_what_they_have_in_common() {
    let first = template("ltc_gbt_regtest_mweb_mixed_mempool.json", "litecoin");
    let mut second = template("ltc_gbt_regtest_mweb_mixed_mempool.json", "litecoin");
    let held = |index: usize| std::rc::Rc::strong_count(&first.transactions[index].data);
    // An id that lies is not believed.
    second.transactions[1].data = [7; 100].as_slice().into();
    let whole = second.clone();
    second.share_with(&first);
    assert_eq!((held(0), held(1)), (2, 1));
    assert_eq!(second, whole);
}

#[test]
fn before_segwit_a_template_has_no_commitment_though_the_node_gives_one() {
    let template = template("ltc_gbt_regtest_presegwit.json", "litecoin");
    assert_eq!((template.commitment(), template.weight_limit), (None, None));
}

#[test]
fn templates_for_another_proof_of_work_are_refused() {
    let mut forked = json("btc_knots_gbt_regtest_blake2b_tip20.json");
    assert_eq!(parse(&forked, "bitcoin"), Err(TemplateError::UnknownRule("blake2b".into())));
    forked["rules"] = serde_json::json!(["csv", "!segwit"]);
    assert_eq!(parse(&forked, "bitcoin"), Err(TemplateError::Version(0xa000_0000)));
    let signet = json("btc_knots_gbt_signet_genesis_offline.json");
    assert_eq!(parse(&signet, "bitcoin"), Err(TemplateError::UnknownRule("signet".into())));
    let of_litecoin = parse(&json("ltc_gbt_regtest_tip432_mweb_empty.json"), "bitcoin");
    assert!(matches!(of_litecoin, Err(TemplateError::Invalid { member: "mweb", .. })));
}

/// The reason why the mixed Litecoin template is refused after `change`.
fn refusal(change: impl Fn(&mut Value)) -> String {
    let mut raw = json("ltc_gbt_regtest_mweb_mixed_mempool.json");
    assert!(parse(&raw, "litecoin").is_ok());
    change(&mut raw);
    parse(&raw, "litecoin").unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_a_template_is_named() {
    for member in ["version", "previousblockhash", "transactions", "coinbasevalue", "curtime", "bits", "height"] {
        let missing = refusal(|raw| _ = raw.as_object_mut().unwrap().remove(member));
        assert!(missing.contains(&format!("missing field `{member}`")), "{missing}");
        let wrong = refusal(|raw| raw[member] = serde_json::json!({}));
        assert!(wrong.starts_with(&format!("the template's {member} is invalid: ")), "{wrong}");
    }
    for (member, value) in [
        ("bits", serde_json::json!("20ffffff")),
        ("target", serde_json::json!("00")),
        ("height", serde_json::json!(0)),
        ("coinbasevalue", serde_json::json!(1)),
        ("mweb", serde_json::json!("abc")),
    ] {
        let wrong = refusal(|raw| raw[member] = value.clone());
        assert!(wrong.starts_with(&format!("the template's {member} is invalid: ")), "{wrong}");
    }
    for (member, value) in [
        ("data", serde_json::json!("")),
        ("txid", serde_json::json!("00")),
        ("hash", serde_json::json!("zz")),
        ("depends", serde_json::json!([2])),
        ("depends", serde_json::json!([0])),
    ] {
        let wrong = refusal(|raw| raw["transactions"][1][member] = value.clone());
        assert_eq!(wrong, format!("the {member} of the template's transaction 2 is invalid"));
    }
    let no_extension = refusal(|raw| _ = raw.as_object_mut().unwrap().remove("mweb"));
    assert_eq!(no_extension, TemplateError::MwebMissing.to_string());
    let no_hogex = refusal(|raw| _ = raw["transactions"].as_array_mut().unwrap().pop());
    assert_eq!(no_hogex, TemplateError::MwebMissing.to_string());
    let other_commitment = refusal(|raw| _ = raw["transactions"].as_array_mut().unwrap().remove(2));
    assert_eq!(other_commitment, TemplateError::Commitment.to_string());
}

/// The coin and network that the address vectors call `net`.
fn net(net: &str) -> (&'static Coin, &'static Network) {
    let (ticker, network) = net.split_once('-').unwrap();
    let coin = coin(match ticker {
        "ltc" => "litecoin",
        "btc" => "bitcoin",
        _ => "dogecoin",
    });
    let network = match network {
        "main" => "mainnet",
        "test" => "testnet",
        other => other,
    };
    (coin.unwrap(), coin.unwrap().network(network).unwrap())
}

#[test]
fn addresses_mean_what_the_nodes_say() {
    for case in json("vector_addresses_node_validated.json").as_array().unwrap() {
        let (coin, network) = net(case["net"].as_str().unwrap());
        let (kind, text) = (case["type"].as_str().unwrap(), case["address"].as_str().unwrap());
        let parsed = address::parse(text, coin, network);
        if case["valid"] == true {
            let parsed = parsed.unwrap_or_else(|error| panic!("{text} ({kind}) {error}"));
            assert_eq!(parsed.script.as_bytes(), bytes(&case["node_script"]), "{text}");
            assert_eq!(address::encode(&parsed.script, coin, network).unwrap(), case["canonical"]);
            let bare = kind.trim_start_matches("uppercase ").split('(').next().unwrap();
            let expected = if bare == "witness v2" { "witness_unknown" } else { bare };
            assert_eq!(parsed.kind.to_string(), expected);
        } else {
            let expected = match kind {
                "bad checksum" => AddressError::Checksum,
                "mixed case INVALID" => AddressError::MixedCase,
                _ => AddressError::WrongEncoding,
            };
            assert_eq!(parsed, Err(expected), "{text} ({kind})");
        }
    }
}

#[test]
fn an_address_of_elsewhere_names_where_it_belongs() {
    let litecoin = net("ltc-main");
    let elsewhere = |text: &str, found: &str| {
        let expected = AddressError::WrongNetwork { found: found.to_string() };
        assert_eq!(address::parse(text, litecoin.0, litecoin.1), Err(expected), "{text}");
    };
    elsewhere("D5ERdEN1gsouFSs7zsq7VYJxyWP6dP28H1", "dogecoin mainnet or bellscoin mainnet");
    let shared = "dogecoin mainnet or pepecoin mainnet or bellscoin testnet or another";
    elsewhere("9rXbkMyi1S6thykRoXAZcY8fwUKYsy6cXE", shared);
    elsewhere("16L5yRNPTuciSgXGHqYwn9N6NeoKqopAu", "bitcoin mainnet");
    elsewhere("bc1qqypqxpq9qcrsszg2pvxq6rs0zqg3yyc5fcj4z3", "bitcoin mainnet");
    elsewhere("tltc1qqypqxpq9qcrsszg2pvxq6rs0zqg3yyc56ktcft", "litecoin testnet");
    elsewhere("QLhKCGi5ZvnS9amYgdA353vzbdbWYBoxD8", "litecoin testnet or litecoin regtest");
    let shared = "dogecoin testnet or pepecoin testnet or shibacoin testnet";
    elsewhere("nUHVMF6vcrGd8RSK2hUZjwuGDNmPeNoBRb", shared);
    let dogecoin = net("doge-main");
    let segwit = address::parse("ltc1qqypqxpq9qcrsszg2pvxq6rs0zqg3yyc5dyg36p", dogecoin.0, dogecoin.1);
    assert_eq!(segwit, Err(AddressError::WrongNetwork { found: "litecoin mainnet".to_string() }));
}
