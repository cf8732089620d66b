//! What people see of chains that are mined together, and the address that an operator names: every method by chain,
//! metrics, and the table for a terminal.

use edgepool::base::slots::Key;
use edgepool::coin::script::Script;
use edgepool::face::{Site, methods, metrics, table};
use serde_json::{Value, json};

use crate::history::redo;
use crate::merged::{address_on, blocks, pass_block, rig_as, shares, start};
use crate::node::Mode;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, script, site};

/// A site of this pool; what `ask` gives, and whether it must be written before it is answered.
fn at<T>(scene: &mut Scene, is_admin: bool, ask: impl FnOnce(&mut Site) -> T) -> (T, bool) {
    let mut site = site(&mut scene.pool, &scene.disk, scene.now, is_admin);
    let answer = ask(&mut site);
    (answer, site.must_commit)
}

fn ask(scene: &mut Scene, method: &str, params: Value) -> Value {
    at(scene, false, |site| methods::call(site, method, params)).0.unwrap()
}

/// The code and message of a refusal.
fn refused(scene: &mut Scene, is_admin: bool, method: &str, params: Value) -> (i64, String) {
    let (answer, must_commit) = at(scene, is_admin, |site| methods::call(site, method, params));
    assert!(!must_commit);
    answer.map_err(|error| (error.code, error.message)).expect_err("it is refused")
}

fn taproot(number: u8) -> Script {
    Script::witness(1, &[number; 32]).unwrap()
}

/// Pairs of everything: 1 by one address, 2 with a Dogecoin address, 5 by taproot.
fn worked() -> (Scene, Key, String) {
    let mut scene = start(&["dogecoin", "pepecoin"]);
    let pair = format!("{},{}.rig", address_on(&scene, 0, &script(2)), address_on(&scene, 1, &script(12)));
    let nameless = address_on(&scene, 0, &taproot(5));
    let rigs = [address_on(&scene, 0, &script(1)), pair, nameless.clone()];
    let rigs = rigs.map(|username| rig_as(&mut scene, &username));
    for (rig, count) in rigs.into_iter().zip([2, 3, 4]) {
        shares(&mut scene, rig, "w", count);
    }
    scene.advance(31 * SECOND);
    (scene, rigs[0], nameless)
}

/// Finds a block of this merge-mined chain alone, for which it is made the easiest of all for a while; its height.
fn find(scene: &mut Scene, key: Key, chain: usize) -> u32 {
    let number = blocks(scene, chain).len();
    scene.nodes[chain].set("bits", "201fffff".into());
    pass_block(scene, chain, &format!("a{number}"));
    scene.rig_mut(key).children[chain - 1] = 0x201f_ffff;
    scene.work(key, &format!("find{chain}.{number}"), Want::Only(chain));
    scene.rig_mut(key).children[chain - 1] = 0x2007_ffff;
    scene.nodes[chain].set("bits", "2007ffff".into());
    pass_block(scene, chain, &format!("b{number}"));
    let found = blocks(scene, chain);
    assert_eq!((found.len(), found[number].1), (number + 1, "accepted"));
    found[number].0
}

