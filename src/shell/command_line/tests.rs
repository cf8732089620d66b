//! Lines as people type them.

use super::table::*;
use super::*;
use crate::pool::spec::NodeSpec;
use crate::shell::bench::hot;
use crate::shell::bench::ledger::Options;
use crate::shell::bench::vardiff;
use crate::shell::config::DEFAULT_PATH;
use crate::shell::ledger::{Task, Which, verify};
use crate::shell::running_pool::{DEFAULT_URL, Reach};
use serde_json::json;

fn parsed(line: &str) -> Result<Command, String> {
    parse(line.split_whitespace().map(OsString::from)).map_err(|usage| usage.to_string())
}

fn local() -> NodeSpec {
    NodeSpec { url: "http://127.0.0.1:8080".into(), authority: "127.0.0.1:8080".into(), path: "/".into() }
}

#[test]
fn every_command_is_read_with_its_options() {
    let case = |line: &str, expected: Command| assert_eq!(parsed(line), Ok(expected), "{line}");
    case("run", Command::Run { config: "/etc/edgepool/edgepool.json".into() });
    case("run --config a.json", Command::Run { config: "a.json".into() });
    case("check --config=a.json", Command::Check { config: "a.json".into() });
    case("board --config=a.json", Command::Board { config: "a.json".into() });
    let demo = |seconds, data_dir: Option<&str>, merge| {
        Command::Demo(demo::Options { seconds, data_dir: data_dir.map(PathBuf::from), merge })
    };
    case("demo", demo(None, None, false));
    case("demo --data-dir d --seconds 5", demo(Some(5), Some("d"), false));
    case("demo --merge", demo(None, None, true));
    case("status", Command::Status { reach: Reach::default() });
    let named = Reach { config: Some("a.json".into()), url: Some(local()), token_file: None };
    case("status --url http://127.0.0.1:8080 --config a.json", Command::Status { reach: named });
    let which = |data_dir: Option<&str>| Which {
        config: "/etc/edgepool/edgepool.json".into(),
        data_dir: data_dir.map(Into::into),
    };
    let ledger = |which, task| Command::Ledger { which, task };
    case("ledger export", ledger(which(None), Task::Export { to: None }));
    case("ledger export - --data-dir d", ledger(which(Some("d")), Task::Export { to: None }));
    case("ledger export x", ledger(which(None), Task::Export { to: Some("x".into()) }));
    case("ledger import x", ledger(which(None), Task::Import { from: "x".into() }));
    case("ledger backup x", ledger(which(None), Task::Backup { to: "x".into() }));
    case("ledger restore --data-dir d x", ledger(which(Some("d")), Task::Restore { from: "x".into() }));
    let bench = Options { data_dir: None, year: false, commits: 3_000, miners: 1_000, blocks_per_day: 10 };
    case("ledger rebuild --from x", ledger(which(None), Task::Rebuild { from: "x".into() }));
    case("ledger verify --data-dir d", ledger(which(Some("d")), Task::Verify(verify::Options::default())));
    let all = verify::Options { pool: Some("ltc".into()), node: true, url: Some(local()) };
    case("ledger verify --node --pool ltc --url http://127.0.0.1:8080", ledger(which(None), Task::Verify(all)));
    case("bench ledger", Command::BenchLedger(bench.clone()));
    case("bench ledger --year --miners 7", Command::BenchLedger(Options { year: true, miners: 7, ..bench }));
    let hot = |rounds| Command::BenchHot(hot::Options { data_dir: None, rounds });
    case("bench hot", hot(100));
    case("bench hot --rounds 7", hot(7));
    let rigs = vardiff::Options { seeds: 200, target_share_s: 15 };
    case("bench vardiff", Command::BenchVardiff(rigs.clone()));
    case("bench vardiff --seeds 7", Command::BenchVardiff(vardiff::Options { seeds: 7, ..rigs }));
    let call = |method: &str, params| Command::Call { method: method.into(), params, reach: Reach::default() };
    case("call getinfo", call("getinfo", json!([])));
    case("call getinfo {\"pool\":\"ltc\"}", call("getinfo", json!({ "pool": "ltc" })));
    case(
        "call x 1 -1 true \"q\" ltc1 0.10 00ff {} -- --url",
        call("x", json!([1, -1, true, "q", "ltc1", "0.10", "00ff", {}, "--url"])),
    );
    let digits = "1234567890123456789012345678901234567890123456789012345678901234";
    case(&format!("call getpayoutproof {digits}"), call("getpayoutproof", json!([digits])));
    let admin = Command::Call {
        method: "setpoolfee".into(),
        params: json!(["2.50"]),
        reach: Reach {
            config: None,
            url: Some(NodeSpec { url: "http://pool.lan:80".into(), authority: "pool.lan:80".into(), path: "/".into() }),
            token_file: Some("t".into()),
        },
    };
    case("call --token-file t setpoolfee 2.50 --url http://pool.lan", admin);
}

