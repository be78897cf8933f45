//! The whole job on a corpus: read, tokenise, cut, score, keep, select, write.
//!
//! A [`Job`] has inputs, settings, a scorer and a result directory, which it owns while it lives. It may be killed at any
//! moment, and goes on where it was: what scores depend on is written down and compared before anything is reused, files
//! that did not change are not read again, and of those that did only documents with other texts are scored. What cannot
//! be used is told as a reject, and the rest goes on. Outputs appear under their names when they are whole.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `selected.jsonl` | the selected windows with their texts, in another format or several files where the settings say so |
//! | `scores.jsonl` | the scores of all windows, in the same way |
//! | `rejects.jsonl` | what could not be used, with its reason; written as it is met |
//! | `report.html`, `chart.svg` | the report, of jobs with a model |
//! | `summary.json` | what became of everything, with settings, versions and throughput |
//! | `job.json` | what the scores depend on |
//! | `journal.jsonl` | everything that was done, for later calls |
//! | `job.lock` | held by the process that is at work |
//! | `stdin.jsonl` | standard input, where it is one of the inputs |

mod adaptive;
mod ahead;
mod attributes;
mod batches;
mod calibration;
mod directory;
mod entry;
mod identity;
mod journals;
mod keeping;
mod ledger;
mod lines;
mod measurement;
mod metrics;
mod observer;
mod outputs;
mod pilot;
mod reading;
mod records;
mod results;
mod score_files;
mod score_line;
mod selection;
mod summary;
mod table;
mod texts;
mod uploading;
mod windows;

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::config::{Config, EarlierResults, Rows, SETTINGS};
use crate::corpus::{Corpus, Fields, Journal, Layout, OutputFormat, Rejects, STANDARD_STREAM, shown, written_at};
use crate::digest::{Hasher, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Description, Scorer};
use crate::report::ModelSummary;
use crate::rivals::Column;
use crate::select::Filter;

use adaptive::Refining;
use batches::Batches;
use entry::{Entry, Finished, Worked, Written};
use identity::{Identity, SCORE_SETTINGS};
use journals::Journals;
use keeping::{Found, JournalSink, Keeping, Kept, Rejecting, asked};
use ledger::Ledger;
use metrics::Metered;
use outputs::Work;
use pilot::Pilot;
use reading::{Reading, Unit};
use selection::Cutting;
use table::Table;
use texts::Texts;

pub use calibration::{Calibrated, CalibratedCategory, CalibrationJob};
pub use directory::ResultDirectory;
pub use identity::score_identity;
pub use lines::{AttentionFields, EstimateFields, ScoreFields, WindowLine, window_id};
pub use observer::{Observer, Progress, Stage};
pub use records::{RecordJob, score_records};
pub use results::Results;
pub use score_files::{FileSelection, select_files};
pub use selection::{CategorySelection, Listed};
pub use summary::{Counts, StageWork, Summary, Throughput};
pub use windows::cut_windows;

const IDENTITY: &str = "job.json";
const JOURNAL: &str = "journal.jsonl";
/// Names without the suffix, which tells the format.
const SCORES: &str = "scores";
const SELECTED: &str = "selected";
const REJECTS: &str = "rejects.jsonl";
const REPORT: &str = "report.html";
const CHART: &str = "chart.svg";
const SUMMARY: &str = "summary.json";
const STANDARD_INPUT: &str = "stdin.jsonl";
const CALIBRATION: &str = "calibration.json";
const CALIBRATION_CHART: &str = "calibration.svg";
const CALIBRATION_JOURNAL: &str = "windows.jsonl";

/// What jobs of every kind write, those things last that others are made from.
const OUTPUTS: [&str; 10] = [
    SUMMARY,
    REPORT,
    CHART,
    CALIBRATION,
    CALIBRATION_CHART,
    REJECTS,
    CALIBRATION_JOURNAL,
    JOURNAL,
    STANDARD_INPUT,
    IDENTITY,
];

/// What must not be replaced unasked.
const RESULTS: [&str; 3] = [JOURNAL, CALIBRATION_JOURNAL, CALIBRATION];

/// What is written in one of several formats, to one file or more.
const TABLES: [&str; 2] = [SELECTED, SCORES];

