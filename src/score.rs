//! Dependency strength and distribution uniformity of a window, from the far masses of its heads.

use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

use crate::attention::{
    Estimate, FarMass, FarRegion, InstructionSet, PackedKeys, Precision, ProfiledMass, StreamingAttention, check_heads,
    check_map, distance_bucket, map_far_mass,
};
use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};

/// Fewest tokens that can be scored: the variance of a map of one entry is not defined.
pub const MIN_TOKENS: usize = 2;

/// The entries over which the variance behind distribution uniformity runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarianceDomain {
    /// All `L²` entries, far ones as they are and the rest 0, divided by `L² − 1`; as the released code does.
    Map,
    /// The far entries alone, divided by their number; Eq. 7 of the paper read literally.
    Triangle,
}

impl Choice for VarianceDomain {
    const NAMES: &'static [(&'static str, Self)] = &[("map", Self::Map), ("triangle", Self::Triangle)];
}

/// What one head says of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadScore {
    /// `S1/L`, from 0 to 1: the mean share of a token's attention that reaches far back.
    pub proportion: f64,
    /// Variance of the far weights by the setting `variance_domain`, at least 0; smaller is more even. Unless set, it is that of
    /// all `L²` entries of the map, those that are not far being 0, divided by `L² − 1`.
    pub variance: f64,
    /// `S2/L`, from 0 to the proportion: how much of it is concentrated on few tokens.
    pub square_mass: f64,
}

/// What one of several layers that were scored together says of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerScore {
    /// `DS` of this layer alone.
    pub dependency_strength: f64,
    /// `DU` of this layer alone.
    pub distribution_uniformity: f64,
    /// The far square mass of this layer alone, as [`Score::far_square_mass`].
    pub far_square_mass: f64,
    /// The proportion of each of its heads, where it was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head_proportions: Vec<f64>,
}

/// The score of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// `L`, the tokens scored, special ones included.
    pub token_count: usize,
    /// The entries that counted as far.
    pub far: FarRegion,
    /// Dependency strength `DS`, Eq. 5: the mean of the heads' proportions; from 0 to 1, larger reaches farther.
    pub dependency_strength: f64,
    /// Distribution uniformity `DU`, Eq. 7: minus the mean of the heads' variances; at most 0, larger is more even.
    pub distribution_uniformity: f64,
    /// Each head, in the model's order.
    pub heads: Vec<HeadScore>,
    /// Rows of the map that are known: `L`, or fewer where the score is estimated from a sample of them.
    pub rows: usize,
    /// Standard error of `DS`; 0 where all rows are known.
    pub dependency_strength_error: f64,
    /// Standard error of `DU`; 0 where all rows are known.
    pub distribution_uniformity_error: f64,
    /// Tokens at the end of the window past the positions that the model was trained for, whose attention is a guess; 0 where
    /// there are none, and where the model does not tell.
    pub untrained_tokens: usize,
    /// How much attention reaches how far back; `None` where it was not asked for.
    pub profile: Option<DistanceProfile>,
}

/// The mean share of a token's attention by distance, in buckets that begin at powers of two.
///
/// Bucket 0 is the distance 0, a token's attention to itself, and bucket `b` the distances from `2^(b−1)` to `2^b − 1`:
/// 1, 2 to 3, 4 to 7 and so on, up to the bucket that holds `L−1` ([`bucket_start`](crate::attention::bucket_start)).
/// For head `h`
///
/// `P[h][b] = Σ M[h][n][i] / L` over the entries whose distance `n − i` is in bucket `b` and whose `i ≥ sink_tokens`.
///
/// `min_distance` plays no part. Sinks are in no bucket, so what the buckets lack of 1 is their share.
#[derive(Clone, Debug, PartialEq)]
pub struct DistanceProfile {
    /// `P[h]`, in the model's order of heads.
    pub heads: Vec<Vec<f64>>,
    /// The mean of `P[h]` over the heads.
    pub mean: Vec<f64>,
}

impl DistanceProfile {
    fn new(heads: &[ProfiledMass], length: usize) -> Self {
        let buckets = 0..=distance_bucket(length - 1);
        let share = |mass: &ProfiledMass, bucket: usize| mass.by_distance[bucket] / length as f64;
        let mean = |bucket| heads.iter().map(|mass| share(mass, bucket)).sum::<f64>() / heads.len() as f64;
        Self {
            heads: heads.iter().map(|mass| buckets.clone().map(|bucket| share(mass, bucket)).collect()).collect(),
            mean: buckets.clone().map(mean).collect(),
        }
    }

