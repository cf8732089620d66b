use super::*;
use crate::coin::address;
use crate::coin::params::coin;
use crate::pool::firmware::CoinbaseClass;
use crate::pool::spec::{FeeFrom, PaymentsSpec};
use crate::shell::secrets::Password;
use serde_json::json;

/// A valid configuration with one pool, to be spoilt by the tests.
fn sample() -> Value {
    json!({
        "data_dir": "/var/lib/edgepool",
        "rpc": { "listen": "127.0.0.1:8080" },
        "pools": [{
            "name": "ltc", "coin": "litecoin",
            "nodes": [{ "url": "http://127.0.0.1", "cookie_file": "/var/lib/litecoin/.cookie" }],
            "stratum": { "listen": ["0.0.0.0:3333"] },
            "payout": { "address": address() },
        }]
    })
}

/// A mainnet address, made by the coin floor from a hash.
fn address() -> String {
    let coin = coin("litecoin").unwrap();
    let script = crate::coin::script::Script::p2pkh(&[7; 20]);
    address::encode(&script, coin, coin.network("mainnet").unwrap()).unwrap()
}

fn read_value(value: &Value) -> Result<Config, ConfigErrors> {
    parse(&value.to_string(), "test.json")
}

/// Sets the value at a JSON pointer, which makes the last key of it if need be.
fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = new,
        parent => parent[key] = new,
    }
    value
}

/// The sample with one change gives exactly these mistakes.
#[track_caller]
fn case(pointer: &str, new: Value, expected: &[&str]) {
    let errors = read_value(&with(sample(), pointer, new)).expect_err("the configuration is wrong").0;
    assert_eq!(errors, expected);
}

#[test]
fn what_is_left_out_has_its_default_and_the_summary_shows_it_on_one_screen() {
    let config = read_value(&sample()).unwrap();
    let pool = &config.pools[0];
    assert_eq!(config.admin_token_file, Path::new("/var/lib/edgepool/admin.token"));
    assert_eq!((config.commit_ms, config.map_mib), (250, 512));
    assert_eq!(pool.spec.chains[0].nodes[0].authority, "127.0.0.1:9332");
    assert_eq!(pool.spec.chains[0].terms.fee_ppm, 10_000);
    assert_eq!(pool.spec.chains[0].terms.min_payout, 100_000);
    assert_eq!(pool.spec.window_ms, 24 * 3_600_000);
    assert_eq!(pool.spec.vardiff.max.units(), 6_553_600_000_000_000);
    let GuardSpec { max_per_address, max_requests_per_second, ban_ms } = pool.spec.stratum.guard;
    assert_eq!((max_per_address, max_requests_per_second, ban_ms), (4_096, 1_000, 600_000));
    let summary = check::summary(&config);
    for part in [
        "listen 0.0.0.0:3333, max_connections 4096, idle_timeout_s 600, extranonce2_size 4",
        "max_per_address 4096, max_requests_per_second 1000, ban_minutes 10",
        "target_share_s 15",
        "window_hours 24, max_miners 1024",
        "http://127.0.0.1:9332, cookie_file /var/lib/litecoin/.cookie",
        "fee_percent 1.0, min_payout 0.00100000, max_outputs 10",
        "coinbase_tag \"/edgepool/\"",
        &address(),
    ] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    assert!(summary.lines().count() < 24 && summary.lines().all(|line| line.len() <= 100), "{summary}");
}

#[test]
fn the_ledgers_map_is_bounded_by_the_addresses_of_the_machine() {
    let (most, hint) = match usize::BITS {
        32 => (512, "; more needs a 64-bit system"),
        _ => (1_048_576, ""),
    };
    let config = read_value(&with(sample(), "/ledger", json!({ "map_mib": most }))).unwrap();
    assert_eq!(config.map_mib, most);
    let told = format!("ledger.map_mib: must be a whole number from 16 to {most}, not {}{hint}", most + 1);
    case("/ledger", json!({ "map_mib": most + 1 }), &[&told]);
}

