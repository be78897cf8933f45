//! `longattn calibrate`: which layer tells the truth about a corpus.

use std::sync::Arc;

use crate::calibrate::{
    Addition, Agreement, Calibration, CandidateSetting, Finding, Fit, IntervalEstimate, LayerSetting, Row, ScoreRow,
    Truth,
};
use crate::choice::Choice;
use crate::job::{Calibrated, CalibratedCategory, CalibrationJob, Counts, Summary};
use crate::model::Scorer;
use crate::rivals::Column;
use crate::{Config, Result};
use clap::{Arg, ArgMatches, Command};

use super::flags::{self, JOB_SETTINGS, SCORE_SETTINGS, WithSettings};
use super::progress::{self, INTERRUPT, Terminal};
use super::{table, told};

/// Short windows tell layers apart, and cost little.
const WINDOW: &str = "1024";

/// Settings of scores that do not suit a calibration: its sinks are a list, and its scores are exact.
const UNSUITABLE: [&str; 3] = ["sink_tokens", "rows", "profile"];

/// Settings of a calibration.
const CALIBRATION_SETTINGS: [&str; 10] = [
    "truth",
    "truth_model",
    "fit",
    "calibration_windows",
    "pieces",
    "calibration_sinks",
    "seed",
    "heads",
    "alpha",
    "standardize",
];

/// Heads that are listed.
const LISTED_HEADS: usize = 10;

/// Scores of attention that are listed beside those without a model.
const LISTED_SCORES: usize = 6;

pub fn command(command: Command) -> Command {
    let of_scores: Vec<_> = SCORE_SETTINGS.into_iter().filter(|key| !UNSUITABLE.contains(key)).collect();
    command
        .about("Find out which layer's scores tell real long windows of a corpus from spliced ones")
        .long_about(
            "Tests every layer of a scorer package on windows of the corpus. Real windows are whole runs of one document; \
             spliced ones are as long and are put together of pieces of different documents of the same category. A score \
             that knows far dependency is higher for the real ones: the AUC says in which share of all pairs it is. 0.5 is \
             guessing. Export the layers to test with `longattn export --layers 0,4-20` or `--layers all`.\n\n\
             With --truth gain the scores of real windows are compared with their information gain instead: by how much \
             the loss of a token drops when the model sees the whole window before it. The measure is the rank \
             correlation, 0 for none. That takes a package exported with --gain, or another one in --truth-model: a small \
             model that agrees with itself proves little.\n\n\
             With --fit as well, a score is fitted that predicts the gain from the others, and written into the package: \
             `longattn run --columns predicted_gain --by predicted_gain` selects by it.\n\n\
             The result directory gets calibration.json, calibration.svg, windows.jsonl, from which an interrupted \
             calibration goes on with --resume, and, for what could not be used, rejects.jsonl.",
        )
        .arg(flags::inputs("JSONL files, text files and folders of them, or - for JSON lines on standard input"))
        .arg(flags::model())
        .arg(flags::path("output", "DIR", "The result directory").short('o').long("output").required(true))
        .args(flags::earlier())
        .arg(flags::quiet())
        .with_settings(&[&of_scores[..], &CALIBRATION_SETTINGS, &JOB_SETTINGS].concat())
        .mut_arg("window", |window| {
            window.default_value(WINDOW).hide_default_value(true).help(format!("Length of a window [default: {WINDOW}]"))
        })
        .mut_arg("calibration_windows", |windows| renamed(windows, "windows"))
        .mut_arg("calibration_sinks", |sinks| renamed(sinks, "sink-tokens"))
}

