//! The file of weights beside a model file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::f16;

use super::WeightType;
use super::onnx::{ElementType, Tensor};
use crate::error::{Error, ErrorKind, Result};

/// Tensors start at multiples of this, so that they can be mapped into memory one by one on every system.
const ALIGNMENT: u64 = 65536;

/// Writes tensors one after the other.
pub(super) struct WeightFile {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
}

impl WeightFile {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|cause| Error::io(format_args!("create {}", path.display()), cause))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), length: 0 })
    }

    /// Appends a tensor; `give` passes its numbers on in order, in as many parts as it likes.
    pub(super) fn append(
        &mut self,
        name: &str,
        dims: &[usize],
        weights: WeightType,
        give: impl FnOnce(&mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()>,
    ) -> Result<Tensor> {
        let offset = self.length.next_multiple_of(ALIGNMENT);
        self.write(&vec![0; (offset - self.length) as usize])?;
        give(&mut |part| self.write(&encoded(name, part, weights)?))?;
        let element_type = match weights {
            WeightType::F32 => ElementType::Float32,
            WeightType::F16 => ElementType::Float16,
        };
        let location = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Tensor::external(element_type, dims, &location, offset, self.length - offset).named(name))
    }

    /// Puts everything on the disk.
    pub(super) fn finish(mut self) -> Result<()> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(|cause| Error::io(format_args!("write {}", self.path.display()), cause))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|cause| Error::io(format_args!("write {}", self.path.display()), cause))
    }
}

fn encoded(name: &str, numbers: &[f32], weights: WeightType) -> Result<Vec<u8>> {
    if weights == WeightType::F32 {
        return Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).collect());
    }
    let halves: Vec<f16> = numbers.iter().map(|&number| f16::from_f32(number)).collect();
    if !halves.iter().all(|number| number.is_finite()) {
        let message = format!("the weights {name} are too large for f16: export them as f32");
        return Err(Error::new(ErrorKind::NonFinite, message));
    }
    Ok(halves.iter().flat_map(|number| number.to_le_bytes()).collect())
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
