//! Copies of finished outputs, for those who cannot see the result directory.

use super::directory::ResultDirectory;
use super::observer::Observer;
use super::{CHART, IDENTITY, JOURNAL, REJECTS, REPORT, SUMMARY, TABLES};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::Result;

/// Copies what a job or a selection has written to where the setting `upload` says, the summary last: where that is, all is.
/// What is there already is not copied again. Of a share of a corpus, all goes up that a selection takes.
pub(super) fn upload(
    directory: &ResultDirectory,
    config: &Config,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<()> {
    let Some(destination) = &config.upload else { return Ok(()) };
    let journal = config.shard.map(|_| JOURNAL);
    let names = [REJECTS, CHART, REPORT, IDENTITY].into_iter().chain(journal).chain([SUMMARY]);
    let tables = TABLES.into_iter().flat_map(|name| directory.tables(name));
    let files = tables.chain(names.map(|name| directory.file(name)).filter(|file| file.exists()));
    let (mut copied, mut all) = (0, 0);
    for file in files {
        cancel.check()?;
        copied += u64::from(destination.upload(&file, cancel)?);
        all += 1;
    }
    observer.notice(&format!("{copied} of {all} files copied to {destination}, where the others were already"));
    Ok(())
}
