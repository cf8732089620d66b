//! The program as people call it: arguments, exit codes, and what `check` and `demo` say.

#![cfg(feature = "shell")]

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use edgepool::pool::record::{Batch, Cell, CellKey};
use edgepool::shell::store::Store;

/// Done.
const DONE: i32 = 0;
/// Failed while running.
const FAILED: i32 = 1;
/// Wrong usage or configuration.
const WRONG: i32 = 2;
/// Not everything could be checked.
const UNCHECKED: i32 = 3;

fn edgepool(arguments: &[&str]) -> Output {
    program::command().args(arguments).output().expect("edgepool can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("edgepool prints text")
}

fn configuration(name: &str, json: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, json).unwrap();
    path
}

#[test]
fn every_command_explains_itself() {
    for arguments in [
        &["--help"][..],
        &["help"],
        &["run", "--help"],
        &["check", "--help"],
        &["demo", "--help"],
        &["status", "--help"],
        &["call", "--help"],
        &["ledger", "--help"],
        &["help", "ledger"],
        &["ledger", "export", "--help"],
        &["help", "ledger", "restore"],
        &["bench", "ledger", "--help"],
        &["bench", "load", "--help"],
        &["bench", "vardiff", "--help"],
    ] {
        let output = edgepool(arguments);
        assert_eq!(output.status.code(), Some(DONE), "{arguments:?}");
        assert!(text(&output.stdout).contains("edgepool"), "{arguments:?}");
    }
    let version = edgepool(&["--version"]);
    assert_eq!(text(&version.stdout).trim(), concat!("edgepool ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_was_meant() {
    for (arguments, hint) in [
        (&["rnu"][..], "run"),
        (&["run", "--confg", "x"], "--config"),
        (&["demo", "--seconds", "soon"], "seconds"),
        (&["call"], "METHOD"),
        (&["ledger"], "export, import, backup, restore"),
        (&["ledger", "exprot"], "export"),
        (&["ledger", "import"], "FILE"),
        (&["ledger", "export", "--config", "/nowhere/x.json"], "/nowhere/x.json"),
    ] {
        let output = edgepool(arguments);
        assert_eq!(output.status.code(), Some(WRONG), "{arguments:?}");
        assert!(text(&output.stderr).contains(hint), "{arguments:?}: {}", text(&output.stderr));
    }
}

/// What bash offers for the last of these words.
#[track_caller]
fn completed(words: &[&str]) -> Vec<String> {
    let output = edgepool(&["completion"]);
    assert_eq!(output.status.code(), Some(DONE));
    let script = format!(
        "{}\nCOMP_WORDS=(edgepool \"$@\") COMP_CWORD=$#\n_edgepool\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        text(&output.stdout)
    );
    let bash = Command::new("bash").args(["-c", &script, "bash"]).args(words).output().expect("bash is there");
    assert!(bash.status.success() && bash.stderr.is_empty(), "{words:?}: {}", text(&bash.stderr));
    text(&bash.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(completed(&["led"]), ["ledger"]);
    assert_eq!(completed(&["ledger", "re"]), ["restore", "rebuild"]);
    assert_eq!(completed(&["run", "--c"]), ["--config"]);
    assert_eq!(completed(&["ledger", "verify", "--no"]), ["--node"]);
    assert_eq!(completed(&["ledger", "rebuild", "--from", "x", "--"]), ["--from", "--config", "--data-dir", "--help"]);
    assert!(completed(&[""]).contains(&"--version".to_string()));
    // Paths are the shell's own affair, and a number is nobody's.
    for words in [&["run", "--config", ""][..], &["ledger", "import", ""], &["demo", "--seconds", ""]] {
        assert!(completed(words).is_empty(), "{words:?}");
    }
}

#[test]
fn check_names_every_mistake_at_once_by_its_path() {
    let path = configuration(
        "mistakes.json",
        r#"{
            "data_dri": "/tmp",
            "pools": [{
                "name": "ltc", "coin": "litecoin", "network": "mainnet",
                "nodes": [{ "url": "http://127.0.0.1:9332", "user": "u", "password": "very-secret" }],
                "payout": { "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr", "min_payout": 0.001,
                            "fee_percent": "101" }
            }]
        }"#,
    );
    let output = edgepool(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(WRONG));
    let said = text(&output.stderr);
    for expected in
        ["data_dri", "data_dir", "pools[0].payout.address", "pools[0].payout.min_payout", "pools[0].payout.fee_percent"]
    {
        assert!(said.contains(expected), "{expected} is missing in: {said}");
    }
    assert!(!said.contains("very-secret"), "{said}");
    assert!(said.contains(&format!("correct {}, and start the pool again", path.display())), "{said}");
    assert_eq!(edgepool(&["run", "--config", path.to_str().unwrap()]).status.code(), Some(WRONG));
}

#[test]
fn a_configuration_that_is_not_there_can_not_be_corrected() {
    let output = edgepool(&["check", "--config", "/nowhere/edgepool.json"]);
    assert_eq!(output.status.code(), Some(WRONG));
    let said = text(&output.stderr);
    assert!(said.contains("/nowhere/edgepool.json: can't be read") && said.contains("--config"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn check_shows_what_would_run_and_no_secret() {
    let path = configuration(
        "good.json",
        r#"{ "pools": [{ "coin": "litecoin", "network": "regtest",
             "nodes": [{ "url": "http://127.0.0.1:19443", "user": "u", "password": "very-secret" }],
             "payout": { "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr" } }] }"#,
    );
    let output = edgepool(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(DONE), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for expected in ["litecoin regtest", "fee_percent 1.0", "min_payout 0.00100000", "0.0.0.0:3333", "commit_ms 250"] {
        assert!(said.contains(expected), "{expected} is missing in: {said}");
    }
    assert!(!said.contains("very-secret"), "{said}");
}

#[test]
fn a_check_that_could_not_be_made_has_an_exit_code_of_its_own() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("unchecked-{}", std::process::id()));
    drop(Store::open(&directory, 16, &["ltc"]).unwrap());
    let path = configuration(
        "unchecked.json",
        &format!(
            r#"{{ "data_dir": {directory:?}, "pools": [{{ "coin": "litecoin", "network": "regtest",
                "nodes": [{{ "url": "http://127.0.0.1:9" }}],
                "payout": {{ "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr" }} }}] }}"#
        ),
    );
    let output = edgepool(&["ledger", "verify", "--node", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(UNCHECKED));
    assert!(text(&output.stdout).contains("pool ltc: 0 entries"), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("not everything could be checked") && said.contains("http://127.0.0.1:9: "), "{said}");
    assert!(!said.contains("not true"), "{said}");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn what_a_ledger_holds_is_printed_also_when_it_is_not_true() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("untrue-{}", std::process::id()));
    let store = Store::open(&directory, 16, &["ltc"]).unwrap();
    // Work of nobody.
    let nobodys = (CellKey { slot_start_ms: 0, miner: 44 }, Cell { work: 1, shares: 1 });
    store.commit(&[(0, &Batch { cells: vec![nobodys], ..Batch::default() })]).unwrap();
    drop(store);
    let output = edgepool(&["ledger", "verify", "--data-dir", directory.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(FAILED));
    assert!(text(&output.stdout).contains("pool ltc: 0 entries"), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("the ledger is not true") && said.contains("cell of miner 44"), "{said}");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn check_warns_of_logins_that_can_not_be_read() {
    let path = configuration(
        "logins.json",
        r#"{ "pools": [{ "coin": "litecoin", "network": "regtest",
             "nodes": [{ "url": "http://127.0.0.1:9", "cookie_file": "/nowhere/.cookie" },
                       { "url": "http://127.0.0.1:9", "user": "u", "password_file": "/nowhere/pass" }],
             "payout": { "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr" } }] }"#,
    );
    let output = edgepool(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(DONE));
    let said = text(&output.stderr);
    for expected in [
        "edgepool: warning: pools[0].nodes[0].cookie_file /nowhere/.cookie can't be read",
        "edgepool: warning: pools[0].nodes[1].password_file /nowhere/pass can't be read",
    ] {
        assert!(said.contains(expected), "{expected} is missing in: {said}");
    }
    assert!(text(&output.stdout).contains("litecoin regtest"));
}

