//! Proxies of rental markets and farms: many workers on one connection, sessions and places in the subscription,
//! other orders of members and other ends of lines.

use serde_json::{Value, json};

use crate::job::Want;
use crate::reading::{BMMINER, Client, duplicate};
use crate::table::Table;

#[test]
fn several_workers_share_a_connection_and_each_is_credited() {
    let mut table = Table::of("litecoin");
    let mut client = Client::new(&mut table, BMMINER);
    let (rig, address) = (client.rig, table.address());
    table.say(
        rig,
        "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"MiningRigRentals/1.0\", null, \
         \"pool.example.org\", 3333]}\n",
    );
    client.read_subscribe(&mut table, json!(1));
    for (id, worker) in [(2, "a"), (3, "b")] {
        table.say(
            rig,
            format!(
                "{{\"id\": {id}, \"method\": \"mining.authorize\", \"params\": [\"{address}.{worker}\", \"x\"]}}\n"
            ),
        );
        client.read_authorize(&mut table, json!(id)).unwrap();
    }
    client.read_work(&mut table);
    assert_eq!(client.jobs.len(), 1, "the second worker changes nothing");
    for (id, worker) in [(4, "a"), (5, "b"), (6, "b")] {
        let (extranonce2, nonce) = client.mine("litecoin", 0, Want::Share);
        let (job, ntime) = (&client.job().id, &client.job().ntime_text);
        table.say(
            rig,
            format!(
                "{{\"id\": {id}, \"method\": \"mining.submit\", \"params\": [\"{address}.{worker}\", \"{job}\", \
                 \"{extranonce2}\", \"{ntime}\", \"{nonce}\"]}}\n"
            ),
        );
        assert_eq!(client.read_verdict(&mut table, json!(id)), Ok(()));
    }
    let mut accepted: Vec<(String, u64)> =
        table.pool.workers().iter().map(|worker| (worker.name.clone(), worker.counts.accepted)).collect();
    accepted.sort();
    assert_eq!(accepted, [("a".to_string(), 1), ("b".to_string(), 2)]);
    // One that was not named on this connection.
    let (job, ntime) = (&client.job().id, &client.job().ntime_text);
    table.say(
        rig,
        format!(
            "{{\"id\": 7, \"method\": \"mining.submit\", \"params\": [\"{address}.c\", \"{job}\", \"00000000\", \
             \"{ntime}\", \"00000000\"]}}\n"
        ),
    );
    assert_eq!(client.read_verdict(&mut table, json!(7)), Err((24, "Unauthorized worker".into())));
}

#[test]
fn a_proxy_written_in_python_orders_members_in_its_way() {
    let mut table = Table::of("litecoin");
    let mut client = Client::new(&mut table, BMMINER);
    let (rig, user) = (client.rig, format!("{}_proxy", table.address()));
    table.say(rig, "{\"params\": [], \"id\": 1, \"method\": \"mining.subscribe\"}\n");
    client.read_subscribe(&mut table, json!(1));
    table.say(rig, format!("{{\"params\": [\"{user}\", \"x\"], \"id\": 2, \"method\": \"mining.authorize\"}}\n"));
    client.read_authorize(&mut table, json!(2)).unwrap();
    client.read_work(&mut table);
    let (extranonce2, nonce) = client.mine("litecoin", 0, Want::Share);
    let (job, ntime) = (&client.job().id, &client.job().ntime_text);
    let share = format!(
        "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\"], \"id\": 3, \"method\": \
         \"mining.submit\"}}\n"
    );
    table.say(rig, &share);
    assert_eq!(client.read_verdict(&mut table, json!(3)), Ok(()));
    table.say(rig, &share);
    assert_eq!(client.read_verdict(&mut table, json!(3)), duplicate());
}

#[test]
fn lines_may_end_as_on_windows_come_in_pieces_or_several_at_once() {
    let user = Table::of("litecoin").address();
    let text = format!(
        "\r\n{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"p/1\"]}}\r\n\
         {{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\r\n"
    );
    let ids = |table: &mut Table, rig| -> Vec<Value> {
        let mut ids = Vec::new();
        while table.has_line(rig) {
            ids.push(table.json(rig)["id"].clone());
        }
        ids
    };
    let expected = [json!(1), json!(2), Value::Null, Value::Null];
    for size in [1, 7, 1_000] {
        let mut table = Table::of("litecoin");
        let rig = table.connect();
        for piece in text.as_bytes().chunks(size) {
            table.say(rig, piece);
        }
        assert_eq!(ids(&mut table, rig), expected, "in pieces of {size}");
    }
}

#[test]
fn authorization_may_come_before_the_subscription() {
    let mut table = Table::of("litecoin");
    let rig = table.connect();
    let user = table.address();
    table.say(rig, format!("{{\"id\": 1, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    table.hears(rig, r#"{"id":1,"result":true,"error":null}"#);
    // Without its subscription it could do nothing with a job.
    table.wait(31_000);
    table.hears_nothing(rig);
    table.say(rig, "{\"id\": 2, \"method\": \"mining.subscribe\", \"params\": []}\n");
    assert_eq!(table.json(rig)["id"], 2);
    assert_eq!(table.json(rig)["method"], "mining.set_difficulty");
    assert_eq!(table.json(rig)["method"], "mining.notify");
}
