//! Selecting from files of scores, whoever wrote them.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::score_line::{Needs, Object, ScoreLine};
use super::selection::explain;
use crate::config::Config;
use crate::corpus::{Corpus, Fields, InputFile, Output, Place, RawLines, Reject, Rejects, STANDARD_STREAM, shown};
use crate::error::{Error, ErrorKind, Result};
use crate::select::{Filter, Method, Selector, Sorted, Standing};

/// What became of the lines of files of scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSelection {
    /// Windows that took part.
    pub windows: u64,
    /// Those that made the cut.
    pub selected: u64,
    /// Windows that the filter left out, beside those that took part.
    pub filtered: u64,
    /// Lines that were rejected for the id of another line of their category.
    pub duplicates: u64,
    /// Lines that were written; fewer than were selected where the reader of a stream has gone.
    pub written: u64,
    /// Why the window that the setting `explain` names was selected or not, in words.
    pub explanation: Option<String>,
}

/// Selects the best windows of each category by scores as `longattn score` or the released LongAttn code writes them, and
/// writes their lines to `output` in the order of the inputs, each with its long-distance dependency score as `lds`. Where
/// files in `windows` are given, the lines of these are written instead, with the scores added. `config` has the settings of
/// the cut. A file that cannot be read to its end counts for nothing, and is told as a reject.
///
/// Memory is a few dozen bytes a window, and its id. The inputs are read twice.
///
/// # Errors
/// [`ErrorKind::Io`] where a file is missing or cannot be written; [`ErrorKind::InvalidArgument`] where windows of different
/// lengths compete and the setting `mixed_lengths` does not allow it; [`ErrorKind::InvalidSetting`] where settings of the cut
/// contradict each other, or no window has what they ask for; [`ErrorKind::InvalidRecord`] where a selected window
/// is not in `windows`, and where an input changes meanwhile.
pub fn select_files(
    inputs: &[PathBuf],
    windows: &[PathBuf],
    config: &Config,
    output: &mut Output,
    rejects: &mut Rejects,
) -> Result<FileSelection> {
    let method = config.method()?;
    let needs = Needs { token_counts: method.needs_token_counts(), attention: config.by.is_none() };
    let asked = Asked { needs, filter: config.filter.as_ref(), by: config.by.as_deref() };
    let scores = Scores::read(inputs, asked, rejects)?;
    let explanation = match &config.explain {
        Some(id) => Some(explain(&scores.without_duplicates()?, id, &method)?),
        None => None,
    };
    let selection = scores.select(&method)?;
    let written = match windows {
        [] => scores.write(&selection, rejects, |_, line| output.write(&line))?,
        windows => write_windows(&scores, &selection, windows, output, rejects)?,
    };
    let Fates { windows, selected, .. } = selection;
    let duplicates = (scores.selector.len() - windows) as u64;
    let (windows, selected) = (windows as u64, selected as u64);
    Ok(FileSelection { windows, selected, filtered: scores.filtered, duplicates, written, explanation })
}

/// What a selection asks of lines.
#[derive(Clone, Copy)]
struct Asked<'a> {
    needs: Needs,
    filter: Option<&'a Filter>,
    /// The column to rank by.
    by: Option<&'a str>,
}

/// A file of lines that can be read twice.
struct Input {
    file: InputFile,
    /// What a stream said, decompressed.
    spool: Option<NamedTempFile>,
}

impl Input {
    fn new(file: InputFile) -> Result<Self> {
        let spool = if file.bytes.is_some() { None } else { Some(spool(&file.path)?) };
        Ok(Self { file, spool })
    }

    fn lines(&self) -> Result<RawLines> {
        match &self.spool {
            Some(spool) => RawLines::kept_in(spool.path(), &self.file.path),
            None => RawLines::open(&self.file.path),
        }
    }
}

/// Keeps what a stream says, since it is read twice.
fn spool(path: &Path) -> Result<NamedTempFile> {
    // By its end a name tells how it is compressed.
    let name = path.file_name().unwrap_or_default();
    let mut spool = tempfile::Builder::new().suffix(name).tempfile().map_err(spool_error)?;
    let copied = match path == Path::new(STANDARD_STREAM) {
        true => io::copy(&mut io::stdin().lock(), &mut spool),
        false => File::open(path).and_then(|mut stream| io::copy(&mut stream, &mut spool)),
    };
    copied.map_err(spool_error)?;
    Ok(spool)
}

