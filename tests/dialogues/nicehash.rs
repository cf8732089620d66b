//! NiceHash's servers, which take a byte or two of extranonce2 for themselves, sign some subscriptions, and refuse a
//! pool that refuses their extension.

use serde_json::json;

use crate::job::Want;
use crate::reading::{BMMINER, CGMINER, Client, duplicate};
use crate::table::Table;

#[test]
fn scrypt_is_bought_with_room_for_their_own_bytes() {
    let signed = ",\"1662637786319\",\"3e747837e632920e8cd11453c2558233e3822489a20d828fdf205a149b064afc\"";
    for signature in ["", signed] {
        let mut table = Table::with("litecoin", |pool| {
            pool["stratum"] = json!({"extranonce2_size": 8});
            pool["vardiff"] = json!({"start": 1.0, "min": 1.0 / 65_536.0});
        });
        let mut client = Client::new(&mut table, BMMINER);
        let (rig, user) = (client.rig, format!("{}.order", table.address()));
        table.say(
            rig,
            format!("{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"NiceHash/1.0.0\"{signature}]}}\n"),
        );
        client.read_subscribe(&mut table, json!(1));
        assert_eq!(client.extranonce2_len, 8);
        table.say(rig, "{\"id\":2,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n");
        table.hears(rig, r#"{"id":2,"result":true,"error":null}"#);
        table.say(rig, format!("{{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"d=0.001\"]}}\n"));
        client.read_authorize(&mut table, json!(3)).unwrap();
        client.read_work(&mut table);
        assert_eq!(client.difficulty * 65_536.0, 66.0, "what the order's password says");
        assert!(client.job().coinbase_len(12) <= 500);

        let (extranonce2, nonce) = client.mine("litecoin", 0, Want::Share);
        let (job, ntime) = (&client.job().id, &client.job().ntime_text);
        let share = format!(
            "{{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{job}\",\"{extranonce2}\",\"{ntime}\",\
             \"{nonce}\"]}}\n"
        );
        table.say(rig, &share);
        assert_eq!(client.read_verdict(&mut table, json!(4)), Ok(()));
        table.say(rig, &share);
        assert_eq!(client.read_verdict(&mut table, json!(4)), duplicate());
        // Orders are for fixed difficulties: silence does not lower it.
        table.wait(500_000);
        client.read_work(&mut table);
        assert_eq!(client.difficulty * 65_536.0, 66.0);
    }
}

#[test]
fn sha256_with_asicboost_negotiates_before_it_subscribes() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, CGMINER);
    let (rig, user) = (client.rig, table.address());
    table.say(
        rig,
        "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\",\"subscribe-extranonce\"],\
         {\"version-rolling.mask\":\"1fffe000\",\"version-rolling.min-bit-count\":2}]}\n",
    );
    client.read_configure(&mut table, json!(1));
    table.say(rig, "{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"NiceHash/1.0.0\"]}\n");
    client.read_subscribe(&mut table, json!(2));
    table.say(rig, format!("{{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\n"));
    client.read_authorize(&mut table, json!(3)).unwrap();
    client.read_work(&mut table);
    let (extranonce2, nonce) = client.mine("bitcoin", 0x1000_0000, Want::Share);
    let (job, ntime) = (&client.job().id, &client.job().ntime_text);
    // Bits without leading zeros, or with: both mean the same.
    table.say(
        rig,
        format!(
            "{{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{job}\",\"{extranonce2}\",\"{ntime}\",\
             \"{nonce}\",\"10000000\"]}}\n"
        ),
    );
    assert_eq!(client.read_verdict(&mut table, json!(4)), Ok(()));
}
