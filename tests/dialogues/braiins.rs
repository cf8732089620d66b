//! Braiins OS (bosminer): strict about types, counts from 0, and says where it believes to be connected.

use serde_json::{Value, json};

use crate::job::Want;
use crate::reading::{Client, duplicate};
use crate::table::Table;

const METHODS: &[&str] = &[
    "mining.notify",
    "mining.set_difficulty",
    "mining.set_extranonce",
    "mining.set_version_mask",
    "client.reconnect",
    "mining.ping",
];
const AGENT: &str = "2022-09-27-0-26ba61b9-22.08.1-plus;bosminer-plus-am1-s9 0.9.0-26ba61b9";

fn begin(table: &mut Table, options: &str) -> Client {
    let mut client = Client::new(table, METHODS);
    let (rig, user) = (client.rig, format!("{}.worker0", table.address()));
    table.say(
        rig,
        format!(
            "{{\"id\":0,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],\
             {{\"version-rolling.mask\":\"1fffe000\"{options}}}]}}\n"
        ),
    );
    client.read_configure(table, json!(0));
    assert_eq!(client.mask, 0x1fff_e000, "it leaves a pool that gives fewer bits");
    table.say(
        rig,
        format!(
            "{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"{AGENT}\",null,\"192.168.1.207:34255\",null]}}\n"
        ),
    );
    client.read_subscribe(table, json!(1));
    table.say(rig, format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"\"]}}\n"));
    client.read_authorize(table, json!(2)).unwrap();
    client.read_work(table);
    client
}

#[test]
fn bosminer_mines_with_and_without_a_number_of_bits() {
    for options in [",\"version-rolling.min-bit-count\":16", ""] {
        let mut table = Table::of("bitcoin");
        let mut client = begin(&mut table, options);
        let (rig, user) = (client.rig, format!("{}.worker0", table.address()));
        let (extranonce2, nonce) = client.mine("bitcoin", 0x1234_4000, Want::Share);
        let (job, ntime) = (&client.job().id, &client.job().ntime_text);
        let share = format!(
            "{{\"id\":3,\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{job}\",\"{extranonce2}\",\"{ntime}\",\
             \"{nonce}\",\"12344000\"]}}\n"
        );
        table.say(rig, &share);
        assert_eq!(client.read_verdict(&mut table, json!(3)), Ok(()));
        table.say(rig, &share);
        assert_eq!(client.read_verdict(&mut table, json!(3)), duplicate());
    }
}

#[test]
fn every_answer_has_the_types_that_it_reads() {
    let mut table = Table::of("bitcoin");
    let client = begin(&mut table, "");
    table.say(
        client.rig,
        "{\"id\":9,\"method\":\"mining.submit\",\"params\":[\"x\",\"0\",\"00000000\",\"00000000\",\"00000000\"]}\n",
    );
    let reply: Value = table.json(client.rig);
    // An answer has a number for its id, a result or an error, and no method; an error is a number, a text and a
    // text or null.
    assert!(reply["id"].is_u64() && reply["result"].is_null() && reply.get("method").is_none());
    assert!(reply["error"][0].is_i64() && reply["error"][1].is_string() && reply["error"][2].is_null());
    table.new_block(&"cd".repeat(32));
    let notify = table.json(client.rig);
    assert!(notify.get("id").is_some() && notify["params"].is_array());
}