fn spool_error(cause: io::Error) -> Error {
    Error::io("use a temporary file for the scores (TMPDIR names its folder)", cause)
}

/// Scored windows: their numbers in memory, their lines where they were read.
struct Scores {
    inputs: Vec<Input>,
    selector: Selector,
    /// The column that ranks and the number of each window there, where one does.
    by: Option<(String, Vec<f64>)>,
    runs: Vec<Run>,
    /// Windows that the filter left out, and those without a number to rank by.
    filtered: u64,
    /// Whether any window has numbers in all columns of the filter.
    has_columns: bool,
}

/// Windows of consecutive lines, up to the ordinal of the next run.
struct Run {
    ordinal: usize,
    input: usize,
    line: u64,
}

/// What becomes of windows.
struct Fates {
    windows: usize,
    selected: usize,
    /// In the order of the input; those that are merely not selected are left out.
    fates: Vec<(usize, Fate)>,
}

enum Fate {
    /// With this long-distance dependency score.
    Selected(f64),
    /// Of the window with this ordinal.
    Duplicate(usize),
}

impl Scores {
    fn read(paths: &[PathBuf], asked: Asked, rejects: &mut Rejects) -> Result<Self> {
        let files = Corpus::open(paths, Fields::default(), &[])?.files().to_vec();
        let (inputs, selector, runs) = (Vec::new(), Selector::default(), Vec::new());
        let by = asked.by.map(|by| (by.to_owned(), Vec::new()));
        let has_columns = asked.filter.is_none() && by.is_none();
        let mut scores = Self { inputs, selector, by, runs, filtered: 0, has_columns };
        for file in files {
            let is_named = paths.contains(&file.path);
            if !is_named && !file.has_records() {
                rejects.write(&no_lines(&file))?;
                continue;
            }
            let path = file.path.clone();
            let (windows, runs, filtered) = (scores.selector.len(), scores.runs.len(), scores.filtered);
            scores.inputs.push(Input::new(file)?);
            if let Err(reason) = scores.read_last(asked, rejects)? {
                scores.selector.truncate(windows);
                scores.by.iter_mut().for_each(|(_, numbers)| numbers.truncate(windows));
                scores.runs.truncate(runs);
                scores.filtered = filtered;
                rejects.write(&whole_file(&path, reason))?;
            }
        }
        if !scores.has_columns && (scores.filtered > 0 || !scores.selector.is_empty()) {
            let columns: Vec<_> = asked.filter.into_iter().flat_map(Filter::columns).chain(asked.by).collect();
            let message = format!("what is asked for is {}, and no window has numbers there", columns.join(", "));
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        Ok(scores)
    }

    /// Reads the last input, or gives the reason why it cannot be read to its end.
    fn read_last(&mut self, asked: Asked, rejects: &mut Rejects) -> Result<Result<(), String>> {
        let Some(input) = self.inputs.last() else { return Ok(Ok(())) };
        let mut lines = match input.lines() {
            Ok(lines) => lines,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut next = None;
        loop {
            match lines.advance() {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error.to_string())),
            }
            let added = lines.parse::<ScoreLine>().and_then(|line| {
                let candidate = line.candidate(&input.file.category, asked.needs)?;
                if asked.filter.is_some() || asked.by.is_some() {
                    let object = lines.parse::<Object>()?;
                    let column = |name: &str| {
                        let known = line.has_attention().then(|| candidate.column(name)).flatten();
                        known.or_else(|| object.number(name))
                    };
                    let holds = match asked.filter {
                        Some(filter) => filter.holds::<String>(|name| Ok(column(name)))?,
                        None => Some(true),
                    };
                    let number = asked.by.map(column);
                    self.has_columns |= holds.is_some() && number != Some(None);
                    if holds != Some(true) || number == Some(None) {
                        self.filtered += 1;
                        return Ok(false);
                    }
                    self.selector.add(candidate.as_str()).map_err(|error| error.to_string())?;
                    if let (Some((_, numbers)), Some(Some(number))) = (&mut self.by, number) {
                        numbers.push(number);
                    }
                    return Ok(true);
                }
                self.selector.add(candidate.as_str()).map(|()| true).map_err(|error| error.to_string())
            });
            match added {
                Ok(true) => {}
                Ok(false) => continue,
                Err(reason) => {
                    rejects.write(&lines.reject(ScoreLine::id_of(lines.line()), reason))?;
                    continue;
                }
            }
            if next != Some(lines.number()) {
                let (ordinal, input) = (self.selector.len() - 1, self.inputs.len() - 1);
                self.runs.push(Run { ordinal, input, line: lines.number() });
            }
            next = Some(lines.number() + 1);
        }
    }

