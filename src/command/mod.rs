//! The command line: one file per subcommand.

mod calibrate;
mod export;
mod flags;
mod inspect;
mod progress;
mod run;
mod score;
mod select;
mod table;
mod told;
mod verify;
mod windows;

use std::ffi::OsString;

use crate::model::tell_of_cut_weights;
use crate::{ErrorKind, Result};
use clap::{ArgMatches, Command};

/// A subcommand: how it is called, and what it does.
struct Subcommand {
    name: &'static str,
    command: fn(Command) -> Command,
    execute: fn(&ArgMatches) -> Result<()>,
}

const SUBCOMMANDS: [Subcommand; 8] = [
    Subcommand { name: "run", command: run::command, execute: run::execute },
    Subcommand { name: "export", command: export::command, execute: export::execute },
    Subcommand { name: "calibrate", command: calibrate::command, execute: calibrate::execute },
    Subcommand { name: "inspect", command: inspect::command, execute: inspect::execute },
    Subcommand { name: "verify", command: verify::command, execute: verify::execute },
    Subcommand { name: "windows", command: windows::command, execute: windows::execute },
    Subcommand { name: "score", command: score::command, execute: score::execute },
    Subcommand { name: "select", command: select::command, execute: select::execute },
];

const EXIT_SUCCESS: u8 = 0;
const EXIT_FAILURE: u8 = 1;
/// Of a command line that cannot be understood.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Of a program that an interrupt ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Does what the command line asks for; `arguments` begins with the name of the program. Prints what went wrong, and gives the
/// exit status: 0 for success, 1 for a failure, 2 for a wrong command line, 130 for an interrupt.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    tell_of_cut_weights();
    let matches = match command_line().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(told) => {
            // Help is told in the same way as a mistake; where nobody reads it there is nobody to tell.
            _ = told.print();
            return if told.use_stderr() { EXIT_USAGE } else { EXIT_SUCCESS };
        }
    };
    let (name, matches) = matches.subcommand().expect("clap requires a subcommand");
    progress::install_logger(flags::is_quiet(matches));
    let subcommand = SUBCOMMANDS.iter().find(|subcommand| subcommand.name == name);
    match (subcommand.expect("clap knows the subcommands").execute)(matches) {
        Ok(()) => EXIT_SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            match error.kind() {
                ErrorKind::Cancelled => EXIT_INTERRUPTED,
                _ => EXIT_FAILURE,
            }
        }
    }
}

fn command_line() -> Command {
    let subcommands = SUBCOMMANDS.map(|subcommand| (subcommand.command)(Command::new(subcommand.name)));
    Command::new("longattn")
        .version(clap::crate_version!())
        .about("Selects the long documents in which a language model's attention really reaches far back")
        .after_help(
            "Start with `longattn export MODEL.gguf -o model`, then `longattn run --model model CORPUS -o result`.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(110)
        .subcommands(subcommands)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command_line().debug_assert();
    }
}
