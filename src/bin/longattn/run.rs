//! `longattn run`: windows, scores and selection in one go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use longattn::choice::Choice;
use longattn::config::SETTINGS;
use longattn::corpus::{Journal, Output, Place, Reader, Record, Reject, Rejects, STANDARD_STREAM};
use longattn::model::{Description, Scorer};
use longattn::report::{CategoryReport, DocumentCounts, Example, ModelSummary, Report, WindowPoint};
use longattn::score::Score;
use longattn::select::{Ranked, Selector};
use longattn::window::{Window, windows};
use longattn::{Config, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flags::{self, SCORE_SETTINGS, SELECT_SETTINGS, WithSettings};
use crate::lines::{RunLine, ScoreFields, window_id};
use crate::pipeline::{self, Document, Item, Summary};
use crate::progress::{self, INTERRUPT, Progress};
use crate::{adaptive, basis, journal, table};

pub fn command(command: Command) -> Command {
    command
        .about("Do the whole job on a corpus: cut windows, score them, select the best of each category")
        .long_about(
            "Cuts documents into windows, scores them and selects the best of each category. The result directory gets \
             selected.jsonl, scores.jsonl, report.html, chart.svg and, for records that could not be used, rejects.jsonl. An \
             interrupted run goes on with --resume, which also selects anew by other settings of the cut without \
             scoring again.\n\nWith --adaptive all windows are scored on few rows of attention first, as many as --rows says \
             or one in 16, and only those whose standard errors leave in doubt on which side of the cut they fall are \
             scored again on four times as many and at last on all, until the selection equals the exact one with \
             the probability --confidence. rounds.jsonl in the result directory holds every score on the way.",
        )
        .arg(flags::inputs("JSONL files, text files and folders of them, or - for JSON lines on standard input"))
        .arg(flags::model())
        .arg(
            flags::path(
                "output",
                "DIR",
                "The result directory, or - to write the selected windows to standard output alone",
            )
            .short('o')
            .long("output")
            .required(true),
        )
        .arg(flags::switch("adaptive", "Score on few rows first, and on more only what is in doubt at the cut"))
        .arg(flags::per_head())
        .args(flags::earlier())
        .arg(flags::quiet())
        .with_settings(&[SCORE_SETTINGS.as_slice(), SELECT_SETTINGS.as_slice(), &["confidence"]].concat())
        .mut_arg("confidence", |confidence| confidence.requires("adaptive"))
        .args(flags::fields())
}

/// The files of a result directory.
struct Results {
    directory: PathBuf,
    selected: PathBuf,
    /// Removes the directory where only standard output was asked for.
    _temporary: Option<tempfile::TempDir>,
}

impl Results {
    fn new(output: &Path) -> Result<Self> {
        if output == Path::new(STANDARD_STREAM) {
            let temporary = tempfile::tempdir().map_err(|cause| Error::io("make a temporary directory", cause))?;
            let directory = temporary.path().to_owned();
            return Ok(Self { directory, selected: STANDARD_STREAM.into(), _temporary: Some(temporary) });
        }
        fs::create_dir_all(output)
            .map_err(|cause| Error::io(format!("make the directory {}", output.display()), cause))?;
        Ok(Self { directory: output.to_owned(), selected: output.join("selected.jsonl"), _temporary: None })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.file(name);
        fs::write(&path, content).map_err(|cause| Error::io(format!("write {}", path.display()), cause))
    }

    fn is_temporary(&self) -> bool {
        self._temporary.is_some()
    }
}

const BASIS: &str = "run.json";

/// What scores depend on.
#[derive(PartialEq, Serialize, Deserialize)]
struct Basis {
    #[serde(flatten)]
    common: basis::Basis,
    per_head: bool,
    #[serde(default)]
    adaptive: bool,
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let mut config = flags::config(matches)?;
    let cut = config.cut()?;
    let adaptive = matches.get_flag("adaptive");
    if adaptive {
        config.rows = adaptive::first_rows(&config);
    }
    let mut scorer = Scorer::open(flags::path_of(matches, "model"), &config)?;
    if adaptive {
        adaptive::check_contract(&scorer)?;
    }
    let results = Results::new(flags::path_of(matches, "output"))?;
    let scores_path = results.file("scores.jsonl");
    let rounds_path = results.file("rounds.jsonl");
    let journal_path = if adaptive { &rounds_path } else { &scores_path };
    flags::check_earlier(matches, &scores_path)?;
    flags::check_earlier(matches, &rounds_path)?;
    let inputs = spool_standard_input(matches, &results)?;
    let fields = flags::fields_of(matches);
    let corpus = || Reader::open(&inputs, fields.clone());
    let reader = corpus()?;
    let total_bytes = reader.progress().total_bytes();
    let basis = Basis {
        common: basis::Basis::new(&scorer, &inputs, &fields, total_bytes),
        per_head: matches.get_flag("per-head"),
        adaptive,
    };
    basis::check(matches, &results.file(BASIS), &[&scores_path, &rounds_path], &basis)?;

    let (mut journal, mut lines) = journal::open::<RunLine>(matches, journal_path)?;
    let rejects_path = results.file("rejects.jsonl");
    _ = fs::remove_file(&rejects_path);
    let mut rejects = Rejects::new(&rejects_path)?;
    progress::catch_interrupts()?;
    let mut progress = Progress::new(flags::is_quiet(matches), total_bytes);
    let earlier: HashSet<_> = lines.iter().map(|line| line.id.clone()).collect();
    let earlier_count = earlier.len();
    let per_head = matches.get_flag("per-head");
    let mut sinks = Sinks { journal: &mut journal, rejects: &mut rejects, progress: &mut progress, per_head };
    let scored = score_windows(&scorer, reader, &Wanted::AllBut(earlier), &mut lines, &mut sinks);
    let mut summary = scored.map_err(|error| explain(error, &results))?;
    let mut work = None;
    if adaptive {
        let refined = adaptive::refine(&mut scorer, lines, &corpus, &mut sinks, &config, cut);
        let refined = refined.map_err(|error| explain(error, &results))?;
        summary.rejected_windows += refined.rejected;
        lines = refined.lines;
        work = Some(refined.work);
        write_scores(&scores_path, &lines)?;
    }
    journal.sync()?;
    if lines.is_empty() && rejects.count() > 0 {
        let message = format!("not one window could be scored: see {}", rejects_path.display());
        return Err(Error::new(ErrorKind::InvalidRecord, message));
    }

    let mut selector = Selector::default();
    for line in &lines {
        selector.add(line.score.candidate(&line.id, &line.category))?;
    }
    let ranking = selector.rank(config.standardize, config.alpha, cut)?;
    let texts = write_selected(&ranking, &lines, corpus()?, &results)?;
    let Some(texts) = texts else { return Ok(()) };

    let sources: HashMap<&str, &str> = lines.iter().map(|line| (line.id.as_str(), line.source.as_str())).collect();
    let source = |id: &str| sources.get(id).copied().unwrap_or_default().to_owned();
    if !results.is_temporary() {
        let categories = category_reports(&ranking, &source, &texts);
        results.write("chart.svg", &longattn::report::chart(&categories)?)?;
        let mut report = report(matches, &config, &scorer, summary, categories, &progress, &rejects);
        report.settings.extend(work.as_ref().map(|work| ("adaptive".to_owned(), work.to_string())));
        results.write("report.html", &report.render()?)?;
        if !flags::is_quiet(matches) && !ranking.is_empty() {
            table::print(&table::ranking(&ranking, source).to_string());
        }
    }
    if let Some(work) = work {
        progress.tell(&work.to_string());
    }
    tell(&progress, &summary, &ranking, &results, earlier_count, &rejects, &rejects_path);
    Ok(())
}

/// The scores that count at last, one line a window.
fn write_scores(path: &Path, lines: &[RunLine]) -> Result<()> {
    let mut output = Output::create(path)?;
    for line in lines {
        _ = output.write(line)?;
    }
    output.finish().map(drop)
}

/// Keeps standard input in a file, since a corpus is read twice: for its scores, and for the selected texts.
fn spool_standard_input(matches: &ArgMatches, results: &Results) -> Result<Vec<PathBuf>> {
    let mut inputs = flags::inputs_of(matches);
    for input in inputs.iter_mut().filter(|input| *input == Path::new(STANDARD_STREAM)) {
        *input = results.file("stdin.jsonl");
        if matches.get_flag("resume") && input.is_file() {
            continue;
        }
        let unfinished = input.with_extension("unfinished");
        let copied =
            fs::File::create(&unfinished).and_then(|mut file| std::io::copy(&mut std::io::stdin().lock(), &mut file));
        copied
            .and_then(|_| fs::rename(&unfinished, &*input))
            .map_err(|cause| Error::io(format!("keep standard input in {}", input.display()), cause))?;
    }
    Ok(inputs)
}

/// A window that is to be scored, and where it comes from.
struct Pending {
    id: String,
    document: String,
    category: String,
    place: Place,
    window: Window,
}

/// Which windows of a corpus are scored.
pub enum Wanted {
    /// All but those with these ids.
    AllBut(HashSet<String>),
    /// Those with these ids, of these documents.
    Only { documents: HashSet<String>, windows: HashSet<String> },
}

impl Wanted {
    fn has_window(&self, id: &str) -> bool {
        match self {
            Self::AllBut(done) => !done.contains(id),
            Self::Only { windows, .. } => windows.contains(id),
        }
    }

    /// Whether what becomes of this record, be it that it is rejected, is of interest.
    fn has_record(&self, record: &Result<Record, Reject>) -> bool {
        match (self, record) {
            (Self::AllBut(_), _) => true,
            (Self::Only { documents, .. }, Ok(record)) => documents.contains(&record.id),
            (Self::Only { .. }, Err(_)) => false,
        }
    }
}

/// Where scores and rejects go.
pub struct Sinks<'a> {
    pub journal: &'a mut Journal,
    pub rejects: &'a mut Rejects,
    pub progress: &'a mut Progress,
    pub per_head: bool,
}

