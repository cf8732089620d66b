//! The command line: words in, one [`Command`] out. It runs nothing and prints nothing.

mod build;
mod manual;
mod table;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write};
use std::path::PathBuf;

use lexopt::Arg;
use serde_json::Value;

use super::nearest::nearest;
use super::running_pool::Reach;
use super::{bench, demo, ledger};
use table::{COMMANDS, Entry, Flag};

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
    /// Print what a board's start-up scripts need of the configuration.
    Board {
        /// The configuration file.
        config: PathBuf,
    },
    /// Run the pool against a chain and miners of its own.
    Demo(demo::Options),
    /// Show a running pool.
    Status {
        /// How to find it.
        reach: Reach,
    },
    /// One JSON-RPC call.
    Call {
        /// The method's name.
        method: String,
        /// A list, or an object where the only parameter is one.
        params: Value,
        /// How to find the pool, and the token that admits to what changes anything.
        reach: Reach,
    },
    /// Look after the ledger's file.
    Ledger {
        /// Which one.
        which: ledger::Which,
        /// How.
        task: ledger::Task,
    },
    /// Measure what the ledger asks of a disk.
    BenchLedger(bench::ledger::Options),
    /// Measure each step of a share's way and of a job's.
    BenchHot(bench::hot::Options),
    /// Measure what rigs ask of the pool.
    BenchLoad(bench::load::Options),
    /// Run the pool that it measures.
    BenchServe {
        /// The configuration file.
        config: PathBuf,
    },
    /// Simulate rigs of every size.
    BenchVardiff(bench::vardiff::Options),
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

/// Options that every command has.
const GENERAL: [&str; 2] = ["--help", "--version"];

/// Reads the words that follow the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let mut parser = lexopt::Parser::from_args(words);
    let name = match parser.next().map_err(broken)? {
        None => return Err(none_given("", &first_words())),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Print(help())),
        Some(Arg::Short('V') | Arg::Long("version")) => return Ok(Command::Print(version())),
        Some(Arg::Value(word)) => word.to_string_lossy().into_owned(),
        Some(Arg::Short(letter)) => return Err(unknown("option", &format!("-{letter}"), "", GENERAL)),
        Some(Arg::Long(option)) => return Err(unknown("option", &format!("--{option}"), "", GENERAL)),
    };
    if name == "help" {
        return explain(parser).map(Command::Print);
    }
    if group(&name).is_empty() {
        return find(&name)?.parse(parser);
    }
    match parser.next().map_err(broken)? {
        None => Err(none_given(&format!(" {name}"), &group(&name))),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Print(group_help(&name))),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Print(version())),
        Some(Arg::Value(word)) => find_in(&name, &word.to_string_lossy())?.parse(parser),
        Some(Arg::Short(letter)) => Err(unknown("option", &format!("-{letter}"), &format!(" {name}"), GENERAL)),
        Some(Arg::Long(option)) => Err(unknown("option", &format!("--{option}"), &format!(" {name}"), GENERAL)),
    }
}

/// What `edgepool help`, and the words after it, print.
fn explain(mut parser: lexopt::Parser) -> Result<String, Usage> {
    let mut word = || match parser.next() {
        Ok(Some(Arg::Value(word))) => Some(word.to_string_lossy().into_owned()),
        _ => None,
    };
    let Some(name) = word() else { return Ok(help()) };
    if group(&name).is_empty() {
        return Ok(find(&name)?.help());
    }
    match word() {
        Some(second) => Ok(find_in(&name, &second)?.help()),
        None => Ok(group_help(&name)),
    }
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
            Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration,\n\
            3 not everything could be checked (ledger verify and rebuild)."
}

fn group_help(name: &str) -> String {
    let entries = COMMANDS.iter().filter(|entry| entry.group() == Some(name));
    let lines = entries.map(|entry| format!("  edgepool {}\n      {}\n", entry.usage(), entry.about));
    format!("Commands:\n{}\n  --help after any of them tells more.", lines.collect::<String>())
}

/// First words of all commands, each once.
fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> = COMMANDS.iter().map(|entry| entry.group().unwrap_or(entry.name)).collect();
    words.dedup();
    words
}

/// Second words of the commands that begin with `name`.
fn group(name: &str) -> Vec<&'static str> {
    let inside = COMMANDS.iter().filter(|entry| entry.group() == Some(name));
    inside.map(|entry| &entry.name[name.len() + 1..]).collect()
}

fn find(name: &str) -> Result<&'static Entry, Usage> {
    let names = first_words().into_iter().chain(["help"]);
    COMMANDS.iter().find(|entry| entry.name == name).ok_or_else(|| unknown("command", name, "", names))
}

fn find_in(first: &str, second: &str) -> Result<&'static Entry, Usage> {
    let name = format!("{first} {second}");
    let of = format!(" {first}");
    COMMANDS.iter().find(|entry| entry.name == name).ok_or_else(|| unknown("command", second, &of, group(first)))
}

fn none_given(after: &str, choice: &[&str]) -> Usage {
    let what = if after.is_empty() { String::new() } else { format!(" after{after}") };
    Usage(format!("no command{what}; choose from {}, or see edgepool{after} --help", choice.join(", ")))
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
    /// The first of two words.
    fn group(&self) -> Option<&'static str> {
        self.name.split_once(' ').map(|(group, _)| group)
    }

    fn usage(&self) -> String {
        let mut text = self.name.to_string();
        if !self.operands.is_empty() {
            text = format!("{text} {}", self.operands);
        }
        let (needed, free): (Vec<&Flag>, Vec<&Flag>) = self.flags.iter().partition(|flag| flag.is_needed);
        let text = needed.iter().fold(text, |text, flag| format!("{text} {flag}"));
        free.iter().fold(text, |text, flag| format!("{text} [{flag}]"))
    }

    fn help(&self) -> String {
        let mut text = format!("edgepool {}\n\n{}.\n\n", self.usage(), capital(self.about));
        for flag in self.flags {
            let option = flag.to_string();
            writeln!(text, "  {option:<20} {}", flag.about).expect("a String takes everything");
        }
        text + "\n" + self.more
    }

    fn parse(&self, mut parser: lexopt::Parser) -> Result<Command, Usage> {
        let mut values = Values::new();
        let mut operands = Vec::new();
        loop {
            // A negative number is a parameter, though it begins like an option.
            let negative =
                |word: &OsStr| matches!(word.as_encoded_bytes(), [b'-', digit, ..] if digit.is_ascii_digit());
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
                    Some(flag) if flag.value.is_empty() => {
                        values.insert(flag.name, OsString::new());
                    }
                    Some(flag) => {
                        let needs = || Usage(format!("--{} needs a value: edgepool {}", flag.name, self.usage()));
                        values.insert(flag.name, parser.value().map_err(|_| needs())?);
                    }
                },
            }
        }
        if let Some(word) = operands.first().filter(|_| self.operands.is_empty()) {
            return Err(self.unexpected(word));
        }
        self.build(&values, operands)
    }

    fn unexpected(&self, word: &OsStr) -> Usage {
        let word = word.to_string_lossy();
        Usage(format!("unexpected \"{word}\"; the usage is edgepool {}", self.usage()))
    }

    fn unknown_option(&self, option: &str) -> Usage {
        let known: Vec<String> = self.flags.iter().map(|flag| format!("--{}", flag.name)).collect();
        let known = known.iter().map(String::as_str).chain(GENERAL);
        unknown("option", option, &format!(" {}", self.name), known)
    }
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests;
