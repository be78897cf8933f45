//! Which layers an export scores.

use std::str::FromStr;

use super::decoder::MAX_LAYERS;
use crate::error::{Error, ErrorKind, Result};

/// The layers that a scorer package scores together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Every layer of the model.
    All,
    /// Some, counted from 0.
    These(Vec<usize>),
}

impl Layers {
    /// The layers, ascending and each once, of a model that has `count`.
    pub(super) fn of(&self, count: usize) -> Result<Vec<usize>> {
        let Self::These(layers) = self else { return Ok((0..count).collect()) };
        let mut layers = layers.clone();
        layers.sort_unstable();
        layers.dedup();
        let wrong = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        match layers.last() {
            None => wrong("name at least one layer".to_owned()),
            Some(layer) if *layer >= count => {
                wrong(format!("there is no layer {layer}: the model has {count}, counted from 0"))
            }
            Some(_) => Ok(layers),
        }
    }
}

/// The word for every layer.
const ALL: &str = "all";

impl FromStr for Layers {
    type Err = Error;

    /// `all`, or numbers and ranges such as `0,12-20`.
    fn from_str(text: &str) -> Result<Self> {
        if text == ALL {
            return Ok(Self::All);
        }
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        match ranges {
            Some(ranges) => Ok(Self::These(ranges.into_iter().flatten().collect())),
            None => {
                let message =
                    format!("layers cannot be {text:?}: it takes {ALL}, or numbers from 0 and ranges such as 0,12-20");
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
        }
    }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && last < MAX_LAYERS).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_numbers_ranges_and_all() {
        let of = |text: &str| text.parse::<Layers>().and_then(|layers| layers.of(30));
        assert_eq!(of("17").unwrap(), [17]);
        assert_eq!(of("12-14, 0,13").unwrap(), [0, 12, 13, 14]);
        assert_eq!(of("all").unwrap(), (0..30).collect::<Vec<_>>());
        for wrong in ["", "a", "3-2", "1,,2", "-1", "0-99999999999", "30", "12-30"] {
            assert_eq!(of(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument, "{wrong}");
        }
        assert!(Layers::These(Vec::new()).of(3).is_err());
    }
}