/// Scores the wanted windows of a corpus in its order, and adds them to `lines`.
pub fn score_windows(
    scorer: &Scorer,
    reader: Reader,
    wanted: &Wanted,
    lines: &mut Vec<RunLine>,
    sinks: &mut Sinks,
) -> Result<Summary> {
    let reading = reader.progress();
    let mut read_before = 0;
    let items = reader.flat_map(|record| -> Vec<Result<Item<Pending>>> {
        let read = read_before..reading.consumed_bytes();
        read_before = read.end;
        let document = match record {
            record if !wanted.has_record(&record) => return Vec::new(),
            record => record.and_then(|record| Document::new(record, |text| scorer.tokenize(text))),
        };
        match document {
            Ok(document) => pending(document, scorer, wanted, read).map(Ok).collect(),
            Err(reject) => vec![Ok(Item::Reject(reject))],
        }
    });
    let name = |pending: &Pending, reason| Reject {
        place: pending.place.clone(),
        id: Some(pending.id.clone()),
        reason,
        record: String::new(),
    };
    let Sinks { journal, rejects, progress, per_head } = sinks;
    let write = |pending: &Pending, _: &[u32], score: &Score| {
        let line = RunLine {
            id: pending.id.clone(),
            category: pending.category.clone(),
            document: pending.document.clone(),
            source: pending.place.to_string(),
            token_start: pending.window.tokens.start,
            byte_start: pending.window.bytes.start,
            byte_end: pending.window.bytes.end,
            score: ScoreFields::new(score, *per_head),
        };
        journal.append(&line)?;
        lines.push(line);
        Ok(ControlFlow::Continue(()))
    };
    pipeline::score_all(scorer, items, progress, rejects, name, write)
}

