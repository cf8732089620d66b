//! Another extranonce1 while connected: NiceHash's extension, and BIP310's name for it.

use serde_json::json;

use crate::job::Want;
use crate::reading::{BMMINER, Client};
use crate::table::Table;

fn begin(table: &mut Table, wish: &str) -> Client {
    let mut client = Client::new(table, BMMINER);
    let user = table.address();
    table.say(client.rig, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    client.read_subscribe(table, json!(1));
    table.say(client.rig, wish);
    table.skip(client.rig);
    table.say(client.rig, format!("{{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\n"));
    client.read_authorize(table, json!(3)).unwrap();
    client.read_work(table);
    client
}

fn submit(
    table: &mut Table,
    client: &mut Client,
    id: u32,
    (extranonce2, nonce): &(String, String),
    job: usize,
) -> bool {
    let (user, job) = (table.address(), &client.jobs[job]);
    let line = format!(
        "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{user}\",\"{}\",\"{extranonce2}\",\"{}\",\"{nonce}\"]}}\n",
        job.id, job.ntime_text
    );
    table.say(client.rig, line);
    client.read_verdict(table, json!(id)).is_ok()
}

#[test]
fn the_next_job_has_the_new_one_and_shares_of_earlier_jobs_the_old() {
    for wish in [
        "{\"id\":2,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n",
        "{\"id\":2,\"method\":\"mining.configure\",\"params\":[[\"subscribe-extranonce\"],{}]}\n",
    ] {
        let mut table = Table::of("litecoin");
        let mut client = begin(&mut table, wish);
        let early = client.mine("litecoin", 0, Want::Share);
        let late = client.mine("litecoin", 0, Want::Share);
        let first = client.extranonce1.clone();
        for round in 1..=3 {
            assert!(table.pool.renew_extranonce1(client.rig));
            table.wait(0);
            client.read_work(&mut table);
            assert_eq!((client.jobs.len(), client.job().clean), (round + 1, true));
            assert_ne!(client.extranonce1, first);
            let share = client.mine("litecoin", 0, Want::Share);
            assert!(submit(&mut table, &mut client, 10, &share, round));
            // Mined with another extranonce1, it is another header: good only by luck of one in 64.
            assert!(!submit(&mut table, &mut client, 11, &share, round));
        }
        assert!(submit(&mut table, &mut client, 12, &early, 0));
        // Also after the jobs have gone on.
        table.wait(31_000);
        client.read_work(&mut table);
        assert!(submit(&mut table, &mut client, 13, &late, 0));
        let share = client.mine("litecoin", 0, Want::Share);
        let latest = client.jobs.len() - 1;
        assert!(submit(&mut table, &mut client, 14, &share, latest));
        assert_eq!(table.pool.window().total_shares(), 6);
    }
}

#[test]
fn a_rig_that_did_not_ask_is_left_alone() {
    let mut table = Table::of("litecoin");
    let client = begin(&mut table, "{\"id\":2,\"method\":\"mining.multi_version\",\"params\":[1]}\n");
    assert!(!table.pool.renew_extranonce1(client.rig));
    table.wait(0);
    table.hears_nothing(client.rig);
}
