//! Flags that several subcommands share, and those that come from the table of settings.

use std::path::{Path, PathBuf};

use crate::config::{Config, EarlierResults, SETTINGS, Setting};
use crate::corpus::STANDARD_STREAM;
use crate::{Error, ErrorKind, Result};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// Settings of the statistics of one window.
pub const SCORE_SETTINGS: [&str; 18] = [
    "tokenizer",
    "special_tokens",
    "window",
    "min_distance",
    "rows",
    "profile",
    "sink_tokens",
    "variance_domain",
    "layer",
    "threads",
    "memory_limit",
    "weights_in_memory",
    "onnxruntime",
    "execution_provider",
    "device_id",
    "provider_options",
    "precision",
    "instruction_set",
];

/// Settings of a selection.
pub const SELECT_SETTINGS: [&str; 15] = [
    "by",
    "ratio",
    "count",
    "token_budget",
    "total_token_budget",
    "category_weights",
    "category_cuts",
    "max_per_document",
    "filter",
    "explain",
    "metrics",
    "threshold",
    "alpha",
    "standardize",
    "mixed_lengths",
];

/// Settings of what is read, and of what becomes of what cannot be.
pub const JOB_SETTINGS: [&str; 8] =
    ["text_field", "id_field", "category_field", "category", "shard", "ids_from_place", "document_limit", "on_error"];

/// Settings of how results are written.
pub const OUTPUT_SETTINGS: [&str; 2] = ["output_format", "output_shard_size"];

/// Settings that are switches on the command line: given, they are true.
const SWITCHES: [&str; 8] =
    ["adaptive", "per_head", "gain", "keep_fields", "fit", "heads", "ids_from_place", "weights_in_memory"];

/// A subcommand with flags for some of the settings.
pub trait WithSettings {
    fn with_settings(self, keys: &[&str]) -> Self;
}

impl WithSettings for Command {
    fn with_settings(self, keys: &[&str]) -> Self {
        self.args(settings(keys).map(setting_flag))
    }
}

fn settings(keys: &[&str]) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| keys.contains(&setting.key))
}

fn setting_flag(setting: &'static Setting) -> Arg {
    let flag = Arg::new(setting.key).long(setting.flag());
    if SWITCHES.contains(&setting.key) {
        return flag.help(setting.help).action(ArgAction::SetTrue);
    }
    flag.value_name(setting.placeholder)
        .help(format!("{} [default: {}]", setting.help, setting.default()))
        .allow_negative_numbers(true)
        .help_heading("Settings")
}

/// The settings that the flags give; a setting without a flag keeps its default.
pub fn config(matches: &ArgMatches) -> Result<Config> {
    let mut config = Config::default();
    for setting in SETTINGS {
        let value = match SWITCHES.contains(&setting.key) {
            true => is_set(matches, setting.key).then(|| "true".to_owned()),
            false => matches.try_get_one::<String>(setting.key).ok().flatten().cloned(),
        };
        if let Some(value) = value {
            config.set(setting.key, &value).map_err(|error| error.at(format!("--{}", setting.flag())))?;
        }
    }
    for (switch, value) in [("resume", EarlierResults::Resume), ("overwrite", EarlierResults::Overwrite)] {
        if is_set(matches, switch) {
            config.earlier_results = value;
        }
    }
    Ok(config)
}

/// Refuses to copy outputs that are not kept.
pub fn check_upload(config: &Config, output: &Path) -> Result<()> {
    match config.upload.is_some() && output == Path::new(STANDARD_STREAM) {
        true => Err(Error::new(ErrorKind::InvalidSetting, "upload copies a result directory: name one with -o")),
        false => Ok(()),
    }
}

pub fn model() -> Arg {
    path("model", "DIR", "The scorer package, as `longattn export` makes it, or none for --columns alone")
        .long("model")
        .required(true)
}

pub fn inputs(help: &'static str) -> Arg {
    path("inputs", "INPUT", help).num_args(1..).default_value(STANDARD_STREAM)
}

pub fn output(help: &'static str) -> Arg {
    path("output", "FILE", help).short('o').long("output")
}

pub fn path(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(placeholder).help(help).value_parser(value_parser!(PathBuf))
}

pub fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

pub fn quiet() -> Arg {
    switch("quiet", "Print nothing but errors")
}

pub fn rejects() -> Arg {
    path("rejects", "FILE", "Where bad records go, with their reasons [default: beside the output]").long("rejects")
}

/// What to do with the results of an earlier call.
pub fn earlier() -> [Arg; 2] {
    [
        switch("resume", "Go on with results that an earlier call left unfinished").conflicts_with("overwrite"),
        switch("overwrite", "Replace results of an earlier call"),
    ]
}

pub fn path_of<'a>(matches: &'a ArgMatches, name: &str) -> &'a Path {
    matches.get_one::<PathBuf>(name).expect("required by clap or has a default")
}

pub fn inputs_of(matches: &ArgMatches) -> Vec<PathBuf> {
    matches.get_many::<PathBuf>("inputs").unwrap_or_default().cloned().collect()
}

pub fn is_quiet(matches: &ArgMatches) -> bool {
    is_set(matches, "quiet")
}

/// Whether a switch was given, in a subcommand that has it.
fn is_set(matches: &ArgMatches, switch: &str) -> bool {
    matches.try_get_one::<bool>(switch).ok().flatten().copied().unwrap_or_default()
}

/// The file of rejects: as named, or beside the output. Of a stream it is a new one in the working directory, so that
/// several of one folder do not share it.
pub fn rejects_path(matches: &ArgMatches, subcommand: &str, output: &Path) -> PathBuf {
    // Not all subcommands have the flag.
    if let Ok(Some(named)) = matches.try_get_one::<PathBuf>("rejects") {
        return named.clone();
    }
    let is_stream = output == Path::new(STANDARD_STREAM) || output.exists() && !output.is_file();
    if !is_stream {
        return output.with_extension("rejects.jsonl");
    }
    format!("{subcommand}.{}.rejects.jsonl", std::process::id()).into()
}
