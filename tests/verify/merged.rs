//! Merge-mined chains: accounts of identities, addresses that are named later, and faults that only a wrong account
//! gives away.

use edgepool::coin::script::Script;
use edgepool::pool::identity::Identity;
use edgepool::pool::record::{BlockFound, Cell, CellKey, Entry, MinerId, Part};
use edgepool::shell::ledger::verify::Options;
use edgepool::shell::ledger::{Task, TaskError, Which, run};

use crate::keeper::Ledgers;
use crate::merged_keeper::{
    COMPOSED, DOGE, LTC, NAMELESS, PEP, configure, operators_script, rigs_script, script, signed, true_ledger,
};
use crate::place::{Scratch, assert_found, verify_alone};
use crate::sharing::share;

fn verify(ledger: &Ledgers) -> Result<String, Vec<String>> {
    let scratch = Scratch::with(ledger);
    let which = Which { config: configure(&scratch, [None; 3]), data_dir: None };
    match run(&which, &Task::Verify(Options::default())) {
        Ok(text) => Ok(text),
        Err(TaskError::Faults { wrong, .. }) => Err(wrong),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_true_ledger_of_three_chains_is_found_to_be_true() {
    let text = verify(&true_ledger()).unwrap();
    assert!(text.contains("10 miners"), "{text}");
    assert!(text.contains("ltc: 2 blocks (2 accepted), no payments"), "{text}");
    assert!(text.contains("doge: 4 blocks (4 accepted), no payments"), "{text}");
    assert!(text.contains("pep: 2 blocks (1 accepted, 1 confirmed), 1 payments (1 settled)"), "{text}");
    assert!(!text.contains("is not checked"), "{text}");
    // Nobody is paid by Pepecoin's blocks: all is owed until the wallet pays.
    assert!(text.contains("value 20000.00000000 = paid 1207.31707317 + owed 18592.68292681 +"), "{text}");
}

#[test]
fn without_a_configuration_it_is_said_what_is_not_checked() {
    let text = verify_alone(&Scratch::with(&true_ledger()).0).unwrap();
    assert_eq!(text.matches("whom its blocks must pay is not checked").count(), 2, "{text}");
}

/// A block of a chain, by its height.
#[track_caller]
fn found(ledger: &mut Ledgers, chain: u8, height: u32) -> (usize, &mut BlockFound) {
    let mut blocks = ledger.entries.iter_mut().enumerate().filter_map(|(index, entry)| match entry {
        Entry::BlockFound(found) if (found.chain, found.height) == (chain, height) => Some((index, &mut **found)),
        _ => None,
    });
    blocks.next().expect("there is such a block")
}

/// Gives what one account did in the window to another.
fn credit(found: &mut BlockFound, from: MinerId, to: MinerId) {
    let mut parts = found.parts.clone();
    let index = parts.iter().position(|part| part.miner == from).unwrap();
    match parts.iter().position(|part| part.miner == to) {
        Some(other) => {
            parts[other].work += parts[index].work;
            parts.remove(index);
        }
        None => parts[index].miner = to,
    }
    parts.sort_by_key(|part| part.miner);
    share(found, &parts, script);
}

/// Plants a fault; gives the entry at which it must be found.
#[track_caller]
fn case(what: &str, plant: impl FnOnce(&mut Ledgers) -> usize) {
    let mut ledger = true_ledger();
    let index = plant(&mut ledger);
    let faults = verify(&ledger).expect_err("the fault is found");
    assert_found(&faults, &format!("pool ltc, entry {} (", index + 1), what);
}

/// Plants a fault outside of the journal.
#[track_caller]
fn case_at(place: &str, what: &str, plant: impl FnOnce(&mut Ledgers)) {
    let mut ledger = true_ledger();
    plant(&mut ledger);
    let faults = verify(&ledger).expect_err("the fault is found");
    assert_found(&faults, place, what);
}

#[test]
fn records_of_identities_that_cannot_be_or_are_there_twice_are_found() {
    case_at("miner 7:", "its record can't be read", |ledger| {
        ledger.miners.insert(7, vec![0xff, 1, 2]);
    });
    case_at("miner 7:", "it has the addresses of miner 3", |ledger| {
        let twin = ledger.miners[&3].clone();
        ledger.miners.insert(7, twin);
    });
    case_at("miner 5:", "it has the output script of miner 2", |ledger| {
        let twin = ledger.miners[&2].clone();
        ledger.miners.insert(5, twin);
    });
    case_at("miner 11:", "for a chain that can't be a merge-mined one", |ledger| {
        let identity = Identity::new(Script::p2pkh(&[9; 20]), vec![(LTC, Script::p2pkh(&[8; 20]))]);
        ledger.miners.insert(11, identity.to_bytes());
    });
    case_at("cell of miner 44", "the miner has no output script", |ledger| {
        let slot_start_ms = ledger.cells.last_key_value().unwrap().0.slot_start_ms;
        ledger.cells.insert(CellKey { slot_start_ms, miner: 44 }, Cell { work: 0, shares: 0 });
    });
}

#[test]
fn an_account_that_is_none_of_its_chain_is_found() {
    // The identity of a rig in the place of its account.
    case("is no account of ltc", |ledger| {
        let (index, found) = found(ledger, LTC, 100);
        found.finder = 3;
        index
    });
    // A segwit key hash is paid on Dogecoin, at another script.
    case("miner 1 (", |ledger| {
        let (index, found) = found(ledger, DOGE, 100);
        credit(found, 2, 1);
        index
    });
    case("is no account of doge", |ledger| {
        let (index, found) = found(ledger, DOGE, 100);
        credit(found, 5, 3);
        index
    });
    case("miner 44 has no output script", |ledger| {
        let (index, found) = found(ledger, DOGE, 101);
        found.finder = 44;
        index
    });
    case("is no account of pep", |ledger| {
        let index = ledger.position(|entry| matches!(entry, Entry::PaymentQueued(_)));
        let Entry::PaymentQueued(queued) = &mut ledger.entries[index] else { unreachable!() };
        queued.wanted = vec![COMPOSED];
        index
    });
}

#[test]
fn work_that_is_credited_to_the_account_of_another_chain_is_found() {
    // What a pair named for Dogecoin, and what its parent's address would stand for there.
    case("is credited 0 units of work, and its older cells have", |ledger| {
        let (index, found) = found(ledger, DOGE, 101);
        credit(found, 5, 9);
        index
    });
    case("is credited 0 units of work, and its older cells have", |ledger| {
        let (index, found) = found(ledger, DOGE, 101);
        credit(found, COMPOSED, NAMELESS);
        index
    });
    // Pepecoin was not named: it is not Dogecoin's.
    case("is credited 0 units of work, and its older cells have", |ledger| {
        let (index, found) = found(ledger, PEP, 101);
        credit(found, 9, 5);
        index
    });
    case("works for, ", |ledger| {
        ledger.miners.remove(&9);
        found(ledger, PEP, 101).0
    });
}

#[test]
fn a_nameless_account_that_is_paid_is_found() {
    case("and by the payout rule it is nobody", |ledger| {
        let (index, found) = found(ledger, DOGE, 100);
        let parts = found.parts.clone();
        share(found, &parts, |miner| script(miner).or(Some(operators_script())));
        index
    });
    // Before the name was in force, and as if it were.
    case("output 2 pays 1065.85365855 to miner 6 (", |ledger| {
        let (index, found) = found(ledger, DOGE, 101);
        let parts = found.parts.clone();
        share(found, &parts, |miner| script(miner).or(Some(rigs_script())));
        index
    });
    case("of its transaction pays", |ledger| {
        let index = ledger.position(|entry| matches!(entry, Entry::PaymentSigned(_)));
        let Entry::PaymentSigned(payment) = &mut ledger.entries[index] else { unreachable!() };
        **payment = signed(1, payment.at, payment.outputs[0], &operators_script());
        index
    });
}

#[test]
fn a_name_that_is_ignored_is_found() {
    case("and by the payout rule it is 1065.85365855 to miner 6 (", |ledger| {
        let (index, found) = found(ledger, DOGE, 102);
        let parts = found.parts.clone();
        share(found, &parts, script);
        index
    });
    // The block before had no value left for all that he was owed.
    case("was owed 1831.70731704 and is left out", |ledger| {
        let (index, found) = found(ledger, DOGE, 103);
        let parts: Vec<Part> = found.parts.iter().filter(|part| part.miner != NAMELESS).copied().collect();
        share(found, &parts, script);
        index
    });
}

#[test]
fn a_name_for_an_account_that_needs_none_or_by_nobody_is_found() {
    let change = |ledger: &mut Ledgers,
                  by_operator: bool,
                  change: &dyn Fn(&mut edgepool::pool::record::AddressNamed)| {
        let wanted = |entry: &Entry| matches!(entry, Entry::AddressNamed(named) if named.by_operator == by_operator);
        let index = ledger.position(wanted);
        let Entry::AddressNamed(named) = &mut ledger.entries[index] else { unreachable!() };
        change(named);
        index
    };
    case("has an address of its own there", |ledger| change(ledger, true, &|named| named.miner = 2));
    case("has an address of its own there", |ledger| change(ledger, true, &|named| named.miner = COMPOSED));
    case("is of the parent chain", |ledger| change(ledger, true, &|named| named.chain = LTC));
    case("miner 44 has no output script", |ledger| change(ledger, true, &|named| named.miner = 44));
    case("no rig that worked for", |ledger| {
        change(ledger, false, &|named| named.script = operators_script().as_bytes().to_vec())
    });
}

#[test]
fn a_block_that_its_node_keeps_and_is_said_to_pay_miners_is_found() {
    case("it is its node's own, and is said to have 10 outputs", |ledger| {
        let (index, found) = found(ledger, PEP, 101);
        found.max_outputs = 10;
        let parts = found.parts.clone();
        share(found, &parts, script);
        index
    });
}
