//! The machine against a scripted wallet: each test says every call that may come, and its answer.

mod hostile;
mod watch;

use serde_json::{Value, json};

use super::*;
use crate::base::display_hash;
use crate::coin::params::coin;
use crate::coin::script::Script;
use crate::coin::transaction::Transaction;
use crate::pool::record::MinerId;
use crate::pool::spec::{FeeFrom, NodeSpec};

const TIP: u32 = 500;

fn spec() -> PaymentsSpec {
    PaymentsSpec {
        wallet: NodeSpec { url: "http://w".into(), authority: "w:1".into(), path: "/wallet/pool".into() },
        every_ms: None,
        threshold: 100_000,
        max_outputs: 10,
        confirmations: 3,
        fee_from: FeeFrom::Pool,
        fee_rate: None,
        max_fee: 10_000,
    }
}

fn script(miner: MinerId) -> Script {
    Script::p2pkh(&[miner as u8; 20])
}

fn plan(amounts: &[(MinerId, u64)]) -> Plan {
    let planned = |(miner, amount): &(MinerId, u64)| Planned {
        miner: *miner,
        script: script(*miner),
        address: format!("addr{miner}"),
        amount: *amount,
    };
    Plan { outputs: amounts.iter().map(planned).collect(), left_out: Vec::new() }
}

/// A transaction with a witness, as a wallet would give it; `signature` stands for everything that signing adds.
fn transaction(inputs: &[(u8, u32)], outputs: &[(MinerId, u64)], signature: u8) -> String {
    let mut out = "020000000001".to_string() + &format!("{:02x}", inputs.len());
    for (txid, vout) in inputs {
        out += &format!("{}{}00ffffffff", hex::encode([*txid; 32]), hex::encode(vout.to_le_bytes()));
    }
    out += &format!("{:02x}", outputs.len());
    for (miner, amount) in outputs {
        out += &format!("{}19{}", hex::encode(amount.to_le_bytes()), hex::encode(script(*miner).as_bytes()));
    }
    for _ in inputs {
        out += &format!("0101{signature:02x}");
    }
    out + "00000000"
}

fn txid_of(hex: &str) -> String {
    display_hash(&Transaction::parse(&hex::decode(hex).unwrap()).unwrap().txid)
}

struct Bench {
    payments: Payments,
    now: Now,
    /// The call that waits for its answer.
    asked: Option<(Value, String, Value)>,
    credentials_read: usize,
    is_refusing: bool,
}

impl Bench {
    fn new(spec: PaymentsSpec, coin_name: &str) -> Bench {
        let now = Now { mono_ms: 0, wall_ms: 0 };
        let coin = coin(coin_name).unwrap();
        let payments = Payments::new(spec, coin, coin.network("regtest").unwrap(), 7, now);
        Bench { payments, now, asked: None, credentials_read: 0, is_refusing: false }
    }

    /// A payment to miners 1 and 2 that is about to be planned.
    fn planning(spec: PaymentsSpec) -> Bench {
        Bench::planning_on(spec, "litecoin")
    }

    fn planning_on(spec: PaymentsSpec, coin_name: &str) -> Bench {
        let mut bench = Bench::new(spec, coin_name);
        bench.payments.build(1, bench.now);
        bench.in_sync(TIP);
        bench.expect("getbalance", json!([]), "2.5");
        bench
    }

    /// A payment that was written before the daemon was started.
    fn resumed(hex: &str, is_sent: bool) -> Bench {
        let mut bench = Bench::new(spec(), "litecoin");
        let read = Transaction::parse(&hex::decode(hex).unwrap()).unwrap();
        let inputs = read.inputs.iter().map(|coin| OutPoint { txid: coin.txid, vout: coin.vout }).collect();
        bench.payments.watch(1, read.txid, hex::decode(hex).unwrap().into(), inputs, is_sent, bench.now);
        bench
    }

    fn pump(&mut self) {
        while let Some(action) = self.payments.poll_action() {
            match action {
                LinkAction::ReadCredentials => {
                    self.credentials_read += 1;
                    self.payments.handle_credentials(Ok(Some("Basic x".into())), self.now);
                }
                LinkAction::Connect(_) if self.is_refusing => self.payments.handle_closed("refused", self.now),
                LinkAction::Connect(_) => self.payments.handle_connected(self.now),
                LinkAction::Close(_) => self.asked = None,
                LinkAction::Send(_, bytes) => {
                    let text = String::from_utf8(bytes).unwrap();
                    let (head, body) = text.split_once("\r\n\r\n").unwrap();
                    assert!(head.starts_with("POST /wallet/pool "), "{head}");
                    let call: Value = serde_json::from_str(body).unwrap();
                    assert!(self.asked.is_none(), "one call at a time");
                    self.asked =
                        Some((call["id"].clone(), call["method"].as_str().unwrap().into(), call["params"].clone()));
                }
            }
        }
    }

