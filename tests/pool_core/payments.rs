//! Payments from the wallet: written before they are sent, sent as the same bytes, paid once whatever happens.

use std::collections::BTreeSet;

use edgepool::base::time::HOUR;
use edgepool::face::methods;
use edgepool::pool::paying::PaymentError;
use edgepool::pool::payments::Reason;
use edgepool::pool::record::MinerId;
use edgepool::pool::spec::{FeeFrom, NodeSpec, PaymentsSpec, PoolSpec};
use serde_json::{Value, json};

use crate::rig::Want;
use crate::scene::{Death, Effect, SECOND, Scene, address, script, site};
use crate::wallet::{Break, Wallet};

/// What the small miners of [`mature`] are owed: 1/22 of 3.125 LTC less 1 %, each.
const OWED: u64 = 14_062_500;
const CONFIRMATIONS: u32 = 3;

fn spec(change: impl FnOnce(&mut PaymentsSpec)) -> PoolSpec {
    let mut spec = crate::scene::spec(1);
    spec.chains[0].terms.min_payout = 100_000_000;
    let mut payments = PaymentsSpec {
        wallet: NodeSpec { url: "http://wallet".into(), authority: "wallet".into(), path: "/".into() },
        every_ms: None,
        threshold: 1_000_000,
        max_outputs: 10,
        confirmations: CONFIRMATIONS,
        fee_from: FeeFrom::Pool,
        fee_rate: None,
        max_fee: 10_000,
    };
    change(&mut payments);
    spec.chains[0].payments = Some(payments);
    spec
}

/// Three addresses have worked 20 : 1 : 1 and a block was found; the small ones are below the least payout.
fn found(spec: PoolSpec) -> Scene {
    let mut scene = Scene::start(spec);
    scene.wallet = Wallet::with_coins(3);
    let rigs = [1, 2, 3].map(|number| scene.rig(number));
    for number in 0..20 {
        scene.work(rigs[0], &format!("w{number}"), Want::Share);
    }
    scene.work(rigs[1], "w", Want::Share);
    scene.work(rigs[2], "w", Want::Share);
    scene.advance(31 * SECOND);
    scene.work(rigs[0], "block", Want::Block);
    scene
}

/// The same, as deep as the coin's maturity.
fn mature(spec: PoolSpec) -> Scene {
    let mut scene = found(spec);
    pass_blocks(&mut scene, "c", 100);
    scene.advance(SECOND);
    scene.effects.clear();
    scene
}

/// Blocks of somebody else's, without any of the wallet's transactions.
fn pass_blocks(scene: &mut Scene, name: &str, count: usize) {
    for number in 0..count {
        scene.new_tip(0, &format!("{name}{number:03x}").repeat(16)[..64]);
        scene.advance(SECOND);
    }
}

/// Blocks that take in what the wallet's node has.
fn mine(scene: &mut Scene, name: &str, count: u32) {
    for number in 0..count {
        scene.wallet.mine();
        pass_blocks(scene, &format!("{name}{number:x}"), 1);
    }
}

fn miner(scene: &Scene, number: u8) -> MinerId {
    scene.pool.miners().find(&script(number).into()).expect("the address was credited")
}

/// Owed, held by payments, and received.
fn account(scene: &Scene, number: u8) -> (i64, u64, u64) {
    let account = scene.pool.chains()[0].ledger.account(miner(scene, number));
    (account.balance, account.reserved, account.paid)
}

fn states(scene: &Scene) -> Vec<&'static str> {
    scene.pool.chains()[0].ledger.payments().iter().map(|payment| payment.status.name()).collect()
}

fn pay(scene: &mut Scene, wanted: &[u8]) -> Result<u64, PaymentError> {
    let wanted = wanted.iter().map(|number| miner(scene, *number)).collect();
    let queued = scene.pool.queue_payment(0, wanted, scene.now);
    scene.advance(SECOND);
    queued
}

fn trouble(scene: &Scene) -> String {
    let payments = scene.pool.chains()[0].payments.as_ref().unwrap();
    payments.status(scene.now).trouble.unwrap_or_default()
}

/// What the wallet's chain really paid an address.
fn received(scene: &Scene, number: u8) -> Vec<u64> {
    scene.wallet.paid_to(script(number).as_bytes())
}

