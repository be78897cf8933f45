//! `longattn select`: scores to the best windows.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use longattn::Result;
use longattn::corpus::{Output, Rejects, STANDARD_STREAM};
use longattn::job::{FileSelection, select_files};

use crate::flags::{self, OUTPUT_SETTINGS, SELECT_SETTINGS, WithSettings};
use crate::progress;

pub fn command(command: Command) -> Command {
    command
        .about("Select the best windows of each category by their scores")
        .long_about(
            "Reads scores as `score` or the released LongAttn code writes them, and writes the lines of the selected \
             windows, in the order of the input, each with its long-distance dependency score as `lds`.",
        )
        .arg(flags::inputs(
            "Files of JSON lines, Parquet or Arrow with scores, folders of such, or - for standard input",
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
            flags::output("Where the selected windows go, as JSON lines or Parquet by its name")
                .default_value(STANDARD_STREAM),
        )
        .args([flags::rejects(), flags::quiet()])
        .with_settings(&[&SELECT_SETTINGS[..], &OUTPUT_SETTINGS].concat())
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let method = config.method()?;
    let output_path = flags::path_of(matches, "output");
    let mut output = Output::laid_out(output_path, config.layout())?;
    let rejects_path = flags::rejects_path(matches, "select", output_path);
    let mut rejects = Rejects::new(&rejects_path)?;

    let windows: Vec<_> = matches.get_many::<PathBuf>("windows").unwrap_or_default().cloned().collect();
    let selection = select_files(&flags::inputs_of(matches), &windows, &method, &mut output, &mut rejects)?;
    if output.finish()?.is_break() || flags::is_quiet(matches) {
        return Ok(());
    }
    if rejects.count() > 0 {
        eprintln!("{} in {}, each with its reason", progress::count(rejects.count(), "reject"), rejects_path.display());
    }
    let FileSelection { windows, selected, duplicates, written } = selection;
    if duplicates > 0 {
        let lines = progress::count(duplicates, "line");
        eprintln!(
            "{lines} left out because an earlier line of the category has the same id: score all files in one call"
        );
    }
    eprintln!(
        "{} = {selected} selected + {} not selected; {written} written",
        progress::count(windows, "window"),
        windows - selected
    );
    Ok(())
}
