//! What the page's template fills in.

use askama::Template;

use crate::error::{Error, ErrorKind, Result};
use crate::report::chart::{self, Description};
use crate::report::statistics::{Spread, cut, selected_count, thinned};
use crate::report::{CategoryReport, Example, Report, WindowPoint, text};

const NAME_LENGTH: usize = 80;
const PLACE_LENGTH: usize = 200;
const EXCERPT_LENGTH: usize = 200;
const SETTING_LENGTH: usize = 400;
/// Points in all scatter charts together; each takes some hundred bytes.
const MOST_POINTS: usize = 12_000;
const MOST_POINTS_OF_A_KIND: usize = 1000;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    version: &'static str,
    found: String,
    sources: String,
    scoring: String,
    tallies: Vec<Tally>,
    sections: Vec<Section>,
    total: Counts,
    settings: Vec<[String; 2]>,
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

struct Counts {
    windows: u64,
    selected: u64,
    tokens: u64,
    selected_tokens: u64,
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
    let total = Counts::of(report.categories.iter().flat_map(|category| &category.windows));
    let most_points = (MOST_POINTS / 2 / report.categories.len().max(1)).clamp(50, MOST_POINTS_OF_A_KIND);
    let sections = report.categories.iter().enumerate();
    let settings = report.settings.iter();
    let page = Page {
        title: text::name(&report.title, NAME_LENGTH),
        version: env!("CARGO_PKG_VERSION"),
        found: found(&total),
        sources: sources(report),
        scoring: scoring(report),
        tallies: tallies(report, &total),
        sections: sections.map(|(place, category)| section(place + 1, category, most_points)).collect::<Result<_>>()?,
        total,
        settings: settings.map(|(key, value)| [key, value].map(|text| text::clean(text, SETTING_LENGTH))).collect(),
    };
    page.render().map_err(|cause| Error::new(ErrorKind::Internal, format!("cannot write the report: {cause}")))
}

impl Counts {
    fn of<'a>(windows: impl IntoIterator<Item = &'a WindowPoint>) -> Self {
        let mut counts = Self { windows: 0, selected: 0, tokens: 0, selected_tokens: 0 };
        for window in windows {
            counts.windows += 1;
            counts.tokens += window.tokens;
            if window.selected {
                counts.selected += 1;
                counts.selected_tokens += window.tokens;
            }
        }
        counts
    }
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
    let time = text::duration(report.elapsed);
    let layers = layers(&model.layers);
    format!(
        "Scored by {name} ({architecture}, {layers}, {heads}) in windows of {window}; it took {time}{}.",
        speed(report)
    )
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

fn section(number: usize, category: &CategoryReport, most_points: usize) -> Result<Section> {
    Ok(Section {
        name: text::name(&category.name, NAME_LENGTH),
        counts: Counts::of(&category.windows),
        cut: cut(&category.windows).map(text::score),
        spreads: spreads(&category.windows),
        charts: charts(number, category, most_points)?,
        examples: example_groups(category),
    })
}

fn spreads(windows: &[WindowPoint]) -> Vec<SpreadRow> {
    let row = |name, write: fn(f64) -> String, quantity: fn(&WindowPoint) -> f64| {
        let Spread { smallest, median, largest } = Spread::of(windows, quantity)?;
        Some(SpreadRow { name, numbers: [smallest, median, largest].map(write) })
    };
    let rows = [
        row("dependency strength (DS)", text::strength, |window| window.dependency_strength),
        row("distribution uniformity (DU)", text::uniformity, |window| window.distribution_uniformity),
        row("long-distance dependency score (LDS)", text::score, |window| window.long_distance_dependency_score),
    ];
    rows.into_iter().flatten().collect()
}

fn charts(number: usize, category: &CategoryReport, most_points: usize) -> Result<Option<Charts>> {
    let windows = &category.windows;
    if windows.is_empty() {
        return Ok(None);
    }
    let name = text::name(&category.name, NAME_LENGTH);
    let scatter = Description {
        id: format!("scatter-{number}"),
        title: format!("{name}: dependency strength and distribution uniformity of its windows"),
        details: format!(
            "Scatter chart of {}. Triangles are selected, circles are not.",
            text::counted(windows.len() as u64, "window", "windows")
        ),
    };
    let histogram = Description {
        id: format!("histogram-{number}"),
        title: format!("{name}: how many windows have which long-distance dependency score"),
        details: cut(windows).map_or_else(
            || "Histogram. No window is selected.".to_owned(),
            |cut| format!("Histogram. The lowest selected score is {}.", text::score(cut)),
        ),
    };
    Ok(Some(Charts {
        scatter: chart::scatter(windows, most_points, &scatter)?,
        histogram: chart::histogram(windows, &histogram)?,
        thinning: thinning(windows, most_points),
    }))
}

fn thinning(windows: &[WindowPoint], most_points: usize) -> Option<String> {
    let [shown_selected, shown_others] = thinned(windows, most_points).map(|kind| kind.len() as u64);
    let all = windows.len() as u64;
    if shown_selected + shown_others == all {
        return None;
    }
    let selected = selected_count(windows);
    Some(format!(
        "The first chart shows {} of {} selected and {} of {} other windows, evenly spaced in the order of their scores. \
         All else on this page counts every window.",
        text::count(shown_selected),
        text::count(selected),
        text::count(shown_others),
        text::count(all - selected),
    ))
}

fn example_groups(category: &CategoryReport) -> Vec<ExampleGroup> {
    let groups = [("Highest scores", &category.best), ("Lowest scores", &category.worst)];
    let filled = groups.into_iter().filter(|(_, examples)| !examples.is_empty());
    filled.map(|(name, examples)| ExampleGroup { name, cards: examples.iter().map(card).collect() }).collect()
}

fn card(example: &Example) -> Card {
    let window = &example.window;
    Card {
        id: text::clean(&example.id, PLACE_LENGTH),
        source: text::clean(&example.source, PLACE_LENGTH),
        excerpt: text::clean(&example.text, EXCERPT_LENGTH),
        numbers: [
            ("LDS", text::score(window.long_distance_dependency_score)),
            ("DS", text::strength(window.dependency_strength)),
            ("DU", text::uniformity(window.distribution_uniformity)),
            ("tokens", text::count(window.tokens)),
        ],
        selected: window.selected,
    }
}
