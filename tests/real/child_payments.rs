//! What a merge-mined chain owes its miners is paid from the wallet of its own node, by the calls that Dogecoin Core and its
//! relatives know. The demo's chains have no wallet: without the real node nothing is tested here, and that is said.

use serde_json::{Value, json};

use crate::blocks::{credit_share, find_block, pool_address, script_of_type};
use crate::chain::Chain;
use crate::child::Child;
use crate::merged::{CARRIED_OVER, win};
use crate::miner::{Miner, Want};
use crate::node::Node;
use crate::payments::litoshi_signed;
use crate::place::wait_for;
use crate::pool::Pool;
use crate::transactions::litoshi;

/// So deep a wallet of theirs spends a coinbase on regtest: one more than the rules want.
const SPENDABLE: u32 = 61;

#[test]
fn what_dogecoins_own_blocks_owe_is_paid_from_dogecoinds_wallet() {
    if let Some(child) = Child::real("dogecoin", "nothing is paid from its wallet") {
        pays_what_it_owes(&child, "doge");
    }
}

#[test]
fn what_pepecoins_node_blocks_owe_is_paid_from_pepecoinds_wallet() {
    if let Some(child) = Child::real("pepecoin", "nothing is paid from its wallet") {
        pays_what_it_owes(&child, "pep");
    }
}

fn pays_what_it_owes(child: &Child, chain: &str) {
    let node = Node::start(Chain::Mweb);
    let wallet = child.ask("getnewaddress", json!([]));
    let mut pool = Pool::start_with(&[&node], &pool_address(&node), |entry| {
        let mut merged = child.entry(wallet.as_str().expect("an address is text"));
        // More than a block has: a coinbase of the pool's own pays no miner either.
        merged["payout"]["min_payout"] = json!("10000000");
        merged["payments"] = json!({ "threshold": "1", "confirmations": 2 });
        entry["merge"] = json!([merged]);
    });
    let ask = |pool: &Pool, method: &str| pool.ask(method, json!([{ "chain": chain }]));
    wait_for("the child's work is announced", 60, || {
        ask(&pool, "getpayoutinfo")["block_value"].as_str().map(str::to_owned)
    });
    let rig = |pool: &Pool| Miner::at_work(pool.stratum_port, &node.address_of(&script_of_type("p2wpkh", 1)), "x");
    let mut first = rig(&pool);
    credit_share(&node, &mut first);
    find_block(&node, &mut first);
    let (_, hash) = win(child, &mut first, Want::Block);
    drop(first);
    child.generate(SPENDABLE);
    wait_for("the block is confirmed", 60, || {
        let blocks = ask(&pool, "getblocks");
        let block = blocks.as_array().unwrap().iter().find(|block| block["hash"] == hash)?.clone();
        (block["status"] == "confirmed").then_some(())
    });

    let due = account(&ask(&pool, "getbalances"), "balance");
    assert!(due > 0);
    let payment = pool.rpc_as_admin("paybalances", json!({ "chain": chain })).expect("the token opens paybalances");
    assert_eq!(payment, json!({ "payment": 1 }));
    // Wherever it is with the payment: it is paid once.
    pool.kill();
    pool.restart();
    let payment = |status: &str| {
        wait_for(&format!("the payment is {status}"), 90, || {
            let mut list = ask(&pool, "getpayments");
            (list[0]["status"] == status).then(|| list[0].take())
        })
    };
    payment("sent");
    // The pool's miners win the blocks that hold it: the first may be of work that knows nothing of it yet.
    let mut second = rig(&pool);
    for _ in 0..3 {
        win(child, &mut second, Want::Block);
    }
    let settled = payment("settled");
    let transaction = child.ask("gettransaction", json!([settled["txid"]]));
    let sent: Vec<&Value> = transaction["details"].as_array().unwrap().iter().collect();
    assert_eq!(sent.len(), 1, "{transaction}");
    assert_eq!(sent[0]["address"], CARRIED_OVER);
    assert_eq!(-litoshi_signed(&sent[0]["amount"]), due as i64);
    assert_eq!(account(&ask(&pool, "getbalances"), "paid"), due);
    let verified = pool.command(&["ledger", "verify", "--node"]);
    let [told, wrong] = [&verified.stdout, &verified.stderr].map(|said| String::from_utf8_lossy(said));
    assert!(verified.status.success(), "{told}{wrong}");
}

/// A sum of the only account, in base units.
fn account(balances: &Value, sum: &str) -> u64 {
    assert_eq!(balances["conserved"], true, "{balances}");
    let [account] = &balances["balances"].as_array().unwrap()[..] else { panic!("one rig has worked: {balances}") };
    assert_eq!(account["address"], CARRIED_OVER);
    litoshi(&account[sum])
}
