//! `longattn export`: a checkpoint to a scorer package.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::choice::Choice;
use crate::export::hub::{Repository, export_from_hub};
use crate::export::{AttentionOperators, DEFAULT_BLOCK_ROWS, ExportOptions, Layers, WeightType, export};
use crate::model::Contract;
use crate::{Error, ErrorKind, Result};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};

use super::progress::{self, Download, INTERRUPT};
use super::{flags, inspect};

pub fn command(command: Command) -> Command {
    command
        .about("Make a scorer package from a checkpoint")
        .long_about(
            "Reads a checkpoint, a GGUF file or a directory with config.json, safetensors and \
             tokenizer.json, and writes a scorer package: a directory with model.onnx, its weights and tokenizer.json. \
             Only what the scored layer needs is read and kept: of a first layer its embedding, queries and keys, of a \
             deeper one (--layers) the layers before it as well, and its first 4 tokens, the attention sinks, do not count \
             as far unless the setting sink_tokens says otherwise. Of a checkpoint on the Hugging Face hub, named owner/name, \
             no more than that is fetched; HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE count.",
        )
        .arg(flags::path("source", "CHECKPOINT", "The checkpoint: a directory, a GGUF file, or a name on the hub").required(true))
        .arg(
            Arg::new("revision")
                .long("revision")
                .value_name("REVISION")
                .help("Branch, tag or commit on the hub [default: main]"),
        )
        .arg(flags::path("output", "DIR", "The directory to make").short('o').long("output").required(true))
        .arg(choice::<Contract>("contract", "How the model gives its attention", Contract::QueryKey))
        .arg(
            Arg::new("layers")
                .long("layers")
                .visible_alias("layer")
                .value_name("LAYERS")
                .help("The layers to score, from 0, such as 17 or 0,12-20, or all; those before them run in the model")
                .value_parser(value_parser!(Layers))
                .default_value("0"),
        )
        .arg(choice::<AttentionOperators>(
            "attention",
            "Operators by which the layers before attend and the contract statistics sums: fused ones, for the CPU, or ONNX's \
             standard ones, for any provider",
            AttentionOperators::Fused,
        ))
        .arg(
            Arg::new("block-rows")
                .long("block-rows")
                .value_name("ROWS")
                .help(format!(
                    "Rows of attention that --attention standard computes at a time [default: {DEFAULT_BLOCK_ROWS}]"
                ))
                .value_parser(value_parser!(NonZeroUsize)),
        )
        .arg(choice::<WeightType>("dtype", "Number format of the weights", WeightType::F32))
        .arg(flags::switch("no-fold", "Keep embedding, norm and projections apart, not folded into tables by token id"))
        .arg(flags::switch("gain", "Add all layers and the LM head, so that the package tells the information gain of windows"))
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
        .arg(flags::path("tokenizer", "FILE", "A tokenizer.json, or a GGUF file with a vocabulary, to use in place of the checkpoint's").long("tokenizer"))
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
        layers: matches.get_one::<Layers>("layers").expect("has a default").clone(),
        attention: choice_of(matches, "attention"),
        weights: choice_of(matches, "dtype"),
        block_rows: matches.get_one("block-rows").copied(),
        fold: !matches.get_flag("no-fold"),
        losses: matches.get_flag("gain"),
        rope_theta: matches.get_one("rope-theta").copied(),
        max_positions: matches.get_one("max-positions").copied(),
        tokenizer: matches.get_one::<PathBuf>("tokenizer").cloned(),
        overwrite: matches.get_flag("overwrite"),
    };
    let metadata = match repository(matches)? {
        None => export(flags::path_of(matches, "source"), target, &options)?,
        Some(repository) => {
            progress::catch_interrupts()?;
            let download = Download::new(flags::is_quiet(matches));
            export_from_hub(&repository, target, &options, &INTERRUPT, &|fetched| download.show(fetched))?
        }
    };
    if !flags::is_quiet(matches) {
        let rows = inspect::metadata_rows(&metadata);
        eprintln!("wrote {}\n{}", target.display(), inspect::table(&rows));
    }
    Ok(())
}

/// The repository that the source names; `None` where it is a path. What exists here is no name.
fn repository(matches: &ArgMatches) -> Result<Option<Repository>> {
    let source = flags::path_of(matches, "source");
    let revision = matches.get_one::<String>("revision");
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    if source.exists() {
        return match revision {
            None => Ok(None),
            Some(_) => wrong(format!("--revision is for names on the hub, and {} lies here", source.display())),
        };
    }
    let is_gguf = source.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    let revision = revision.map_or(Repository::MAIN, String::as_str);
    let repository = source.to_str().filter(|_| !is_gguf).and_then(|name| Repository::parse(name, revision));
    match repository {
        Some(repository) => Ok(Some(repository)),
        None => wrong(format!(
            "{} is no checkpoint: name a GGUF file, or a directory with config.json, safetensors and tokenizer.json, or a \
             repository of the Hugging Face hub as owner/name",
            source.display()
        )),
    }
}
