//! What holds for every client: what is granted, what is refused, and what nobody answers.

use serde_json::{Value, json};

use crate::table::Table;

/// What a fresh connection hears first for this line; null for nothing.
fn answer(line: &str) -> Value {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    table.say(rig, format!("{line}\n"));
    if table.has_line(rig) { table.json(rig) } else { Value::Null }
}

fn ask(method: &str, params: &Value) -> Value {
    answer(&json!({"id": 5, "method": method, "params": params}).to_string())
}

#[test]
fn extensions_are_granted_or_answered_with_false() {
    let all = ["version-rolling", "minimum-difficulty", "subscribe-extranonce", "info", "x"];
    let options = json!({
        "version-rolling.mask": "00c00000",
        "version-rolling.min-bit-count": 2,
        "minimum-difficulty.value": 2048,
        "info.sw-version": "1",
    });
    assert_eq!(
        ask("mining.configure", &json!([all, options]))["result"],
        json!({
            "version-rolling": true,
            "version-rolling.mask": "00c00000",
            "minimum-difficulty": true,
            "subscribe-extranonce": true,
            "info": false,
            "x": false,
        })
    );
    // Bits that the coin needs itself.
    let bits = json!([["version-rolling"], {"version-rolling.mask": "e0001fff"}]);
    assert_eq!(ask("mining.configure", &bits)["result"], json!({"version-rolling": false}));
    // Nobody is given more than the pool's own largest difficulty.
    let hard = json!([["minimum-difficulty"], {"minimum-difficulty.value": 1e15}]);
    assert_eq!(ask("mining.configure", &hard)["result"], json!({"minimum-difficulty": false}));
    assert_eq!(ask("mining.configure", &json!([[]]))["result"], json!({}));
}

#[test]
fn a_minimum_difficulty_is_kept() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    let user = table.address();
    table.say(
        rig,
        "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"minimum-difficulty\"],{\"minimum-difficulty.value\":\
         2048}]}\n{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[]}\n",
    );
    table.say(rig, format!("{{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\n"));
    table.line(rig);
    table.line(rig);
    table.hears(rig, r#"{"id":3,"result":true,"error":null}"#);
    table.hears(rig, r#"{"id":null,"method":"mining.set_difficulty","params":[2048]}"#);
    // Hours without a share, and lower wishes, change nothing.
    table.say(rig, "{\"id\":4,\"method\":\"mining.suggest_difficulty\",\"params\":[1]}\n");
    table.wait(500_000);
    while table.has_line(rig) {
        assert_ne!(table.json(rig)["method"], "mining.set_difficulty");
    }
}

#[test]
fn a_mask_is_told_again_when_it_is_negotiated_again() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    let user = table.address();
    table.say(rig, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    table.say(rig, format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\n"));
    table.skip(rig);
    for (mask, told) in [("00c00000", true), ("00c00000", false), ("1fffe000", true)] {
        table.say(
            rig,
            format!(
                "{{\"id\":3,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{{\"version-rolling.mask\":\
                 \"{mask}\"}}]}}\n"
            ),
        );
        assert_eq!(table.json(rig)["result"]["version-rolling.mask"], mask);
        if told {
            assert_eq!(table.json(rig)["params"], json!([mask]));
        }
        table.hears_nothing(rig);
    }
}

#[test]
fn wishes_are_granted_to_those_who_ask_with_an_id_and_notices_are_not_answered() {
    let wishes = [
        ("mining.suggest_difficulty", json!([512])),
        ("mining.suggest_difficulty", json!(["512"])),
        ("mining.suggest_target", json!(["ff".repeat(32)])),
        ("mining.multi_version", json!([1])),
        ("mining.extranonce.subscribe", json!([])),
        ("mining.capabilities", json!([{"notify": []}])),
    ];
    for (method, params) in wishes {
        let expected = json!({"id": 5, "result": true, "error": null});
        assert_eq!(ask(method, &params), expected, "{method}");
        assert_eq!(answer(&json!({"method": method, "params": params}).to_string()), Value::Null, "{method}");
    }
    assert_eq!(ask("mining.ping", &json!([]))["result"], "pong");
    let version = ask("client.get_version", &json!([]))["result"].clone();
    assert!(version.as_str().unwrap().starts_with("edgepool/"));
    for notice in ["mining.ping", "mining.hashrate", "client.get_version", "mining.get_transactions"] {
        assert_eq!(answer(&json!({"id": null, "method": notice, "params": []}).to_string()), Value::Null);
    }
}

#[test]
fn an_unknown_method_is_refused_and_the_rig_goes_on() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    for id in 0..20 {
        table.say(rig, format!("{{\"id\":{id},\"method\":\"mining.hashrate\",\"params\":[\"1 TH\"]}}\n"));
        let reply = table.json(rig);
        assert_eq!((&reply["id"], &reply["error"]), (&json!(id), &json!([20, "Unknown method mining.hashrate", null])));
    }
    assert_eq!(table.closed(rig), None);
    table.say(rig, "{\"id\":99,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    assert_eq!(table.json(rig)["id"], 99);
}

#[test]
fn shares_come_after_subscription_and_authorization() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    let share = format!(
        "{{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"{}\",\"1\",\"00000000\",\"00000000\",\"00000000\"]}}\n",
        table.address()
    );
    table.say(rig, &share);
    table.hears(rig, r#"{"id":4,"result":null,"error":[25,"Not subscribed",null],"reject-reason":"Not subscribed"}"#);
    table.say(rig, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    table.line(rig);
    // An answer now would be taken for that of the authorization.
    table.say(rig, &share);
    table.hears_nothing(rig);
    table.say(rig, "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"nobody\",\"x\"]}\n");
    assert_eq!(table.json(rig)["id"], 2);
    table.hears(
        rig,
        r#"{"id":4,"result":null,"error":[24,"Unauthorized worker",null],"reject-reason":"Unauthorized worker"}"#,
    );
    // Now that it was told, nothing waits any more.
    table.say(rig, &share);
    assert_eq!(table.json(rig)["error"][0], 24);
}

#[test]
fn a_second_subscription_has_the_same_answer() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    let line = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x/1\"]}\n";
    table.say(rig, line);
    let first = table.line(rig);
    table.say(rig, line);
    table.hears(rig, &first);
}

#[test]
fn usernames_and_passwords_come_in_all_shapes() {
    let mut table = Table::of("bitcoin");
    let address = table.address();
    for params in [
        json!([address]),
        json!([address, null]),
        json!([address, 123]),
        json!([format!("{address}.rig"), ""]),
        json!([format!("{address}_rig"), "x, d=0.5 ; cb=500"]),
        json!([format!("{address}.a.b_c"), "d=nonsense", "third"]),
    ] {
        let rig = table.connect();
        table.say(rig, json!({"id": "a", "method": "mining.authorize", "params": params}).to_string() + "\n");
        table.hears(rig, r#"{"id":"a","result":true,"error":null}"#);
    }
    for (username, reason) in [
        ("", "username is empty"),
        (".rig", "there is no address"),
        ("rig1", "username is not an address"),
        ("mmjv2METU5E68VeWKkKzgx9oVo4thkSw5y.rig", "address has a wrong checksum"),
        ("LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", "address belongs to litecoin mainnet"),
    ] {
        let rig = table.connect();
        table.say(rig, json!({"id": 2, "method": "mining.authorize", "params": [username, "x"]}).to_string() + "\n");
        let reply = table.json(rig);
        assert!(reply["result"].is_null());
        assert!(reply["reject-reason"].as_str().unwrap().starts_with(reason), "{reply}");
    }
}