#[test]
fn everything_can_be_set() {
    let all = json!({
        "data_dir": "/srv/pool", "rpc": { "listen": ["0.0.0.0:80", "[::1]:8080"], "admin_token_file": "/run/token" },
        "ledger": { "commit_ms": 0, "map_mib": 16 },
        "pools": [{
            "name": "one", "coin": "litecoin", "network": "regtest",
            "nodes": [
                { "url": "http://[::1]:1234/wallet/x", "user": "u", "password": "hunter2" },
                { "url": "HTTP://node.lan", "user": "u", "password_file": "/etc/pass" },
                { "url": "http://10.0.0.1:1/" },
            ],
            "stratum": {
                "listen": ["[::]:3333", { "address": "[::]:3334", "coinbase_bytes": 6500 }], "max_connections": 1,
                "idle_timeout_s": 30, "extranonce2_size": 8, "max_per_address": 7, "max_requests_per_second": 20,
                "ban_minutes": 0,
            },
            "vardiff": { "start": 0.5, "min": 0.25, "max": 2, "target_share_s": 1 },
            "payout": {
                "address": "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "fee_percent": "0", "min_payout": "1",
                "max_outputs": 2, "window_hours": 1, "max_miners": 1, "coinbase_tag": ""
            },
            "merge": [],
        }]
    });
    let config = read_value(&all).unwrap();
    let (pool, chain) = (&config.pools[0], &config.pools[0].spec.chains[0]);
    let urls: Vec<_> = chain.nodes.iter().map(|node| (&*node.url, &*node.authority, &*node.path)).collect();
    assert_eq!(
        urls,
        [
            ("http://[::1]:1234/wallet/x", "[::1]:1234", "/wallet/x"),
            ("http://node.lan:19443", "node.lan:19443", "/"),
            ("http://10.0.0.1:1", "10.0.0.1:1", "/"),
        ]
    );
    let login = |password| Secret::Password { user: "u".into(), password };
    let inline = login(Password::Inline("hunter2".into()));
    assert_eq!(pool.secrets, [[inline, login(Password::File("/etc/pass".into())), Secret::None]]);
    let stratum = &pool.spec.stratum;
    assert_eq!((stratum.max_connections, stratum.idle_timeout_ms, stratum.extranonce2_len), (1, 30_000, 8));
    assert_eq!(stratum.guard, GuardSpec { max_per_address: 7, max_requests_per_second: 20, ban_ms: 0 });
    assert_eq!(pool.spec.vardiff.start, Difficulty::from_units(32_768).unwrap());
    assert_eq!((chain.coinbase_tag.len(), chain.terms.fee_ppm, chain.terms.max_outputs), (0, 0, 2));
    assert_eq!(pool.listen, ["[::]:3333".parse().unwrap(), "[::]:3334".parse().unwrap()]);
    assert_eq!(stratum.ports.iter().map(|port| port.class).collect::<Vec<_>>(), [None, CoinbaseClass::of_bytes(6_500)]);
    for shown in [format!("{config:?}"), check::summary(&config)] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn each_mistake_is_told_with_its_path_and_what_to_do() {
    case(
        "/pools/0/payout/address",
        json!("LVg2"),
        &["pools[0].payout.address: is not an address: give one of your wallet"],
    );
    case("/pools/0/payuot", json!({}), &["pools[0].payuot: unknown key; did you mean \"payout\"?"]);
    case("/rpc/port", json!(1), &["rpc.port: unknown key; known here are listen, admin_token_file"]);
    case("/data_dir", json!(5), &["data_dir: must be a string in quotes, not a number"]);
    case("/ledger", json!([]), &["ledger: must be an object in braces, not a list"]);
    case("/ledger", json!({"commit_ms": 5001}), &["ledger.commit_ms: must be a whole number from 0 to 5000, not 5001"]);
    case("/ledger", json!({"commit_ms": "250"}), &["ledger.commit_ms: must be a number without quotes, not a string"]);
    case(
        "/rpc/listen",
        json!("8080"),
        &["rpc.listen: \"8080\" is not an IP address and port; write 0.0.0.0:3333 or [::]:3333"],
    );
    case("/rpc/listen", json!([]), &["rpc.listen: must be a list of 1 to 8, not of 0"]);
    case("/pools", json!([]), &["pools: must be a list of 1 to 16, not of 0"]);
    case("/pools/0", json!("ltc"), &["pools[0]: must be an object in braces, not a string"]);
    case("/pools/0/name", json!("LTC"), &["pools[0].name: must be 1 to 32 of a-z, 0-9, - and _"]);
    case(
        "/pools/0/coin",
        json!("litcoin"),
        &["pools[0].coin: \"litcoin\" is not a coin of edgepool; did you mean \"litecoin\"?"],
    );
    case(
        "/pools/0/network",
        json!("signet"),
        &["pools[0].network: \"signet\" is not a network of litecoin; choose from mainnet, testnet, regtest"],
    );
    case("/pools/0/nodes", Value::Null, &["pools[0].nodes: must be a list of objects in brackets, not null"]);
    case(
        "/pools/0/stratum/extranonce2_size",
        json!(9),
        &["pools[0].stratum.extranonce2_size: must be a whole number from 2 to 8, not 9"],
    );
    case(
        "/pools/0/stratum/listen",
        json!("0.0.0.0:8080"),
        &["pools[0].stratum.listen: 0.0.0.0:8080 is taken by 127.0.0.1:8080 of rpc.listen; choose another port"],
    );
    case(
        "/pools/0/stratum/listen",
        json!([{"address": "0.0.0.0:3334", "coinbase_bytes": 800}]),
        &["pools[0].stratum.listen: coinbase_bytes must be one of 500, 755, 2250, 6500, 16000, not 800"],
    );
    case(
        "/pools/0/stratum/listen",
        json!([{"address": "0.0.0.0:3334", "coinbase": 755}]),
        &["pools[0].stratum.listen: \"coinbase\" is unknown; known here are address, coinbase_bytes"],
    );
    case("/pools/0/stratum/listen", json!([{}]), &["pools[0].stratum.listen: an object needs an address"]);
    case(
        "/pools/0/vardiff",
        json!({"min": 128}),
        &["pools[0].vardiff.start: is 64; choose one between min, 128, and max, 100000000000"],
    );
    case("/pools/0/vardiff", json!({"min": 3, "max": 2}), &["pools[0].vardiff.min: is 3, above max, 2; swap them"]);
    case(
        "/pools/0/vardiff",
        json!({"min": 0}),
        &["pools[0].vardiff.min: must be a difficulty above 0 that fits its range; 64 suits a small miner"],
    );
    case(
        "/pools/0/payout/fee_percent",
        json!(1.5),
        &["pools[0].payout.fee_percent: must be a decimal string; write \"1.5\" in quotes"],
    );
    case("/pools/0/payout/fee_percent", json!("101"), &["pools[0].payout.fee_percent: \"101\" is too large"]);
    case(
        "/pools/0/payout/min_payout",
        json!("0.123456789"),
        &["pools[0].payout.min_payout: \"0.123456789\" has more decimals than can be represented"],
    );
    case(
        "/pools/0/payout/coinbase_tag",
        json!("é"),
        &["pools[0].payout.coinbase_tag: has characters that not every explorer shows; use printable ASCII"],
    );
    case(
        "/pools/0/payout/coinbase_tag",
        json!("x".repeat(34)),
        &["pools[0].payout.coinbase_tag: is 34 bytes long; shorten it to 33"],
    );
}

#[test]
fn payments_are_read_with_their_defaults_or_not_at_all() {
    let payments = |object: Value| read_value(&with(sample(), "/pools/0/payments", object)).unwrap();
    let none = read_value(&sample()).unwrap();
    assert_eq!((&none.pools[0].spec.chains[0].payments, &none.pools[0].wallet_secrets[0]), (&None, &None));
    assert!(check::summary(&none).contains("none: no wallet is used"));

    let config = payments(json!({}));
    let (pool, chain) = (&config.pools[0], &config.pools[0].spec.chains[0]);
    let default = PaymentsSpec {
        wallet: chain.nodes[0].clone(),
        every_ms: None,
        threshold: 100_000,
        max_outputs: 100,
        confirmations: 6,
        fee_from: FeeFrom::Pool,
        fee_rate: None,
        max_fee: 1_000_000,
    };
    assert_eq!(chain.payments, Some(default));
    assert_eq!(pool.wallet_secrets[0].as_ref(), Some(&pool.secrets[0][0]));
    let summary = check::summary(&config);
    for part in [
        "wallet http://127.0.0.1:9332, cookie_file /var/lib/litecoin/.cookie",
        "when asked (no every_hours), threshold 0.00100000, max_outputs 100, confirmations 6",
        "fee_from pool, fee_rate of the wallet, max_fee 0.01000000",
    ] {
        assert!(summary.contains(part), "{part} is not in\n{summary}");
    }
    assert!(summary.lines().count() < 24, "{summary}");

    let config = payments(json!({
        "wallet": { "url": "http://10.0.0.1/wallet/pool", "user": "u", "password": "hunter2" }, "every_hours": 12,
        "threshold": "0.5", "max_outputs": 7, "confirmations": 30, "fee_from": "receivers", "fee_rate": "0.0002",
        "max_fee": "0.001",
    }));
    let (pool, chain) = (&config.pools[0], &config.pools[0].spec.chains[0]);
    let spec = chain.payments.as_ref().unwrap();
    assert_eq!((&*spec.wallet.authority, &*spec.wallet.path), ("10.0.0.1:9332", "/wallet/pool"));
    assert_eq!((spec.every_ms, spec.threshold, spec.max_outputs), (Some(12 * HOUR), 50_000_000, 7));
    assert_eq!((spec.confirmations, spec.fee_from), (30, FeeFrom::Receivers));
    assert_eq!((spec.fee_rate, spec.max_fee), (Some(20_000), 100_000));
    let login = Secret::Password { user: "u".into(), password: Password::Inline("hunter2".into()) };
    assert_eq!(pool.wallet_secrets[0], Some(login));
    assert!(!check::summary(&config).contains("hunter2"));
}

#[test]
fn mistakes_in_payments_are_told() {
    let wrong = |object: Value, expected: &str| {
        case("/pools/0/payments", object, &[&format!("pools[0].payments{expected}")]);
    };
    wrong(json!(true), ": must be an object in braces, not true or false");
    wrong(json!({"treshold": "1"}), ".treshold: unknown key; did you mean \"threshold\"?");
    wrong(json!({"every_hours": 0}), ".every_hours: must be a whole number from 1 to 8760, not 0");
    wrong(json!({"threshold": 1}), ".threshold: must be a decimal string; write \"1\" in quotes");
    wrong(json!({"max_outputs": 1001}), ".max_outputs: must be a whole number from 1 to 1000, not 1001");
    wrong(json!({"max_fee": "0"}), ".max_fee: must be above 0; leave it out for the default");
    wrong(json!({"fee_rate": "0"}), ".fee_rate: must be above 0; leave it out for the default");
    wrong(
        json!({"fee_from": "reciever"}),
        ".fee_from: \"reciever\" is not a bearer of fees; did you mean \"receivers\"?",
    );
    wrong(json!({"wallet": {}}), ".wallet.url: is missing; add it");
}

#[test]
fn a_node_has_one_way_to_log_in_and_a_plain_url() {
    let node = |new: Value, expected: &str| case("/pools/0/nodes/0", new, &[&format!("pools[0].nodes[0].{expected}")]);
    let url = |url: &str, expected: &str| node(json!({ "url": url }), &format!("url: {expected}"));
    node(json!({}), "url: is missing; add it");
    node(json!({"url": "http://a", "user": "u"}), "user: has no password; add password_file or password");
    node(json!({"url": "http://a", "password": "p"}), "user: is missing beside the password; add it");
    node(json!({"url": "http://a", "user": 1, "password": "p"}), "user: must be a string in quotes, not a number");
    node(
        json!({"url": "http://a", "user": "a:b", "password": "p"}),
        "user: holds a colon; put the password under password_file",
    );
    node(
        json!({"url": "http://a", "user": "u", "cookie_file": "c"}),
        "cookie_file: is there beside user or password; keep one way to log in",
    );
    node(
        json!({"url": "http://a", "user": "u", "password": "p", "password_file": "f"}),
        "password: is there beside password_file; keep one of them",
    );
    url("127.0.0.1:9332", "is not a URL; write http://host:port");
    url("https://a", "must begin with http://; nodes speak nothing else, use a tunnel to a distant one");
    url("http://u:hunter2@a", "holds a login; put it under user and password_file");
    url("http://a:0", "has no valid port; use 1 to 65535");
    url("http://a:65536", "has no valid port; use 1 to 65535");
    url("http://a/?x", "has a query or blanks; write http://host:port");
    for host in ["http://", "http://:1", "http://a b", "http://::1", "http://[::1", "http://[a]:1", "http://a\r\nX:1"] {
        url(host, "has no valid host; write http://host:port, and an IPv6 address in brackets");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let mut broken = with(sample(), "/rpc/listen", json!(true));
    broken = with(broken, "/pools/0/payout", json!({ "fee_percent": 1, "max_outputs": 1, "windowhours": 24 }));
    broken = with(broken, "/pools/0/nodes/0/url", json!("ftp://a"));
    broken = with(broken, "/pool", json!([]));
    let paths: Vec<String> = read_value(&broken)
        .expect_err("it has seven mistakes")
        .0
        .iter()
        .map(|line| line.split_once(": ").unwrap().0.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "rpc.listen",
            "pools[0].nodes[0].url",
            "pools[0].payout.address",
            "pools[0].payout.fee_percent",
            "pools[0].payout.max_outputs",
            "pools[0].payout.windowhours",
            "pool",
        ]
    );
}

#[test]
fn a_mistake_hides_no_other_and_makes_none_up() {
    let both = with(sample(), "/pools/0/network", json!("mainent"));
    let both = with(both, "/pools/0/nodes", json!([{ "url": "ftp://a", "user": "u", "cookie_file": "c" }]));
    let errors = read_value(&with(both, "/pools/0/coin", json!("litcoin"))).unwrap_err().0;
    let paths: Vec<&str> = errors.iter().map(|line| line.split_once(": ").unwrap().0).collect();
    assert_eq!(paths, ["pools[0].coin", "pools[0].network", "pools[0].nodes[0].url", "pools[0].nodes[0].cookie_file"]);
    assert!(errors[1].contains("\"mainent\" is not a network of any coin; did you mean \"mainnet\"?"), "{errors:?}");
    // A coin that can't be mined with the parent, of which something else is wrong; and of which the child has a mistake.
    let spoilt = with(sample(), "/pools/0/payout", json!({ "address": address(), "max_outputs": 1 }));
    let errors = read_value(&with(spoilt, "/pools/0/merge", json!([{ "coin": "namecoin" }]))).unwrap_err().0;
    let expected =
        "pools[0].merge[0].coin: namecoin has another proof of work than litecoin, and can't be mined with it";
    assert!(errors.contains(&expected.to_string()) && errors.len() == 4, "{errors:#?}");
    // What follows a mistake is not an unknown key, and a child's network not the default where the parent's is wrong.
    case(
        "/pools/0/stratum",
        json!({ "idle_timeout_s": "10", "max_per_address": 7, "ban_minutes": 1 }),
        &["pools[0].stratum.idle_timeout_s: must be a number without quotes, not a string"],
    );
    let merged = with(sample(), "/pools/0/merge", json!([with(child("dogecoin"), "/payout/address", json!("n"))]));
    let errors = read_value(&with(merged, "/pools/0/network", json!("regtset"))).unwrap_err().0;
    assert!(errors.len() == 1 && errors[0].starts_with("pools[0].network: "), "{errors:#?}");
}

#[test]
fn every_login_is_named_by_its_place() {
    let wallet = json!({ "wallet": { "url": "http://w", "cookie_file": "w" } });
    let merged = with(sample(), "/pools/0/merge", json!([with(child("dogecoin"), "/payments", wallet)]));
    let config = read_value(&with(merged, "/pools/0/payments", json!({}))).unwrap();
    let places: Vec<String> = check::logins(&config).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, ["pools[0].nodes[0]", "pools[0].merge[0].nodes[0]", "pools[0].merge[0].payments.wallet"]);
}

