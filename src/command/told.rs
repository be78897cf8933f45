//! The closing lines of a job.

use std::path::Path;

use crate::job::{Selection, Summary};

use super::progress::{Terminal, count};
use super::table;

/// The documents' line of the balance.
pub fn documents(summary: &Summary) -> String {
    let counts = &summary.counts;
    let all = count(counts.documents(), "document");
    let (windowed, too_short, rejected) = (counts.windowed, counts.too_short, counts.rejected);
    format!("{all} = {windowed} cut into windows + {too_short} too short + {rejected} rejected")
}

/// What became of documents and windows.
pub fn balance(summary: &Summary) -> String {
    let rejected = match summary.counts.windows_rejected {
        0 => String::new(),
        rejected => format!(" + {rejected} rejected"),
    };
    let filtered = match summary.windows_filtered {
        0 => String::new(),
        filtered => format!(" + {filtered} filtered out"),
    };
    format!(
        "{}; {} = {} selected + {} not selected{filtered}{rejected}",
        documents(summary),
        count(summary.windows + summary.counts.windows_rejected, "window"),
        summary.windows_selected,
        summary.windows - summary.windows_selected - summary.windows_filtered
    )
}

/// Where the rejects are, and which of them are of a kind that can be helped.
pub fn rejects(summary: &Summary, path: &Path) -> String {
    let mut told = format!("{} in {}, each with its reason", count(summary.rejects(), "reject"), path.display());
    if summary.files_rejected > 0 {
        let files = count(summary.files_rejected, "file");
        told += &format!("\n{files} could not be read to the end and counted for nothing: mend them, and go on");
    }
    if summary.duplicates > 0 {
        let duplicates = count(summary.duplicates, "record");
        told += &format!(
            "\n{duplicates} left out because another one has the same id: name a field whose values differ with --id-field, or \
             take file and line with --ids-from-place"
        );
    }
    told
}

/// A selection in the directory of its outputs: its best and worst windows, the rejects, and where everything is.
pub fn selection(terminal: &Terminal, selection: &Selection, directory: &Path, selected: &Path, by: Option<&str>) {
    if !terminal.is_quiet() && !selection.categories.is_empty() {
        table::print(&table::ranking(&selection.categories, by).to_string());
    }
    if selection.summary.rejects() > 0 {
        terminal.tell(&rejects(&selection.summary, &directory.join("rejects.jsonl")));
    }
    let tokens = count(selection.summary.tokens_selected, "selected token");
    let report = if directory.join("report.html").exists() { "; see report.html beside it" } else { "" };
    terminal.tell(&format!("{tokens} in {}{report}", selected.display()));
}
