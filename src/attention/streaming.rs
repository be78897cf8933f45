//! Far mass streamed from queries and keys, without ever holding the map.

use std::f64::consts::LOG2_E;
use std::sync::OnceLock;

use ndarray::{Array2, ArrayView3, Axis, CowArray, Ix3};

use super::int16::Int16Keys;
use super::kernel::{FarSums, Kernel, ProfileSums, Query, RowSums, Tile, finite_or_nan};
use super::packed::PackedKeys;
use super::workers::{CallingPool, Workers};
use super::{FarMass, FarRegion, InstructionSet, Precision, ProfiledMass};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// Queries of one tile. Its keys are read from memory once for all of them.
const TILE: usize = 96;

/// Keys in the numbers in which they are multiplied.
pub(super) enum Keys {
    Float32(PackedKeys),
    Int16(Int16Keys),
}

impl Keys {
    /// `[key_value_heads, L, head_size]`.
    pub(super) fn dim(&self) -> (usize, usize, usize) {
        match self {
            Self::Float32(keys) => keys.dim(),
            Self::Int16(keys) => keys.dim(),
        }
    }

    /// Some keys of one head, `[positions, head_size]`.
    pub(super) fn select(&self, head: usize, positions: impl ExactSizeIterator<Item = usize>) -> Array2<f32> {
        match self {
            Self::Float32(keys) => keys.select(head, positions),
            Self::Int16(keys) => keys.select(head, positions),
        }
    }
}

/// Causal softmax attention of one window, reduced to far mass row by row.
///
/// For each row the kernel keeps a running maximum `m` of the logits `x_i` and the sums `Z = Σ e^(x_i−m)` over all
/// keys up to the row, `F1 = Σ e^(x_i−m)` and `F2 = Σ e^(2(x_i−m))` over the far ones; the row's far mass is then
/// `F1/Z` and `F2/Z²`. Results have the same bits for any number of threads.
pub struct StreamingAttention {
    pub(super) keys: Keys,
    pub(super) scale: f32,
    /// In the units of logits to base two.
    pub(super) softcap: Option<f32>,
    pub(super) far: FarRegion,
    pub(super) kernel: Kernel,
    cancel: Cancel,
}

impl StreamingAttention {
    /// Attention over `keys` whose logits are `scale` times the product of query and key. Of `scale` the part is taken that
    /// float32 holds, as operators of attention do.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where this machine lacks `instruction_set`.
    pub fn new(keys: PackedKeys, scale: f64, far: FarRegion, instruction_set: InstructionSet) -> Result<Self> {
        let kernel = Kernel::new(instruction_set)?;
        let scale = finite_or_nan(to_base_two(scale));
        Ok(Self { keys: Keys::Float32(keys), scale, softcap: None, far, kernel, cancel: Cancel::default() })
    }