    /// Dependency strength for the `min_distance` at which a bucket begins, other things being equal: the sum of the
    /// mean from that bucket on.
    pub fn dependency_strength(&self, bucket: usize) -> f64 {
        self.mean.iter().skip(bucket).sum()
    }
}

impl Score {
    /// Scores a window from its attention map `[heads, L, L]` of softmax weights; row `n` holds what token `n` gives.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where the map is not square, and those of [`check_map`] and [`Score::new`].
    pub fn from_map(map: ArrayView3<f32>, far: FarRegion, domain: VarianceDomain) -> Result<Self> {
        let (_, rows, columns) = map.dim();
        if rows != columns {
            let message = format!("a map of {rows} rows and {columns} columns is not square");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        check_length(rows)?;
        check_map(map)?;
        Self::new(&map_far_mass(map, far), rows, far, domain)
    }

    /// Scores a window from its queries `[heads, L, head_size]` and keys `[key_value_heads, L, head_size]`, rotary
    /// embedding applied, in memory linear in `L`. Logits are `scale`, usually `1/√head_size`, times the product of query and key
    /// in `precision`. Query heads that share a key head are neighbours.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where shapes contradict each other, [`ErrorKind::InvalidSetting`] where this
    /// machine lacks `instruction_set`, and those of [`Score::new`].
    pub fn from_query_key(
        queries: ArrayView3<f32>,
        keys: ArrayView3<f32>,
        scale: f64,
        far: FarRegion,
        domain: VarianceDomain,
        instruction_set: InstructionSet,
        precision: Precision,
    ) -> Result<Self> {
        let length = keys.dim().1;
        check_length(length)?;
        // What holds nothing may be as long as no memory is.
        check_heads(queries.dim(), keys.dim())?;
        let attention = StreamingAttention::new(PackedKeys::new(keys), scale, far, instruction_set)?;
        let attention = attention.with_precision(precision);
        let rows: Vec<_> = (0..length).collect();
        let far_masses = attention.far_masses(queries, &rows)?;
        let heads: Vec<_> = far_masses.outer_iter().map(|rows| rows.iter().copied().sum()).collect();
        Self::new(&heads, length, far, domain).map_err(|error| match error.kind() {
            ErrorKind::NonFinite => error.at("queries, keys or scale are not finite, or too large"),
            _ => error,
        })
    }

    /// Scores a window of `length` tokens from the far mass of each head.
    ///
    /// # Errors
    /// [`ErrorKind::TooShort`] below [`MIN_TOKENS`], [`ErrorKind::InvalidArgument`] without heads, and
    /// [`ErrorKind::NonFinite`] where a far mass is NaN or infinite.
    ///
    /// ```
    /// use longattn::attention::{FarMass, FarRegion};
    /// use longattn::score::{Score, VarianceDomain};
    ///
    /// let far = FarRegion { min_distance: 1, sink_tokens: 0 };
    /// let heads = [FarMass { mass: 1.0, square_mass: 0.5 }];
    /// let score = Score::new(&heads, 4, far, VarianceDomain::Map)?;
    /// assert_eq!(score.dependency_strength, 0.25);
    /// assert_eq!(score.distribution_uniformity, -(0.5 - 1.0 / 16.0) / 15.0);
    /// # Ok::<(), longattn::Error>(())
    /// ```
    pub fn new(heads: &[FarMass], length: usize, far: FarRegion, domain: VarianceDomain) -> Result<Self> {
        check_length(length)?;
        if heads.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "a window cannot be scored without heads"));
        }
        check_finite(heads, |head| head.mass + head.square_mass)?;
        let head_score = |head: &FarMass| HeadScore {
            proportion: head.mass / length as f64,
            variance: variance(head, length, far, domain),
            square_mass: head.square_mass / length as f64,
        };
        let heads: Vec<_> = heads.iter().map(head_score).collect();
        let (dependency_strength, distribution_uniformity) = means(&heads);
        Ok(Self {
            token_count: length,
            far,
            dependency_strength,
            distribution_uniformity,
            heads,
            rows: length,
            dependency_strength_error: 0.0,
            distribution_uniformity_error: 0.0,
            untrained_tokens: 0,
            profile: None,
        })
    }

    /// Far square mass: the mean over heads of `S2/L`, from 0 to `DS`. A token adds the square of each far weight, so that
    /// attention far back counts the more the fewer tokens it goes to: it is `DS` times the mean far weight, weighted by itself.
    pub fn far_square_mass(&self) -> f64 {
        far_square_mass(&self.heads)
    }

    /// What each of `layers` layers says that were scored together, in the order of their heads.
    ///
    /// # Panics
    /// Where the heads cannot be divided by `layers`.
    pub fn layers(&self, layers: usize) -> Vec<LayerScore> {
        assert!(layers > 0 && self.heads.len().is_multiple_of(layers), "{} heads of {layers} layers", self.heads.len());
        let layer = |heads: &[HeadScore]| {
            let (dependency_strength, distribution_uniformity) = means(heads);
            let head_proportions = heads.iter().map(|head| head.proportion).collect();
            let far_square_mass = far_square_mass(heads);
            LayerScore { dependency_strength, distribution_uniformity, far_square_mass, head_proportions }
        };
        self.heads.chunks(self.heads.len() / layers).map(layer).collect()
    }

    /// Scores a window of `length` tokens from the far mass of each head, with its [`DistanceProfile`].
    ///
    /// # Errors
    /// Those of [`Score::new`], and [`ErrorKind::NonFinite`] where a mass by distance is NaN or infinite.
    pub fn from_profiled(
        heads: &[ProfiledMass],
        length: usize,
        far: FarRegion,
        domain: VarianceDomain,
    ) -> Result<Self> {
        let far_masses: Vec<_> = heads.iter().map(|head| head.far).collect();
        let score = Self::new(&far_masses, length, far, domain)?;
        check_finite(heads, |head| head.by_distance.iter().sum())?;
        Ok(Self { profile: Some(DistanceProfile::new(heads, length)), ..score })
    }

    /// Scores a window of `length` tokens from an estimate of the far mass of each head.
    ///
    /// # Errors
    /// Those of [`Score::new`].
    pub fn from_estimate(estimate: &Estimate, length: usize, far: FarRegion, domain: VarianceDomain) -> Result<Self> {
        let heads = &estimate.heads;
        let count = heads.len() as f64;
        let strength = |_| FarMass { mass: 1.0 / (length as f64 * count), square_mass: 0.0 };
        let uniformity = |head: usize| {
            let FarMass { mass, square_mass } = variance_gradient(&heads[head], length, far, domain);
            FarMass { mass: mass / count, square_mass: square_mass / count }
        };
        Ok(Self {
            rows: estimate.rows,
            dependency_strength_error: estimate.standard_error(strength),
            distribution_uniformity_error: estimate.standard_error(uniformity),
            ..Self::new(heads, length, far, domain)?
        })
    }
}

