//! The file of weights beside a model file.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::Array2;

use super::WeightType;
use super::onnx::{ElementType, Tensor};
use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};

/// Tensors start at multiples of this, so that they can be mapped into memory one by one on every system.
const ALIGNMENT: u64 = 65536;

/// Writes tensors one after the other, or several in turns.
pub(super) struct WeightFile {
    path: PathBuf,
    file: File,
    length: u64,
}

/// The place of a tensor in the file, which is filled from front to back.
pub(super) struct Place {
    name: String,
    dims: Vec<usize>,
    weights: WeightType,
    offset: u64,
    written: u64,
}

impl WeightFile {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|cause| Error::io(format_args!("create {}", path.display()), cause))?;
        Ok(Self { path: path.to_owned(), file, length: 0 })
    }

    /// Keeps a place for a tensor.
    pub(super) fn reserve(&mut self, name: &str, dims: &[usize], weights: WeightType) -> Place {
        let offset = self.length.next_multiple_of(ALIGNMENT);
        self.length = offset + (dims.iter().product::<usize>() * weights.size()) as u64;
        Place { name: name.to_owned(), dims: dims.to_vec(), weights, offset, written: 0 }
    }

    /// Writes the numbers that come next in a place.
    pub(super) fn write(&mut self, place: &mut Place, numbers: &[f32]) -> Result<()> {
        let bytes = encoded(&place.name, numbers, place.weights)?;
        let start = SeekFrom::Start(place.offset + place.written);
        place.written += bytes.len() as u64;
        let written = self.file.seek(start).and_then(|_| self.file.write_all(&bytes));
        written.map_err(|cause| Error::io(format_args!("write {}", self.path.display()), cause))
    }

    /// The tensor that a place has been filled with.
    pub(super) fn tensor(&self, place: Place) -> Tensor {
        let location = self.path.file_name().unwrap_or_default().to_string_lossy();
        let element_type = place.weights.element_type();
        Tensor::external(element_type, &place.dims, &location, place.offset, place.written).named(&place.name)
    }

    /// Appends a tensor whose numbers are at hand.
    pub(super) fn append(
        &mut self,
        name: &str,
        dims: &[usize],
        weights: WeightType,
        numbers: &[f32],
    ) -> Result<Tensor> {
        let mut place = self.reserve(name, dims, weights);
        self.write(&mut place, numbers)?;
        Ok(self.tensor(place))
    }

    /// Appends a matrix that is at hand.
    pub(super) fn append_matrix(&mut self, name: &str, matrix: &Array2<f32>, weights: WeightType) -> Result<Tensor> {
        self.append(name, matrix.shape(), weights, matrix.as_slice().expect("a new array is contiguous"))
    }

    /// Appends the few numbers of a norm or bias, which are kept in float32.
    pub(super) fn append_vector(&mut self, name: &str, numbers: &[f32]) -> Result<Tensor> {
        self.append(name, &[numbers.len()], WeightType::F32, numbers)
    }

    /// Puts everything on the disk.
    pub(super) fn finish(self) -> Result<()> {
        self.file.sync_all().map_err(|cause| Error::io(format_args!("write {}", self.path.display()), cause))
    }
}

impl WeightType {
    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn element_type(self) -> ElementType {
        match self {
            Self::F32 => ElementType::Float32,
            Self::F16 => ElementType::Float16,
            Self::Bf16 => ElementType::BFloat16,
        }
    }
}

fn encoded(name: &str, numbers: &[f32], weights: WeightType) -> Result<Vec<u8>> {
    let (bytes, finite): (Vec<u8>, bool) = match weights {
        WeightType::F32 => (numbers.iter().flat_map(|number| number.to_le_bytes()).collect(), true),
        WeightType::F16 => {
            let halves: Vec<_> = numbers.iter().map(|&number| f16::from_f32(number)).collect();
            (halves.iter().flat_map(|half| half.to_le_bytes()).collect(), halves.iter().all(|half| half.is_finite()))
        }
        WeightType::Bf16 => {
            let halves: Vec<_> = numbers.iter().map(|&number| bf16::from_f32(number)).collect();
            (halves.iter().flat_map(|half| half.to_le_bytes()).collect(), halves.iter().all(|half| half.is_finite()))
        }
    };
    if !finite {
        let message = format!("the weights {name} are too large for {}: export them as f32", weights.name());
        return Err(Error::new(ErrorKind::NonFinite, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_too_large_for_halves_are_refused() {
        let error = encoded("w", &[1.0, 70_000.0], WeightType::F16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NonFinite);
        assert_eq!(encoded("w", &[1.0], WeightType::F16).unwrap(), [0x00, 0x3c]);
    }
}
