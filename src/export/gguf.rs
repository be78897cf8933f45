//! Reading GGUF files: metadata, and the few tensors that an export keeps.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};

use crate::error::{Error, ErrorKind, Result};

/// Numbers of a tensor that are in memory at once, about.
const CHUNK: usize = 1 << 20;

/// An open GGUF file whose header has been read and whose tensors all lie within the file.
pub(super) struct Checkpoint {
    path: PathBuf,
    file: File,
    content: Content,
}

impl Checkpoint {
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

    /// A tensor's shape, the slowest dimension first.
    pub(super) fn shape(&self, tensor: &str) -> Option<&[usize]> {
        self.content.tensor_infos.get(tensor).map(|info| info.shape.dims())
    }

    /// Checks that a tensor is there and has this shape.
    pub(super) fn check_shape(&self, tensor: &str, expected: &[usize]) -> Result<()> {
        let found = self.shape(tensor).ok_or_else(|| self.invalid(format!("the tensor {tensor} is missing")))?;
        if found != expected {
            return Err(self.invalid(format!("the tensor {tensor} is {found:?}, but the metadata means {expected:?}")));
        }
        Ok(())
    }

    /// A tensor's numbers, row after row.
    pub(super) fn read(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.read_in_parts(tensor, shape, |part| {
            values.extend_from_slice(part);
            Ok(())
        })?;
        Ok(values)
    }

    /// Gives a tensor's numbers some rows at a time, so that a large tensor never lies in memory whole.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where the tensor is missing, has another shape or a number format that cannot be read,
    /// and [`ErrorKind::NonFinite`] where it holds NaN or infinite numbers.
    pub(super) fn read_in_parts(
        &self,
        tensor: &str,
        shape: &[usize],
        mut consume: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        self.check_shape(tensor, shape)?;
        let info = &self.content.tensor_infos[tensor];
        let columns = shape[shape.len() - 1];
        let rows = shape.iter().product::<usize>() / columns;
        let row_bytes = columns / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        let step = (CHUNK / columns).max(1);
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
            if !values.iter().all(|value| value.is_finite()) {
                let message = format!("the tensor {tensor} holds NaN or infinite numbers: get an intact checkpoint");
                return Err(self.error(ErrorKind::NonFinite, message));
            }
            consume(&values)?;
        }
        Ok(())
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