/// What versions before 0.2 left in a result directory.
const OF_OLD: [&str; 3] = ["run.json", "rounds.jsonl", "calibrate.json"];

/// A selection, and what became of everything on the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// What became of everything.
    pub summary: Summary,
    /// The categories in the order of their bytes.
    pub categories: Vec<CategorySelection>,
    /// Whether the selected windows were all written; not where whoever read standard output has gone.
    pub is_written: bool,
}

/// A job on a corpus, and the owner of its result directory.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use longattn::{Cancel, Config, job::Job, model::Scorer};
///
/// let mut config = Config::default();
/// config.set("window", "8192")?;
/// config.set("earlier_results", "resume")?;
/// let scorer = Arc::new(Scorer::open("model".as_ref(), &config)?);
/// let mut job = Job::open(scorer, &["corpus"], "result".as_ref(), &config)?;
/// let selection = job.run(&(), &Cancel::default())?;
/// println!("{} windows selected", selection.summary.windows_selected);
/// # Ok::<(), longattn::Error>(())
/// ```
pub struct Job {
    scorer: Arc<Scorer>,
    config: Config,
    inputs: Vec<PathBuf>,
    corpus: Corpus,
    directory: ResultDirectory,
    pool: ThreadPool,
    task: Task,
    scored: Option<Scored>,
}

/// What a job does with records.
struct Task {
    unit: Unit,
    kept: Kept,
    rejects: PathBuf,
}

/// The scores of everything.
struct Scored {
    journal: Journal,
    ledger: Ledger,
    rejects: Rejects,
    table: Table,
    summary: Summary,
    /// Of an adaptive job: all scores are to be exact.
    exact: bool,
    /// Of an adaptive job: a selection has changed the scores.
    refined: bool,
    begun: Instant,
    /// What of the work is in the journal already.
    told: Worked,
}

impl Job {
    /// Opens a job on inputs (files, folders, URLs, `-` for standard input) and a result directory, which is made where it is
    /// missing. The settings of the scores are the scorer's; `config` has those of the job and of the selection.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where the directory has results and the setting `earlier_results` refuses them, or
    /// where they are to be gone on with and scores depend on something that has changed;
    /// [`ErrorKind::Unsupported`] for an adaptive job with a model that computes all rows in any case; [`ErrorKind::Io`]
    /// where an input is missing, the directory cannot be written to, or another process is at work in it.
    pub fn open<P: AsRef<Path>>(scorer: Arc<Scorer>, inputs: &[P], directory: &Path, config: &Config) -> Result<Self> {
        let kept = Kept { per_head: config.per_head, tokens: config.adaptive, ..Kept::default() };
        let task = |directory: &ResultDirectory| Task { unit: Unit::Windows, kept, rejects: directory.file(REJECTS) };
        if config.adaptive {
            adaptive::check_contract(&scorer)?;
            check_adaptive(config)?;
        }
        check_columns(&scorer, config)?;
        if config.shard.is_none() {
            check_ranking(&scorer, config)?;
        }
        config.method()?;
        let rows = first_rows(&scorer, config);
        let identity = Identity::new("windows", &scorer, config, rows_text(rows))?;
        Self::open_task(scorer, inputs, directory, config, task, &identity)
    }

    fn open_task<P: AsRef<Path>>(
        scorer: Arc<Scorer>,
        inputs: &[P],
        directory: &Path,
        config: &Config,
        task: impl FnOnce(&ResultDirectory) -> Task,
        identity: &Identity,
    ) -> Result<Self> {
        let mut config = config.clone().with_alpha_of(scored_layers(&scorer));
        for key in SCORE_SETTINGS.iter().chain(&["rows", "instruction_set"]) {
            config.set(key, &scorer.config().get(key)?)?;
        }
        let inputs: Vec<_> = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
        let (directory, corpus) = open_results(&inputs, directory, &config, identity)?;
        let pool = reading_pool(&config)?;
        let task = task(&directory);
        Ok(Self { scorer, config, inputs, corpus, directory, pool, task, scored: None })
    }

