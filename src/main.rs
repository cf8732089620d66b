//! The `edgepool` program: one command, then its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    edgepool::shell::commands::main(std::env::args_os().skip(1))
}
