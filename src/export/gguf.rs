//! Reading GGUF files: metadata, and the few tensors that an export keeps.

mod blocks;
mod header;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, PART};
use super::files::{LFS_POINTER, NOT_FETCHED};
use crate::error::{Error, ErrorKind, Result};
use blocks::Format;
use header::{Fault, Header, MAGIC, TensorPlace, Value};

const SPLIT_NUMBER: &str = "split.no";
const SPLIT_COUNT: &str = "split.count";

/// An open GGUF file, of one part or several, whose headers have been read and whose tensors all lie within the files.
pub(super) struct Gguf {
    /// The file that was named.
    path: PathBuf,
    files: Vec<Part>,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, Tensor>,
}

struct Part {
    path: PathBuf,
    file: File,
}

struct Tensor {
    part: usize,
    place: TensorPlace,
}

impl Gguf {
    /// Whether a file begins as GGUF files do.
    pub(super) fn is_one(path: &Path) -> std::io::Result<bool> {
        Ok(start_of(path)?.starts_with(MAGIC))
    }

    /// The GGUF file in a directory, or any part of the one; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where there are several.
    pub(super) fn find(directory: &Path) -> Result<Option<PathBuf>> {
        let failed = |cause| Error::io(format_args!("list {}", directory.display()), cause);
        let entries = fs::read_dir(directory).map_err(failed)?.flatten().map(|entry| entry.path());
        let mut files: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "gguf")).collect();
        files.sort();
        let names = files.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy());
        let mut names: Vec<_> =
            names.map(|name| SplitName::parse(&name).map_or(name.to_string(), |split| split.stem)).collect();
        names.dedup();
        if names.len() > 1 {
            let message = format!("there are several GGUF files, {}: name one", names.join(", "));
            return Err(Error::new(ErrorKind::InvalidArgument, message).at(directory.display()));
        }
        Ok(files.into_iter().next())
    }

    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, header) = open_part(path)?;
        let count = match header.metadata.get(SPLIT_COUNT) {
            Some(Value::Unsigned(count)) => *count,
            _ => 1,
        };
        let parts = match count {
            0 | 1 => vec![(Part { path: path.to_owned(), file }, header)],
            count => open_parts(path, count)?,
        };
        let mut gguf =
            Self { path: path.to_owned(), files: Vec::new(), metadata: HashMap::new(), tensors: HashMap::new() };
        for (part, header) in parts {
            let index = gguf.files.len();
            gguf.tensors.extend(header.tensors.into_iter().map(|(name, place)| (name, Tensor { part: index, place })));
            // The first part has all metadata.
            if index == 0 {
                gguf.metadata = header.metadata;
            }
            gguf.files.push(part);
        }
        gguf.check_kind()?;
        gguf.check_extents()?;
        Ok(gguf)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about this file.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).at(self.path.display())
    }

    /// An error about this file contradicting itself.
    pub(super) fn invalid(&self, message: impl Into<String>) -> Error {
        self.error(ErrorKind::InvalidModel, message)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        self.metadata(key, "text", as_text)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.metadata(key, "true or false", as_flag)
    }

    /// A list of flags, one a layer; `None` where the value is no list.
    pub(super) fn list_of_flags(&self, key: &str) -> Result<Option<Vec<bool>>> {
        if !matches!(self.metadata.get(key), Some(Value::Array(_))) {
            return Ok(None);
        }
        self.metadata(key, "a list of flags", |value| as_array(value)?.iter().map(as_flag).collect())
    }

    /// A number; of an array with one number a layer, the first layer's.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        self.metadata(key, "a number", as_number)
    }

    /// A whole number from 0; of an array with one number a layer, the first layer's.
    pub(super) fn whole(&self, key: &str) -> Result<Option<usize>> {
        self.metadata(key, "a whole number", as_whole)
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.metadata(key, "a list of texts", |value| as_array(value)?.iter().map(as_text).collect())
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.metadata(key, "a list of numbers", |value| as_array(value)?.iter().map(as_number).collect())
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.invalid(format!("the metadata key {key} is missing: convert the model again")))
    }

    fn metadata<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        let converted = convert(value);
        converted.map(Some).ok_or_else(|| self.invalid(format!("the metadata key {key} is not {expected}")))
    }

    /// Refuses files that hold something else than a model.
    fn check_kind(&self) -> Result<()> {
        let refused = |what: &str| Err(self.error(ErrorKind::Unsupported, what));
        match self.text("general.type")? {
            Some("adapter") => refused(
                "an adapter, which is only what was added to a model: merge it into that one, as llama.cpp's \
                 llama-export-lora does, and export the result",
            ),
            Some("mmproj") => refused(
                "the part of a multimodal model that reads images or sounds: export the file of its language model",
            ),
            Some("imatrix") => refused("statistics for quantising a model, not the model: export that one"),
            _ => Ok(()),
        }
    }

    /// Checks that the tensors of known formats lie within their files.
    fn check_extents(&self) -> Result<()> {
        let mut lengths = Vec::new();
        for part in &self.files {
            let length = part.file.metadata().map(|metadata| metadata.len());
            lengths.push(length.map_err(|cause| unreadable(&part.path, cause))?);
        }
        let overlong = |tensor: &Tensor| {
            let Some(format) = Format::find(tensor.place.type_number) else { return false };
            let end = stored_size(&tensor.place.shape, format).and_then(|size| tensor.place.offset.checked_add(size));
            end.is_none_or(|end| end > lengths[tensor.part])
        };
        let tensors = self.tensors.iter().filter(|(_, tensor)| overlong(tensor));
        let Some((name, tensor)) = tensors.min_by_key(|(name, _)| *name) else { return Ok(()) };
        let length = lengths[tensor.part];
        let message =
            format!("the tensor {name} does not fit the file of {length} bytes: it was cut short, download it again");
        Err(Error::new(ErrorKind::InvalidModel, message).at(self.files[tensor.part].path.display()))
    }

    /// The format of a tensor that is to be read.
    fn format(&self, name: &str, tensor: &Tensor) -> Result<(&'static Format, blocks::Decode)> {
        let number = tensor.place.type_number;
        let format = Format::find(number);
        if let Some((format, decode)) = format.and_then(|format| Some((format, format.decode?))) {
            return Ok((format, decode));
        }
        let found = format.map_or(format!("number {number}"), |format| format.name.to_owned());
        let message = format!(
            "the tensor {name} is stored in the format {found}, which is not read: take the model in another, such as \
             Q8_0 or Q4_K_M"
        );
        Err(self.error(ErrorKind::Unsupported, message))
    }
}

