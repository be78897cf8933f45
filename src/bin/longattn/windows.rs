//! `longattn windows`: documents to windows.

use std::ops::ControlFlow;

use clap::{ArgMatches, Command};
use longattn::Result;
use longattn::corpus::{Output, Reader, Rejects, STANDARD_STREAM};
use longattn::tokenizer::Tokenizer;
use longattn::window::windows;

use crate::flags::{self, WithSettings};
use crate::lines::{WindowLine, window_id};
use crate::pipeline::{self, Document, Summary};
use crate::progress::{self, INTERRUPT};

pub fn command(command: Command) -> Command {
    command
        .about("Cut documents into windows of exactly as many tokens as asked for")
        .arg(flags::inputs("JSONL files, text files and folders of them, or - for JSON lines on standard input"))
        .arg(flags::model())
        .arg(flags::output("Where the windows go, as JSON lines").default_value(STANDARD_STREAM))
        .arg(flags::switch("token-ids", "Write each window's token ids, for `score` to use in place of the text"))
        .args([flags::rejects(), flags::quiet()])
        .with_settings(&["window"])
        .args(flags::fields())
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let window = flags::config(matches)?.window;
    let tokenizer = Tokenizer::open(&flags::path_of(matches, "model").join("tokenizer.json"))?;
    let reader = Reader::open(&flags::inputs_of(matches), flags::fields_of(matches))?;
    let output_path = flags::path_of(matches, "output");
    let mut output = Output::create(output_path)?;
    let rejects_path = flags::rejects_path(matches, "windows", output_path);
    let mut rejects = Rejects::new(&rejects_path)?;
    progress::catch_interrupts()?;

    let mut summary = Summary::default();
    for item in reader {
        INTERRUPT.check()?;
        let document = match item.and_then(|record| Document::new(record, |text| tokenizer.tokenize(text))) {
            Ok(document) => document,
            Err(reject) => {
                summary.rejected += 1;
                rejects.write(&reject)?;
                continue;
            }
        };
        let cut = windows(&document.tokens, window);
        summary.count_document(cut.len());
        for window in cut {
            let line = WindowLine {
                id: &window_id(&document.record.id, &window),
                category: &document.record.category,
                content: &document.text()[window.bytes.clone()],
                token_start: window.tokens.start,
                token_count: window.tokens.len(),
                byte_start: window.bytes.start,
                byte_end: window.bytes.end,
                token_ids: matches.get_flag("token-ids").then(|| &document.tokens.ids()[window.tokens.clone()]),
            };
            if output.write(&line)? == ControlFlow::Break(()) {
                return Ok(());
            }
        }
    }
    _ = output.finish()?;
    if !flags::is_quiet(matches) {
        pipeline::tell_rejects(&rejects, &rejects_path);
        eprintln!("{}; {}", summary.documents(), progress::count(summary.windows, "window"));
    }
    Ok(())
}
