//! A coin that nobody has: one row of parameters, mined alone, as the child of another, and as a parent.

use edgepool::coin::address;
use edgepool::coin::params::{Algorithm, AuxPow, AuxWork, COINS, Coin, Dust, Network};
use edgepool::coin::script::Script;
use edgepool::coin::transaction::Transaction;
use edgepool::pool::spec::PoolSpec;

use crate::merged::{address_on, blocks, child, pass_block, rig_as, shares, start};
use crate::merged_block::outputs;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, script, spec};

static MADE_UP: Coin = Coin {
    name: "made-up",
    ticker: "MADE",
    algorithm: Algorithm::Scrypt,
    networks: &[Network {
        name: "regtest",
        p2pkh: 77,
        p2sh: &[78],
        hrp: None,
        mweb_hrp: None,
        default_rpc_port: 1,
        maturity: 7,
        auxpow_height: Some(3),
        mining_refused: None,
    }],
    template_rules: &[],
    known_rules: &[],
    segwit: false,
    taproot: false,
    mweb: false,
    version_rolling_mask: 0,
    coinbase_version: 1,
    dust: Dust::Flat(1_000),
    sign_method: "signrawtransaction",
    replaceable_option: false,
    default_max_fee: 1_000_000,
    auxpow: Some(AuxPow { chain_id: 0x1234, work: AuxWork::Template }),
};

/// The pool with one of its chains in the made-up coin.
fn in_made_up(mut spec: PoolSpec, chain: usize) -> PoolSpec {
    let of = &mut spec.chains[chain];
    (of.name, of.coin, of.network) = ("made".into(), &MADE_UP, &MADE_UP.networks[0]);
    spec
}

fn hex_of(script: &Script) -> String {
    hex::encode(script.as_bytes())
}

#[test]
fn a_coin_that_is_in_no_table_is_merge_mined() {
    assert!(COINS.iter().all(|coin| coin.name != MADE_UP.name));
    let mut spec = spec(1);
    spec.chains.extend([child("dogecoin"), child("dogecoin")]);
    let mut scene = Scene::start(in_made_up(spec, 2));
    scene.advance(3 * SECOND);
    let named = address_on(&scene, 2, &script(9));
    let first = address_on(&scene, 0, &script(1));
    let username = format!("{first}/{}:{named}.w", 0x1234);
    let rigs = [rig_as(&mut scene, &username), scene.rig(2)];
    shares(&mut scene, rigs[0], "w", 2);
    shares(&mut scene, rigs[1], "w", 1);
    scene.advance(31 * SECOND);
    scene.work(rigs[0], "every", Want::Every);
    let paid = outputs(&scene.nodes[2].submitted[0]);
    let third = 49_000_000_000_000 / 3;
    assert_eq!(paid[..2], [(hex_of(&script(9)), 2 * third), (hex_of(&script(2)), third)]);
    assert_eq!(blocks(&scene, 2), [(81, "accepted")]);
    // Its own maturity.
    (0..6).for_each(|number| pass_block(&mut scene, 2, &format!("{number:02x}")));
    assert_eq!((blocks(&scene, 2)[0].1, blocks(&scene, 1)[0].1), ("confirmed", "accepted"));
}

#[test]
fn a_coin_that_is_in_no_table_is_mined_alone_and_as_a_parent() {
    for children in [&[][..], &["dogecoin", "pepecoin"]] {
        let mut spec = in_made_up(spec(1), 0);
        spec.chains.extend(children.iter().map(|name| child(name)));
        let mut scene = Scene::start(spec);
        scene.advance(3 * SECOND);
        let username = address_on(&scene, 0, &script(1));
        assert_eq!(address::parse(&username, &MADE_UP, &MADE_UP.networks[0]).unwrap().script, script(1));
        let key = rig_as(&mut scene, &username);
        shares(&mut scene, key, "w", 1);
        scene.advance(31 * SECOND);
        scene.work(key, "every", Want::Every);
        assert!((0..=children.len()).all(|chain| blocks(&scene, chain) == [(81, "accepted")]));
        // Without witness and extension block: the header, one, and the coinbase.
        let block = hex::decode(&scene.nodes[0].submitted[0]).unwrap();
        assert_eq!((&block[2..4], block[80]), (&[0x34, 0x12][..], 1));
        let coinbase = Transaction::parse(&block[81..]).unwrap();
        assert_eq!((coinbase.txid.as_slice(), &coinbase.outputs[0].script), (&block[36..68], &script(1)));
    }
}

#[test]
fn the_addresses_of_a_made_up_coin_are_no_others() {
    let mut scene = start(&[]);
    let foreign = address::encode(&script(1), &MADE_UP, &MADE_UP.networks[0]).unwrap();
    let key = rig_as(&mut scene, &foreign);
    assert_eq!(scene.rigs[&key].reply("authorize").unwrap()["error"][0], 24);
}
