//! bfgminer 5.5: TLS before anything else, notices without an id before the subscription, texts for ids after it.

use serde_json::json;

use crate::job::Want;
use crate::reading::{Client, too_easy};
use crate::table::Table;

const METHODS: &[&str] = &[
    "mining.notify",
    "mining.set_difficulty",
    "client.reconnect",
    "client.get_version",
    "client.show_message",
    "mining.set_extranonce",
    "mining.set_goal",
];

/// The beginning of a TLS 1.2 ClientHello.
const HELLO: [u8; 16] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0xd1, 0x5c, 0, 0x7a, 0x0a];

#[test]
fn its_tls_is_declined_at_once_and_it_comes_back_without() {
    let mut table = Table::of("bitcoin");
    let secret = table.connect();
    table.say(secret, HELLO);
    assert!(table.closed(secret).is_some());
    table.hears_nothing(secret);
    assert_eq!(table.pool.connections(), 0);
    let plain = table.connect();
    table.say(plain, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"bfgminer/5.5.0\"]}\n");
    assert!(table.line(plain).starts_with("{\"id\":0,"));
}

#[test]
fn the_first_line_that_it_reads_answers_its_subscription() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, METHODS);
    let (rig, user) = (client.rig, format!("{}.bfg", table.address()));
    // With `--request-diff`: difficulty 4/65536, high byte first. The spaces and their absence are its own.
    let target = format!("00003fffc0{}", "00".repeat(27));
    table.say(rig, format!("{{\"id\": null, \"method\": \"mining.suggest_target\", \"params\": [\"{target}\"]}}\n"));
    table.say(
        rig,
        format!(
            "{{\"id\":null,\"method\":\"mining.capabilities\",\"params\":[{{\"notify\":[],\"set_difficulty\":{{}},\
             \"set_goal\":[],\"malgo\":{{\"SHA256d\":{{}},\"scrypt\":{{}}}},\"suggested_target\":\"{target}\"}}]}}\n"
        ),
    );
    table.say(rig, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"bfgminer/5.5.0\"]}\n");
    client.read_subscribe(&mut table, json!(0));
    table.say(rig, "{\"id\": \"xnsub\", \"method\": \"mining.extranonce.subscribe\", \"params\": []}\n");
    table
        .say(rig, format!("{{\"id\": \"auth\", \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    table.hears(rig, r#"{"id":"xnsub","result":true,"error":null}"#);
    client.read_authorize(&mut table, json!("auth")).unwrap();
    client.read_work(&mut table);
    assert_eq!(client.difficulty * 65_536.0, 4.0, "the target that it suggested");

    // It would like to see the transactions. An empty list would be a lie to it, no list is a pool that keeps them.
    let job = client.job().id.clone();
    table.say(
        rig,
        format!("{{\"params\": [\"{job}\"], \"id\": \"txlist{job}\", \"method\": \"mining.get_transactions\"}}\n"),
    );
    let reply = table.json(rig);
    assert_eq!(reply["id"], format!("txlist{job}"));
    assert!(!reply["result"].is_array());

    for (id, want, verdict) in [(1, Want::Share, Ok(())), (2, Want::TooEasy, too_easy())] {
        let (extranonce2, nonce) = client.mine("bitcoin", 0, want);
        let ntime = &client.job().ntime_text;
        table.say(
            rig,
            format!(
                "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\"], \"id\": {id}, \
                 \"method\": \"mining.submit\"}}\n"
            ),
        );
        assert_eq!(client.read_verdict(&mut table, json!(id)), verdict);
    }
    // A suggestion later on, with `#cksuggest`, is a notice as well.
    table.say(rig, "{\"id\": null, \"method\": \"mining.suggest_difficulty\", \"params\": [2]}\n");
    table.hears(rig, r#"{"id":null,"method":"mining.set_difficulty","params":[2]}"#);
    client.read_work(&mut table);
}

#[test]
fn requests_that_it_needs_answered_are_answered_also_without_an_id() {
    let mut table = Table::of("litecoin");
    let rig = table.connect();
    table.say(rig, "{\"id\":null,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    assert!(table.line(rig).starts_with("{\"id\":null,\"result\":[["));
    let user = table.address();
    table.say(rig, format!("{{\"method\":\"mining.authorize\",\"params\":[\"{user}\"]}}\n"));
    table.hears(rig, r#"{"id":null,"result":true,"error":null}"#);
}
