//! From the disk to the end: sent again, settled, contested.

use serde_json::json;

use super::*;

/// After a restart the same bytes go out, whatever was known before.
#[track_caller]
fn resume(is_sent: bool, code: Option<i64>, is_news: bool) -> Bench {
    let signed = transaction(&COINS, &PAID, 1);
    let mut bench = Bench::resumed(&signed, is_sent);
    bench.refuse("lockunspent", -8, "Invalid parameter, expected unspent output");
    match code {
        None => bench.expect("sendrawtransaction", json!([signed]), &json!(txid_of(&signed)).to_string()),
        Some(code) => bench.refuse("sendrawtransaction", code, "refused"),
    }
    let sent = PaymentEvent::Judged(PaymentStatus::Sent);
    assert_eq!(bench.event(), is_news.then_some(sent));
    bench
}

#[test]
fn after_a_restart_the_same_bytes_are_sent_again() {
    resume(false, None, true);
    resume(true, None, false);
    resume(false, Some(-27), true);
    resume(false, Some(-25), false);
    resume(false, Some(-26), false);
    resume(true, Some(-28), false);
}

#[test]
fn nothing_is_judged_while_the_node_is_not_in_sync() {
    let mut bench = resume(false, Some(-25), false);
    let behind = json!({ "chain": "regtest", "blocks": 10, "headers": 500, "initialblockdownload": true });
    for _ in 0..20 {
        bench.expect("getblockchaininfo", json!([]), &behind.to_string());
        assert!(bench.trouble().contains("catching up: block 10 of 500"));
        bench.advance(400_000);
    }
    let elsewhere = json!({ "chain": "main", "blocks": 10, "headers": 10 });
    bench.expect("getblockchaininfo", json!([]), &elsewhere.to_string());
    assert!(bench.trouble().contains("is on main"));
    assert_eq!(bench.event(), None);
}

/// What the node says of the first input, and the wallet of the transaction that made it.
type FirstCoin = (&'static str, Option<i64>);

/// One round of a payment that is refused with this code; the second input is unspent.
fn contested_round(bench: &mut Bench, height: u32, code: i64, own: Option<i64>, coin: FirstCoin) {
    bench.in_sync(height);
    let found = |bench: &mut Bench, depth: Option<i64>| match depth {
        None => bench.refuse("gettransaction", -5, "Invalid or non-wallet transaction id"),
        Some(depth) => bench.reply("gettransaction", None, &json!({ "confirmations": depth }).to_string(), "null"),
    };
    found(bench, own);
    if bench.asked.as_ref().is_some_and(|(_, method, _)| method == "lockunspent") {
        bench.reply("lockunspent", None, "true", "null");
        bench.refuse("sendrawtransaction", code, "txn-mempool-conflict");
        bench.in_sync(height);
        found(bench, own);
    }
    bench.expect("gettxout", json!(["aa".repeat(32), 1, false]), coin.0);
    if coin.0 == "null" {
        found(bench, coin.1);
    }
    bench.expect("gettxout", json!(["bb".repeat(32), 0, false]), "{}");
}

#[track_caller]
fn contested(code: i64, own: Option<i64>, coin: FirstCoin, conflict_after: Option<u32>) {
    let mut bench = resume(true, Some(code), false);
    let mut ended = None;
    for block in 0..30 {
        contested_round(&mut bench, TIP + block, code, own, coin);
        match bench.event() {
            None => assert!(bench.trouble().contains("txn-mempool") || block == 0, "{}", bench.trouble()),
            Some(PaymentEvent::Judged(PaymentStatus::Conflicted(_))) => {
                // What the conflict left of the inputs is the wallet's again.
                bench.reply("lockunspent", None, "true", "null");
                assert!(bench.payments.is_idle());
                ended = Some(block);
                break;
            }
            other => panic!("{other:?}"),
        }
        bench.payments.handle_tip([block as u8 + 1; 32], bench.now);
    }
    assert_eq!(ended, conflict_after);
}

#[test]
fn only_a_coin_proven_to_be_spent_otherwise_frees_the_balances() {
    // Spent in the chain, under as many blocks as settle a payment.
    contested(-26, Some(0), ("null", Some(7)), Some(3));
    contested(-25, None, ("null", Some(7)), Some(3));
    // The wallet itself says so.
    contested(-26, Some(-3), ("{}", None), Some(0));
    contested(-26, Some(-2), ("{}", None), None);
    // Ambiguous: the coin is there, or nobody knows where it came from.
    contested(-25, None, ("{}", None), None);
    contested(-25, None, ("null", None), None);
    contested(-25, None, ("null", Some(0)), None);
    // Any other refusal proves nothing.
    contested(-22, Some(-9), ("null", Some(7)), None);
}

#[test]
fn a_payment_in_the_chain_that_the_wallet_does_not_know_is_not_given_up() {
    let mut bench = resume(true, Some(-27), false);
    bench.in_sync(TIP);
    bench.refuse("gettransaction", -5, "Invalid or non-wallet transaction id");
    assert_eq!((bench.event(), bench.asked.take()), (None, None));
    assert!(bench.trouble().contains("is it the same wallet?"));
}

/// Our transaction is excluded for good, and this rival of it is in the chain.
fn with_rival(rival: &str) -> Bench {
    let mut bench = resume(true, Some(-25), false);
    bench.in_sync(TIP);
    let own = json!({ "confirmations": -3, "walletconflicts": [txid_of(rival)] });
    bench.reply("gettransaction", None, &own.to_string(), "null");
    bench.expect("gettxout", json!(["aa".repeat(32), 1, false]), "{}");
    bench.expect("gettxout", json!(["bb".repeat(32), 0, false]), "{}");
    let found = json!({ "confirmations": 3, "blockhash": "cc".repeat(32), "hex": rival });
    bench.expect("gettransaction", json!([txid_of(rival)]), &found.to_string());
    bench
}

#[test]
fn a_payment_that_was_mined_under_another_id_is_settled_and_not_paid_again() {
    // The same inputs and outputs, signed otherwise: legacy inputs give it another id.
    let other_id = transaction(&[(0xdd, 1)], &PAID, 2);
    let mut bench = with_rival(&other_id);
    assert_eq!(bench.event(), None);
    bench.expect("getblockheader", json!(["cc".repeat(32)]), &json!({ "confirmations": 3, "height": 498 }).to_string());
    let settled = PaymentStatus::Settled { height: 498, block: [0xcc; 32] };
    assert_eq!(bench.event(), Some(PaymentEvent::Judged(settled)));
}

#[test]
fn a_rival_that_pays_some_of_the_same_keeps_the_balances_held() {
    let (miner, amount) = PAID[0];
    let mut bench = with_rival(&transaction(&COINS, &[(miner, amount - 1)], 3));
    assert_eq!(bench.event(), None);
    assert!(bench.trouble().contains("pays some of the same"), "{}", bench.trouble());
}

#[test]
fn a_rival_that_pays_somebody_else_frees_the_balances() {
    let mut bench = with_rival(&transaction(&COINS, &[(99, 1_000)], 3));
    assert!(matches!(bench.event(), Some(PaymentEvent::Judged(PaymentStatus::Conflicted(_)))));
}
