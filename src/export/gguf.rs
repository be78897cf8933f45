//! Reading GGUF files: metadata, and the few tensors that an export keeps.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};

use super::checkpoint::{Checkpoint, PART};
use crate::error::{Error, ErrorKind, Result};

const MAGIC: &[u8] = b"GGUF";

/// An open GGUF file whose header has been read and whose tensors all lie within the file.
pub(super) struct Gguf {
    path: PathBuf,
    file: File,
    content: Content,
}

impl Gguf {
    /// Whether a file begins as GGUF files do.
    pub(super) fn is_one(path: &Path) -> std::io::Result<bool> {
        let mut start = Vec::new();
        File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
        Ok(start == MAGIC)
    }

    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |cause| Error::io(format_args!("read the checkpoint {}", path.display()), cause);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let content = read_header(&file).map_err(|cause| {
            let message = format!("not a whole GGUF file that can be read ({cause}): download or convert it again");
            Error::new(ErrorKind::InvalidModel, message).at(path.display())
        })?;
        let checkpoint = Self { path: path.to_owned(), file, content };
        checkpoint.check_extents(length)?;
        Ok(checkpoint)
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
        self.metadata(key, "true or false", |value| value.to_bool().ok())
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
        self.metadata(key, "a list of texts", |value| value.to_vec().ok()?.iter().map(as_text).collect())
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.metadata(key, "a list of numbers", |value| value.to_vec().ok()?.iter().map(as_number).collect())
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
        let Some(value) = self.content.metadata.get(key) else { return Ok(None) };
        let converted = convert(value);
        converted.map(Some).ok_or_else(|| self.invalid(format!("the metadata key {key} is not {expected}")))
    }

    fn check_extents(&self, length: u64) -> Result<()> {
        let start = self.content.tensor_data_offset;
        let overlong = |info: &TensorInfo| {
            let end = stored_size(info).and_then(|size| start.checked_add(info.offset)?.checked_add(size));
            end.is_none_or(|end| end > length)
        };
        let tensors = self.content.tensor_infos.iter();
        let Some(tensor) = tensors.filter(|(_, info)| overlong(info)).map(|(name, _)| name).min() else {
            return Ok(());
        };
        Err(self.invalid(format!(
            "the tensor {tensor} does not fit the file of {length} bytes: it was cut short, download it again"
        )))
    }

    fn unreadable(&self, tensor: &str, cause: std::io::Error) -> Error {
        Error::io(format_args!("read the tensor {tensor} of {}", self.path.display()), cause)
    }
}

impl Checkpoint for Gguf {
    fn place(&self, _: &str) -> String {
        self.path.display().to_string()
    }

    fn shape(&self, tensor: &str) -> Result<Option<Vec<usize>>> {
        Ok(self.content.tensor_infos.get(tensor).map(|info| info.shape.dims().to_vec()))
    }

    fn read_rows(&self, tensor: &str, consume: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let missing = || self.invalid(format!("the tensor {tensor} is missing"));
        let info = self.content.tensor_infos.get(tensor).ok_or_else(missing)?;
        let columns = info.shape.dims().last().copied().unwrap_or(1).max(1);
        let rows = info.shape.elem_count() / columns;
        let row_bytes = columns / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        let step = (PART / columns).max(1);
        let mut file = &self.file;
        let start = self.content.tensor_data_offset + info.offset;
        file.seek(SeekFrom::Start(start)).map_err(|cause| self.unreadable(tensor, cause))?;
        for first in (0..rows).step_by(step) {
            let count = step.min(rows - first);
            let mut stored = vec![0; count * row_bytes];
            file.read_exact(&mut stored).map_err(|cause| self.unreadable(tensor, cause))?;
            let values = dequantize(info, &stored, count, columns).map_err(|cause| {
                self.invalid(format!("the tensor {tensor} cannot be read ({}): requantize it", first_line(&cause)))
            })?;
            consume(&values)?;
        }
        Ok(())
    }
}

/// Reads the header; the error is one line.
fn read_header(file: &File) -> std::result::Result<Content, String> {
    let mut reader = BufReader::new(file);
    // The reader checks counts and lengths against the file's size, but divides by an alignment of 0.
    let content = catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader)));
    content.map_err(|_| "its header is malformed".to_owned())?.map_err(|cause| first_line(&cause))
}

/// The message without the backtrace that the environment may have asked for.
fn first_line(cause: &candle_core::Error) -> String {
    cause.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Bytes that the tensor takes in the file; `None` for shapes that cannot be stored.
fn stored_size(info: &TensorInfo) -> Option<u64> {
    let (block_size, type_size) = (info.ggml_dtype.block_size(), info.ggml_dtype.type_size());
    let columns = info.shape.dims().last().filter(|columns| columns.is_multiple_of(block_size))?;
    let rows = info.shape.dims().iter().rev().skip(1).try_fold(1, |rows: usize, size| rows.checked_mul(*size))?;
    let size = (columns / block_size).checked_mul(type_size)?.checked_mul(rows)?;
    rows.checked_mul(*columns)?;
    Some(size as u64)
}

fn dequantize(info: &TensorInfo, stored: &[u8], rows: usize, columns: usize) -> candle_core::Result<Vec<f32>> {
    let device = Device::Cpu;
    let tensor = qtensor_from_ggml(info.ggml_dtype, stored, vec![rows, columns], &device)?;
    tensor.dequantize(&device)?.flatten_all()?.to_vec1()
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn as_whole(value: &Value) -> Option<usize> {
    match value {
        Value::Array(values) => as_whole(values.first()?),
        Value::I8(number) => (*number).try_into().ok(),
        Value::I16(number) => (*number).try_into().ok(),
        Value::I32(number) => (*number).try_into().ok(),
        Value::I64(number) => (*number).try_into().ok(),
        _ => value.to_u64().ok()?.try_into().ok(),
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Array(values) => as_number(values.first()?),
        Value::F32(number) => Some(f64::from(*number)),
        Value::F64(number) => Some(*number),
        _ => as_whole(value).map(|number| number as f64),
    }
}
