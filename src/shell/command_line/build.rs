//! From checked words to a [`Command`]: what each command makes of its options and operands.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::Value;

use super::table::*;
use super::{Command, Usage, Values, manual};
use crate::base::limits;
use crate::pool::spec::NodeSpec;
use crate::shell::bench::{hot, ledger::Options, load, vardiff};
use crate::shell::config::DEFAULT_PATH;
use crate::shell::demo;
use crate::shell::ledger::{Task, Which, verify};
use crate::shell::running_pool::{HTTP_PORT, Reach};
use crate::shell::url::http_url;

impl Entry {
    /// The command that these options and operands make.
    pub(super) fn build(&self, values: &Values, operands: Vec<OsString>) -> Result<Command, Usage> {
        let path = |flag: &Flag| values.get(flag.name).map(PathBuf::from);
        let config = || path(&CONFIG).unwrap_or_else(|| DEFAULT_PATH.into());
        let reach = || Ok(Reach { config: path(&CONFIG), url: url(values)?, token_file: path(&TOKEN_FILE) });
        let which = || Which { config: config(), data_dir: path(&LEDGER_DIR) };
        Ok(match self.name {
            "run" => Command::Run { config: config() },
            "check" => Command::Check { config: config() },
            "board" => Command::Board { config: config() },
            "demo" => Command::Demo(demo::Options {
                seconds: seconds(values)?,
                data_dir: path(&DATA_DIR),
                merge: values.contains_key(MERGE.name),
            }),
            "status" => Command::Status { reach: reach()? },
            "call" => {
                let mut words = operands.into_iter().map(|word| word.to_string_lossy().into_owned());
                let missing = || Usage(format!("no method; the usage is edgepool {}", self.usage()));
                let method = words.next().ok_or_else(missing)?;
                Command::Call { method, params: params(words), reach: reach()? }
            }
            "ledger export" => {
                let to = self.operand(operands)?.filter(|to| to.as_os_str() != "-");
                Command::Ledger { which: which(), task: Task::Export { to } }
            }
            "ledger import" => Command::Ledger { which: which(), task: Task::Import { from: self.needed(operands)? } },
            "ledger backup" => Command::Ledger { which: which(), task: Task::Backup { to: self.needed(operands)? } },
            "ledger restore" => {
                Command::Ledger { which: which(), task: Task::Restore { from: self.needed(operands)? } }
            }
            "ledger rebuild" => {
                let missing = || Usage(format!("no {FROM}; the usage is edgepool {}", self.usage()));
                let from = path(&FROM).ok_or_else(missing)?;
                Command::Ledger { which: which(), task: Task::Rebuild { from } }
            }
            "ledger verify" => {
                let options = verify::Options {
                    pool: values.get(POOL.name).map(|name| name.to_string_lossy().into_owned()),
                    node: values.contains_key(NODE.name),
                    url: url(values)?,
                };
                Command::Ledger { which: which(), task: Task::Verify(options) }
            }
            "man" => Command::Print(manual::page()),
            "completion" => Command::Print(manual::completion()),
            "bench ledger" => Command::BenchLedger(Options {
                data_dir: path(&BENCH_DIR),
                year: values.contains_key(YEAR.name),
                commits: number(values, &COMMITS, 1..=1_000_000, 3_000)?,
                miners: number(values, &MINERS, 1..=10_000, 1_000)?,
                blocks_per_day: number(values, &BLOCKS, 1..=1_000, 10)?,
            }),
            "bench hot" => Command::BenchHot(hot::Options {
                data_dir: path(&BENCH_DIR),
                rounds: number(values, &ROUNDS, 1..=10_000, 100)?,
            }),
            "bench load" => match path(&SERVE) {
                Some(config) => Command::BenchServe { config },
                None => Command::BenchLoad(load::Options {
                    connections: number(values, &CONNECTIONS, 1..=25_000, 5_000)? as usize,
                    seconds: number(values, &LOAD_SECONDS, 1..=600, 10)?,
                    data_dir: path(&BENCH_DIR),
                }),
            },
            "bench vardiff" => Command::BenchVardiff(vardiff::Options {
                seeds: number(values, &SEEDS, 1..=100_000, 200)?,
                target_share_s: number(values, &TARGET_SHARE, limits::TARGET_SHARE_S, 15)?,
            }),
            other => unreachable!("{other} is in the table of commands but not built"),
        })
    }

    /// The only operand, if there is one.
    fn operand(&self, operands: Vec<OsString>) -> Result<Option<PathBuf>, Usage> {
        let mut operands = operands.into_iter();
        let first = operands.next().map(PathBuf::from);
        match operands.next() {
            None => Ok(first),
            Some(word) => Err(self.unexpected(&word)),
        }
    }

    /// The only operand, which must be there.
    fn needed(&self, operands: Vec<OsString>) -> Result<PathBuf, Usage> {
        let missing = || Usage(format!("no {}; the usage is edgepool {}", self.operands, self.usage()));
        self.operand(operands)?.ok_or_else(missing)
    }
}

fn number(values: &Values, flag: &Flag, range: RangeInclusive<u64>, default: u64) -> Result<u64, Usage> {
    let Some(word) = values.get(flag.name) else { return Ok(default) };
    let word = word.to_string_lossy();
    word.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (first, last) = (range.start(), range.end());
        Usage(format!("--{} takes a whole number from {first} to {last}, not \"{word}\"", flag.name))
    })
}

fn seconds(values: &Values) -> Result<Option<u64>, Usage> {
    let Some(word) = values.get(SECONDS.name) else { return Ok(None) };
    let word = word.to_string_lossy();
    match word.parse() {
        Ok(seconds @ 1..=31_536_000) => Ok(Some(seconds)),
        _ => Err(Usage(format!("--seconds takes a whole number from 1 to 31536000, not \"{word}\""))),
    }
}

fn url(values: &Values) -> Result<Option<NodeSpec>, Usage> {
    let text = values.get(URL.name).map(|word| word.to_string_lossy());
    let url = text.map(|text| http_url(&text, HTTP_PORT)).transpose();
    url.map_err(|what| Usage(format!("--url {what}")))
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
