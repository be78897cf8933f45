use ndarray::ArrayView3;

use super::argument::{Output, array, optional};
use super::config::longattn_config;
use super::error::{Status, longattn_error};
use super::guard;
use crate::attention::{DISTANCE_BUCKETS, FarRegion};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Scorer;
use crate::process::in_parallel;
use crate::score::{DistanceProfile, HeadScore, LayerScore, Score};

/// Buckets that a distance profile has room for. They are enough for windows of any length: the last holds whatever is
/// farther than those before it reach.
pub const LONGATTN_DISTANCE_BUCKETS: usize = 32;

// The header takes its numbers from these files alone, so this one stands here again.
const _: () = assert!(LONGATTN_DISTANCE_BUCKETS == DISTANCE_BUCKETS);

/// The score of one window. Its size never changes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct longattn_score {
    /// Tokens scored, special ones included.
    pub token_count: u64,
    /// Shortest distance that counted as far, in tokens.
    pub min_distance: u64,
    /// First positions that never counted as far.
    pub sink_tokens: u64,
    /// Heads that were scored.
    pub head_count: u64,
    /// Dependency strength DS, Eq. 5: the mean of the heads' proportions; from 0 to 1, larger reaches farther.
    pub dependency_strength: f64,
    /// Distribution uniformity DU, Eq. 7: minus the mean of the heads' variances; at most 0, larger is more even.
    pub distribution_uniformity: f64,
    /// Rows of attention that are known: `token_count`, or fewer where the setting rows asked for an estimate.
    pub rows: u64,
    /// Standard error of DS; 0 where all rows are known.
    pub dependency_strength_error: f64,
    /// Standard error of DU; 0 where all rows are known.
    pub distribution_uniformity_error: f64,
    /// Tokens at the end of the window past the positions that the model was trained for, whose attention is a guess; 0 where
    /// there are none, and where the model does not tell.
    pub untrained_tokens: u64,
    /// Far square mass: the mean over heads of the squares of far weights, summed over a token's and averaged over tokens; from
    /// 0 to `dependency_strength`, larger is more concentrated. 0 by a library before it had this name.
    pub far_square_mass: f64,
    /// 0 until a later version gives it a meaning.
    pub reserved: [u64; 2],
}

/// What one head says of a window.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct longattn_head_score {
    /// Mean share of a token's attention that reaches far back, from 0 to 1.
    pub proportion: f64,
    /// Variance of the far weights by the setting `variance_domain`, at least 0; smaller is more even. Unless set, it is that of
    /// all `L²` entries of the map, those that are not far being 0, divided by `L² − 1`.
    pub variance: f64,
}

/// What one of several layers that are scored together says of a window. Its size never changes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct longattn_layer_score {
    /// The layer of the model, 0 for the first.
    pub layer: u64,
    /// DS of this layer alone.
    pub dependency_strength: f64,
    /// DU of this layer alone.
    pub distribution_uniformity: f64,
    /// Far square mass of this layer alone, as longattn_score has it; 0 by a library before it had this name.
    pub far_square_mass: f64,
    /// 0 until a later version gives it a meaning.
    pub reserved: [u64; 2],
}

/// How far back attention reaches in one window: the mean share of a token's attention by distance, in buckets that begin
/// at powers of two. Bucket 0 is the distance 0, a token's attention to itself, and bucket `b` the distances from
/// `2^(b-1)` to `2^b - 1`: 1, 2 to 3, 4 to 7 and so on. Its size never changes.
///
/// The sum from a bucket on is DS for the min_distance at which the bucket begins; min_distance itself plays no part.
/// The first sink_tokens of the window are in no bucket, so what the buckets lack of 1 is their share.
#[repr(C)]
pub struct longattn_distance_profile {
    /// Buckets up to the one that holds the window's longest distance, `token_count - 1`; from 2 to
    /// LONGATTN_DISTANCE_BUCKETS.
    pub bucket_count: u64,
    /// The share of each bucket, from 0 to 1, averaged over heads; 0 from `bucket_count` on.
    pub shares: [f64; LONGATTN_DISTANCE_BUCKETS],
}

