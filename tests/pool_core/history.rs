//! What a person sees of the money: histories, and proofs from which every split is redone by hand.

use edgepool::face::methods;
use edgepool::pool::record::{BlockFound, BlockJudged, BlockStatus, Entry, Payout, Recovered, Stamp};
use edgepool::pool::record::{PaymentJudged, PaymentOutput, PaymentQueued, PaymentSigned, PaymentStatus};
use edgepool::pool::{Pool, split};
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::node::block_hash;
use crate::rig::Want;
use crate::scene::{SECOND, Scene, TODAY, address, site, spec};

fn try_ask(pool: &mut Pool, disk: &Disk, method: &str, params: Value) -> Result<Value, (i64, String)> {
    let now = edgepool::base::time::Now { mono_ms: 0, wall_ms: TODAY };
    let mut site = site(pool, disk, now, false);
    methods::call(&mut site, method, params).map_err(|error| (error.code, error.message))
}

fn ask(scene: &mut Scene, method: &str, params: Value) -> Value {
    try_ask(&mut scene.pool, &scene.disk, method, params).unwrap()
}

/// Base units of an amount as RPC gives it.
fn units(amount: &Value) -> i128 {
    let text = amount.as_str().expect("amounts are strings");
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap();
    assert_eq!(fraction.len(), 8, "{text}");
    sign * (whole.to_string() + fraction).parse::<i128>().unwrap()
}

/// Redoes the payout rule of a block of any chain with nothing but what a proof says, as a person with a calculator would.
#[track_caller]
pub fn redo(proof: &Value) {
    let of = |section: &str, name: &str| units(&proof[section][name]);
    let value = of("parameters", "value");
    let fee = value * proof["parameters"]["fee_ppm"].as_i64().unwrap() as i128 / 1_000_000;
    assert_eq!((fee, value - fee), (of("parameters", "fee"), of("parameters", "distributable")));
    let miners = proof["contributions"].as_array().unwrap();
    assert_eq!(proof["contributions_total"], miners.len());
    let work = |miner: &Value| miner["work"].as_str().unwrap().parse::<i128>().unwrap();
    let total: i128 = miners.iter().map(work).sum();
    assert_eq!(proof["parameters"]["total_work"], total.to_string());
    let most = proof["parameters"]["max_outputs"].as_u64().unwrap() as usize - 1;
    let least = of("parameters", "min_payout");
    let dues: Vec<(i128, i128)> = miners
        .iter()
        .map(|miner| {
            let entitled = (value - fee) * work(miner) / total;
            (entitled, entitled + units(&miner["balance_before"]))
        })
        .collect();
    let is_payable = |index: usize| miners[index]["payable"] == true && dues[index].1 >= least;
    let is_chosen = |index: usize| index < most && is_payable(index);
    // What the chosen earned by this block comes first, older sums while the value lasts.
    let earned = |index: usize| dues[index].0.min(dues[index].1);
    let mut left = value - (0..dues.len()).filter(|index| is_chosen(*index)).map(earned).sum::<i128>();
    let mut outputs = Vec::new();
    for (index, (miner, (entitled, due))) in miners.iter().zip(&dues).enumerate() {
        assert_eq!((*entitled, *due), (units(&miner["entitled"]), units(&miner["due"])));
        assert_eq!(miner["rank"], if is_payable(index) { json!(index + 1) } else { Value::Null });
        let older = if is_chosen(index) { (due - earned(index)).min(left) } else { 0 };
        left -= older;
        let paid = if is_chosen(index) { earned(index) + older } else { 0 };
        assert_eq!((paid, due - paid), (units(&miner["paid"]), units(&miner["carried"])));
        if paid > 0 {
            outputs.push((miner["address"].clone(), paid));
        }
    }
    let in_order = |pair: &[Value]| {
        units(&pair[0]["due"]) >= units(&pair[1]["due"]) || pair[0]["payable"] == true && pair[1]["payable"] == false
    };
    assert!(miners.windows(2).all(in_order));
    let paid: i128 = outputs.iter().map(|(_, amount)| amount).sum();
    let entitled: i128 = miners.iter().map(|miner| units(&miner["entitled"])).sum();
    let sums = ["value", "entitled", "fee", "remainder", "paid", "carried", "pool_amount"].map(|name| of("sums", name));
    let expected = [value, entitled, fee, value - fee - entitled, paid, entitled - paid, value - paid];
    assert_eq!(sums, expected);
    let shown = proof["outputs"].as_array().unwrap();
    let (pool, miners) = shown.split_last().filter(|(last, _)| last["pool"] == true).unwrap_or((&Value::Null, shown));
    let miners: Vec<(Value, i128)> = miners.iter().map(|out| (out["address"].clone(), units(&out["amount"]))).collect();
    assert_eq!(miners, outputs);
    assert_eq!(if pool.is_null() { 0 } else { units(&pool["amount"]) }, value - paid);
}