impl Checkpoint for Gguf {
    fn place(&self, tensor: &str) -> String {
        let part = self.tensors.get(tensor).map(|tensor| &self.files[tensor.part].path);
        part.unwrap_or(&self.path).display().to_string()
    }

    fn shape(&self, tensor: &str) -> Result<Option<Vec<usize>>> {
        Ok(self.tensors.get(tensor).map(|tensor| tensor.place.shape.clone()))
    }

    fn read_rows(&self, name: &str, consume: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.invalid(format!("the tensor {name} is missing")))?;
        let (format, decode) = self.format(name, tensor)?;
        let Part { path, file } = &self.files[tensor.part];
        let mut file = file;
        let failed = |cause| Error::io(format_args!("read the tensor {name} of {}", path.display()), cause);
        file.seek(SeekFrom::Start(tensor.place.offset)).map_err(failed)?;
        let blocks = tensor.place.shape.iter().product::<usize>() / format.block;
        let columns = tensor.place.shape.last().copied().unwrap_or(1).max(1);
        // Whole rows, which are whole blocks.
        let step = (PART / columns).max(1) * columns / format.block;
        for first in (0..blocks).step_by(step) {
            let count = step.min(blocks - first);
            let mut stored = vec![0; count * format.bytes];
            file.read_exact(&mut stored).map_err(failed)?;
            let mut numbers = vec![0.0; count * format.block];
            let blocks = stored.chunks_exact(format.bytes).zip(numbers.chunks_exact_mut(format.block));
            blocks.for_each(|(stored, numbers)| decode(stored, numbers));
            consume(&numbers)?;
        }
        Ok(())
    }
}

/// The name of one file of several, as llama.cpp writes them.
struct SplitName {
    stem: String,
    extension: String,
}