#[test]
fn pools_have_names_and_ports_of_their_own() {
    let first = sample()["pools"][0].clone();
    let taken = "0.0.0.0:3333 is taken by 0.0.0.0:3333 of pools[0].stratum.listen; choose another port";
    let taken = format!("pools[1].stratum.listen: {taken}");
    let twice = "pools[1].name: \"ltc\" is there twice; give each its own";
    case("/pools", json!([first, first]), &[twice, &taken]);
    let second = with(first.clone(), "/name", json!("ltc2"));
    case("/pools", json!([first, second]), &[&taken]);
    let third = with(second, "/stratum", json!({ "listen": "0.0.0.0:3334" }));
    let config = read_value(&with(sample(), "/pools", json!([first, third]))).unwrap();
    assert_eq!(config.pools.iter().map(|pool| &*pool.spec.name).collect::<Vec<_>>(), ["ltc", "ltc2"]);
}

#[test]
fn sockets_collide_when_one_address_covers_the_other() {
    let case = |one: &str, other: &str| collide(one.parse().unwrap(), other.parse().unwrap());
    assert!(case("0.0.0.0:1", "10.0.0.1:1") && case("10.0.0.1:1", "0.0.0.0:1") && case("[::]:1", "10.0.0.1:1"));
    assert!(!case("0.0.0.0:1", "[::1]:1") && !case("10.0.0.1:1", "10.0.0.2:1") && !case("0.0.0.0:1", "0.0.0.0:2"));
    assert!(!case("0.0.0.0:0", "0.0.0.0:0"));
}

