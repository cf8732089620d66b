//! Merge-mined chains against their nodes, of which Dogecoin's kind tells blocks as bytes only: compared with the
//! ledger, and searched for what a backup does not know.

use std::collections::BTreeMap;
use std::path::PathBuf;

use edgepool::base::display_hash;
use edgepool::coin::script::Script;
use edgepool::pool::record::{BlockFound, Entry, MinerId};
use edgepool::shell::ledger::verify::Options;
use edgepool::shell::ledger::{Task, Which, run};
use edgepool::shell::store::Store;
use serde_json::{Value, json};

use crate::chain::Chain;
use crate::keeper::{Ledgers, SETTLED};
use crate::merged_keeper::{
    COMPOSED, DOGE, LTC, NAMELESS, PEP, configure, operators_script, past_ledger, pool_script, rigs_script, script,
    true_ledger,
};
use crate::place::{Scratch, assert_found, unchecked, verify};

/// Where an account is paid by the block of a chain and height: the names are in force from one height on.
fn payee(chain: u8, height: u32, miner: MinerId) -> Script {
    match (chain, miner) {
        (LTC, NAMELESS) => Script::witness(0, &[0x60; 32]).unwrap(),
        (DOGE, NAMELESS) if height == 102 => rigs_script(),
        (DOGE, NAMELESS) if height > 102 => operators_script(),
        _ => script(miner).expect("nobody else is paid"),
    }
}

/// The chains as the true ledger has them.
fn true_chains(ledger: &Ledgers) -> [Chain; 3] {
    let mut chains = [LTC, DOGE, PEP].map(|chain| {
        let hashes: BTreeMap<u32, String> =
            (90..160).map(|height| (height, display_hash(&[height as u8 + chain; 32]))).collect();
        Chain { hashes, tells_bytes: chain != LTC, ..Chain::default() }
    });
    for entry in &ledger.entries {
        match entry {
            Entry::BlockFound(found) => {
                let pays = found.outputs.iter().map(|out| (payee(found.chain, found.height, out.miner), out.amount));
                let pool = Some((pool_script(), found.pool_amount)).filter(|(_, amount)| *amount > 0);
                let outputs = pays.chain(pool).collect();
                let (chain, hash) = (&mut chains[usize::from(found.chain)], display_hash(&found.hash));
                chain.hashes.insert(found.height, hash.clone());
                chain.blocks.insert(hash, vec![("55".repeat(32), outputs)]);
            }
            Entry::PaymentSigned(signed) => {
                let (height, block) = (SETTLED.0, display_hash(&SETTLED.1));
                let paid = signed.outputs[0];
                let outputs = vec![(script(paid.miner).unwrap(), paid.received), (pool_script(), 5_000)];
                let coinbase = ("00".repeat(32), vec![(Script::p2pkh(&[3; 20]), 7)]);
                let chain = &mut chains[usize::from(PEP)];
                chain.hashes.insert(height, block.clone());
                chain.blocks.insert(block, vec![coinbase, (display_hash(&signed.txid), outputs)]);
            }
            _ => {}
        }
    }
    chains
}

fn compare(ledger: &Ledgers, chains: [Chain; 3]) -> Result<String, Vec<String>> {
    let scratch = Scratch::with(ledger);
    let config = configure(&scratch, chains.map(|chain| Some(chain.serve())));
    verify(&scratch.0, &config, Options { node: true, ..Options::default() })
}

#[test]
fn a_true_ledger_agrees_with_all_its_chains() {
    let ledger = true_ledger();
    let text = compare(&ledger, true_chains(&ledger)).unwrap();
    for told in ["has 2 coinbases and 0 payments", "has 4 coinbases and 0 payments", "has 2 coinbases and 1 payments"] {
        assert!(text.contains(told), "{text}");
    }
}

/// Plants a fault in a chain: another script or amount in the coinbase of a block.
#[track_caller]
fn case(chain: u8, height: u32, what: &str, change: impl FnOnce(&mut Vec<(Script, u64)>)) {
    let ledger = true_ledger();
    let mut chains = true_chains(&ledger);
    let hash = chains[usize::from(chain)].hashes[&height].clone();
    change(&mut chains[usize::from(chain)].blocks.get_mut(&hash).unwrap()[0].1);
    let faults = compare(&ledger, chains).expect_err("the fault is found");
    assert_found(&faults, &format!("block {height} {hash}"), what);
}

#[test]
fn a_block_that_pays_elsewhere_than_where_the_account_is_paid_then_is_found() {
    // The rigs' name is in force for one block, the operator's for the next.
    let replace = |from: Script, to: Script| {
        move |outputs: &mut Vec<(Script, u64)>| {
            let output = outputs.iter_mut().find(|(script, _)| *script == from).expect("it is paid");
            output.0 = to;
        }
    };
    case(DOGE, 102, "output 1 of its coinbase is", replace(rigs_script(), operators_script()));
    case(DOGE, 103, "output 1 of its coinbase is", replace(operators_script(), rigs_script()));
    case(DOGE, 100, "of its coinbase is", replace(rigs_script(), script(5).unwrap()));
    // A node's own block pays somebody beside the pool.
    case(PEP, 100, "output 0 of its coinbase is 9999.99999999", |outputs| {
        outputs[0].1 -= 1;
        outputs.push((Script::p2pkh(&[8; 20]), 1));
    });
}

