//! Far mass in double precision, straight from its definition.

use ndarray::{Array2, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::{FarMass, FarRegion};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// The far mass of every head from queries `[heads, L, head_size]` and keys `[key_value_heads, L, head_size]`, rotary
/// embedding applied; logits are `scale` times the product of query and key, and where there is a `logit_softcap`, that
/// times the hyperbolic tangent of their quotient. It is what [`StreamingAttention`] is to
/// give, computed in double precision throughout and many times slower, until `cancel` says stop.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] where shapes contradict each other, [`ErrorKind::Cancelled`].
///
/// [`StreamingAttention`]: super::StreamingAttention
pub fn reference_far_mass(
    queries: ArrayView3<f32>,
    keys: ArrayView3<f32>,
    scale: f64,
    logit_softcap: Option<f64>,
    far: FarRegion,
    cancel: &Cancel,
) -> Result<Vec<FarMass>> {
    let ((heads, length, head_size), (key_heads, key_length, key_size)) = (queries.dim(), keys.dim());
    if key_heads == 0 || heads % key_heads != 0 || (length, head_size) != (key_length, key_size) {
        let message = format!("queries {:?} cannot attend to keys {:?}", queries.dim(), keys.dim());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let head_far_mass = |head: usize| -> Result<FarMass> {
        let double = |numbers: &ArrayView3<f32>, head: usize| numbers.index_axis(Axis(0), head).mapv(f64::from);
        let (queries, keys): (Array2<f64>, Array2<f64>) =
            (double(&queries, head), double(&keys, head / (heads / key_heads)));
        let row_far_mass = |row: usize| {
            cancel.check()?;
            let mut logits = keys.slice(s![..=row, ..]).dot(&queries.row(row)) * scale;
            if let Some(cap) = logit_softcap {
                logits.mapv_inplace(|logit| cap * (logit / cap).tanh());
            }
            let maximum = logits.fold(f64::NEG_INFINITY, |maximum, logit| maximum.max(*logit));
            let weights = logits.mapv(|logit| (logit - maximum).exp());
            let weights = &weights / weights.sum();
            let far = weights.slice(s![far.keys(row)]);
            Ok(FarMass { mass: far.sum(), square_mass: far.dot(&far) })
        };
        (0..length).map(row_far_mass).sum()
    };
    (0..heads).into_par_iter().map(head_far_mass).collect()
}
