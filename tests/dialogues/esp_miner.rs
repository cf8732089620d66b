//! ESP-Miner (Bitaxe, NerdQAxe and kin): three requests in one go, without waiting; no spaces.

use serde_json::json;

use crate::job::Want;
use crate::reading::{Client, duplicate, too_easy};
use crate::table::Table;

const METHODS: &[&str] = &[
    "mining.notify",
    "mining.set_difficulty",
    "mining.set_extranonce",
    "mining.set_version_mask",
    "client.reconnect",
    "mining.ping",
    "client.show_message",
    "client.get_version",
];

#[test]
fn a_bitaxe_says_three_things_at_once_and_hears_them_answered_in_order() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, METHODS);
    let (rig, user) = (client.rig, format!("{}.bitaxe", table.address()));
    table.say(
        rig,
        format!(
            "{{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{{\"version-rolling.mask\":\
             \"ffffffff\"}}]}}\n{{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"bitaxe/BM1368/v2.9.0\"]}}\n\
             {{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\n"
        ),
    );
    client.read_configure(&mut table, json!(1));
    client.read_subscribe(&mut table, json!(2));
    table.hears(rig, r#"{"id":3,"result":true,"error":null}"#);
    table.hears(rig, r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#);
    client.read_work(&mut table);
    assert!(client.job().coinbase_len(8) <= 6_500);

    // Only then it suggests and asks for other extranonces.
    table.say(rig, "{\"id\":4,\"method\":\"mining.suggest_difficulty\",\"params\":[1000]}\n");
    table.hears(rig, r#"{"id":4,"result":true,"error":null}"#);
    table.hears(rig, r#"{"id":null,"method":"mining.set_difficulty","params":[1000]}"#);
    let slow = client.difficulty;
    client.read_work(&mut table);
    table.say(rig, "{\"id\":5,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n");
    table.hears(rig, r#"{"id":5,"result":true,"error":null}"#);

    // A share of the first job, which is mined at what was announced before it.
    client.jobs.truncate(1);
    client.difficulty = slow;
    let mut id = 5;
    for (want, verdict) in [(Want::Share, Ok(())), (Want::TooEasy, too_easy())] {
        let rolled = 0x0040_6000;
        let (extranonce2, nonce) = client.mine("bitcoin", rolled, want);
        let (job, ntime) = (client.job().id.clone(), client.job().ntime_text.clone());
        id += 1;
        let share = |id: u32| {
            format!(
                "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{job}\",\"{extranonce2}\",\
                 \"{ntime}\",\"{nonce}\",\"{rolled:08x}\"]}}\n"
            )
        };
        table.say(rig, share(id));
        assert_eq!(client.read_verdict(&mut table, json!(id)), verdict);
        if want == Want::Share {
            id += 1;
            table.say(rig, share(id));
            assert_eq!(client.read_verdict(&mut table, json!(id)), duplicate());
        }
    }
    assert_eq!(table.pool.window().total_shares(), 1);
}

#[test]
fn what_it_says_of_itself_is_not_answered() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    table.say(rig, "{\"id\":4,\"method\":\"pong\",\"params\":[]}\n");
    table.say(rig, "{\"id\":5,\"result\":\"v2.9.0\",\"error\":null}\n");
    table.hears_nothing(rig);
}

#[test]
fn its_first_versions_read_one_line_after_each_request() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, METHODS);
    let (rig, user) = (client.rig, table.address());
    table.say(rig, "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"bitaxe/BM1366\"]}\n");
    client.read_subscribe(&mut table, json!(1));
    table.say(
        rig,
        "{\"id\": 2, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], {\"version-rolling.mask\": \
         \"ffffffff\"}]}\n",
    );
    client.read_configure(&mut table, json!(2));
    table.say(rig, "{\"id\": 3, \"method\": \"mining.suggest_difficulty\", \"params\": [0.0001]}\n");
    table.hears(rig, r#"{"id":3,"result":true,"error":null}"#);
    table.hears_nothing(rig);
    table.say(rig, format!("{{\"id\": 4, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    client.read_authorize(&mut table, json!(4)).unwrap();
    client.read_work(&mut table);
    assert_eq!((client.jobs.len(), client.difficulty * 65_536.0), (1, 7.0), "the first job has what was suggested");
}
