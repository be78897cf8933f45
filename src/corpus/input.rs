//! The files that the inputs given on a command line stand for.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::STANDARD_STREAM;
use super::source::uncompressed_name;
use crate::error::{Error, ErrorKind, Result};

/// One file to read.
pub struct InputFile {
    /// Where it is; `-` for standard input.
    pub path: PathBuf,
    /// What ids are made of: the file's name, or its path from the folder that was given.
    pub name: String,
    /// The category of records that name none.
    pub category: String,
    /// Whether its name is that of JSON lines.
    pub is_json_lines: bool,
    /// Its size on disk; none for standard input and pipes.
    pub bytes: Option<u64>,
}

/// One file or folder as it was given.
struct Input<'a> {
    path: &'a Path,
    name: String,
    category: String,
}

/// Checks all inputs, which are files, folders or `-` for standard input, and lists their files, folders in sorted order.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for no inputs, one that would be read twice and a folder without files, and
/// [`ErrorKind::Io`] where one cannot be read.
pub fn input_files<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<InputFile>> {
    let paths: Vec<_> = paths.iter().map(AsRef::as_ref).collect();
    if paths.is_empty() {
        let message = "no input: name files or folders, or - for standard input";
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    check_overlap(&paths)?;
    let mut files = Vec::new();
    for input in named(&paths)? {
        list(&input, &mut files)?;
    }
    Ok(files)
}

/// Refuses inputs that would be read twice.
fn check_overlap(paths: &[&Path]) -> Result<()> {
    let mut resolved = paths.iter().map(|path| Ok((resolve(path)?, *path))).collect::<Result<Vec<_>>>()?;
    // In this order the paths in a folder directly follow the folder.
    resolved.sort();
    let overlap = resolved.windows(2).find(|pair| pair[1].0.starts_with(&pair[0].0));
    let Some([(_, outer), (_, inner)]) = overlap else { return Ok(()) };
    let (outer, inner) = (outer.display(), inner.display());
    let message = format!("the input {inner} would be read twice, as {outer} is given too: leave one out");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn resolve(path: &Path) -> Result<PathBuf> {
    if is_standard_input(path) {
        return Ok(path.to_owned());
    }
    match path.canonicalize() {
        Ok(resolved) => Ok(resolved),
        // A shell's `<(…)` has no path of its own.
        Err(_) if path.exists() => Ok(path.to_owned()),
        Err(cause) => Err(unreadable(path, cause)),
    }
}

/// Inputs with their names; where two have the same name, ids are made of their paths as given.
fn named<'a>(paths: &[&'a Path]) -> Result<Vec<Input<'a>>> {
    let names = paths.iter().map(|path| own_name(path)).collect::<Result<Vec<_>>>()?;
    let mut uses = HashMap::new();
    for name in &names {
        *uses.entry(name.clone()).or_insert(0) += 1;
    }
    let name = |path: &Path, name: String| if uses[&name] > 1 { slashed(path) } else { name };
    let input = |(path, own): (&&'a Path, String)| Ok(Input { path, name: name(path, own), category: category(path)? });
    paths.iter().zip(names).map(input).collect()
}

/// The last part of a path, also of one that ends in a slash or is `.`.
fn own_name(path: &Path) -> Result<String> {
    if is_standard_input(path) {
        return Ok("stdin".to_owned());
    }
    if let Some(name) = path.file_name() {
        return Ok(name.to_string_lossy().into_owned());
    }
    let resolved = resolve(path)?;
    Ok(resolved.file_name().unwrap_or(resolved.as_os_str()).to_string_lossy().into_owned())
}

/// A folder's name, or a file's name without its extensions.
fn category(path: &Path) -> Result<String> {
    let name = own_name(path)?;
    if path.is_dir() || is_standard_input(path) {
        return Ok(name);
    }
    let stem = Path::new(uncompressed_name(&name)).file_stem();
    Ok(stem.map_or(name.clone(), |stem| stem.to_string_lossy().into_owned()))
}

fn list(input: &Input<'_>, files: &mut Vec<InputFile>) -> Result<()> {
    let Input { path, name, category } = input;
    if path.is_dir() {
        return list_folder(input, files);
    }
    let bytes = if is_standard_input(path) { None } else { check_readable(path)? };
    let is_json_lines = is_standard_input(path) || is_json_lines(name);
    let (path, name, category) = (path.to_path_buf(), name.clone(), category.clone());
    files.push(InputFile { path, name, category, is_json_lines, bytes });
    Ok(())
}

fn list_folder(input: &Input<'_>, files: &mut Vec<InputFile>) -> Result<()> {
    let before = files.len();
    let entries = WalkDir::new(input.path).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
        let entry = entry.map_err(|error| unreadable(input.path, error.into()))?;
        if entry.file_type().is_file() {
            files.push(folder_file(input, entry)?);
        }
    }
    if files.len() == before {
        let message = format!("the folder {} has no files to read (hidden ones are skipped)", input.path.display());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    Ok(())
}

fn folder_file(input: &Input<'_>, entry: DirEntry) -> Result<InputFile> {
    let metadata = entry.metadata().map_err(|error| unreadable(entry.path(), error.into()))?;
    let nested = entry.path().strip_prefix(input.path).unwrap_or(entry.path());
    let name = format!("{}/{}", input.name, slashed(nested));
    let is_json_lines = is_json_lines(&name);
    let (path, category) = (entry.into_path(), input.category.clone());
    Ok(InputFile { path, name, category, is_json_lines, bytes: Some(metadata.len()) })
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

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::io(format!("read the input {}", path.display()), cause)
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_STREAM)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

fn is_json_lines(name: &str) -> bool {
    let uncompressed = uncompressed_name(name);
    // Public corpora come as .json.gz with an object a line; a plain .json is mostly one pretty-printed document.
    let is_compressed_json = uncompressed != name && uncompressed.ends_with(".json");
    is_compressed_json || uncompressed.ends_with(".jsonl") || uncompressed.ends_with(".ndjson")
}

/// A path with `/` between its parts on every system, so that ids are the same everywhere.
fn slashed(path: &Path) -> String {
    let path = path.to_string_lossy().replace(MAIN_SEPARATOR, "/");
    path.trim_end_matches('/').to_owned()
}
