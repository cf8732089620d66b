//! The command line: words in, one [`Command`] out. It runs nothing and prints nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::PathBuf;

use lexopt::Arg;
use serde_json::Value;

use super::config::DEFAULT_PATH;
use super::nearest::nearest;
use super::url::http_url;
use crate::pool::spec::NodeSpec;

/// Where a running pool's status port is when the command line doesn't say.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// Its port when the URL has none, as for any web server.
const HTTP_PORT: u16 = 80;

/// What the operator wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run the pool.
    Run {
        /// The configuration file.
        config: PathBuf,
    },
    /// Check the configuration and say what would run.
    Check {
        /// The configuration file.
        config: PathBuf,
    },
    /// Run the pool against a chain and miners of its own.
    Demo {
        /// How long; until it is interrupted when absent.
        seconds: Option<u64>,
        /// Where the ledger is; a directory that is removed at the end when absent.
        data_dir: Option<PathBuf>,
    },
    /// Show a running pool.
    Status {
        /// Its status port.
        url: NodeSpec,
    },
    /// One JSON-RPC call.
    Call {
        /// The method's name.
        method: String,
        /// A list, or an object where the only parameter is one.
        params: Value,
        /// The status port.
        url: NodeSpec,
        /// The token that admits to what changes anything.
        token_file: Option<PathBuf>,
    },
    /// Print this text, which is what was asked for.
    Print(String),
}

/// A wrong command line: one line that says what is wrong and what may have been meant. Exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An option that takes a value.
struct Flag {
    name: &'static str,
    value: &'static str,
    about: &'static str,
}

const CONFIG: Flag =
    Flag { name: "config", value: "FILE", about: "the configuration (default /etc/edgepool/edgepool.json)" };
const SECONDS: Flag = Flag { name: "seconds", value: "N", about: "end after so many seconds (default: at Ctrl-C)" };
const DATA_DIR: Flag =
    Flag { name: "data-dir", value: "DIR", about: "keep the ledger here (default: removed at the end)" };
const URL: Flag = Flag { name: "url", value: "URL", about: "the pool's RPC port (default http://127.0.0.1:8080)" };
const TOKEN_FILE: Flag =
    Flag { name: "token-file", value: "FILE", about: "the admin token, for methods that change anything" };

/// Options that every command has.
const GENERAL: [&str; 2] = ["--help", "--version"];

/// A command as the help shows it and as the words are checked against.
struct Entry {
    name: &'static str,
    /// What follows beside the options.
    operands: &'static str,
    flags: &'static [Flag],
    about: &'static str,
    more: &'static str,
}

const COMMANDS: &[Entry] = &[
    Entry {
        name: "run",
        operands: "",
        flags: &[CONFIG],
        about: "run the pool",
        more: "Logs to standard error; RUST_LOG sets how much. Ends at SIGTERM or Ctrl-C.",
    },
    Entry {
        name: "check",
        operands: "",
        flags: &[CONFIG],
        about: "check the configuration and show what would run",
        more: "Prints every mistake with its JSON path and exits with 2, or the values in effect and exits with 0.",
    },
    Entry {
        name: "demo",
        operands: "",
        flags: &[SECONDS, DATA_DIR],
        about: "run the whole pool with a chain and miners of its own",
        more: "Needs no coin node and no rig: CPU miners mine a test chain over real stratum connections.",
    },
    Entry {
        name: "status",
        operands: "",
        flags: &[URL],
        about: "show a running pool as a table",
        more: "Asks the pool's RPC port, which needs no token.",
    },
    Entry {
        name: "call",
        operands: "METHOD [PARAMS...]",
        flags: &[URL, TOKEN_FILE],
        about: "make one JSON-RPC call to a running pool",
        more: "A parameter that is JSON is sent as that, anything else as a string. A single object holds the\n\
               parameters by name: edgepool call getinfo '{\"pool\": \"ltc\"}'. \"call help\" lists the methods.",
    },
];

/// Reads the words that follow the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let mut parser = lexopt::Parser::from_args(words);
    let name = match parser.next().map_err(broken)? {
        None => return Err(Usage(format!("no command; choose from {}, or see edgepool --help", names()))),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Print(help())),
        Some(Arg::Short('V') | Arg::Long("version")) => return Ok(Command::Print(version())),
        Some(Arg::Value(word)) => word.to_string_lossy().into_owned(),
        Some(Arg::Short(letter)) => return Err(unknown("option", &format!("-{letter}"), "", GENERAL)),
        Some(Arg::Long(option)) => return Err(unknown("option", &format!("--{option}"), "", GENERAL)),
    };
    if name == "help" {
        return match parser.next().map_err(broken)? {
            Some(Arg::Value(topic)) => Ok(Command::Print(find(&topic.to_string_lossy())?.help())),
            _ => Ok(Command::Print(help())),
        };
    }
    find(&name)?.parse(parser)
}

