//! Faults by somebody who knows the format: every link and check is right, only the money is not.

use edgepool::pool::record::{
    BlockJudged, BlockStatus, Cell, Entry, OutPoint, Part, PaymentJudged, PaymentOutput, PaymentStatus,
};

use crate::keeper::{Ledgers, SETTLED, script, signed, true_ledger};
use crate::place::{Scratch, assert_found, verify_alone};
use crate::sharing::share;

#[test]
fn a_true_ledger_is_found_to_be_true() {
    let text = verify_alone(&Scratch::with(&true_ledger()).0).unwrap();
    assert!(text.contains("13 blocks (6 accepted, 3 confirmed, 3 orphaned, 1 rejected)"), "{text}");
    assert!(text.contains("4 payments (1 conflicted, 1 dropped, 1 sent, 1 settled)"), "{text}");
    assert!(text.contains("value 112.50000000 = paid"), "{text}");
}

/// Plants a fault; gives the entry at which it must be found.
#[track_caller]
fn case(what: &str, plant: impl FnOnce(&mut Ledgers) -> usize) {
    let mut ledger = true_ledger();
    let index = plant(&mut ledger);
    let faults = verify_alone(&Scratch::with(&ledger).0).expect_err("the fault is found");
    assert_found(&faults, &format!("pool ltc, entry {} (", index + 1), what);
}

/// Plants a fault outside of the journal.
#[track_caller]
fn case_at(place: &str, what: &str, plant: impl FnOnce(&mut Ledgers)) {
    let mut ledger = true_ledger();
    plant(&mut ledger);
    let faults = verify_alone(&Scratch::with(&ledger).0).expect_err("the fault is found");
    assert_found(&faults, place, what);
}

fn judged(ledger: &mut Ledgers, wanted: BlockStatus, is_final: bool) -> (usize, &mut BlockJudged) {
    let mut entries = ledger.entries.iter_mut().enumerate();
    entries
        .find_map(|(index, entry)| match entry {
            Entry::BlockJudged(judged) if judged.status == wanted && judged.is_final == is_final => {
                Some((index, judged))
            }
            _ => None,
        })
        .expect("there is such a judgement")
}

#[test]
fn altered_sums_of_a_block_are_found_at_its_entry() {
    case("output 0 pays 6.", |ledger| {
        let (index, found) = ledger.found(100, 0);
        found.outputs[0].amount -= 1;
        found.pool_amount += 1;
        index
    });
    case("its outputs are not its value", |ledger| {
        let (index, found) = ledger.found(101, 0);
        found.outputs[1].amount += 1;
        index
    });
    case("miner 3 (0014040404", |ledger| {
        let (index, found) = ledger.found(102, 0);
        found.parts[3].entitled += 1;
        index
    });
    case("and the payout rule gives", |ledger| {
        let (index, found) = ledger.found(109, 0);
        found.fee_ppm -= 10_000;
        index
    });
    case("output 0 pays", |ledger| {
        let (index, found) = ledger.found(110, 0);
        found.outputs.swap(0, 1);
        index
    });
}

#[test]
fn a_split_that_is_right_by_itself_but_starts_from_other_balances_is_found() {
    // Somebody gave himself a debt of the pool, and everything in the entry follows from it.
    case("miner 4 (0014050505", |ledger| {
        let (index, found) = ledger.found(103, 0);
        found.parts[4].balance_before += 1_000;
        index
    });
    // Somebody who was owed enough is not in it at all.
    case("and is left out", |ledger| {
        let (index, found) = ledger.found(105, 0);
        let parts: Vec<Part> = found.parts.iter().filter(|part| part.miner != 2).copied().collect();
        share(found, &parts, |miner| Some(script(miner)));
        index
    });
}

#[test]
fn a_flipped_status_is_found_where_the_balances_that_follow_from_it_were_used() {
    // Blocks after the last judgement of the first were made when its debts were still owed.
    let mut ledger = true_ledger();
    let (_, judgement) = judged(&mut ledger, BlockStatus::Confirmed, true);
    judgement.status = BlockStatus::Orphaned("flipped".into());
    let (next, _) = ledger.found(110, 0);
    let faults = verify_alone(&Scratch::with(&ledger).0).unwrap_err();
    assert_found(&faults, &format!("pool ltc, entry {} (block 110", next + 1), "and by the journal it was");
    case("is accepted too early", |ledger| {
        let (index, judgement) = judged(ledger, BlockStatus::Confirmed, true);
        judgement.status = BlockStatus::Accepted;
        index
    });
}

