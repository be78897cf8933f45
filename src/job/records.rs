//! Records that are scored as they are, each as one window.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::adaptive::changed_journal;
use super::batches::{Batches, Scores, Sink, is_fatal};
use super::entry::{Entry, RejectKind, Window as WindowEntry};
use super::identity::Identity;
use super::keeping::{Kept, Rejecting, asked, carried, gain, not_carried};
use super::ledger::Ledger;
use super::lines::{ScoreFields, ScoredRecord};
use super::observer::Observer;
use super::reading::{Content, Document, Item, Reading, Unit, reject};
use super::summary::{EarlySigns, Summary};
use super::{Job, Task, check_columns, open_corpus, reading_pool, rows_text};
use crate::cancel::Cancel;
use crate::config::{Config, EarlierResults, Rows};
use crate::corpus::{Output, RawObject, Rejects, check_writable, written_at};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Scorer;

/// Scores the records of a corpus, each as one window, and writes them to one file, which appears when it is whole.
///
/// What was done is kept beside it in a directory of the same name with `.job` behind it, from which an interrupted call is
/// gone on with.
pub struct RecordJob {
    job: Job,
    output: PathBuf,
    gain: bool,
}

impl RecordJob {
    /// Opens a job whose scores go to the file `output`, and its rejects to `rejects`.
    ///
    /// # Errors
    /// Those of [`Job::open`]; [`ErrorKind::Unsupported`] for the information gain by a package without losses.
    pub fn open<P: AsRef<Path>>(
        scorer: Arc<Scorer>,
        inputs: &[P],
        output: &Path,
        rejects: &Path,
        config: &Config,
    ) -> Result<Self> {
        let kept = kept(&scorer, config)?;
        check_columns(&scorer, config)?;
        check_writable(output)?;
        let directory = directory_of(output);
        check_earlier(output, &directory, config)?;
        let identity = Identity::new("records", &scorer, config, rows_text(scorer.config().rows))?
            .with("gain", config.gain)
            .with("keep_fields", config.keep_fields);
        let output_format = Some(config.layout().format_of(output));
        let config = Config { adaptive: false, output_format, ..config.clone() };
        let task = |_: &super::ResultDirectory| Task { unit: Unit::Record, kept, rejects: rejects.to_owned() };
        let job = Job::open_task(scorer, inputs, &directory, &config, task, &identity)?;
        Ok(Self { job, output: output.to_owned(), gain: config.gain })
    }

    /// Scores what has no score yet, and writes the file.
    ///
    /// # Errors
    /// Those of [`Job::score`].
    pub fn run(&mut self, observer: &dyn Observer, cancel: &Cancel) -> Result<Summary> {
        self.job.score(observer, cancel)?;
        let Some(scored) = &self.job.scored else { return Ok(Summary::default()) };
        let types = self.job.corpus.field_types().without(not_carried());
        let mut output = Output::laid_out(&self.output, self.job.config.layout())?.with_field_types(types);
        for (ordinal, place) in scored.table.windows.iter().enumerate() {
            if ordinal % 1024 == 0 {
                cancel.check()?;
            }
            let candidate = scored.table.selector.candidate(ordinal);
            let changed = || changed_journal(candidate.id);
            let Entry::Window(window) = scored.journal.read(place.entry)? else { return Err(changed()) };
            let document = match self.job.task.kept.fields {
                true => match scored.journal.read(scored.table.document(ordinal).entry)? {
                    Entry::Document(document) => Some(document),
                    _ => return Err(changed()),
                },
                false => None,
            };
            let fields = document.and_then(|document| document.fields);
            let fields = fields.map(|fields| RawObject::parse(&fields).map_err(|_| changed())).transpose()?;
            let WindowEntry { score, gain, .. } = window;
            _ = output.write(&ScoredRecord {
                id: candidate.id,
                category: candidate.category,
                fields: fields.as_ref(),
                score: &score,
                gain: self.gain.then(|| gain.into()),
            })?;
        }
        _ = output.finish()?;
        Ok(self.job.summary())
    }
}

fn directory_of(output: &Path) -> PathBuf {
    let mut name: OsString = output.as_os_str().to_owned();
    name.push(".job");
    name.into()
}

