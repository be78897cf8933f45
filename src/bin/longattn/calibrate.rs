//! `longattn calibrate`: which layer tells the truth about a corpus.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use longattn::calibrate::{
    Agreement, Calibration, Candidate, Estimate, Finding, LeftOut, Plan, Row, Sampler, Scored, Setting, Side,
    TestCategory, TestWindow, Truth,
};
use longattn::choice::Choice;
use longattn::corpus::{Journal, Reader, Rejects};
use longattn::model::{MIN_GAIN_TOKENS, Scorer};
use longattn::score::LayerScore;
use longattn::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::flags::{self, SCORE_SETTINGS, WithSettings};
use crate::progress::{self, INTERRUPT, Progress};
use crate::{basis, journal, pipeline, table};

/// Short windows tell layers apart, and cost little.
const WINDOW: &str = "1024";

/// Settings of scores that do not suit a calibration: its sinks are a list, and its scores are exact.
const UNSUITABLE: [&str; 3] = ["sink_tokens", "rows", "profile"];

/// Heads that are listed.
const LISTED_HEADS: usize = 10;

pub fn command(command: Command) -> Command {
    let settings = SCORE_SETTINGS.into_iter().filter(|key| !UNSUITABLE.contains(key)).chain(["alpha", "standardize"]);
    command
        .about("Find out which layer's scores tell real long windows of a corpus from spliced ones")
        .long_about(
            "Tests every layer of a scorer package on windows of the corpus. Real windows are whole runs of one document; \
             spliced ones are as long and are put together of pieces of different documents of the same category. A score \
             that knows far dependency is higher for the real ones: the AUC says in which share of all pairs it is. 0.5 is \
             guessing. Export the layers to test with `longattn export --layers 0,4-20` or `--layers all`.\n\n\
             With --truth gain the scores of real windows are compared with their information gain instead: by how much \
             the loss of a token drops when the model sees the whole window before it. The measure is the rank \
             correlation, 0 for none. That takes a package exported with --gain.\n\n\
             The result directory gets calibration.json, calibration.svg and windows.jsonl, from which an interrupted \
             calibration goes on with --resume.",
        )
        .arg(flags::inputs("JSONL files, text files and folders of them, or - for JSON lines on standard input"))
        .arg(flags::model())
        .arg(flags::path("output", "DIR", "The result directory").short('o').long("output").required(true))
        .arg(
            Arg::new("truth")
                .long("truth")
                .value_name("TRUTH")
                .help("What scores are compared with")
                .value_parser(PossibleValuesParser::new(Truth::NAMES.iter().map(|row| row.0)))
                .default_value(Truth::Spliced.name()),
        )
        .arg(number("windows", "WINDOWS", "Real windows of each category, and as many spliced ones", "40"))
        .arg(number("pieces", "PIECES", "Pieces of a spliced window", "8"))
        .arg(
            Arg::new("sinks")
                .long("sink-tokens")
                .value_name("TOKENS")
                .help("First positions that never count as far, one or more settings to compare")
                .value_parser(value_parser!(usize))
                .value_delimiter(',')
                .action(ArgAction::Set)
                .default_value("0,4"),
        )
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("NUMBER")
                .help("Draws other windows of the same corpus")
                .value_parser(value_parser!(u64))
                .default_value("0"),
        )
        .arg(flags::switch("heads", "Say what each head is worth, too"))
        .args(flags::earlier())
        .arg(flags::quiet())
        .with_settings(&settings.collect::<Vec<_>>())
        .mut_arg("window", |window| {
            window.default_value(WINDOW).hide_default_value(true).help(format!("Length of a window [default: {WINDOW}]"))
        })
        .args(flags::fields())
}

fn number(name: &'static str, placeholder: &'static str, help: &'static str, default: &'static str) -> Arg {
    let number = Arg::new(name).long(name).value_name(placeholder).help(help);
    number.value_parser(value_parser!(NonZeroUsize)).default_value(default)
}

fn number_of(matches: &ArgMatches, name: &str) -> NonZeroUsize {
    *matches.get_one(name).expect("has a default")
}

/// What the scores of a calibration depend on.
#[derive(PartialEq, Serialize, Deserialize)]
struct Basis {
    #[serde(flatten)]
    common: basis::Basis,
    plan: Plan,
    sinks: Vec<usize>,
    truth: Truth,
}

/// A scored window as the journal keeps it.
#[derive(Serialize, Deserialize)]
struct Line {
    category: String,
    /// Its place among the windows of the category.
    number: usize,
    side: Side,
    documents: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    information_gain: Option<f64>,
    /// Of one pass through the model.
    model_seconds: f64,
    /// Of the statistics for one setting of sinks.
    statistics_seconds: f64,
    scores: Vec<SinkScores>,
}

