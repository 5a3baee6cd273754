//! `ratdata-train`: the program that `ratdata train` starts.

mod cli;

use std::process::ExitCode;

use ratdata_console::BoundedMemory;

#[global_allocator]
static MEMORY: BoundedMemory = BoundedMemory;

fn main() -> ExitCode {
    // Without the handler a limit on files ends the program, which every writer survives.
    drop(ratdata_schemas::tell_file_limit());
    // Each iteration takes and frees the same large blocks.
    ratdata_console::keep_freed_memory();
    cli::main()
}