#[test]
fn a_person_can_redo_every_split_from_its_proof() {
    let mut spec = spec(1);
    spec.chains[0].terms.min_payout = 30_000_000;
    let mut scene = Scene::start(spec.clone());
    let rigs = [1, 2, 3].map(|number| scene.rig(number));
    for (index, rig) in rigs.iter().enumerate() {
        for share in 0..[9, 4, 1][index] {
            scene.work(*rig, &format!("w{index}.{share}"), Want::Share);
        }
    }
    scene.advance(31 * SECOND);
    let mut hashes = Vec::new();
    for number in 0..3 {
        let (share, _) = scene.work(rigs[0], &format!("block{number}"), Want::Block);
        hashes.push(share.block_hash);
        scene.advance(31 * SECOND);
    }
    let blocks = ask(&mut scene, "getblocks", json!([]));
    let proofs: Vec<Value> = blocks
        .as_array()
        .unwrap()
        .iter()
        .map(|block| ask(&mut scene, "getpayoutproof", json!([block["height"]])))
        .collect();
    assert_eq!(proofs.len(), 3);
    proofs.iter().for_each(redo);
    let by_hash: Vec<Value> =
        hashes.iter().rev().map(|hash| ask(&mut scene, "getpayoutproof", json!([hash]))).collect();
    assert_eq!(by_hash, proofs);
    // The third miner's part is below the least until two blocks have brought it something.
    let smallest = |proof: &Value| {
        let list = proof["contributions"].as_array().unwrap().clone();
        list.into_iter().find(|miner| miner["address"] == address(3)).unwrap()
    };
    assert_eq!(smallest(&proofs[2])["balance_before"], "0.00000000");
    assert_ne!(smallest(&proofs[1])["balance_before"], "0.00000000");

    // Long after, its parts are in the journal alone; the answer is the same but for the block's state.
    for number in 0..150 {
        scene.new_tip(0, &format!("{:064x}", 0x1000 + number));
        scene.advance(2 * SECOND);
    }
    scene.advance(60 * SECOND);
    let later = ask(&mut scene, "getpayoutproof", json!([hashes[0]]));
    assert_eq!((&later["status"], &later["final"]), (&json!("confirmed"), &json!(true)));
    redo(&later);
    for part in ["contributions", "outputs", "sums", "parameters"] {
        assert_eq!(later[part], proofs[2][part]);
    }
    let page = ask(&mut scene, "getpayoutproof", json!([hashes[0], 1, 1]));
    assert_eq!(page["contributions"], json!([later["contributions"][1]]));
}

#[test]
fn what_was_never_found_has_no_proof() {
    let mut scene = Scene::start(spec(1));
    for (name, code) in [(json!("00".repeat(32)), -8), (json!(7), -8), (json!("seven"), -32602), (Value::Null, -32602)]
    {
        let (found, message) = try_ask(&mut scene.pool, &scene.disk, "getpayoutproof", json!([name])).unwrap_err();
        assert_eq!(found, code, "{name}: {message}");
    }
    let (code, _) = try_ask(&mut scene.pool, &scene.disk, "getpayouthistory", json!([address(9)])).unwrap_err();
    assert_eq!(code, -8);
}

