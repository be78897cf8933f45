//! What every kind of checkpoint gives: its tensors by name.

use crate::error::{Error, ErrorKind, Result};

/// Numbers of a tensor that are in memory at once, about.
pub(super) const PART: usize = 1 << 22;

/// The tensors of a checkpoint.
pub(super) trait Checkpoint {
    /// The file that a tensor lies in or should, for messages.
    fn place(&self, tensor: &str) -> String;

    /// A tensor's shape, the slowest dimension first; `None` where there is none of this name.
    fn shape(&self, tensor: &str) -> Result<Option<Vec<usize>>>;

    /// Gives a tensor's numbers some rows at a time, so that a large tensor never lies in memory whole. Its last dimension
    /// is not 0.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where it was cut short, [`ErrorKind::Unsupported`] or [`ErrorKind::InvalidModel`] for a
    /// number format that cannot be read, [`ErrorKind::Io`].
    fn read_rows(&self, tensor: &str, consume: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()>;
}

/// The name of a tensor of a layer.
pub(super) fn of_layer(name: &str, layer: usize) -> String {
    name.replace("{}", &layer.to_string())
}

pub(super) fn weight(name: &str) -> String {
    format!("{name}.weight")
}

pub(super) fn bias(name: &str) -> String {
    format!("{name}.bias")
}

impl dyn Checkpoint + '_ {
    /// Checks that a tensor is there and has this shape.
    pub(super) fn check_shape(&self, tensor: &str, expected: &[usize]) -> Result<()> {
        let Some(found) = self.shape(tensor)? else {
            return Err(self.invalid(tensor, format!("the tensor {tensor} is missing")));
        };
        if found != expected {
            let message = format!("the tensor {tensor} is {found:?}, but the configuration means {expected:?}");
            return Err(self.invalid(tensor, message));
        }
        Ok(())
    }

    /// The numbers of a tensor of this shape, some rows at a time.
    ///
    /// # Errors
    /// Those of [`Checkpoint::read_rows`]; [`ErrorKind::InvalidModel`] where the tensor is missing or has another shape, and
    /// [`ErrorKind::NonFinite`] where it holds NaN or infinite numbers.
    pub(super) fn read_in_parts(
        &self,
        tensor: &str,
        shape: &[usize],
        mut consume: impl FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        self.check_shape(tensor, shape)?;
        self.read_rows(tensor, &mut |part| {
            if !part.iter().all(|number| number.is_finite()) {
                let message = format!("the tensor {tensor} holds NaN or infinite numbers: get an intact checkpoint");
                return Err(Error::new(ErrorKind::NonFinite, message).at(self.place(tensor)));
            }
            consume(part)
        })
    }

    /// All numbers of a tensor, row after row.
    pub(super) fn read(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let mut numbers = Vec::new();
        self.read_in_parts(tensor, shape, |part| {
            numbers.extend_from_slice(part);
            Ok(())
        })?;
        Ok(numbers)
    }

    /// An error about a tensor that contradicts the rest.
    pub(super) fn invalid(&self, tensor: &str, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidModel, message).at(self.place(tensor))
    }
}