    fn without_duplicates(&self) -> Result<Sorted<'_>> {
        let mut sorted = self.selector.sorted();
        sorted.remove_duplicates();
        self.rank(&mut sorted)?;
        Ok(sorted)
    }

    fn rank(&self, sorted: &mut Sorted) -> Result<()> {
        let Some((column, numbers)) = &self.by else { return Ok(()) };
        sorted.rank_by(column, |ordinal| Ok(Some(numbers[ordinal]))).map(drop)
    }

    fn select(&self, method: &Method) -> Result<Fates> {
        let mut sorted = self.selector.sorted();
        let duplicates = sorted.remove_duplicates();
        self.rank(&mut sorted)?;
        let windows = self.selector.len() - duplicates.len();
        let duplicates = duplicates.into_iter().map(|twins| (twins.ordinal, Fate::Duplicate(twins.first)));
        let mut fates: Vec<_> = duplicates.collect();
        let before = fates.len();
        let fate = |window: &Standing| (window.ordinal, Fate::Selected(window.long_distance_dependency_score));
        for ranking in sorted.rankings(method) {
            fates.extend(ranking?.selected().map(fate));
        }
        let selected = fates.len() - before;
        fates.sort_unstable_by_key(|(ordinal, _)| *ordinal);
        Ok(Fates { windows, selected, fates })
    }

    /// The input and the line of a window.
    fn spot(&self, ordinal: usize) -> (usize, u64) {
        let run = &self.runs[self.runs.partition_point(|run| run.ordinal <= ordinal) - 1];
        (run.input, run.line + (ordinal - run.ordinal) as u64)
    }

    fn place(&self, ordinal: usize) -> Place {
        let (input, line) = self.spot(ordinal);
        Place { file: shown(&self.inputs[input].file.path).into(), line: Some(line) }
    }

    /// Reads the inputs again, hands out the lines of the selected windows in their order, each with its `lds`, and rejects
    /// duplicates; gives the number of windows that were handed out. Inputs without either are not opened.
    fn write(
        &self,
        selection: &Fates,
        rejects: &mut Rejects,
        mut write: impl FnMut(usize, Object<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<u64> {
        let mut written = 0;
        let mut open = None;
        for (ordinal, fate) in &selection.fates {
            let (input, number) = self.spot(*ordinal);
            let lines = match &mut open {
                Some((index, lines)) if *index == input => lines,
                _ => &mut open.insert((input, self.inputs[input].lines()?)).1,
            };
            if !lines.skip_to(number)? || !self.is_same(*ordinal, lines, input) {
                let message =
                    format!("{} changed while it was read: select again when it is whole", self.place(*ordinal));
                return Err(Error::new(ErrorKind::InvalidRecord, message));
            }
            let candidate = self.selector.candidate(*ordinal);
            match fate {
                Fate::Duplicate(first) => {
                    let reason = format!("duplicate id `{}`, first seen at {}", candidate.id, self.place(*first));
                    rejects.write(&lines.reject(Some(candidate.id.to_owned()), reason))?;
                }
                Fate::Selected(score) => {
                    let mut object = lines
                        .parse::<Object>()
                        .map_err(|reason| lines.reject(None, reason))
                        .map_err(|reject| Error::new(ErrorKind::InvalidRecord, reject.to_string()))?;
                    object.insert_missing("id", candidate.id);
                    object.insert_missing("category", candidate.category);
                    if lines.parse::<ScoreLine>().is_ok_and(|line| line.has_attention()) {
                        object.insert("lds", score);
                    }
                    if write(*ordinal, object)?.is_break() {
                        break;
                    }
                    written += 1;
                }
            }
        }
        Ok(written)
    }

    /// Whether a line still is the one that a window was read from.
    fn is_same(&self, ordinal: usize, lines: &RawLines, input: usize) -> bool {
        let candidate = lines.parse::<ScoreLine>().and_then(|line| {
            let found = line.candidate(&self.inputs[input].file.category, Needs::default())?;
            Ok(found.as_str() == self.selector.candidate(ordinal))
        });
        candidate.unwrap_or(false)
    }
}

fn no_lines(file: &InputFile) -> Reject {
    whole_file(&file.path, "no file of records by its name: name it itself to have it read as JSON lines".to_owned())
}

fn whole_file(path: &Path, reason: String) -> Reject {
    Reject { place: Place { file: shown(path).into(), line: None }, id: None, reason, record: String::new() }
}

/// Selected windows by category and id, with their lines of scores in a temporary file.
struct SelectedLines<'a> {
    selector: &'a Selector,
    /// By category and id: the ordinal, the place of the line in the file, and whether it was asked for already.
    windows: Vec<(usize, u64, bool)>,
    file: File,
}