/// What `edgepool --version` prints.
pub fn version() -> String {
    format!("edgepool {}", env!("CARGO_PKG_VERSION"))
}

/// What `edgepool --help` prints.
pub fn help() -> String {
    let mut text = "A mining pool for one board: pays miners straight from the coinbase.\n\nCommands:\n".to_string();
    for entry in COMMANDS {
        writeln!(text, "  edgepool {}\n      {}", entry.usage(), entry.about).expect("a String takes everything");
    }
    text + "\n  --help after any command tells more; --version prints the version.\n\
            Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration."
}

fn names() -> String {
    COMMANDS.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

fn find(name: &str) -> Result<&'static Entry, Usage> {
    let names = COMMANDS.iter().map(|entry| entry.name).chain(["help"]);
    COMMANDS.iter().find(|entry| entry.name == name).ok_or_else(|| unknown("command", name, "", names))
}

fn unknown<'a>(what: &str, word: &str, of: &str, known: impl IntoIterator<Item = &'a str>) -> Usage {
    let advice = match nearest(word, known) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("see edgepool{of} --help"),
    };
    Usage(format!("unknown {what} {word}; {advice}"))
}

fn broken(error: lexopt::Error) -> Usage {
    Usage(format!("{error}; see edgepool --help"))
}

/// Values of options by name.
type Values = BTreeMap<&'static str, OsString>;

impl Entry {
    fn usage(&self) -> String {
        let mut text = self.name.to_string();
        if !self.operands.is_empty() {
            text = format!("{text} {}", self.operands);
        }
        self.flags.iter().fold(text, |text, flag| format!("{text} [--{} {}]", flag.name, flag.value))
    }

    fn help(&self) -> String {
        let mut text = format!("edgepool {}\n\n{}.\n\n", self.usage(), capital(self.about));
        for flag in self.flags {
            let option = format!("--{} {}", flag.name, flag.value);
            writeln!(text, "  {option:<18} {}", flag.about).expect("a String takes everything");
        }
        text + "\n" + self.more
    }

    fn parse(&self, mut parser: lexopt::Parser) -> Result<Command, Usage> {
        let mut values = Values::new();
        let mut operands = Vec::new();
        loop {
            // A negative number is a parameter, though it begins like an option.
            let negative =
                |word: &std::ffi::OsStr| matches!(word.as_encoded_bytes(), [b'-', digit, ..] if digit.is_ascii_digit());
            if let Some(number) = parser.try_raw_args().and_then(|mut raw| raw.next_if(negative)) {
                operands.push(number);
                continue;
            }
            match parser.next().map_err(broken)? {
                None => break,
                Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Print(self.help())),
                Some(Arg::Short('V') | Arg::Long("version")) => return Ok(Command::Print(version())),
                Some(Arg::Value(word)) => operands.push(word),
                Some(Arg::Short(letter)) => return Err(self.unknown_option(&format!("-{letter}"))),
                Some(Arg::Long(name)) => match self.flags.iter().find(|flag| flag.name == name) {
                    None => return Err(self.unknown_option(&format!("--{name}"))),
                    Some(flag) => {
                        let needs = || Usage(format!("--{} needs a value: edgepool {}", flag.name, self.usage()));
                        values.insert(flag.name, parser.value().map_err(|_| needs())?);
                    }
                },
            }
        }
        if let Some(word) = operands.first().filter(|_| self.operands.is_empty()) {
            let word = word.to_string_lossy();
            return Err(Usage(format!("unexpected \"{word}\"; the usage is edgepool {}", self.usage())));
        }
        self.build(&values, operands)
    }

    fn unknown_option(&self, option: &str) -> Usage {
        let known: Vec<String> = self.flags.iter().map(|flag| format!("--{}", flag.name)).collect();
        let known = known.iter().map(String::as_str).chain(GENERAL);
        unknown("option", option, &format!(" {}", self.name), known)
    }

    fn build(&self, values: &Values, operands: Vec<OsString>) -> Result<Command, Usage> {
        let path = |flag: &Flag| values.get(flag.name).map(PathBuf::from);
        let config = || path(&CONFIG).unwrap_or_else(|| DEFAULT_PATH.into());
        Ok(match self.name {
            "run" => Command::Run { config: config() },
            "check" => Command::Check { config: config() },
            "demo" => Command::Demo { seconds: seconds(values)?, data_dir: path(&DATA_DIR) },
            "status" => Command::Status { url: url(values)? },
            "call" => {
                let mut words = operands.into_iter().map(|word| word.to_string_lossy().into_owned());
                let missing = || Usage(format!("no method; the usage is edgepool {}", self.usage()));
                let method = words.next().ok_or_else(missing)?;
                Command::Call { method, params: params(words), url: url(values)?, token_file: path(&TOKEN_FILE) }
            }
            other => unreachable!("{other} is in the table of commands but not built"),
        })
    }
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