/// The scores of all layers for one setting of sinks, in the package's order.
#[derive(Serialize, Deserialize)]
struct SinkScores {
    sink_tokens: usize,
    layers: Vec<LayerScore>,
}

/// All that is written down.
#[derive(Serialize)]
struct Written<'a> {
    model: String,
    layers: &'a [usize],
    #[serde(flatten)]
    plan: Plan,
    categories: Vec<CategorySize<'a>>,
    left_out: &'a [LeftOut],
    /// A window of a package of this layer alone, by layer.
    seconds_per_window: BTreeMap<usize, f64>,
    #[serde(flatten)]
    calibration: &'a Calibration,
}

#[derive(Serialize)]
struct CategorySize<'a> {
    name: &'a str,
    documents: usize,
    real_windows: usize,
    spliced_windows: usize,
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let truth = truth(matches);
    let plan = Plan {
        window: config.window,
        windows: number_of(matches, "windows"),
        pieces: number_of(matches, "pieces").get(),
        seed: *matches.get_one("seed").expect("has a default"),
    };
    plan.check()?;
    let mut sinks: Vec<usize> = matches.get_many("sinks").expect("has a default").copied().collect();
    sinks.sort_unstable();
    sinks.dedup();
    let scorer = Scorer::open(flags::path_of(matches, "model"), &config)?;
    scorer.check_sinks(&sinks, config.window.get())?;
    check_gain(&scorer, truth)?;
    let layers = layers(&scorer);

    let directory = flags::path_of(matches, "output");
    fs::create_dir_all(directory)
        .map_err(|cause| Error::io(format!("make the directory {}", directory.display()), cause))?;
    let journal_path = directory.join("windows.jsonl");
    flags::check_earlier(matches, &journal_path)?;
    let inputs = flags::inputs_of(matches);
    let fields = flags::fields_of(matches);
    let reader = Reader::open(&inputs, fields.clone())?;
    let basis = Basis {
        common: basis::Basis::new(&scorer, &inputs, &fields, reader.progress().total_bytes()),
        plan,
        sinks: sinks.clone(),
        truth,
    };
    basis::check(matches, &directory.join("calibrate.json"), &[&journal_path], &basis)?;
    progress::catch_interrupts()?;
    let quiet = flags::is_quiet(matches);
    let (categories, left_out) = draw(&scorer, reader, plan, &directory.join("rejects.jsonl"), quiet)?;
    if !quiet {
        categories.iter().filter_map(|category| remark(category, plan, truth)).for_each(|remark| eprintln!("{remark}"));
    }

    let (mut journal, lines) = journal::open::<Line>(matches, &journal_path)?;
    if !quiet && !lines.is_empty() {
        eprintln!("{} scored by an earlier call", progress::count(lines.len() as u64, "window"));
    }
    let lines = score(&scorer, &categories, truth, &sinks, lines, &mut journal, quiet).map_err(|error| {
        let kept = format!("finished windows are kept in {}; go on with --resume", directory.display());
        Error::new(error.kind(), format!("{error}; {kept}"))
    })?;
    journal.sync()?;

    let settings: Vec<_> = sinks
        .iter()
        .flat_map(|sink_tokens| layers.iter().map(|layer| Setting { layer: *layer, sink_tokens: *sink_tokens }))
        .collect();
    let windows: Vec<_> = lines.iter().map(|line| scored(line, matches.get_flag("heads"))).collect();
    let calibration = Calibration::new(truth, &settings, &windows, config.standardize, config.alpha)?;
    let seconds = seconds_per_window(&lines, &layers);
    let written = Written {
        model: scorer.description().model.display().to_string(),
        layers: &layers,
        plan,
        categories: categories.iter().map(CategorySize::new).collect(),
        left_out: &left_out,
        seconds_per_window: seconds.clone(),
        calibration: &calibration,
    };
    let json = serde_json::to_string_pretty(&written).expect("finite numbers have a form in JSON");
    write(&directory.join("calibration.json"), &(json + "\n"))?;
    write(&directory.join("calibration.svg"), &longattn::report::calibration_chart(&calibration)?)?;
    if !quiet {
        table::print(&Told { calibration: &calibration, categories: &categories, seconds: &seconds, plan }.to_string());
        eprintln!("{} has calibration.json and calibration.svg", directory.display());
    }
    Ok(())
}