    /// Does everything: scores, and selects. A share of a corpus is only scored: [`Results`] selects from all of them.
    ///
    /// # Errors
    /// Those of [`Job::score`] and [`Job::select`].
    pub fn run(&mut self, observer: &dyn Observer, cancel: &Cancel) -> Result<Selection> {
        self.run_to(&self.selected(), observer, cancel)
    }

    /// As [`Job::run`], with the selected windows written to another file, or to standard output for `-`.
    ///
    /// # Errors
    /// Those of [`Job::run`].
    pub fn run_to(&mut self, path: &Path, observer: &dyn Observer, cancel: &Cancel) -> Result<Selection> {
        let summary = self.score(observer, cancel)?;
        if self.config.shard.is_some() {
            self.write_summary(&self.config, &[])?;
            uploading::upload(&self.directory, &self.config, observer, cancel)?;
            return Ok(Selection { summary, categories: Vec::new(), is_written: false });
        }
        let config = self.config.clone();
        self.select_to(path, &config, observer, cancel)
    }

    /// Writes rejects to another file than that of the result directory.
    #[must_use]
    pub fn with_rejects(mut self, path: &Path) -> Self {
        self.task.rejects = path.to_owned();
        self
    }

    /// Scores what has no score yet.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], [`ErrorKind::Io`] where the result directory cannot be written to, and what would befall
    /// every window: [`ErrorKind::Runtime`], [`ErrorKind::MemoryLimit`], [`ErrorKind::InvalidSetting`]. Finished windows are
    /// kept. [`ErrorKind::InvalidRecord`] where the setting `on_error` says so, and where everything was
    /// rejected.
    pub fn score(&mut self, observer: &dyn Observer, cancel: &Cancel) -> Result<Summary> {
        let metered = self.config.metrics.as_ref().map(|path| Metered::new(path, observer));
        let observer = metered.as_ref().map_or(observer, |metered| metered as &dyn Observer);
        self.scored = None;
        let begun = Instant::now();
        let path = self.directory.file(JOURNAL);
        let (mut journal, ledger) = match path.exists() {
            true => Ledger::read(&path)?,
            false => (Journal::create(&path)?, Ledger::default()),
        };
        let mut rejects = Rejects::new(&self.task.rejects)?;
        rejects.clear()?;
        let rows = first_rows(&self.scorer, &self.config);
        let corpus = self.corpus.clone().with_cancel(cancel.clone());
        let reading = Reading {
            corpus: &corpus,
            unit: self.task.unit,
            config: &self.config,
            ledger: &ledger,
            asked: asked(rows),
            tokenize: &|text| self.scorer.tokenize_until(text, cancel),
            pool: &self.pool,
            cancel,
        };
        let rejecting = Rejecting { rejects: &mut rejects, observer, on_error: self.config.on_error };
        let keeping = Keeping { journal: &mut journal, rejecting, cancel };
        let mut sink = JournalSink {
            scorer: &self.scorer,
            config: &self.config,
            corpus: &self.corpus,
            unit: self.task.unit,
            ledger: &ledger,
            asked: asked(rows),
            kept: self.task.kept,
            keeping,
            rounds: self.config.adaptive.then(|| adaptive::rounds(&self.scorer)),
            pilot: Pilot::default(),
            exact: false,
            found: Found::new(self.config.adaptive),
        };
        let scored = Batches::new(&self.scorer, &reading, rows, observer)?.run(&reading, &mut sink);
        let exact = sink.exact;
        let Found { table, mut summary, .. } = sink.found;
        summary.calls = ledger.worked.call + 1;
        match scored {
            Ok(throughput) => summary.throughput = throughput,
            Err(error) => {
                // The time of a call that was stopped counts too; where that cannot be written, nothing else can.
                let (call, seconds) = (summary.calls, begun.elapsed().as_secs_f64());
                _ = journal.append(&Entry::Worked(Worked { call, seconds, tokens: summary.tokens_scored }));
                return Err(self.explain(error));
            }
        }
        journal.append(&Entry::Finished(self.finished()?))?;
        journal.sync()?;
        summary.windows = table.windows.len() as u64;
        // A share of a corpus may hold nothing of use where the rest does.
        if summary.windows == 0 && summary.rejects() > 0 && self.config.shard.is_none() {
            let message = format!("not one window could be scored: see {}", self.task.rejects.display());
            return Err(Error::new(ErrorKind::InvalidRecord, message));
        }
        let told = Worked::default();
        self.scored = Some(Scored { journal, ledger, rejects, table, summary, exact, refined: false, begun, told });
        self.note_work()?;
        Ok(self.summary())
    }

