//! bmminer, the Antminer S9's: with `#xnsub` in the pool's address it asks for other extranonces between
//! subscription and authorization, and leaves a pool that says no.

use serde_json::json;

use crate::job::Want;
use crate::reading::{BMMINER, Client, duplicate};
use crate::table::Table;

#[test]
fn the_s9_with_xnsub_stays() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, BMMINER);
    let (rig, user) = (client.rig, format!("{}_s9", table.address()));
    table.say(rig, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"bmminer/2.0.0\"]}\n");
    client.read_subscribe(&mut table, json!(0));
    table.say(rig, "{\"id\": 1, \"method\": \"mining.extranonce.subscribe\", \"params\": []}\n");
    table.hears(rig, r#"{"id":1,"result":true,"error":null}"#);
    table.hears_nothing(rig);
    table.say(rig, format!("{{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"123\"]}}\n"));
    client.read_authorize(&mut table, json!(2)).unwrap();
    client.read_work(&mut table);
    assert!(client.job().coinbase_len(8) <= 755, "what an older Antminer takes");
    table.say(rig, "{\"id\": 3, \"method\": \"mining.multi_version\", \"params\": [1]}\n");
    table.hears(rig, r#"{"id":3,"result":true,"error":null}"#);

    let share = |client: &mut Client, table: &mut Table, id: u32| {
        let (extranonce2, nonce) = client.mine("bitcoin", 0, Want::Share);
        let (job, ntime) = (&client.job().id, &client.job().ntime_text);
        let share = format!(
            "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\"], \"id\": {id}, \
             \"method\": \"mining.submit\"}}\n"
        );
        table.say(rig, &share);
        assert_eq!(client.read_verdict(table, json!(id)), Ok(()));
        share
    };
    share(&mut client, &mut table, 4);
    // Another extranonce1 comes with a job, and holds from that job on.
    let before = client.extranonce1.clone();
    assert!(table.pool.renew_extranonce1(rig));
    table.wait(0);
    client.read_work(&mut table);
    assert_ne!(client.extranonce1, before);
    let sent = share(&mut client, &mut table, 5);
    table.say(rig, sent);
    assert_eq!(client.read_verdict(&mut table, json!(5)), duplicate());
    assert_eq!(table.pool.window().total_shares(), 2);
}
