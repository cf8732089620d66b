//! A ledger with a hard life: hundreds of blocks, orphans, payments from litecoind's own wallet, and `kill -9` of pool
//! and node at every turn. At its end every unit is where the chain says it is.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::blocks::{TYPES, script_of_type, wait_for_work_on_tip};
use crate::chain::Chain;
use crate::miner::{Miner, Want};
use crate::node::{Node, address_in};
use crate::place::wait_for;
use crate::pool::Pool;
use crate::transactions::litoshi;

const BLOCKS: usize = 300;
const MINERS: usize = 7;

struct Life {
    node: Node,
    pool: Pool,
    addresses: Vec<String>,
    rigs: Vec<Miner>,
    found: usize,
    kills: usize,
}

impl Life {
    fn begin() -> Life {
        let node = Node::start(Chain::Mweb);
        // The pool's own outputs arrive at the wallet that pays what is owed.
        let pool_address = node.ask("getnewaddress", json!(["", "bech32"])).as_str().unwrap().to_owned();
        let pool = Pool::start_with(&[&node], &pool_address, |entry| {
            entry["payout"]["max_outputs"] = json!(3);
            entry["payout"]["min_payout"] = json!("0.5");
            entry["payments"] = json!({
                "wallet": {"url": node.wallet_url(), "cookie_file": node.cookie_file()},
                "threshold": "0.01", "max_outputs": 10, "confirmations": 2,
            });
        });
        let kinds = TYPES.iter().cycle();
        let addresses: Vec<String> = (1..)
            .zip(kinds)
            .take(MINERS)
            .map(|(number, kind)| node.address_of(&script_of_type(kind, number)))
            .collect();
        let mut life = Life { node, pool, addresses, rigs: Vec::new(), found: 0, kills: 0 };
        life.connect();
        life
    }

    fn connect(&mut self) {
        self.pool.wait_until_ready();
        self.rigs = self.addresses.iter().map(|address| Miner::at_work(self.pool.stratum_port, address, "x")).collect();
    }

    /// Blocks with work of everybody in between: two that are paid at once, and some small ones that wait.
    fn find_blocks(&mut self, count: usize) {
        for _ in 0..count {
            for (number, rig) in self.rigs.iter_mut().enumerate() {
                rig.catch_up().unwrap();
                let shares = if number < 2 { 10 } else { usize::from((self.found + number).is_multiple_of(20)) };
                for _ in 0..shares {
                    let share = rig.mine(Want::NotBlock);
                    rig.send_share(&share).unwrap();
                }
            }
            let rig = &mut self.rigs[self.found % 2];
            wait_for_work_on_tip(&self.node, rig);
            let share = rig.mine(Want::Block);
            // A rig that is told of new work meanwhile finds the next one.
            if rig.submit(&share) == Ok(true) {
                self.node.block_in_chain(&share.block_hash);
                self.found += 1;
            }
        }
    }

    fn kill_pool(&mut self) {
        self.pool.kill();
        self.kills += 1;
        self.pool.restart();
        self.connect();
    }

    /// Blocks that are found and lost again to a branch of the node's own.
    fn lose_blocks(&mut self, count: usize) {
        let (before, lost) = (self.node.height(), self.count("orphaned"));
        self.find_blocks(count);
        assert_eq!(self.node.height(), before + count as u64);
        let first = self.node.ask("getblockhash", json!([before + 1]));
        self.node.ask("invalidateblock", json!([first]));
        self.node.generate(count as u64 + 2);
        wait_for("the lost blocks are orphaned", 90, || (self.count("orphaned") == lost + count).then_some(()));
    }

    fn blocks(&self) -> Vec<Value> {
        self.pool.ask("getblocks", json!([1000])).as_array().expect("a list").clone()
    }

    fn count(&self, status: &str) -> usize {
        self.blocks().iter().filter(|block| block["status"] == status).count()
    }

    fn payments(&self) -> Vec<Value> {
        self.pool.ask("getpayments", json!([100])).as_array().expect("a list").clone()
    }

