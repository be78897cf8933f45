//! `longattn score`: windows to scores.

use std::path::Path;
use std::sync::Arc;

use crate::corpus::{Output, Rejects, STANDARD_STREAM};
use crate::job::{RecordJob, Summary, score_records};
use crate::model::Scorer;
use crate::{Error, ErrorKind, Result};
use clap::{ArgMatches, Command};

use super::flags::{self, JOB_SETTINGS, OUTPUT_SETTINGS, SCORE_SETTINGS, WithSettings};
use super::progress::{self, INTERRUPT, Terminal};
use super::told;

pub fn command(command: Command) -> Command {
    command
        .about("Score windows: how far and how evenly attention reaches back in each")
        .long_about(
            "Scores each record as one window. Token ids, where a record carries them, are used in place of its text; a \
             text is tokenised and truncated to --window tokens. A file of scores appears when all of it is there; what was \
             done so far is in FILE.job, from which an interrupted call goes on with --resume. With --gain each line also \
             tells the information gain: by how many nats the loss of a token is lower when the model sees the whole window \
             before it than when it sees the last 128 to 255 tokens, on average over the tokens after the first 256; null in \
             shorter windows. That takes a package exported with --gain, and three passes through all of its layers.",
        )
        .arg(flags::inputs("Windows as `windows` writes them, in JSON lines, Parquet or Arrow, text files, folders, or - for standard input"))
        .arg(flags::model())
        .arg(flags::output("Where the scores go, as JSON lines or Parquet by its name").default_value(STANDARD_STREAM))
        .args(flags::earlier())
        .args([flags::rejects(), flags::quiet()])
        .with_settings(&[&SCORE_SETTINGS[..], &JOB_SETTINGS, &OUTPUT_SETTINGS, &["columns", "per_head", "gain", "keep_fields"]].concat())
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let output_path = flags::path_of(matches, "output");
    let inputs = flags::inputs_of(matches);
    let rejects_path = flags::rejects_path(matches, "score", output_path);
    let scorer = Arc::new(Scorer::open(flags::path_of(matches, "model"), &config)?);
    progress::catch_interrupts()?;
    let terminal = Terminal::new(flags::is_quiet(matches));
    let is_stream = output_path == Path::new(STANDARD_STREAM) || output_path.exists() && !output_path.is_file();
    let scored = if is_stream {
        let mut output = Output::laid_out(output_path, config.layout())?;
        let mut rejects = Rejects::new(&rejects_path)?;
        let scored = score_records(&scorer, &inputs, &mut output, &mut rejects, &config, &terminal, &INTERRUPT);
        scored.and_then(|(summary, flow)| Ok((summary, flow.is_continue() && output.finish()?.is_continue())))
    } else {
        let job = RecordJob::open(scorer, &inputs, output_path, &rejects_path, &config);
        job.and_then(|mut job| job.run(&terminal, &INTERRUPT)).map(|summary| (summary, true))
    };
    terminal.finish();
    let (summary, is_whole) = scored?;
    if !is_whole {
        return Ok(());
    }
    tell(&terminal, &summary, &rejects_path);
    if summary.windows == 0 && summary.rejects() > 0 {
        let message = format!("not one window could be scored: see {}", rejects_path.display());
        return Err(Error::new(ErrorKind::InvalidRecord, message));
    }
    Ok(())
}

fn tell(terminal: &Terminal, summary: &Summary, rejects_path: &Path) {
    if summary.rejects() > 0 {
        terminal.tell(&told::rejects(summary, rejects_path));
    }
    let known = summary.counts.windows_known;
    let rejected = summary.counts.rejected + summary.counts.windows_rejected;
    let earlier = if known == 0 { String::new() } else { format!(" + {known} earlier") };
    let all = progress::count(summary.windows + rejected, "window");
    terminal.tell(&format!("{all} = {} scored{earlier} + {rejected} rejected", summary.windows - known));
}
