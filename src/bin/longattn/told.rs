//! The closing lines of a job.

use std::path::Path;

use longattn::job::Summary;

use crate::progress::count;

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
    format!(
        "{}; {} = {} selected + {} not selected{rejected}",
        documents(summary),
        count(summary.windows + summary.counts.windows_rejected, "window"),
        summary.windows_selected,
        summary.windows - summary.windows_selected
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
