//! `longattn score`: windows to scores.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use clap::{ArgMatches, Command};
use longattn::corpus::{Journal, Output, RawObject, Reader, Record, Rejects, STANDARD_STREAM};
use longattn::model::Scorer;
use longattn::score::Score;
use longattn::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::flags::{self, SCORE_SETTINGS, WithSettings};
use crate::journal;
use crate::lines::ScoreFields;
use crate::pipeline::{self, Item};
use crate::progress::{self, INTERRUPT, Progress};

pub fn command(command: Command) -> Command {
    command
        .about("Score windows: how far and how evenly attention reaches back in each")
        .long_about(
            "Scores each record as one window. Token ids, where a record carries them, are used in place of its text; a \
             text is tokenised and truncated to --window tokens. With --gain each line also tells the information gain: by how \
             many nats the loss of a token is lower when the model sees the whole window before it than when it sees the last \
             128 to 255 tokens, on average over the tokens after the first 256; null in shorter windows. That takes a package \
             exported with --gain, and three passes through all of its layers.",
        )
        .arg(flags::inputs("JSONL files as `windows` writes them, text files and folders, or - for standard input"))
        .arg(flags::model())
        .arg(flags::output("Where the scores go, as JSON lines").default_value(STANDARD_STREAM))
        .arg(flags::per_head())
        .arg(flags::switch("gain", "Write the information gain of each window too, at the cost of all layers of the model"))
        .arg(flags::switch("keep-fields", "Carry each record's text and other fields along"))
        .args(flags::earlier())
        .args([flags::rejects(), flags::quiet()])
        .with_settings(&SCORE_SETTINGS)
        .args(flags::fields())
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let output_path = flags::path_of(matches, "output");
    let (mut sink, done) = Sink::open(matches, output_path)?;
    let scorer = Scorer::open(flags::path_of(matches, "model"), &flags::config(matches)?)?;
    let gain = matches.get_flag("gain");
    if gain {
        scorer.check_losses()?;
    }
    let reader = Reader::open(&flags::inputs_of(matches), flags::fields_of(matches))?;
    let rejects_path = flags::rejects_path(matches, "score", output_path);
    let mut rejects = Rejects::new(&rejects_path)?;
    progress::catch_interrupts()?;

    let (per_head, keep_fields) = (matches.get_flag("per-head"), matches.get_flag("keep-fields"));
    let reading = reader.progress();
    let mut progress = Progress::new(flags::is_quiet(matches), reading.total_bytes());
    let items = reader.filter_map(|record| match record {
        Ok(record) if done.contains(&record.id) => None,
        Ok(record) => Some(Ok(item(&scorer, record, reading.consumed_bytes()))),
        Err(reject) => Some(Ok(Item::Reject(reject))),
    });
    let mut scored = 0;
    let write = |record: &Record, token_ids: &[u32], score: &Score| {
        let mut line = line(record, score, per_head, keep_fields)?;
        if gain {
            line.set("information_gain", &information_gain(&scorer, token_ids)?)?;
        }
        scored += 1;
        sink.write(&line)
    };
    let summary = pipeline::score_all(&scorer, items, &mut progress, &mut rejects, pipeline::reject, write);
    let summary = summary.map_err(|error| sink.explain(error, output_path))?;
    sink.finish()?;
    if !flags::is_quiet(matches) {
        pipeline::tell_rejects(&rejects, &rejects_path);
        let rejected = summary.rejected + summary.rejected_windows;
        let earlier = if done.is_empty() { String::new() } else { format!(" + {} earlier", done.len()) };
        let all = progress::count(scored + done.len() as u64 + rejected, "window");
        progress.tell(&format!("{all} = {scored} scored{earlier} + {rejected} rejected"));
    }
    match scored == 0 && done.is_empty() && rejects.count() > 0 {
        true => Err(Error::new(
            ErrorKind::InvalidRecord,
            format!("not one window could be scored: see {}", rejects_path.display()),
        )),
        false => Ok(()),
    }
}

fn item(scorer: &Scorer, mut record: Record, bytes: u64) -> Item<Record> {
    let tokenized = || scorer.tokenize(record.text.as_deref().unwrap_or_default());
    let token_ids = match record.token_ids.take() {
        Some(token_ids) => Ok(token_ids),
        None => tokenized().map(|tokens| tokens.ids().to_vec()),
    };
    match token_ids {
        Ok(token_ids) => Item::Window { window: record, token_ids, bytes },
        Err(error) => Item::Reject(pipeline::reject(&record, error.to_string())),
    }
}

/// `None` for windows that are too short to have one.
fn information_gain(scorer: &Scorer, token_ids: &[u32]) -> Result<Option<f64>> {
    match scorer.information_gain(token_ids, &INTERRUPT) {
        Err(error) if error.kind() == ErrorKind::TooShort => Ok(None),
        gain => gain.map(Some),
    }
}

fn line(record: &Record, score: &Score, per_head: bool, keep_fields: bool) -> Result<RawObject> {
    let mut line = RawObject::default();
    line.set("id", &record.id)?;
    line.set("category", &record.category)?;
    if keep_fields {
        let mut fields = record.fields.clone();
        ["id", "category"].iter().for_each(|name| fields.remove(name));
        if let Some(text) = &record.text {
            line.set("content", text)?;
        }
        line.append(fields);
    }
    let scores = serde_json::to_value(ScoreFields::new(score, per_head)).expect("finite numbers have a form in JSON");
    for (name, value) in scores.as_object().into_iter().flatten() {
        line.set(name, value)?;
    }
    Ok(line)
}

/// Where scores go: to a file that survives interruptions, or down a stream.
enum Sink {
    Journal(Journal),
    Stream(Output),
}

#[derive(Deserialize)]
struct Scored {
    id: String,
}

impl Sink {
    /// The sink, and the ids of windows that it holds already.
    fn open(matches: &ArgMatches, path: &Path) -> Result<(Self, HashSet<String>)> {
        if path == Path::new(STANDARD_STREAM) || path.exists() && !path.is_file() {
            return Ok((Self::Stream(Output::create(path)?), HashSet::new()));
        }
        let (journal, scored) = journal::open::<Scored>(matches, path)?;
        Ok((Self::Journal(journal), scored.into_iter().map(|scored| scored.id).collect()))
    }

    fn write(&mut self, line: &RawObject) -> Result<ControlFlow<()>> {
        match self {
            Self::Journal(journal) => journal.append(line).map(|_| ControlFlow::Continue(())),
            // The next command of a pipe need not wait for a full buffer.
            Self::Stream(output) => match output.write(line)? {
                ControlFlow::Continue(()) => output.flush(),
                gone => Ok(gone),
            },
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Journal(mut journal) => journal.sync(),
            Self::Stream(output) => output.finish().map(drop),
        }
    }

    /// Adds to an error what became of the scores before it.
    fn explain(&self, error: Error, path: &Path) -> Error {
        match self {
            Self::Journal(_) => {
                let kept = format!("the scores so far are in {}; go on with --resume", path.display());
                Error::new(error.kind(), format!("{error}; {kept}"))
            }
            Self::Stream(_) => error,
        }
    }
}