/// Refuses a file that is there already, unless it is to be replaced or is known to be gone on with.
fn check_earlier(output: &Path, directory: &Path, config: &Config) -> Result<()> {
    let is_there = output.exists() || !written_at(output).unwrap_or_default().is_empty();
    if !is_there || config.earlier_results == EarlierResults::Overwrite {
        return Ok(());
    }
    let (output, directory_name) = (output.display(), directory.display());
    let message = match config.earlier_results {
        EarlierResults::Resume if directory.is_dir() => return Ok(()),
        EarlierResults::Resume => format!(
            "{output} cannot be gone on with: {directory_name}, which holds what its scores depend on, is not there; replace \
             it with --overwrite, or choose another output"
        ),
        _ => format!("{output} exists already: go on with --resume, or replace it with --overwrite"),
    };
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn kept(scorer: &Scorer, config: &Config) -> Result<Kept> {
    if config.gain {
        scorer.check_losses()?;
    }
    Ok(Kept { per_head: config.per_head, gain: config.gain, fields: config.keep_fields, tokens: false })
}

/// Scores the records of a corpus, each as one window, and writes them to `output` as they are scored, for a stream that
/// cannot be gone on with. [`ControlFlow::Break`] tells that its reader has gone.
///
/// # Errors
/// Those of [`RecordJob::run`].
pub fn score_records<P: AsRef<Path>>(
    scorer: &Scorer,
    inputs: &[P],
    output: &mut Output,
    rejects: &mut Rejects,
    config: &Config,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<(Summary, ControlFlow<()>)> {
    let kept = kept(scorer, config)?;
    check_columns(scorer, config)?;
    let config = Config { window: scorer.config().window, ..config.clone() };
    let inputs: Vec<_> = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
    let corpus = open_corpus(&inputs, None, &config)?;
    let rows = scorer.config().rows;
    let reading = Reading {
        corpus: &corpus,
        unit: Unit::Record,
        config: &config,
        ledger: &Ledger::default(),
        asked: asked(rows),
        tokenize: &|text| scorer.tokenize_until(text, cancel),
        pool: &reading_pool(&config)?,
        cancel,
    };
    let rejecting = Rejecting { rejects, observer, on_error: config.on_error };
    let mut sink = StreamSink {
        scorer,
        kept,
        cancel,
        output,
        rejecting,
        summary: Summary::default(),
        early_signs: EarlySigns::default(),
        has_gone: false,
    };
    Batches::new(scorer, &reading, rows, observer)?.run(&reading, &mut sink)?;
    let StreamSink { summary, has_gone, .. } = sink;
    Ok((summary, if has_gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }))
}

/// Writes scores as they come.
struct StreamSink<'a> {
    scorer: &'a Scorer,
    kept: Kept,
    cancel: &'a Cancel,
    output: &'a mut Output,
    rejecting: Rejecting<'a>,
    summary: Summary,
    early_signs: EarlySigns,
    has_gone: bool,
}

impl Sink for StreamSink<'_> {
    fn take(&mut self, item: Item, scores: &mut Scores, _rows: Rows) -> Result<()> {
        match item {
            Item::Document(document) => self.record(*document, scores),
            Item::Reject { reject, kind } => {
                self.summary.counts.rejected += 1;
                if kind == Some(RejectKind::Duplicate) {
                    self.summary.duplicates += 1;
                    self.early_signs.of_duplicate(&reject, self.rejecting.observer);
                }
                self.rejecting.reject(&reject)
            }
            Item::Failed(reject) => {
                self.summary.files_rejected += 1;
                self.early_signs.of_file(&reject, self.rejecting.observer);
                self.rejecting.reject(&reject)
            }
            Item::Begin(_) | Item::Unchanged { .. } | Item::End { .. } => Ok(()),
        }
    }

    fn keep(&mut self) -> Result<ControlFlow<(), Option<Rows>>> {
        // The next command of a pipe need not wait for a full buffer.
        self.has_gone |= self.output.flush()?.is_break();
        Ok(if self.has_gone { ControlFlow::Break(()) } else { ControlFlow::Continue(None) })
    }
}

impl StreamSink<'_> {
    fn record(&mut self, document: Document, scores: &mut Scores) -> Result<()> {
        let Document { record, tokens, windows, .. } = document;
        self.summary.counts.longest_document = self.summary.counts.longest_document.max(tokens);
        self.summary.counts.windowed += 1;
        for window in windows {
            let Content::Tokens { ids, .. } = window.content else { continue };
            let measured = scores.next().expect("a score for every window");
            let scored = measured.and_then(|measured| Ok((gain(self.scorer, self.kept, &ids, self.cancel)?, measured)));
            let (gain, measured) = match scored {
                Ok(scored) => scored,
                Err(error) if is_fatal(&error, Unit::Record) => return Err(error),
                Err(error) => {
                    self.summary.counts.windows_rejected += 1;
                    self.rejecting.reject(&reject(&record, error.to_string()))?;
                    continue;
                }
            };
            self.summary.windows += 1;
            self.summary.tokens_scored += measured.token_count as u64;
            let fields = if self.kept.fields { Some(carried(&record)?) } else { None };
            let line = ScoredRecord {
                id: &record.id,
                category: &record.category,
                fields: fields.as_ref(),
                score: &ScoreFields::new(&measured, self.kept.per_head),
                gain: self.kept.gain.then(|| gain.into()),
            };
            self.has_gone |= self.output.write(&line)?.is_break();
        }
        Ok(())
    }
}
