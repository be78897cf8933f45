//! The files that inputs stand for.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::compression::Compression;
use super::format::Format;
use super::formats::{JSON_LINES, WRITTEN, by_name};
use super::name::{category_of, is_remote, is_standard_input, own_name, shown, slashed};
use super::object::RawObject;
use super::remote::{self, Found, Member};
use super::source::{Source, is_shortage, read_failure};
use crate::cancel::Cancel;
use crate::digest::Stamp;
use crate::error::{Error, ErrorKind, Result};

/// One file to read.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// Where it is, a path or a URL, which may hold secrets; `-` for standard input.
    pub path: PathBuf,
    /// What ids are made of, unlike every other's: the file's name, or its path from the folder that was given, that folder's
    /// name first, with `/` between the parts. Where two inputs have one name, their paths take the place of their names.
    /// Bytes that are not UTF-8 are written as `\xFF`, and backslashes doubled.
    pub name: String,
    /// What its records compete in unless they say, by the rule of [`category_of`].
    pub category: String,
    /// Its size when it was listed; none for standard input and pipes.
    pub bytes: Option<u64>,
    /// The bytes in which the documents begin that are read of it; none for all. `bytes` counts these alone then.
    pub part: Option<Range<u64>>,
    /// The path as messages show it.
    pub(super) shown: Arc<str>,
    /// By its name.
    pub(super) format: &'static Format,
    /// What it was when it was listed, where the list told.
    pub(super) listed: Option<Stamp>,
    /// Why it cannot be read, where listing told.
    pub(super) trouble: Option<String>,
}

impl InputFile {
    /// Whether it is of a format, by its name, that outputs may have too.
    pub(crate) fn is_written(&self) -> bool {
        WRITTEN.contains(&self.format.name)
    }

    /// Whether it holds records, rather than one text, by its name.
    pub fn has_records(&self) -> bool {
        !self.format.is_one_text
    }

    /// The stamp that it has now, or, where it is on another machine, had when it was listed.
    pub(crate) fn stamp(&self) -> io::Result<Stamp> {
        self.listed.map_or_else(|| Stamp::of(&self.path), Ok)
    }

    /// Whether reading can begin in its middle.
    pub(super) fn can_be_cut(&self) -> bool {
        self.format.has_parts && self.bytes.is_some() && Compression::of(&self.name) == Compression::None
    }
}

