//! `longattn run`: windows, scores and selection in one go.

use std::path::Path;
use std::sync::Arc;

use crate::Result;
use crate::corpus::STANDARD_STREAM;
use crate::job::{Job, Selection};
use crate::model::Scorer;
use clap::{ArgMatches, Command};

use super::flags::{self, JOB_SETTINGS, OUTPUT_SETTINGS, SCORE_SETTINGS, SELECT_SETTINGS, WithSettings};
use super::progress::{self, INTERRUPT, Terminal};
use super::told;

pub fn command(command: Command) -> Command {
    command
        .about("Do the whole job on a corpus: cut windows, score them, select the best of each category")
        .long_about(
            "Cuts documents into windows, scores them and selects the best of each category. The result directory gets \
             selected.jsonl, scores.jsonl, report.html, chart.svg and, for what could not be used, rejects.jsonl. An \
             interrupted run goes on with --resume, which also selects anew by other settings of the cut, and scores what \
             was added or has changed, without scoring the rest again.\n\nWith --adaptive all windows are scored on few rows \
             of attention first, as many as --rows says or one in 16, and only those whose standard errors leave in doubt on \
             which side of the cut they fall are scored again on four times as many and at last on all, until the selection \
             equals the exact one with the probability --confidence. Where exact scores are cheaper, it says so and makes \
             those.\n\nWith --shard I/N only the I-th of N shares of the corpus is scored, into a result directory of its own. \
             N such runs need nothing of each other, on one machine or many; `longattn select` then selects from all N result \
             directories at once.",
        )
        .arg(flags::inputs("Files of JSON lines, Parquet or Arrow, text files, folders of them, URLs of both, or - for standard input"))
        .arg(flags::model())
        .arg(
            flags::path("output", "DIR", "The result directory, or - to write the selected windows to standard output alone")
                .short('o')
                .long("output")
                .required(true),
        )
        .args(flags::earlier())
        .arg(flags::quiet())
        .with_settings(
            &[
                &SCORE_SETTINGS[..],
                &SELECT_SETTINGS,
                &JOB_SETTINGS,
                &OUTPUT_SETTINGS,
                &["columns", "adaptive", "per_head", "confidence", "keep_fields", "attributes", "upload"],
            ]
            .concat(),
        )
        .mut_arg("confidence", |confidence| confidence.requires("adaptive"))
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let output = flags::path_of(matches, "output");
    let scorer = Arc::new(Scorer::open(flags::path_of(matches, "model"), &config)?);
    let inputs = flags::inputs_of(matches);
    progress::catch_interrupts()?;
    let terminal = Terminal::new(flags::is_quiet(matches));
    flags::check_upload(&config, output)?;
    if output == Path::new(STANDARD_STREAM) {
        return to_standard_output(scorer, matches, &config, &terminal);
    }
    let mut job = Job::open(scorer, &inputs, output, &config)?;
    let selection = job.run(&terminal, &INTERRUPT);
    terminal.finish();
    let selection = selection?;
    tell(&terminal, &selection, &config);
    if let Some(shard) = config.shard {
        let windows = progress::count(selection.summary.windows, "window");
        terminal.tell(&format!("{}; {windows} scored", told::documents(&selection.summary)));
        let (of, output) = (shard.of(), output.display());
        terminal
            .tell(&format!("shard {shard} is done: select from all {of} with `longattn select`, {output} among them"));
        return Ok(());
    }
    told::selection(&terminal, &selection, output, &job.selected(), config.by.as_deref());
    terminal.tell(&told::balance(&selection.summary));
    Ok(())
}

/// Does the job in a temporary directory, of which only the selected windows and the rejects outlive it.
fn to_standard_output(
    scorer: Arc<Scorer>,
    matches: &ArgMatches,
    config: &crate::Config,
    terminal: &Terminal,
) -> Result<()> {
    let directory = tempfile::tempdir().map_err(|cause| crate::Error::io("make a temporary directory", cause))?;
    let output = Path::new(STANDARD_STREAM);
    let rejects = flags::rejects_path(matches, "run", output);
    let mut job = Job::open(scorer, &flags::inputs_of(matches), directory.path(), config)?.with_rejects(&rejects);
    let selection = job.run_to(output, terminal, &INTERRUPT);
    terminal.finish();
    let selection = selection?;
    if !selection.is_written {
        return Ok(());
    }
    tell(terminal, &selection, config);
    if selection.summary.rejects() > 0 {
        terminal.tell(&told::rejects(&selection.summary, &rejects));
    }
    terminal.tell(&told::balance(&selection.summary));
    Ok(())
}

fn tell(terminal: &Terminal, selection: &Selection, config: &crate::Config) {
    let summary = &selection.summary;
    if config.adaptive {
        terminal.tell(&summary.rows());
    }
    if summary.counts.windows_known > 0 {
        terminal.tell(&format!("{} scored by an earlier run", progress::count(summary.counts.windows_known, "window")));
    }
}
