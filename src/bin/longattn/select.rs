//! `longattn select`: scores to the best windows.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use longattn::corpus::{Lines, Output, Place, Reject, Rejects, STANDARD_STREAM};
use longattn::select::{Candidate, Cut, Ranked, Selector};
use longattn::{Config, Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::flags::{self, SELECT_SETTINGS, WithSettings};
use crate::{pipeline, progress};

type Object = Map<String, Value>;

pub fn command(command: Command) -> Command {
    command
        .about("Select the best windows of each category by their scores")
        .long_about(
            "Reads scores as `score` or the released LongAttn code writes them, and writes the lines of the selected \
             windows, in the order of the input, each with its long-distance dependency score as `lds`.",
        )
        .arg(flags::inputs("JSONL files with scores, or - for standard input"))
        .arg(
            Arg::new("windows")
                .long("windows")
                .value_name("FILE")
                .help("JSONL files with the windows of these scores: write their lines, text included, with the scores added")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flags::output("Where the selected windows go, as JSON lines").default_value(STANDARD_STREAM))
        .args([flags::rejects(), flags::quiet()])
        .with_settings(&SELECT_SETTINGS)
}

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let config = flags::config(matches)?;
    let cut = config.cut()?;
    let output_path = flags::path_of(matches, "output");
    let mut output = Output::create(output_path)?;
    let rejects_path = flags::rejects_path(matches, "select", output_path);
    let mut rejects = Rejects::new(&rejects_path)?;

    let mut scores = Scores::new()?;
    for input in flags::inputs_of(matches) {
        scores.read(&input, cut, &mut rejects)?;
    }
    let (selected, windows) = scores.select(&config)?;
    let rows = matches.get_many::<PathBuf>("windows");
    let written = match rows {
        None => scores.write(&selected, &mut output)?,
        Some(files) => {
            let scores = scores.lines(&selected)?;
            write_windows(files, scores, &mut output, &mut rejects)?
        }
    };
    if output.finish()?.is_break() || flags::is_quiet(matches) {
        return Ok(());
    }
    pipeline::tell_rejects(&rejects, &rejects_path);
    let not_selected = windows - selected.len() as u64;
    eprintln!(
        "{} = {} selected + {not_selected} not selected; {written} written",
        progress::count(windows, "window"),
        selected.len()
    );
    Ok(())
}

/// The long-distance dependency scores of the selected windows by category and id.
type Selected = HashMap<(String, String), f64>;

/// Scored windows: their numbers in memory, their lines in a temporary file.
struct Scores {
    selector: Selector,
    first: HashMap<(String, String), Place>,
    spool: BufWriter<File>,
}

impl Scores {
    fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|cause| Error::io("make a temporary file", cause))?;
        Ok(Self { selector: Selector::default(), first: HashMap::new(), spool: BufWriter::new(file) })
    }

    fn read(&mut self, input: &Path, cut: Cut, rejects: &mut Rejects) -> Result<()> {
        let category = input_name(input);
        for line in Lines::<Object>::open(input)? {
            let (place, line) = line?;
            match line.and_then(|line| self.add(&place, line, &category, cut)) {
                Ok(line) => self.spool(&line)?,
                Err(reject) => rejects.write(&reject)?,
            }
        }
        Ok(())
    }

    /// Adds a line's window, and gives the line as it is to be written.
    fn add(&mut self, place: &Place, mut line: Object, category: &str, cut: Cut) -> Result<Object, Reject> {
        let reject = |line: &Object, reason: String| Reject {
            place: place.clone(),
            id: line.get("id").or(line.get("data_id")).map(|id| id.as_str().map_or(id.to_string(), str::to_owned)),
            reason,
            record: Value::Object(line.clone()).to_string(),
        };
        let candidate = candidate(&line, category, cut).map_err(|reason| reject(&line, reason))?;
        let key = (candidate.category.clone(), candidate.id.clone());
        if let Some(first) = self.first.get(&key) {
            return Err(reject(&line, format!("duplicate id `{}`, first seen at {first}", key.1)));
        }
        line.entry("id").or_insert_with(|| candidate.id.clone().into());
        line.entry("category").or_insert_with(|| candidate.category.clone().into());
        self.selector.add(candidate).map_err(|error| reject(&line, error.to_string()))?;
        self.first.insert(key, place.clone());
        Ok(line)
    }

    fn spool(&mut self, line: &Object) -> Result<()> {
        serde_json::to_writer(&mut self.spool, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.spool.write_all(b"\n"))
            .map_err(spool_error)
    }

    /// The selected windows and the number of all.
    fn select(&mut self, config: &Config) -> Result<(Selected, u64)> {
        let selector = std::mem::take(&mut self.selector);
        let windows = selector.len() as u64;
        let ranking = selector.rank(&config.method()?)?;
        let selected = ranking.into_values().flatten().filter(|ranked| ranked.selected);
        let entry = |ranked: Ranked| {
            let Candidate { category, id, .. } = ranked.candidate;
            ((category, id), ranked.long_distance_dependency_score)
        };
        Ok((selected.map(entry).collect(), windows))
    }

    /// The lines of the selected windows, each with its `lds`, in the order of the input.
    fn selected<'a>(&mut self, selected: &'a Selected) -> Result<impl Iterator<Item = Result<Object>> + use<'a>> {
        self.spool.flush().map_err(spool_error)?;
        let mut file = self.spool.get_ref().try_clone().map_err(spool_error)?;
        file.seek(SeekFrom::Start(0)).map_err(spool_error)?;
        let lines = BufReader::new(file).lines().map(|line| {
            let line = line.map_err(spool_error)?;
            serde_json::from_str::<Object>(&line).map_err(|cause| spool_error(cause.into()))
        });
        Ok(lines.filter_map(|line| match line {
            Ok(mut line) => {
                let score = selected.get(&key(&line))?;
                line.insert("lds".to_owned(), (*score).into());
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }))
    }

    fn write(&mut self, selected: &Selected, output: &mut Output) -> Result<u64> {
        let mut written = 0;
        for line in self.selected(selected)? {
            if output.write(&line?)?.is_break() {
                break;
            }
            written += 1;
        }
        Ok(written)
    }

    fn lines(&mut self, selected: &Selected) -> Result<HashMap<(String, String), Object>> {
        self.selected(selected)?.map(|line| line.map(|line| (key(&line), line))).collect()
    }
}