impl From<&Score> for longattn_score {
    fn from(score: &Score) -> Self {
        Self {
            token_count: score.token_count as u64,
            min_distance: score.far.min_distance as u64,
            sink_tokens: score.far.sink_tokens as u64,
            head_count: score.heads.len() as u64,
            dependency_strength: score.dependency_strength,
            distribution_uniformity: score.distribution_uniformity,
            rows: score.rows as u64,
            dependency_strength_error: score.dependency_strength_error,
            distribution_uniformity_error: score.distribution_uniformity_error,
            untrained_tokens: score.untrained_tokens as u64,
            far_square_mass: score.far_square_mass(),
            reserved: [0; 2],
        }
    }
}

impl From<&HeadScore> for longattn_head_score {
    fn from(head: &HeadScore) -> Self {
        Self { proportion: head.proportion, variance: head.variance }
    }
}

impl From<(&usize, LayerScore)> for longattn_layer_score {
    fn from((layer, score): (&usize, LayerScore)) -> Self {
        let LayerScore { dependency_strength, distribution_uniformity, far_square_mass, .. } = score;
        Self { layer: *layer as u64, dependency_strength, distribution_uniformity, far_square_mass, reserved: [0; 2] }
    }
}

impl From<&DistanceProfile> for longattn_distance_profile {
    fn from(profile: &DistanceProfile) -> Self {
        let mut shares = [0.0; LONGATTN_DISTANCE_BUCKETS];
        shares[..profile.mean.len()].copy_from_slice(&profile.mean);
        Self { bucket_count: profile.mean.len() as u64, shares }
    }
}

/// Where the score of a window goes, and those of its heads if they are wanted.
pub struct ScoreOutput {
    score: Output<longattn_score>,
    heads: Output<longattn_head_score>,
}

impl ScoreOutput {
    /// # Safety
    /// The pointers are NULL, or valid for writes for as long as this lives.
    pub unsafe fn new(
        score: *mut longattn_score,
        heads: *mut longattn_head_score,
        head_capacity: usize,
    ) -> Result<Self> {
        // SAFETY: the same promise.
        unsafe { Ok(Self { score: Output::one(score, "score")?, heads: Output::many(heads, head_capacity, "heads")? }) }
    }

    /// Refuses a buffer that is too small for `heads`.
    pub fn check_heads(&self, heads: usize) -> Result<()> {
        match self.heads.capacity() {
            0 => Ok(()),
            capacity => check_heads(capacity, heads),
        }
    }

    pub fn set(self, score: &Score) -> Result<()> {
        self.check_heads(score.heads.len())?;
        self.score.set([score.into()]);
        self.heads.set(score.heads.iter().map(Into::into));
        Ok(())
    }
}

