//! A coin that is one row, and in no table: everything on the coin floor takes it as it takes the others.

use crate::parent::{EASY_BITS, Parent, mine};
use crate::vector;
use edgepool::coin::{
    address::{self, AddressType},
    auxblock::AuxBlock,
    auxpow::{self, AuxTree, check},
    block,
    coinbase::{COMMITMENT_TAG, Coinbase, CoinbaseSpec, TxOut},
    merkle,
    params::{Algorithm, AuxPow, AuxWork, Coin, Dust, Network, coin},
    script::Script,
    template::{Template, TemplateError},
};
use serde_json::{Value, json};

/// Bitcoin's proof of work, Litecoin's segwit, Dogecoin's merged mining: as no coin has them together.
static MADE_UP: Coin = Coin {
    name: "madeup",
    ticker: "MUP",
    algorithm: Algorithm::Sha256d,
    networks: &[Network {
        name: "mainnet",
        p2pkh: 77,
        p2sh: &[78],
        hrp: Some("mup"),
        mweb_hrp: None,
        default_rpc_port: 7_777,
        maturity: 7,
        auxpow_height: Some(1),
        mining_refused: None,
    }],
    template_rules: &["segwit"],
    known_rules: &["csv", "segwit", "taproot"],
    segwit: true,
    taproot: true,
    mweb: false,
    version_rolling_mask: 0,
    coinbase_version: 3,
    dust: Dust::Flat(7),
    sign_method: "signrawtransactionwithwallet",
    replaceable_option: true,
    default_max_fee: 77,
    auxpow: Some(AuxPow { chain_id: 777, work: AuxWork::Template }),
};

/// What its node would answer: a real template with its version.
fn template(version: u32) -> Result<Template, TemplateError> {
    let mut raw = vector("ltc_gbt_regtest_h2_segwit_premweb_notx.json");
    raw["version"] = json!(version);
    Template::parse(raw.to_string().as_bytes(), &MADE_UP)
}

#[test]
fn its_addresses_are_read_and_written() {
    let network = &MADE_UP.networks[0];
    let scripts = [
        (AddressType::P2pkh, Script::p2pkh(&[7; 20])),
        (AddressType::P2sh, Script::p2sh(&[7; 20])),
        (AddressType::P2wpkh, Script::witness(0, &[7; 20]).unwrap()),
        (AddressType::P2tr, Script::witness(1, &[7; 32]).unwrap()),
    ];
    for (kind, script) in scripts {
        let text = address::encode(&script, &MADE_UP, network).unwrap();
        assert_eq!(text.starts_with("mup1"), script.witness_program().is_some(), "{text}");
        let read = address::parse(&text, &MADE_UP, network).unwrap();
        assert_eq!((read.kind, &read.script), (kind, &script));
        let litecoin = coin("litecoin").unwrap();
        assert!(address::parse(&text, litecoin, &litecoin.networks[0]).is_err(), "{text}");
        let derived = address::derive(&script, &MADE_UP, (litecoin, &litecoin.networks[0]));
        assert_eq!(derived.is_some(), kind != AddressType::P2tr);
    }
}

#[test]
fn its_blocks_are_made_and_mined_alone_or_with_a_parent() {
    let template = template(777 << 16 | 4).unwrap();
    let outputs = [TxOut { value: template.value, script: Script::p2pkh(&[7; 20]) }];
    let commitment = template.commitment();
    let coinbase = Coinbase::build(&CoinbaseSpec {
        version: MADE_UP.coinbase_version,
        height: template.height,
        aux: &[],
        tag: b"/made up/",
        extranonce_len: 8,
        outputs: &outputs,
        commitment,
    })
    .unwrap();
    let root = merkle::root(coinbase.txid(&[1; 4], &[2; 4]), &template.branch());
    let in_block = coinbase.for_block(&[1; 4], &[2; 4]);
    assert!(in_block.windows(38).any(|part| part == [COMMITMENT_TAG.as_slice(), &commitment.unwrap()].concat()));
    let body = [&[1], in_block.as_slice()].concat();

    let alone = mine(template.version, &root, MADE_UP.algorithm, true);
    assert!(template.target.is_met_by(&MADE_UP.algorithm.pow_hash(&alone)));
    let whole = block::assemble(&alone, &in_block, &template.transactions, None);
    assert_eq!(whole, [alone.as_slice(), &body].concat());

    // With two more chains under the same parent.
    let header = auxpow::child_header(&template, &root, template.curtime);
    let tree = AuxTree::build(&[(1, [1; 32]), (777, block::block_id(&header)), (2, [2; 32])]).unwrap();
    let proof = Parent::of(&tree, MADE_UP.algorithm).proof(tree.branch(1));
    let whole = block::assemble_merged(&header, &proof, &in_block, &template.transactions, None);
    let (found, proof, rest) = check::split(&whole).unwrap();
    assert_eq!((found, rest), (header, body.as_slice()));
    assert_eq!(proof.check(&header, &MADE_UP.auxpow.unwrap(), MADE_UP.algorithm), Ok(()));
}

#[test]
fn a_node_of_another_coin_is_told_by_its_chain_id() {
    assert_eq!(template(0x2000_0000), Err(TemplateError::ChainId { found: 0x2000, expected: 777 }));
    let mut result: Value = vector("doge_createauxblock.json");
    let parse = |result: &Value| AuxBlock::parse(result.to_string().as_bytes(), &MADE_UP);
    assert_eq!(parse(&result), Err(TemplateError::ChainId { found: 98, expected: 777 }));
    result["chainid"] = json!(777);
    let block = parse(&result).unwrap();
    assert_eq!((block.chain_id, block.bits), (777, EASY_BITS));
}