/// `DS` and `DU` of some heads.
fn means(heads: &[HeadScore]) -> (f64, f64) {
    let mean = |value: fn(&HeadScore) -> f64| heads.iter().map(value).sum::<f64>() / heads.len() as f64;
    (mean(|head| head.proportion), -mean(|head| head.variance))
}

fn far_square_mass(heads: &[HeadScore]) -> f64 {
    heads.iter().map(|head| head.square_mass).sum::<f64>() / heads.len() as f64
}

/// Refuses windows that are too short to be scored.
pub(crate) fn check_length(length: usize) -> Result<()> {
    if length >= MIN_TOKENS {
        return Ok(());
    }
    let message = format!("{length} tokens are too few: a window needs at least {MIN_TOKENS} to be scored");
    Err(Error::new(ErrorKind::TooShort, message))
}

/// Refuses heads of which a sum is NaN or infinite.
fn check_finite<Head>(heads: &[Head], sum: impl Fn(&Head) -> f64) -> Result<()> {
    let Some(head) = heads.iter().position(|head| !sum(head).is_finite()) else { return Ok(()) };
    let message = format!("head {head} gave NaN or infinite attention");
    Err(Error::new(ErrorKind::NonFinite, message))
}

fn variance(head: &FarMass, length: usize, far: FarRegion, domain: VarianceDomain) -> f64 {
    let FarMass { mass, square_mass } = *head;
    let variance = match domain {
        VarianceDomain::Map => {
            let entries = (length as f64).powi(2);
            (square_mass - mass * mass / entries) / (entries - 1.0)
        }
        VarianceDomain::Triangle => {
            let entries = far.entries(length).max(1.0);
            square_mass / entries - (mass / entries).powi(2)
        }
    };
    // Equal weights can leave a negative remainder of rounding.
    variance.max(0.0)
}