#[test]
fn networks_that_can_not_be_mined_are_refused_with_their_reason() {
    let bitcoin = with(sample(), "/pools/0/coin", json!("bitcoin"));
    let errors = read_value(&with(bitcoin, "/pools/0/network", json!("signet"))).unwrap_err().0;
    let reason = coin("bitcoin").unwrap().network("signet").unwrap().mining_refused.unwrap();
    assert_eq!(errors, [format!("pools[0].network: {reason}")]);
}

/// A merge-mined chain as it stands in a configuration.
fn child(name: &str) -> Value {
    let coin = coin(name).unwrap();
    let script = crate::coin::script::Script::p2pkh(&[7; 20]);
    let address = address::encode(&script, coin, coin.network("mainnet").unwrap()).unwrap();
    json!({ "coin": name, "nodes": [{ "url": "http://a" }], "payout": { "address": address } })
}

#[test]
fn merged_chains_are_read_with_the_parents_network_and_their_mistakes_are_placed() {
    let config = read_value(&with(sample(), "/pools/0/merge", json!([child("dogecoin"), child("pepecoin")]))).unwrap();
    let chains = &config.pools[0].spec.chains;
    let names: Vec<(&str, &str)> = chains.iter().map(|chain| (chain.name.as_str(), chain.network.name)).collect();
    assert_eq!(names, [("ltc", "mainnet"), ("doge", "mainnet"), ("pep", "mainnet")]);
    assert_eq!(config.pools[0].secrets.len(), 3);
    let retired = with(child("dogecoin"), "/mine", json!(false));
    let config = read_value(&with(sample(), "/pools/0/merge", json!([retired, child("pepecoin")]))).unwrap();
    let mined: Vec<bool> = config.pools[0].spec.chains.iter().map(|chain| chain.mine).collect();
    assert_eq!(mined, [true, false, true]);
    assert!(check::summary(&config).contains("chain id 98, not mined (mine false)"), "{}", check::summary(&config));
    let unclear = with(child("dogecoin"), "/mine", json!("no"));
    case("/pools/0/merge", json!([unclear]), &["pools[0].merge[0].mine: must be true or false, not a string"]);
    let spoilt = with(child("dogecoin"), "/payout", json!({ "adress": "D" }));
    case(
        "/pools/0/merge",
        json!([spoilt]),
        &[
            "pools[0].merge[0].payout.address: is missing; add it",
            "pools[0].merge[0].payout.adress: unknown key; did you mean \"address\"?",
        ],
    );
}

