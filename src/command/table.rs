//! Printing results on standard output.

use std::cmp::Reverse;
use std::io::Write;
use std::ops::Range;

use crate::job::CategorySelection;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Prints text with a line end; a reader that has gone is no failure.
pub fn print(text: &str) {
    _ = writeln!(std::io::stdout(), "{text}");
}

/// The end of a source; its folders are in the report and in the score file.
fn file_name(source: &str) -> String {
    source.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// Categories that a table lists.
const SHOWN: usize = 20;

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

/// The best and the worst windows of each category by rank, with where they come from; `by` is the column that ranks them.
pub fn ranking(categories: &[CategorySelection], by: Option<&str>) -> Table {
    let mut table = match by {
        None => empty(&["category", "rank", "LDS", "DS", "DU", "window", "from"], 1..5),
        Some(column) => empty(&["category", "rank", column, "window", "from"], 1..3),
    };
    let all: u64 = categories.iter().map(|category| category.windows).sum();
    for category in shown(categories) {
        for (place, window) in category.listed.iter().enumerate() {
            let name = if place == 0 { category.name.clone() } else { String::new() };
            let numbers = match by {
                None => vec![
                    format!("{:+.3}", window.long_distance_dependency_score),
                    format!("{:.4}", window.dependency_strength),
                    format!("{:.3e}", window.distribution_uniformity),
                ],
                Some(_) => vec![format!("{:.4}", window.score)],
            };
            let place = [window.id.clone(), file_name(&window.source)];
            table.add_row([name, window.rank.to_string()].into_iter().chain(numbers).chain(place));
        }
    }
    if categories.len() > SHOWN {
        let more = format!("{} more categories; {all} windows in all", categories.len() - SHOWN);
        table.add_row([more]);
    }
    table
}

/// The categories with the most windows, in their order.
fn shown(categories: &[CategorySelection]) -> Vec<&CategorySelection> {
    let mut places: Vec<_> = (0..categories.len()).collect();
    places.sort_by_key(|place| Reverse(categories[*place].windows));
    places.truncate(SHOWN);
    places.sort_unstable();
    places.into_iter().map(|place| &categories[place]).collect()
}