/// The wanted windows of a document, and the document's own count. `read` are the bytes of the inputs that hold the
/// document.
fn pending<'a>(
    document: Document,
    scorer: &Scorer,
    wanted: &'a Wanted,
    read: Range<u64>,
) -> impl Iterator<Item = Item<Pending>> + use<'a> {
    let cut = windows(&document.tokens, scorer.config().window);
    let count = cut.len();
    let Document { record: Record { id: document_id, category, place, .. }, tokens } = document;
    let items = cut.into_iter().filter_map(move |window| {
        let id = window_id(&document_id, &window);
        if !wanted.has_window(&id) {
            return None;
        }
        let token_ids = tokens.ids()[window.tokens.clone()].to_vec();
        let bytes = read.start + (read.end - read.start) * (window.number as u64 + 1) / count as u64;
        let (document, category, place) = (document_id.clone(), category.clone(), place.clone());
        Some(Item::Window { window: Pending { id, document, category, place, window }, token_ids, bytes })
    });
    items.chain([Item::Document { windows: count }])
}

/// The texts of some windows by their ids.
type Texts = HashMap<String, String>;

/// Reads the corpus again for the texts of the selected windows, writes these, and gives the texts that the report shows;
/// `None` where the reader of standard output has gone.
fn write_selected(
    ranking: &BTreeMap<String, Vec<Ranked>>,
    lines: &[RunLine],
    reader: Reader,
    results: &Results,
) -> Result<Option<Texts>> {
    let ranks: HashMap<&str, &Ranked> =
        ranking.values().flatten().map(|ranked| (ranked.candidate.id.as_str(), ranked)).collect();
    let shown: HashSet<&str> = ranking
        .values()
        .flat_map(|ranked| {
            let (best, worst) = table::ends(ranked);
            best.iter().chain(worst).map(|ranked| ranked.candidate.id.as_str())
        })
        .collect();
    let mut wanted: HashMap<&str, Vec<&RunLine>> = HashMap::new();
    for line in lines.iter().filter(|line| ranks[line.id.as_str()].selected || shown.contains(line.id.as_str())) {
        wanted.entry(&line.document).or_default().push(line);
    }

    let mut texts = Texts::new();
    let mut output = Output::create(&results.selected)?;
    for record in reader {
        INTERRUPT.check()?;
        let Ok(record) = record else { continue };
        for line in wanted.remove(record.id.as_str()).unwrap_or_default() {
            let text = record.text.as_deref().and_then(|text| text.get(line.byte_start..line.byte_end));
            let content = text.ok_or_else(|| changed(&record.place))?;
            if shown.contains(line.id.as_str()) {
                texts.insert(line.id.clone(), content.to_owned());
            }
            let ranked = ranks[line.id.as_str()];
            if ranked.selected && output.write(&selected_line(line, content, ranked))?.is_break() {
                return Ok(None);
            }
        }
    }
    if let Some(line) = wanted.values().flatten().next() {
        return Err(changed(&line.source));
    }
    Ok(output.finish()?.is_continue().then_some(texts))
}