#[test]
fn an_orphan_stays_in_the_history_as_one_and_takes_its_sums_back() {
    let mut scene = Scene::start(spec(1));
    let rig = scene.rig(1);
    scene.work(rig, "w", Want::Share);
    scene.advance(31 * SECOND);
    scene.work(rig, "block", Want::Block);
    let height = scene.nodes[0].height() - 1;
    let history = ask(&mut scene, "getpayouthistory", json!([address(1)]));
    let line = &history[0];
    assert_eq!(
        (&line["kind"], &line["state"], &line["amount"]),
        (&json!("coinbase"), &json!("pending"), &json!("3.09375000"))
    );
    assert_eq!(line["block"], block_hash(&scene.nodes[0].submitted[0]));
    let stats = ask(&mut scene, "getminerstats", json!([address(1)]));
    assert_eq!((&stats["pending"], &stats["paid_total"]), (&json!("3.09375000"), &json!("3.09375000")));
    assert_eq!(stats["payouts"], history);

    let branch: Vec<String> = (0..3).map(|number| format!("{:064x}", 0x2000 + number)).collect();
    scene.reorganise(0, height, &branch);
    scene.advance(60 * SECOND);
    let blocks = ask(&mut scene, "getblocks", json!([]));
    assert_eq!((&blocks[0]["status"], &blocks[0]["counts"]), (&json!("orphaned"), &json!(false)));
    assert_eq!(blocks[0]["confirmations"], 0);
    let history = ask(&mut scene, "getpayouthistory", json!([]));
    assert_eq!((history.as_array().unwrap().len(), &history[0]["state"]), (1, &json!("orphaned")));
    let stats = ask(&mut scene, "getminerstats", json!([address(1)]));
    assert_eq!((&stats["pending"], &stats["paid_total"]), (&json!("0.00000000"), &json!("0.00000000")));
    let balances = ask(&mut scene, "getbalances", json!([]));
    assert_eq!((&balances["conserved"], &balances["coinbase_total"]), (&json!(true), &json!("0.00000000")));
    assert_eq!(balances["journal_seq"], scene.disk.journal.len());
}

/// A pool of `miners` with one block and a payment from the wallet, as it comes back from a disk.
fn large(miners: u32) -> (Pool, Disk) {
    let scripts: Vec<_> = (0..miners)
        .map(|miner| {
            edgepool::coin::script::Script::witness(0, &[[7; 28].as_slice(), &miner.to_be_bytes()].concat()).unwrap()
        })
        .collect();
    let claims: Vec<split::Claim> = (0..miners)
        .map(|miner| split::Claim {
            miner,
            script: Some(&scripts[miner as usize]),
            work: u64::MAX / 5_000 + u64::from(miner),
            balance: 0,
        })
        .collect();
    let spec = spec(1);
    let split = split::split(1 << 40, &spec.chains[0].terms, &claims);
    let at = Stamp { pool_ms: TODAY, wall_ms: TODAY };
    let payouts = split.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect();
    let found = BlockFound {
        chain: 0,
        hash: [5; 32],
        height: 10,
        at,
        job_at: at,
        finder: 0,
        worker: "rig".into(),
        network_difficulty: 1,
        total_work: u128::MAX,
        value: split.value,
        fee_ppm: 10_000,
        min_payout: 100_000,
        max_outputs: 10,
        pool_script: vec![1],
        pool_amount: split.pool_amount,
        outputs: payouts,
        parts: split.parts.clone(),
        rebuilt: false,
    };
    let judged = |status, is_final| Entry::BlockJudged(BlockJudged { chain: 0, hash: [5; 32], at, status, is_final });
    let queued = PaymentQueued { chain: 0, payment: 1, at, wanted: vec![20], threshold: 0, is_scheduled: false };
    let output = PaymentOutput { miner: 20, amount: 1_000, received: 900 };
    let signed = PaymentSigned {
        chain: 0,
        payment: 1,
        at,
        txid: [6; 32],
        bytes: vec![1],
        inputs: Vec::new(),
        outputs: vec![output],
        fee: 100,
    };
    let settled = PaymentStatus::Settled { height: 200, block: [8; 32] };
    let entries = [
        Entry::BlockFound(Box::new(found)),
        judged(BlockStatus::Accepted, false),
        judged(BlockStatus::Confirmed, true),
        Entry::PaymentQueued(queued.clone()),
        Entry::PaymentSigned(Box::new(signed)),
        Entry::PaymentJudged(PaymentJudged { chain: 0, payment: 1, at, status: settled }),
        Entry::PaymentQueued(PaymentQueued { payment: 2, wanted: vec![20, 21], ..queued }),
    ];
    let mut disk = Disk::default();
    disk.journal = (1..).zip(entries).collect();
    let miners = (0..).zip(scripts.iter().map(|script| script.as_bytes().to_vec())).collect();
    let recovered = Recovered { miners, ..Recovered::default() };
    let now = edgepool::base::time::Now { mono_ms: 0, wall_ms: TODAY };
    (Pool::new(spec, recovered, &disk, 1, now).unwrap(), disk)
}

#[test]
fn the_proof_of_a_thousand_miners_and_the_largest_list_fit_what_may_wait_for_a_client() {
    let bound = edgepool::base::limits::RPC_BACKLOG;
    let (mut pool, disk) = large(1_000);
    let proof = try_ask(&mut pool, &disk, "getpayoutproof", json!([10])).unwrap();
    redo(&proof);
    assert!(proof.to_string().len() < bound / 4, "{}", proof.to_string().len());
    let (mut pool, disk) = large(6_000);
    for (method, params) in [("getpayoutproof", json!([10])), ("getbalances", json!([]))] {
        let length = try_ask(&mut pool, &disk, method, params).unwrap().to_string().len();
        assert!((bound / 5..bound).contains(&length), "{method}: {length}");
    }
}