#[test]
fn coins_that_cannot_be_mined_together_are_refused() {
    let cases = [
        (json!([child("bitcoin")]), "pools[0].merge[0].coin: bitcoin can't be merge-mined; give it a pool of its own"),
        (
            json!([child("namecoin")]),
            "pools[0].merge[0].coin: namecoin has another proof of work than litecoin, and can't be mined with it",
        ),
        (
            json!([child("dogecoin"), with(child("dogecoin"), "/name", json!("other"))]),
            "pools[0].merge[1].coin: dogecoin has the chain id of dogecoin; only one of them can be mined here",
        ),
    ];
    for (merge, expected) in cases {
        case("/pools/0/merge", merge, &[expected]);
    }
    let alone = with(sample(), "/pools/0", child("pepecoin"));
    let errors = read_value(&alone).unwrap_err().0;
    assert_eq!(
        errors,
        ["pools[0].coin: pepecoin is mined together with another coin only; put it into \"merge\" of that one"]
    );
}

#[test]
fn text_that_is_not_json_is_told_with_line_and_column() {
    let case = |text: &str, expected: &str| assert_eq!(parse(text, "a.json").unwrap_err().0, [expected]);
    case("{\n  \"pools\": [,]\n}", "a.json: is not valid JSON: expected value at line 2 column 13");
    case("{\"a\": 1,\n \"a\": 2}", "a.json: is not valid JSON: key \"a\" is there twice at line 2 column 4");
    case("[]", "a.json: must be a JSON object in braces, not a list");
    let missing = read(Path::new("/nowhere/edgepool.json")).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/edgepool.json: can't be read") && missing.ends_with("--config"), "{missing}");
}

#[test]
fn no_message_repeats_a_secret() {
    for place in ["user", "password", "password_file", "cookie_file", "url", "passwrod"] {
        let node = json!({ "url": "http://a", place: "x:hunter2@\u{7}", "cookie_file": "c", "password": ["hunter2"] });
        let errors = read_value(&with(sample(), "/pools/0/nodes/0", node)).unwrap_err().to_string();
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}
