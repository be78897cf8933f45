//! `longattn verify`: whether a scorer package's statistics are those of double precision.

use crate::choice::Choice;
use crate::model::{Comparison, Scorer, TOLERANCE, Verification};
use crate::{Cancel, Error, ErrorKind, Result};
use clap::{ArgMatches, Command};

use super::flags::{self, WithSettings};
use super::table;

/// Some real text that every build holds.
const TEXT: &str = include_str!("../../LICENSE-APACHE");

pub fn command(command: Command) -> Command {
    command
        .about("Check a scorer package's statistics against double precision")
        .long_about(
            "Scores a fixed text of some thousand tokens in every way that the package and this machine have, and prints \
             how far each strays from double precision: the largest relative difference over the heads, of the share of \
             attention behind DS and of the variance behind DU. Fails where one is over 0.0001. Packages by contract \
             query-key are checked against attention computed from the model's own queries and keys, those by contract \
             statistics likewise, by their deepest layer, and those by contract attentions against their own maps with \
             rows that sum to 1.",
        )
        .arg(flags::path("package", "DIR", "The scorer package").required(true))
        .arg(flags::switch("json", "Print one JSON object"))
        .arg(flags::quiet())
        .with_settings(&[
            "window",
            "min_distance",
            "sink_tokens",
            "variance_domain",
            "layer",
            "threads",
            "memory_limit",
            "onnxruntime",
            "execution_provider",
            "device_id",
            "provider_options",
        ])
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let package = flags::path_of(matches, "package");
    let scorer = Scorer::open(package, &flags::config(matches)?)?;
    let verification = scorer.verify(TEXT, &Cancel::default())?;
    table::print(&match matches.get_flag("json") {
        true => verification.to_json().to_string(),
        false => rows(&verification),
    });
    if verification.agrees() {
        return Ok(());
    }
    let message = format!(
        "differs from double precision by more than {TOLERANCE}: its weights or attention maps lose too much to rounding, \
         or are damaged; export it again, with --dtype f32"
    );
    Err(Error::new(ErrorKind::InvalidModel, message).at(package.display()))
}

fn rows(verification: &Verification) -> String {
    let head = format!("{:<11} {:<20} {:>9} {:>9}", "contract", "computed by", "DS", "variance");
    let row = |comparison: &Comparison| {
        let (contract, computed_by) = (comparison.contract.name(), &comparison.computed_by);
        format!("{contract:<11} {computed_by:<20} {:>9.1e} {:>9.1e}", comparison.proportion, comparison.variance)
    };
    let last = format!("largest relative differences from double precision, {} tokens", verification.token_count);
    let rows = verification.comparisons.iter().map(row);
    std::iter::once(head).chain(rows).chain([last]).collect::<Vec<_>>().join("\n")
}