#[test]
fn missing_doubled_and_swapped_entries_are_found() {
    case("is judged but was never found", |ledger| {
        let (index, _) = ledger.found(101, 0);
        ledger.entries.remove(index);
        index
    });
    case("a block that is accepted can't be accepted next", |ledger| {
        let (index, _) = judged(ledger, BlockStatus::Accepted, false);
        ledger.entries.insert(index, ledger.entries[index].clone());
        index + 1
    });
    case("is found twice", |ledger| {
        let (index, _) = ledger.found(104, 0);
        ledger.entries.insert(index, ledger.entries[index].clone());
        index + 1
    });
    case("is judged again after its last judgement", |ledger| {
        let (index, _) = judged(ledger, BlockStatus::Confirmed, true);
        ledger.entries.insert(index, ledger.entries[index].clone());
        index + 1
    });
    case("older than the entry before it", |ledger| {
        let (one, other) = (ledger.found(106, 0).0, ledger.found(106, 1).0);
        ledger.entries.swap(one, other);
        other
    });
    // A judgement that is gone leaves the height with two blocks in the chain.
    case_at("chain 0", "at height 106 both", |ledger| {
        let (index, _) = judged(ledger, BlockStatus::Orphaned("the other".into()), false);
        ledger.entries.remove(index);
    });
}

#[test]
fn a_wrong_script_or_none_is_found() {
    case("of its transaction pays 0014040404", |ledger| {
        let (index, signed) = ledger.signed(1);
        let miner = signed.outputs[0].miner;
        assert_eq!(miner, 3, "who is in no coinbase");
        ledger.miners.insert(miner, script(5).as_bytes().to_vec());
        index
    });
    case("miner 2 has no output script", |ledger| {
        ledger.miners.remove(&2);
        ledger.found(100, 0).0
    });
    case_at("miner 3:", "it has the output script of miner 1", |ledger| {
        let script = ledger.miners[&1].clone();
        ledger.miners.insert(3, script);
    });
}

#[test]
fn changed_cells_and_clock_marks_are_found() {
    case("its older cells have", |ledger| {
        let first = *ledger.cells.first_key_value().unwrap().0;
        ledger.cells.get_mut(&first).unwrap().work += 50_000;
        ledger.found(100, 0).0
    });
    case("and the cells after it have", |ledger| {
        let last = *ledger.cells.last_key_value().unwrap().0;
        ledger.cells.insert(last, Cell { work: 1_000_000, shares: 1 });
        ledger.found(110, 0).0
    });
    case("units of work were done in all, and the clock's mark has", |ledger| {
        ledger.clock.total_work = 5;
        ledger.found(100, 0).0
    });
    case_at("the cells", "shares, and the clock's mark 3", |ledger| ledger.clock.total_shares = 3);
    case_at("the clock's mark", "before an entry of the journal", |ledger| ledger.clock.pool_ms -= 7_200_000);
    case("5 units of work were done in all, and 76020 at the block before", |ledger| {
        let (index, found) = ledger.found(102, 0);
        found.total_work = 5;
        index
    });
}

#[test]
fn altered_payments_are_found() {
    case("and 9999999999999999999999999999999999999999999999999999999999999999 is recorded", |ledger| {
        let (index, signed) = ledger.signed(1);
        signed.txid = [0x99; 32];
        index
    });
    case("its transaction's id is", |ledger| {
        let (index, signed) = ledger.signed(4);
        signed.bytes[50] ^= 1;
        index
    });
    case("its transaction spends other coins than are recorded", |ledger| {
        let (index, signed) = ledger.signed(4);
        signed.inputs[0].vout = 8;
        index
    });
    // Recorded, signed and reserved alike, only nobody owes it.
    case("can be paid", |ledger| {
        let (index, payment) = ledger.signed(4);
        let PaymentOutput { miner, amount, .. } = payment.outputs[0];
        let output = PaymentOutput { miner, amount: amount * 9, received: amount * 9 };
        *payment = signed(4, payment.at, payment.inputs[0], output);
        index
    });
    case("receivers bear", |ledger| {
        let (index, payment) = ledger.signed(4);
        payment.fee = 10;
        index
    });
}

#[test]
fn a_coin_spent_by_two_payments_and_a_payment_paid_twice_are_found() {
    case("which payment 1 spends", |ledger| {
        let input: OutPoint = ledger.signed(1).1.inputs[0];
        let (index, payment) = ledger.signed(4);
        *payment = signed(4, payment.at, input, payment.outputs[0]);
        index
    });
    // The conflicted one is called settled too: it paid again what the first had paid in part.
    let mut ledger = true_ledger();
    let is_conflict = |entry: &Entry| matches!(entry, Entry::PaymentJudged(judged) if matches!(judged.status, PaymentStatus::Conflicted(_)));
    let index = ledger.position(is_conflict);
    let Entry::PaymentJudged(PaymentJudged { status, .. }) = &mut ledger.entries[index] else { unreachable!() };
    *status = PaymentStatus::Settled { height: SETTLED.0, block: SETTLED.1 };
    let (fourth, _) = ledger.signed(4);
    let faults = verify_alone(&Scratch::with(&ledger).0).unwrap_err();
    assert_found(&faults, &format!("pool ltc, entry {} (payment 4", fourth + 1), "can be paid");
    case("payment 1 is judged again after its last judgement", |ledger| {
        let is_settled = |entry: &Entry| matches!(entry, Entry::PaymentJudged(judged) if matches!(judged.status, PaymentStatus::Settled { .. }));
        let index = ledger.position(is_settled);
        ledger.entries.insert(index, ledger.entries[index].clone());
        index + 1
    });
}