/// A setting under a shorter flag, which its errors name.
fn renamed(setting: Arg, flag: &'static str) -> Arg {
    let key = setting.get_id().to_string();
    let parse = move |text: &str| Config::default().set(&key, text).map(|()| text.to_owned());
    setting.long(flag).value_parser(parse)
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let scorer = Arc::new(Scorer::open(flags::path_of(matches, "model"), &config)?);
    let directory = flags::path_of(matches, "output");
    progress::catch_interrupts()?;
    let mut job = CalibrationJob::open(scorer, &flags::inputs_of(matches), directory, &config)?;
    let terminal = Terminal::new(flags::is_quiet(matches));
    let found = job.run(&terminal, &INTERRUPT);
    terminal.finish();
    let found = found?;
    if !flags::is_quiet(matches) {
        table::print(&Told(&found).to_string());
    }
    if found.rejects() > 0 {
        terminal.tell(&told::rejects(&summary(&found), &directory.join("rejects.jsonl")));
    }
    terminal.tell(&format!("{} has calibration.json and calibration.svg", directory.display()));
    Ok(())
}

fn summary(found: &Calibrated) -> Summary {
    let Calibrated { records_rejected, windows_rejected, files_rejected, .. } = *found;
    let counts = Counts { rejected: records_rejected, windows_rejected, ..Counts::default() };
    Summary { counts, files_rejected, ..Summary::default() }
}

/// What is told of a calibration.
struct Told<'a>(&'a Calibrated);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Calibrated { categories, plan, calibration, .. } = self.0;
        let Calibration { truth, rows, verdict, .. } = calibration;
        for CalibratedCategory { name, documents, real_windows, spliced_windows } in categories {
            let real = progress::count(*real_windows as u64, "real window");
            let spliced = match truth {
                Truth::Spliced => format!(" and {spliced_windows} spliced"),
                Truth::Gain => String::new(),
            };
            let documents = progress::count(*documents as u64, "document");
            writeln!(formatter, "\n{name}: {real}{spliced}, from {documents}")?;
            writeln!(formatter, "{}", self.table(|agreement| agreement.categories[name]))?;
        }
        if categories.len() > 1 {
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
        writeln!(formatter, "\nall scores on the same windows, with and without a model\n{}", self.scores())?;
        if let Some(added) = &calibration.beyond_ngram_gain {
            writeln!(formatter, "\n{}", beyond_ngram_gain(added))?;
        }
        if truth == &Truth::Gain {
            let model = self.0.truth_model.as_ref().map_or(String::new(), |model| format!(" by {model}"));
            let hours = self.0.truth_hours_per_billion_tokens;
            writeln!(formatter, "\nThe gain is that{model}, for {hours:.0} hours per billion tokens.")?;
        }
        if let Some(fit) = &self.0.fit {
            let hours = self.0.hours_per_billion_tokens[Column::PredictedGain.name()];
            writeln!(formatter, "\n{}", fitted(fit, hours))?;
        }
        let measure = match truth {
            Truth::Spliced => "AUC of real against spliced windows: 1 is always higher, 0.5 is guessing",
            Truth::Gain => "rank correlation with the information gain: 1 is the same order, 0 is none",
        };
        writeln!(formatter, "\n{measure}; with 95% intervals. Seconds are about what that layer alone takes here.")?;
        let CandidateSetting { setting: LayerSetting { layer, sink_tokens }, alpha } = verdict.candidate;
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
                plan.window
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
    fn table(&self, estimate: impl Fn(&Agreement) -> IntervalEstimate) -> String {
        let mut table = table::empty(&["layer", "sinks", "s/window", "DS", "DU", "LDS"], 0..6);
        for row in &self.0.calibration.rows {
            let LayerSetting { layer, sink_tokens } = row.setting;
            table.add_row([
                layer.to_string(),
                sink_tokens.to_string(),
                format!("{:.2}", self.0.seconds_per_window[&layer]),
                shown(estimate(&row.dependency_strength)),
                shown(estimate(&row.distribution_uniformity)),
                shown(estimate(&row.long_distance_dependency_score)),
            ]);
        }
        table.to_string()
    }
}

