//! The command `longattn`.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    longattn::command::main(env::args_os()).into()
}
