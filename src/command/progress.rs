//! What the user sees while the work goes on, all of it on standard error.

use std::cell::Cell;
use std::io::IsTerminal;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::export::hub::Fetched;
use crate::job::{Observer, Progress, Stage};
use crate::{Cancel, Error, ErrorKind, Result};
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use log::{LevelFilter, Log, Metadata, Record};

use super::EXIT_INTERRUPTED;

/// Time between two lines where there is no terminal for a bar.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Shows a job: a bar on a terminal, plain lines elsewhere, nothing when quiet.
pub struct Terminal {
    bar: Option<ProgressBar>,
    plain: bool,
    quiet: bool,
    shown: Mutex<Shown>,
}

/// What is shown.
struct Shown {
    stage: Option<Stage>,
    begun: Instant,
    told: Instant,
    /// What of a stage was done already when it began: files that have not changed are passed in no time.
    passed: u64,
}

impl Terminal {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let begun = Instant::now();
        Self {
            bar: (terminal && !quiet).then(ProgressBar::hidden),
            plain: !terminal && !quiet,
            quiet,
            shown: Mutex::new(Shown { stage: None, begun, told: begun, passed: 0 }),
        }
    }

    /// Whether it shows nothing.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a line, unless quiet.
    pub fn tell(&self, line: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the bar away, for what follows it.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn begin(bar: &ProgressBar, progress: &Progress) {
        let amount = match progress.stage {
            Stage::Reading => "{bytes}/{total_bytes}",
            Stage::Refining | Stage::Scoring => "{human_pos}/{human_len} tokens",
            Stage::Writing => "{human_pos}/{human_len} texts",
        };
        let template = match progress.total {
            Some(_) => format!("{{bar:30}} {amount}  {{msg}}  {{eta}} left"),
            None => "{spinner} {msg}".to_owned(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(&template).expect("a valid template"));
        bar.set_length(progress.total.unwrap_or(0));
        bar.reset();
    }
}

impl Observer for Terminal {
    fn progress(&self, progress: &Progress) {
        let mut shown = self.shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if shown.stage != Some(progress.stage) {
            let now = Instant::now();
            *shown = Shown { stage: Some(progress.stage), begun: now, told: now, passed: progress.done };
            self.bar.iter().for_each(|bar| Self::begin(bar, progress));
        }
        let seconds = shown.begun.elapsed().as_secs_f64().max(1e-9);
        let mut message = format!("{} windows", HumanCount(progress.windows));
        if progress.tokens > 0 {
            message += &format!(", {} tokens/s", HumanCount((progress.tokens as f64 / seconds) as u64));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done);
            bar.set_message(message);
        } else if self.plain && shown.told.elapsed() >= PLAIN_INTERVAL {
            shown.told = Instant::now();
            let left = time_left(&shown, progress).map_or(String::new(), |left| format!(", {left} left"));
            eprintln!("{message}{left}");
        }
    }

    fn notice(&self, notice: &str) {
        self.tell(notice);
    }
}

/// How long the stage will take, as soon as some of it is done.
fn time_left(shown: &Shown, progress: &Progress) -> Option<HumanDuration> {
    let done = progress.done.checked_sub(shown.passed).filter(|done| *done > 0)?;
    let left = progress.total?.saturating_sub(progress.done);
    Some(HumanDuration(shown.begun.elapsed().mul_f64(left as f64 / done as f64)))
}

/// What is fetched, piece by piece: a bar on a terminal, plain lines elsewhere, nothing when quiet.
pub struct Download {
    bar: Option<ProgressBar>,
    plain: bool,
    told: Cell<Instant>,
}

impl Download {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{msg}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left");
        let bar = || ProgressBar::new(0).with_style(style.expect("a valid template"));
        Self { bar: (terminal && !quiet).then(bar), plain: !terminal && !quiet, told: Cell::new(Instant::now()) }
    }

    /// Says how far a piece of a file has come.
    pub fn show(&self, fetched: Fetched) {
        if let Some(bar) = &self.bar {
            let is_next = bar.length() != Some(fetched.of) || bar.position() > fetched.bytes;
            if is_next {
                bar.reset();
                bar.set_length(fetched.of);
                bar.set_message(fetched.file.to_owned());
            }
            bar.set_position(fetched.bytes);
            if fetched.bytes == fetched.of {
                bar.finish_and_clear();
            }
        } else if self.plain && self.told.get().elapsed() >= PLAIN_INTERVAL {
            self.told.set(Instant::now());
            eprintln!("{}: {} of {}", fetched.file, bytes(fetched.bytes), bytes(fetched.of));
        }
    }
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

/// A number for people, and what it counts.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", HumanCount(number))
}

/// What the user's first Ctrl-C asks to stop.
pub static INTERRUPT: LazyLock<Cancel> = LazyLock::new(Cancel::default);

/// From now on the first Ctrl-C lets the work end cleanly; a second one ends the process.
pub fn catch_interrupts() -> Result<()> {
    let handler = || {
        if INTERRUPT.is_cancelled() {
            std::process::exit(EXIT_INTERRUPTED.into());
        }
        INTERRUPT.cancel();
    };
    ctrlc::set_handler(handler)
        .map_err(|cause| Error::new(ErrorKind::Internal, format!("cannot catch interrupts: {cause}")))
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("longattn")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            eprintln!("{}: {}", record.level().as_str().to_lowercase(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Prints the library's warnings, unless quiet.
pub fn install_logger(quiet: bool) {
    let level = if quiet { LevelFilter::Off } else { LevelFilter::Warn };
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(level);
    }
}
