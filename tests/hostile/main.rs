//! A hundred hostile clients of ten kinds beside five hundred honest ones, all over real sockets at the binary as it
//! ships, each hostile one from an address of its own. Whatever they do, every honest share is answered `true` and no
//! honest connection ends. What it does to the latency is printed, not judged: that depends on the machine.
//!
//! The ordinary run is a short one with fewer of each. `EDGEPOOL_HOSTILE=60` runs at full size, for so many seconds
//! without and so many with the hostile ones; from 420 on floods are seen to be banned. In between the hostile ones are at
//! another pool of the same machine, which they load as much: what the latency is then is the machine's part of it.

mod honest;
mod hostile;
mod kinds;
mod place;
#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeMap;
use std::env;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use honest::{Crowd, Latencies};
use hostile::{Horde, Tally};
use place::Place;
use serde_json::{Value, json};

/// Without the hostile ones at this pool, one minute is like another.
const LONGEST_QUIET: Duration = Duration::from_secs(60);

/// How large a run is.
struct Size {
    honest: usize,
    /// Of each kind.
    hostile: usize,
    phase: Duration,
    /// Between two shares of an honest rig.
    interval: Duration,
}

impl Size {
    fn of_this_run() -> Size {
        let (second, seconds) = (Duration::from_secs(1), env::var("EDGEPOOL_HOSTILE").ok());
        match seconds.map(|text| text.parse().expect("EDGEPOOL_HOSTILE is a number of seconds")) {
            Some(seconds) => Size { honest: 500, hostile: 10, phase: second * seconds, interval: 10 * second },
            None => Size { honest: 60, hostile: 2, phase: 6 * second, interval: 2 * second },
        }
    }
}

#[test]
fn hostile_clients_cost_nobody_but_themselves() {
    let size = Size::of_this_run();
    let place = Place::prepare("horde", 4_000);
    let crowd = Crowd::start(place.stratum, size.honest, size.interval);
    let begun = place.processor_ticks();
    let quiet = crowd.watch(size.phase.min(LONGEST_QUIET));
    let alone = place.processor_ticks();
    let other = Place::prepare("other", 4_000);
    let elsewhere = Horde::start(other.stratum, size.hostile);
    let beside = crowd.watch(size.phase.min(LONGEST_QUIET));
    check_kinds(&elsewhere.stop());
    drop(other);
    let (before_kb, begun_here) = (place.resident_kb(), place.processor_ticks());

    let horde = Horde::start(place.stratum, size.hostile);
    let beset = crowd.watch(size.phase);
    let bans = place.rpc("listbanned");
    let (after_kb, end) = (place.resident_kb(), place.processor_ticks());
    let tallies = horde.stop();
    let done = crowd.stop();

    println!("{} honest rigs, {} hostile clients of each kind, {:?}", size.honest, size.hostile, size.phase);
    print_latencies("alone", &quiet);
    print_latencies("hostile ones elsewhere", &beside);
    print_latencies("with hostile clients", &beset);
    for (kind, tally) in &tallies {
        println!("{kind:<12} {tally}");
    }
    let percent = |ticks: u64, time: Duration| ticks as f64 / time.as_secs_f64();
    let (alone, with) = (percent(alone - begun, size.phase.min(LONGEST_QUIET)), percent(end - begun_here, size.phase));
    println!("pool's processor time {alone:.1} % alone, {with:.1} % with hostile clients");
    println!("pool's memory {before_kb} kB, then {after_kb} kB; bans: {bans}");

    assert_eq!((done.refused, done.closed), (0, 0), "honest rigs lost shares or connections: {:?}", done.complaints);
    assert_eq!(done.accepted, done.submitted, "honest shares without an answer");
    assert!(
        quiet.shares.len() >= size.honest && beset.shares.len() >= size.honest,
        "as many shares are judged as there are rigs, or more"
    );
    check_kinds(&tallies);
    assert!(after_kb < before_kb + 64 * 1024, "hostile clients are kept in memory: {before_kb} kB, {after_kb} kB");
    if size.phase >= Duration::from_secs(420) {
        let banned = bans["result"].as_array().map_or(0, Vec::len);
        assert!(banned >= size.hostile, "floods of many minutes are banned: {bans}");
    }
}

#[test]
fn a_lack_of_descriptors_costs_newcomers_and_neither_rigs_nor_the_status_port() {
    // For the pool's own files, its node and the status port some 130 of them are kept.
    let place = Place::prepare("poor", 200);
    assert!(place.log().contains("rigs beyond the first"), "{}", place.log());
    let crowd = Crowd::start(place.stratum, 20, Duration::from_millis(500));
    let idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(place.stratum).unwrap()).collect();
    crowd.watch(Duration::from_secs(3));
    let info = place.rpc("getinfo");
    let pool = &info["result"]["pools"][0];
    assert!(
        pool["connections"].as_u64().unwrap() < 100 && pool["turned_away"]["full"].as_u64().unwrap() > 100,
        "{pool}"
    );
    assert_eq!(pool["chains"][0]["nodes"][0]["in_use"], true, "{pool}");
    let mut told = String::new();
    idle.last().unwrap().read_to_string(&mut told).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["error"], json!([20, "Pool is full: too many connections", null]));
    drop(idle);

    let late = Crowd::start(place.stratum, 20, Duration::from_millis(500));
    late.watch(Duration::from_secs(2));
    for crowd in [crowd, late] {
        let done = crowd.stop();
        assert!(done.accepted > 0);
        assert_eq!((done.submitted, done.closed), (done.accepted, 0), "{:?}", done.complaints);
    }
}

/// Each kind did what it came for, and met what it deserves.
fn check_kinds(tallies: &BTreeMap<&str, Tally>) {
    assert_eq!(tallies.len(), kinds::KINDS.len());
    for (kind, tally) in tallies {
        assert!(tally.acts > 0, "{kind} did nothing: {tally}");
        assert_eq!(tally.surprises, 0, "{kind} met something else than it should: {tally}");
    }
    for shown_out in ["garbage", "endless", "http", "tls", "deaf"] {
        assert!(tallies[shown_out].closed > 0, "{shown_out} is never shown out: {}", tallies[shown_out]);
    }
}

fn print_latencies(name: &str, latencies: &Latencies) {
    let of = |sorted: &[Duration], percent: usize| {
        let at = sorted.len().saturating_sub(1) * percent / 100;
        sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1_000.0)
    };
    for (what, sorted) in [("share", &latencies.shares), ("ping", &latencies.pings)] {
        let (median, high) = (of(sorted, 50), of(sorted, 99));
        println!("{name:<22} {what:<6} {:>6} answers, median {median:.2} ms, 99 % within {high:.2} ms", sorted.len());
    }
}
