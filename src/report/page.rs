//! What the page's template fills in.

use askama::Template;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::report::category::{MOST_POINTS_OF_A_KIND, NAME_LENGTH, PLACE_LENGTH, Spreads, in_order_to_show};
use crate::report::chart::{self, Description};
use crate::report::points::Points;
use crate::report::statistics::{Counts, Spread};
use crate::report::windows::{MOST_CATEGORIES, Packed, encode};
use crate::report::{CategoryReport, Example, Report, WholeText, text};

/// Categories with charts and examples.
const DETAILED: usize = MOST_CATEGORIES;
/// Categories with a line of their own.
const LISTED: usize = 1000;
const SETTING_LENGTH: usize = 400;
/// Points in all scatter charts together; each takes some hundred bytes.
const MOST_POINTS: usize = 6_000;

const CHARTS: &str = include_str!("../../templates/uplot/uPlot.iife.min.js");
const CHARTS_STYLE: &str = include_str!("../../templates/uplot/uPlot.min.css");
const SCRIPT: &str = include_str!("../../templates/report.js");

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    version: &'static str,
    found: String,
    sources: String,
    scoring: String,
    tallies: Vec<Tally>,
    lines: Vec<Line>,
    /// What is not shown in detail.
    omission: Option<String>,
    total: Counts,
    sections: Vec<Section>,
    settings: Vec<[String; 2]>,
    interaction: Option<Interaction>,
}

/// What the page's scripts work with.
struct Interaction {
    policy: String,
    style: &'static str,
    scripts: [&'static str; 2],
    data: String,
}

#[derive(Serialize)]
struct Data<'a> {
    title: String,
    /// Categories that the windows are not of.
    other_categories: usize,
    windows: Packed,
    texts: Vec<PackedText<'a>>,
}

/// A text that the page opens.
#[derive(Serialize)]
struct PackedText<'a> {
    category: &'a str,
    id: &'a str,
    source: &'a str,
    shown: usize,
    characters: usize,
    text: String,
    /// Shares of attention by distance, to five digits; empty where they were not measured.
    distance_profile: Vec<f64>,
    min_distance: u64,
}

/// A number of things and what became of them.
struct Tally {
    name: &'static str,
    total: u64,
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    count: u64,
    file: Option<String>,
}

/// A line of the table of categories.
struct Line {
    name: String,
    counts: Counts,
    cut: String,
    /// The number of the section about this category.
    section: Option<usize>,
}

struct Section {
    name: String,
    counts: Counts,
    cut: Option<String>,
    spreads: Vec<SpreadRow>,
    charts: Option<Charts>,
    examples: Vec<ExampleGroup>,
}

struct SpreadRow {
    name: &'static str,
    numbers: [String; 3],
}

struct Charts {
    scatter: String,
    histogram: String,
    thinning: Option<String>,
}

struct ExampleGroup {
    name: &'static str,
    cards: Vec<Card>,
}

struct Card {
    id: String,
    source: String,
    excerpt: String,
    numbers: [(&'static str, String); 4],
    selected: bool,
}

/// The whole page.
pub fn render(report: &Report) -> Result<String> {
    let categories = in_order_to_show(&report.categories, DETAILED);
    let total = categories.iter().map(|category| category.counts).sum();
    let detailed = &categories[..categories.len().min(DETAILED)];
    let most_points = (MOST_POINTS / 2 / detailed.len().max(1)).min(MOST_POINTS_OF_A_KIND);
    let sections = detailed.iter().enumerate();
    let settings = report.settings.iter();
    let page = Page {
        title: text::name(&report.title, NAME_LENGTH),
        version: env!("CARGO_PKG_VERSION"),
        found: found(&total),
        sources: sources(report),
        scoring: scoring(report),
        tallies: tallies(report, &total),
        lines: lines(&categories),
        omission: omission(&categories),
        total,
        sections: sections.map(|(place, category)| section(place + 1, category, most_points)).collect::<Result<_>>()?,
        settings: settings.map(|(key, value)| [key, value].map(|text| text::clean(text, SETTING_LENGTH))).collect(),
        interaction: report.windows.as_ref().map(|windows| interaction(report, windows.packed(), detailed)),
    };
    page.render().map_err(|cause| Error::new(ErrorKind::Internal, format!("cannot write the report: {cause}")))
}

fn interaction(report: &Report, windows: Packed, detailed: &[&CategoryReport]) -> Interaction {
    let data = Data {
        title: text::name(&report.title, NAME_LENGTH),
        other_categories: report.categories.len() - detailed.len(),
        windows,
        texts: texts(detailed),
    };
    let scripts = [CHARTS, SCRIPT];
    Interaction {
        policy: scripts.map(|script| format!("'sha256-{}'", encode(&Sha256::digest(script)))).join(" "),
        style: CHARTS_STYLE,
        scripts,
        // So that no text ends the element that it is in.
        data: serde_json::to_string(&data)
            .expect("text and finite numbers have a form in JSON")
            .replace('<', r"\u003c"),
    }
}

/// The texts of all examples, each once, as long as they have room.
fn texts<'a>(categories: &[&'a CategoryReport]) -> Vec<PackedText<'a>> {
    let mut room = WholeText::MOST_BYTES;
    let mut texts = Vec::new();
    for category in categories {
        let mut seen = HashSet::new();
        for example in category.examples().filter(|example| example.whole_text.shown > 0) {
            let WholeText { compressed, shown, characters } = &example.whole_text;
            if compressed.len() > room || !seen.insert(&example.id) {
                continue;
            }
            room -= compressed.len();
            texts.push(PackedText {
                category: &category.name,
                id: &example.id,
                source: &example.source,
                shown: *shown,
                characters: *characters,
                text: encode(compressed),
                distance_profile: example.distance_profile.iter().map(|share| (share * 1e5).round() / 1e5).collect(),
                min_distance: example.min_distance,
            });
        }
    }
    texts
}