    fn advance(&mut self, by_ms: u64) {
        let end = self.now.mono_ms + by_ms;
        self.pump();
        while self.asked.is_none() && self.payments.poll_timeout() <= end {
            let due = self.payments.poll_timeout().max(self.now.mono_ms);
            self.now.mono_ms = due;
            self.payments.handle_timeout(self.now);
            self.pump();
            assert!(self.asked.is_some() || self.payments.poll_timeout() > due, "a deadline comes again at once");
        }
        self.now.mono_ms = end;
    }

    fn reply(&mut self, method: &str, params: Option<Value>, result: &str, error: &str) {
        self.pump();
        let (id, asked, given) = self.asked.take().unwrap_or_else(|| panic!("{method} is not asked"));
        assert_eq!(asked, method);
        if let Some(params) = params {
            assert_eq!(given, params, "{method}");
        }
        let body = format!("{{\"result\":{result},\"error\":{error},\"id\":{id}}}");
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.payments.handle_bytes(response.as_bytes(), self.now);
        self.pump();
    }

    fn expect(&mut self, method: &str, params: Value, result: &str) {
        self.reply(method, Some(params), result, "null");
    }

    fn refuse(&mut self, method: &str, code: i64, message: &str) {
        self.reply(method, None, "null", &json!({ "code": code, "message": message }).to_string());
    }

    fn in_sync(&mut self, height: u32) {
        let info = json!({ "chain": "regtest", "blocks": height, "headers": height, "initialblockdownload": false });
        self.expect("getblockchaininfo", json!([]), &info.to_string());
    }

    fn event(&mut self) -> Option<PaymentEvent> {
        self.pump();
        self.payments.poll_event().map(|(payment, event)| {
            assert_eq!(payment, 1);
            event
        })
    }

    /// From the plan to what the wallet funded.
    fn fund(&mut self, planned: &Plan, funded: &str, fee: &str, changepos: i64) {
        assert_eq!(self.event(), Some(PaymentEvent::PlanWanted { funds: 249_990_000 }));
        self.payments.handle_plan(planned.clone(), self.now);
        self.reply("createrawtransaction", None, "\"00\"", "null");
        let answer = format!("{{\"hex\":\"{funded}\",\"fee\":{fee},\"changepos\":{changepos}}}");
        self.reply("fundrawtransaction", None, &answer, "null");
    }

    fn sign(&mut self, signed: &str, complete: bool) {
        let answer = json!({ "hex": signed, "complete": complete }).to_string();
        self.reply("signrawtransactionwithwallet", None, &answer, "null");
    }

    fn trouble(&self) -> String {
        self.payments.status(self.now).trouble.unwrap_or_default()
    }
}

const COINS: [(u8, u32); 2] = [(0xaa, 1), (0xbb, 0)];
const PAID: [(MinerId, u64); 3] = [(1, 70_000_000), (2, 300_000), (9, 5_000_000)];

