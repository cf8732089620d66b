//! The status port of the real binary, with the demo's chain for a node: methods, errors, the admin token, and
//! what it does with clients that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use edgepool::shell::demo::chain::{Chain, ChainSpec};
use edgepool::shell::demo::node::EmbeddedNode;
use serde_json::{Value, json};

use crate::miner::Miner;
use crate::place::wait_for;
use crate::pool::Pool;

/// Regtest addresses: the pool's, a miner's, another.
const POOL: &str = "mmjv2METU5E68VeWKkKzgx9oVo4thkSw5x";
const MINER: &str = "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr";
const OTHER: &str = "mh5CE8Nbj38iND267s4XnvhSmhDW7yWc6Q";

/// A pool on a chain that nobody solves.
fn pool() -> (EmbeddedNode, Pool) {
    let chain =
        Chain::new(ChainSpec { block_interval_s: 1, start_hashes: 1 << 40, ..ChainSpec::litecoin() }, 1_800_000_000);
    let node = EmbeddedNode::start(chain, "user:secret").unwrap();
    let pool = Pool::start_with(&[], POOL, |entry| {
        entry["nodes"] = json!([{"url": format!("http://{}", node.addr()), "user": "user", "password": "secret"}]);
    });
    (node, pool)
}

/// Status code and body of a request as it is written here.
fn raw(pool: &Pool, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", pool.rpc_port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The pool may refuse before everything is sent.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0), body.to_owned())
}