#[test]
fn asking_a_pool_that_is_not_there_fails() {
    let path = configuration(
        "elsewhere.json",
        r#"{ "rpc": { "listen": "0.0.0.0:9" }, "pools": [{ "coin": "litecoin", "network": "regtest",
             "nodes": [{ "url": "http://127.0.0.1:1" }],
             "payout": { "address": "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr" } }] }"#,
    );
    let config = path.to_str().unwrap();
    for arguments in [
        &["status", "--url", "http://127.0.0.1:9"][..],
        &["call", "uptime", "--url", "http://127.0.0.1:9"],
        &["status", "--config", config],
        &["call", "uptime", "--config", config],
    ] {
        let output = edgepool(arguments);
        assert_eq!(output.status.code(), Some(FAILED), "{arguments:?}");
        assert!(text(&output.stderr).contains("127.0.0.1:9"), "{}", text(&output.stderr));
    }
}

/// Chance decides when a block comes; this is beyond all chance.
const PATIENCE_S: &str = "240";

/// The whole pool, with a chain that checks what it is given: three kinds of addresses are paid, and the ledger says
/// what the chain says.
#[test]
fn the_demo_pays_three_kinds_of_addresses_and_its_books_balance() {
    let mut demo = program::command()
        .args(["demo", "--seconds", PATIENCE_S])
        .stdout(Stdio::piped())
        .spawn()
        .expect("edgepool can be started");
    let mut lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines().map(|line| line.unwrap());
    let mut missing = vec!["rltc1q", "m", "Q"];
    while !missing.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("nobody with {missing:?} was paid in {PATIENCE_S} s"));
        let output = line.strip_prefix("  ").filter(|output| !output.contains("(pool)"));
        missing.retain(|prefix| !output.is_some_and(|output| output.starts_with(prefix)));
    }

    // As Ctrl-C does.
    let interrupted = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(demo.wait().unwrap().code(), Some(DONE));
    assert!(rest.iter().any(|line| line.contains("the books balance")), "{rest:#?}");
    let summary = rest.iter().find(|line| line.contains("the chain has the same of")).expect("a summary");
    let numbers: Vec<u64> = summary.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [found, agreed, shown] = numbers[..] else { panic!("three counts in: {summary}") };
    // Of the last block the node may not have said anything yet when the pool was stopped.
    assert!(shown > 0 && shown <= found && found <= shown + 1, "{summary}");
    assert_eq!(agreed, shown, "the chain and the ledger agree: {summary}");
}

