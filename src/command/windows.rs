//! `longattn windows`: documents to windows.

use crate::Result;
use crate::corpus::{Output, Rejects, STANDARD_STREAM};
use crate::job::cut_windows;
use clap::{ArgMatches, Command};

use super::flags::{self, JOB_SETTINGS, OUTPUT_SETTINGS, WithSettings};
use super::progress::{self, INTERRUPT, Terminal};
use super::told;

pub fn command(command: Command) -> Command {
    command
        .about("Cut documents into windows of exactly as many tokens as asked for")
        .arg(flags::inputs(
            "Files of JSON lines, Parquet or Arrow, text files, folders of them, or - for standard input",
        ))
        .arg(flags::model())
        .arg(flags::output("Where the windows go, as JSON lines or Parquet by its name").default_value(STANDARD_STREAM))
        .arg(flags::switch("token-ids", "Write each window's token ids, for `score` to use in place of the text"))
        .args([flags::rejects(), flags::quiet()])
        .with_settings(
            &[&["window", "special_tokens", "threads", "memory_limit"][..], &JOB_SETTINGS, &OUTPUT_SETTINGS].concat(),
        )
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let tokenizer = config.open_tokenizer(&flags::path_of(matches, "model").join("tokenizer.json"))?;
    let output_path = flags::path_of(matches, "output");
    let mut output = Output::laid_out(output_path, config.layout())?;
    let rejects_path = flags::rejects_path(matches, "windows", output_path);
    let mut rejects = Rejects::new(&rejects_path)?;
    progress::catch_interrupts()?;
    let terminal = Terminal::new(flags::is_quiet(matches));
    let (inputs, with_token_ids) = (flags::inputs_of(matches), matches.get_flag("token-ids"));
    let cut =
        cut_windows(&tokenizer, &inputs, &mut output, with_token_ids, &mut rejects, &config, &terminal, &INTERRUPT);
    terminal.finish();
    let (summary, flow) = cut?;
    if flow.is_break() || output.finish()?.is_break() {
        return Ok(());
    }
    if summary.rejects() > 0 {
        terminal.tell(&told::rejects(&summary, &rejects_path));
    }
    terminal.tell(&format!("{}; {}", told::documents(&summary), progress::count(summary.windows, "window")));
    Ok(())
}