fn column(list: &Value, names: &[&str]) -> Vec<Vec<Value>> {
    let row = |line: &Value| names.iter().map(|name| line[name].clone()).collect();
    list.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn every_chain_tells_how_it_is_mined_and_a_child_that_is_not_is_a_warning_of_its_own() {
    let (mut scene, key, _) = worked();
    find(&mut scene, key, 1);
    let info = ask(&mut scene, "getinfo", json!([]));
    let pool = &info["pools"][0];
    assert_eq!(
        column(&pool["chains"], &["name", "coin", "chain_id", "mined_by", "mined", "height", "blocks_found"]),
        [
            [json!("ltc"), json!("litecoin"), json!(null), json!("parent"), json!(true), json!(714), json!(0)],
            [json!("doge"), json!("dogecoin"), json!(98), json!("template"), json!(true), json!(84), json!(1)],
            [json!("pep"), json!("pepecoin"), json!(63), json!("node block"), json!(true), json!(81), json!(0)],
        ]
    );
    assert!(pool["chains"][1]["network_difficulty"].as_f64().unwrap() > 0.0);
    assert_eq!((&pool["chains"][1]["warnings"], &pool["warnings"]), (&json!([]), &json!([])));

    scene.nodes[1].mode = Mode::Error(-1);
    scene.advance(400 * SECOND);
    let info = ask(&mut scene, "getinfo", json!([]));
    let pool = &info["pools"][0];
    assert_eq!(
        pool["chains"][1]["warnings"],
        json!(["no node of doge gives a fresh template (http://doge is failing: node says -1 (-1))"])
    );
    assert_eq!((&pool["chains"][2]["warnings"], &pool["troubles"]), (&json!([]), &json!([])));
    assert_eq!(pool["warnings"], pool["chains"][1]["warnings"]);
    assert_eq!((&pool["chains"][1]["mined"], &pool["chains"][0]["mined"]), (&json!(false), &json!(true)));
}

#[test]
fn the_same_miners_are_shown_with_the_addresses_of_each_chain() {
    let (mut scene, key, nameless) = worked();
    let [one, two] = [1, 2].map(|number| address_on(&scene, 0, &script(number)));
    let twelve = address_on(&scene, 1, &script(12));
    for (chain, second, third) in [("ltc", &two, true), ("doge", &twelve, false), ("pep", &two, false)] {
        let payout = ask(&mut scene, "getpayoutinfo", json!({ "chain": chain }));
        let mut lines = column(&payout["miners"], &["address", "payable", "share_count"]);
        lines.sort_by_key(|line| line[2].as_u64());
        let line = |address: &str, payable: bool, count: u32| vec![json!(address), json!(payable), json!(count)];
        assert_eq!(lines, [line(&one, true, 2), line(second, true, 3), line(&nameless, third, 4)], "{chain}");
        assert_eq!(payout["chain"], chain);
        let all = ask(&mut scene, "getminerstats", json!({ "chain": chain }));
        assert_eq!(column(&all["miners"], &["address", "payable"]).len(), 3);
        assert_eq!(all["chain"], chain);
    }
    // Who has no address is no payout; a node's own block pays nobody.
    let next = |scene: &mut Scene, chain: &str| {
        let payout = ask(scene, "getpayoutinfo", json!({ "chain": chain }));
        column(&payout["next_payouts"], &["address"]).concat()
    };
    assert_eq!(next(&mut scene, "doge"), [json!(twelve), json!(one)]);
    assert!(next(&mut scene, "pep").is_empty() && next(&mut scene, "ltc").len() == 3);

    let heights = [0, find(&mut scene, key, 1), find(&mut scene, key, 2)];
    // The parent's address tells what it has everywhere.
    let stats = ask(&mut scene, "getminerstats", json!([two]));
    let chains = column(&stats["chains"], &["chain", "address", "payable", "balance", "pending"]);
    assert_eq!(chains[0][..3], [json!("doge"), json!(twelve), json!(true)]);
    assert_eq!(chains[1][..3], [json!("pep"), json!(two), json!(true)]);
    assert_eq!((&chains[0][3], &chains[1][4]), (&json!("0.00000000"), &json!("0.00000000")));
    assert!(chains[0][4] != "0.00000000" && chains[1][3] != "0.00000000", "{chains:?}");
    let stats = ask(&mut scene, "getminerstats", json!([nameless]));
    let chains = column(&stats["chains"], &["chain", "address", "payable", "paid_total"]);
    let none = |chain: &str| vec![json!(chain), json!(nameless), json!(false), json!("0.00000000")];
    assert_eq!(chains, [none("doge"), none("pep")]);
    assert_eq!(stats["payable"], true);
    // On a child it is found by the child's address, and by what the parent's stands for.
    for text in [&twelve, &two] {
        let stats = ask(&mut scene, "getminerstats", json!([text, { "chain": "doge" }]));
        assert_eq!((&stats["address"], &stats["workers"][0]["worker"]), (&json!(twelve), &json!("rig")), "{text}");
        assert_eq!((stats["payouts"].as_array().unwrap().len(), &stats["chains"]), (1, &Value::Null));
    }
    let stats = ask(&mut scene, "getminerstats", json!([nameless, { "chain": "doge" }]));
    assert_eq!((&stats["address"], &stats["payable"]), (&json!(nameless), &json!(false)));
    assert_eq!(refused(&mut scene, false, "getminerstats", json!(["x", { "chain": "doge" }])).0, -32602);

    // Histories and balances are of the chain that was asked for.
    for (height, (chain, count)) in heights.into_iter().zip([("ltc", 0), ("doge", 1), ("pep", 1)]) {
        let of = || json!({ "chain": chain });
        let blocks = ask(&mut scene, "getblocks", of());
        assert_eq!(blocks.as_array().unwrap().len(), count);
        let balances = ask(&mut scene, "getbalances", of());
        assert_eq!((&balances["conserved"], &balances["chain"]), (&json!(true), &json!(chain)));
        let mut lines = column(&balances["balances"], &["address", "has_address"]);
        lines.retain(|line| line[1] == false);
        let expected = if count == 1 { vec![vec![json!(nameless), json!(false)]] } else { vec![] };
        assert_eq!(lines, expected);
        let paid = ask(&mut scene, "getpayouthistory", of());
        assert_eq!(paid.as_array().unwrap().len(), if chain == "doge" { 2 } else { 0 });
        let points = ask(&mut scene, "gethistory", json!({ "chain": chain, "address": nameless }));
        assert_eq!(points.as_array().unwrap().last().unwrap()["accepted"], 4, "{chain}");
        if count == 1 {
            let proof =
                ask(&mut scene, "getpayoutproof", json!({ "height_or_hash": height.to_string(), "chain": chain }));
            redo(&proof);
        }
    }
}

#[test]
fn the_operator_names_an_address_and_old_blocks_still_tell_who_they_paid() {
    let (mut scene, key, nameless) = worked();
    let mut heights = vec![find(&mut scene, key, 1)];
    let [fifty, fifty_one] = [50, 51].map(|number| address_on(&scene, 1, &script(number)));
    let method = "setmineraddress";
    let call = |address: &str, child: &str, chain: &str| json!([address, child, { "chain": chain }]);
    let twice = refused(&mut scene, false, method, call(&nameless, &fifty, "doge"));
    assert_eq!(twice.0, -32001);
    for (params, code, what) in [
        (json!([nameless, fifty]), -32602, "only on a merge-mined chain"),
        (call(&address_on(&scene, 0, &script(1)), &fifty, "doge"), -32602, "has a counterpart on that chain"),
        (call(&address_on(&scene, 0, &taproot(9)), &fifty, "doge"), -8, "has not mined here"),
        (call(&nameless, &nameless, "doge"), -32602, "child_address: "),
        (call("x", &fifty, "doge"), -32602, "address: "),
        (json!([nameless, { "chain": "doge" }]), -32602, "child_address is missing"),
    ] {
        let (found, message) = refused(&mut scene, true, method, params);
        assert!(found == code && message.contains(what), "{found} {message}");
    }
    let entries = scene.disk.journal.len();
    for paid_at in [&fifty, &fifty_one] {
        let params = call(&nameless, paid_at, "doge");
        let (answer, must_commit) = at(&mut scene, true, |site| methods::call(site, method, params));
        assert_eq!(answer.unwrap(), json!({ "chain": "doge", "address": nameless, "paid_at": paid_at }));
        assert!(must_commit);
        scene.advance(SECOND);
        heights.push(find(&mut scene, key, 1));
    }
    assert!(scene.disk.journal.len() >= entries + 2 * 3);
    let found = ask(&mut scene, "getblocks", json!({ "chain": "doge" }));
    let pays = |block: &Value| column(&block["outputs"], &["address"]).concat();
    let paid: Vec<bool> = [2, 1, 0, 0]
        .iter()
        .zip([&fifty, &fifty, &fifty_one, &fifty])
        .map(|(index, address)| pays(&found[index]).contains(&json!(address)))
        .collect();
    assert_eq!(paid, [false, true, true, false], "{found}");
    for height in heights {
        redo(&ask(&mut scene, "getpayoutproof", json!([height.to_string(), { "chain": "doge" }])));
    }
    let paid = ask(&mut scene, "getpayouthistory", json!([nameless, { "chain": "doge" }]));
    assert_eq!(column(&paid, &["address"]).concat(), [json!(fifty_one), json!(fifty)]);
    let stats = ask(&mut scene, "getminerstats", json!([nameless]));
    let doge = stats["chains"].as_array().unwrap().iter().find(|line| line["chain"] == "doge").unwrap();
    assert_eq!((&doge["address"], &doge["payable"]), (&json!(fifty_one), &json!(true)));
    assert_eq!(blocks(&scene, 1).len(), 3);
}

#[test]
fn an_address_tells_what_it_stands_for_on_each_chain_or_why_nothing() {
    let (mut scene, _, nameless) = worked();
    let wpkh = address_on(&scene, 0, &Script::witness(0, &[7; 20]).unwrap());
    let answer = ask(&mut scene, "validateaddress", json!([wpkh]));
    let expected = [1, 2].map(|chain| address_on(&scene, chain, &Script::p2pkh(&[7; 20])));
    assert_eq!(answer["derived"], json!({ "doge": expected[0], "pep": expected[1] }));
    assert_eq!(answer["not_derived"], json!({}));
    let p2sh = address_on(&scene, 0, &Script::p2sh(&[7; 20]));
    for (address, reason) in [(&p2sh, "anybody may be able to spend"), (&nameless, "has no counterpart there")] {
        let answer = ask(&mut scene, "validateaddress", json!([address]));
        assert_eq!(answer["derived"], json!({ "doge": null, "pep": null }));
        for chain in ["doge", "pep"] {
            let told = answer["not_derived"][chain].as_str().unwrap();
            assert!(told.contains(reason) && told.contains("name an address of"), "{told}");
        }
    }
    assert_eq!(ask(&mut scene, "validateaddress", json!(["x", { "chain": "doge" }]))["isvalid"], false);
}

#[test]
fn metrics_and_the_table_for_a_terminal_are_by_chain() {
    let (mut scene, key, nameless) = worked();
    find(&mut scene, key, 1);
    let (text, _) = at(&mut scene, false, |site| metrics::text(site));
    for line in [
        "edgepool_height{pool=\"ltc\",chain=\"ltc\"} 714",
        "edgepool_height{pool=\"ltc\",chain=\"doge\"} 84",
        "edgepool_mined{pool=\"ltc\",chain=\"pep\"} 1",
        "edgepool_blocks_total{pool=\"ltc\",chain=\"doge\",status=\"accepted\"} 1",
        "edgepool_node_ready{pool=\"ltc\",chain=\"pep\",url=\"http://pep\"} 1",
        "edgepool_nameless_coins{pool=\"ltc\",chain=\"ltc\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let owed = text.lines().find(|line| line.starts_with("edgepool_nameless_coins{pool=\"ltc\",chain=\"doge\"}"));
    assert!(!owed.unwrap().ends_with(" 0"), "{owed:?}");
    assert!(text.contains("edgepool_network_difficulty{pool=\"ltc\",chain=\"doge\"} "));

    let info = ask(&mut scene, "getinfo", json!([]));
    let payouts = ask(&mut scene, "getpayoutinfo", json!({ "chain": "doge" }));
    let found = ask(&mut scene, "getblocks", json!({ "chain": "doge" }));
    let child = table::child(&info["pools"][0]["chains"][1], &payouts, &found);
    assert!(
        child.starts_with("doge · dogecoin regtest · merge-mined by template · height 84 · 1 blocks pending\n"),
        "{child}"
    );
    let line = child.lines().find(|line| line.starts_with(&nameless)).expect("who is owed is shown");
    assert!(line.ends_with("no address"), "{line}");
    let listed = ask(&mut scene, "listpools", json!([]));
    assert_eq!(listed, json!([{ "name": "ltc", "chains": ["ltc", "doge", "pep"] }]));
}