    /// Selects by the settings of the cut in `config`, and writes what was selected, the scores and the report; of an
    /// adaptive job, scores what is in doubt first. Scores what has no score yet where that was not done.
    ///
    /// # Errors
    /// Those of [`Job::score`]; [`ErrorKind::InvalidSetting`] where more than one cut is set;
    /// [`ErrorKind::InvalidRecord`] where an input has changed meanwhile.
    pub fn select(&mut self, config: &Config, observer: &dyn Observer, cancel: &Cancel) -> Result<Selection> {
        self.select_to(&self.selected(), config, observer, cancel)
    }

    /// As [`Job::select`], with the selected windows written to another file, or to standard output for `-`.
    ///
    /// # Errors
    /// Those of [`Job::select`].
    pub fn select_to(
        &mut self,
        path: &Path,
        config: &Config,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<Selection> {
        if let Some(shard) = self.config.shard {
            let message = format!("shard {shard} cannot be selected from alone: select from the results of all shards");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let config = &self.config.with_selection_of(config).with_alpha_of(scored_layers(&self.scorer));
        config.method()?;
        check_ranking(&self.scorer, config)?;
        if config.adaptive {
            check_adaptive(config)?;
        }
        // Another cut begins from the first scores, as it would in another call.
        if self.scored.as_ref().is_none_or(|scored| scored.refined) {
            self.score(observer, cancel)?;
        }
        self.refine(config, observer, cancel).map_err(|error| self.explain(error))?;
        let begun = Instant::now();
        let scored = self.scored.as_mut().expect("it was scored above");
        write_scores(scored, &self.corpus, &self.directory, self.config.layout(), cancel)?;
        let Scored { journal, table, summary, .. } = scored;
        let mut cutting = selection::cut(table, &self.corpus, &Journals::from(&*journal), config)?;
        cutting.explanation.iter().for_each(|explanation| observer.notice(explanation));
        summary.windows_filtered = cutting.filtered;
        summary.windows_selected = cutting.selected();
        summary.tokens_selected = cutting.tokens(table);
        let journals = &Journals::from(&*journal);
        if let Some(name) = &self.config.attributes {
            let (corpus, directory) = (&self.corpus, &self.directory);
            attributes::Scores { name, table, corpus, journals, directory, cancel }.write()?;
        }
        let texts = Texts { table, corpus: &self.corpus, journals, observer, cancel };
        let written = cutting.write(&texts, path, self.config.layout())?;
        if self.directory.table(SELECTED, self.config.layout()) == path {
            self.directory.remove_other_tables(SELECTED, path)?;
        }
        summary.throughput.writing = StageWork::since(begun, summary.windows_selected);
        self.note_work()?;
        self.write_report(config, &cutting)?;
        self.write_summary(config, &cutting.categories)?;
        uploading::upload(&self.directory, config, observer, cancel)?;
        let is_written = written == ControlFlow::Continue(());
        Ok(Selection { summary: self.summary(), categories: cutting.categories, is_written })
    }

    fn refine(&mut self, config: &Config, observer: &dyn Observer, cancel: &Cancel) -> Result<()> {
        let Some(scored) = self.scored.as_mut().filter(|_| self.config.adaptive) else { return Ok(()) };
        let Scored { journal, ledger, rejects, table, summary, exact, refined, .. } = scored;
        *refined = true;
        let (begun, tokens) = (Instant::now(), summary.tokens_scored);
        let mut refining = Refining {
            scorer: &self.scorer,
            config,
            corpus: &self.corpus,
            ledger,
            kept: self.task.kept,
            keeping: Keeping {
                journal,
                rejecting: Rejecting { rejects, observer, on_error: self.config.on_error },
                cancel,
            },
            rounds: adaptive::rounds(&self.scorer),
            exact: *exact,
            summary,
        };
        refining.run(table)?;
        journal.sync()?;
        summary.throughput.refining = StageWork::since(begun, summary.tokens_scored - tokens);
        summary.windows = table.windows.len() as u64;
        summary.rows_computed = table.rows_computed;
        summary.rows_of_exact_scores = table.rows_of_exact_scores;
        summary.windows_exact = table.errors.iter().filter(|errors| errors.is_exact()).count() as u64;
        Ok(())
    }

    /// What became of everything so far.
    pub fn summary(&self) -> Summary {
        let Some(Scored { ledger, summary, told, .. }) = &self.scored else { return Summary::default() };
        Summary {
            seconds: ledger.worked.seconds + told.seconds,
            tokens_scored: ledger.worked.tokens + told.tokens,
            ..*summary
        }
    }

    /// The inputs, the files of which were listed when the job was opened.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Where the selected windows are written, unless elsewhere is named; in several files, it is what their names are made
    /// of.
    pub fn selected(&self) -> PathBuf {
        self.directory.table(SELECTED, self.config.layout())
    }

    /// The settings of the job, with those of the scorer that its scores depend on.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the results are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes down how long the work has taken, since the report tells of all calls.
    fn note_work(&mut self) -> Result<()> {
        let Some(scored) = &mut self.scored else { return Ok(()) };
        let call = scored.summary.calls;
        let now = Worked { call, seconds: scored.begun.elapsed().as_secs_f64(), tokens: scored.summary.tokens_scored };
        let Worked { seconds, tokens, .. } = scored.told;
        let since = Worked { seconds: now.seconds - seconds, tokens: now.tokens - tokens, ..now };
        scored.journal.append(&Entry::Worked(since))?;
        scored.told = now;
        Ok(())
    }

    fn write_report(&self, config: &Config, cutting: &Cutting) -> Result<()> {
        let model = model_summary(self.scorer.description());
        let work = Work { inputs: &all_shown(&self.inputs), config, model, summary: &self.summary() };
        work.write_report(&self.directory, cutting)
    }

    fn write_summary(&self, config: &Config, categories: &[CategorySelection]) -> Result<()> {
        let model = model_summary(self.scorer.description());
        let work = Work { inputs: &all_shown(&self.inputs), config, model, summary: &self.summary() };
        work.write_summary(&self.directory, categories)
    }

    /// What was scored, for a selection that knows no more of it.
    fn finished(&self) -> Result<Finished> {
        let settings = SETTINGS.iter().map(|setting| Ok((setting.key.to_owned(), self.config.get(setting.key)?)));
        Ok(Finished {
            inputs: all_shown(&self.inputs),
            listing: self.corpus.listing_digest(),
            settings: settings.collect::<Result<_>>()?,
            model: model_summary(self.scorer.description()),
        })
    }

    fn explain(&self, error: Error) -> Error {
        kept_in(&self.directory, error)
    }
}

/// Adds to an error what became of the work before it.
fn kept_in(directory: &ResultDirectory, error: Error) -> Error {
    let kept = format!("finished windows are kept in {}; go on with --resume", directory.path().display());
    Error::new(error.kind(), format!("{error}; {kept}"))
}

/// Refuses settings by which nobody can tell which windows are in doubt.
fn check_adaptive(config: &Config) -> Result<()> {
    if config.shard.is_some() {
        let message = "adaptive and shard cannot be set together, since a window is in doubt or not by the scores of all \
                       shards, after each round anew: leave adaptive out, and estimate all scores with rows";
        return Err(Error::new(ErrorKind::InvalidSetting, message));
    }
    let settings = [
        ("filter", config.filter.is_some()),
        ("by", config.by.is_some()),
        ("max_per_document", config.max_per_document.is_some()),
        ("total_token_budget", config.total_token_budget.is_some()),
    ];
    let Some((name, _)) = settings.into_iter().find(|(_, is_set)| *is_set) else { return Ok(()) };
    let message = format!("adaptive and {name} cannot be set together: leave one out");
    Err(Error::new(ErrorKind::InvalidSetting, message))
}

/// Refuses a job that would give windows no numbers.
fn check_columns(scorer: &Scorer, config: &Config) -> Result<()> {
    if scorer.has_model() || !config.columns.is_empty() {
        return Ok(());
    }
    let model_free = Column::NAMES.iter().filter(|row| !row.1.is_predicted());
    let names: Vec<_> = model_free.map(|row| row.0).collect();
    let names = names.join(", ");
    let message = format!("without a model windows have columns alone: set columns to some of {names}");
    Err(Error::new(ErrorKind::InvalidSetting, message))
}

/// Refuses a selection by what windows do not have.
fn check_ranking(scorer: &Scorer, config: &Config) -> Result<()> {
    let mut asked = config.by.iter().map(String::as_str).chain(config.filter.iter().flat_map(Filter::columns));
    let is_missing = |name: &&str| Column::named(name).is_some_and(|column| !config.columns.contains(&column));
    let message = match asked.find(is_missing) {
        Some(name) => format!("{name} is asked for and not scored: name it in columns, too"),
        None if !scorer.has_model() && config.by.is_none() => NO_RANKING.to_owned(),
        None => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidSetting, message))
}

const NO_RANKING: &str = "windows scored without a model have no long-distance dependency score: set by to a column";

/// The layers that a model scores, where it tells.
fn scored_layers(scorer: &Scorer) -> &[usize] {
    scorer.description().metadata.as_ref().map_or(&[], |metadata| &metadata.layers)
}

/// The rows of the first scores of a job.
fn first_rows(scorer: &Scorer, config: &Config) -> Rows {
    match config.adaptive {
        true => adaptive::rows_of(&adaptive::rounds(scorer), 0),
        false => scorer.config().rows,
    }
}

fn rows_text(rows: Rows) -> String {
    match rows {
        Rows::All => "all".to_owned(),
        Rows::Sample(count) => count.to_string(),
    }
}

fn open_corpus(inputs: &[PathBuf], directory: Option<&Path>, config: &Config) -> Result<Corpus> {
    let Config { text_field, id_field, category_field, ids_from_place, keep_fields, document_limit, .. } =
        config.clone();
    if ids_from_place && id_field.is_some() {
        let message = "only one of id_field and ids_from_place can be set";
        return Err(Error::new(ErrorKind::InvalidSetting, message));
    }
    let fields = Fields { text: text_field, id: id_field, category: category_field };
    let corpus = Corpus::open(inputs, fields, directory.as_slice())?.with_document_limit(document_limit.as_u64());
    let has_types = config.output_format.is_some_and(OutputFormat::has_types);
    let corpus = corpus.with_every_field(keep_fields).with_typed_fields(has_types).with_ids_from_place(ids_from_place);
    let corpus = match &config.category {
        Some(category) => corpus.with_category(category),
        None => corpus,
    };
    match config.shard {
        Some(shard) => corpus.shard(shard),
        None => Ok(corpus),
    }
}

/// Inputs as they are told, without the secrets that URLs may have.
fn all_shown(inputs: &[PathBuf]) -> Vec<String> {
    inputs.iter().map(|input| shown(input)).collect()
}

/// The threads that parse and tokenise.
fn reading_pool(config: &Config) -> Result<ThreadPool> {
    let threads = config.threads.map_or(0, |threads| threads.get());
    let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("longattn-read-{index}"));
    pool.build().map_err(|cause| {
        Error::new(ErrorKind::Internal, format!("threads cannot be started: {cause}; set threads to fewer"))
    })
}

