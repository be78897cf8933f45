//! Weights that stand beside a model file, in memory or mapped.
//!
//! ONNX Runtime maps these files by itself. Whoever truncates one in place ends the process, and whoever overwrites one changes
//! the scores that come after. Weights in memory of our own are what they were when the package was opened.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{Debug, Display};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::slice;

use half::{bf16, f16};
use ort::session::builder::SessionBuilder;

use ort::value::{DynValue, PrimitiveTensorElementType, Shape, Tensor};
use prost::Message;

use crate::error::{Error, ErrorKind, Result};

/// A file of weights that ONNX Runtime maps: where it becomes shorter, reading what was cut off ends the process.
pub(super) struct MappedFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl MappedFile {
    /// Those in the directory of a model, such as `model.onnx.data` and `model.onnx_data`; models may share one.
    pub(super) fn beside(model: &Path) -> Result<Vec<Self>> {
        let is_beside = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains(".onnx") && !name.ends_with(".onnx") && path.is_file()
        };
        let directory = model.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries =
            directory.read_dir().map_err(|cause| Error::io(format!("read {}", directory.display()), cause))?;
        entries.flatten().map(|entry| entry.path()).filter(is_beside).map(Self::open).collect()
    }

    fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = file.map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        Ok(Self { path, file, length })
    }

    /// # Errors
    /// [`ErrorKind::Runtime`] where it is shorter than it was.
    pub(super) fn check(&self) -> Result<()> {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        if length >= self.length {
            return Ok(());
        }
        let message = format!(
            "{} was cut from {} bytes to {length} while it was in use: export the model again, into another directory, and open \
             that",
            self.path.display(),
            self.length
        );
        Err(Error::new(ErrorKind::Runtime, message))
    }
}

/// What of a model file tells where its weights stand, with the field numbers of `onnx.proto`. The rest is skipped.
#[derive(Clone, PartialEq, Message)]
struct ModelFile {
    #[prost(message, optional, tag = "7")]
    graph: Option<Initializers>,
}

#[derive(Clone, PartialEq, Message)]
struct Initializers {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Initializer>,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Property>,
}

#[derive(Clone, PartialEq, Message)]
struct Property {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl Initializer {
    fn entry(&self, key: &str) -> Option<&str> {
        self.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Where the weights stand in a file of `length` bytes, if they fit in.
    fn bytes_within(&self, length: u64, element_size: usize) -> Option<Range<u64>> {
        let grow = |size: usize, dim: &i64| size.checked_mul(usize::try_from(*dim).ok()?);
        let size = self.dims.iter().try_fold(element_size, grow)?;
        let start: u64 = self.entry("offset").map_or(Some(0), |offset| offset.parse().ok())?;
        let end = start.checked_add(u64::try_from(size).ok()?)?;
        (end <= length).then_some(start..end)
    }
}

/// Gives a session the weights that stand in files beside its model. A model that cannot be read is left to ONNX Runtime,
/// which says why.
///
/// # Errors
/// [`ErrorKind::InvalidModel`] for a file that ends within a tensor; [`ErrorKind::Io`]; [`ErrorKind::Runtime`] where there
/// is no memory for them.
pub(super) fn with_weights(mut builder: SessionBuilder, model: &Path) -> Result<SessionBuilder> {
    let Ok(Ok(ModelFile { graph: Some(graph) })) = fs::read(model).map(|bytes| ModelFile::decode(&*bytes)) else {
        return Ok(builder);
    };
    let mut files = HashMap::new();
    for initializer in graph.initializer {
        let (Some(location), Some(read)) = (initializer.entry("location"), reader(initializer.data_type)) else {
            continue;
        };
        let path = model.with_file_name(location);
        let file = match files.entry(path.clone()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => {
                let file = File::open(&path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
                vacant.insert(file)
            }
        };
        let tensor = read(&initializer, file, &path)?;
        builder =
            builder.with_external_initializer(&initializer.name, tensor).map_err(|cause| refused(&path, &cause))?;
    }
    Ok(builder)
}

type Reader = fn(&Initializer, &mut File, &Path) -> Result<DynValue>;

/// What reads weights of a type of ONNX's `TensorProto.DataType`. Those that are rare are left to ONNX Runtime.
fn reader(data_type: i32) -> Option<Reader> {
    Some(match data_type {
        1 => read::<f32>,
        2 => read::<u8>,
        3 => read::<i8>,
        6 => read::<i32>,
        7 => read::<i64>,
        10 => read::<f16>,
        16 => read::<bf16>,
        _ => return None,
    })
}

/// Numbers of which any bytes make one.
trait Number: PrimitiveTensorElementType + Debug + Clone + Default + 'static {}

impl Number for f32 {}
impl Number for u8 {}
impl Number for i8 {}
impl Number for i32 {}
impl Number for i64 {}
impl Number for f16 {}
impl Number for bf16 {}

fn read<T: Number>(initializer: &Initializer, file: &mut File, path: &Path) -> Result<DynValue> {
    let failed = |cause| Error::io(format!("read {}", path.display()), cause);
    let length = file.metadata().map_err(failed)?.len();
    let Some(range) = initializer.bytes_within(length, size_of::<T>()) else {
        let (name, path) = (&initializer.name, path.display());
        let message = format!("{path} does not hold the weights {name:?} whole: it may be truncated; export it again");
        return Err(Error::new(ErrorKind::InvalidModel, message));
    };
    let count = (range.end - range.start) as usize / size_of::<T>();
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(count).map_err(|cause| refused(path, &cause))?;
    numbers.resize(count, T::default());
    file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
    // SAFETY: the bytes of a slice of numbers, of which any bytes make one.
    let bytes =
        unsafe { slice::from_raw_parts_mut(numbers.as_mut_ptr().cast::<u8>(), size_of_val(numbers.as_slice())) };
    file.read_exact(bytes).map_err(failed)?;
    let shape = Shape::new(initializer.dims.iter().copied());
    Ok(Tensor::from_array((shape, numbers)).map_err(|cause| refused(path, &cause))?.into_dyn())
}

fn refused(path: &Path, cause: &dyn Display) -> Error {
    Error::new(ErrorKind::Runtime, format!("{} cannot be loaded into memory: {cause}", path.display()))
}
