use std::ffi::c_void;
use std::iter;
use std::num::NonZeroUsize;
use std::ptr;

use super::argument::Output;
use super::score::{
    LONGATTN_DISTANCE_BUCKETS, check_heads, check_layers, layers_of, longattn_distance_profile, longattn_head_score,
    longattn_layer_score,
};
use crate::config::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Scorer;
use crate::score::Score;

/// On how many rows longattn_scorer_score_many_details() scores windows, and what it tells beside the scores. Begin with all
/// zeros: what is NULL is not told. The buffers are the caller's. Of a window without a score, and past what a window has,
/// they are set to 0. The struct is read during the call, and not kept. Its size never changes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct longattn_details {
    /// Whether `rows` counts, and not the setting.
    pub has_rows: bool,
    /// About how many rows of attention to compute, at least 320; 0 for all. Only a package of the contract query-key takes less
    /// time for fewer rows; the others compute all.
    pub rows: usize,
    /// Unless NULL, a buffer of `head_capacity` heads for each window, one after the other, in the model's order.
    pub heads: *mut longattn_head_score,
    /// At least longattn_scorer_head_count(), or more where the model does not tell that.
    pub head_capacity: usize,
    /// Unless NULL, a buffer of `layer_capacity` layers for each window, in the order of the package.
    pub layers: *mut longattn_layer_score,
    /// At least longattn_scorer_layer_count().
    pub layer_capacity: usize,
    /// Unless NULL, a buffer of a profile for each window. The scorer must have been opened with the setting profile at true.
    pub profiles: *mut longattn_distance_profile,
    /// NULL: for what later versions tell.
    pub reserved: [*mut c_void; 4],
}

impl Default for longattn_details {
    fn default() -> Self {
        Self {
            has_rows: false,
            rows: 0,
            heads: ptr::null_mut(),
            head_capacity: 0,
            layers: ptr::null_mut(),
            layer_capacity: 0,
            profiles: ptr::null_mut(),
            reserved: [ptr::null_mut(); 4],
        }
    }
}

impl longattn_details {
    /// Those of scores on about so many rows, or on all for 0.
    pub fn on_rows(rows: usize) -> Self {
        Self { has_rows: true, rows, ..Self::default() }
    }

    /// The rows to compute, which the setting says unless these do.
    pub fn rows(&self, setting: Rows) -> Rows {
        match self.has_rows {
            true => NonZeroUsize::new(self.rows).map_or(Rows::All, Rows::Sample),
            false => setting,
        }
    }
}

/// Where the details of many windows go.
pub struct DetailsOutput {
    heads: Output<longattn_head_score>,
    heads_each: usize,
    layers: Output<longattn_layer_score>,
    layers_each: usize,
    layer_numbers: Vec<usize>,
    profiles: Output<longattn_distance_profile>,
}

impl DetailsOutput {
    /// Refuses buffers that are too small, and what the scorer does not tell.
    ///
    /// # Safety
    /// The pointers are NULL, or valid for writes of `count` times what the capacities say for as long as this lives.
    pub unsafe fn new(details: &longattn_details, count: usize, scorer: &Scorer) -> Result<Self> {
        if details.reserved.iter().any(|pointer| !pointer.is_null()) {
            let message = "the reserved pointers of the details are not all NULL: begin with a struct of zeros";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let heads_each = if details.heads.is_null() { 0 } else { details.head_capacity };
        let layers_each = if details.layers.is_null() { 0 } else { details.layer_capacity };
        let profiles_each = usize::from(!details.profiles.is_null());
        if !details.heads.is_null() {
            check_heads(heads_each, scorer.description().heads.unwrap_or(0))?;
        }
        if !details.layers.is_null() {
            check_layers(layers_of(scorer), layers_each)?;
        }
        if !details.profiles.is_null() {
            check_profile(scorer)?;
        }
        // SAFETY: the same promise. A length that overflows is none that memory can have, which is refused.
        unsafe {
            Ok(Self {
                heads: Output::many(details.heads, count.saturating_mul(heads_each), "heads")?,
                heads_each,
                layers: Output::many(details.layers, count.saturating_mul(layers_each), "layers")?,
                layers_each,
                layer_numbers: layers_of(scorer).to_vec(),
                profiles: Output::many(details.profiles, count.saturating_mul(profiles_each), "profiles")?,
            })
        }
    }

    pub fn set(self, scores: &[Result<Score>]) -> Result<()> {
        let scored = || scores.iter().map(|score| score.as_ref().ok());
        if self.heads_each > 0 {
            let most = scored().flatten().map(|score| score.heads.len()).max();
            check_heads(self.heads_each, most.unwrap_or(0))?;
        }
        self.heads.set(scored().flat_map(|score| {
            let heads = score.map_or(&[][..], |score| &score.heads);
            padded(heads.iter().map(Into::into), self.heads_each)
        }));
        self.layers.set(scored().flat_map(|score| {
            let layers = score.map_or_else(Vec::new, |score| score.layers(self.layer_numbers.len()));
            let numbered = self.layer_numbers.clone().into_iter().zip(layers);
            padded(numbered.map(|(number, layer)| (&number, layer).into()), self.layers_each)
        }));
        self.profiles.set(scored().map(|score| match score.and_then(|score| score.profile.as_ref()) {
            Some(profile) => profile.into(),
            None => longattn_distance_profile { bucket_count: 0, shares: [0.0; LONGATTN_DISTANCE_BUCKETS] },
        }));
        Ok(())
    }
}

/// As many items as there is room for, zeros after the last.
fn padded<T: Default + Clone>(items: impl Iterator<Item = T>, room: usize) -> impl Iterator<Item = T> {
    items.chain(iter::repeat(T::default())).take(room)
}

/// Refuses a scorer whose scores have no distance profile, before it computes one.
pub fn check_profile(scorer: &Scorer) -> Result<()> {
    if scorer.config().profile {
        return Ok(());
    }
    let message = "the scorer gives no distance profile: open it with the setting profile at true";
    Err(Error::new(ErrorKind::InvalidSetting, message))
}
