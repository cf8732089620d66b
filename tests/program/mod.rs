//! How tests start edgepool: the binary that was built with them; or another (`EDGEPOOL_BINARY`), by an emulator or
//! whatever else these words run it with (`EDGEPOOL_RUNNER`), such as `qemu-arm-static -L /usr/arm-linux-gnueabihf`.

#![allow(dead_code, reason = "no test needs all of it")]

use std::env;
use std::process::Command;

/// Its words: what runs it, if anything does, and its path.
pub fn words() -> Vec<String> {
    let binary = env::var("EDGEPOOL_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_edgepool").to_owned());
    runner().into_iter().flatten().chain([binary]).collect()
}

/// A command that runs it, to be given arguments.
pub fn command() -> Command {
    starting(&words())
}

/// A command that runs this very test program. An emulator for edgepool is needed for it too, unless edgepool is another
/// binary than the one that was built with it.
pub fn test_program() -> Command {
    let program = env::current_exe().expect("the system knows it").to_str().expect("its path is text").to_owned();
    let runner = runner().filter(|_| env::var_os("EDGEPOOL_BINARY").is_none());
    starting(&runner.into_iter().flatten().chain([program]).collect::<Vec<String>>())
}

fn runner() -> Option<Vec<String>> {
    let words = env::var("EDGEPOOL_RUNNER").ok()?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

fn starting(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
