//! Keys laid out for the kernel.

use ndarray::{Array2, ArrayView3, s};
use rayon::prelude::*;

use super::kernel::{Float32Panels, PANEL, finite_or_nan};
use crate::error::{Error, ErrorKind, Result};

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
            let columns = panel.as_chunks_mut::<PANEL>().0;
            for position in start.max(given.start)..given.end.min(start + PANEL) {
                let key = keys.slice(s![head, position - first, ..]);
                columns
                    .iter_mut()
                    .zip(key)
                    .for_each(|(column, number)| column[position - start] = finite_or_nan(*number));
            }
        });
        Ok(())
    }

    /// `[key_value_heads, L, head_size]`.
    pub fn dim(&self) -> (usize, usize, usize) {
        (self.heads, self.length, self.head_size)
    }

    /// Some keys of one head, `[positions, head_size]`.
    pub(super) fn select(&self, head: usize, positions: impl ExactSizeIterator<Item = usize>) -> Array2<f32> {
        let mut keys = Array2::zeros((positions.len(), self.head_size));
        for (mut key, position) in keys.outer_iter_mut().zip(positions) {
            let columns = self.panel(head, position / PANEL);
            key.iter_mut().zip(columns).for_each(|(number, column)| *number = column[position % PANEL]);
        }
        keys
    }

    /// The keys of a panel side by side, `[head_size][PANEL]`.
    pub(super) fn panel(&self, head: usize, panel: usize) -> &[[f32; PANEL]] {
        &self.head(head).as_chunks().0[panel * self.head_size..][..self.head_size]
    }

    fn head(&self, head: usize) -> &[f32] {
        let size = self.panels.len() / self.heads;
        &self.panels[head * size..][..size]
    }

    /// The keys of one head for the kernel.
    pub(super) fn panels(&self, head: usize) -> Float32Panels<'_> {
        Float32Panels { numbers: self.head(head), head_size: self.head_size }
    }
}
