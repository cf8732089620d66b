//! Whatsminer (btminer), by the logs of others who served it: it leaves a pool whose answer to `mining.configure`
//! holds anything but what it asked for, stays idle without a message of the mask, and brings other pools' sessions.

use serde_json::json;

use crate::job::Want;
use crate::reading::{CGMINER, Client, duplicate};
use crate::table::Table;

#[test]
fn an_m30s_is_told_what_it_asked_for_and_no_more() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, CGMINER);
    // The longest username that it can hold.
    let user = format!("{}.{}", table.address(), "w".repeat(126 - table.address().len()));
    assert_eq!(user.len(), 127);
    let rig = client.rig;
    table.say(
        rig,
        "{\"id\": 196, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], \
         {\"version-rolling.mask\": \"1fffe000\"}]}\n",
    );
    table.hears(rig, r#"{"id":196,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},"error":null}"#);
    client.mask = 0x1fff_e000;
    table.say(
        rig,
        "{\"id\": 197, \"method\": \"mining.subscribe\", \"params\": [\"whatsminer/v1.0\", \
         \"ae6812eb4cd7735a302a8a9dd95cf71f\"]}\n",
    );
    client.read_subscribe(&mut table, json!(197));
    table.say(rig, format!("{{\"id\": 198, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"123\"]}}\n"));
    table.hears(rig, r#"{"id":198,"result":true,"error":null}"#);
    table.hears(rig, r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#);
    client.read_work(&mut table);
    assert!(client.job().coinbase_len(8) <= 6_500);

    let (extranonce2, nonce) = client.mine("bitcoin", 0x0080_0000, Want::Share);
    let (job, ntime) = (&client.job().id, &client.job().ntime_text);
    let share = format!(
        "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\", \"00800000\"], \"id\": 199, \
         \"method\": \"mining.submit\"}}\n"
    );
    assert!(share.len() < 1_024, "its buffer");
    table.say(rig, &share);
    assert_eq!(client.read_verdict(&mut table, json!(199)), Ok(()));
    table.say(rig, &share);
    assert_eq!(client.read_verdict(&mut table, json!(199)), duplicate());
}

#[test]
fn who_did_not_negotiate_is_sent_no_mask() {
    let mut table = Table::of("bitcoin");
    let rig = table.connect();
    let user = table.address();
    table.say(rig, "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"whatsminer/v1.1\"]}\n");
    table.say(rig, format!("{{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"123\"]}}\n"));
    while table.has_line(rig) {
        assert!(!table.line(rig).contains("set_version_mask"));
    }
}