/// How the variance changes with `S1` and with `S2`.
fn variance_gradient(head: &FarMass, length: usize, far: FarRegion, domain: VarianceDomain) -> FarMass {
    match domain {
        VarianceDomain::Map => {
            let entries = (length as f64).powi(2);
            let scale = 1.0 / (entries - 1.0);
            FarMass { mass: -2.0 * head.mass / entries * scale, square_mass: scale }
        }
        VarianceDomain::Triangle => {
            let scale = 1.0 / far.entries(length).max(1.0);
            FarMass { mass: -2.0 * head.mass * scale * scale, square_mass: scale }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: FarRegion = FarRegion { min_distance: 2, sink_tokens: 0 };

    fn moments(entries: &[f64]) -> FarMass {
        FarMass { mass: entries.iter().sum(), square_mass: entries.iter().map(|entry| entry * entry).sum() }
    }

    #[test]
    fn variances_are_those_of_the_listed_entries() {
        // Length 4, distance 2: three far entries.
        let far_entries = [0.2, 0.1, 0.4];
        let head = moments(&far_entries);

        let mut map = vec![0.0; 13];
        map.extend(far_entries);
        let mean = map.iter().sum::<f64>() / 16.0;
        let unbiased = map.iter().map(|entry| (entry - mean).powi(2)).sum::<f64>() / 15.0;
        let score = Score::new(&[head], 4, FAR, VarianceDomain::Map).unwrap();
        assert!((score.heads[0].variance - unbiased).abs() < 1e-15);

        let mean = 0.7 / 3.0;
        let population = far_entries.iter().map(|entry| (entry - mean).powi(2)).sum::<f64>() / 3.0;
        let score = Score::new(&[head], 4, FAR, VarianceDomain::Triangle).unwrap();
        assert!((score.heads[0].variance - population).abs() < 1e-15);
    }

    #[test]
    fn a_score_is_the_mean_over_heads() {
        let score = Score::new(&[moments(&[0.5, 0.5]), moments(&[0.2])], 4, FAR, VarianceDomain::Map).unwrap();
        assert_eq!(score.dependency_strength, (0.25 + 0.05) / 2.0);
        assert_eq!(score.distribution_uniformity, -(score.heads[0].variance + score.heads[1].variance) / 2.0);
    }

    #[test]
    fn without_far_entries_all_is_zero() {
        let far = FarRegion { min_distance: 9, sink_tokens: 0 };
        for domain in [VarianceDomain::Map, VarianceDomain::Triangle] {
            let score = Score::new(&[FarMass::default()], 4, far, domain).unwrap();
            assert_eq!((score.dependency_strength, score.distribution_uniformity), (0.0, 0.0));
        }
    }

    #[test]
    fn impossible_windows_are_refused() {
        let kind = |heads: &[FarMass], length| Score::new(heads, length, FAR, VarianceDomain::Map).unwrap_err().kind();
        assert_eq!(kind(&[FarMass::default()], 1), ErrorKind::TooShort);
        assert_eq!(kind(&[], 4), ErrorKind::InvalidArgument);
        assert_eq!(kind(&[FarMass { mass: f64::NAN, square_mass: 0.0 }], 4), ErrorKind::NonFinite);
        assert_eq!(kind(&[FarMass { mass: 0.0, square_mass: f64::INFINITY }], 4), ErrorKind::NonFinite);
    }

    #[test]
    fn a_profile_has_a_bucket_for_every_distance_and_no_more() {
        let mut heads = [ProfiledMass::default(), ProfiledMass::default()];
        heads[0].by_distance[..4].copy_from_slice(&[2.0, 1.0, 0.5, 0.5]);
        heads[1].by_distance[..4].copy_from_slice(&[1.0, 1.0, 1.5, 0.5]);
        let profile = |length| {
            let score = Score::from_profiled(&heads, length, FAR, VarianceDomain::Map).unwrap();
            score.profile.unwrap()
        };
        assert_eq!(profile(8).mean, [0.1875, 0.125, 0.125, 0.0625]);
        assert_eq!(profile(8).heads, [[0.25, 0.125, 0.0625, 0.0625], [0.125, 0.125, 0.1875, 0.0625]]);
        assert_eq!(profile(8).dependency_strength(2), 0.1875);
        assert_eq!(profile(8).dependency_strength(9), 0.0);
        assert_eq!([2, 3, 4, 9].map(|length| profile(length).mean.len()), [2, 3, 3, 5]);
    }

    #[test]
    fn a_profile_that_is_not_a_number_is_refused() {
        let mut head = ProfiledMass::default();
        head.by_distance[0] = f64::NAN;
        let error = Score::from_profiled(&[head], 4, FAR, VarianceDomain::Map).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NonFinite);
    }
}
