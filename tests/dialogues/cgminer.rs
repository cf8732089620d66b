//! cgminer 4.8 to 4.11: its spaces, its order of members, its numbering from 0. Avalon's controllers and the L3's
//! are this program.

use serde_json::json;

use crate::job::Want;
use crate::reading::{BMMINER, CGMINER, Client, duplicate, too_easy};
use crate::table::Table;

/// Methods of versions that know neither masks nor other extranonces.
const OLD: &[&str] = &[
    "mining.notify",
    "mining.set_difficulty",
    "client.reconnect",
    "client.get_version",
    "client.show_message",
    "mining.ping",
];

#[test]
fn versions_4_8_to_4_10_subscribe_first() {
    for version in ["4.8.0", "4.9.2", "4.10.0"] {
        let mut table = Table::of("bitcoin");
        let mut client = Client::new(&mut table, OLD);
        let (rig, user) = (client.rig, format!("{}.rig1", table.address()));
        table.say(
            rig,
            format!("{{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/{version}\"]}}\n"),
        );
        client.read_subscribe(&mut table, json!(0));
        // However long it takes to go on, nothing comes in between.
        table.wait(40_000);
        table.hears_nothing(rig);
        table.say(rig, format!("{{\"id\": 1, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
        client.read_authorize(&mut table, json!(1)).unwrap();
        client.read_work(&mut table);
        assert!(client.job().clean);

        let (extranonce2, nonce) = client.mine("bitcoin", 0, Want::Share);
        let (job, ntime) = (client.job().id.clone(), client.job().ntime_text.clone());
        let share = |id: u32, extranonce2: &str, nonce: &str| {
            format!(
                "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\"], \"id\": {id}, \
                 \"method\": \"mining.submit\"}}\n"
            )
        };
        table.say(rig, share(2, &extranonce2, &nonce));
        assert_eq!(client.read_verdict(&mut table, json!(2)), Ok(()));
        table.say(rig, share(3, &extranonce2, &nonce));
        assert_eq!(client.read_verdict(&mut table, json!(3)), duplicate());
        let (extranonce2, nonce) = client.mine("bitcoin", 0, Want::TooEasy);
        table.say(rig, share(4, &extranonce2, &nonce));
        assert_eq!(client.read_verdict(&mut table, json!(4)), too_easy());
        assert_eq!(table.pool.window().total_shares(), 1);

        // A new block: the old job's shares are stale, and the program shows why.
        table.new_block(&"ab".repeat(32));
        let job = client.job().id.clone();
        client.read_work(&mut table);
        assert!(client.job().clean && client.job().id != job);
        table.say(rig, share(5, &extranonce2, &nonce));
        assert_eq!(client.read_verdict(&mut table, json!(5)), Err((21, "Stale: new block".into())));
    }
}

#[test]
fn version_4_11_reads_one_line_after_it_configured_and_rolls_versions() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, CGMINER);
    let (rig, user) = (client.rig, format!("{}.avalon", table.address()));
    table.say(
        rig,
        "{\"id\": 0, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], \
         {\"version-rolling.mask\": \"ffffffff\"}]}\n",
    );
    client.read_configure(&mut table, json!(0));
    assert_eq!(client.mask, 0x1fff_e000);
    table.wait(20_000);
    table.hears_nothing(rig);
    table.say(rig, "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.11.1\"]}\n");
    client.read_subscribe(&mut table, json!(1));
    // Avalon's controllers carry four bytes of it and no more.
    assert_eq!(client.extranonce2_len, 4);
    table.hears_nothing(rig);
    table.say(rig, format!("{{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    client.read_authorize(&mut table, json!(2)).unwrap();
    client.read_work(&mut table);
    assert_eq!(client.job().version & client.mask, 0, "whatever way the bits are joined, the header is the same");
    assert!(client.job().coinbase_len(8) <= 6_144);

    let mut id = 2;
    // The four masks that it makes of 1fffe000, one for each midstate.
    for rolled in [0, 0x1fff_e000, 0x1fff_0000, 0x0000_e000u32] {
        id += 1;
        let (extranonce2, nonce) = client.mine("bitcoin", rolled, Want::Share);
        let (job, ntime) = (&client.job().id, &client.job().ntime_text);
        table.say(
            rig,
            format!(
                "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\", \"{rolled:08x}\"], \
                 \"id\": {id}, \"method\": \"mining.submit\"}}\n"
            ),
        );
        assert_eq!(client.read_verdict(&mut table, json!(id)), Ok(()), "{rolled:08x}");
    }
    let (job, ntime) = (&client.job().id, &client.job().ntime_text);
    table.say(
        rig,
        format!(
            "{{\"params\": [\"{user}\", \"{job}\", \"00000000\", \"{ntime}\", \"00000000\", \"20000000\"], \"id\": 7, \
             \"method\": \"mining.submit\"}}\n"
        ),
    );
    assert_eq!(client.read_verdict(&mut table, json!(7)), Err((20, "Version bits not allowed".into())));
    assert_eq!(table.pool.window().total_shares(), 4);
}

#[test]
fn a_suggested_difficulty_is_answered_and_followed_by_it_and_a_job() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, CGMINER);
    let (rig, user) = (client.rig, table.address());
    table.say(rig, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.11.1\"]}\n");
    client.read_subscribe(&mut table, json!(0));
    table.say(rig, format!("{{\"id\": 1, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    client.read_authorize(&mut table, json!(1)).unwrap();
    client.read_work(&mut table);
    table.say(rig, "{\"id\": 2, \"method\": \"mining.suggest_difficulty\", \"params\": [512]}\n");
    table.hears(rig, r#"{"id":2,"result":true,"error":null}"#);
    table.hears(rig, r#"{"id":null,"method":"mining.set_difficulty","params":[512]}"#);
    client.difficulty = 512.0;
    client.read_work(&mut table);
    assert_eq!((client.jobs.len(), client.job().clean), (2, false));
}

#[test]
fn what_it_answers_to_a_pool_is_not_answered_again() {
    let mut table = Table::of("bitcoin");
    let client = Client::new(&mut table, CGMINER);
    table.say(client.rig, "{\"id\": 7, \"result\": \"cgminer/4.11.1\", \"error\": null}\n");
    table.say(client.rig, "{\"id\": 8, \"result\": \"pong\", \"error\": null}\n");
    table.hears_nothing(client.rig);
    assert_eq!(table.closed(client.rig), None);
}

#[test]
fn a_share_found_while_the_line_was_down_is_sent_once_the_session_is_resumed() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, OLD);
    let user = format!("{}.rig1", table.address());
    let authorize =
        |id| format!("{{\"id\": {id}, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n");
    table.say(client.rig, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.10.0\"]}\n");
    client.read_subscribe(&mut table, json!(0));
    table.say(client.rig, authorize(1));
    client.read_authorize(&mut table, json!(1)).unwrap();
    client.read_work(&mut table);
    let (session, extranonce1) = (client.session.clone(), client.extranonce1.clone());
    let (extranonce2, nonce) = client.mine("bitcoin", 0, Want::Share);
    let (job, ntime) = (client.job().id.clone(), client.job().ntime_text.clone());
    table.pool.handle_miner_closed(client.rig);
    table.wait(20_000);

    client.rig = table.connect();
    table.say(
        client.rig,
        format!("{{\"id\": 2, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.10.0\", \"{session}\"]}}\n"),
    );
    client.read_subscribe(&mut table, json!(2));
    // Only if it is the same does the program send what it has kept.
    assert_eq!((&client.session, &client.extranonce1), (&session, &extranonce1));
    table.say(client.rig, authorize(3));
    client.read_authorize(&mut table, json!(3)).unwrap();
    let share = |id: u32| {
        format!(
            "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\"], \"id\": {id}, \
             \"method\": \"mining.submit\"}}\n"
        )
    };
    table.say(client.rig, share(4));
    assert_eq!(client.read_verdict(&mut table, json!(4)), Ok(()));
    // Had the answer been lost with the line, the program would send it again: it is told yes, and counted once.
    table.say(client.rig, share(5));
    assert_eq!(client.read_verdict(&mut table, json!(5)), Ok(()));
    assert_eq!(table.pool.window().total_shares(), 1);
}

#[test]
fn a_session_of_another_pool_is_no_hindrance() {
    let mut table = Table::of("bitcoin");
    let mut client = Client::new(&mut table, CGMINER);
    table.say(
        client.rig,
        "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.11.1\", \"5ef4d2a1\"]}\n",
    );
    client.read_subscribe(&mut table, json!(0));
    assert_ne!(client.session, "5ef4d2a1");
    // Where that had failed it would try again without everything.
    let mut again = Client::new(&mut table, CGMINER);
    table.say(again.rig, "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": []}\n");
    again.read_subscribe(&mut table, json!(1));
}

#[test]
fn the_l3_asks_for_several_versions_after_it_is_authorised() {
    let mut table = Table::of("litecoin");
    let mut client = Client::new(&mut table, BMMINER);
    let (rig, user) = (client.rig, format!("{}.l3", table.address()));
    table.say(rig, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.9.0\"]}\n");
    client.read_subscribe(&mut table, json!(0));
    table.say(rig, format!("{{\"id\": 1, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"123\"]}}\n"));
    client.read_authorize(&mut table, json!(1)).unwrap();
    client.read_work(&mut table);
    table.say(rig, "{\"id\": 2, \"method\": \"mining.suggest_difficulty\", \"params\": [1]}\n");
    table.hears(rig, r#"{"id":2,"result":true,"error":null}"#);
    client.read_work(&mut table);
    assert_eq!(client.difficulty, 1.0);
    table.say(rig, "{\"id\": 3, \"method\": \"mining.multi_version\", \"params\": [1]}\n");
    table.hears(rig, r#"{"id":3,"result":true,"error":null}"#);
    table.hears_nothing(rig);

    // A share of the first job counts by what that was sent with.
    client.jobs.truncate(1);
    client.difficulty = 64.0 / 65_536.0;
    let (extranonce2, nonce) = client.mine("litecoin", 0, Want::Share);
    let (job, ntime) = (&client.job().id, &client.job().ntime_text);
    let share = format!(
        "{{\"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \"{nonce}\"], \"id\": 4, \"method\": \
         \"mining.submit\"}}\n"
    );
    table.say(rig, &share);
    assert_eq!(client.read_verdict(&mut table, json!(4)), Ok(()));
    assert_eq!(table.pool.total_work(), 64);
    table.say(rig, &share);
    assert_eq!(client.read_verdict(&mut table, json!(4)), duplicate());
}

#[test]
fn an_address_that_avalon_cuts_off_is_told_as_what_it_is() {
    // Taproot, 64 characters on regtest: 63 arrive, without a worker.
    let script = edgepool::coin::script::Script::witness(1, &[7; 32]).unwrap();
    let litecoin = edgepool::coin::params::coin("litecoin").unwrap();
    let address = edgepool::coin::address::encode(&script, litecoin, litecoin.network("regtest").unwrap()).unwrap();
    let mut table = Table::of("litecoin");
    let mut client = Client::new(&mut table, OLD);
    table.say(client.rig, "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.10.0\"]}\n");
    client.read_subscribe(&mut table, json!(0));
    let user = &format!("{address}.avalon")[..63];
    table
        .say(client.rig, format!("{{\"id\": 1, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    let error = client.read_authorize(&mut table, json!(1)).unwrap_err();
    assert_eq!(error[0], 24);
    assert_eq!(error[1], "address cut off: this rig sends 63 characters at most; use a shorter address");
}
