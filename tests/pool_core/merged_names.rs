//! Where the work for a merge-mined chain is paid: at what the rig names, at what the parent's address stands for there,
//! or nowhere until somebody who may says where; and never to a thief.

use edgepool::base::slots::Key;
use edgepool::coin::script::Script;
use edgepool::pool::naming::NamingError;
use edgepool::pool::record::{Entry, MinerId};

use crate::merged::{account, address_on, blocks, pass_block, rig_as, shares, start, with_children};
use crate::merged_block::outputs;
use crate::rig::Want;
use crate::scene::{HOUR, SECOND, Scene, script};

const VALUE: u64 = 50_000_000_000_000;
/// What all miners are entitled to by one block.
const SHARED: u64 = 49_000_000_000_000;

fn taproot(number: u8) -> Script {
    Script::witness(1, &[number; 32]).unwrap()
}

fn hex_of(script: &Script) -> String {
    hex::encode(script.as_bytes())
}

/// A username of both addresses.
fn pair(scene: &Scene, parent: &Script, child: &Script) -> String {
    format!("{},{}.rig", address_on(scene, 0, parent), address_on(scene, 1, child))
}

fn plain(scene: &Scene, parent: &Script) -> String {
    address_on(scene, 0, parent)
}

/// Waits until a job knows of everything, and finds the child's block; what its coinbase pays to miners.
fn find_child(scene: &mut Scene, key: Key) -> Vec<(String, u64)> {
    scene.advance(31 * SECOND);
    let count = blocks(scene, 1).len();
    scene.work(key, &format!("child{count}"), Want::Only(1));
    scene.advance(3 * SECOND);
    assert_eq!((blocks(scene, 1).len(), blocks(scene, 1)[count].1), (count + 1, "accepted"));
    let mut outputs = outputs(scene.nodes[1].submitted.last().unwrap());
    outputs.retain(|(script, _)| *script != hex_of(&Script::p2pkh(&[crate::merged::FEE_SCRIPT; 20])));
    outputs
}

fn owed(scene: &Scene, miner: MinerId) -> i64 {
    scene.pool.chains()[1].ledger.account(miner).balance
}

/// The account of an address of the parent chain that is owed to on the child's.
fn of(scene: &Scene, parent: &Script) -> MinerId {
    scene.pool.miners().find(&parent.clone().into()).expect("it was credited")
}

#[test]
fn a_rig_names_where_the_child_pays_it() {
    let mut scene = start(&["dogecoin"]);
    for (number, username) in [
        (1, pair(&scene, &script(1), &script(11))),
        (2, format!("{}/98:{}.rig", plain(&scene, &script(2)), address_on(&scene, 1, &Script::p2sh(&[12; 20])))),
    ] {
        let key = rig_as(&mut scene, &username);
        assert_eq!(scene.rigs[&key].reply("authorize").unwrap()["result"], true, "{username}");
        shares(&mut scene, key, "w", number);
    }
    let key = scene.rig(3);
    let third = SHARED / 3;
    let expected = [(hex_of(&Script::p2sh(&[12; 20])), 2 * third), (hex_of(&script(11)), third)];
    assert_eq!(find_child(&mut scene, key), expected);
    // On the parent chain they are what they say first.
    let paid: Vec<String> = scene.rigs[&key].job().outputs().into_iter().map(|(script, _)| script).collect();
    assert_eq!(paid[..2], [hex_of(&script(2)), hex_of(&script(1))]);
}