#[test]
fn a_payment_is_built_signed_written_sent_and_settled() {
    let mut bench = Bench::planning(spec());
    let (funded, signed) = (transaction(&COINS, &PAID, 0), transaction(&COINS, &PAID, 1));
    assert_eq!(bench.event(), Some(PaymentEvent::PlanWanted { funds: 249_990_000 }));
    bench.payments.handle_plan(plan(&PAID[..2]), bench.now);
    bench.pump();
    let outputs = &bench.asked.as_ref().unwrap().2;
    assert_eq!(outputs.to_string(), r#"[[],{"addr1":"0.70000000","addr2":"0.00300000"}]"#);
    bench.reply("createrawtransaction", None, "\"beef\"", "null");
    let options = json!({ "changePosition": 2, "lockUnspents": false, "replaceable": false });
    let answer = format!("{{\"hex\":\"{funded}\",\"fee\":0.00004500,\"changepos\":2}}");
    bench.expect("fundrawtransaction", json!(["beef", options]), &answer);
    bench.expect(
        "signrawtransactionwithwallet",
        json!([funded]),
        &json!({ "hex": signed, "complete": true }).to_string(),
    );
    let Some(PaymentEvent::Signed(transfer)) = bench.event() else { panic!("it is signed") };
    assert_eq!(display_hash(&transfer.txid), txid_of(&signed));
    assert_eq!((hex::encode(&transfer.bytes), transfer.fee), (signed.clone(), 4_500));
    assert_eq!(transfer.inputs[0], OutPoint { txid: [0xaa; 32], vout: 1 });
    let outputs: Vec<_> = transfer.outputs.iter().map(|out| (out.miner, out.amount, out.received)).collect();
    assert_eq!(outputs, [(1, 70_000_000, 70_000_000), (2, 300_000, 300_000)]);

    // Nothing leaves before it is on disk, however long that takes.
    bench.advance(3_600_000);
    assert_eq!(bench.asked, None);
    bench.payments.handle_written(bench.now);
    let coins = json!([{ "txid": "aa".repeat(32), "vout": 1 }, { "txid": "bb".repeat(32), "vout": 0 }]);
    bench.expect("lockunspent", json!([false, coins]), "true");
    let txid = txid_of(&signed);
    bench.expect("sendrawtransaction", json!([signed]), &json!(txid).to_string());
    assert_eq!(bench.event(), Some(PaymentEvent::Judged(PaymentStatus::Sent)));
    bench.in_sync(TIP);
    bench.expect("gettransaction", json!([txid]), r#"{"confirmations":0}"#);
    assert_eq!((bench.asked.take(), bench.trouble()), (None, String::new()));

    let block = "ab".repeat(32);
    for (confirmations, header) in [(2, None), (3, Some(2)), (3, Some(3))] {
        bench.payments.handle_tip([confirmations as u8 + header.unwrap_or(0) as u8; 32], bench.now);
        bench.in_sync(TIP + 2);
        let found = json!({ "confirmations": confirmations, "blockhash": block });
        bench.expect("gettransaction", json!([txid]), &found.to_string());
        assert_eq!(bench.payments.status(bench.now).confirmations, Some(confirmations));
        if let Some(confirmations) = header {
            let header = json!({ "confirmations": confirmations, "height": 501 });
            bench.expect("getblockheader", json!([block]), &header.to_string());
        }
    }
    let settled = PaymentStatus::Settled { height: 501, block: [0xab; 32] };
    assert_eq!(bench.event(), Some(PaymentEvent::Judged(settled)));
    assert!(bench.payments.is_idle());
    assert_eq!(bench.payments.poll_timeout(), NEVER);
}

#[track_caller]
fn refused(funded: &str, fee: &str, changepos: i64, signed: Option<(&str, bool)>, word: &str) {
    let mut bench = Bench::planning(spec());
    bench.fund(&plan(&PAID[..2]), funded, fee, changepos);
    if let Some((signed, complete)) = signed {
        bench.sign(signed, complete);
    }
    assert_eq!(bench.event(), None);
    assert!(bench.trouble().contains(word), "{}", bench.trouble());
    assert_eq!(bench.asked, None);
    bench.advance(10_000);
    bench.in_sync(TIP);
}

#[test]
fn a_transaction_that_is_not_as_planned_is_refused_and_built_anew() {
    let good = transaction(&COINS, &PAID, 0);
    let with = |outputs: &[(MinerId, u64)]| transaction(&COINS, outputs, 0);
    refused(&good, "0.00010001", 2, None, "above max_fee");
    refused(&good, "0.0001", -1, None, "other outputs");
    refused(&good, "0.0001", 0, None, "other outputs");
    refused(&with(&PAID[..2]), "0.0001", 2, None, "other outputs");
    refused(&with(&PAID[..1]), "0.0001", -1, None, "other outputs");
    refused(&with(&[PAID[1], PAID[0], PAID[2]]), "0.0001", 2, None, "does not pay 0.70000000 to addr1");
    refused(&with(&[PAID[0], (2, 300_001), PAID[2]]), "0.0001", 2, None, "does not pay 0.00300000 to addr2");
    refused(&with(&[PAID[0], (2, 299_999), PAID[2]]), "0.0001", 2, None, "does not pay 0.00300000 to addr2");
    refused("0200000000000000000000", "0.0001", 2, None, "spends no coin");
    refused("020000000008", "0.0001", 2, None, "MWEB");
    refused("zz", "0.0001", 2, None, "not hexadecimal");
    refused(&good, "-0.0001", 2, None, "not a decimal number");
    refused(&good, "0.0001", 2, Some((&good, false)), "lacks keys");
    let other_coin = transaction(&[(0xaa, 1), (0xbb, 1)], &PAID, 1);
    refused(&good, "0.0001", 2, Some((&other_coin, true)), "not what was to be signed");
    let other_change = with(&[PAID[0], PAID[1], (8, 5_000_000)]);
    refused(&good, "0.0001", 2, Some((&other_change, true)), "not what was to be signed");
}

#[test]
fn receivers_bear_their_equal_part_of_the_fee_and_no_more() {
    let from_receivers = || PaymentsSpec { fee_from: FeeFrom::Receivers, fee_rate: Some(20_000), ..spec() };
    let case = |received: [u64; 2]| {
        let mut bench = Bench::planning(from_receivers());
        assert_eq!(bench.event(), Some(PaymentEvent::PlanWanted { funds: 250_000_000 }));
        bench.payments.handle_plan(plan(&PAID[..2]), bench.now);
        bench.reply("createrawtransaction", None, "\"beef\"", "null");
        let outputs = transaction(&COINS, &[(1, received[0]), (2, received[1]), PAID[2]], 0);
        let options = json!({
            "changePosition": 2, "lockUnspents": false, "replaceable": false, "subtractFeeFromOutputs": [0, 1],
            "feeRate": "0.00020000",
        });
        let answer = format!("{{\"hex\":\"{outputs}\",\"fee\":0.00004501,\"changepos\":2}}");
        bench.expect("fundrawtransaction", json!(["beef", options]), &answer);
        bench.asked.as_ref()?;
        bench.sign(&outputs, true);
        match bench.event() {
            Some(PaymentEvent::Signed(transfer)) => {
                Some(transfer.outputs.iter().map(|out| (out.amount, out.received)).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        }
    };
    let good = case([70_000_000 - 2_251, 300_000 - 2_250]);
    assert_eq!(good, Some(vec![(70_000_000, 69_997_749), (300_000, 297_750)]));
    assert_eq!(case([70_000_000 - 2_252, 300_000 - 2_249]), None);
    assert_eq!(case([70_000_001, 300_000 - 2_250]), None);
}

#[test]
fn dogecoin_is_asked_in_its_own_words() {
    let mut bench = Bench::new(spec(), "dogecoin");
    bench.payments.build(1, bench.now);
    bench.in_sync(TIP);
    bench.expect("getbalance", json!([]), "2.50000000");
    bench.event();
    bench.payments.handle_plan(plan(&PAID[..2]), bench.now);
    bench.reply("createrawtransaction", None, "\"beef\"", "null");
    let funded = transaction(&COINS, &PAID, 0);
    let answer = format!("{{\"hex\":\"{funded}\",\"fee\":0.00004500,\"changepos\":2}}");
    let options = json!({ "changePosition": 2, "lockUnspents": false });
    bench.expect("fundrawtransaction", json!(["beef", options]), &answer);
    bench.expect("signrawtransaction", json!([funded]), &json!({ "hex": funded, "complete": true }).to_string());
    assert!(matches!(bench.event(), Some(PaymentEvent::Signed(_))));
}

#[test]
fn a_wallet_on_another_base_signs_by_the_method_that_it_knows() {
    for (coin, [first, second]) in [
        ("dogecoin", ["signrawtransaction", "signrawtransactionwithwallet"]),
        ("litecoin", ["signrawtransactionwithwallet", "signrawtransaction"]),
    ] {
        for knows in [true, false] {
            let mut bench = Bench::planning_on(spec(), coin);
            let funded = transaction(&COINS, &PAID, 0);
            bench.fund(&plan(&PAID[..2]), &funded, "0.00004500", 2);
            bench.refuse(first, -32601, "Method not found");
            if knows {
                bench.expect(second, json!([funded]), &json!({ "hex": funded, "complete": true }).to_string());
                assert!(matches!(bench.event(), Some(PaymentEvent::Signed(_))), "{coin}");
            } else {
                bench.refuse(second, -32601, "Method not found");
                assert!(bench.trouble().contains("without a wallet"), "{}", bench.trouble());
            }
        }
    }
}

#[test]
fn whatever_keeps_the_wallet_from_paying_is_told_in_words_and_tried_again_later_each_time() {
    let mut bench = Bench::planning(spec());
    bench.fund(&plan(&PAID[..2]), &transaction(&COINS, &PAID, 0), "0.0001", 2);
    bench.refuse("signrawtransactionwithwallet", -13, "Please enter the wallet passphrase");
    assert!(bench.trouble().contains("(-13); unlock it with walletpassphrase"), "{}", bench.trouble());
    let mut waits = Vec::new();
    for _ in 0..10 {
        let before = bench.now.mono_ms;
        while bench.asked.is_none() {
            bench.advance(100);
        }
        waits.push(bench.now.mono_ms - before);
        bench.refuse("getblockchaininfo", -28, "Loading block index...");
    }
    assert!(waits.windows(2).take(6).all(|pair| pair[0] < pair[1]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= RETRY_MS.1 * 5 / 4 + 100), "{waits:?}");
    assert!(!bench.payments.status(bench.now).is_stuck());
    bench.advance(400_000);
    bench.refuse("getblockchaininfo", -18, "No wallet is loaded.");
    assert!(bench.trouble().contains("/wallet/NAME"));
    bench.is_refusing = true;
    bench.advance(400_000);
    let read = bench.credentials_read;
    bench.advance(1_000_000);
    assert!(bench.trouble().contains("can't connect: refused"), "{}", bench.trouble());
    assert!(bench.credentials_read > read, "a node has a new cookie at every start");
    bench.advance(STUCK_MS);
    assert!(bench.payments.status(bench.now).is_stuck());
}

#[test]
fn an_empty_plan_waits_for_money_or_ends_the_payment() {
    let mut bench = Bench::planning(spec());
    bench.event();
    let left_out = vec![LeftOut { miner: 1, owed: 5, why: Reason::Funds }];
    bench.payments.handle_plan(Plan { outputs: Vec::new(), left_out }, bench.now);
    assert!(bench.trouble().contains("not enough"));
    bench.advance(10_000);
    bench.in_sync(TIP);
    bench.expect("getbalance", json!([]), "0.00000000");
    assert_eq!(bench.event(), Some(PaymentEvent::PlanWanted { funds: 0 }));
    bench.payments.handle_plan(Plan::default(), bench.now);
    assert!(matches!(bench.event(), Some(PaymentEvent::Judged(PaymentStatus::Dropped(_)))));
    assert!(bench.payments.is_idle());
}

#[test]
fn an_output_too_small_for_its_fee_does_not_hold_back_the_others() {
    let mut bench = Bench::planning(spec());
    bench.event();
    bench.payments.handle_plan(plan(&PAID[..2]), bench.now);
    bench.reply("createrawtransaction", None, "\"beef\"", "null");
    bench.refuse("fundrawtransaction", -4, "The transaction amount is too small to pay the fee");
    bench.expect("createrawtransaction", json!([[], { "addr1": "0.70000000" }]), "\"beef\"");
    bench.refuse("fundrawtransaction", -4, "The transaction amount is too small to pay the fee");
    assert!(bench.trouble().contains("too small"));
}

#[test]
fn where_the_wallet_finds_less_than_its_balance_fewer_are_paid() {
    let mut bench = Bench::planning(spec());
    bench.event();
    bench.payments.handle_plan(plan(&PAID[..2]), bench.now);
    bench.reply("createrawtransaction", None, "\"beef\"", "null");
    bench.refuse("fundrawtransaction", -4, "Insufficient funds");
    assert_eq!(bench.event(), Some(PaymentEvent::PlanWanted { funds: 35_150_000 }));
    bench.payments.handle_plan(plan(&PAID[1..2]), bench.now);
    bench.expect("createrawtransaction", json!([[], { "addr2": "0.00300000" }]), "\"beef\"");
    bench.refuse("fundrawtransaction", -4, "Insufficient funds");
    assert_eq!(bench.event(), Some(PaymentEvent::PlanWanted { funds: 150_000 }));
    let left_out = vec![LeftOut { miner: 2, owed: 300_000, why: Reason::Funds }];
    bench.payments.handle_plan(Plan { outputs: Vec::new(), left_out }, bench.now);
    assert!(bench.trouble().starts_with("fundrawtransaction: Insufficient funds (-4); MWEB"), "{}", bench.trouble());
    bench.advance(10_000);
    bench.in_sync(TIP);
}

#[test]
fn a_payment_whose_balances_changed_is_built_anew_and_never_sent() {
    let mut bench = Bench::planning(spec());
    let good = transaction(&COINS, &PAID, 0);
    bench.fund(&plan(&PAID[..2]), &good, "0.0001", 2);
    bench.sign(&good, true);
    assert!(matches!(bench.event(), Some(PaymentEvent::Signed(_))));
    bench.payments.handle_refused("a balance has changed", bench.now);
    // That the disk is done concerns another payment now.
    bench.payments.handle_written(bench.now);
    bench.advance(10_000);
    bench.in_sync(TIP);
    bench.reply("getbalance", None, "1.0", "null");
}