impl Told<'_> {
    /// The scores without a model and the best of attention.
    fn scores(&self) -> String {
        let Calibrated { plan, calibration, hours_per_billion_tokens, seconds_per_window, .. } = self.0;
        let low = |row: &&ScoreRow| row.agreement.overall.low;
        let (mut of_attention, mut rows): (Vec<_>, Vec<_>) =
            calibration.scores.iter().partition(|row| row.setting.is_some());
        of_attention.sort_by(|a, b| low(b).total_cmp(&low(a)));
        rows.extend(of_attention.into_iter().take(LISTED_SCORES));
        rows.sort_by(|a, b| low(b).total_cmp(&low(a)));
        let truth = calibration.truth;
        let measure = if truth == Truth::Spliced { "AUC" } else { "with the gain" };
        let mut table = table::empty(
            &[
                "score",
                measure,
                "beyond ngram_gain",
                "with LongFilter's",
                "best quarter in common",
                "hours per billion tokens",
            ],
            1..6,
        );
        for row in rows {
            let hours = match row.setting {
                Some(setting) => Some(seconds_per_window[&setting.layer] / plan.window.get() as f64 * 1e9 / 3600.0),
                None => hours_per_billion_tokens.get(row.score).copied(),
            };
            let name = match row.setting {
                Some(LayerSetting { layer, sink_tokens }) => {
                    format!("{}, layer {layer}, {sink_tokens} sinks", row.score)
                }
                None => row.score.to_owned(),
            };
            table.add_row([
                name,
                shown(row.agreement.overall),
                row.beyond_ngram_gain.as_ref().map_or(String::new(), |beyond| shown(beyond.overall)),
                row.longfilter_score.as_ref().map_or(String::new(), |with| shown(with.overall)),
                row.best_quarter.map_or(String::new(), |share| format!("{share:.2}")),
                hours.map_or(String::new(), |hours| format!("{hours:.2}")),
            ]);
        }
        table.to_string()
    }
}

/// What attention adds to the n-gram gain, in words.
fn beyond_ngram_gain(added: &Addition) -> String {
    let Addition { score, setting: LayerSetting { layer, sink_tokens }, cross_fitted } = added;
    let best = format!("{score} of layer {layer}, {sink_tokens} sinks, picked and measured on different halves");
    let worth = shown(cross_fitted.overall);
    match added.is_shown() {
        true => {
            format!("Attention tells more than ngram_gain: {best}, has a partial rank correlation of {worth} given it.")
        }
        false => format!(
            "Attention adds nothing to ngram_gain that these windows can show: the best, {best}, has a partial rank \
             correlation of {worth} given it, which may be 0."
        ),
    }
}

/// A fitted score, in words.
fn fitted(fit: &Fit, hours: f64) -> String {
    let Fit {
        fitted_score,
        held_out_documents,
        longfilter_score,
        held_out_categories,
        best_feature,
        best_feature_agreement,
        ..
    } = fit;
    let count = fitted_score.features.len();
    let [worth, by_longfilter] = [held_out_documents, longfilter_score].map(|agreement| shown(agreement.overall));
    let of_best = shown(best_feature_agreement.overall);
    let categories = held_out_categories
        .as_ref()
        .map_or(String::new(), |agreement| format!(" On categories that it has not seen: {}.", by_category(agreement)));
    let error = fitted_score.error;
    let told = format!(
        "The score fitted to {count} features has a rank correlation of {worth} with the gain of documents that it has not seen \
         ({}) and one of {by_longfilter} with LongFilter's score there; the best of its features, {best_feature}, has {of_best} with the gain.{categories} Its error is {error:.3} nats a token, \
         and it takes {hours:.0} hours per billion tokens.",
        by_category(held_out_documents)
    );
    match fit.is_better() {
        true => format!(
            "{told} It is in the package:\n\n  longattn run --model MODEL --columns predicted_gain --by predicted_gain CORPUS -o \
             result"
        ),
        false => format!("{told} It is not better, and was not kept: use {best_feature}."),
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

fn words(candidate: CandidateSetting) -> String {
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

fn shown(estimate: IntervalEstimate) -> String {
    let IntervalEstimate { value, low, high } = estimate;
    format!("{value:.2} ({low:.2}–{high:.2})")
}