#[test]
fn coinbases_and_payments_are_one_history() {
    let (mut pool, disk) = large(30);
    let text = |miner: u32| pool.chains()[0].spec.address_text(pool.miners().script(miner).unwrap());
    let (paid, waiting, largest) = (text(20), text(21), text(0));
    let mut of = |address: &str| try_ask(&mut pool, &disk, "getpayouthistory", json!([address])).unwrap();
    let lines = of(&paid);
    let states: Vec<&Value> = lines.as_array().unwrap().iter().map(|line| &line["state"]).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&&json!("settled")) && states.contains(&&json!("queued")));
    let settled = lines.as_array().unwrap().iter().find(|line| line["state"] == "settled").unwrap();
    assert_eq!(settled["txid"], "06".repeat(32));
    assert_eq!((&settled["amount"], &settled["taken_off_balance"]), (&json!("0.00000900"), &json!("0.00001000")));
    assert_eq!((&settled["height"], &settled["kind"]), (&json!(200), &json!("transaction")));
    assert_eq!(of(&waiting)[0]["state"], "queued");
    assert_eq!((&of(&largest)[0]["state"], &of(&largest)[0]["kind"]), (&json!("confirmed"), &json!("coinbase")));
    let all = try_ask(&mut pool, &disk, "getpayouthistory", json!([])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 9 + 1 + 2);
    let page = try_ask(&mut pool, &disk, "getpayouthistory", json!([null, 3, 2])).unwrap();
    assert_eq!(page.as_array().unwrap(), &all.as_array().unwrap()[2..5]);
    // The law in numbers: 9 of 30 were paid by the coinbase, the rest is owed but for the payment.
    let balances = try_ask(&mut pool, &disk, "getbalances", json!([])).unwrap();
    let of = |name: &str| units(&balances[name]);
    assert_eq!(of("coinbase_total"), 1 << 40);
    assert_eq!(of("payment_fees_total"), 100);
    let parts = ["paid_total", "owed_total", "fees_and_remainders_total", "payment_fees_total"].map(of);
    assert_eq!(parts.iter().sum::<i128>(), 1 << 40);
    assert_eq!(balances["journal_seq"], 7);
    let line = balances["balances"].as_array().unwrap().iter().find(|line| line["miner"] == 20).unwrap();
    assert_eq!((&line["balance"], &line["paid"]), (&line["matured"], &json!("0.00000900")));
    assert_eq!(line["payable"], line["balance"]);
}

#[test]
fn points_of_a_graph_hold_every_share_of_the_window_in_its_slot() {
    let mut scene = Scene::start(spec(1));
    let rigs = [1, 2].map(|number| scene.rig(number));
    scene.work(rigs[0], "a", Want::Share);
    scene.work(rigs[0], "b", Want::Share);
    scene.work(rigs[1], "c", Want::Share);
    scene.advance(2 * 3_600 * SECOND);
    let rig = scene.rig(1);
    scene.work(rig, "d", Want::Share);
    let now = scene.now;
    let mut of = |params: Value| {
        let mut site = site(&mut scene.pool, &scene.disk, now, false);
        methods::call(&mut site, "gethistory", params).map_err(|error| error.code)
    };
    let busy = |points: &Value| -> Vec<(u64, u64)> {
        let points = points.as_array().unwrap().iter().filter(|point| point["accepted"] != 0);
        points.map(|point| (point["accepted"].as_u64().unwrap(), point["miners"].as_u64().unwrap())).collect()
    };
    let all = of(json!([])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 288);
    assert_eq!(busy(&all), [(3, 2), (1, 1)]);
    assert_eq!(busy(&of(json!([address(1)])).unwrap()), [(2, 1), (1, 1)]);
    assert_eq!(busy(&of(json!([address(2), 1])).unwrap()), []);
    assert_eq!(of(json!([null, 1])).unwrap().as_array().unwrap().len(), 12);
    assert_eq!(of(json!([address(7)])), Err(-8));
    let times: Vec<u64> = all.as_array().unwrap().iter().map(|point| point["time"].as_u64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 300));
    let first = all.as_array().unwrap().iter().find(|point| point["accepted"] == 3).unwrap();
    // Three shares of one hash each in five minutes.
    assert_eq!(first["hashrate"], 0.01);
}
