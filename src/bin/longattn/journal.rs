//! The file of scores as a journal: an interrupted call can go on where it stopped.

use std::path::Path;

use clap::ArgMatches;
use longattn::corpus::Journal;
use longattn::{Error, Result};
use serde::de::DeserializeOwned;

use crate::flags;

/// Opens the journal that the flags ask for, with what it holds already.
pub fn open<T: DeserializeOwned>(matches: &ArgMatches, path: &Path) -> Result<(Journal, Vec<T>)> {
    flags::check_earlier(matches, path)?;
    if path.is_file() && matches.get_flag("resume") {
        let mut entries = Vec::new();
        let journal = Journal::resume(path, |entry, _| {
            entries.push(entry);
            Ok(())
        })?;
        return Ok((journal, entries));
    }
    if path.is_file() {
        std::fs::remove_file(path).map_err(|cause| Error::io(format!("replace {}", path.display()), cause))?;
    }
    Ok((Journal::create(path)?, Vec::new()))
}