pub fn changed(place: &dyn std::fmt::Display) -> Error {
    let message = format!("{place} is not what it was when its windows were scored: run again with --overwrite");
    Error::new(ErrorKind::InvalidRecord, message)
}

fn selected_line(line: &RunLine, content: &str, ranked: &Ranked) -> Map<String, Value> {
    let value = serde_json::to_value(line).expect("finite numbers have a form in JSON");
    let mut fields = value.as_object().cloned().unwrap_or_default();
    fields.insert("lds".to_owned(), ranked.long_distance_dependency_score.into());
    fields.insert("content".to_owned(), content.into());
    fields
}

fn category_reports(
    ranking: &BTreeMap<String, Vec<Ranked>>,
    source: &dyn Fn(&str) -> String,
    texts: &Texts,
) -> Vec<CategoryReport> {
    let point = |ranked: &Ranked| WindowPoint {
        dependency_strength: ranked.candidate.dependency_strength,
        distribution_uniformity: ranked.candidate.distribution_uniformity,
        long_distance_dependency_score: ranked.long_distance_dependency_score,
        tokens: ranked.candidate.token_count,
        selected: ranked.selected,
    };
    let example = |ranked: &Ranked| {
        let id = ranked.candidate.id.clone();
        let text = texts.get(&id).cloned().unwrap_or_default();
        Example { source: source(&id), id, text, window: point(ranked) }
    };
    let category = |(name, ranked): (&String, &Vec<Ranked>)| {
        let (best, worst) = table::ends(ranked);
        CategoryReport {
            name: name.clone(),
            windows: ranked.iter().map(point).collect(),
            best: best.iter().map(example).collect(),
            worst: worst.iter().rev().map(example).collect(),
        }
    };
    ranking.iter().map(category).collect()
}