fn post(pool: &Pool, body: &str) -> (u16, String) {
    let length = body.len();
    raw(pool, &format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"))
}

fn get(pool: &Pool, path: &str) -> (u16, String) {
    raw(pool, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

#[test]
fn every_method_of_the_help_answers() {
    let (_node, pool) = pool();
    let mut miner = Miner::at_work(pool.stratum_port, &format!("{MINER}.rig1"), "x");
    let share = miner.mine(crate::miner::Want::Share);
    assert_eq!(miner.submit(&share), Ok(true));

    let help = pool.ask("help", json!([]));
    let methods: Vec<&str> = help.as_str().unwrap().lines().map(|line| line.split(' ').next().unwrap()).collect();
    for wanted in [
        "getinfo",
        "getpayoutinfo",
        "getminerstats",
        "getblocks",
        "getbalances",
        "getpayouthistory",
        "getpayoutproof",
        "gethistory",
        "validateaddress",
        "listpools",
        "setpoolfee",
        "setpooladdress",
        "setminpayout",
        "showmessage",
        "reconnectminers",
        "listbanned",
        "unban",
        "uptime",
        "help",
        "stop",
    ] {
        assert!(methods.contains(&wanted), "help lists {wanted}");
    }
    let acts = ["paybalances", "cancelpayment", "showmessage", "reconnectminers", "unban", "stop"];
    let changes = |method: &str| method.starts_with("set") || acts.contains(&method);
    // There is no block to prove yet.
    for method in methods.into_iter().filter(|method| !changes(method) && *method != "getpayoutproof") {
        let params = if method == "validateaddress" { json!([MINER]) } else { json!([]) };
        pool.ask(method, params);
    }

    let info = pool.ask("getinfo", json!([]));
    let node = &info["pools"][0]["chains"][0]["nodes"][0];
    for field in ["url", "state", "height", "headers", "verification_progress", "peers", "last_template_age_s"] {
        assert!(!node[field].is_null(), "{field} in {node}");
    }
    let stats = pool.ask("getminerstats", json!([MINER]));
    let worker = &stats["workers"][0];
    assert_eq!((worker["worker"].as_str(), worker["accepted"].as_u64()), (Some("rig1"), Some(1)), "{stats}");
    assert!(pool.ask("getminerstats", json!([]))["miners"].as_array().unwrap().len() == 1);
    let valid = pool.ask("validateaddress", json!([MINER]));
    assert_eq!((valid["isvalid"].as_bool(), valid["type"].as_str()), (Some(true), Some("p2wpkh")));
    let invalid = pool.ask("validateaddress", json!(["ltc1qqypqxpq9qcrsszg2pvxq6rs0zqg3yyc5dyg36p"]));
    assert_eq!(invalid["isvalid"], false);
    assert!(invalid["error"].as_str().unwrap().contains("mainnet"), "{invalid}");
}

#[test]
fn errors_have_the_codes_that_programs_expect() {
    let (_node, pool) = pool();
    let code = |body: &str| {
        let answer: Value = serde_json::from_str(&post(&pool, body).1).unwrap();
        answer["error"]["code"].as_i64().unwrap_or(0)
    };
    assert_eq!(code("{"), -32700);
    assert_eq!(code("[]"), -32600);
    assert_eq!(code(r#"{"id":1}"#), -32600);
    assert_eq!(code(r#"{"id":1,"method":"nosuch"}"#), -32601);
    assert_eq!(code(r#"{"id":1,"method":"getblocks","params":["many"]}"#), -32602);
    assert_eq!(code(r#"{"id":1,"method":"getblocks","params":{"pool":"nosuch"}}"#), -32602);
    assert_eq!(code(r#"{"id":1,"method":"getminerstats","params":["nonsense"]}"#), -32602);
    assert_eq!(code(&format!(r#"{{"id":1,"method":"getminerstats","params":["{OTHER}"]}}"#)), -8);
    assert_eq!(code(r#"{"id":1,"method":"stop"}"#), -32001);
    assert_eq!(post(&pool, r#"{"id":1,"method":"stop"}"#).0, 401);

    let (status, body) = post(&pool, r#"[{"id":"a","method":"uptime"},{"jsonrpc":"2.0","id":2,"method":"nosuch"}]"#);
    let answers: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, answers[0]["id"].as_str(), answers[1]["error"]["code"].as_i64()),
        (200, Some("a"), Some(-32601))
    );
}

#[test]
fn terms_change_with_the_token_at_once_and_for_good() {
    let (_node, mut pool) = pool();
    let token = pool.token_file();
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(pool.rpc("setpoolfee", json!(["2.5"])), Err((-32001, _))));
    for (method, value) in
        [("setpoolfee", "101"), ("setpoolfee", "x"), ("setminpayout", "-1"), ("setpooladdress", "ltc1x")]
    {
        assert!(matches!(pool.rpc_as_admin(method, json!([value])), Err((-32602, _))), "{method} {value}");
    }
    pool.rpc_as_admin("setpoolfee", json!(["2.5"])).unwrap();
    pool.rpc_as_admin("setminpayout", json!(["0.25"])).unwrap();
    pool.rpc_as_admin("setpooladdress", json!([OTHER])).unwrap();
    // No graceful end: what was answered is on disk.
    pool.kill();
    pool.restart();
    let info = pool.ask("getpayoutinfo", json!([]));
    assert_eq!(info["pool_fee_percent"], "2.5");
    assert_eq!(info["min_payout"], "0.25000000");
    assert_eq!(info["pool_address"], OTHER);
}

#[test]
fn rigs_are_shown_a_text_and_asked_to_connect_again() {
    let (_node, pool) = pool();
    let _miner = Miner::at_work(pool.stratum_port, &format!("{MINER}.rig1"), "x");
    assert!(matches!(pool.rpc("reconnectminers", json!([])), Err((-32001, _))));
    assert!(matches!(pool.rpc_as_admin("showmessage", json!([" "])), Err((-32602, _))));
    assert!(matches!(pool.rpc_as_admin("showmessage", json!(["a\nb"])), Err((-32602, _))));
    assert!(matches!(pool.rpc_as_admin("showmessage", json!(["a", OTHER])), Err((-8, _))));
    assert_eq!(pool.rpc_as_admin("showmessage", json!(["Maintenance at noon"])).unwrap()["rigs"], 1);
    assert_eq!(pool.rpc_as_admin("reconnectminers", json!([MINER])).unwrap()["rigs"], 1);
}

#[test]
fn stop_ends_the_daemon_with_success() {
    let (_node, mut pool) = pool();
    pool.rpc_as_admin("stop", json!([])).unwrap();
    assert!(pool.wait_for_end().success());
}

#[test]
fn pages_for_people_and_machines_are_there() {
    let (_node, pool) = pool();
    let (status, page) = get(&pool, "/");
    assert!(status == 200 && page.contains("<title>edgepool</title>"));
    let (status, metrics) = get(&pool, "/metrics");
    assert_eq!(status, 200);
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(line.starts_with("edgepool_") && value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(metrics.contains("edgepool_connections{pool=\"ltc\"} 0"));
    assert_eq!(get(&pool, "/health").0, 200);
    assert_eq!(get(&pool, "/nosuch").0, 404);
    assert_eq!(raw(&pool, "DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").0, 405);
}

#[test]
fn a_rig_at_the_status_port_is_told_so_at_once() {
    let (_node, pool) = pool();
    let mut stream = TcpStream::connect(("127.0.0.1", pool.rpc_port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"], json!([20, "This is the status port: stratum is on another one", null]));
}

#[test]
fn clients_that_misbehave_are_sent_away_and_others_are_served() {
    let (_node, pool) = pool();
    assert_eq!(raw(&pool, "garbage\r\n\r\n").0, 400);
    assert_eq!(raw(&pool, "\x16\x03\x01").0, 400);
    let large = "x".repeat(100_000);
    assert_eq!(post(&pool, &large).0, 413);
    assert_eq!(raw(&pool, &format!("GET /{large} HTTP/1.1\r\n")).0, 431);

    // More than may connect, each sending a request that never ends.
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", pool.rpc_port)).unwrap();
        let _ = stream.write_all(b"POST / HTTP/1.1\r\n");
        slow.push(stream);
    }
    let begun = Instant::now();
    wait_for("the port is free again", 60, || pool.rpc("uptime", json!([])).ok());
    // Whoever has asked nothing for a second makes room for who asks.
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(slow);
}