#[test]
fn a_payment_that_is_not_what_its_block_pays_is_found() {
    let ledger = true_ledger();
    let mut chains = true_chains(&ledger);
    chains[usize::from(PEP)].blocks.get_mut(&display_hash(&SETTLED.1)).unwrap().pop();
    let faults = compare(&ledger, chains).expect_err("the fault is found");
    assert_found(&faults, "(payment 1", "its transaction is not in block");
}

#[test]
fn a_payment_with_another_id_is_found_in_the_bytes_of_its_block() {
    let ledger = true_ledger();
    let mut chains = true_chains(&ledger);
    chains[usize::from(PEP)].unlocks_otherwise = true;
    let text = compare(&ledger, chains).unwrap();
    assert!(text.contains("has 2 coinbases and 1 payments"), "{text}");
}

/// A configuration in which the last chain's node and wallet are gone, with their cookie.
fn without_last(scratch: &Scratch, chains: [Chain; 3], is_mined: bool) -> PathBuf {
    let [ltc, doge, _] = chains.map(|chain| Some(chain.serve()));
    let path = configure(scratch, [ltc, doge, None]);
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let last = &mut config["pools"][0]["merge"][1];
    last["mine"] = json!(is_mined);
    last["payments"] = json!({});
    last["nodes"] = json!([{ "url": "http://127.0.0.1:9", "cookie_file": "/nowhere/.cookie" }]);
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
fn a_chain_that_is_not_mined_any_more_and_whose_node_is_gone_stops_nothing() {
    let ledger = true_ledger();
    let scratch = Scratch::with(&ledger);
    let options = Options { node: true, ..Options::default() };
    let config = without_last(&scratch, true_chains(&ledger), false);
    let text = verify(&scratch.0, &config, options.clone()).unwrap();
    assert!(text.contains("pep is not compared: it is not mined any more and its node does not answer"), "{text}");
    assert!(text.contains("the wallet at http://127.0.0.1:9 is not asked: pep is not mined any more"), "{text}");
    assert!(text.contains("has 4 coinbases and 0 payments"), "{text}");
    // As long as it is mined, its node is missed.
    let config = without_last(&scratch, true_chains(&ledger), true);
    let (_, missed) = unchecked(&scratch.0, &config, options);
    assert_found(&missed, "chain pep", "no node can be asked: http://127.0.0.1:9");

    let made = Scratch::new();
    std::fs::create_dir_all(&made.0).unwrap();
    let config = without_last(&made, true_chains(&ledger), false);
    let which = Which { config, data_dir: Some(made.0.clone()) };
    let text = run(&which, &Task::Rebuild { from: scratch.0.clone() }).unwrap();
    assert!(text.contains("chain pep: kept as the backup has it, and not searched: it is not mined"), "{text}");
    assert!(text.contains("chain doge: blocks 100 to 159"), "{text}");
}

#[test]
fn a_chain_that_is_mined_is_not_rebuilt_without_its_node() {
    let ledger = true_ledger();
    let (backup, made) = (Scratch::with(&ledger), Scratch::new());
    std::fs::create_dir_all(&made.0).unwrap();
    let which = Which { config: without_last(&made, true_chains(&ledger), true), data_dir: Some(made.0.clone()) };
    let refused = run(&which, &Task::Rebuild { from: backup.0.clone() }).unwrap_err().to_string();
    assert!(refused.contains("chain pep: no node can be asked"), "{refused}");
}

fn rebuilt(scratch: &Scratch) -> Vec<BlockFound> {
    let snapshot = Store::open_read_only(&scratch.0).unwrap();
    let mut blocks = Vec::new();
    snapshot
        .visit(0, 1, |_, entry| {
            if let Entry::BlockFound(found) = entry
                && found.rebuilt
            {
                blocks.push(*found);
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    blocks
}

#[test]
fn blocks_of_merge_mined_chains_come_back_from_their_nodes() {
    let whole = true_ledger();
    // To the first name; what came after it is lost.
    let named = whole.position(|entry| matches!(entry, Entry::AddressNamed(_)));
    let (backup, scratch) = (Scratch::with(&past_ledger(named + 1)), Scratch::new());
    std::fs::create_dir_all(&scratch.0).unwrap();
    let config = configure(&scratch, true_chains(&whole).map(|chain| Some(chain.serve())));
    let which = Which { config, data_dir: Some(scratch.0.clone()) };
    let text = run(&which, &Task::Rebuild { from: backup.0.clone() }).unwrap();
    assert!(text.contains("chain ltc: blocks 100 to 159") && text.contains("chain pep: blocks 100 to 159"), "{text}");
    assert!(text.contains("pay the pool alone") && text.contains("addresses that were named since"), "{text}");
    let blocks = rebuilt(&scratch);
    let places: Vec<(u8, u32)> = blocks.iter().map(|block| (block.chain, block.height)).collect();
    // One block of Dogecoin paid somebody whom nobody knows any more, and nothing to the pool.
    assert_eq!(places, [(LTC, 101), (DOGE, 102), (PEP, 101)]);
    let paid = |block: &BlockFound| block.outputs.iter().map(|output| output.miner).collect::<Vec<_>>();
    // Both the one whose own script it is and the one for whom it was named are paid there.
    let miners = paid(&blocks[1]);
    assert!(miners.contains(&COMPOSED) && miners.contains(&NAMELESS), "{miners:?}");
    assert!(paid(&blocks[2]).is_empty());
}
