//! Nothing that was acknowledged is lost, whenever the process dies.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scene::*;

const CHILD: &str = "EDGEPOOL_STORE_TEST_DIR";

/// Not a test by itself: the process that [`nothing_acknowledged_is_lost_by_kill_9`] kills.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&dir), &["ltc"]);
    for number in journal(&store).len() as u32 + 1.. {
        store.commit(&[(0, &batch(number))]).unwrap();
        println!("\ncommitted {number}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let scratch = Scratch::new();
    let mut acknowledged = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_commits_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD, &scratch.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = |line: std::io::Result<String>| {
            if let Some(number) = line.unwrap().strip_prefix("committed ") {
                acknowledged = number.parse().unwrap();
            }
            acknowledged
        };
        let enough = lines.any(|line| seen(line) >= round * 5);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(enough, "the child ended by itself");
        // What it had printed before it died counts as well.
        lines.for_each(|line| {
            seen(line);
        });

        let store = open(&scratch.0, &["ltc"]);
        let recovered = store.load(0).unwrap();
        let written = journal(&store);
        assert!(written.len() >= acknowledged as usize, "round {round}");
        let expected: Vec<_> = (1..=written.len() as u32).map(|n| (u64::from(n), entry(n))).collect();
        assert_eq!(written, expected);
        assert_eq!(recovered.cells.len(), written.len());
        assert_eq!(recovered.clock.unwrap().pool_ms, written.len() as u64 * 1_000);
    }
}