/// Writes the lines of windows whose scores are given, the scores added.
fn write_windows<'a>(
    files: impl Iterator<Item = &'a PathBuf>,
    mut scores: HashMap<(String, String), Object>,
    output: &mut Output,
    rejects: &mut Rejects,
) -> Result<u64> {
    let mut written = 0;
    for file in files {
        let category = input_name(file);
        for line in Lines::<Object>::open(file)? {
            let mut line = match line?.1 {
                Ok(line) => line,
                Err(reject) => {
                    rejects.write(&reject)?;
                    continue;
                }
            };
            line.entry("category").or_insert_with(|| category.clone().into());
            let Some(score) = scores.remove(&key(&line)) else { continue };
            line.extend(score);
            if output.write(&line)?.is_break() {
                return Ok(written);
            }
            written += 1;
        }
    }
    match scores.into_keys().next() {
        None => Ok(written),
        Some((_, id)) => {
            let message =
                format!("window {id} was selected and is not in the files of --windows: give those it was scored from");
            Err(Error::new(ErrorKind::InvalidRecord, message))
        }
    }
}

fn key(line: &Object) -> (String, String) {
    let text = |name| line.get(name).and_then(label).unwrap_or_default();
    (text("category"), text("id"))
}

/// An id or a category, which may be a number.
fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A line's window, or the reason why it has none.
fn candidate(line: &Object, category: &str, cut: Cut) -> Result<Candidate, String> {
    let released = line.contains_key("data_id");
    let (id, strength, uniformity) = match released {
        true => ("data_id", mean(line, "first_layer_proportion_score")?, -mean(line, "variance")?),
        false => ("id", mean(line, "dependency_strength")?, mean(line, "distribution_uniformity")?),
    };
    let id = line.get(id).and_then(label).ok_or_else(|| format!("no field `{id}` that names the window"))?;
    let category = line.get("category").and_then(label).unwrap_or_else(|| category.to_owned());
    let token_count = line.get("token_count").and_then(Value::as_u64);
    if token_count.is_none() && matches!(cut, Cut::TokenBudget(_)) {
        return Err("no field `token_count`, which --token-budget needs".to_owned());
    }
    Ok(Candidate {
        id,
        category,
        token_count: token_count.unwrap_or_default(),
        far: None,
        dependency_strength: strength,
        distribution_uniformity: uniformity,
    })
}

/// A number, or the mean of one value a head.
fn mean(line: &Object, field: &str) -> Result<f64, String> {
    let wrong = || format!("the field `{field}` is neither a number nor a list of one number a head");
    let value = line
        .get(field)
        .ok_or_else(|| format!("no field `{field}`: these are no scores; make them with `longattn score`"))?;
    let Value::Array(heads) = value else { return value.as_f64().ok_or_else(wrong) };
    let heads: Option<Vec<_>> = heads.iter().map(Value::as_f64).collect();
    let heads = heads.filter(|heads| !heads.is_empty()).ok_or_else(wrong)?;
    Ok(heads.iter().sum::<f64>() / heads.len() as f64)
}

/// The category of scores that name none: the input's name.
fn input_name(input: &Path) -> String {
    if input == Path::new(STANDARD_STREAM) {
        return "stdin".to_owned();
    }
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn spool_error(cause: std::io::Error) -> Error {
    Error::io("use a temporary file for the scores (TMPDIR names its folder)", cause)
}
