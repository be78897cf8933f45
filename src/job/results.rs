//! Selecting from the results of jobs that have ended: of a whole corpus, or of all its shards as if one process had scored
//! them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;

use super::adaptive::changed_journal;
use super::ahead::ahead;
use super::directory::table_name;
use super::entry::{Begin, Entry, Finished, RejectKind, Rejected};
use super::identity::Identity;
use super::journals::Journals;
use super::keeping::asked;
use super::ledger::{Known, Ledger};
use super::observer::Observer;
use super::outputs::{Work, write_scores};
use super::reading::duplicate;
use super::selection::cut;
use super::summary::{Counts, StageWork, Summary};
use super::table::{DocumentRow, Mark, Table};
use super::texts::Texts;
use super::{
    IDENTITY, JOURNAL, OUTPUTS, REJECTS, RESULTS, ResultDirectory, SCORES, SELECTED, Selection, TABLES, attributes,
    keep_standard_input, open_corpus, uploading,
};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::corpus::{Corpus, InputFile, Journal, Reject, Rejects, Seen, Shard, Spot, holds_results};
use crate::digest::{Digest, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::report::ModelSummary;

/// The kind of results that a selection from others is.
const KIND: &str = "selection";

/// Shards whose journals are read at once, at most: each takes memory.
const AT_ONCE: usize = 4;

/// The scores of a job that has ended, or of the jobs on all shards of a corpus, to select from without a model. It owns the
/// result directories while it lives.
///
/// ```no_run
/// use longattn::job::Results;
/// use longattn::{Cancel, Config};
///
/// let cancel = Cancel::default();
/// let results = Results::open(&["shard-1", "shard-2"], &cancel)?;
/// let selection = results.select("selection".as_ref(), &Config::default(), &(), &cancel)?;
/// println!("{} of {} windows selected", selection.summary.windows_selected, selection.summary.windows);
/// # Ok::<(), longattn::Error>(())
/// ```
pub struct Results {
    /// In the order of their shares.
    shards: Vec<ShardResults>,
    inputs: Vec<String>,
    model: ModelSummary,
    config: Config,
    corpus: Corpus,
    table: Table,
    /// The ordinal of the first window of each shard.
    starts: Vec<usize>,
    left_out: Vec<LeftOut>,
    summary: Summary,
}

/// The results of one share of the corpus.
struct ShardResults {
    /// Held while its journal is read.
    _directory: ResultDirectory,
    identity: Identity,
    journal: Journal,
}

/// A result directory, as it says of itself.
struct Candidate {
    path: PathBuf,
    identity: Identity,
    shard: Shard,
}

/// What is told as a reject: an entry in the journal of a shard.
struct LeftOut {
    shard: u32,
    file: u32,
    entry: u64,
    /// Where its id was first, where it is a duplicate.
    first: Option<Spot>,
}

impl Results {
    /// Reads the results of one job, or of all shards of one corpus in any order. The inputs are listed, and must be what
    /// they were: relative paths are those of the working directory that the jobs had.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where a directory holds no results, or those of an adaptive job; where shards are
    /// missing, were given twice, did not end, or were scored with other settings, packages or inputs than the rest: all of
    /// them are named. [`ErrorKind::Io`] where another process is at work in one, and where an input is missing;
    /// [`ErrorKind::Cancelled`].
    pub fn open<P: AsRef<Path>>(directories: &[P], cancel: &Cancel) -> Result<Self> {
        let candidates = directories.iter().map(|path| Candidate::new(path.as_ref())).collect::<Result<Vec<_>>>()?;
        let candidates = in_order(candidates)?;
        let mut reading = None;
        let mut troubles = Troubles::default();
        let chunks = candidates.chunks(rayon::current_num_threads().clamp(1, AT_ONCE));
        let read = |candidates: &[Candidate]| candidates.par_iter().map(read_ledger).collect::<Vec<_>>();
        ahead(chunks.map(read), |read| {
            for (candidate, read) in candidates.iter().zip(read.flatten()) {
                cancel.check()?;
                let (directory, journal, ledger) = read?;
                let Some(finished) = &ledger.finished else {
                    troubles.add(candidate, "did not end: go on with its job, with --resume");
                    continue;
                };
                let merging = match &mut reading {
                    Some(merging) => merging,
                    none => none.insert(Merging::new(finished, &directory, &candidate.identity)?),
                };
                merging.add(candidate, directory, journal, &ledger, &mut troubles)?;
            }
            Ok(())
        })?;
        troubles.check()?;
        let merging = reading.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "no result directories"))?;
        Ok(merging.finish())
    }

    /// Selects by the settings of the cut in `config`, and writes what [`Job::run`](super::Job::run) would have written into
    /// a directory, which is made where it is missing: the same bytes, but for the time that the work took. Selected windows
    /// carry their documents' other fields where `config` or the jobs were told to keep them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where the directory holds something else than an earlier selection;
    /// [`ErrorKind::InvalidSetting`] where more than one cut is set; [`ErrorKind::InvalidRecord`] where an input has changed
    /// since it was scored; [`ErrorKind::Io`]; [`ErrorKind::Cancelled`].
    pub fn select(
        &self,
        directory: &Path,
        config: &Config,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<Selection> {
        self.select_to(&Self::selected(directory, config), directory, config, observer, cancel)
    }

    /// Where [`Results::select`] writes the selected windows.
    pub fn selected(directory: &Path, config: &Config) -> PathBuf {
        directory.join(table_name(SELECTED, config.layout()))
    }

    /// As [`Results::select`], with the selected windows written to another file, or to standard output for `-`.
    ///
    /// # Errors
    /// Those of [`Results::select`].
    pub fn select_to(
        &self,
        path: &Path,
        directory: &Path,
        config: &Config,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<Selection> {
        let Config { output_format, output_shard_size, attributes, upload, .. } = config.clone();
        let keep_fields = config.keep_fields || self.config.keep_fields;
        let corpus = &self.corpus.clone().with_every_field(keep_fields);
        let config = self.config.with_selection_of(config).with_alpha_of(&self.model.layers);
        let config = &Config { output_format, output_shard_size, attributes, keep_fields, upload, ..config };
        config.method()?;
        let directory = self.begin(directory)?;
        self.write_rejects(&directory)?;
        let table = &self.table;
        if table.windows.is_empty() && self.summary.rejects() > 0 {
            let message = format!("not one window could be scored: see {}", directory.file(REJECTS).display());
            return Err(Error::new(ErrorKind::InvalidRecord, message));
        }
        let begun = Instant::now();
        let journals = self.journals();
        let layout = config.layout();
        write_scores(&directory.table(SCORES, layout), layout, table, corpus, &journals, cancel)?;
        if let Some(name) = &config.attributes {
            let (journals, directory) = (&journals, &directory);
            attributes::Scores { name, table, corpus, journals, directory, cancel }.write()?;
        }
        let mut cutting = cut(table, corpus, &journals, config)?;
        cutting.explanation.iter().for_each(|explanation| observer.notice(explanation));
        let mut summary = Summary {
            windows_filtered: cutting.filtered,
            windows_selected: cutting.selected(),
            tokens_selected: cutting.tokens(table),
            ..self.summary
        };
        let texts = Texts { table, corpus, journals: &journals, observer, cancel };
        let written = cutting.write(&texts, path, layout)?;
        summary.throughput.writing = StageWork::since(begun, summary.windows_selected);
        let work = Work { inputs: &self.inputs, config, model: self.model.clone(), summary: &summary };
        work.write_report(&directory, &cutting)?;
        work.write_summary(&directory, &cutting.categories)?;
        uploading::upload(&directory, config, observer, cancel)?;
        let is_written = written == ControlFlow::Continue(());
        Ok(Selection { summary, categories: cutting.categories, is_written })
    }

    /// What was scored.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    fn journals(&self) -> Journals<'_> {
        Journals::new(self.starts.iter().copied().zip(self.shards.iter().map(|shard| &shard.journal)))
    }

    /// Takes the directory of the selection, and removes an earlier one.
    fn begin(&self, path: &Path) -> Result<ResultDirectory> {
        let identity = path.join(IDENTITY);
        let is_there = |name: &&str| path.join(name).exists();
        let is_selection = identity.exists() && Identity::read(&identity)?.kind() == KIND;
        if !is_selection && RESULTS.iter().chain(&[IDENTITY]).any(is_there) {
            let message =
                format!("{} has results already that are no selection: name another directory", path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let directory = ResultDirectory::open(path)?;
        TABLES.iter().try_for_each(|name| directory.remove_other_tables(name, Path::new("")))?;
        directory.remove(&OUTPUTS)?;
        self.shards[0].identity.of_kind(KIND).write(&directory.file(IDENTITY))?;
        Ok(directory)
    }

    fn write_rejects(&self, directory: &ResultDirectory) -> Result<()> {
        let mut rejects = Rejects::new(directory.file(REJECTS))?;
        self.left_out.iter().try_for_each(|left_out| rejects.write(&self.reject(left_out)?))
    }

    fn reject(&self, left_out: &LeftOut) -> Result<Reject> {
        let LeftOut { shard, file, entry, first } = left_out;
        let journal = &self.shards[*shard as usize].journal;
        let mut reject = match journal.read(*entry)? {
            Entry::Reject(rejected) => rejected.into(),
            Entry::Document(document) => Reject {
                place: self.corpus.place(Spot { file: *file, line: document.line }),
                id: Some(document.id),
                reason: String::new(),
                record: String::new(),
            },
            _ => return Err(changed_journal("a reject")),
        };
        if let Some(first) = first {
            reject.reason = duplicate(reject.id.as_deref().unwrap_or_default(), &self.corpus.place(*first));
        }
        Ok(reject)
    }
}

impl Candidate {
    fn new(path: &Path) -> Result<Self> {
        let refuse = |why: &str| Error::new(ErrorKind::InvalidArgument, format!("{} {why}", path.display()));
        if !holds_results(path) {
            return Err(refuse("holds no results of longattn run"));
        }
        let identity = Identity::read(&path.join(IDENTITY))?;
        if identity.kind() != "windows" {
            return Err(refuse("holds no results of longattn run, but of another kind"));
        }
        if identity.is_adaptive() {
            return Err(refuse("holds adaptive scores, which hold for one cut: select with longattn run --resume"));
        }
        let shard = identity.shard().unwrap_or_default();
        Ok(Self { path: path.to_owned(), identity, shard })
    }
}

/// Everything that is wrong with some result directories.
#[derive(Default)]
struct Troubles(Vec<String>);

impl Troubles {
    fn add(&mut self, candidate: &Candidate, what: &str) {
        self.0.push(format!("shard {} in {} {what}", candidate.shard, candidate.path.display()));
    }

    fn check(self) -> Result<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::InvalidArgument, self.0.join("; "))),
        }
    }
}

