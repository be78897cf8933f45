//! Reading safetensors: the few tensors that an export keeps, out of one file or of many shards.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Component, Path};
use std::rc::Rc;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;

use super::checkpoint::{Checkpoint, PART};
use super::files::{Files, LFS_POINTER, NOT_FETCHED};
use crate::error::{Error, ErrorKind, Result};

/// The names of a file with all tensors, the second where nobody wrote an index.
const SINGLE: [&str; 2] = ["model.safetensors", "model-00001-of-00001.safetensors"];
const INDEX: &str = "model.safetensors.index.json";

/// Bytes of the number that a file begins with: the size of its header.
const PREFIX: u64 = 8;

/// The projections to the vocabulary, which lie beside the decoder that the prefix names.
const HEADS: [&str; 2] = ["lm_head.", "embed_out."];

/// The format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;

/// An index names some thousand tensors.
const INDEX_LIMIT: u64 = 100_000_000;

/// The tensors of a checkpoint, and where they lie.
pub(super) struct Tensors<'a> {
    files: &'a dyn Files,
    /// What all tensor names of the decoder begin with.
    prefix: &'static str,
    shards: Shards,
    /// Headers that have been read, by their file.
    headers: RefCell<HashMap<String, Rc<Header>>>,
}

/// The files that tensors lie in.
enum Shards {
    /// One file holds all.
    One(&'static str),
    /// The shard of each tensor.
    Indexed(BTreeMap<String, String>),
}

struct Header {
    tensors: Metadata,
    /// Where in the file the tensors begin.
    start: u64,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl<'a> Tensors<'a> {
    pub(super) fn open(files: &'a dyn Files) -> Result<Self> {
        let headers = RefCell::default();
        let [usual, without_index] = SINGLE;
        if files.size(usual)?.is_some() {
            return Ok(Self { files, prefix: "", shards: Shards::One(usual), headers });
        }
        let Some(index) = files.whole(INDEX, INDEX_LIMIT)? else {
            if files.size(without_index)?.is_some() {
                return Ok(Self { files, prefix: "", shards: Shards::One(without_index), headers });
            }
            let message = format!(
                "there is neither {usual} nor {INDEX}: weights in other formats are not read, so get the checkpoint \
                 with safetensors or convert it"
            );
            return Err(Error::new(ErrorKind::Unsupported, message).at(files.place("")));
        };
        let index: Index = serde_json::from_slice(&index)
            .map_err(|cause| files.invalid(INDEX, format!("no index of shards ({cause}): get it again")))?;
        if let Some(shard) = index.weight_map.values().find(|shard| !is_plain_name(shard)) {
            let message = format!("{shard:?} is no plain file name, so it is not opened: get the checkpoint elsewhere");
            return Err(files.invalid(INDEX, message));
        }
        Ok(Self { files, prefix: "", shards: Shards::Indexed(index.weight_map), headers })
    }

    /// Takes the first of these beginnings of tensor names under which there is a tensor of this name.
    pub(super) fn choose_prefix(&mut self, prefixes: &[&'static str], tensor: &str) -> Result<()> {
        for prefix in prefixes {
            self.prefix = prefix;
            if self.shape(tensor)?.is_some() {
                return Ok(());
            }
        }
        self.prefix = prefixes[0];
        Ok(())
    }

    fn full_name(&self, tensor: &str) -> String {
        let prefix = match HEADS.iter().any(|head| tensor.starts_with(head)) {
            true => self.prefix.strip_suffix("model.").unwrap_or_default(),
            false => self.prefix,
        };
        format!("{prefix}{tensor}")
    }

    fn file_of(&self, full_name: &str) -> Option<&str> {
        match &self.shards {
            Shards::One(file) => Some(file),
            Shards::Indexed(shards) => shards.get(full_name).map(String::as_str),
        }
    }

    fn header(&self, file: &str) -> Result<Rc<Header>> {
        if let Some(header) = self.headers.borrow().get(file) {
            return Ok(header.clone());
        }
        let header = Rc::new(self.read_header(file)?);
        self.headers.borrow_mut().insert(file.to_owned(), header.clone());
        Ok(header)
    }

    fn read_header(&self, file: &str) -> Result<Header> {
        let files = self.files;
        let size = files.size(file)?.ok_or_else(|| {
            files.invalid(file, format!("the file is missing, and {INDEX} names it: get the rest of the checkpoint"))
        })?;
        let cut_short = || files.invalid(file, format!("the file of {size} bytes was cut short: get it again"));
        if size < PREFIX {
            return Err(cut_short());
        }
        let prefix = files.bytes(file, 0..PREFIX)?;
        if prefix == LFS_POINTER[..PREFIX as usize] {
            return Err(files.invalid(file, NOT_FETCHED));
        }
        let length = u64::from_le_bytes(prefix.try_into().expect("8 bytes"));
        if length > HEADER_LIMIT {
            let message =
                format!("no safetensors file: its header would take {length} bytes, and {HEADER_LIMIT} at most can be");
            return Err(files.invalid(file, message));
        }
        let start = PREFIX + length;
        if size < start {
            return Err(cut_short());
        }
        let header = files.bytes(file, PREFIX..start)?;
        // Also checks that the tensors cover the file without gaps or overlaps and have the sizes of their shapes.
        let tensors: Metadata = serde_json::from_slice(&header)
            .map_err(|cause| files.invalid(file, format!("its header cannot be read ({cause}): get the file again")))?;
        match size.cmp(&start.saturating_add(tensors.data_len() as u64)) {
            std::cmp::Ordering::Less => Err(cut_short()),
            std::cmp::Ordering::Equal => Ok(Header { tensors, start }),
            std::cmp::Ordering::Greater => {
                Err(files.invalid(file, "there are more bytes than its header tells of: get the file again"))
            }
        }
    }
}

impl Checkpoint for Tensors<'_> {
    fn place(&self, tensor: &str) -> String {
        self.files.place(self.file_of(&self.full_name(tensor)).unwrap_or(INDEX))
    }

    fn shape(&self, tensor: &str) -> Result<Option<Vec<usize>>> {
        let name = self.full_name(tensor);
        let Some(file) = self.file_of(&name) else { return Ok(None) };
        match (self.header(file)?.tensors.info(&name), &self.shards) {
            (Some(info), _) => Ok(Some(info.shape.clone())),
            (None, Shards::One(_)) => Ok(None),
            (None, Shards::Indexed(_)) => {
                let message = format!("{INDEX} says that {name} is here, but it is not: get both files again");
                Err(self.files.invalid(file, message))
            }
        }
    }

    fn read_rows(&self, tensor: &str, consume: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let name = self.full_name(tensor);
        let missing = || self.files.invalid(INDEX, format!("the tensor {name} is missing"));
        let file = self.file_of(&name).ok_or_else(missing)?;
        let header = self.header(file)?;
        let info = header.tensors.info(&name).ok_or_else(missing)?;
        let decode = decoder(info.dtype).ok_or_else(|| {
            let message = format!(
                "the tensor {name} is stored as {:?}, and only F64, F32, F16 and BF16 are read: get the checkpoint in one \
                 of these, not quantized",
                info.dtype
            );
            Error::new(ErrorKind::Unsupported, message).at(self.files.place(file))
        })?;
        let (begin, end) = info.data_offsets;
        let mut reader = self.files.read(file, header.start + begin as u64..header.start + end as u64)?;
        let columns = info.shape.last().copied().unwrap_or(1).max(1);
        let row_bytes = columns * info.dtype.bitsize() / 8;
        let step = (PART / columns).max(1) * row_bytes;
        for first in (begin..end).step_by(step) {
            let mut stored = vec![0; step.min(end - first)];
            reader.read_exact(&mut stored).map_err(|cause| self.files.unreadable(file, cause))?;
            consume(&decode(&stored))?;
        }
        Ok(())
    }
}

/// Turns stored numbers into float32.
type Decode = fn(&[u8]) -> Vec<f32>;

/// `None` for formats that are not read.
fn decoder(format: Dtype) -> Option<Decode> {
    match format {
        Dtype::F64 => Some(|bytes| numbers(bytes, |number| f64::from_le_bytes(number) as f32)),
        Dtype::F32 => Some(|bytes| numbers(bytes, f32::from_le_bytes)),
        Dtype::F16 => Some(|bytes| numbers(bytes, |number| f16::from_le_bytes(number).to_f32())),
        Dtype::BF16 => Some(|bytes| numbers(bytes, |number| bf16::from_le_bytes(number).to_f32())),
        _ => None,
    }
}

fn numbers<const SIZE: usize>(bytes: &[u8], decode: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<SIZE>().0.iter().map(|number| decode(*number)).collect()
}

fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}