fn truth(matches: &ArgMatches) -> Truth {
    let name = matches.get_one::<String>("truth").expect("has a default");
    Truth::NAMES.iter().find(|row| row.0 == name).expect("clap knows the names").1
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).map_err(|cause| Error::io(format!("write {}", path.display()), cause))
}

fn check_gain(scorer: &Scorer, truth: Truth) -> Result<()> {
    if truth == Truth::Spliced {
        return Ok(());
    }
    scorer.check_losses()?;
    let window = scorer.config().window.get();
    if window >= MIN_GAIN_TOKENS {
        return Ok(());
    }
    let message =
        format!("windows of {window} tokens have no information gain: set --window to {MIN_GAIN_TOKENS} or more");
    Err(Error::new(ErrorKind::InvalidSetting, message))
}

/// The layers that the package scores. Of a model of another exporter only the setting can tell.
fn layers(scorer: &Scorer) -> Vec<usize> {
    match &scorer.description().metadata {
        Some(metadata) => metadata.layers.clone(),
        None => vec![scorer.config().layer.as_ref().and_then(|layer| layer.parse().ok()).unwrap_or(0)],
    }
}

/// Draws the windows of a corpus, and says what of it could not be used.
fn draw(
    scorer: &Scorer,
    reader: Reader,
    plan: Plan,
    rejects_path: &Path,
    quiet: bool,
) -> Result<(Vec<TestCategory>, Vec<LeftOut>)> {
    let mut sampler = Sampler::new(plan)?;
    _ = fs::remove_file(rejects_path);
    let mut rejects = Rejects::new(rejects_path)?;
    for record in reader {
        INTERRUPT.check()?;
        let added = record.and_then(|record| match &record.text {
            Some(text) => {
                let tokenize = |text: &str| Ok(scorer.tokenize(text)?.ids().to_vec());
                let added = sampler.add(&record.category, &record.id, text, tokenize);
                added.map_err(|error| pipeline::reject(&record, error.to_string()))
            }
            None => Err(pipeline::reject(&record, "no text: windows are cut from text".to_owned())),
        });
        if let Err(reject) = added {
            rejects.write(&reject)?;
        }
    }
    if !quiet {
        pipeline::tell_rejects(&rejects, rejects_path);
    }
    let (categories, left_out) = sampler.draw();
    let shortages: Vec<_> = left_out.iter().map(|left_out| shortage(left_out, plan)).collect();
    if categories.is_empty() {
        let found = if shortages.is_empty() { "it has no texts".to_owned() } else { shortages.join("; ") };
        let message = format!(
            "the corpus is too small to calibrate with windows of {} tokens: {found}; use a smaller --window, or add \
             documents",
            plan.window
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    if !quiet {
        shortages.iter().for_each(|shortage| eprintln!("left out: {shortage}"));
    }
    Ok((categories, left_out))
}

fn shortage(left_out: &LeftOut, plan: Plan) -> String {
    let LeftOut { category, documents, long_documents } = left_out;
    format!(
        "{category} has {} of at least {} tokens among {documents}, and takes 2",
        progress::count(*long_documents as u64, "document"),
        plan.window
    )
}

/// What the windows of a category lack.
fn remark(category: &TestCategory, plan: Plan, truth: Truth) -> Option<String> {
    let TestCategory { name, documents, .. } = category;
    let real = category.side(Side::Real).count();
    let mut lacks = Vec::new();
    if real < plan.windows.get() {
        lacks.push(format!(
            "{} of the {} that were asked for",
            progress::count(real as u64, "real window"),
            plan.windows
        ));
    }
    if truth == Truth::Spliced && *documents < plan.pieces {
        lacks.push(format!(
            "{documents} documents for {} pieces, so that neighbours in a spliced window are of different documents, but \
             documents come back",
            plan.pieces
        ));
    }
    (!lacks.is_empty()).then(|| format!("{name} has {}", lacks.join(", and ")))
}

/// Scores the windows that have no line yet, and gives the lines of all.
fn score(
    scorer: &Scorer,
    categories: &[TestCategory],
    truth: Truth,
    sinks: &[usize],
    lines: Vec<Line>,
    journal: &mut Journal,
    quiet: bool,
) -> Result<Vec<Line>> {
    let mut known: HashMap<_, _> = lines.into_iter().map(|line| ((line.category.clone(), line.number), line)).collect();
    let is_wanted = |window: &TestWindow| truth == Truth::Spliced || window.side == Side::Real;
    let windows = categories.iter().flat_map(|category| {
        let windows = category.windows.iter().enumerate().filter(|(_, window)| is_wanted(window));
        windows.map(move |(number, window)| (category, number, window))
    });
    let mut windows: Vec<_> = windows.collect();
    // Categories take turns, so that what an interrupted call leaves tells of all of them.
    windows.sort_by_key(|(_, number, _)| *number);
    let is_known = |category: &TestCategory, number| known.contains_key(&(category.name.clone(), number));
    let left = windows.iter().filter(|(category, number, _)| !is_known(category, *number));
    let mut progress = Progress::of_tokens(quiet, left.map(|(_, _, window)| window.ids.len() as u64).sum());
    let mut scored = Vec::with_capacity(windows.len());
    for (category, number, window) in windows {
        let line = match known.remove(&(category.name.clone(), number)) {
            Some(line) if line.documents == window.documents && line.side == window.side => line,
            Some(_) => return Err(changed(&category.name)),
            None => {
                let line = score_window(scorer, &category.name, number, window, truth, sinks)?;
                journal.append(&line)?;
                progress.scored(window.ids.len(), progress.tokens() + window.ids.len() as u64);
                line
            }
        };
        scored.push(line);
    }
    progress.finish();
    Ok(scored)
}

fn changed(category: &str) -> Error {
    let message = format!("the documents of {category} are not what they were: calibrate again with --overwrite");
    Error::new(ErrorKind::InvalidRecord, message)
}

fn score_window(
    scorer: &Scorer,
    category: &str,
    number: usize,
    window: &TestWindow,
    truth: Truth,
    sinks: &[usize],
) -> Result<Line> {
    let layers = layers(scorer).len();
    let found = scorer.score_sinks(&window.ids, sinks, &INTERRUPT)?;
    let information_gain = match truth {
        Truth::Spliced => None,
        Truth::Gain => Some(scorer.information_gain(&window.ids, &INTERRUPT)?),
    };
    let scores = sinks.iter().zip(&found.scores);
    Ok(Line {
        category: category.to_owned(),
        number,
        side: window.side,
        documents: window.documents.clone(),
        information_gain,
        model_seconds: found.model_time.as_secs_f64(),
        statistics_seconds: found.statistics_time.as_secs_f64(),
        scores: scores
            .map(|(sink_tokens, score)| SinkScores { sink_tokens: *sink_tokens, layers: score.layers(layers) })
            .collect(),
    })
}

fn scored(line: &Line, heads: bool) -> Scored {
    let mut scores: Vec<_> = line.scores.iter().flat_map(|scores| scores.layers.iter().cloned()).collect();
    if !heads {
        scores.iter_mut().for_each(|score| score.head_proportions.clear());
    }
    Scored {
        category: line.category.clone(),
        side: line.side,
        document: line.documents.first().cloned().unwrap_or_default(),
        gain: line.information_gain.unwrap_or_default(),
        scores,
    }
}

/// About what a window costs by a package of one layer alone: its part of the layers that the model ran, which are those up
/// to the deepest, and of the statistics. Medians, since now and then the machine has other work.
fn seconds_per_window(lines: &[Line], layers: &[usize]) -> BTreeMap<usize, f64> {
    let median = |seconds: fn(&Line) -> f64| {
        let mut seconds: Vec<_> = lines.iter().map(seconds).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let (model, statistics) = (median(|line| line.model_seconds), median(|line| line.statistics_seconds));
    let deepest = layers.iter().max().copied().unwrap_or(0);
    let seconds = |layer: usize| model * (layer + 1) as f64 / (deepest + 1) as f64 + statistics / layers.len() as f64;
    layers.iter().map(|layer| (*layer, seconds(*layer))).collect()
}

impl<'a> CategorySize<'a> {
    fn new(category: &'a TestCategory) -> Self {
        Self {
            name: &category.name,
            documents: category.documents,
            real_windows: category.side(Side::Real).count(),
            spliced_windows: category.side(Side::Spliced).count(),
        }
    }
}

/// What is told of a calibration.
struct Told<'a> {
    calibration: &'a Calibration,
    categories: &'a [TestCategory],
    seconds: &'a BTreeMap<usize, f64>,
    plan: Plan,
}

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Calibration { truth, rows, verdict, .. } = self.calibration;
        for category in self.categories {
            let real = progress::count(category.side(Side::Real).count() as u64, "real window");
            let spliced = match truth {
                Truth::Spliced => format!(" and {} spliced", category.side(Side::Spliced).count()),
                Truth::Gain => String::new(),
            };
            let documents = progress::count(category.documents as u64, "document");
            writeln!(formatter, "\n{}: {real}{spliced}, from {documents}", category.name)?;
            writeln!(formatter, "{}", self.table(|agreement| agreement.categories[&category.name]))?;
        }
        if self.categories.len() > 1 {
            writeln!(
                formatter,
                "\nall categories: {}",
                match truth {
                    Truth::Spliced => "the mean of their AUCs",
                    Truth::Gain => "the correlation of ranks within categories",
                }
            )?;
            writeln!(formatter, "{}", self.table(|agreement| agreement.overall))?;
        }
        if rows.iter().any(|row| !row.heads.is_empty()) {
            writeln!(formatter, "\nthe best heads, all categories\n{}", heads(rows))?;
        }
        let measure = match truth {
            Truth::Spliced => "AUC of real against spliced windows: 1 is always higher, 0.5 is guessing",
            Truth::Gain => "rank correlation with the information gain: 1 is the same order, 0 is none",
        };
        writeln!(formatter, "\n{measure}; with 95% intervals. Seconds are about what that layer alone takes here.")?;
        let Candidate { setting: Setting { layer, sink_tokens }, alpha } = verdict.candidate;
        let best = format!("layer {layer}, {}", words(verdict.candidate));
        let halves = verdict.picked_by_halves.map(|half| format!("layer {}, {}", half.setting.layer, words(half)));
        let worth = format!(
            "Picked on one half of the documents and measured on the other, both ways, the best is worth {} ({}).{}",
            shown(verdict.cross_fitted.overall),
            by_category(&verdict.cross_fitted),
            match halves.iter().all(|half| *half == best) {
                true => String::new(),
                false => format!(" The halves picked {} and {}.", halves[0], halves[1]),
            }
        );
        match verdict.finding {
            Finding::Recommended => writeln!(
                formatter,
                "\nUse {best}.\n{worth}\n\n  longattn export CHECKPOINT --layers {layer} -o model\n  longattn run --model model \
                 --window {} --sink-tokens {sink_tokens} --alpha {alpha} CORPUS -o result",
                self.plan.window
            ),
            Finding::TooWide { windows_needed } => writeln!(
                formatter,
                "\nNo recommendation: the best is {best}, but these windows are too few to say how good it is.\n{worth}\n\
                 About {windows_needed} real windows of each category, from as many more documents, would bring the interval \
                 down to {}: --windows {windows_needed}",
                truth.widest_interval()
            ),
            Finding::NoBetterThanChance => writeln!(
                formatter,
                "\nNo recommendation: not even the best, {best}, is surely better than guessing.\n{worth}"
            ),
        }
    }
}

