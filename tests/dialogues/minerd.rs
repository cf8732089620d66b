//! minerd (pooler's cpuminer) 2.5.1, also the base of many miners on ARM boards: every share has the id 4, and every
//! answer with an id is taken for one to a share.

use serde_json::json;

use crate::job::Want;
use crate::reading::{Client, duplicate, too_easy};
use crate::table::Table;

const METHODS: &[&str] =
    &["mining.notify", "mining.set_difficulty", "client.reconnect", "client.get_version", "client.show_message"];

#[test]
fn scrypt_and_sha256d_are_mined_and_counted() {
    for coin in ["litecoin", "bitcoin"] {
        let mut table = Table::of(coin);
        let mut client = Client::new(&mut table, METHODS);
        let (rig, user) = (client.rig, format!("{}.cpu", table.address()));
        table.say(rig, "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"cpuminer/2.5.1\"]}\n");
        client.read_subscribe(&mut table, json!(1));
        table.say(rig, format!("{{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
        client.read_authorize(&mut table, json!(2)).unwrap();
        // From here on an answer that has an id would be counted as a share: `read_work` takes methods only.
        client.read_work(&mut table);
        for (want, verdict) in [(Want::Share, Ok(())), (Want::TooEasy, too_easy())] {
            let (extranonce2, nonce) = client.mine(coin, 0, want);
            let (job, ntime) = (&client.job().id, &client.job().ntime_text);
            let share = format!(
                "{{\"method\": \"mining.submit\", \"params\": [\"{user}\", \"{job}\", \"{extranonce2}\", \"{ntime}\", \
                 \"{nonce}\"], \"id\":4}}\n"
            );
            table.say(rig, &share);
            let is_share = verdict.is_ok();
            assert_eq!(client.read_verdict(&mut table, json!(4)), verdict, "{coin}");
            if is_share {
                table.say(rig, &share);
                assert_eq!(client.read_verdict(&mut table, json!(4)), duplicate());
            }
        }
        assert_eq!(table.pool.window().total_shares(), 1);
        // It gives a pool up after two minutes of silence.
        let jobs = client.jobs.len();
        table.wait(119_000);
        client.read_work(&mut table);
        assert!(client.jobs.len() >= jobs + 3);
    }
}

#[test]
fn it_comes_back_with_its_session_or_with_nothing() {
    let mut table = Table::of("litecoin");
    let mut client = Client::new(&mut table, METHODS);
    table.say(client.rig, "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"cpuminer/2.5.1\"]}\n");
    client.read_subscribe(&mut table, json!(1));
    let user = table.address();
    table
        .say(client.rig, format!("{{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"{user}\", \"x\"]}}\n"));
    client.read_authorize(&mut table, json!(2)).unwrap();
    client.read_work(&mut table);
    let (session, extranonce1) = (client.session.clone(), client.extranonce1.clone());
    table.pool.handle_miner_closed(client.rig);
    for (params, is_resumed) in [
        (format!("\"cpuminer/2.5.1\", \"{session}\""), true),
        ("\"cpuminer/2.5.1\", \"x\"".into(), false),
        (String::new(), false),
    ] {
        let mut again = Client::new(&mut table, METHODS);
        table.say(again.rig, format!("{{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [{params}]}}\n"));
        again.read_subscribe(&mut table, json!(1));
        assert_eq!(again.session == session && again.extranonce1 == extranonce1, is_resumed, "{params}");
    }
}
