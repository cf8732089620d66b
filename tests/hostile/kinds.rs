//! The ten kinds of hostile clients. Each is what one does with one connection; it comes again as long as it may.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::hostile::Client;
use crate::place::address_of;

/// A name, and what one connection is used for.
pub type Kind = (&'static str, fn(&Client));

pub const KINDS: [Kind; 10] = [
    ("garbage", garbage),
    ("endless", endless),
    ("loris", loris),
    ("silent", silent),
    ("http", http),
    ("tls", tls),
    ("flood", flood),
    ("scanner", scanner),
    ("deaf", deaf),
    ("names", names),
];

/// Lines of bytes without sense.
fn garbage(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    let mut noise = client.number as u32 + 1;
    while client.goes_on() {
        let line: Vec<u8> = (0..200)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // TLS begins with 0x16, and would be shown out for that.
                (noise >> 24) as u8 | 0x20
            })
            .chain([b'\n'])
            .collect();
        client.note_act();
        if !client.send(&mut stream, &line) || client.read(&mut stream).is_none() {
            return client.note_closed();
        }
    }
}

/// A line without end.
fn endless(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    while client.goes_on() {
        client.note_act();
        if !client.send(&mut stream, &[b'a'; 4_096]) {
            return client.note_closed();
        }
    }
}

/// A byte now and then.
fn loris(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    for byte in line("mining.subscribe", &json!([])).as_bytes().iter().cycle() {
        client.rest(100);
        client.note_act();
        if !client.goes_on() {
            return;
        }
        if !client.send(&mut stream, &[*byte]) {
            return client.note_closed();
        }
    }
}

/// Nothing at all.
fn silent(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    client.note_act();
    let heard = client.read_to_end(&mut stream);
    if !heard.is_empty() {
        client.note_surprise(&heard);
    }
}

/// A browser, or a scanner for web servers.
fn http(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    client.note_act();
    client.send(&mut stream, b"GET /admin HTTP/1.1\r\nHost: pool\r\n\r\n");
    let heard = client.read_to_end(&mut stream);
    if client.goes_on() && !(heard.starts_with("HTTP/1.1 400") && heard.contains("stratum")) {
        client.note_surprise(&heard);
    }
    client.rest(20);
}

/// A TLS handshake.
fn tls(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    client.note_act();
    client.send(&mut stream, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    let heard = client.read_to_end(&mut stream);
    if !heard.is_empty() {
        client.note_surprise(&heard);
    }
    client.rest(20);
}

/// Shares that are worth nothing, as many as the pool takes: random ones, one job that never was, one over and over.
fn flood(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    let user = named(client, 0);
    let mut heard = String::new();
    if !enter(client, &mut stream, &user, "d=1", &mut heard) {
        return client.note_closed();
    }
    let job = heard.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let id = &message["params"][0];
        (message["method"] == "mining.notify").then(|| (id.clone(), message["params"][7].clone()))
    });
    // Whoever is banned is told so, and comes again.
    let Some((job, ntime)) = job else { return client.rest(1_000) };
    for nonce in (0u32..).map(|nonce| nonce.wrapping_mul(2_654_435_761)) {
        let share = match nonce % 8 {
            0 => json!([user, "ffffffff", "00000000", ntime, format!("{nonce:08x}")]),
            1 => json!([user, job, "00", ntime, "00000000"]),
            2 => json!([user, job, "00000000", ntime, "00000000"]),
            _ => json!([user, job, "00000001", ntime, format!("{nonce:08x}")]),
        };
        client.note_act();
        if !client.goes_on() {
            return;
        }
        stream.set_nonblocking(true).expect("a socket has a mode");
        let is_open = client.read(&mut stream).is_some();
        stream.set_nonblocking(false).expect("a socket has a mode");
        if !is_open || !client.send(&mut stream, line("mining.submit", &share).as_bytes()) {
            return client.note_closed();
        }
    }
}

/// A port scanner: connected, and gone.
fn scanner(client: &Client) {
    drop(client.connect());
    client.note_act();
    client.rest(5);
}

/// Asks and asks, and reads nothing.
fn deaf(client: &Client) {
    let Some(mut stream) = client.connect_narrow() else { return };
    let lines = line(&"unheard".repeat(100), &json!([])).repeat(5);
    while client.goes_on() {
        client.note_act();
        if !client.send(&mut stream, lines.as_bytes()) {
            return client.note_closed();
        }
    }
}

/// One name after the other.
fn names(client: &Client) {
    let Some(mut stream) = client.connect() else { return };
    let mut heard = String::new();
    let first =
        client.number as u64 * 1_000_000_000 + u64::from(stream.local_addr().map_or(0, |from| from.port())) * 100;
    if !enter(client, &mut stream, &named(client, first), "x", &mut heard) {
        return client.note_closed();
    }
    for name in 0..20 {
        client.note_act();
        let authorize = line("mining.authorize", &json!([named(client, first + name), "x"]));
        if !client.send(&mut stream, authorize.as_bytes()) || client.read(&mut stream).is_none() {
            return client.note_closed();
        }
    }
}

/// Subscribes and authorises, and takes in what comes until there is a job; `false` when the connection is over.
fn enter(client: &Client, stream: &mut TcpStream, user: &str, password: &str, heard: &mut String) -> bool {
    let hello = line("mining.subscribe", &json!(["hostile/1"])) + &line("mining.authorize", &json!([user, password]));
    if !client.send(stream, hello.as_bytes()) {
        return false;
    }
    while client.goes_on() && !heard.contains("mining.notify") && !heard.contains("anned") {
        match client.read(stream) {
            Some(more) => *heard += &more,
            None => return false,
        }
    }
    true
}

/// One of its names.
fn named(client: &Client, index: u64) -> String {
    let mut hash = [0xbb; 20];
    hash[..8].copy_from_slice(&index.to_be_bytes());
    hash[8..16].copy_from_slice(&(client.number as u64).to_be_bytes());
    address_of(&hash)
}

fn line(method: &str, params: &Value) -> String {
    json!({"id": 1, "method": method, "params": params}).to_string() + "\n"
}