#[test]
fn a_payment_is_on_disk_before_it_is_sent_and_settled_at_its_depth() {
    let mut scene = mature(spec(|_| {}));
    assert_eq!(account(&scene, 2), (OWED as i64, 0, 0));
    assert_eq!(pay(&mut scene, &[]), Ok(1));
    let position = |wanted: &dyn Fn(&Effect) -> bool| scene.effects.iter().position(wanted).expect("it happened");
    let call = |name: &'static str| move |effect: &Effect| matches!(effect, Effect::Wallet(method) if method == name);
    let signed = position(&call("signrawtransactionwithwallet"));
    let sent = position(&call("sendrawtransaction"));
    // The wallet answers at once here: the wish and the transaction are in one commit.
    let is_commit = |effect: &Effect| matches!(effect, Effect::Committed { journal: 2, .. });
    assert!(scene.effects[signed..sent].iter().any(is_commit));
    assert_eq!(states(&scene), ["sent"]);
    assert_eq!((account(&scene, 2), account(&scene, 3)), ((OWED as i64, OWED, 0), (OWED as i64, OWED, 0)));
    // What is on its way is not for the next coinbase, nor for another payment.
    assert!(
        matches!(pay(&mut scene, &[2]), Err(PaymentError::Nobody(plan)) if plan.left_out[0].why == Reason::Reserved)
    );

    mine(&mut scene, "d", CONFIRMATIONS - 1);
    assert_eq!((states(&scene), account(&scene, 2)), (vec!["sent"], (OWED as i64, OWED, 0)));
    mine(&mut scene, "e", 1);
    assert_eq!((states(&scene), account(&scene, 2)), (vec!["settled"], (0, 0, OWED)));
    assert_eq!((received(&scene, 2), received(&scene, 3)), (vec![OWED], vec![OWED]));
    assert_eq!(scene.wallet.sent.len(), 1);
    let calls = scene.wallet.calls.len();
    scene.advance(HOUR);
    assert_eq!(scene.wallet.calls.len(), calls, "a wallet with nothing to pay is left alone");
}

#[test]
fn a_payment_that_can_not_be_written_is_not_sent_until_it_can() {
    let mut scene = mature(spec(|_| {}));
    scene.disk.fault = Some("no space left".into());
    pay(&mut scene, &[2]).unwrap();
    scene.advance(600 * SECOND);
    assert_eq!((scene.wallet.signed.len(), scene.wallet.sent.len()), (1, 0));
    assert_eq!(states(&scene), ["signed"]);
    scene.disk.fault = None;
    scene.advance(5 * SECOND);
    assert_eq!(scene.wallet.sent, scene.wallet.signed);
    assert_eq!(states(&scene), ["sent"]);
}

/// Something breaks at one of the wallet's calls, and everybody is paid once; `false` when there is no such call.
fn break_at(call: usize, what: Break) -> bool {
    let mut scene = mature(spec(|_| {}));
    // So that the wish is on disk before the wallet is asked.
    scene.wallet.is_away = true;
    pay(&mut scene, &[]).unwrap();
    scene.wallet.is_away = false;
    scene.wallet.breaks = Some((call, what));
    scene.advance(120 * SECOND);
    for number in 0..2 * CONFIRMATIONS {
        mine(&mut scene, &format!("d{number}"), 1);
        if scene.is_dead {
            scene.restart(spec(|_| {}), SECOND);
        }
        scene.advance(120 * SECOND);
    }
    assert_eq!(states(&scene), ["settled"], "{call} {what:?}: {}", trouble(&scene));
    assert_eq!((account(&scene, 2), account(&scene, 3)), ((0, 0, OWED), (0, 0, OWED)));
    assert_eq!((received(&scene, 2), received(&scene, 3)), (vec![OWED], vec![OWED]), "{call} {what:?}");
    let sent: BTreeSet<&String> = scene.wallet.sent.iter().collect();
    assert_eq!(sent.len(), 1, "only the same bytes are ever sent again");
    scene.wallet.breaks.is_none()
}

#[test]
fn whatever_breaks_at_any_call_of_a_payment_it_is_paid_once() {
    for what in [Break::Unheard, Break::Unanswered, Break::Death, Break::Node] {
        let calls = (0..).take_while(|call| break_at(*call, what)).count();
        assert!(calls >= 9, "building, sending and watching are calls of their own: {calls}");
    }
}