impl SplitName {
    /// Takes `-00001-of-00003` out of a name.
    fn parse(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (stem, count) = stem.rsplit_once("-of-")?;
        let (stem, number) = stem.rsplit_once('-')?;
        let are_digits = [count, number].iter().all(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        are_digits.then(|| Self { stem: stem.to_owned(), extension: extension.to_owned() })
    }

    fn of_part(&self, number: u64, count: u64) -> String {
        format!("{}-{number:05}-of-{count:05}.{}", self.stem, self.extension)
    }
}

/// Opens all files of a model that lies in several, of which any was named.
fn open_parts(path: &Path, count: u64) -> Result<Vec<(Part, Header)>> {
    let named = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(name) = SplitName::parse(&named) else {
        let message = format!(
            "one of {count} parts, and its name does not tell those of the others: call them NAME-00001-of-{count:05}.gguf \
             and so on"
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message).at(path.display()));
    };
    let open = |number: u64| {
        let path = path.with_file_name(name.of_part(number, count));
        if !path.exists() {
            let message =
                format!("part {number} of {count} is missing: get all parts, or merge them with llama-gguf-split");
            return Err(Error::new(ErrorKind::InvalidModel, message).at(path.display()));
        }
        let (file, header) = open_part(&path)?;
        match header.metadata.get(SPLIT_NUMBER) {
            Some(Value::Unsigned(own)) if *own == number - 1 => Ok((Part { path, file }, header)),
            _ => {
                let message = format!("its name says that it is part {number} of {count}, but it is not: get it again");
                Err(Error::new(ErrorKind::InvalidModel, message).at(path.display()))
            }
        }
    };
    (1..=count).map(open).collect()
}

fn open_part(path: &Path) -> Result<(File, Header)> {
    let start = start_of(path).map_err(|cause| unreadable(path, cause))?;
    if !start.starts_with(MAGIC) {
        return Err(Error::new(ErrorKind::InvalidModel, no_gguf(path, &start)).at(path.display()));
    }
    let file = File::open(path).map_err(|cause| unreadable(path, cause))?;
    let length = file.metadata().map_err(|cause| unreadable(path, cause))?.len();
    match Header::read(&file, length) {
        Ok(header) => Ok((file, header)),
        Err(Fault::Io(cause)) => Err(unreadable(path, cause)),
        Err(Fault::Malformed(message)) => {
            Err(Error::new(ErrorKind::InvalidModel, format!("a GGUF file, but {message}")).at(path.display()))
        }
    }
}

/// The first bytes of a file, as many as there are.
fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(LFS_POINTER.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// What a file is that does not begin as GGUF files do.
fn no_gguf(path: &Path, start: &[u8]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if start.starts_with(LFS_POINTER) {
        return NOT_FETCHED.to_owned();
    }
    if start.trim_ascii_start().starts_with(b"<") {
        return "a web page, not a GGUF file: the download went wrong, do it again".to_owned();
    }
    if name.contains(".gguf.part") || name.contains(".gguf-split-") {
        return "one of several pieces that a GGUF file was cut into: join them with `cat`, in order".to_owned();
    }
    if name.ends_with(".safetensors") {
        return "one file of a checkpoint: name the directory with its config.json".to_owned();
    }
    "not a GGUF file, nor a directory with config.json, safetensors and tokenizer.json".to_owned()
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::io(format_args!("read the checkpoint {}", path.display()), cause)
}

/// Bytes that a tensor takes; `None` for shapes that cannot be stored.
fn stored_size(shape: &[usize], format: &Format) -> Option<u64> {
    let columns = shape.last().filter(|columns| columns.is_multiple_of(format.block))?;
    let rows = shape.iter().rev().skip(1).try_fold(1, |rows: usize, size| rows.checked_mul(*size))?;
    let size = (columns / format.block).checked_mul(format.bytes)?.checked_mul(rows)?;
    rows.checked_mul(*columns)?;
    Some(size as u64)
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Flag(flag) => Some(*flag),
        _ => None,
    }
}

fn as_array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn as_whole(value: &Value) -> Option<usize> {
    match value {
        Value::Array(values) => as_whole(values.first()?),
        Value::Unsigned(number) => (*number).try_into().ok(),
        Value::Signed(number) => (*number).try_into().ok(),
        _ => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Array(values) => as_number(values.first()?),
        Value::Real(number) => Some(*number),
        _ => as_whole(value).map(|number| number as f64),
    }
}
