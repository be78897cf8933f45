//! Far mass streamed from queries and keys, without ever holding the map.

use std::f64::consts::LOG2_E;

use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::blocks::BlockAttention;
use super::kernel::{FarSums, Kernel, PANEL, ProfileSums, Query, RowSums, Tile};
use super::{FarMass, FarRegion, InstructionSet, ProfiledMass};
use crate::error::{Error, ErrorKind, Result};

/// Queries of one tile. Its keys are read from memory once for all of them.
const TILE: usize = 96;

/// The keys of one window, laid out for the kernel: `[key_value_heads][panel][head_size][PANEL]`.
pub struct PackedKeys {
    panels: Vec<f32>,
    heads: usize,
    length: usize,
    head_size: usize,
}

impl PackedKeys {
    /// Packs keys `[key_value_heads, L, head_size]`, rotary embedding applied.
    pub fn new(keys: ArrayView3<f32>) -> Self {
        let mut packed = Self::zeros(keys.dim());
        packed.set(0, keys).expect("room for just these keys");
        packed
    }

    /// Room for keys `[key_value_heads, L, head_size]`, which [`set`](Self::set) fills part by part.
    pub fn zeros((heads, length, head_size): (usize, usize, usize)) -> Self {
        let panels = vec![0.0; heads * length.div_ceil(PANEL) * head_size * PANEL];
        Self { panels, heads, length, head_size }
    }

    /// Packs the keys `[key_value_heads, count, head_size]` of the positions from `first` on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where there is no room for just such keys.
    pub fn set(&mut self, first: usize, keys: ArrayView3<f32>) -> Result<()> {
        let (heads, count, head_size) = keys.dim();
        if (heads, head_size) != (self.heads, self.head_size) || count > self.length.saturating_sub(first) {
            let message = format!("keys {:?} from position {first} on have no room among {:?}", keys.dim(), self.dim());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let panels_per_head = self.length.div_ceil(PANEL);
        let given = first..first + count;
        let touched = first / PANEL..given.end.div_ceil(PANEL);
        let panels = self.panels.par_chunks_mut((head_size * PANEL).max(1)).enumerate();
        panels.filter(|(index, _)| touched.contains(&(index % panels_per_head))).for_each(|(index, panel)| {
            let (head, start) = (index / panels_per_head, index % panels_per_head * PANEL);
            for position in start.max(given.start)..given.end.min(start + PANEL) {
                for column in 0..head_size {
                    panel[column * PANEL + position - start] = keys[[head, position - first, column]];
                }
            }
        });
        Ok(())
    }

    /// `[key_value_heads, L, head_size]`.
    pub fn dim(&self) -> (usize, usize, usize) {
        (self.heads, self.length, self.head_size)
    }

    /// The means of blocks of `panels_per_block` panels of keys, `[key_value_heads, head_size, blocks]`; 0 where there are
    /// fewer than `blocks`.
    pub(super) fn block_means(&self, panels_per_block: usize, blocks: usize) -> Array3<f32> {
        let block_length = panels_per_block * PANEL;
        let mut means = Array3::zeros((self.heads, self.head_size, blocks));
        for head in 0..self.heads {
            let blocks = self.head(head).chunks(panels_per_block * self.head_size * PANEL);
            for (block, panels) in blocks.enumerate() {
                let count = block_length.min(self.length - block * block_length) as f32;
                let mut sums = means.slice_mut(s![head, .., block]);
                for panel in panels.chunks_exact(self.head_size * PANEL) {
                    // Places after the last key hold zeros.
                    let columns = panel.chunks_exact(PANEL).map(|lanes| lanes.iter().sum::<f32>());
                    sums.iter_mut().zip(columns).for_each(|(sum, column)| *sum += column / count);
                }
            }
        }
        means
    }

    fn head(&self, head: usize) -> &[f32] {
        let size = self.panels.len() / self.heads;
        &self.panels[head * size..][..size]
    }
}

/// Causal softmax attention of one window, reduced to far mass row by row.
///
/// For each row the kernel keeps a running maximum `m` of the logits `x_i` and the sums `Z = Σ e^(x_i−m)` over all
/// keys up to the row, `F1 = Σ e^(x_i−m)` and `F2 = Σ e^(2(x_i−m))` over the far ones; the row's far mass is then
/// `F1/Z` and `F2/Z²`. Results have the same bits for any number of threads.
pub struct StreamingAttention {
    keys: PackedKeys,
    scale: f32,
    /// In the units of logits to base two.
    softcap: Option<f32>,
    far: FarRegion,
    kernel: Kernel,
}

impl StreamingAttention {
    /// Attention over `keys` whose logits are `scale` times the product of query and key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where this machine lacks `instruction_set`.
    pub fn new(keys: PackedKeys, scale: f64, far: FarRegion, instruction_set: InstructionSet) -> Result<Self> {
        let kernel = Kernel::new(instruction_set)?;
        Ok(Self { keys, scale: (scale * LOG2_E) as f32, softcap: None, far, kernel })
    }

