//! Payments from the node's own wallet: what arrives is what was owed, once, whoever is killed in between.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::blocks::{TYPES, credit_share, find_block, pool_address, script_of_type};
use crate::chain::Chain;
use crate::kind::on_each_node;
use crate::miner::Miner;
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::Pool;
use crate::transactions::litoshi;

on_each_node!(
    every_type_of_address_is_paid_to_the_unit_and_settled,
    receivers_bear_the_fee_where_that_is_configured,
    coins_spent_otherwise_free_the_balances_when_that_is_deep_enough,
    a_pool_killed_at_any_moment_of_a_payment_pays_once,
);

/// A pool whose coinbases pay the operator alone, so that a block is owed to its miners; one of each type of address has
/// worked for it, and it is as deep as the coin's maturity.
fn owing(node: &Node, payments: Value) -> (Pool, Vec<String>) {
    let pool = Pool::start_with(&[node], &pool_address(node), |entry| {
        entry["payout"]["min_payout"] = json!("1000");
        let mut payments = payments;
        let wallet = payments["wallet"].as_str().map_or_else(|| node.wallet_url(), |name| node.wallet_url_of(name));
        payments["wallet"] = json!({ "url": wallet, "cookie_file": node.cookie_file() });
        payments["threshold"] = json!("0.01");
        payments["confirmations"] = json!(2);
        entry["payments"] = payments;
    });
    let addresses: Vec<String> =
        TYPES.iter().zip(1..).map(|(kind, number)| node.address_of(&script_of_type(kind, number))).collect();
    for address in &addresses {
        credit_share(node, &mut Miner::at_work(pool.stratum_port, address, "x"));
    }
    // A change of terms makes a job at once, which knows all of them.
    pool.rpc_as_admin("setpoolfee", json!(["1.0"])).expect("the token opens setpoolfee");
    let mut miner = Miner::at_work(pool.stratum_port, &addresses[0], "x");
    find_block(node, &mut miner);
    drop(miner);
    node.generate(100);
    wait_for("the block is confirmed", 60, || {
        let blocks = pool.ask("getblocks", json!([]));
        (blocks[0]["status"] == "confirmed").then_some(())
    });
    (pool, addresses)
}

/// Address → base units, of everybody who is owed something.
fn owed(pool: &Pool) -> Vec<(String, u64)> {
    let balances = pool.ask("getbalances", json!([]));
    assert_eq!(balances["conserved"], true, "{balances}");
    let list = balances["balances"].as_array().unwrap().iter();
    let entries = list.map(|entry| (entry["address"].as_str().unwrap().to_owned(), litoshi(&entry["balance"])));
    entries.filter(|(_, balance)| *balance > 0).collect()
}

#[track_caller]
fn wait_for_payment(pool: &Pool, status: &str) -> Value {
    wait_for(&format!("the payment is {status}"), 90, || {
        let mut list = pool.ask("getpayments", json!([]));
        (list[0]["status"] == status).then(|| list[0].take())
    })
}

/// What the chain holds for an address of nobody's, in base units.
fn arrived(node: &Node, address: &str) -> u64 {
    let found = node.ask("scantxoutset", json!(["start", [format!("addr({address})")]]));
    litoshi(&found["total_amount"])
}