/// Checks all inputs and lists their files, folders in sorted order.
pub(super) fn list(paths: &[&Path], leave_out: &[&Path]) -> Result<Vec<InputFile>> {
    if paths.is_empty() {
        let message = "no input: name files or folders, or - for standard input";
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let resolved = paths.iter().map(|path| resolve(path)).collect::<Result<Vec<_>>>()?;
    check_overlap(paths, &resolved)?;
    let leave_out: Vec<_> = leave_out.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    let files = list_all(paths, &names(paths), &leave_out)?;
    if are_unlike(&files) {
        return Ok(files);
    }
    // A path as it was given may be what a file in another input is called.
    let names: Vec<_> = resolved.iter().map(|path| slashed(path)).collect();
    let files = list_all(paths, &names, &leave_out)?;
    match are_unlike(&files) {
        true => Ok(files),
        // What tells two URLs apart may be secret.
        false => {
            Err(Error::new(ErrorKind::InvalidArgument, "two of the URLs differ in their queries alone: leave one out"))
        }
    }
}

/// Refuses inputs that would be read twice.
fn check_overlap(paths: &[&Path], resolved: &[PathBuf]) -> Result<()> {
    let mut inputs: Vec<_> = resolved.iter().zip(paths).collect();
    // In this order the paths in a folder directly follow the folder.
    inputs.sort();
    let overlap = inputs.windows(2).find(|pair| pair[1].0.starts_with(pair[0].0));
    let Some([(_, outer), (_, inner)]) = overlap else { return Ok(()) };
    let (outer, inner) = (shown(outer), shown(inner));
    let message = format!("the input {inner} would be read twice, as {outer} is given too: leave one out");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn resolve(path: &Path) -> Result<PathBuf> {
    if is_standard_input(path) || is_remote(path) {
        return Ok(path.to_owned());
    }
    match path.canonicalize() {
        Ok(resolved) => Ok(resolved),
        // A shell's `<(…)` has no path of its own.
        Err(_) if path.exists() => Ok(path.to_owned()),
        Err(cause) => Err(unreadable(path, cause)),
    }
}

/// The names of inputs: their own, or where two have the same one, their paths as given.
fn names(paths: &[&Path]) -> Vec<String> {
    let names: Vec<_> = paths.iter().map(|path| own_name(path)).collect();
    let mut uses = HashMap::new();
    for name in &names {
        *uses.entry(name.as_str()).or_insert(0) += 1;
    }
    let name = |(path, own): (&&Path, &String)| if uses[own.as_str()] > 1 { slashed(path) } else { own.clone() };
    paths.iter().zip(&names).map(name).collect()
}

fn are_unlike(files: &[InputFile]) -> bool {
    let mut names = HashSet::new();
    files.iter().all(|file| names.insert(file.name.as_str()))
}

fn list_all(paths: &[&Path], names: &[String], leave_out: &[PathBuf]) -> Result<Vec<InputFile>> {
    let mut files = Vec::new();
    for (path, name) in paths.iter().zip(names) {
        match path.is_dir() {
            _ if is_remote(path) => list_remote(path, name, &mut files)?,
            true => list_folder(path, name, leave_out, &mut files)?,
            false => files.push(given_file(path, name)?),
        }
    }
    Ok(files)
}

fn given_file(path: &Path, name: &str) -> Result<InputFile> {
    let bytes = if is_standard_input(path) { None } else { check_readable(path)? };
    let format = if is_standard_input(path) { JSON_LINES } else { by_name(name) };
    let category = category_of(path);
    Ok(InputFile {
        path: path.to_owned(),
        name: name.to_owned(),
        category,
        bytes,
        part: None,
        shown: shown(path).into(),
        format,
        listed: None,
        trouble: None,
    })
}

/// Opens a file to see whether it can be, and gives its size where it has one.
fn check_readable(path: &Path) -> Result<Option<u64>> {
    let metadata = fs::metadata(path).map_err(|cause| unreadable(path, cause))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    File::open(path).map_err(|cause| unreadable(path, cause))?;
    Ok(Some(metadata.len()))
}

fn list_folder(folder: &Path, name: &str, leave_out: &[PathBuf], files: &mut Vec<InputFile>) -> Result<()> {
    if is_left_out(folder, leave_out) || holds_results(folder) {
        return Err(results_given(folder));
    }
    let before = files.len();
    let category = category_of(folder);
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || is_wanted(entry, leave_out)) {
        let (path, found) = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) => (entry.path().to_owned(), size(&entry)),
            Err(error) => (error.path().unwrap_or(folder).to_owned(), Err(trouble(folder, error)?)),
        };
        let nested = slashed(path.strip_prefix(folder).unwrap_or(&path));
        let name = if nested.is_empty() { name.to_owned() } else { format!("{name}/{nested}") };
        // What is neither file nor link to one, such as a socket, is no document.
        let Some(found) = found.transpose() else { continue };
        files.push(InputFile {
            format: by_name(&name),
            shown: shown(&path).into(),
            path,
            name,
            category: category.clone(),
            bytes: Some(*found.as_ref().unwrap_or(&0)),
            part: None,
            listed: None,
            trouble: found.err(),
        });
    }
    check_some_file(folder, &files[before..])
}

fn results_given(folder: &Path) -> Error {
    let message = format!(
        "the input {} is a folder of results, which are no documents: name the folder of the documents, and another one for \
         results",
        shown(folder)
    );
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Lists what is at a URL as a file or a folder here would be.
fn list_remote(url: &Path, name: &str, files: &mut Vec<InputFile>) -> Result<()> {
    let file = |path: PathBuf, name: String, category: &str, stamp: Stamp| InputFile {
        format: by_name(&name),
        shown: shown(&path).into(),
        path,
        name,
        category: category.to_owned(),
        bytes: Some(stamp.size()),
        part: None,
        listed: Some(stamp),
        trouble: None,
    };
    let members = match remote::find(url).map_err(|cause| unreadable(url, cause))? {
        Found::Object(stamp) => {
            files.push(file(url.to_owned(), name.to_owned(), &category_of(url), stamp));
            return Ok(());
        }
        Found::Folder(members) => members,
    };
    let names: HashSet<_> = members.iter().map(|member| member.name.as_str()).collect();
    let results = members.iter().filter(|member| tells_of_results(member));
    let results: Vec<_> = results.map(|member| member.name.trim_end_matches(JOB_FILE)).collect();
    if results.contains(&"") {
        return Err(results_given(url));
    }
    let is_document = |member: &&Member| {
        let is_result = results.iter().any(|folder| member.name.starts_with(folder));
        !is_result
            && member.name.split('/').all(|part| !is_hidden(part.as_bytes()))
            && !is_in_marker(&member.name, &names)
    };
    let before = files.len();
    for member in members.iter().filter(is_document) {
        let name = format!("{name}/{}", member.name);
        files.push(file(member.path.clone(), name, &own_name(url), member.stamp));
    }
    check_some_file(url, &files[before..])
}

/// Whether an object of a folder, or a folder that it is in, is a marker.
fn is_in_marker(name: &str, names: &HashSet<&str>) -> bool {
    let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
    ends.map(|end| &name[..end]).any(|path| {
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (&path[..=folder.len()], name));
        is_marker(name, |other| names.contains(&*format!("{folder}{other}")))
    })
}