/// Checks that all shares of one corpus are there, each once and scored alike, and puts them in their order.
fn in_order(candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
    let mut troubles = Troubles::default();
    let mut shards: BTreeMap<Shard, Candidate> = BTreeMap::new();
    let of = candidates.first().map_or(0, |first| first.shard.of());
    let model = candidates.first().map(|first| (first.path.clone(), first.identity.of_kind(KIND)));
    for candidate in candidates {
        if let Some((path, identity)) = &model {
            let tell = |what: &str, here: &str, there: &str| {
                format!("has {what} {here}, where {} has {there}", path.display())
            };
            let differences = candidate.identity.of_kind(KIND).compare(identity, tell);
            differences.iter().for_each(|difference| troubles.add(&candidate, difference));
        }
        if candidate.shard.of() != of {
            troubles.add(&candidate, &format!("is none of {of}"));
            continue;
        }
        match shards.get(&candidate.shard) {
            Some(first) => troubles.add(&candidate, &format!("was given already, in {}", first.path.display())),
            None => _ = shards.insert(candidate.shard, candidate),
        }
    }
    let missing = (1..=of).filter_map(|number| Shard::new(number, of)).filter(|shard| !shards.contains_key(shard));
    troubles.0.extend(missing.map(|shard| format!("shard {shard} is missing")));
    troubles.check()?;
    Ok(shards.into_values().collect())
}