impl<'a> SelectedLines<'a> {
    fn new(scores: &'a Scores, selection: &Fates, rejects: &mut Rejects) -> Result<Self> {
        let mut file = BufWriter::new(tempfile::tempfile().map_err(spool_error)?);
        let (mut windows, mut end) = (Vec::new(), 0);
        scores.write(selection, rejects, |ordinal, line| {
            let line = serde_json::to_vec(&line).expect("raw values have a form in JSON");
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).map_err(spool_error)?;
            windows.push((ordinal, end, false));
            end += line.len() as u64 + 1;
            Ok(ControlFlow::Continue(()))
        })?;
        let selector = &scores.selector;
        windows.sort_unstable_by_key(|(ordinal, ..)| name(selector, *ordinal));
        let file = file.into_inner().map_err(|error| spool_error(error.into_error()))?;
        Ok(Self { selector, windows, file })
    }

    /// The line of scores of a window, the first time that it is asked for.
    fn take(&mut self, category: &str, id: &str) -> Result<Option<String>> {
        let found = self.windows.binary_search_by_key(&(category, id), |(ordinal, ..)| name(self.selector, *ordinal));
        let Some((_, start, taken)) = found.ok().map(|place| &mut self.windows[place]).filter(|window| !window.2)
        else {
            return Ok(None);
        };
        *taken = true;
        let mut line = String::new();
        self.file.seek(SeekFrom::Start(*start)).map_err(spool_error)?;
        BufReader::new(&self.file).read_line(&mut line).map_err(spool_error)?;
        Ok(Some(line))
    }

    fn first_left(&self) -> Option<&'a str> {
        self.windows.iter().find(|(_, _, taken)| !taken).map(|(ordinal, ..)| name(self.selector, *ordinal).1)
    }
}

fn name(selector: &Selector, ordinal: usize) -> (&str, &str) {
    let candidate = selector.candidate(ordinal);
    (candidate.category, candidate.id)
}

/// Writes the lines of the selected windows, the scores added, in the order of the files with the windows.
fn write_windows(
    scores: &Scores,
    selection: &Fates,
    paths: &[PathBuf],
    output: &mut Output,
    rejects: &mut Rejects,
) -> Result<u64> {
    let mut selected = SelectedLines::new(scores, selection, rejects)?;
    let mut written = 0;
    for file in Corpus::open(paths, Fields::default(), &[])?.files().to_vec() {
        let mut lines = RawLines::open(&file.path)?;
        while lines.advance()? {
            let named = lines.parse::<ScoreLine>().and_then(|line| line.name(&file.category).map(into_owned));
            let (category, id) = match named {
                Ok(name) => name,
                Err(reason) => {
                    rejects.write(&lines.reject(None, reason))?;
                    continue;
                }
            };
            let Some(line) = selected.take(&category, &id)? else { continue };
            let mut object = match lines.parse::<Object>() {
                Ok(object) => object,
                Err(reason) => {
                    rejects.write(&lines.reject(Some(id), reason))?;
                    continue;
                }
            };
            object.extend(serde_json::from_str(&line).map_err(|cause| spool_error(cause.into()))?);
            if output.write(&object)?.is_break() {
                return Ok(written);
            }
            written += 1;
        }
    }
    match selected.first_left() {
        None => Ok(written),
        Some(id) => {
            let message =
                format!("window {id} was selected and is not in the files of --windows: give those it was scored from");
            Err(Error::new(ErrorKind::InvalidRecord, message))
        }
    }
}

fn into_owned((category, id): (Cow<'_, str>, Cow<'_, str>)) -> (String, String) {
    (category.into_owned(), id.into_owned())
}
