//! `longattn select`: scores to the best windows.

use std::path::{Path, PathBuf};

use crate::corpus::{Output, Rejects, STANDARD_STREAM};
use crate::job::{FileSelection, ResultDirectory, Results, select_files};
use crate::{Config, Error, ErrorKind, Result};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::flags::{self, OUTPUT_SETTINGS, SELECT_SETTINGS, WithSettings};
use super::progress::{self, INTERRUPT, Terminal};
use super::told;

pub fn command(command: Command) -> Command {
    command
        .about("Select the best windows of each category by their scores")
        .long_about(
            "Reads scores as `score` or the released LongAttn code writes them, and writes the lines of the selected \
             windows, in the order of the input, each with its long-distance dependency score as `lds`.\n\nOr takes the result \
             directory of `run`, or those of all shards of a corpus (`run --shard`), needs no model, and writes into the \
             directory -o what one `run` would have written: the same bytes. The inputs must be where they were. With --keep-fields, or \
             where the runs had it, selected windows carry the other fields of their documents; lines of scores keep theirs in \
             any case.",
        )
        .arg(flags::inputs(
            "Files of JSON lines, Parquet or Arrow with scores, folders of such, or - for standard input; or result \
             directories of `run`",
        ))
        .arg(
            Arg::new("windows")
                .long("windows")
                .value_name("FILE")
                .help("Files with the windows of these scores: write their lines, text included, with the scores added")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            flags::output(
                "Where the selected windows go, as JSON lines or Parquet by its name; of result directories, the directory \
                 for everything",
            )
            .default_value(STANDARD_STREAM),
        )
        .args([flags::rejects(), flags::quiet()])
        .with_settings(&[&SELECT_SETTINGS[..], &OUTPUT_SETTINGS, &["attributes", "upload", "keep_fields"]].concat())
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let inputs = flags::inputs_of(matches);
    let directories = inputs.iter().filter(|input| ResultDirectory::is_one(input)).count();
    match directories {
        0 => from_files(matches, &inputs, &config),
        _ if directories == inputs.len() && !matches.contains_id("windows") => from_results(matches, &inputs, &config),
        _ => {
            let message =
                "result directories of `run` are selected from by themselves, without files of scores or windows";
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
    }
}

fn from_results(matches: &ArgMatches, inputs: &[PathBuf], config: &Config) -> Result<()> {
    progress::catch_interrupts()?;
    let terminal = Terminal::new(flags::is_quiet(matches));
    let output = flags::path_of(matches, "output");
    flags::check_upload(config, output)?;
    let results = Results::open(inputs, &INTERRUPT)?;
    let is_stream = output == Path::new(STANDARD_STREAM);
    let selection = match is_stream {
        true => {
            let folder = tempfile::tempdir().map_err(|cause| Error::io("make a temporary directory", cause))?;
            results.select_to(output, folder.path(), config, &terminal, &INTERRUPT)
        }
        false => results.select(output, config, &terminal, &INTERRUPT),
    };
    terminal.finish();
    let selection = selection?;
    if is_stream && !selection.is_written {
        return Ok(());
    }
    if !is_stream {
        told::selection(&terminal, &selection, output, &Results::selected(output, config), config.by.as_deref());
    }
    terminal.tell(&told::balance(&selection.summary));
    Ok(())
}

fn from_files(matches: &ArgMatches, inputs: &[PathBuf], config: &Config) -> Result<()> {
    config.method()?;
    if config.upload.is_some() {
        let message = "upload is for selections from result directories";
        return Err(Error::new(ErrorKind::InvalidSetting, message));
    }
    let output_path = flags::path_of(matches, "output");
    let mut output = Output::laid_out(output_path, config.layout())?;
    let rejects_path = flags::rejects_path(matches, "select", output_path);
    let mut rejects = Rejects::new(&rejects_path)?;

    let windows: Vec<_> = matches.get_many::<PathBuf>("windows").unwrap_or_default().cloned().collect();
    let selection = select_files(inputs, &windows, config, &mut output, &mut rejects)?;
    if output.finish()?.is_break() || flags::is_quiet(matches) {
        return Ok(());
    }
    if rejects.count() > 0 {
        eprintln!("{} in {}, each with its reason", progress::count(rejects.count(), "reject"), rejects_path.display());
    }
    let FileSelection { windows, selected, filtered, duplicates, written, explanation } = selection;
    if let Some(explanation) = explanation {
        eprintln!("{explanation}");
    }
    if duplicates > 0 {
        let lines = progress::count(duplicates, "line");
        eprintln!(
            "{lines} left out because an earlier line of the category has the same id: score all files in one call"
        );
    }
    let left_out = if filtered > 0 { format!(" + {filtered} filtered out") } else { String::new() };
    eprintln!(
        "{} = {selected} selected + {} not selected{left_out}; {written} written",
        progress::count(windows + filtered, "window"),
        windows - selected
    );
    Ok(())
}
