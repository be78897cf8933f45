//! Which of a package's layers is scored.

use std::ops::Range;

use super::metadata::Metadata;
use crate::error::{Error, ErrorKind, Result};

/// One layer of several whose heads are stacked in the outputs of a model.
#[derive(Clone, Copy)]
pub(super) struct Layer {
    place: usize,
    layers: usize,
}

impl Layer {
    /// The layer that the setting `layer` names among those of a package; `None` where all are scored.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where the package does not have it.
    pub(super) fn chosen(setting: Option<&str>, metadata: &Metadata) -> Result<Option<Self>> {
        let Some(setting) = setting else { return Ok(None) };
        let layers = &metadata.layers;
        let place = setting.parse().ok().and_then(|layer: usize| layers.iter().position(|other| *other == layer));
        let place = place.ok_or_else(|| {
            let layers: Vec<_> = layers.iter().map(usize::to_string).collect();
            let message = format!(
                "layer cannot be {setting:?}: the package holds {}; leave it at auto for all of them, or export the checkpoint \
                 with another --layer",
                layers.join(", ")
            );
            Error::new(ErrorKind::InvalidSetting, message)
        })?;
        Ok(Some(Self { place, layers: layers.len() }))
    }

    /// Its place among the layers of the package.
    pub(super) fn place(self) -> usize {
        self.place
    }

    /// Its heads among those of all layers.
    pub(super) fn heads(layer: Option<Self>, all: usize) -> Range<usize> {
        let Some(Self { place, layers }) = layer else { return 0..all };
        let each = all / layers;
        each * place..each * (place + 1)
    }
}