#[test]
fn the_ledgers_figures_are_measured_on_a_ledger_that_is_gone_afterwards() {
    // Thousands of commits are synced; in memory, where there is such a place, that takes no time.
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { PathBuf::from(env!("CARGO_TARGET_TMPDIR")) };
    let directory = place.join(format!("edgepool-bench-test-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let bench = |options: &[&str]| {
        let place = ["bench", "ledger", "--miners", "20", "--data-dir", directory.to_str().unwrap()];
        let output = edgepool(&[&place[..], options].concat());
        assert_eq!(output.status.code(), Some(DONE), "{}", text(&output.stderr));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "nothing stays");
        text(&output.stdout)
    };
    let wear = bench(&["--commits", "30"]);
    for row in ["      250 |      345600 |", "     1000 |       86400 |", "     5000 |       17280 |"] {
        assert!(wear.contains(row), "{wear}");
    }
    let year = bench(&["--year", "--blocks-per-day", "1"]);
    assert!(year.contains("365 blocks with a part for each of 20 miners"), "{year}");
    assert!(year.contains("paid + owed + fees, to the unit"), "{year}");
    fs::remove_dir(directory).unwrap();
}

#[test]
fn a_crowd_of_rigs_is_measured_and_leaves_nothing_behind() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let place = directory.to_str().unwrap();
    let output = edgepool(&["bench", "load", "--connections", "50", "--seconds", "1", "--data-dir", place]);
    assert_eq!(output.status.code(), Some(DONE), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for row in ["50 rigs connect", "last rig notified", "a bare loop", "shares accepted and on disk", "all"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "nothing stays");
    fs::remove_dir(directory).unwrap();
}