    fn wait_for_payment(&self, number: &Value, wanted: &[&str]) -> Value {
        wait_for(&format!("payment {number} is {wanted:?}"), 120, || {
            let payment = self.payments().into_iter().find(|payment| payment["payment"] == *number)?;
            wanted.iter().any(|status| payment["status"] == *status).then_some(payment)
        })
    }

    fn pay(&self) -> Value {
        let plan = self.pool.rpc_as_admin("paybalances", json!({"dry_run": true})).expect("a dry run changes nothing");
        assert!(!plan["pays"].as_array().expect("a list").is_empty(), "{plan}");
        self.pool.rpc_as_admin("paybalances", json!([])).expect("a payment can be queued")["payment"].clone()
    }

    fn settle(&mut self, number: &Value) {
        self.wait_for_payment(number, &["sent"]);
        self.find_blocks(3);
        self.wait_for_payment(number, &["settled"]);
    }

    /// Everything that the chain gave to each address, in base units, and how often the chain has each payment.
    fn received(&self) -> (BTreeMap<String, u64>, BTreeMap<String, usize>) {
        let (mut sums, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for height in 441..=self.node.height() {
            let hash = self.node.ask("getblockhash", json!([height]));
            let block = self.node.ask("getblock", json!([hash, 2]));
            for transaction in block["tx"].as_array().unwrap() {
                *seen.entry(transaction["txid"].as_str().unwrap().to_owned()).or_default() += 1;
                for output in transaction["vout"].as_array().unwrap() {
                    if let Some(address) = address_in(&output["scriptPubKey"]) {
                        *sums.entry(address.to_owned()).or_default() += litoshi(&output["value"]);
                    }
                }
            }
        }
        (sums, seen)
    }
}

#[test]
fn a_ledger_with_a_hard_life_has_every_unit_where_the_chain_says_it_is() {
    let mut life = Life::begin();
    for round in 0..14 {
        life.find_blocks(10);
        if round % 2 == 0 {
            life.kill_pool();
        }
    }
    life.lose_blocks(3);
    life.kill_pool();

    // Killed between the word of the operator and the transaction: it is queued, and goes on by itself.
    let first = life.pay();
    life.kill_pool();
    life.settle(&first);
    life.find_blocks(40);
    // Killed as soon as there is a transaction, which may or may not have left.
    let second = life.pay();
    wait_for("the payment is signed", 60, || {
        let payments = life.payments();
        payments.iter().any(|payment| payment["payment"] == second && payment["status"] != "queued").then_some(())
    });
    life.kill_pool();
    life.settle(&second);
    for _ in 0..9 {
        life.find_blocks(8);
        life.kill_pool();
    }
    life.lose_blocks(3);
    // The node is killed after it has taken the transaction, and comes back without its mempool's latest.
    let third = life.pay();
    life.wait_for_payment(&third, &["sent"]);
    life.node.kill();
    thread::sleep(Duration::from_secs(1));
    life.node.restart();
    life.connect();
    life.settle(&third);
    while life.found < BLOCKS {
        life.find_blocks(10);
        life.kill_pool();
    }
    assert!(life.kills >= 20 && life.count("orphaned") >= 5 && life.payments().len() >= 3);
    assert!(life.count("confirmed") > 100);

    // Whole and offline.
    let verified = life.pool.command(&["ledger", "verify", "--node"]);
    assert!(verified.status.success(), "{verified:?}");
    let balances = life.pool.ask("getbalances", json!([]));
    assert_eq!(balances["conserved"], true);
    wait_for("every block is judged", 60, || (life.count("submitted") == 0).then_some(()));
    let (received, seen) = life.received();
    for address in &life.addresses {
        let stats = life.pool.ask("getminerstats", json!([address]));
        assert_eq!(litoshi(&stats["paid_total"]), received[address], "{address}");
    }
    for payment in life.payments() {
        assert_eq!(payment["status"], "settled");
        assert_eq!(seen[payment["txid"].as_str().unwrap()], 1);
        assert!(!payment["outputs"].as_array().unwrap().is_empty());
    }
    life.pool.stop();
    let verified = life.pool.command(&["ledger", "verify", "--node"]);
    assert!(verified.status.success(), "{verified:?}");
}