/// Whether an object is what a job leaves with its results.
fn tells_of_results(member: &Member) -> bool {
    let is_named = member.name == JOB_FILE || member.name.ends_with(&format!("/{JOB_FILE}"));
    is_named && Source::open(&member.path, Cancel::default()).is_ok_and(is_job_file)
}

/// A file's size; none for what is no file.
fn size(entry: &DirEntry) -> Result<Option<u64>, String> {
    if !entry.file_type().is_file() {
        return Ok(None);
    }
    entry.metadata().map(|metadata| Some(metadata.len())).map_err(|error| read_failure(&cause(error)))
}

/// What is wrong with one entry of a folder, such as a link to nowhere; an error where every other would fail like it.
fn trouble(folder: &Path, error: walkdir::Error) -> Result<String> {
    if let Some(ancestor) = error.loop_ancestor() {
        return Ok(format!("cannot be read: a loop, since it links to {}, which it is in", ancestor.display()));
    }
    let cause = cause(error);
    match is_shortage(&cause) {
        true => Err(unreadable(folder, cause)),
        false => Ok(read_failure(&cause)),
    }
}

/// The cause alone, without the path that walkdir puts before it.
fn cause(error: walkdir::Error) -> io::Error {
    error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into())
}

fn check_some_file(folder: &Path, files: &[InputFile]) -> Result<()> {
    if files.iter().any(|file| file.trouble.is_none()) {
        return Ok(());
    }
    let folder = shown(folder);
    let message = match files.first() {
        None => format!("the folder {folder} has no files to read (hidden ones, markers and results are skipped)"),
        Some(file) => {
            let trouble = file.trouble.as_deref().unwrap_or_default();
            format!("the folder {folder} has no file that can be read: {} {trouble}", file.shown)
        }
    };
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn is_wanted(entry: &DirEntry, leave_out: &[PathBuf]) -> bool {
    let is_beside = |name: &str| entry.path().with_file_name(name).exists();
    if is_hidden(entry.file_name().as_encoded_bytes()) || is_marker(&entry.file_name().to_string_lossy(), is_beside) {
        return false;
    }
    !entry.file_type().is_dir() || !is_left_out(entry.path(), leave_out) && !holds_results(entry.path())
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

/// Files and folders that Hadoop, Spark, Delta Lake and `datasets` leave among those with data.
fn is_marker(name: &str, is_beside: impl Fn(&str) -> bool) -> bool {
    const NAMES: [&str; 9] = [
        "_SUCCESS",
        "_metadata",
        "_common_metadata",
        "_temporary",
        "_spark_metadata",
        "_delta_log",
        "dataset_info.json",
        "dataset_dict.json",
        "state.json",
    ];
    const BEGINNINGS: [&str; 2] = ["_committed_", "_started_"];
    let is_named = NAMES.contains(&name) && (name != "state.json" || is_beside(NAMES[6]));
    is_named || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) || name.ends_with(".crc")
}

fn is_left_out(folder: &Path, leave_out: &[PathBuf]) -> bool {
    !leave_out.is_empty() && folder.canonicalize().is_ok_and(|folder| leave_out.contains(&folder))
}

/// The file that tells that a folder holds the results of a job, and its key that no other program's file of this name has.
const JOB_FILE: &str = "job.json";
const JOB_KEY: &str = "longattn";

/// More than any job writes into its file.
const MOST_JOB_BYTES: u64 = 1 << 20;

/// Whether a folder is the result directory of a job.
pub(crate) fn holds_results(folder: &Path) -> bool {
    File::open(folder.join(JOB_FILE)).is_ok_and(is_job_file)
}

fn is_job_file(file: impl Read) -> bool {
    let mut text = String::new();
    let read = file.take(MOST_JOB_BYTES).read_to_string(&mut text);
    read.is_ok() && RawObject::parse(&text).is_ok_and(|object| object.get(JOB_KEY).is_some())
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::io(format!("read the input {}", shown(path)), cause)
}