fn found(total: &Counts) -> String {
    let windows = text::counted(total.windows, "window", "windows");
    let tokens = text::counted(total.selected_tokens, "token", "tokens");
    format!("{} of {windows} selected: {tokens}", text::count(total.selected))
}

fn sources(report: &Report) -> String {
    let documents = text::counted(report.documents.read(), "document", "documents");
    let categories = text::counted(report.categories.len() as u64, "category", "categories");
    format!("from {documents} in {categories}")
}

fn scoring(report: &Report) -> String {
    let model = &report.model;
    let name = text::name(&model.name, NAME_LENGTH);
    let architecture = text::name(&model.architecture, NAME_LENGTH);
    let heads = text::counted(model.heads as u64, "head", "heads");
    let window = text::counted(report.window_tokens as u64, "token", "tokens");
    let time = time(report);
    let layers = text::clean(&layers(&model.layers), NAME_LENGTH);
    format!(
        "Scored by {name} ({architecture}, {layers}, {heads}) in windows of {window}; it took {time}{}.",
        speed(report)
    )
}

fn time(report: &Report) -> String {
    let time = text::duration(report.elapsed);
    if report.calls > 1 { format!("{time} in {} calls", text::count(report.calls)) } else { time }
}

fn layers(layers: &[usize]) -> String {
    match layers {
        [] => "no layer".to_owned(),
        [layer] => format!("layer {layer}"),
        [first, .., last] if layers.is_sorted_by(|a, b| a + 1 == *b) => format!("layers {first} to {last}"),
        _ => format!("layers {}", layers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn speed(report: &Report) -> String {
    let per_second = report.scored_tokens as f64 / report.elapsed.as_secs_f64();
    if !per_second.is_finite() || report.scored_tokens == 0 {
        return String::new();
    }
    format!(", {} tokens a second", text::count(per_second.round() as u64))
}

fn tallies(report: &Report, total: &Counts) -> Vec<Tally> {
    let part = |name, count| Part { name, count, file: None };
    let documents = &report.documents;
    let rejects_file = report.rejects_file.as_deref().map(|file| text::clean(file, PLACE_LENGTH));
    vec![
        Tally {
            name: "Documents read",
            total: documents.read(),
            parts: vec![
                part("with windows", documents.windowed),
                part("too short", documents.too_short),
                Part { file: rejects_file, ..part("rejected", documents.rejected) },
            ],
        },
        Tally {
            name: "Windows scored",
            total: total.windows,
            parts: vec![part("selected", total.selected), part("not selected", total.windows - total.selected)],
        },
        Tally {
            name: "Tokens scored",
            total: total.tokens,
            parts: vec![
                part("selected", total.selected_tokens),
                part("not selected", total.tokens - total.selected_tokens),
            ],
        },
    ]
}

fn lines(categories: &[&CategoryReport]) -> Vec<Line> {
    let (listed, rest) = categories.split_at(categories.len().min(LISTED));
    let line = |(place, category): (usize, &&CategoryReport)| Line {
        name: category.name.clone(),
        counts: category.counts,
        cut: category.cut.map_or_else(|| "none".to_owned(), text::score),
        section: (place < DETAILED).then_some(place + 1),
    };
    let others = Line {
        name: text::counted(rest.len() as u64, "other category", "other categories"),
        counts: rest.iter().map(|category| category.counts).sum(),
        cut: String::new(),
        section: None,
    };
    let lines = listed.iter().enumerate().map(line);
    lines.chain((!rest.is_empty()).then_some(others)).collect()
}

fn omission(categories: &[&CategoryReport]) -> Option<String> {
    let others = categories.len().checked_sub(DETAILED).filter(|others| *others > 0)?;
    let shown = format!(
        "Charts and examples follow for the {DETAILED} categories with the most windows; of the other {} this table is all",
        text::count(others as u64),
    );
    let Some(largest) = categories.get(LISTED) else { return Some(format!("{shown}.")) };
    let (summed, windows) = ((categories.len() - LISTED) as u64, largest.counts.windows);
    Some(format!(
        "{shown}. Its last line sums up {}, none of more than {}.",
        text::counted(summed, "category", "categories"),
        text::counted(windows, "window", "windows"),
    ))
}

fn section(number: usize, category: &CategoryReport, most_points: usize) -> Result<Section> {
    Ok(Section {
        name: category.name.clone(),
        counts: category.counts,
        cut: category.cut.map(text::score),
        spreads: category.spreads.map(|spreads| spread_rows(&spreads)).unwrap_or_default(),
        charts: charts(number, category, most_points)?,
        examples: example_groups(category),
    })
}

fn spread_rows(spreads: &Spreads) -> Vec<SpreadRow> {
    let row = |name, write: fn(f64) -> String, spread: Spread| {
        let Spread { smallest, median, largest } = spread;
        SpreadRow { name, numbers: [smallest, median, largest].map(write) }
    };
    vec![
        row("dependency strength (DS)", text::strength, spreads.dependency_strength),
        row("distribution uniformity (DU)", text::uniformity, spreads.distribution_uniformity),
        row("long-distance dependency score (LDS)", text::score, spreads.long_distance_dependency_score),
    ]
}

fn charts(number: usize, category: &CategoryReport, most_points: usize) -> Result<Option<Charts>> {
    let Counts { windows: 1.., .. } = category.counts else { return Ok(None) };
    let name = &category.name;
    let scatter = Description {
        id: format!("scatter-{number}"),
        title: format!("{name}: dependency strength and distribution uniformity of its windows"),
        details: format!(
            "Scatter chart of {}. Triangles are selected, circles are not.",
            text::counted(category.counts.windows, "window", "windows")
        ),
    };
    let histogram = Description {
        id: format!("histogram-{number}"),
        title: format!("{name}: how many windows have which long-distance dependency score"),
        details: category.cut.map_or_else(
            || "Histogram. No window is selected.".to_owned(),
            |cut| format!("Histogram. The lowest selected score is {}.", text::score(cut)),
        ),
    };
    let points = category.points.thinned(most_points);
    Ok(Some(Charts {
        scatter: chart::scatter(category, &points, &scatter)?,
        histogram: chart::histogram(category, &histogram)?,
        thinning: thinning(&category.counts, &points),
    }))
}

fn thinning(counts: &Counts, points: &Points) -> Option<String> {
    if points.len() as u64 == counts.windows {
        return None;
    }
    Some(format!(
        "The first chart shows {} of {} selected and {} of {} other windows, evenly spaced in the order of their scores. \
         All else on this page counts every window.",
        text::count(points.selected.len() as u64),
        text::count(counts.selected),
        text::count(points.others.len() as u64),
        text::count(counts.windows - counts.selected),
    ))
}

fn example_groups(category: &CategoryReport) -> Vec<ExampleGroup> {
    let groups = [
        ("Highest scores", &category.best),
        ("Just above the cut", &category.above_cut),
        ("Just below the cut", &category.below_cut),
        ("Lowest scores", &category.worst),
    ];
    let filled = groups.into_iter().filter(|(_, examples)| !examples.is_empty());
    filled.map(|(name, examples)| ExampleGroup { name, cards: examples.iter().map(card).collect() }).collect()
}

fn card(example: &Example) -> Card {
    let window = &example.window;
    Card {
        id: example.id.clone(),
        source: example.source.clone(),
        excerpt: example.text.clone(),
        numbers: [
            ("LDS", text::score(window.long_distance_dependency_score)),
            ("DS", text::strength(window.dependency_strength)),
            ("DU", text::uniformity(window.distribution_uniformity)),
            ("tokens", text::count(window.tokens)),
        ],
        selected: window.selected,
    }
}