/// Takes the result directory, and lists the inputs.
fn open_results(
    inputs: &[PathBuf],
    directory: &Path,
    config: &Config,
    identity: &Identity,
) -> Result<(ResultDirectory, Corpus)> {
    // A job whose inputs are wrong leaves no directory behind.
    open_corpus(inputs, Some(directory), config)?;
    let directory = ResultDirectory::open(directory)?;
    begin(&directory, config, identity)?;
    let files = keep_standard_input(inputs, &directory)?;
    let corpus = open_corpus(&files, Some(directory.path()), config)?;
    Ok((directory, corpus))
}

/// Compares what is in a directory with what is to be done, and makes room for it.
fn begin(directory: &ResultDirectory, config: &Config, identity: &Identity) -> Result<()> {
    let path = directory.file(IDENTITY);
    let is_there = |name: &&str| directory.file(name).metadata().is_ok_and(|file| file.len() > 0);
    // What a job leaves that fails before its first score is in nobody's way.
    let has_tables = TABLES.iter().any(|name| !directory.tables(name).is_empty());
    let has_results = has_tables || RESULTS.iter().chain(&OF_OLD).any(is_there);
    match config.earlier_results {
        EarlierResults::Refuse if has_results => {
            let message = format!(
                "{} has results already: go on with --resume, or replace them with --overwrite",
                directory.path().display()
            );
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
        EarlierResults::Resume if has_results => identity.check(&path),
        // Standard input can be had only once: what is left of it may be all that there is.
        EarlierResults::Resume => identity.write(&path),
        EarlierResults::Refuse | EarlierResults::Overwrite => {
            TABLES.iter().try_for_each(|name| directory.remove_other_tables(name, Path::new("")))?;
            directory.remove(&OUTPUTS)?;
            directory.remove(&OF_OLD)?;
            identity.write(&path)
        }
    }
}

/// Keeps standard input in a file, since a corpus is read twice: for its scores, and for the selected texts.
fn keep_standard_input(inputs: &[PathBuf], directory: &ResultDirectory) -> Result<Vec<PathBuf>> {
    let mut files = inputs.to_vec();
    for input in files.iter_mut().filter(|input| *input == Path::new(STANDARD_STREAM)) {
        *input = directory.file(STANDARD_INPUT);
        if input.is_file() {
            continue;
        }
        let unfinished = input.with_extension("unfinished");
        let copied = File::create(&unfinished).and_then(|mut file| {
            io::copy(&mut io::stdin().lock(), &mut file)?;
            file.sync_all()
        });
        copied
            .and_then(|()| fs::rename(&unfinished, &*input))
            .map_err(|cause| Error::io(format!("keep standard input in {}", input.display()), cause))?;
    }
    Ok(files)
}

/// Writes the scores that count at last in the order of the corpus, unless they are there.
fn write_scores(
    scored: &mut Scored,
    corpus: &Corpus,
    directory: &ResultDirectory,
    layout: Layout,
    cancel: &Cancel,
) -> Result<()> {
    let path = directory.table(SCORES, layout);
    let Scored { journal, ledger, table, .. } = scored;
    let mut hasher = Hasher::default();
    hasher.update(format!("{layout:?}"));
    corpus.files().iter().for_each(|file| hasher.update(file.path.as_os_str().as_encoded_bytes()));
    for (ordinal, place) in table.windows.iter().enumerate() {
        hasher.update(place.entry.to_le_bytes());
        hasher.update(table.selector.candidate(ordinal).id.as_bytes());
    }
    let scores = hasher.finish();
    let is_there = |(name, stamp): &(String, Stamp)| Stamp::of(directory.file(name)).ok().as_ref() == Some(stamp);
    let is_written =
        |written: &Written| written.scores == scores && !written.files.is_empty() && written.files.iter().all(is_there);
    if ledger.written.as_ref().is_some_and(is_written) {
        return Ok(());
    }
    outputs::write_scores(&path, layout, table, corpus, &Journals::from(&*journal), cancel)?;
    directory.remove_other_tables(SCORES, &path)?;
    let unreadable = |cause| Error::io(format!("read {}", path.display()), cause);
    let stamped = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Stamp::of(file).map(|stamp| (name, stamp)).map_err(unreadable)
    };
    let files = written_at(&path).map_err(unreadable)?.iter().map(stamped).collect::<Result<_>>()?;
    let written = Written { scores, files };
    journal.append(&Entry::Written(written.clone()))?;
    ledger.written = Some(written);
    Ok(())
}

fn model_summary(description: &Description) -> ModelSummary {
    match &description.metadata {
        Some(metadata) => ModelSummary {
            name: metadata.name.clone(),
            architecture: metadata.architecture.clone(),
            layers: metadata.layers.clone(),
            heads: metadata.heads,
        },
        None => ModelSummary {
            name: description.model.display().to_string(),
            architecture: description.contract.map_or("no model", Choice::name).to_owned(),
            layers: Vec::new(),
            heads: description.heads.unwrap_or_default(),
        },
    }
}
