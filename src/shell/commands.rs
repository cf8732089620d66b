//! What each command of the command line does, and its exit code: 0 done, 1 failed while running, 2 wrong usage
//! or configuration, 3 not everything could be checked.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::face::table;

use super::bench;
use super::clock::Clock;
use super::command_line::{self, Command};
use super::config::{self, Config};
use super::daemon::Daemon;
use super::demo;
use super::http_call;
use super::ledger::{self, Task, TaskError, Which};
use super::running_pool::{Reach, RunningPool};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
const UNCHECKED: u8 = 3;

/// Runs the program with these arguments.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match command_line::parse(arguments) {
        Ok(command) => command,
        Err(usage) => return complain(&usage.to_string(), WRONG_USAGE),
    };
    match command {
        Command::Print(text) => print(&text),
        Command::Run { config } => run(&config, |_| ()),
        Command::Check { config } => check(&config),
        Command::Board { config } => board(&config),
        Command::Demo(options) => demo(&options),
        Command::Status { reach } => status(&reach),
        Command::Ledger { which, task } => ledger(&which, &task),
        Command::BenchLedger(options) => bench_ledger(&options),
        Command::BenchHot(options) => bench_hot(&options),
        Command::BenchLoad(options) => bench_load(&options),
        Command::BenchServe { config } => run(&config, bench::load::ease),
        Command::BenchVardiff(options) => bench_vardiff(&options),
        Command::Call { method, params, reach } => call(&reach, &method, &params),
    }
}

/// Logs go to stderr at `level` unless RUST_LOG says otherwise; under systemd without timestamps, since the
/// journal has its own.
fn start_log(level: &str) {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(level));
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.format_timestamp(None);
    }
    builder.init();
}

/// Runs the pool, after `change` of what its configuration says.
fn run(path: &Path, change: impl FnOnce(&mut Config)) -> ExitCode {
    let mut config = match config::read(path) {
        Ok(config) => config,
        Err(errors) => return complain(&errors.to_string(), WRONG_USAGE),
    };
    change(&mut config);
    start_log("info");
    match serve(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

fn serve(config: &Config) -> Result<(), String> {
    let mut daemon = Daemon::start(config, Clock::start()).map_err(|error| error.to_string())?;
    daemon.run(|_| ()).map_err(|error| format!("the event loop failed: {error}"))
}

/// The demo's screen tells what happens; the log only what goes wrong.
fn demo(options: &demo::Options) -> ExitCode {
    start_log("error");
    match demo::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

fn check(path: &Path) -> ExitCode {
    let text = match config::file_text(path) {
        Ok(text) => text,
        Err(errors) => return complain(&errors.to_string(), WRONG_USAGE),
    };
    let file = path.display().to_string();
    match config::parse(&text, &file) {
        Ok(config) => {
            // No mistakes of this file: it may be checked on another machine, or by somebody who may not read them.
            for (path, secret) in config::check::logins(&config) {
                if let Err(why) = secret.credentials() {
                    warn(&format!("{path}.{why}"));
                }
            }
            print(&config::check::summary(&config))
        }
        // This is what the status of the service shows, where nobody sees which file is meant.
        Err(errors) => complain(&format!("{errors}\nedgepool: correct {file}, and start the pool again"), WRONG_USAGE),
    }
}

fn board(path: &Path) -> ExitCode {
    let (settings, result) = match config::file_text(path) {
        Ok(text) => config::board::settings(&text, &path.display().to_string()),
        Err(errors) => (String::new(), Err(errors)),
    };
    match (print(&settings), result) {
        (printed, Ok(())) => printed,
        (_, Err(errors)) => complain(&errors.to_string(), WRONG_USAGE),
    }
}

fn status(reach: &Reach) -> ExitCode {
    let running = match reach.find(warn) {
        Ok(running) => running,
        Err(error) => return complain(&error, WRONG_USAGE),
    };
    match status_text(&running) {
        Ok(text) => print(&text),
        Err(error) => complain(&error, FAILED),
    }
}

fn status_text(running: &RunningPool) -> Result<String, String> {
    let info = running.ask("getinfo", &json!([]))?;
    let version = info["version"].as_str().unwrap_or("?");
    let mut text = format!("edgepool {version}, up {} s\n", info["uptime"]);
    for pool in info["pools"].as_array().map_or(&[][..], Vec::as_slice) {
        let payouts = running.ask("getpayoutinfo", &json!({ "pool": pool["name"] }))?;
        let blocks = running.ask("getblocks", &json!({ "pool": pool["name"], "count": 8 }))?;
        text += "\n";
        text += &table::pool(pool, &payouts, &blocks);
        for chain in pool["chains"].as_array().map_or(&[][..], Vec::as_slice).iter().skip(1) {
            let of = json!({ "pool": pool["name"], "chain": chain["name"] });
            let payouts = running.ask("getpayoutinfo", &of)?;
            let newest = json!({ "pool": pool["name"], "chain": chain["name"], "count": 8 });
            let blocks = running.ask("getblocks", &newest)?;
            text += "\n";
            text += &table::child(chain, &payouts, &blocks);
        }
    }
    Ok(text)
}

fn call(reach: &Reach, method: &str, params: &Value) -> ExitCode {
    let running = match reach.find(warn) {
        Ok(running) => running,
        Err(error) => return complain(&error, WRONG_USAGE),
    };
    match running.call(method, params) {
        Ok(result) => print(&http_call::shown(&result)),
        Err(error) => complain(&error, FAILED),
    }
}

fn ledger(which: &Which, task: &Task) -> ExitCode {
    start_log("warn");
    match ledger::run(which, task) {
        Ok(text) if text.is_empty() => ExitCode::SUCCESS,
        Ok(text) => print(&text),
        Err(TaskError::Config(errors)) => complain(&errors.to_string(), WRONG_USAGE),
        Err(ref error @ (TaskError::Unchecked { ref checked, .. } | TaskError::Faults { ref checked, .. })) => {
            // What follows is said, and the exit code is its, whether or not anybody reads this.
            let _ = print(checked);
            let code = if matches!(error, TaskError::Unchecked { .. }) { UNCHECKED } else { FAILED };
            complain(&error.to_string(), code)
        }
        Err(error) => complain(&error.to_string(), FAILED),
    }
}

fn bench_ledger(options: &bench::ledger::Options) -> ExitCode {
    start_log("warn");
    match bench::ledger::run(options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), FAILED),
    }
}

fn bench_hot(options: &bench::hot::Options) -> ExitCode {
    match bench::hot::run(options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), FAILED),
    }
}

fn bench_load(options: &bench::load::Options) -> ExitCode {
    match bench::load::run(options, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), FAILED),
    }
}

fn bench_vardiff(options: &bench::vardiff::Options) -> ExitCode {
    match bench::vardiff::run(options, &mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(&error.to_string(), FAILED),
        _ => ExitCode::SUCCESS,
    }
}

/// Prints to stdout; a reader that has gone away is no failure.
fn print(text: &str) -> ExitCode {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    match write!(io::stdout().lock(), "{text}{newline}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(FAILED),
        _ => ExitCode::SUCCESS,
    }
}

/// Says on stderr what may be wrong, and goes on.
fn warn(what: &str) {
    // Nothing depends on it, and nobody is there to hear of the failure.
    let _ = writeln!(io::stderr().lock(), "edgepool: warning: {what}");
}

/// Says on stderr what is wrong.
fn complain(what: &str, code: u8) -> ExitCode {
    // When not even stderr can be written to, the exit code has to say it.
    let _ = writeln!(io::stderr().lock(), "edgepool: {what}");
    ExitCode::from(code)
}
