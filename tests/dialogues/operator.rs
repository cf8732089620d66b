//! What an operator has rigs told.

use crate::table::Table;

/// A rig at work.
fn rig(table: &mut Table, user: &str) -> edgepool::base::slots::Key {
    let rig = table.connect();
    table.say(rig, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    table.say(rig, format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}\n"));
    table.skip(rig);
    rig
}

#[test]
fn rigs_at_work_are_told_and_nobody_else() {
    let mut table = Table::of("litecoin");
    let address = table.address();
    let other = "mmjv2METU5E68VeWKkKzgx9oVo4thkSw5x";
    let (one, two, new) = (rig(&mut table, address), rig(&mut table, other), table.connect());
    let script = {
        let chain = &table.pool.spec().chains[0];
        edgepool::coin::address::parse(address, chain.coin, chain.network).unwrap().script
    };
    assert_eq!(table.pool.show_message("Back at \"noon\"", None), 2);
    assert_eq!(table.pool.reconnect_miners(Some(&script)), 1);
    table.wait(0);
    for key in [one, two] {
        table.hears(key, r#"{"id":null,"method":"client.show_message","params":["Back at \"noon\""]}"#);
    }
    // Without a host: cgminer refuses most others, and comes back to where it was.
    table.hears(one, r#"{"id":null,"method":"client.reconnect","params":[]}"#);
    table.hears_nothing(two);
    table.hears_nothing(new);
    let stranger = edgepool::coin::script::Script::p2pkh(&[9; 20]);
    assert_eq!(table.pool.show_message("x", Some(&stranger)), 0);
}
