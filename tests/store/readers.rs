//! Tools read while the daemon writes, and leave nothing behind, even when they are killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use edgepool::pool::record::{Batch, Journal};
use edgepool::shell::store::{Store, StoreError};

use crate::program;
use crate::scene::*;

const DIRECTORY: &str = "EDGEPOOL_READER_TEST_DIR";

/// Not a test by itself: the process that reads, says what it sees, waits for a line and sees the same again.
#[test]
fn child_that_reads() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let snapshot = Store::open_read_only(Path::new(&dir)).unwrap();
    let mut input = String::new();
    loop {
        let head = snapshot.head(0).unwrap();
        let last = snapshot.journal(0).entry(head.seq).unwrap();
        assert_eq!(last, Some(entry(head.seq as u32)));
        assert_eq!(snapshot.load(0).unwrap().clock, Some(clock(head.seq)));
        assert!(snapshot.check().unwrap().is_empty());
        println!("\nsees {:?} {}", snapshot.pools(), head.seq);
        if std::io::stdin().read_line(&mut input).unwrap() == 0 {
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

struct Reader {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Reader {
    fn start(dir: &Path) -> Reader {
        let mut child = program::test_program()
            .args(["--exact", "readers::child_that_reads", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Reader { child, lines }
    }

    fn sees(&mut self) -> String {
        self.lines.find_map(|line| Some(line.unwrap().strip_prefix("sees ")?.to_string())).expect("it reads")
    }

    fn ask(&mut self) {
        use std::io::Write;
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Bytes of the file after a hundred commits that change the same cells.
fn size_after_writing(store: &Store, dir: &Path) -> u64 {
    for number in 0..100 {
        let cells = (0..400).map(|miner| (key(0, miner), cell(number))).collect();
        let clock = store.load(0).unwrap().clock.unwrap();
        store.commit(&[(0, &Batch { clock, cells, ..Batch::default() })]).unwrap();
    }
    std::fs::metadata(dir.join("ledger/data.mdb")).unwrap().len()
}

#[test]
fn a_reader_sees_one_moment_and_keeps_no_pages_when_it_was_killed() {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    (1..=3).for_each(|number| store.commit(&[(0, &batch(number))]).unwrap());
    let settled = size_after_writing(&store, &scratch.0);
    assert_eq!(size_after_writing(&store, &scratch.0), settled, "without a reader the file does not grow");

    let mut reader = Reader::start(&scratch.0);
    assert_eq!(reader.sees(), r#"["ltc"] 3"#);
    store.commit(&[(0, &batch(4))]).unwrap();
    let held = size_after_writing(&store, &scratch.0);
    assert!(held > 2 * settled, "what the reader sees is kept for it");
    reader.ask();
    assert_eq!(reader.sees(), r#"["ltc"] 3"#, "and it sees it still");
    reader.kill();
    let healed = size_after_writing(&store, &scratch.0);
    assert!(healed <= held + settled, "{settled} {held} {healed}");
    assert_eq!(size_after_writing(&store, &scratch.0), healed);
}

#[test]
fn a_reader_killed_while_nobody_writes_is_forgotten_at_the_next_start() {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    store.commit(&[(0, &batch(1))]).unwrap();
    let settled = size_after_writing(&store, &scratch.0);
    // While one lives LMDB does not clear the table because nobody is there.
    let (mut killed, mut living) = (Reader::start(&scratch.0), Reader::start(&scratch.0));
    assert_eq!(killed.sees(), living.sees());
    drop(store);
    killed.kill();
    let store = open(&scratch.0, &["ltc"]);
    living.kill();
    let grown = size_after_writing(&store, &scratch.0);
    assert!(grown <= 2 * settled, "{settled} {grown}");
}

#[test]
fn only_a_ledger_can_be_read() {
    let scratch = Scratch::new();
    assert!(matches!(Store::open_read_only(&scratch.0), Err(StoreError::Missing(_))));
    std::fs::create_dir_all(scratch.0.join("ledger")).unwrap();
    assert!(matches!(Store::open_read_only(&scratch.0), Err(StoreError::Missing(_))));
    std::fs::write(scratch.0.join("ledger/data.mdb"), [0x5a; 20_000]).unwrap();
    assert!(matches!(Store::open_read_only(&scratch.0), Err(StoreError::Damaged(_))));
    assert!(scratch.0.join("ledger/data.mdb").exists(), "a reader moves nothing");
}
