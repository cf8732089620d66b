//! A wallet that answers anything: nothing panics, no deadline stands, and nothing is sent before it is written.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Results that fit some call, or none.
fn results() -> Vec<String> {
    let good = transaction(&COINS, &PAID, 0);
    let in_sync = json!({ "chain": "regtest", "blocks": 500, "headers": 500 });
    let behind = json!({ "chain": "regtest", "blocks": 5, "headers": 500, "initialblockdownload": true });
    let funded = format!("{{\"hex\":\"{good}\",\"fee\":0.0001,\"changepos\":2}}");
    let other = transaction(&COINS, &PAID[..1], 0);
    let misfunded = format!("{{\"hex\":\"{other}\",\"fee\":0.0001,\"changepos\":9223372036854775807}}");
    let mut results: Vec<String> = [
        in_sync,
        behind,
        json!({ "hex": good, "complete": true }),
        json!({ "confirmations": 3, "blockhash": "ab".repeat(32), "height": 501 }),
        json!({ "confirmations": i64::MIN, "height": u32::MAX }),
        json!(txid_of(&good)),
        json!("00".repeat(32)),
        json!("beef"),
        json!(true),
        json!(null),
        json!([]),
    ]
    .iter()
    .map(Value::to_string)
    .collect();
    results.extend([funded, misfunded, "2.5".into(), "1e999".into(), "-1".into()]);
    results
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_answers_are_survived(steps in prop::collection::vec((0..40usize, -40..3i64, any::<bool>()), 1..120)) {
        let results = results();
        let mut bench = Bench::new(spec(), "litecoin");
        bench.payments.build(1, bench.now);
        let mut is_written = false;
        for (choice, code, fits) in steps {
            bench.advance(400_000);
            if let Some((_, method, _)) = bench.asked.clone() {
                prop_assert!(is_written || !["sendrawtransaction", "lockunspent"].contains(&method.as_str()));
                // As often as not the right answer, so that the end is reached.
                let fitting = match method.as_str() {
                    "getblockchaininfo" => 0,
                    "getbalance" => 13,
                    "createrawtransaction" => 7,
                    "fundrawtransaction" => 11,
                    "signrawtransactionwithwallet" => 2,
                    "sendrawtransaction" => 5,
                    _ => choice,
                };
                match results.get(if fits { fitting } else { choice }) {
                    Some(result) => bench.reply(&method, None, result, "null"),
                    None => bench.refuse(&method, code, "Insufficient funds: too small"),
                }
            }
            while let Some((_, event)) = bench.payments.poll_event() {
                match event {
                    PaymentEvent::PlanWanted { funds } => {
                        let planned = if funds > 71_000_000 { plan(&PAID[..2]) } else { Plan::default() };
                        bench.payments.handle_plan(planned, bench.now);
                    }
                    PaymentEvent::Signed(transfer) => {
                        prop_assert!(!is_written, "one payment is signed once");
                        prop_assert_eq!(transfer.outputs.len(), 2);
                        is_written = true;
                        bench.payments.handle_written(bench.now);
                    }
                    PaymentEvent::Judged(_) => {}
                }
            }
            if bench.payments.is_idle() {
                break;
            }
        }
    }
}