#[test]
fn the_same_address_with_several_names_is_one_on_the_parent_chain_and_several_on_the_child() {
    let mut scene = start(&["dogecoin"]);
    let names =
        [pair(&scene, &script(1), &script(11)), pair(&scene, &script(1), &script(12)), plain(&scene, &script(1))];
    let rigs = names.map(|name| rig_as(&mut scene, &name));
    for (rig, count) in rigs.into_iter().zip([3, 2, 1]) {
        shares(&mut scene, rig, "w", count);
    }
    let sixths = |count: u64| SHARED * count / 6;
    let paid = find_child(&mut scene, rigs[0]);
    let expected = [(script(11), sixths(3)), (script(12), sixths(2)), (script(1), sixths(1))];
    assert_eq!(paid, expected.map(|(script, amount)| (hex_of(&script), amount)));
    scene.advance(31 * SECOND);
    let parent = scene.rigs[&rigs[0]].job().outputs();
    assert_eq!((parent.len(), parent[0].0.as_str()), (2, hex_of(&script(1)).as_str()), "one miner and the pool");
    assert_eq!(scene.pool.contributions(0)[&of(&scene, &script(1))].work, 7, "with the share that solved the child");
    // They are the same people after a restart.
    let spec = scene.pool.spec().clone();
    let before = scene.pool.contributions(1);
    scene.restart(spec, SECOND);
    let works = |of: &std::collections::BTreeMap<MinerId, edgepool::pool::payees::Contribution>| {
        of.iter().map(|(miner, sum)| (*miner, sum.work)).collect::<Vec<_>>()
    };
    assert_eq!(works(&scene.pool.contributions(1)), works(&before));
}

#[test]
fn one_who_names_what_another_is_paid_at_shares_that_account() {
    let mut scene = start(&["dogecoin"]);
    let own = scene.rig(11);
    let username = pair(&scene, &script(1), &script(11));
    let other = rig_as(&mut scene, &username);
    shares(&mut scene, own, "w", 1);
    shares(&mut scene, other, "w", 1);
    assert_eq!(find_child(&mut scene, own), [(hex_of(&script(11)), SHARED)]);
}

#[test]
fn the_operator_names_where_a_taproot_miner_is_paid_on_the_child() {
    let mut scene = start(&["dogecoin"]);
    let parent = taproot(5);
    let username = plain(&scene, &parent);
    let key = rig_as(&mut scene, &username);
    shares(&mut scene, key, "w", 2);
    assert_eq!(find_child(&mut scene, key), [], "nobody knows where");
    let miner = of(&scene, &parent);
    assert_eq!((owed(&scene, miner), scene.pool.payout_script(1, miner)), (SHARED as i64, None));

    scene.pool.name_address(1, miner, script(50), scene.now).unwrap();
    scene.turn();
    // It earned all of this block, and the rest of the value goes to what is owed.
    assert_eq!(find_child(&mut scene, key), [(hex_of(&script(50)), VALUE)]);
    assert_eq!(owed(&scene, miner), (2 * SHARED - VALUE) as i64);
    // The operator may be mistaken, and say otherwise.
    scene.pool.name_address(1, miner, script(51), scene.now).unwrap();
    let spec = scene.pool.spec().clone();
    scene.advance(SECOND);
    scene.restart(spec, SECOND);
    assert_eq!(scene.pool.payout_script(1, miner), Some(&script(51)));
    let key = rig_as(&mut scene, &username);
    assert_eq!(find_child(&mut scene, key), [(hex_of(&script(51)), VALUE)]);
    assert_eq!(scene.pool.account_of(1, &script(51)), Some(miner));
}

#[test]
fn no_address_is_named_for_one_who_has_one() {
    let mut scene = start(&["dogecoin"]);
    let key = scene.rig(1);
    shares(&mut scene, key, "w", 1);
    let miner = of(&scene, &script(1));
    assert_eq!(scene.pool.name_address(1, miner, script(9), scene.now), Err(NamingError::HasAddress));
    assert_eq!(scene.pool.name_address(0, miner, script(9), scene.now), Err(NamingError::ParentChain));
}

/// A taproot miner is owed one child block, earned with ten shares.
fn indebted() -> (Scene, Key, MinerId) {
    let mut spec = with_children(&["dogecoin"]);
    spec.window_ms = HOUR;
    let mut scene = Scene::start(spec);
    scene.advance(3 * SECOND);
    let username = plain(&scene, &taproot(5));
    let key = rig_as(&mut scene, &username);
    shares(&mut scene, key, "w", 10);
    assert_eq!(find_child(&mut scene, key), []);
    let miner = of(&scene, &taproot(5));
    assert_eq!(scene.pool.chains()[1].ledger.account(miner).earned_work, 10);
    (scene, key, miner)
}

