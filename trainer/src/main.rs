//! `ratdata-train`: the program that `ratdata train` starts.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