/// The process dies at one of its commits while it pays, and is started again; everybody is paid once.
fn die(commit: u32, death: Death) -> Option<usize> {
    let mut scene = mature(spec(|_| {}));
    scene.dies = Some((scene.commits + commit, death));
    // So that the wish is on disk before there is anything to sign.
    scene.wallet.is_away = true;
    pay(&mut scene, &[]).unwrap();
    scene.wallet.is_away = false;
    scene.advance(10 * SECOND);
    for number in 0..CONFIRMATIONS {
        mine(&mut scene, &format!("d{number}"), 1);
    }
    if !scene.is_dead {
        return None;
    }
    scene.dies = None;
    scene.restart(spec(|_| {}), SECOND);
    scene.advance(5 * SECOND);
    mine(&mut scene, "e", 2 * CONFIRMATIONS);
    if states(&scene).is_empty() {
        // It died before the wish was on disk: nobody was told that it was taken.
        assert_eq!(scene.wallet.sent, Vec::<String>::new());
        assert_eq!(pay(&mut scene, &[]), Ok(1));
        mine(&mut scene, "f", CONFIRMATIONS);
    }
    assert_eq!(states(&scene), ["settled"], "{commit} {death:?}");
    assert_eq!((account(&scene, 2), account(&scene, 3)), ((0, 0, OWED), (0, 0, OWED)));
    assert_eq!((received(&scene, 2), received(&scene, 3)), (vec![OWED], vec![OWED]), "{commit} {death:?}");
    let sent: BTreeSet<&String> = scene.wallet.sent.iter().collect();
    assert_eq!(sent.len(), 1, "only the same bytes are ever sent again");
    Some(scene.wallet.signed.len())
}

#[test]
fn whoever_dies_at_any_commit_of_a_payment_pays_once() {
    let mut built = Vec::new();
    for death in [Death::Before, Death::After] {
        let of_death: Vec<usize> = (1..).map_while(|commit| die(commit, death)).collect();
        assert!(of_death.len() >= 4, "queued, signed, sent and settled are commits of their own: {of_death:?}");
        built.extend(of_death);
    }
    assert!(built.contains(&1) && built.contains(&2), "one that was not written is built again: {built:?}");
}

#[test]
fn a_coin_spent_elsewhere_frees_the_balances_only_when_that_is_beyond_recall() {
    let mut scene = mature(spec(|_| {}));
    scene.dies = Some((scene.commits + 1, Death::After));
    pay(&mut scene, &[2]).unwrap();
    assert!(scene.is_dead && scene.wallet.sent.is_empty());
    let signed = scene.wallet.signed[0].clone();
    scene.wallet.spend_elsewhere(&signed);
    scene.dies = None;
    scene.restart(spec(|_| {}), SECOND);
    scene.advance(SECOND);
    assert_eq!(scene.wallet.sent, [signed]);
    assert_eq!((states(&scene), account(&scene, 2)), (vec!["signed"], (OWED as i64, OWED, 0)));
    assert!(trouble(&scene).contains("(-25)"), "{}", trouble(&scene));
    mine(&mut scene, "d", CONFIRMATIONS - 1);
    assert_eq!(states(&scene), ["signed"]);
    mine(&mut scene, "e", 1);
    assert_eq!((states(&scene), account(&scene, 2)), (vec!["conflicted"], (OWED as i64, 0, 0)));
    // A new payment is a new wish of the operator's.
    scene.advance(HOUR);
    assert_eq!(states(&scene), ["conflicted"]);
    assert_eq!(pay(&mut scene, &[2]), Ok(2));
    mine(&mut scene, "f", CONFIRMATIONS);
    assert_eq!((states(&scene), account(&scene, 2)), (vec!["conflicted", "settled"], (0, 0, OWED)));
    assert_eq!(received(&scene, 2), [OWED]);
}

#[test]
fn what_may_still_be_orphaned_is_not_paid() {
    let mut scene = found(spec(|_| {}));
    let Err(PaymentError::Nobody(plan)) = pay(&mut scene, &[]) else { panic!("nothing is mature") };
    let reasons: Vec<Reason> = plan.left_out.iter().map(|left_out| left_out.why).collect();
    assert_eq!(reasons, [Reason::Immature, Reason::Immature]);
    assert_eq!(scene.wallet.calls, Vec::<String>::new());
}