fn read_ledger(candidate: &Candidate) -> Result<(ResultDirectory, Journal, Ledger)> {
    let directory = ResultDirectory::open(&candidate.path)?;
    let path = directory.file(JOURNAL);
    let (journal, ledger) = match path.exists() {
        true => Ledger::read(&path)?,
        false => {
            let message = format!("shard {} in {} was never begun", candidate.shard, candidate.path.display());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
    };
    Ok((directory, journal, ledger))
}

/// Results that are being put together, in the order of their shares.
struct Merging {
    results: Results,
    listing: Digest,
    /// The places of files in the corpus, by name.
    files: BTreeMap<String, u32>,
    seen: Seen,
    /// The rows of all scores, as journals have them.
    asked: u32,
    /// The file that was added to last.
    last: LastFile,
}

/// A file of which a share, or several, were added.
#[derive(Default)]
struct LastFile {
    number: Option<u32>,
    mark: Mark,
    summary: Summary,
    is_damaged: bool,
}

impl Merging {
    fn new(finished: &Finished, directory: &ResultDirectory, identity: &Identity) -> Result<Self> {
        let mut config = Config::default();
        for (key, value) in &finished.settings {
            config.set(key, value)?;
        }
        config.shard = None;
        let given: Vec<_> = finished.inputs.iter().map(PathBuf::from).collect();
        let inputs = keep_standard_input(&given, directory)?;
        let corpus = open_corpus(&inputs, Some(directory.path()), &config)?;
        let files = corpus.files().iter().zip(0..).map(|(file, number)| (file.name.clone(), number)).collect();
        Ok(Self {
            listing: corpus.listing_digest(),
            results: Results {
                shards: Vec::new(),
                inputs: finished.inputs.clone(),
                model: finished.model.clone(),
                config,
                corpus,
                table: Table::default(),
                starts: Vec::new(),
                left_out: Vec::new(),
                summary: Summary::default(),
            },
            files,
            seen: Seen::default(),
            asked: asked(identity.rows()),
            last: LastFile::default(),
        })
    }

    /// Adds the next share.
    fn add(
        &mut self,
        candidate: &Candidate,
        directory: ResultDirectory,
        journal: Journal,
        ledger: &Ledger,
        troubles: &mut Troubles,
    ) -> Result<()> {
        let Candidate { identity, shard, .. } = candidate;
        if ledger.finished.as_ref().is_none_or(|finished| finished.listing != self.listing) {
            troubles.add(candidate, "was made of other inputs than are there now: go on with its job, with --resume");
            return Ok(());
        }
        self.results.starts.push(self.results.table.windows.len());
        for file in self.results.corpus.clone().shard(*shard)?.files() {
            let begin = Begin::from(file);
            match (ledger.readings.get(&file.name), ledger.failures.get(&file.name)) {
                (Some(reading), _) if reading.begin == begin => {
                    if has_changed(reading.end.stamp, file) {
                        troubles
                            .add(candidate, &format!("has read {} before it changed: go on with --resume", file.name));
                    }
                    let documents = &ledger.documents[reading.documents.clone()];
                    self.file(&file.name, ledger, &journal, documents, &ledger.rejects[reading.rejects.clone()])?;
                }
                (None, Some(rejects)) => self.damaged(&file.name, &journal, &ledger.rejects[rejects.clone()])?,
                _ => troubles.add(candidate, &format!("has not read {}: go on with its job, with --resume", file.name)),
            }
        }
        let summary = &mut self.results.summary;
        summary.calls += ledger.worked.call;
        summary.seconds += ledger.worked.seconds;
        summary.tokens_scored += ledger.worked.tokens;
        let shard = ShardResults { _directory: directory, identity: identity.clone(), journal };
        self.results.shards.push(shard);
        Ok(())
    }

    /// Goes to a file, or stays with it; false where what comes of it counts for nothing.
    fn begin(&mut self, name: &str) -> bool {
        let number = self.files.get(name).copied();
        if self.last.number != number {
            let (mark, summary) = (self.results.table.mark(), self.results.summary);
            self.last = LastFile { number, mark, summary, is_damaged: false };
        }
        !self.last.is_damaged
    }

    /// Adds a file, or the share of it, whose documents and rejects are in the order in which they were met.
    fn file(
        &mut self,
        name: &str,
        ledger: &Ledger,
        journal: &Journal,
        documents: &[Known],
        rejects: &[u64],
    ) -> Result<()> {
        if !self.begin(name) {
            return Ok(());
        }
        let mut counts = Counts::default();
        let mut rejects = rejects.iter().copied().peekable();
        for known in documents {
            let mut of_windows = Vec::new();
            while let Some(entry) = rejects.next_if(|entry| *entry < known.row.entry) {
                let rejected = read_reject(journal, entry)?;
                match rejected.kind() {
                    Some(RejectKind::Window) => of_windows.push(entry),
                    _ => self.reject(&rejected, entry, &mut counts),
                }
            }
            let spot = Spot { file: self.last.number.unwrap_or_default(), line: known.row.line };
            if let Some(first) = self.seen.insert(&known.id, spot) {
                self.leave_out(known.row.entry, Some(first));
                counts.rejected += 1;
                self.results.summary.duplicates += 1;
                continue;
            }
            counts.windows_rejected += of_windows.len() as u64;
            of_windows.into_iter().for_each(|entry| self.leave_out(entry, None));
            self.document(ledger, known, spot.file, &mut counts)?;
        }
        for entry in rejects {
            let rejected = read_reject(journal, entry)?;
            self.reject(&rejected, entry, &mut counts);
        }
        self.results.summary.add(&counts);
        Ok(())
    }

    fn document(&mut self, ledger: &Ledger, known: &Known, file: u32, counts: &mut Counts) -> Result<()> {
        let row = DocumentRow { file, ..known.row };
        counts.longest_document = counts.longest_document.max(known.tokens);
        if known.windows == 0 {
            counts.too_short += 1;
            return Ok(());
        }
        counts.windowed += 1;
        let table = &mut self.results.table;
        table.add_document(row);
        for number in 0..known.windows {
            // A window that could not be scored has no score.
            let Some(score) = ledger.first_score(row.text, number, self.asked) else { continue };
            table.add_window(&known.id, &known.category, number, &score)?;
        }
        Ok(())
    }

    /// Takes in the reject of a record: a share knows no ids of the shares before it.
    fn reject(&mut self, rejected: &Rejected, entry: u64, counts: &mut Counts) {
        let spot = Spot { file: self.last.number.unwrap_or_default(), line: rejected.line().unwrap_or_default() };
        let first = match (rejected.kind(), rejected.id()) {
            (Some(RejectKind::Document | RejectKind::Duplicate), Some(id)) => self.seen.insert(id, spot),
            _ => None,
        };
        counts.rejected += 1;
        self.results.summary.duplicates += u64::from(first.is_some());
        self.leave_out(entry, first);
    }

    /// A file is damaged, or the share of it: nothing of it counts, be it in shares before.
    fn damaged(&mut self, name: &str, journal: &Journal, rejects: &[u64]) -> Result<()> {
        if !self.begin(name) {
            return Ok(());
        }
        let LastFile { number, mark, summary, .. } = self.last;
        for entry in rejects {
            let rejected = read_reject(journal, *entry)?;
            self.reject(&rejected, *entry, &mut Counts::default());
        }
        self.seen.forget_file(number.unwrap_or_default());
        let Results { table, summary: so_far, starts, .. } = &mut self.results;
        table.rewind(mark);
        starts.iter_mut().for_each(|start| *start = (*start).min(table.windows.len()));
        *so_far = Summary {
            counts: summary.counts,
            duplicates: summary.duplicates,
            files_rejected: summary.files_rejected + 1,
            ..*so_far
        };
        self.last.is_damaged = true;
        Ok(())
    }

    fn leave_out(&mut self, entry: u64, first: Option<Spot>) {
        let (shard, file) = (self.results.shards.len() as u32, self.last.number.unwrap_or_default());
        self.results.left_out.push(LeftOut { shard, file, entry, first });
    }

    fn finish(self) -> Results {
        let mut results = self.results;
        results.summary.windows = results.table.windows.len() as u64;
        results
    }
}

/// Whether a file is not what it was when it was read, as far as its stamp was good for.
fn has_changed(then: Option<Stamp>, file: &InputFile) -> bool {
    then.is_some_and(|then| file.stamp().is_ok_and(|now| !then.is_alike(&now)))
}

fn read_reject(journal: &Journal, entry: u64) -> Result<Rejected> {
    match journal.read(entry)? {
        Entry::Reject(rejected) => Ok(rejected),
        _ => Err(changed_journal("a reject")),
    }
}
