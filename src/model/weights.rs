//! Weights that stand beside a model file.
//!
//! ONNX Runtime maps these files: the processes of a machine share them, and only what is read takes memory. But whoever
//! cuts one short in place ends the process, and whoever overwrites one changes the scores that come after. Weights in
//! memory of our own are what they were when the package was opened, and take as much of it.

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

use crate::digest::Stamp;
use crate::error::{Error, ErrorKind, Result};

/// A file of weights that ONNX Runtime maps into memory.
pub(super) struct MappedFile {
    path: PathBuf,
    file: File,
    opened: Stamp,
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
        let file = File::open(&path).and_then(|file| Ok((Stamp::of_open_file(&file)?, file)));
        let (opened, file) = file.map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        Ok(Self { path, file, opened })
    }

    /// # Errors
    /// [`ErrorKind::Runtime`] where it was written to since it was opened: what runs of the model give is not to be trusted, and
    /// where it became shorter, reading what was cut off would end the process.
    pub(super) fn check(&self) -> Result<()> {
        let now = Stamp::of_open_file(&self.file);
        if now.is_ok_and(|now| !self.opened.is_rewritten(&now)) {
            return Ok(());
        }
        let message = format!(
            "{} was written to while it was in use: export the model again, into another directory, and open that",
            self.path.display()
        );
        Err(Error::new(ErrorKind::Runtime, message))
    }
}

/// Makes a program say why it ends where a mapped file is cut short while a run of the model reads it. For commands: it takes
/// the process's handler of `SIGBUS`.
pub fn tell_of_cut_weights() {
    #[cfg(unix)]
    {
        extern "C" fn tell(signal: libc::c_int) {
            const MESSAGE: &[u8] =
                b"error: a file that is mapped into memory, such as a model's weights, was cut short while it was \
                                     read: fetch or export it again, and go on with --resume\n";
            // SAFETY: these calls are safe in a handler, and the message is constant.
            unsafe {
                libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len());
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
        let handler: extern "C" fn(libc::c_int) = tell;
        // SAFETY: the handler does only what is safe in one.
        unsafe { libc::signal(libc::SIGBUS, handler as libc::sighandler_t) };
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