    /// The same attention with products of queries and keys in another precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        match (precision, &self.keys) {
            (Precision::Int16, Keys::Float32(keys)) => Self { keys: Keys::Int16(Int16Keys::new(keys)), ..self },
            _ => self,
        }
    }

    /// The same attention with each logit `x` made `cap · tanh(x / cap)` before the softmax, for a `cap` above 0.
    #[must_use]
    pub fn with_logit_softcap(self, cap: Option<f64>) -> Self {
        Self { softcap: cap.map(to_base_two), ..self }
    }

    /// The same attention with another far region.
    #[must_use]
    pub fn with_far_region(self, far: FarRegion) -> Self {
        Self { far, ..self }
    }

    /// The same attention, which stops with [`ErrorKind::Cancelled`] when `cancel` says so.
    #[must_use]
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// The far mass of some rows: `queries` is `[heads, rows, head_size]`, `rows` their positions in rising order, and
    /// the result is `[heads, rows]`. Query heads that share a key head are neighbours.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where shapes contradict each other or the keys, or rows do not rise or lie past
    /// the last key.
    pub fn far_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Result<Array2<FarMass>> {
        self.far_masses_by(&CallingPool, queries, rows)
    }

    /// The far mass as [`far_masses`](Self::far_masses) gives it, in the same bits, computed by some workers.
    ///
    /// # Errors
    /// Those of [`far_masses`](Self::far_masses).
    pub fn far_masses_by(
        &self,
        workers: &dyn Workers,
        queries: ArrayView3<f32>,
        rows: &[usize],
    ) -> Result<Array2<FarMass>> {
        self.masses::<FarSums>(workers, queries, rows, |_, _| true)
    }

    /// The far mass as [`far_masses`](Self::far_masses) gives it, but only of those `wanted`, by head and index of the row.
    pub(super) fn far_masses_of(
        &self,
        queries: ArrayView3<f32>,
        rows: &[usize],
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Result<Array2<FarMass>> {
        self.masses::<FarSums>(&CallingPool, queries, rows, wanted)
    }

    /// The far mass of some rows as [`far_masses`](Self::far_masses) gives it, in the same bits, and their mass by
    /// distance: `Σ e^(x_i−m) / Z` over the keys of each bucket, but for the sinks.
    ///
    /// # Errors
    /// Those of [`far_masses`](Self::far_masses).
    pub fn profiled_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Result<Array2<ProfiledMass>> {
        self.masses::<ProfileSums>(&CallingPool, queries, rows, |_, _| true)
    }

    fn masses<Sums>(
        &self,
        workers: &dyn Workers,
        queries: ArrayView3<f32>,
        rows: &[usize],
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Result<Array2<Sums::Mass>>
    where
        Sums: RowSums<Mass: Default + Clone + Send + Sync>,
    {
        self.check(&queries, rows)?;
        let queries = with_whole_rows(queries);
        let (heads, row_count, _) = queries.dim();
        let key_heads = self.keys.dim().0;
        let group = heads / key_heads;
        let mut tiles: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
        for key_head in 0..key_heads {
            let places =
                (0..row_count).flat_map(|index| (0..group).map(move |member| (key_head * group + member, index)));
            let places: Vec<_> = places.filter(|(head, index)| wanted(*head, *index)).collect();
            tiles.extend(places.chunks(TILE).map(|places| (key_head, places.to_vec())));
        }

        let tile_masses = |(key_head, places): &(usize, Vec<(usize, usize)>)| {
            let query = |(head, index): &(usize, usize)| {
                let numbers = queries.index_axis(Axis(0), *head).index_axis_move(Axis(0), *index);
                Query { row: rows[*index], numbers: numbers.to_slice().expect("whole rows") }
            };
            let queries: Vec<_> = places.iter().map(query).collect();
            self.cancel.check()?;
            Ok(self.tile_masses(*key_head, &queries, Sums::NONE))
        };
        // The last rows see the most keys: begun first, they leave no thread waiting at the end.
        tiles.reverse();
        let results: Vec<_> = tiles.iter().map(|_| OnceLock::new()).collect();
        workers.share(tiles.len(), &|tile| _ = results[tile].set(tile_masses(&tiles[tile])));

        let mut masses = Array2::default((heads, row_count));
        for ((_, places), result) in tiles.into_iter().zip(results) {
            let result = result.into_inner().expect("all pieces are done")?;
            places.into_iter().zip(result).for_each(|(place, mass)| masses[place] = mass);
        }
        Ok(masses)
    }

    fn tile_masses<Sums: RowSums>(&self, key_head: usize, queries: &[Query], none: Sums) -> Vec<Sums::Mass> {
        let Self { scale, softcap, far, .. } = *self;
        match &self.keys {
            Keys::Float32(keys) => {
                self.kernel.run(Tile { queries, scale, softcap, keys: keys.panels(key_head), far, none })
            }
            Keys::Int16(keys) => {
                self.kernel.run_int16(Tile { queries, scale, softcap, keys: keys.head(key_head), far, none })
            }
        }
    }

    fn check(&self, queries: &ArrayView3<f32>, rows: &[usize]) -> Result<()> {
        check_heads(queries.dim(), self.keys.dim())?;
        let (row_count, length) = (queries.dim().1, self.keys.dim().1);
        let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
        if row_count != rows.len() {
            return wrong(format!("{row_count} queries cannot stand at {} positions", rows.len()));
        }
        if !rows.is_sorted_by(|a, b| a < b) || rows.last().is_some_and(|last| *last >= length) {
            return wrong(format!("query positions must rise and lie below the {length} keys"));
        }
        Ok(())
    }
}

/// A factor on logits as one on logits to base two.
fn to_base_two(factor: f64) -> f32 {
    (f64::from(factor as f32) * LOG2_E) as f32
}

/// Refuses queries `[heads, any, head_size]` that cannot attend to keys `[key_value_heads, any, head_size]`.
pub(crate) fn check_heads(queries: (usize, usize, usize), keys: (usize, usize, usize)) -> Result<()> {
    let ((heads, _, head_size), (key_heads, _, key_size)) = (queries, keys);
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    if key_heads == 0 || heads == 0 || heads % key_heads != 0 {
        return wrong(format!("{heads} query heads cannot share {key_heads} key heads"));
    }
    if head_size != key_size || head_size == 0 {
        return wrong(format!("queries have head size {head_size} and keys {key_size}"));
    }
    Ok(())
}

/// The same numbers with those of each query side by side.
pub(super) fn with_whole_rows(queries: ArrayView3<f32>) -> CowArray<f32, Ix3> {
    match queries.strides()[2] {
        1 => queries.into(),
        _ => queries.as_standard_layout().into_owned().into(),
    }
}