/// Refuses a capacity that is too small for the heads of a window.
pub fn check_heads(capacity: usize, heads: usize) -> Result<()> {
    if capacity >= heads {
        return Ok(());
    }
    let message = format!("head_capacity is {capacity}, and the window has {heads} heads");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// The layers that the package says its scores are of.
pub fn layers_of(scorer: &Scorer) -> &[usize] {
    scorer.description().metadata.as_ref().map_or(&[], |metadata| &metadata.layers)
}

/// Refuses a capacity that is too small for the layers of a package, and one that does not tell them.
pub fn check_layers(layers: &[usize], capacity: usize) -> Result<()> {
    if layers.is_empty() {
        let message = "the model does not tell which layers it scores: export its checkpoint with `longattn export`";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if layers.len() > capacity {
        let message = format!("layer_capacity is {capacity}, and the package has {} layers", layers.len());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    Ok(())
}

/// Scores a window from the attention map of your own inference: `map` is `[heads, length, length]` in row-major order,
/// softmax weights, row `n` holding what token `n` gives. Entries above the diagonal are not read.
///
/// `config`, or the defaults for NULL, gives the settings min_distance (auto is a quarter of `length`), sink_tokens (auto
/// is 0) and variance_domain. `heads_out` is as in longattn_scorer_score(). Any threads may call it at once; it
/// computes on a pool of one thread for each core that all calls share.
///
/// LONGATTN_STATUS_TOO_SHORT for a `length` below 2, LONGATTN_STATUS_NON_FINITE for NaN or infinity up to the diagonal,
/// LONGATTN_STATUS_INVALID_ARGUMENT for no heads, for rows whose weights are negative or do not sum to 1, within 0.02, and for
/// sizes that no memory can have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_score_map(
    map: *const f32,
    heads: usize,
    length: usize,
    config: *const longattn_config,
    heads_out: *mut longattn_head_score,
    head_capacity: usize,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory of these dimensions, and places to write to.
        let (map, config, output) = unsafe {
            (
                tensor(map, [heads, length, length], "map")?,
                optional(config, "config")?,
                ScoreOutput::new(score, heads_out, head_capacity)?,
            )
        };
        output.check_heads(heads)?;
        let config = settings(config);
        let far = far_region(&config, length);
        output.set(&in_parallel(|| Score::from_map(map, far, config.variance_domain))??)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Scores a window from the queries and keys of your own inference, in memory linear in `length`: `queries` is
/// `[heads, length, head_size]` and `keys` `[key_value_heads, length, head_size]`, both in row-major order with the rotary
/// embedding applied. Query heads that share a key head are neighbours. Logits are `scale` times the product of query and
/// key, usually `1 / sqrt(head_size)`.
///
/// `config`, or the defaults for NULL, gives the settings min_distance (auto is a quarter of `length`), sink_tokens (auto
/// is 0), variance_domain, instruction_set and precision (auto is float32). `heads_out` is as in longattn_scorer_score().
/// Any threads may call it at once; it computes on a pool of one thread for each core that all calls share.
///
/// LONGATTN_STATUS_TOO_SHORT for a `length` below 2, LONGATTN_STATUS_NON_FINITE for NaN or infinity in what was given,
/// LONGATTN_STATUS_INVALID_ARGUMENT for dimensions that contradict each other or that no memory can have,
/// LONGATTN_STATUS_INVALID_SETTING where this machine lacks the instruction set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_score_query_key(
    queries: *const f32,
    heads: usize,
    keys: *const f32,
    key_value_heads: usize,
    length: usize,
    head_size: usize,
    scale: f64,
    config: *const longattn_config,
    heads_out: *mut longattn_head_score,
    head_capacity: usize,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory of these dimensions, and places to write to.
        let (queries, keys, config, output) = unsafe {
            (
                tensor(queries, [heads, length, head_size], "queries")?,
                tensor(keys, [key_value_heads, length, head_size], "keys")?,
                optional(config, "config")?,
                ScoreOutput::new(score, heads_out, head_capacity)?,
            )
        };
        output.check_heads(heads)?;
        let config = settings(config);
        let far = far_region(&config, length);
        let Config { variance_domain, instruction_set, precision, .. } = config;
        let precision = precision.unwrap_or_default();
        let score = || Score::from_query_key(queries, keys, scale, far, variance_domain, instruction_set, precision);
        output.set(&in_parallel(score)??)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

fn settings(config: Option<&longattn_config>) -> Config {
    config.map_or_else(Config::default, |config| config.0.clone())
}

fn far_region(config: &Config, length: usize) -> FarRegion {
    FarRegion { min_distance: config.min_distance.unwrap_or(length / 4), sink_tokens: config.sink_tokens.unwrap_or(0) }
}

/// # Safety
/// `pointer` is NULL, or valid for reads of an array of this shape for as long as the view lives.
unsafe fn tensor<'a>(pointer: *const f32, shape: [usize; 3], name: &str) -> Result<ArrayView3<'a, f32>> {
    let too_large = || {
        let message = format!("{name} cannot have the shape {shape:?}: no memory is that large");
        Error::new(ErrorKind::InvalidArgument, message)
    };
    let size = shape.iter().try_fold(1usize, |size, dimension| size.checked_mul(*dimension)).ok_or_else(too_large)?;
    // SAFETY: the same promise.
    let numbers = unsafe { array(pointer, size, name) }?;
    ArrayView3::from_shape(shape, numbers).map_err(|_| too_large())
}
