//! `longattn export`: a checkpoint to a scorer package.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};
use longattn::Result;
use longattn::choice::Choice;
use longattn::export::{ExportOptions, WeightType, export};
use longattn::model::Contract;

use crate::{flags, inspect};

pub fn command(command: Command) -> Command {
    command
        .about("Make a scorer package from a checkpoint")
        .long_about(
            "Reads a checkpoint, a Llama-architecture GGUF file or a directory with config.json, safetensors and \
             tokenizer.json, and writes a scorer package: a directory with model.onnx, its weights and tokenizer.json. \
             Only what the scored layer needs is read and kept.",
        )
        .arg(flags::path("source", "CHECKPOINT", "The checkpoint: a directory, or a GGUF file").required(true))
        .arg(flags::path("output", "DIR", "The directory to make").short('o').long("output").required(true))
        .arg(choice::<Contract>("contract", "How the model gives its attention", Contract::QueryKey))
        .arg(choice::<WeightType>("dtype", "Number format of the weights", WeightType::F32))
        .arg(flags::switch("no-fold", "Keep embedding, norm and projections apart, not folded into tables by token id"))
        .arg(
            Arg::new("rope-theta")
                .long("rope-theta")
                .value_name("BASE")
                .help("Base of the rotary embedding [default: the checkpoint's]")
                .value_parser(value_parser!(f64)),
        )
        .arg(
            Arg::new("max-positions")
                .long("max-positions")
                .value_name("TOKENS")
                .help("Positions that the model is for [default: the checkpoint's]")
                .value_parser(value_parser!(NonZeroUsize)),
        )
        .arg(flags::path("tokenizer", "FILE", "A tokenizer.json to use in place of the checkpoint's").long("tokenizer"))
        .arg(flags::switch("overwrite", "Replace the directory if it exists"))
        .arg(flags::quiet())
}

fn choice<T: Choice>(name: &'static str, help: &'static str, default: T) -> Arg {
    let names = PossibleValuesParser::new(T::NAMES.iter().map(|row| row.0));
    Arg::new(name).long(name).value_name("NAME").help(help).value_parser(names).default_value(default.name())
}

fn choice_of<T: Choice>(matches: &ArgMatches, name: &str) -> T {
    let chosen = matches.get_one::<String>(name).expect("has a default");
    T::NAMES.iter().find(|row| row.0 == chosen).expect("checked by clap").1
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let target = flags::path_of(matches, "output");
    let options = ExportOptions {
        contract: choice_of(matches, "contract"),
        weights: choice_of(matches, "dtype"),
        fold: !matches.get_flag("no-fold"),
        rope_theta: matches.get_one("rope-theta").copied(),
        max_positions: matches.get_one("max-positions").copied(),
        tokenizer: matches.get_one::<PathBuf>("tokenizer").cloned(),
        overwrite: matches.get_flag("overwrite"),
    };
    let metadata = export(flags::path_of(matches, "source"), target, &options)?;
    if !flags::is_quiet(matches) {
        let rows = inspect::metadata_rows(&metadata);
        eprintln!("wrote {}\n{}", target.display(), inspect::table(&rows));
    }
    Ok(())
}