#[test]
fn without_configuration_no_wallet_is_touched() {
    let mut spec = spec(|_| {});
    spec.chains[0].payments = None;
    let mut scene = mature(spec);
    let refused = pay(&mut scene, &[]).unwrap_err();
    assert!(matches!(refused, PaymentError::NotConfigured(_)));
    assert!(refused.to_string().contains("add \"payments\": {} beside its \"payout\""), "{refused}");
    assert_eq!(scene.wallet.calls, Vec::<String>::new());
}

#[test]
fn the_schedule_pays_in_its_time_also_across_restarts() {
    let every_day = || spec(|payments| payments.every_ms = Some(24 * HOUR));
    let mut scene = mature(every_day());
    scene.advance(120 * SECOND);
    assert_eq!(states(&scene), ["sent"]);
    assert!(scene.pool.chains()[0].ledger.payments()[0].queued.is_scheduled);
    mine(&mut scene, "d", CONFIRMATIONS);
    assert_eq!(states(&scene), ["settled"]);

    // Another block leaves them its part, matures, and waits for the day to pass.
    let rig = scene.rig(1);
    scene.advance(31 * SECOND);
    scene.work(rig, "block", Want::Block);
    pass_blocks(&mut scene, "e", 100);
    scene.advance(120 * SECOND);
    assert!(account(&scene, 2).0 > 1_000_000);
    scene.restart(every_day(), 10 * HOUR);
    scene.advance(12 * HOUR);
    assert_eq!(states(&scene), ["settled"]);
    scene.restart(every_day(), HOUR);
    scene.advance(2 * HOUR);
    assert_eq!(states(&scene), ["settled", "sent"]);
}

#[test]
fn what_does_not_fit_one_transaction_follows_in_the_next() {
    let one_by_one = || spec(|payments| payments.max_outputs = 1);
    let mut scene = mature(one_by_one());
    assert_eq!(pay(&mut scene, &[3, 2]), Ok(1));
    assert_eq!(states(&scene), ["sent"]);
    mine(&mut scene, "d", CONFIRMATIONS);
    scene.advance(SECOND);
    assert_eq!(states(&scene), ["settled", "sent"]);
    assert_eq!(scene.pool.chains()[0].ledger.payments()[1].queued.wanted, [miner(&scene, 3)]);
    mine(&mut scene, "e", CONFIRMATIONS);
    scene.advance(600 * SECOND);
    assert_eq!(states(&scene), ["settled", "settled"], "everybody who was named is paid");
    assert_eq!((received(&scene, 2), received(&scene, 3)), (vec![OWED], vec![OWED]));
}

#[test]
fn a_short_wallet_pays_fewer_and_a_locked_one_waits() {
    let mut scene = mature(spec(|_| {}));
    scene.wallet = Wallet::with_coins(0);
    pay(&mut scene, &[]).unwrap();
    scene.advance(60 * SECOND);
    assert_eq!((states(&scene), account(&scene, 2)), (vec!["queued"], (OWED as i64, 0, 0)));
    assert!(trouble(&scene).contains("not enough"));
    scene.wallet = Wallet::with_coins(1);
    let locked = (-13, "Please enter the wallet passphrase".to_string());
    scene.wallet.faults.insert("signrawtransactionwithwallet".into(), locked);
    scene.advance(600 * SECOND);
    assert_eq!(states(&scene), ["queued"]);
    assert!(trouble(&scene).contains("unlock it"), "{}", trouble(&scene));
    scene.wallet.is_away = true;
    scene.advance(4_000 * SECOND);
    assert!(trouble(&scene).contains("can't connect"), "{}", trouble(&scene));
    assert_eq!(scene.pool.warnings(scene.now).len(), 1);
    assert_eq!(scene.pool.troubles(), Vec::<String>::new(), "rigs go on mining");
    scene.wallet.is_away = false;
    scene.wallet.faults.clear();
    scene.advance(600 * SECOND);
    assert_eq!(states(&scene), ["sent"]);
}

fn rpc(scene: &mut Scene, method: &str, params: Value) -> Result<Value, (i64, String)> {
    let mut site = site(&mut scene.pool, &scene.disk, scene.now, true);
    let answer = methods::call(&mut site, method, params).map_err(|error| (error.code, error.message));
    assert_eq!(site.must_commit, method == "paybalances" && matches!(&answer, Ok(answer) if answer["pays"].is_null()));
    scene.advance(SECOND);
    answer
}

