//! What the user sees while the work goes on, all of it on standard error.

use std::cell::Cell;
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use log::{LevelFilter, Log, Metadata, Record};
use longattn::export::hub::Fetched;
use longattn::{Cancel, Error, ErrorKind, Result};

use crate::EXIT_INTERRUPTED;

/// Time between two lines where there is no terminal for a bar.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// A bar on a terminal, plain lines elsewhere, nothing when quiet.
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: bool,
    quiet: bool,
    /// Of what [`scored`](Self::scored) is told.
    total: Option<u64>,
    begun: Instant,
    /// When the inputs were last at their beginning.
    reading: Instant,
    told: Instant,
    windows: u64,
    tokens: u64,
}

impl Progress {
    /// Progress through inputs of `total_bytes`, where they are known.
    pub fn new(quiet: bool, total_bytes: Option<u64>) -> Self {
        Self::of(quiet, total_bytes, "{bytes}/{total_bytes}")
    }

    /// Progress through so many tokens.
    pub fn of_tokens(quiet: bool, total: u64) -> Self {
        Self::of(quiet, Some(total), "{human_pos}/{human_len} tokens")
    }

    fn of(quiet: bool, total: Option<u64>, amount: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| bar(total, amount));
        let begun = Instant::now();
        Self {
            bar,
            plain: !terminal && !quiet,
            quiet,
            total,
            begun,
            reading: begun,
            told: begun,
            windows: 0,
            tokens: 0,
        }
    }

    /// Begins to go through the inputs once more.
    pub fn restart(&mut self) {
        self.reading = Instant::now();
        if let Some(bar) = &self.bar {
            bar.reset();
        }
    }

    /// Says that a window was scored, and how much of the total is done with it.
    pub fn scored(&mut self, tokens: usize, done: u64) {
        self.windows += 1;
        self.tokens += tokens as u64;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(self.rate());
        } else if self.plain && self.told.elapsed() >= PLAIN_INTERVAL {
            self.told = Instant::now();
            let left = self.time_left(done).map_or(String::new(), |left| format!(", {left} left"));
            eprintln!("{}{left}", self.rate());
        }
    }

    /// Tokens scored so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Time since the work began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Takes the bar away, for what follows it.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Prints a line of result, unless quiet.
    pub fn tell(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    fn rate(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-9);
        let rate = HumanCount((self.tokens as f64 / seconds) as u64);
        format!("{} windows, {rate} tokens/s", HumanCount(self.windows))
    }

    fn time_left(&self, done: u64) -> Option<HumanDuration> {
        let left = self.total?.saturating_sub(done) as f64;
        let seconds = self.reading.elapsed().as_secs_f64() * left / (done as f64).max(1.0);
        Some(HumanDuration(Duration::from_secs_f64(seconds)))
    }
}

fn bar(total: Option<u64>, amount: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(&format!("{{bar:30}} {amount}  {{msg}}  {{eta}} left")).expect("a valid template");
    match total {
        Some(total) => ProgressBar::new(total).with_style(style),
        None => ProgressBar::new_spinner(),
    }
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
            std::process::exit(EXIT_INTERRUPTED);
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
