//! Documents that are cut into windows, and no more.

use std::ops::ControlFlow;
use std::path::Path;

use super::batches::read_ahead;
use super::entry::RejectKind;
use super::keeping::Rejecting;
use super::ledger::Ledger;
use super::lines::{WindowLine, window_id};
use super::observer::{Observer, Progress, Stage};
use super::reading::{Content, Document, Item, Reading, Unit};
use super::summary::{EarlySigns, Summary};
use super::{open_corpus, reading_pool};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::corpus::{Output, Rejects};
use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// Cuts the documents of a corpus into windows of the setting `window`, and writes them to `output` with their texts and,
/// where they are asked for, their token ids. [`ControlFlow::Break`] tells that the reader of a stream has gone.
///
/// # Errors
/// [`Io`](crate::ErrorKind::Io) where an input is missing or the output cannot be written,
/// [`Cancelled`](crate::ErrorKind::Cancelled), and what the setting `on_error` says.
#[allow(clippy::too_many_arguments)]
pub fn cut_windows<P: AsRef<Path>>(
    tokenizer: &Tokenizer,
    inputs: &[P],
    output: &mut Output,
    with_token_ids: bool,
    rejects: &mut Rejects,
    config: &Config,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<(Summary, ControlFlow<()>)> {
    let inputs: Vec<_> = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
    let corpus = open_corpus(&inputs, None, config)?;
    let reading = Reading {
        corpus: &corpus,
        unit: Unit::Windows,
        config,
        ledger: &Ledger::default(),
        asked: 0,
        tokenize: &|text| tokenizer.tokenize_until(text, cancel),
        pool: &reading_pool(config)?,
        cancel,
    };
    let mut rejecting = Rejecting { rejects, observer, on_error: config.on_error };
    let mut summary = Summary::default();
    let mut early_signs = EarlySigns::default();
    let mut progress = Progress { stage: Stage::Reading, total: corpus.total_bytes(), ..Progress::default() };
    let flow = read_ahead(&reading, |items| {
        for item in items {
            progress.done = item.read().unwrap_or(progress.done);
            let reject = match item {
                Item::Document(document) => {
                    let (counts, windows) = (&mut summary.counts, document.windows.len() as u64);
                    *(if windows == 0 { &mut counts.too_short } else { &mut counts.windowed }) += 1;
                    counts.longest_document = counts.longest_document.max(document.tokens);
                    early_signs.of_document(windows > 0, counts.longest_document, config, observer);
                    summary.windows += windows;
                    if write(&document, output, with_token_ids)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    continue;
                }
                Item::Reject { reject, kind } => {
                    summary.counts.rejected += 1;
                    if kind == Some(RejectKind::Duplicate) {
                        summary.duplicates += 1;
                        early_signs.of_duplicate(&reject, observer);
                    }
                    reject
                }
                Item::Failed(reject) => {
                    summary.files_rejected += 1;
                    early_signs.of_file(&reject, observer);
                    reject
                }
                Item::Begin(_) | Item::Unchanged { .. } | Item::End { .. } => continue,
            };
            early_signs.of_reject(&reject, observer);
            rejecting.reject(&reject)?;
        }
        progress.windows = summary.windows;
        observer.progress(&progress);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((summary, flow))
}

fn write(document: &Document, output: &mut Output, with_token_ids: bool) -> Result<ControlFlow<()>> {
    let text = document.record.text.as_deref().unwrap_or_default();
    for window in &document.windows {
        let Content::Tokens { ids, token_start, bytes } = &window.content else { continue };
        let line = WindowLine {
            id: &window_id(&document.record.id, window.number as usize),
            category: &document.record.category,
            content: &text[bytes.start as usize..bytes.end as usize],
            token_start: *token_start as usize,
            token_count: ids.len(),
            byte_start: bytes.start as usize,
            byte_end: bytes.end as usize,
            token_ids: with_token_ids.then_some(ids),
        };
        if output.write(&line)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