#[test]
fn an_operator_asks_first_pays_then_and_sees_every_state() {
    let mut scene = mature(spec(|_| {}));
    let plan = rpc(&mut scene, "paybalances", json!({ "dry_run": true })).unwrap();
    assert_eq!(plan["pays"][0], json!({ "address": address(2), "amount": "0.14062500" }));
    assert_eq!((&plan["total"], plan["left_out"].as_array().unwrap().len()), (&json!("0.28125000"), 0));
    assert_eq!(scene.wallet.calls, Vec::<String>::new(), "a dry run asks nobody");
    assert_eq!(rpc(&mut scene, "paybalances", json!([address(9)])).unwrap_err().0, -8);
    assert_eq!(rpc(&mut scene, "paybalances", json!(["nobody"])).unwrap_err().0, -32602);
    assert_eq!(rpc(&mut scene, "paybalances", json!([address(1)])).unwrap_err().0, -4);
    assert_eq!(rpc(&mut scene, "paybalances", json!([address(2)])).unwrap(), json!({ "payment": 1 }));

    let list = rpc(&mut scene, "getpayments", json!([])).unwrap();
    let txid = crate::wallet::txid(&scene.wallet.signed[0]);
    let output = json!({ "address": address(2), "amount": "0.14062500", "received": "0.14062500" });
    for (member, expected) in [
        ("payment", json!(1)),
        ("status", json!("sent")),
        ("wanted", json!([address(2)])),
        ("txid", json!(txid)),
        ("fee", json!("0.00002000")),
        ("amount", json!("0.14062500")),
        ("outputs", json!([output])),
        ("confirmations", json!(0)),
        ("state", json!("payment 1 is in no block yet")),
        ("trouble", Value::Null),
    ] {
        assert_eq!(list[0][member], expected, "{member}");
    }
    mine(&mut scene, "d", 2);
    let info = rpc(&mut scene, "getinfo", json!([])).unwrap();
    let wallet = &info["pools"][0]["chains"][0]["payments"];
    assert_eq!(wallet["state"], "payment 1 has 2 of 3 confirmations");
    assert_eq!(
        (&wallet["wallet"], &wallet["stuck"], &wallet["waiting"]),
        (&json!("http://wallet"), &json!(false), &json!(1))
    );
    mine(&mut scene, "e", 1);
    let list = rpc(&mut scene, "getpayments", json!([1])).unwrap();
    assert_eq!((&list[0]["status"], &list[0]["height"]), (&json!("settled"), &json!(1001)));
}

#[test]
fn a_ledger_that_was_put_back_pays_nothing_before_somebody_has_looked() {
    let scheduled = || spec(|payments| payments.every_ms = Some(HOUR));
    let mut scene = found(scheduled());
    scene.wallet.is_away = true;
    pass_blocks(&mut scene, "c", 100);
    scene.advance(120 * SECOND);
    assert_eq!(states(&scene), ["queued"]);
    // The copy was made now, and is what the pool starts from.
    scene.restart(scheduled(), SECOND);
    scene.pool.hold_payments("payments.held");
    scene.wallet.is_away = false;
    scene.advance(3 * HOUR);
    assert_eq!((states(&scene), scene.wallet.sent.len()), (vec!["queued"], 0));
    let refused = pay(&mut scene, &[]).unwrap_err();
    assert!(refused.to_string().contains("payments.held"), "{refused}");
    assert!(scene.pool.warnings(scene.now)[0].contains("payments.held"));
}

#[test]
fn a_payment_that_can_t_be_built_is_given_up_when_asked_and_the_next_one_goes_on() {
    let mut scene = mature(spec(|_| {}));
    scene.wallet.is_away = true;
    assert_eq!((pay(&mut scene, &[2]), pay(&mut scene, &[3])), (Ok(1), Ok(2)));
    assert_eq!(scene.pool.cancel_payment(0, 1, scene.now), Ok(()));
    scene.wallet.is_away = false;
    scene.advance(600 * SECOND);
    assert_eq!(states(&scene), ["dropped", "sent"]);
    let refused = scene.pool.cancel_payment(0, 2, scene.now).unwrap_err();
    assert!(refused.contains("only a queued one"), "{refused}");
    assert!(scene.pool.cancel_payment(0, 3, scene.now).is_err());
    mine(&mut scene, "d", CONFIRMATIONS);
    assert_eq!((account(&scene, 2), account(&scene, 3)), ((OWED as i64, 0, 0), (0, 0, OWED)));
    scene.restart(spec(|_| {}), SECOND);
    assert_eq!(states(&scene), ["dropped", "settled"]);
}