impl Told<'_> {
    fn table(&self, estimate: impl Fn(&Agreement) -> Estimate) -> String {
        let mut table = table::empty(&["layer", "sinks", "s/window", "DS", "DU", "LDS"], 0..6);
        for row in &self.calibration.rows {
            let Setting { layer, sink_tokens } = row.setting;
            table.add_row([
                layer.to_string(),
                sink_tokens.to_string(),
                format!("{:.2}", self.seconds[&layer]),
                shown(estimate(&row.dependency_strength)),
                shown(estimate(&row.distribution_uniformity)),
                shown(estimate(&row.long_distance_dependency_score)),
            ]);
        }
        table.to_string()
    }
}

/// The heads with the highest lower bounds.
fn heads(rows: &[Row]) -> String {
    let heads =
        rows.iter().flat_map(|row| row.heads.iter().enumerate().map(move |(head, worth)| (row.setting, head, worth)));
    let mut heads: Vec<_> = heads.collect();
    heads.sort_by(|a, b| b.2.overall.low.total_cmp(&a.2.overall.low));
    let mut table = table::empty(&["layer", "sinks", "head", "proportion", "by category"], 0..4);
    for (setting, head, worth) in heads.into_iter().take(LISTED_HEADS) {
        table.add_row([
            setting.layer.to_string(),
            setting.sink_tokens.to_string(),
            head.to_string(),
            shown(worth.overall),
            by_category(worth),
        ]);
    }
    table.to_string()
}

fn words(candidate: Candidate) -> String {
    let sinks = match candidate.setting.sink_tokens {
        0 => "all tokens".to_owned(),
        1 => "without the first token".to_owned(),
        sinks => format!("without the first {sinks} tokens"),
    };
    match candidate.alpha {
        0.0 => format!("{sinks}, dependency strength alone"),
        alpha => format!("{sinks}, both terms (alpha {alpha})"),
    }
}

fn by_category(agreement: &Agreement) -> String {
    let categories = agreement.categories.iter().map(|(name, estimate)| format!("{name} {}", shown(*estimate)));
    categories.collect::<Vec<_>>().join(", ")
}

fn shown(estimate: Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{value:.2} ({low:.2}–{high:.2})")
}