fn named(scene: &Scene, miner: MinerId) -> Option<&Script> {
    scene.pool.chains()[1].ledger.named(miner)
}

#[test]
fn what_the_rigs_of_an_address_say_counts_when_most_of_its_work_says_so() {
    let (mut scene, _, miner) = indebted();
    let username = pair(&scene, &taproot(5), &script(55));
    let key = rig_as(&mut scene, &username);
    // The eleven of before, and as many again.
    shares(&mut scene, key, "n", 11);
    scene.advance(31 * SECOND);
    assert_eq!(named(&scene, miner), None, "half is not the most");
    shares(&mut scene, key, "m", 1);
    scene.advance(31 * SECOND);
    assert_eq!(named(&scene, miner), Some(&script(55)));
    let told = scene.disk.journal.iter().filter_map(|(_, entry)| match entry {
        Entry::AddressNamed(named) => Some((named.chain, named.miner, named.by_operator)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(1, miner, false)]);
    // The debt is an account of its own beside that of the address, and paid at the same place.
    let before = owed(&scene, miner);
    let paid = find_child(&mut scene, key);
    assert!(paid.len() == 2 && paid.iter().all(|(paid, _)| *paid == hex_of(&script(55))), "{paid:?}");
    assert_eq!(paid.iter().map(|(_, amount)| amount).sum::<u64>(), VALUE);
    assert!(owed(&scene, miner) < before);
    // And it stays so.
    let spec = scene.pool.spec().clone();
    scene.restart(spec, SECOND);
    assert_eq!(named(&scene, miner), Some(&script(55)));
}

#[test]
fn rigs_that_say_the_same_of_a_chain_are_heard_together_whatever_they_say_of_others() {
    let mut scene = start(&["dogecoin", "pepecoin"]);
    scene.nodes[2].set("bits", "2000ffff".into());
    pass_block(&mut scene, 2, "ab");
    let username = plain(&scene, &taproot(5));
    let nameless = rig_as(&mut scene, &username);
    shares(&mut scene, nameless, "w", 2);
    assert_eq!(find_child(&mut scene, nameless), []);
    let miner = of(&scene, &taproot(5));
    let [parent, child, other] =
        [(0, taproot(5)), (1, script(55)), (2, script(56))].map(|(chain, script)| address_on(&scene, chain, &script));
    let rigs = [format!("{parent},{child}"), format!("{parent},{child},{other}")].map(|name| rig_as(&mut scene, &name));
    // Four of seven, in two and two.
    rigs.iter().for_each(|rig| shares(&mut scene, *rig, "n", 2));
    scene.advance(31 * SECOND);
    assert_eq!(named(&scene, miner), Some(&script(55)));
}

#[test]
fn what_rigs_say_is_heard_also_where_new_tips_of_the_child_leave_no_work_to_grow_old() {
    let (mut scene, _, miner) = indebted();
    let username = pair(&scene, &taproot(5), &script(55));
    let key = rig_as(&mut scene, &username);
    shares(&mut scene, key, "n", 12);
    for number in 0..10 {
        pass_block(&mut scene, 1, &format!("{number:02x}"));
    }
    assert_eq!(named(&scene, miner), Some(&script(55)));
}

#[test]
fn a_thief_who_names_an_address_with_a_share_of_the_work_gets_nothing() {
    let (mut scene, victim, miner) = indebted();
    let username = pair(&scene, &taproot(5), &script(66));
    let thief = rig_as(&mut scene, &username);
    shares(&mut scene, thief, "t", 1);
    shares(&mut scene, victim, "v", 3);
    scene.advance(300 * SECOND);
    assert_eq!(named(&scene, miner), None);
    // What the thief did, it is paid for, like anybody.
    let paid = find_child(&mut scene, thief);
    assert_eq!(paid, [(hex_of(&script(66)), SHARED / 15)]);
    assert!(owed(&scene, miner) > SHARED as i64);
}

#[test]
fn a_thief_who_works_for_an_idle_address_gets_nothing_for_less_work_than_earned_the_debt() {
    let (mut scene, victim, miner) = indebted();
    // Another block, of the eleven shares in the window by then.
    assert_eq!(find_child(&mut scene, victim), []);
    assert_eq!(scene.pool.chains()[1].ledger.account(miner).earned_work, 21);
    let debt = owed(&scene, miner);
    scene.pool.handle_miner_closed(victim);
    scene.rigs.remove(&victim);
    scene.advance(2 * HOUR);
    assert_eq!(scene.pool.window().total_work(), 0);
    let username = pair(&scene, &taproot(5), &script(66));
    let thief = rig_as(&mut scene, &username);
    shares(&mut scene, thief, "t", 19);
    scene.advance(300 * SECOND);
    assert_eq!(named(&scene, miner), None);
    let paid = find_child(&mut scene, thief);
    assert_eq!((paid, owed(&scene, miner)), (vec![(hex_of(&script(66)), SHARED)], debt));
    scene.advance(31 * SECOND);
    assert_eq!(named(&scene, miner), None, "twenty shares are less than twenty-one");
    // The bound is known: as much work as earned the debt is believed.
    shares(&mut scene, thief, "u", 1);
    scene.advance(31 * SECOND);
    assert_eq!(named(&scene, miner), Some(&script(66)));
}

#[test]
fn a_script_hash_that_may_be_exposed_is_owed_until_it_is_named() {
    let mut scene = start(&["dogecoin", "bellscoin"]);
    scene.nodes[2].set("bits", "2000ffff".into());
    pass_block(&mut scene, 2, "ab");
    let parent = Script::p2sh(&[6; 20]);
    let username = plain(&scene, &parent);
    let key = rig_as(&mut scene, &username);
    shares(&mut scene, key, "w", 1);
    let miner = of(&scene, &parent);
    assert_eq!(scene.pool.payout_script(1, miner), None);
    assert_eq!(scene.pool.payout_script(2, miner), Some(&parent), "a chain with segwit pays it like the parent");
    assert_eq!(find_child(&mut scene, key), []);
    assert_eq!(owed(&scene, miner), SHARED as i64);
    // Its owner says that this very hash is right there: an account apart from what is owed.
    let username = pair(&scene, &parent, &parent);
    let named = rig_as(&mut scene, &username);
    shares(&mut scene, named, "n", 1);
    assert_ne!(account(&scene, 1, &parent), miner);
    let paid = find_child(&mut scene, named);
    assert_eq!((paid.len(), &paid[0].0), (1, &hex_of(&parent)));
    let text = scene.pool.account_text(1, miner).unwrap();
    assert_eq!(text, plain(&scene, &parent), "known by the parent's address");
}

#[test]
fn what_is_owed_until_named_waits_behind_nobody() {
    // The nameless are owed; others are paid by the rule as if those had less than the minimum.
    let mut scene = start(&["dogecoin"]);
    let username = plain(&scene, &taproot(5));
    let rigs = [rig_as(&mut scene, &username), scene.rig(1)];
    shares(&mut scene, rigs[0], "w", 3);
    shares(&mut scene, rigs[1], "w", 1);
    assert_eq!(find_child(&mut scene, rigs[1]), [(hex_of(&script(1)), SHARED / 4)]);
    assert_eq!(owed(&scene, of(&scene, &taproot(5))), (3 * SHARED / 4) as i64);
    pass_block(&mut scene, 1, "ab");
}

#[test]
fn addresses_in_the_wrong_order_are_put_right_on_the_main_network() {
    let mut spec = with_children(&["dogecoin"]);
    for chain in &mut spec.chains {
        chain.network = chain.coin.network("mainnet").unwrap();
    }
    let mut scene = Scene::start(spec);
    scene.advance(3 * SECOND);
    let username = format!("{},{}.w", address_on(&scene, 1, &script(11)), address_on(&scene, 0, &script(1)));
    let key = rig_as(&mut scene, &username);
    shares(&mut scene, key, "w", 1);
    assert_eq!(find_child(&mut scene, key), [(hex_of(&script(11)), SHARED)]);
    assert_eq!(scene.rigs[&key].job().outputs()[0].0, hex_of(&script(1)));
}
