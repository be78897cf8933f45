//! The header of a GGUF file: metadata, and where each tensor lies.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};

pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// The versions that are read; they differ in nothing but byte orders.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;

/// What tensors begin at multiples of, unless the metadata say otherwise.
const ALIGNMENT: u64 = 32;

/// The most dimensions that a tensor has.
const MOST_DIMENSIONS: u32 = 8;

/// How deep arrays of arrays are read.
const DEEPEST_ARRAY: u32 = 4;

pub(super) struct Header {
    pub metadata: HashMap<String, Value>,
    pub tensors: Vec<(String, TensorPlace)>,
}

/// Where a tensor lies in its file, and how it is stored.
pub(super) struct TensorPlace {
    /// The number of its type.
    pub type_number: u32,
    /// The slowest dimension first.
    pub shape: Vec<usize>,
    /// Bytes from the beginning of the file.
    pub offset: u64,
}

#[derive(Debug)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Real(f64),
    Flag(bool),
    Text(String),
    Array(Vec<Value>),
}

/// Why a header cannot be read.
pub(super) enum Fault {
    Io(io::Error),
    /// What is wrong with the file.
    Malformed(String),
}

impl From<io::Error> for Fault {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => malformed("its header is cut short: download it again"),
            _ => Self::Io(cause),
        }
    }
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::Malformed(message.into())
}

impl Header {
    /// Reads the header of a file of `length` bytes that begins with [`MAGIC`].
    pub(super) fn read(file: &File, length: u64) -> Result<Self, Fault> {
        let mut reader = Reader { file: BufReader::new(file), position: 0, length };
        reader.bytes(MAGIC.len() as u64)?;
        let version = reader.u32()?;
        if VERSIONS.contains(&version.swap_bytes()) {
            return Err(malformed(
                "of the byte order of big-endian machines: convert it with llama.cpp's gguf_convert_endian.py",
            ));
        }
        if !VERSIONS.contains(&version) {
            return Err(malformed(format!("of version {version} of the format, and only 2 and 3 are read")));
        }
        let (tensor_count, value_count) = (reader.u64()?, reader.u64()?);
        let mut metadata = HashMap::new();
        for _ in 0..value_count {
            let key = reader.text()?;
            let kind = reader.u32()?;
            metadata.insert(key, reader.value(kind, 0)?);
        }
        let mut tensors = Vec::new();
        for _ in 0..tensor_count {
            tensors.push(reader.tensor()?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() => *alignment,
            Some(other) => return Err(malformed(format!("general.alignment cannot be {other:?}"))),
        };
        let start = reader.position.checked_next_multiple_of(alignment);
        for (name, tensor) in &mut tensors {
            let offset = start.and_then(|start| start.checked_add(tensor.offset));
            tensor.offset = offset.ok_or_else(|| malformed(format!("the tensor {name} lies beyond any file")))?;
        }
        Ok(Self { metadata, tensors })
    }
}

/// Reads little-endian numbers and counts what it has read.
struct Reader<'a> {
    file: BufReader<&'a File>,
    position: u64,
    length: u64,
}

impl Reader<'_> {
    /// So many bytes, where the file has them: nothing is allocated for what is not there.
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Fault> {
        if count > self.length.saturating_sub(self.position) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes)?;
        self.position += count;
        Ok(bytes)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Fault> {
        let mut bytes = [0; SIZE];
        self.file.read_exact(&mut bytes)?;
        self.position += SIZE as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, Fault> {
        let length = self.u64()?;
        let bytes = self.bytes(length)?;
        String::from_utf8(bytes).map_err(|_| malformed("its header holds a text that is not UTF-8"))
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<Value, Fault> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Real(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Flag(self.array::<1>()? != [0]),
            8 => Value::Text(self.text()?),
            9 if depth < DEEPEST_ARRAY => {
                let (kind, count) = (self.u32()?, self.u64()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(kind, depth + 1)?);
                }
                Value::Array(values)
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Real(f64::from_le_bytes(self.array()?)),
            _ => return Err(malformed(format!("its header holds a value of the unknown kind {kind}"))),
        })
    }

    fn tensor(&mut self) -> Result<(String, TensorPlace), Fault> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(malformed(format!("the tensor {name} has {dimensions} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.u64()? as usize);
        }
        shape.reverse();
        let (type_number, offset) = (self.u32()?, self.u64()?);
        Ok((name, TensorPlace { type_number, shape, offset }))
    }
}