#[test]
fn a_wrong_line_is_told_with_what_was_probably_meant() {
    let case = |line: &str, expected: &str| assert_eq!(parsed(line), Err(expected.into()), "{line}");
    case(
        "",
        "no command; choose from run, check, board, demo, status, call, ledger, bench, man, completion, or see edgepool --help",
    );
    case("rnu", "unknown command rnu; did you mean run?");
    case("frobnicate", "unknown command frobnicate; see edgepool --help");
    case("help chekc", "unknown command chekc; did you mean check?");
    case("--versoin", "unknown option --versoin; did you mean --version?");
    case("-x", "unknown option -x; see edgepool --help");
    case(
        "ledger",
        "no command after ledger; choose from export, import, backup, restore, rebuild, verify, or see edgepool ledger --help",
    );
    case("ledger exprot", "unknown command exprot; did you mean export?");
    case("ledger --jsno", "unknown option --jsno; see edgepool ledger --help");
    case("ledger backup", "no DIR; the usage is edgepool ledger backup DIR [--config FILE] [--data-dir DIR]");
    case(
        "ledger export a b",
        "unexpected \"b\"; the usage is edgepool ledger export [FILE] [--config FILE] [--data-dir DIR]",
    );
    case(
        "ledger rebuild",
        "no --from BACKUP; the usage is edgepool ledger rebuild --from BACKUP [--config FILE] [--data-dir DIR]",
    );
    case("bench ledger --miners 0", "--miners takes a whole number from 1 to 10000, not \"0\"");
    case("run --confg a", "unknown option --confg; did you mean --config?");
    case("run --seconds 1", "unknown option --seconds; see edgepool run --help");
    case("run --config", "--config needs a value: edgepool run [--config FILE]");
    case("run now", "unexpected \"now\"; the usage is edgepool run [--config FILE]");
    case("demo --seconds 0", "--seconds takes a whole number from 1 to 31536000, not \"0\"");
    case(
        "call",
        "no method; the usage is edgepool call METHOD [PARAMS...] [--config FILE] [--url URL] [--token-file FILE]",
    );
    case("status --url pool", "--url is not a URL; write http://host:port");
}

#[test]
fn help_is_there_for_everything_and_shows_the_true_defaults() {
    let text = |line: &str| match parsed(line) {
        Ok(Command::Print(text)) => text,
        other => panic!("{line} gives {other:?}"),
    };
    assert_eq!(text("--version"), version());
    assert_eq!(text("run -V"), version());
    let general = text("--help");
    assert_eq!((text("-h"), text("help")), (general.clone(), general.clone()));
    for entry in COMMANDS {
        let own = text(&format!("{} --help", entry.name));
        assert_eq!(text(&format!("help {}", entry.name)), own);
        assert!(general.contains(&entry.usage()) && own.contains(&entry.usage()));
        assert!(entry.flags.iter().all(|flag| own.contains(flag.about)), "{own}");
        assert!(own.lines().chain(general.lines()).all(|line| line.len() <= 110), "{own}");
    }
    assert!(CONFIG.about.contains(DEFAULT_PATH) && text("status --help").contains(DEFAULT_URL));
}
