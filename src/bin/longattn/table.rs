//! Printing results on standard output.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use longattn::select::Ranked;

/// Prints text with a line end; a reader that has gone is no failure.
pub fn print(text: &str) {
    _ = writeln!(std::io::stdout(), "{text}");
}

/// Windows that are listed at either end of a category.
pub const LISTED: usize = 3;

/// The best and the worst windows of a category, best first, never one twice.
pub fn ends(ranking: &[Ranked]) -> (&[Ranked], &[Ranked]) {
    let best = LISTED.min(ranking.len());
    let worst = LISTED.min(ranking.len() - best);
    (&ranking[..best], &ranking[ranking.len() - worst..])
}

/// The end of a source; its folders are in the report and in the score file.
fn file_name(source: &str) -> String {
    source.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// Columns where there is no terminal to ask.
const WIDTH: u16 = 120;

/// A table without rows, in which some columns hold numbers.
pub fn empty(header: &[&str], numbers: Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        table.set_width(WIDTH);
    }
    table.set_header(header);
    for column in numbers {
        table.column_mut(column).expect("a column of the header").set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The best and the worst windows of each category by rank, with where they come from.
pub fn ranking(ranking: &BTreeMap<String, Vec<Ranked>>, source: impl Fn(&str) -> String) -> Table {
    let mut table = empty(&["category", "rank", "LDS", "DS", "DU", "window", "from"], 1..5);
    for (category, ranked) in ranking {
        let (best, worst) = ends(ranked);
        let ranks = (1..=best.len()).chain(ranked.len() - worst.len() + 1..=ranked.len());
        for (rank, window) in ranks.zip(best.iter().chain(worst)) {
            let candidate = &window.candidate;
            table.add_row([
                if rank == 1 { category.clone() } else { String::new() },
                rank.to_string(),
                format!("{:+.3}", window.long_distance_dependency_score),
                format!("{:.4}", candidate.dependency_strength),
                format!("{:.3e}", candidate.distribution_uniformity),
                candidate.id.clone(),
                file_name(&source(&candidate.id)),
            ]);
        }
    }
    table
}
