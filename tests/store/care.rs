//! The commands over the ledger's file: what goes out comes back the same, and nothing is overwritten or half done.

use std::fs;
use std::path::Path;
use std::process::Output;

use edgepool::coin::script::Script;
use edgepool::pool::identity::Identity;
use edgepool::pool::record::*;
use edgepool::shell::store::{Store, StoreError};

use crate::program;
use crate::scene::*;

fn ledger(arguments: &[&str], data_dir: &Path) -> Output {
    let mut command = program::command();
    command.arg("ledger").args(arguments).arg("--data-dir").arg(data_dir);
    command.output().expect("edgepool can be started")
}

/// What a command that must succeed prints.
#[track_caller]
fn done(arguments: &[&str], data_dir: &Path) -> String {
    let output = ledger(arguments, data_dir);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that must fail says.
#[track_caller]
fn refused(arguments: &[&str], data_dir: &Path) -> String {
    let output = ledger(arguments, data_dir);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("test directories have plain names")
}

/// One entry of every kind, with the largest and the strangest that each can hold.
fn entries() -> Vec<Entry> {
    let at = Stamp { pool_ms: u64::MAX, wall_ms: 0 };
    let (chain, hash) = (7, core::array::from_fn(|index| index as u8));
    let strange = "\u{0}\"\\ü\u{1f4a9}\n".to_string();
    let status = |status, is_final| Entry::BlockJudged(BlockJudged { chain, hash, at, status, is_final });
    let paid = |status| Entry::PaymentJudged(PaymentJudged { chain, payment: u64::MAX, at, status });
    let found = BlockFound {
        chain,
        hash,
        height: u32::MAX,
        at,
        job_at: Stamp::default(),
        finder: u32::MAX,
        worker: strange.clone(),
        network_difficulty: u64::MAX,
        total_work: u128::MAX,
        value: u64::MAX,
        fee_ppm: 1,
        min_payout: 2,
        max_outputs: 3,
        pool_script: (0..=255).collect(),
        pool_amount: 4,
        outputs: vec![Payout { miner: 1, amount: u64::MAX }],
        parts: vec![Part { miner: 1, work: u64::MAX, balance_before: i64::MIN, entitled: u64::MAX }],
        rebuilt: true,
    };
    let signed = PaymentSigned {
        chain,
        payment: 1,
        at,
        txid: hash,
        bytes: vec![0xff; 300],
        inputs: vec![OutPoint { txid: hash, vout: u32::MAX }],
        outputs: vec![PaymentOutput { miner: 1, amount: u64::MAX, received: 0 }],
        fee: u64::MAX,
    };
    let term = |to| Entry::TermSet(TermSet { chain, at, to, configured: Term::PoolScript(vec![]) });
    vec![
        term(Term::FeePpm(u32::MAX)),
        term(Term::PoolScript(vec![0, 1])),
        term(Term::MinPayout(u64::MAX)),
        Entry::BlockFound(Box::new(found)),
        status(BlockStatus::Submitted, false),
        status(BlockStatus::Accepted, false),
        status(BlockStatus::Rejected(strange.clone()), true),
        status(BlockStatus::Orphaned(String::new()), false),
        status(BlockStatus::Confirmed, true),
        Entry::PaymentQueued(PaymentQueued {
            chain,
            payment: 1,
            at,
            wanted: vec![0, u32::MAX],
            threshold: u64::MAX,
            is_scheduled: true,
        }),
        Entry::PaymentSigned(Box::new(signed)),
        paid(PaymentStatus::Queued),
        paid(PaymentStatus::Signed),
        paid(PaymentStatus::Sent),
        paid(PaymentStatus::Settled { height: u32::MAX, block: hash }),
        paid(PaymentStatus::Conflicted(strange.clone())),
        paid(PaymentStatus::Dropped(strange)),
        Entry::AddressNamed(AddressNamed {
            chain,
            miner: u32::MAX,
            at,
            script: (0..=255).collect(),
            by_operator: true,
        }),
    ]
}

/// A ledger of three pools: one with everything, one in which nothing happened yet, and one that just began.
fn full() -> Scratch {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc", "empty", "btc"]);
    let cells = (0..700).map(|miner| (key(9_000, miner), cell(miner))).chain([(key(u64::MAX, 1), cell(u32::MAX))]);
    let named = Identity::new(Script::p2pkh(&[1; 20]), vec![(1, Script::p2sh(&[2; 20])), (7, Script::p2pkh(&[3; 20]))]);
    let miners = (0..300).map(|miner| (miner, vec![miner as u8; miner as usize % 40]));
    let everything = Batch {
        clock: clock(77),
        journal: (1..).zip(entries()).collect(),
        cells: cells.collect(),
        miners: miners.chain([(300, named.to_bytes())]).collect(),
        // Of a block that its node keeps there is the proof alone.
        blocks: (1..90).map(kept).chain([([0x77; 32], vec![5; 700].into())]).collect(),
        ..Batch::default()
    };
    store.commit(&[(0, &everything), (2, &Batch { clock: clock(3), ..Batch::default() })]).unwrap();
    // Some of the cells are newer than those in their own places.
    store
        .commit(&[(0, &Batch { clock: clock(78), cells: vec![(key(9_000, 5), cell(1))], ..Batch::default() })])
        .unwrap();
    scratch
}

#[test]
fn what_is_exported_and_imported_exports_as_the_same_bytes() {
    let (from, to) = (full(), Scratch::new());
    let text = done(&["export"], &from.0);
    assert_eq!(text.lines().count(), 1 + 2 + 301 + 701 + 18 + 90 + 1);
    assert!(text.starts_with(r#"{"header":{"schema":2,"pools":["btc","empty","ltc"]}}"#), "{}", &text[..80]);
    let file = from.0.join("ledger.jsonl");
    let said = done(&["export", path(&file)], &from.0);
    assert!(said.contains("lines in"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(refused(&["export", path(&file)], &from.0).contains("is there already"));

    done(&["import", path(&file)], &to.0);
    assert_eq!(done(&["export", "-"], &to.0), text);
    let (one, other) = (open(&from.0, &["ltc", "empty", "btc"]), open(&to.0, &["ltc", "empty", "btc"]));
    for pool in 0..3 {
        assert_eq!(one.load(pool).unwrap(), other.load(pool).unwrap());
        assert_eq!(one.head(pool).unwrap(), other.head(pool).unwrap());
    }
    assert_eq!(journal(&other), (1..).zip(entries()).collect::<Vec<_>>());
    // It goes on where it was.
    other.commit(&[(0, &Batch { clock: clock(79), journal: vec![(19, entry(19))], ..Batch::default() })]).unwrap();
}

#[test]
fn an_import_takes_nothing_that_is_cut_short_altered_or_foreign() {
    let from = full();
    let text = done(&["export"], &from.0);
    let lines: Vec<&str> = text.lines().collect();
    let without = |gone: usize| {
        let left = lines.iter().enumerate().filter(|(number, _)| *number != gone);
        left.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let entry_at = lines.iter().position(|line| line.contains(r#""seq":3,"#)).expect("there is a third entry");
    let newer = text.replacen(r#""schema":2"#, r#""schema":3"#, 1);
    let case = |what: &str, altered: String, said: &str| {
        let to = Scratch::new();
        fs::create_dir_all(&to.0).unwrap();
        let file = to.0.join("x");
        fs::write(&file, altered).unwrap();
        let error = refused(&["import", path(&file)], &to.0);
        assert!(error.contains(said), "{what}: {error}");
        assert!(!to.0.join("ledger/data.mdb").exists() && !to.0.join("ledger/making").exists(), "{what}");
    };
    case("nothing", String::new(), "begins with its header");
    case("no header", without(0), "begins with its header");
    case("no end", without(lines.len() - 1), "it was cut short");
    case("half a line", text[..text.len() - 9].into(), "line ");
    case("a line less", without(5), "lines should be before it");
    case("a newer format", newer, "format 3");
    case("an entry less", without(entry_at), "does not follow from the entry before it");
    let entry_case = |what: &str, from: &str, to: &str| {
        let altered = text.replacen(from, to, 1);
        assert_ne!(altered, text, "{what}");
        case(what, altered, "does not follow from the entry before it");
    };
    entry_case("an amount", r#""balance_before":-9223372036854775808"#, r#""balance_before":-9223372036854775807"#);
    entry_case("a fee", r#""FeePpm":4294967295"#, r#""FeePpm":4294967294"#);
    entry_case("a text", "💩", "💪");
    let scripts = text.match_indices(r#""script":""#).map(|(at, name)| at + name.len());
    let script = scripts.into_iter().find(|at| !text[*at..].starts_with('"')).unwrap();
    let other = if text[script..].starts_with('0') { "1" } else { "0" };
    let altered = format!("{}{other}{}", &text[..script], &text[script + 1..]);
    case("a script", altered, "a line before it was altered");
    case(
        "a pool out of order",
        text.replacen(r#"["btc","empty","ltc"]"#, r#"["ltc","empty","btc"]"#, 1),
        "out of order",
    );
    case("an unknown key", text.replacen(r#""end":{"#, r#""end":{"x":1,"#, 1), "unknown field");
    case("more", format!("{text}{}\n", lines[1]), "more after the end");
    case("two headers", format!("{}\n{text}", lines[0]), "second header");
}

#[test]
fn an_import_replaces_nothing() {
    let (from, to) = (full(), full());
    let file = from.0.join("x");
    done(&["export", path(&file)], &from.0);
    assert!(refused(&["import", path(&file)], &to.0).contains("edgepool ledger restore"));
    let store = open(&to.0, &["ltc"]);
    let error = refused(&["import", path(&file)], &to.0);
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    let _ = store.set_aside("a test".into());
    assert!(refused(&["import", path(&file)], &to.0).contains("edgepool ledger restore"));
}

#[test]
fn backups_and_exports_of_a_ledger_in_use_are_whole_and_of_one_moment() {
    let scratch = Scratch::new();
    let store = open(&scratch.0, &["ltc"]);
    store.commit(&[(0, &batch(1))]).unwrap();
    let dir = scratch.0.clone();
    let tools = std::thread::spawn(move || {
        for number in 0..6 {
            done(&["backup", path(&dir.join(format!("copy-{number}")))], &dir);
            done(&["export", path(&dir.join(format!("export-{number}")))], &dir);
        }
    });
    let mut last = 1;
    while !tools.is_finished() {
        last += 1;
        store.commit(&[(0, &Batch { settled_blocks: vec![kept((last - 1) as u8).0], ..batch(last) })]).unwrap();
    }
    tools.join().unwrap();
    let mut sizes = Vec::new();
    for number in 0..6 {
        let copy = scratch.0.join(format!("copy-{number}"));
        let imported = Scratch::new();
        done(&["import", path(&scratch.0.join(format!("export-{number}")))], &imported.0);
        for dir in [&copy, &imported.0] {
            let snapshot = Store::open_read_only(dir).unwrap();
            let head = snapshot.head(0).unwrap();
            let recovered = snapshot.load(0).unwrap();
            assert_eq!((recovered.clock, recovered.miners.len()), (Some(clock(head.seq)), head.seq as usize));
            assert_eq!((recovered.cells.len(), recovered.blocks.len()), (head.seq as usize, 1));
            assert!(snapshot.check().unwrap().is_empty());
            sizes.push(head.seq);
        }
        assert!(refused(&["backup", path(&copy)], &scratch.0).contains("holds a ledger already"));
    }
    assert!(sizes.windows(2).all(|pair| pair[0] <= pair[1]) && sizes[11] > sizes[0], "{sizes:?}");
}

#[test]
fn a_backup_or_an_export_takes_a_damaged_ledgers_place() {
    let good = full();
    let (copy, file) = (good.0.join("copy"), good.0.join("file"));
    done(&["backup", path(&copy)], &good.0);
    done(&["export", path(&file)], &good.0);
    let text = done(&["export"], &good.0);
    for backup in [&copy, &copy.join("ledger"), &file] {
        let scratch = full();
        let data = scratch.0.join("ledger/data.mdb");
        fs::write(&data, [0x5a; 9_000]).unwrap();
        let said = done(&["restore", path(backup)], &scratch.0);
        assert!(said.contains("ledger.replaced-1"), "{said}");
        assert_eq!(fs::read(scratch.0.join("ledger.replaced-1/data.mdb")).unwrap(), [0x5a; 9_000]);
        assert_eq!(done(&["export"], &scratch.0), text);

        // The same when the daemon had put it aside.
        fs::write(&data, [0x5a; 9_000]).unwrap();
        assert!(matches!(Store::open(&scratch.0, 16, &["ltc"]), Err(StoreError::SetAside { .. })));
        done(&["restore", path(backup)], &scratch.0);
        assert_eq!(done(&["export"], &scratch.0), text);
        assert!(scratch.0.join("ledger.damaged-1/data.mdb").exists());
        open(&scratch.0, &["ltc"]);
    }
}

#[test]
fn every_file_of_a_ledger_is_its_owners_alone_wherever_it_came_from() {
    use std::os::unix::fs::PermissionsExt;
    #[track_caller]
    fn check(directory: &Path, names: &[&str]) {
        for name in names {
            let mode = fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
    }
    let (made, restored, imported) = (full(), full(), Scratch::new());
    let (copy, file) = (made.0.join("copy"), made.0.join("file"));
    check(&made.0.join("ledger"), &["data.mdb", "lock.mdb", "edgepool.lock"]);
    done(&["backup", path(&copy)], &made.0);
    check(&copy.join("ledger"), &["data.mdb"]);
    done(&["export", path(&file)], &made.0);
    done(&["restore", path(&copy)], &restored.0);
    done(&["import", path(&file)], &imported.0);
    for scratch in [&restored, &imported] {
        check(&scratch.0.join("ledger"), &["data.mdb", "edgepool.lock", "payments.held"]);
    }
}

#[test]
fn the_file_that_holds_payments_says_what_a_higher_minimum_payout_does_and_of_which_chain() {
    let scratch = full();
    let copy = scratch.0.join("copy");
    done(&["backup", path(&copy)], &scratch.0);
    done(&["restore", path(&copy)], &scratch.0);
    let words = fs::read_to_string(scratch.0.join("ledger/payments.held")).unwrap();
    assert!(words.contains("only delays") && words.contains("he is paid both, the old sum\ntoo"), "{words}");
    assert!(words.starts_with("This ledger was put back") && words.lines().all(|line| line.len() <= 125), "{words}");
    // The command as it is to be typed.
    let named = words.lines().find_map(|line| line.trim().strip_prefix("edgepool call setminpayout '")).unwrap();
    let parameters: serde_json::Value = serde_json::from_str(named.split_once('\'').unwrap().0).unwrap();
    assert_eq!(parameters, serde_json::json!({ "amount": "AMOUNT", "pool": "POOL", "chain": "CHAIN" }));
}

#[test]
fn a_restore_refuses_what_is_no_backup_and_a_ledger_in_use() {
    let (good, scratch) = (full(), full());
    let copy = good.0.join("copy");
    done(&["backup", path(&copy)], &good.0);
    let before = done(&["export"], &scratch.0);
    let store = open(&scratch.0, &["ltc"]);
    assert!(refused(&["restore", path(&copy)], &scratch.0).contains("is using the ledger"));
    drop(store);
    assert!(refused(&["restore", "/nowhere"], &scratch.0).contains("neither a backup nor an export"));
    tamper(&copy, "ltc.journal", |db, txn| db.put(txn, &2u64.to_be_bytes(), &[0; 50]).unwrap());
    assert!(refused(&["restore", path(&copy)], &scratch.0).contains("record 0000000000000002 of ltc.journal"));
    fs::write(copy.join("ledger/data.mdb"), [1; 9_000]).unwrap();
    assert!(refused(&["restore", path(&copy)], &scratch.0).contains("damaged"));
    fs::write(copy.join("export"), "no export\n").unwrap();
    assert!(refused(&["restore", path(&copy.join("export"))], &scratch.0).contains("line 1"));
    assert_eq!(done(&["export"], &scratch.0), before);
    assert!(
        !scratch.0.join("ledger/payments.held").exists(),
        "the ledger is still the old one, which knows its payments"
    );
    assert!(!scratch.0.join("ledger.replaced-1").exists());
}

#[test]
fn a_missing_ledger_is_said_to_be_missing() {
    let scratch = Scratch::new();
    for arguments in [&["export"][..], &["backup", "/nowhere/x"]] {
        assert!(refused(arguments, &scratch.0).contains("there is no ledger in"));
    }
    assert!(!scratch.0.exists(), "nothing is made");
}

#[test]
fn what_root_does_is_left_to_the_ledgers_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    let scratch = full();
    let copy = scratch.0.join("copy");
    done(&["backup", path(&copy)], &scratch.0);
    let ledger = scratch.0.join("ledger");
    let own = fs::metadata(&ledger).unwrap().uid();
    // Only root can give files away; for anybody else the owner is the only one there is.
    let owner = if chown(&ledger, Some(65_534), None).is_ok() { 65_534 } else { own };
    done(&["restore", path(&copy)], &scratch.0);
    done(&["export", path(&scratch.0.join("file"))], &scratch.0);
    for name in ["data.mdb", "lock.mdb", "edgepool.lock"] {
        assert_eq!(fs::metadata(ledger.join(name)).unwrap().uid(), owner, "{name}");
    }
    assert_eq!(fs::metadata(scratch.0.join("ledger.replaced-1")).unwrap().uid(), owner);
}