    /// The same attention with each logit `x` made `cap · tanh(x / cap)` before the softmax, for a `cap` above 0.
    #[must_use]
    pub fn with_logit_softcap(self, cap: Option<f64>) -> Self {
        Self { softcap: cap.map(|cap| (cap * LOG2_E) as f32), ..self }
    }

    /// The far mass of some rows: `queries` is `[heads, rows, head_size]`, `rows` their positions in rising order, and
    /// the result is `[heads, rows]`. Query heads that share a key head are neighbours.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where shapes contradict each other or the keys, or rows do not rise or lie past
    /// the last key.
    pub fn far_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Result<Array2<FarMass>> {
        self.masses::<FarSums>(queries, rows)
    }

    /// The far mass of some rows as [`far_masses`](Self::far_masses) gives it, in the same bits, and their mass by
    /// distance: `Σ e^(x_i−m) / Z` over the keys of each bucket, but for the sinks.
    ///
    /// # Errors
    /// Those of [`far_masses`](Self::far_masses).
    pub fn profiled_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Result<Array2<ProfiledMass>> {
        self.masses::<ProfileSums>(queries, rows)
    }

    fn masses<Sums>(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Result<Array2<Sums::Mass>>
    where
        Sums: RowSums<Mass: Default + Clone + Send>,
    {
        self.check(&queries, rows)?;
        let queries = queries.as_standard_layout();
        let (heads, row_count, head_size) = queries.dim();
        let group = heads / self.keys.heads;
        let tile_rows = (TILE / group).max(1);
        let tiles: Vec<_> = (0..self.keys.heads)
            .flat_map(|key_head| (0..row_count).step_by(tile_rows).map(move |first| (key_head, first)))
            .collect();

        let tile_masses = |&(key_head, first): &(usize, usize)| {
            let rows = rows[first..].iter().take(tile_rows).enumerate();
            let tile_queries: Vec<_> = rows
                .flat_map(|(offset, &row)| (0..group).map(move |member| (offset, row, member)))
                .map(|(offset, row, member)| {
                    let numbers = queries.index_axis(Axis(0), key_head * group + member);
                    let numbers = numbers.index_axis_move(Axis(0), first + offset);
                    Query { row, numbers: numbers.to_slice().expect("queries are in standard layout") }
                })
                .collect();
            self.kernel.run(Tile {
                queries: &tile_queries,
                scale: self.scale,
                softcap: self.softcap,
                panels: self.keys.head(key_head),
                head_size,
                far: self.far,
                none: Sums::NONE,
            })
        };
        // The last rows see the most keys: begun first, they leave no thread waiting at the end.
        let results: Vec<_> = tiles.par_iter().rev().with_max_len(1).map(tile_masses).collect();

        let mut masses = Array2::default((heads, row_count));
        for ((key_head, first), result) in tiles.into_iter().rev().zip(results) {
            for (index, mass) in result.into_iter().enumerate() {
                masses[[key_head * group + index % group, first + index / group]] = mass;
            }
        }
        Ok(masses)
    }

    /// Which entries count as far.
    pub(super) fn far(&self) -> FarRegion {
        self.far
    }

    /// The same attention with keys summed up in blocks.
    pub(super) fn blocks(&self) -> BlockAttention {
        BlockAttention::new(&self.keys, self.scale, self.softcap, self.far, self.kernel)
    }

    fn check(&self, queries: &ArrayView3<f32>, rows: &[usize]) -> Result<()> {
        let (heads, row_count, head_size) = queries.dim();
        let keys = &self.keys;
        let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
        if keys.heads == 0 || heads == 0 || heads % keys.heads != 0 {
            return wrong(format!("{heads} query heads cannot share {} key heads", keys.heads));
        }
        if head_size != keys.head_size || head_size == 0 {
            return wrong(format!("queries have head size {head_size} and keys {}", keys.head_size));
        }
        if row_count != rows.len() {
            return wrong(format!("{row_count} queries cannot stand at {} positions", rows.len()));
        }
        if !rows.is_sorted_by(|a, b| a < b) || rows.last().is_some_and(|last| *last >= keys.length) {
            return wrong(format!("query positions must rise and lie below the {} keys", keys.length));
        }
        Ok(())
    }
}