fn every_type_of_address_is_paid_to_the_unit_and_settled(node: Node) {
    let (pool, addresses) = owing(&node, json!({}));
    let due = owed(&pool);
    assert_eq!(due.len(), addresses.len());
    let plan = pool.rpc_as_admin("paybalances", json!({ "dry_run": true })).unwrap();
    assert_eq!(plan["pays"].as_array().unwrap().len(), addresses.len(), "{plan}");
    assert!(pool.rpc("paybalances", json!([])).unwrap_err().1.contains("Authorization"));
    assert_eq!(pool.rpc_as_admin("paybalances", json!([])).unwrap(), json!({ "payment": 1 }));
    let sent = wait_for_payment(&pool, "sent");
    assert_eq!(sent["outputs"].as_array().unwrap().len(), addresses.len());
    assert_eq!(owed(&pool), due, "until it is settled it is owed");
    assert_eq!(pool.rpc_as_admin("paybalances", json!([])).unwrap_err().0, -4);
    node.generate(2);
    let settled = wait_for_payment(&pool, "settled");
    let transaction = node.ask("gettransaction", json!([settled["txid"]]));
    assert_eq!(transaction["blockhash"], settled["block"]);
    assert_eq!(-litoshi_signed(&transaction["fee"]), litoshi_signed(&settled["fee"]));
    for (address, amount) in &due {
        assert_eq!(arrived(&node, address), *amount, "{address}");
    }
    assert_eq!(owed(&pool), []);
    assert_eq!(pool.health().unwrap(), 200);
    // Of all that its wallet ever sent the ledger knows this; and what somebody sends by hand it doesn't.
    let verified = || {
        let output = pool.command(&["ledger", "verify", "--node"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = verified();
    assert!(text.contains("paid no miner beside these payments"), "{text}");
    let by_hand = node.ask("sendtoaddress", json!([addresses[0], 0.5]));
    let text = verified();
    let told = format!("by {}, which this ledger does not know", by_hand.as_str().unwrap());
    assert!(text.contains("paid 0.50000000 to miner ") && text.contains(&told), "{text}");
}

fn receivers_bear_the_fee_where_that_is_configured(node: Node) {
    let (pool, addresses) = owing(&node, json!({ "fee_from": "receivers", "fee_rate": "0.0005" }));
    let due = owed(&pool);
    pool.rpc_as_admin("paybalances", json!(addresses)).unwrap();
    wait_for_payment(&pool, "sent");
    node.generate(2);
    let settled = wait_for_payment(&pool, "settled");
    let mut borne = 0;
    for (address, amount) in &due {
        let arrived = arrived(&node, address);
        assert!(arrived < *amount, "{address}");
        borne += amount - arrived;
    }
    assert_eq!(borne, litoshi(&settled["fee"]));
    assert_eq!(owed(&pool), []);
}

#[test]
fn a_wallet_of_mweb_coins_pays_nothing_and_says_why() {
    let node = Node::start(Chain::Mweb);
    node.ask("createwallet", json!(["hidden"]));
    let address = node.rpc_of("hidden", "getnewaddress", json!(["", "mweb"]));
    node.ask("sendtoaddress", json!([address, 40]));
    node.generate(1);
    let (pool, addresses) = owing(&node, json!({ "wallet": "hidden" }));
    assert_eq!(litoshi(&node.rpc_of("hidden", "getbalance", json!([]))), 4_000_000_000);
    pool.rpc_as_admin("paybalances", json!([])).unwrap();
    let trouble = wait_for("the wallet's trouble", 30, || {
        let info = pool.ask("getinfo", json!([]));
        info["pools"][0]["chains"][0]["payments"]["trouble"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains("MWEB coins are not used"), "{trouble}");
    assert_eq!(pool.ask("getpayments", json!([]))[0]["status"], "queued");
    assert_eq!(owed(&pool).len(), addresses.len());
    assert_eq!(pool.health().unwrap(), 200, "rigs go on mining");
}

fn coins_spent_otherwise_free_the_balances_when_that_is_deep_enough(node: Node) {
    let elsewhere = Node::start(node.chain());
    let (pool, _) = owing(&node, json!({}));
    let due = owed(&pool);
    node.connect_to(&elsewhere);
    node.disconnect_from(&elsewhere);
    pool.rpc_as_admin("paybalances", json!([])).unwrap();
    let sent = wait_for_payment(&pool, "sent");
    let ours = node.ask("gettransaction", json!([sent["txid"], true, true]));
    let mut coins = Vec::new();
    let mut sum = 0;
    for input in ours["decoded"]["vin"].as_array().unwrap() {
        let coin = node.ask("gettxout", json!([input["txid"], input["vout"], false]));
        sum += litoshi(&coin["value"]);
        coins.push(json!({ "txid": input["txid"], "vout": input["vout"] }));
    }
    let own = node.ask("getnewaddress", json!(["", "bech32"]));
    let amount = format!("{}.{:08}", (sum - 100_000) / 100_000_000, (sum - 100_000) % 100_000_000);
    let other = node.ask("createrawtransaction", json!([coins, [{ own.as_str().unwrap(): amount }]]));
    let other = node.ask("signrawtransactionwithwallet", json!([other]));
    assert_eq!(other["complete"], true);
    elsewhere.ask("sendrawtransaction", json!([other["hex"]]));
    elsewhere.generate(1);
    node.connect_to(&elsewhere);
    wait_for("the conflict is seen", 60, || {
        let trouble = pool.ask("getpayments", json!([]))[0]["trouble"].as_str().map(str::to_owned);
        trouble.filter(|trouble| trouble.contains("sendrawtransaction"))
    });
    assert_eq!(pool.ask("getpayments", json!([]))[0]["status"], "sent", "one block may yet go");
    node.generate(2);
    let conflicted = wait_for_payment(&pool, "conflicted");
    assert!(conflicted["reason"].is_string(), "{conflicted}");
    assert_eq!(owed(&pool), due);
    assert_eq!(pool.rpc_as_admin("paybalances", json!([])).unwrap(), json!({ "payment": 2 }));
    wait_for_payment(&pool, "sent");
    node.generate(2);
    wait_for_payment(&pool, "settled");
    for (address, amount) in &due {
        assert_eq!(arrived(&node, address), *amount, "{address}");
    }
}

fn a_pool_killed_at_any_moment_of_a_payment_pays_once(node: Node) {
    let (mut pool, _) = owing(&node, json!({}));
    let due = owed(&pool);
    pool.rpc_as_admin("paybalances", json!([])).unwrap();
    // Each kill leaves a long poll behind that holds one of the node's eight threads until the next block.
    for round in 0..5 {
        thread::sleep(Duration::from_millis(9 * round));
        pool.kill();
        pool.restart();
    }
    wait_for_payment(&pool, "sent");
    // The node dies with what it has not mined, and its wallet's locks.
    node.kill();
    node.restart();
    pool.wait_until_ready();
    node.generate(2);
    let settled = wait_for_payment(&pool, "settled");
    assert_eq!(settled["payment"], 1);
    for (address, amount) in &due {
        assert_eq!(arrived(&node, address), *amount, "{address}");
    }
    let listed = node.ask("listtransactions", json!(["*", 1000, 0]));
    let sends = listed.as_array().unwrap().iter().filter(|entry| entry["category"] == "send");
    let due_to: BTreeSet<&str> = due.iter().map(|(address, _)| address.as_str()).collect();
    let sends = sends.filter(|entry| entry["address"].as_str().is_some_and(|address| due_to.contains(address)));
    let txids: BTreeSet<&str> = sends.map(|entry| entry["txid"].as_str().unwrap()).collect();
    assert_eq!(txids, BTreeSet::from([settled["txid"].as_str().unwrap()]), "nothing else was ever sent");
    assert_eq!(owed(&pool), []);
}

pub fn litoshi_signed(amount: &Value) -> i64 {
    let text = match amount {
        Value::String(text) => text.clone(),
        other => format!("{:.8}", other.as_f64().unwrap()),
    };
    let sign = if text.starts_with('-') { -1 } else { 1 };
    sign * litoshi(&json!(text.trim_start_matches('-'))) as i64
}