fn seconds(values: &Values) -> Result<Option<u64>, Usage> {
    let Some(word) = values.get(SECONDS.name) else { return Ok(None) };
    let word = word.to_string_lossy();
    match word.parse() {
        Ok(seconds @ 1..=31_536_000) => Ok(Some(seconds)),
        _ => Err(Usage(format!("--seconds takes a whole number from 1 to 31536000, not \"{word}\""))),
    }
}

fn url(values: &Values) -> Result<NodeSpec, Usage> {
    let text = values.get(URL.name).map_or(DEFAULT_URL.into(), |word| word.to_string_lossy());
    http_url(&text, HTTP_PORT).map_err(|what| Usage(format!("--url {what}")))
}

fn params(words: impl Iterator<Item = String>) -> Value {
    let mut list: Vec<Value> = words.map(param).collect();
    match list.as_mut_slice() {
        [Value::Object(named)] => Value::Object(std::mem::take(named)),
        _ => Value::Array(list),
    }
}

fn param(word: String) -> Value {
    match serde_json::from_str(&word) {
        // A number that JSON can't carry exactly, such as a hash without letters or "0.10".
        Ok(Value::Number(number)) if number.to_string() != word => Value::String(word),
        Ok(value) => value,
        Err(_) => Value::String(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|usage| usage.to_string())
    }

    fn local() -> NodeSpec {
        NodeSpec { url: DEFAULT_URL.into(), authority: "127.0.0.1:8080".into(), path: "/".into() }
    }

    #[test]
    fn every_command_is_read_with_its_options() {
        let case = |line: &str, expected: Command| assert_eq!(parsed(line), Ok(expected), "{line}");
        case("run", Command::Run { config: "/etc/edgepool/edgepool.json".into() });
        case("run --config a.json", Command::Run { config: "a.json".into() });
        case("check --config=a.json", Command::Check { config: "a.json".into() });
        case("demo", Command::Demo { seconds: None, data_dir: None });
        case("demo --data-dir d --seconds 5", Command::Demo { seconds: Some(5), data_dir: Some("d".into()) });
        case("status", Command::Status { url: local() });
        let call =
            |method: &str, params| Command::Call { method: method.into(), params, url: local(), token_file: None };
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
            url: NodeSpec { url: "http://pool.lan:80".into(), authority: "pool.lan:80".into(), path: "/".into() },
            token_file: Some("t".into()),
        };
        case("call --token-file t setpoolfee 2.50 --url http://pool.lan", admin);
    }

    #[test]
    fn a_wrong_line_is_told_with_what_was_probably_meant() {
        let case = |line: &str, expected: &str| assert_eq!(parsed(line), Err(expected.into()), "{line}");
        case("", "no command; choose from run, check, demo, status, call, or see edgepool --help");
        case("rnu", "unknown command rnu; did you mean run?");
        case("frobnicate", "unknown command frobnicate; see edgepool --help");
        case("help chekc", "unknown command chekc; did you mean check?");
        case("--versoin", "unknown option --versoin; did you mean --version?");
        case("-x", "unknown option -x; see edgepool --help");
        case("run --confg a", "unknown option --confg; did you mean --config?");
        case("run --seconds 1", "unknown option --seconds; see edgepool run --help");
        case("run --config", "--config needs a value: edgepool run [--config FILE]");
        case("run now", "unexpected \"now\"; the usage is edgepool run [--config FILE]");
        case("demo --seconds 0", "--seconds takes a whole number from 1 to 31536000, not \"0\"");
        case("call", "no method; the usage is edgepool call METHOD [PARAMS...] [--url URL] [--token-file FILE]");
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
        assert!(CONFIG.about.contains(DEFAULT_PATH) && URL.about.contains(DEFAULT_URL));
    }
}