fn report(
    matches: &ArgMatches,
    config: &Config,
    scorer: &Scorer,
    summary: Summary,
    categories: Vec<CategoryReport>,
    progress: &Progress,
    rejects: &Rejects,
) -> Report {
    let names: Vec<_> = flags::inputs_of(matches).iter().map(|path| path.display().to_string()).collect();
    let settings = SETTINGS.iter().map(|setting| (setting.key.to_owned(), config.get(setting.key).unwrap_or_default()));
    Report {
        title: names.join(", "),
        model: model_summary(scorer.description()),
        window_tokens: config.window.get(),
        settings: settings.collect(),
        documents: DocumentCounts {
            windowed: summary.windowed,
            too_short: summary.too_short,
            rejected: summary.rejected,
        },
        rejects_file: (rejects.count() > 0).then(|| "rejects.jsonl".to_owned()),
        categories,
        scored_tokens: progress.tokens(),
        elapsed: progress.elapsed(),
    }
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
            architecture: description.contract.name().to_owned(),
            layers: Vec::new(),
            heads: description.heads.unwrap_or_default(),
        },
    }
}

/// The closing lines, the last of which balances.
fn tell(
    progress: &Progress,
    summary: &Summary,
    ranking: &BTreeMap<String, Vec<Ranked>>,
    results: &Results,
    earlier: usize,
    rejects: &Rejects,
    rejects_path: &Path,
) {
    let all = ranking.values().flatten();
    let selected = all.clone().filter(|ranked| ranked.selected);
    let tokens: u64 = selected.clone().map(|ranked| ranked.candidate.token_count).sum();
    if rejects.count() > 0 && !results.is_temporary() {
        let rejects = progress::count(rejects.count(), "reject");
        progress.tell(&format!("{rejects} in {}, each with its reason", rejects_path.display()));
    }
    if earlier > 0 {
        progress.tell(&format!("{} scored by an earlier run", progress::count(earlier as u64, "window")));
    }
    if !results.is_temporary() {
        let selected = results.selected.display();
        progress
            .tell(&format!("{} in {selected}; see report.html beside it", progress::count(tokens, "selected token")));
    }
    let (windows, selected) = (all.count() as u64, selected.count() as u64);
    let rejected = match summary.rejected_windows {
        0 => String::new(),
        rejected => format!(" + {rejected} rejected"),
    };
    progress.tell(&format!(
        "{}; {} = {selected} selected + {} not selected{rejected}",
        summary.documents(),
        progress::count(windows + summary.rejected_windows, "window"),
        windows - selected
    ));
}

/// Adds to an error what became of the work before it.
fn explain(error: Error, results: &Results) -> Error {
    if results.is_temporary() {
        return error;
    }
    let kept = format!("finished windows are kept in {}; go on with --resume", results.directory.display());
    Error::new(error.kind(), format!("{error}; {kept}"))
}
