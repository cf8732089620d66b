//! With `--node`: what a wallet paid to miners, and which of it the ledger knows.

use edgepool::base::display_hash;
use edgepool::coin::script::Script;
use edgepool::pool::record::Entry;
use edgepool::shell::ledger::verify::Options;
use edgepool::shell::ledger::{Task, TaskError, Which, run};
use serde_json::{Value, json};

use crate::chain::{compare, configure, true_chain};
use crate::keeper::{SETTLED, past_ledger, script, true_ledger};
use crate::place::{Scratch, assert_found, verify};

#[test]
fn what_the_wallet_paid_and_the_ledger_does_not_know_is_told() {
    let ledger = true_ledger();
    let mut chain = true_chain(&ledger);
    let known = display_hash(&ledger.clone().signed(1).1.txid);
    // A payment of the ledger, one to somebody who does not mine here, and those behind a full page.
    chain.sent = vec![(known, script(0), 5), ("22".repeat(32), Script::p2pkh(&[0xee; 20]), 6)];
    let text = compare(&ledger, chain.clone()).unwrap();
    assert!(text.contains("paid no miner beside these payments"), "{text}");
    chain.sent.resize(1_000, chain.sent[0].clone());
    chain.sent.push(("33".repeat(32), script(2), 123_456_789));
    let text = compare(&ledger, chain).unwrap();
    let told = format!(") by {}, which this ledger does not know", "33".repeat(32));
    assert!(text.contains("paid 1.23456789 to miner 2 (") && text.contains(&told), "{text}");
    assert_eq!(text.matches("does not know").count(), 1, "{text}");
}

#[test]
fn a_payment_that_the_chain_has_under_another_id_is_known_by_what_it_pays() {
    let ledger = true_ledger();
    let mut chain = true_chain(&ledger);
    let paid = ledger.clone().signed(1).1.outputs[0];
    chain.blocks.get_mut(&display_hash(&SETTLED.1)).unwrap()[1].0 = "66".repeat(32);
    chain.sent = vec![("66".repeat(32), script(paid.miner), paid.received)];
    let text = compare(&ledger, chain.clone()).unwrap();
    assert!(text.contains("has 9 coinbases and 1 payments as recorded"), "{text}");
    assert!(text.contains("paid no miner beside these payments"), "{text}");

    // One that pays something else is another payment.
    chain.blocks.get_mut(&display_hash(&SETTLED.1)).unwrap()[1].1[0].1 -= 1;
    let faults = compare(&ledger, chain).unwrap_err();
    assert_found(&faults, "(payment 1 ", "nor one that pays the same");
}

#[test]
fn what_another_pool_paid_from_the_same_wallet_is_known() {
    let ledger = true_ledger();
    let unpaid = past_ledger(ledger.position(|entry| matches!(entry, Entry::PaymentQueued(_))));
    let mut chain = true_chain(&ledger);
    let paid = ledger.clone().signed(1).1.outputs[0];
    let other = ledger.clone().signed(2).1.clone();
    // One is in the chain under another id.
    chain.blocks.get_mut(&display_hash(&SETTLED.1)).unwrap()[1].0 = "66".repeat(32);
    chain.sent = vec![
        ("66".repeat(32), script(paid.miner), paid.received),
        (display_hash(&other.txid), script(other.outputs[0].miner), other.outputs[0].received),
    ];
    let scratch = Scratch::of_ledgers(&[("first", &unpaid), ("ltc", &ledger)]);
    let config = configure(&scratch, chain.clone().serve());
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    let mut first = json["pools"][0].clone();
    first["name"] = json!("first");
    first["stratum"] = json!({ "listen": "0.0.0.0:3334" });
    json["pools"].as_array_mut().unwrap().push(first);
    std::fs::write(&config, json.to_string()).unwrap();
    let options = Options { node: true, ..Options::default() };
    let text = verify(&scratch.0, &config, options.clone()).unwrap();
    assert_eq!(text.matches("paid no miner beside these payments").count(), 2, "{text}");

    // Also when only one of the pools is asked for.
    chain.sent.remove(0);
    let config = configure(&scratch, chain.serve());
    let renamed = std::fs::read_to_string(&config).unwrap().replace("\"ltc\"", "\"first\"");
    std::fs::write(&config, renamed).unwrap();
    let text = verify(&scratch.0, &config, Options { pool: Some("first".into()), ..options }).unwrap();
    assert_eq!(text.matches("paid no miner beside these payments").count(), 1, "{text}");
}

#[test]
fn what_the_wallet_paid_is_told_also_of_a_ledger_that_is_not_true() {
    let ledger = true_ledger();
    let mut chain = true_chain(&ledger);
    chain.sent = vec![("33".repeat(32), script(2), 123_456_789)];
    chain.blocks.get_mut(&display_hash(&SETTLED.1)).unwrap()[1].1[0].1 -= 1;
    let scratch = Scratch::with(&ledger);
    let which = Which { config: configure(&scratch, chain.serve()), data_dir: Some(scratch.0.clone()) };
    match run(&which, &Task::Verify(Options { node: true, ..Options::default() })) {
        Err(TaskError::Faults { checked, wrong, .. }) => {
            assert_found(&wrong, "(payment 1 ", "its output 0 is");
            assert!(checked.contains("paid 1.23456789 to miner 2 ("), "{checked}");
        }
        other => panic!("the fault is found: {other:?}"),
    }
}
