//! The streaming kernel and the map against plain sums in double precision.

use longattn::attention::{
    DISTANCE_BUCKETS, FarMass, FarRegion, InstructionSet, PackedKeys, Precision, ProfiledMass, StreamingAttention,
    bucket_start, distance_bucket, estimate, map_far_mass, map_profiled_mass, normalized_map_far_mass,
    reference_far_mass, rows_to_draw,
};
use longattn::score::{Score, VarianceDomain};
use longattn::{Cancel, ErrorKind};
use ndarray::{Array2, Array3, s};
use proptest::prelude::*;

/// A window's queries `[heads, L, d]` and keys `[key_heads, L, d]`.
#[derive(Clone, Debug)]
struct Inputs {
    queries: Array3<f32>,
    keys: Array3<f32>,
    scale: f64,
    softcap: Option<f64>,
    far: FarRegion,
}

impl Inputs {
    fn random(seed: u64, heads: (usize, usize), length: usize, head_size: usize, far: FarRegion) -> Self {
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = move || {
            // splitmix64 (Steele et al. 2014), mapped to -2..2
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1u32 << 22) as f32 - 2.0
        };
        Self {
            queries: Array3::from_shape_simple_fn((heads.0, length, head_size), &mut next),
            keys: Array3::from_shape_simple_fn((heads.1, length, head_size), &mut next),
            scale: (head_size as f64).sqrt().recip(),
            softcap: None,
            far,
        }
    }

    fn length(&self) -> usize {
        self.keys.dim().1
    }

    /// The map `[heads, L, L]` in double precision.
    fn map(&self) -> Array3<f64> {
        let (heads, length, _) = self.queries.dim();
        let group = heads / self.keys.dim().0;
        let mut map = Array3::zeros((heads, length, length));
        for head in 0..heads {
            for row in 0..length {
                let query = self.queries.slice(s![head, row, ..]).mapv(f64::from);
                let mut weights = map.slice_mut(s![head, row, ..=row]);
                for (key, weight) in weights.iter_mut().enumerate() {
                    let logit = self.scale * query.dot(&self.keys.slice(s![head / group, key, ..]).mapv(f64::from));
                    *weight = self.softcap.map_or(logit, |cap| cap * (logit / cap).tanh());
                }
                let maximum = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                weights.mapv_inplace(|logit| (logit - maximum).exp());
                weights /= weights.sum();
            }
        }
        map
    }

    /// The far mass `[heads, L]` of every row, in double precision.
    fn expected(&self) -> Array2<FarMass> {
        let map = self.map();
        let (heads, length, _) = map.dim();
        Array2::from_shape_fn((heads, length), |(head, row)| {
            let weights = map.slice(s![head, row, self.far.keys(row)]);
            FarMass { mass: weights.sum(), square_mass: weights.mapv(|weight| weight * weight).sum() }
        })
    }

    /// The mass by distance `[heads, L]` of every row, in double precision.
    fn expected_by_distance(&self) -> Array2<[f64; DISTANCE_BUCKETS]> {
        let map = self.map();
        let (heads, length, _) = map.dim();
        Array2::from_shape_fn((heads, length), |(head, row)| {
            let mut by_distance = [0.0; DISTANCE_BUCKETS];
            for key in self.far.sink_tokens..row + 1 {
                by_distance[distance_bucket(row - key)] += map[[head, row, key]];
            }
            by_distance
        })
    }

    fn streaming(&self, instruction_set: InstructionSet) -> StreamingAttention {
        let keys = PackedKeys::new(self.keys.view());
        let attention = StreamingAttention::new(keys, self.scale, self.far, instruction_set).unwrap();
        attention.with_logit_softcap(self.softcap)
    }

    fn streamed(&self, instruction_set: InstructionSet) -> Array2<FarMass> {
        let rows: Vec<_> = (0..self.length()).collect();
        self.streaming(instruction_set).far_masses(self.queries.view(), &rows).unwrap()
    }

    fn streamed_as_integers(&self, instruction_set: InstructionSet) -> Array2<FarMass> {
        let rows: Vec<_> = (0..self.length()).collect();
        let streaming = self.streaming(instruction_set).with_precision(Precision::Int16);
        streaming.far_masses(self.queries.view(), &rows).unwrap()
    }

    fn profiled(&self, instruction_set: InstructionSet) -> Array2<ProfiledMass> {
        let rows: Vec<_> = (0..self.length()).collect();
        self.streaming(instruction_set).profiled_masses(self.queries.view(), &rows).unwrap()
    }

    fn assert_profiled(&self) {
        let expected = self.expected_by_distance();
        for instruction_set in InstructionSet::available() {
            let found = self.profiled(instruction_set);
            assert_eq!(found.mapv(|mass| mass.far), self.streamed(instruction_set));
            for ((place, found), expected) in found.indexed_iter().zip(&expected) {
                for (found, expected) in found.by_distance.iter().zip(expected) {
                    assert_relative(*found, *expected, place);
                }
            }
        }
    }
}

fn assert_close(found: &Array2<FarMass>, expected: &Array2<FarMass>) {
    for ((place, found), expected) in found.indexed_iter().zip(expected) {
        assert_relative(found.mass, expected.mass, place);
        assert_relative(found.square_mass, expected.square_mass, place);
    }
}

fn assert_relative(found: f64, expected: f64, place: (usize, usize)) {
    let difference = (found - expected).abs();
    assert!(difference <= 1e-5 * expected + 1e-30, "{found} is not {expected} at {place:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn streaming_equals_double_precision(
        seed in any::<u64>(),
        key_heads in 1usize..4,
        group in 1usize..6,
        length in 1usize..600,
        head_size in 1usize..80,
        far in (0usize..700, 0usize..40),
    ) {
        let far = FarRegion { min_distance: far.0, sink_tokens: far.1 };
        let inputs = Inputs::random(seed, (key_heads * group, key_heads), length, head_size, far);
        let expected = inputs.expected();
        for instruction_set in InstructionSet::available() {
            assert_close(&inputs.streamed(instruction_set), &expected);
        }
    }

    #[test]
    fn integers_are_as_close_to_double_precision_as_their_rounding(
        seed in any::<u64>(),
        key_heads in 1usize..4,
        group in 1usize..6,
        length in 1usize..600,
        head_size in 1usize..80,
        magnitude in -20i32..20,
        far in (0usize..700, 0usize..40),
    ) {
        let far = FarRegion { min_distance: far.0, sink_tokens: far.1 };
        let mut inputs = Inputs::random(seed, (key_heads * group, key_heads), length, head_size, far);
        // Vectors of any length are scaled to the same integers.
        inputs.keys *= 2f32.powi(magnitude);
        inputs.queries *= 2f32.powi(-magnitude);
        let expected = inputs.expected();
        let found = inputs.streamed_as_integers(InstructionSet::Portable);
        for ((place, found), expected) in found.indexed_iter().zip(&expected) {
            // Rounding moves a product by at most √head_size·|q|·|k|/32767; numbers here are from −2 to 2.
            let bound = 4.0 * head_size as f64 / 32767.0;
            prop_assert!((found.mass - expected.mass).abs() <= 3.0 * bound * expected.mass + 1e-30, "{place:?}");
            prop_assert!((found.square_mass - expected.square_mass).abs() <= 6.0 * bound * expected.square_mass + 1e-30);
        }
        for instruction_set in InstructionSet::available() {
            assert_close(&inputs.streamed_as_integers(instruction_set), &found);
        }
    }

    #[test]
    fn mass_by_distance_equals_double_precision_and_leaves_far_mass_alone(
        seed in any::<u64>(),
        key_heads in 1usize..4,
        group in 1usize..6,
        length in 1usize..700,
        head_size in 1usize..40,
        far in (0usize..1000, 0usize..40),
    ) {
        let far = FarRegion { min_distance: far.0, sink_tokens: far.1 };
        let inputs = Inputs::random(seed, (key_heads * group, key_heads), length, head_size, far);
        inputs.assert_profiled();
    }

    #[test]
    fn buckets_sum_to_far_mass_from_where_they_begin(
        seed in any::<u64>(),
        length in 1usize..900,
        bucket in 0usize..11,
        sink_tokens in 0usize..10,
    ) {
        let far = FarRegion { min_distance: bucket_start(bucket), sink_tokens };
        let inputs = Inputs::random(seed, (4, 2), length, 16, far);
        let from_map = map_profiled_mass(inputs.map().mapv(|weight| weight as f32).view(), far);
        for (place, mass) in inputs.profiled(InstructionSet::Auto).indexed_iter() {
            assert_relative(mass.by_distance[bucket..].iter().sum(), mass.far.mass, place);
        }
        for (head, mass) in from_map.iter().enumerate() {
            assert_relative(mass.by_distance[bucket..].iter().sum(), mass.far.mass, (head, 0));
        }
    }

    #[test]
    fn a_map_gives_what_its_entries_sum_to(
        seed in any::<u64>(),
        length in 1usize..100,
        far in (0usize..120, 0usize..20),
    ) {
        let far = FarRegion { min_distance: far.0, sink_tokens: far.1 };
        let inputs = Inputs::random(seed, (4, 2), length, 8, far);
        let from_map = map_far_mass(inputs.map().mapv(|weight| weight as f32).view(), far);
        for (head, found) in from_map.iter().enumerate() {
            let mut expected = FarMass::default();
            inputs.expected().row(head).iter().for_each(|row| expected += *row);
            assert_relative(found.mass, expected.mass, (head, 0));
            assert_relative(found.square_mass, expected.square_mass, (head, 0));
        }
        let profiled = map_profiled_mass(inputs.map().mapv(|weight| weight as f32).view(), far);
        let by_distance = inputs.expected_by_distance();
        for (head, found) in profiled.iter().enumerate() {
            prop_assert_eq!(found.far, from_map[head]);
            for bucket in 0..DISTANCE_BUCKETS {
                let expected = by_distance.row(head).iter().map(|row| row[bucket]).sum();
                assert_relative(found.by_distance[bucket], expected, (head, bucket));
            }
        }
    }

    #[test]
    fn any_rows_in_any_blocks_have_the_same_bits(seed in any::<u64>(), chosen in prop::collection::vec(any::<bool>(), 300)) {
        let inputs = Inputs::random(seed, (6, 2), 300, 16, FarRegion { min_distance: 70, sink_tokens: 3 });
        let all = inputs.streamed(InstructionSet::Auto);
        let rows: Vec<_> = (0..300).filter(|row| chosen[*row]).collect();
        let queries = inputs.queries.select(ndarray::Axis(1), &rows);
        let some = inputs.streaming(InstructionSet::Auto).far_masses(queries.view(), &rows).unwrap();
        for (index, row) in rows.iter().enumerate() {
            prop_assert_eq!(some.column(index), all.column(*row));
        }
    }
}

/// The sums over rows of what each head's rows are expected to have.
fn totals(expected: &Array2<FarMass>) -> Vec<FarMass> {
    expected.outer_iter().map(|rows| rows.iter().copied().sum()).collect()
}

fn assert_same(found: &[FarMass], expected: &[FarMass], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        for (found, expected) in [(found.mass, expected.mass), (found.square_mass, expected.square_mass)] {
            assert!((found - expected).abs() <= tolerance * expected, "{found} is not {expected}");
        }
    }
}

#[test]
fn the_reference_is_double_precision() {
    let far = FarRegion { min_distance: 17, sink_tokens: 3 };
    let inputs = Inputs::random(5, (6, 2), 130, 24, far);
    let Inputs { queries, keys, scale, .. } = &inputs;
    let reference =
        |cap| reference_far_mass(queries.view(), keys.view(), *scale, cap, far, &Cancel::default()).unwrap();
    assert_same(&reference(None), &totals(&inputs.expected()), 1e-12);
    let rows: Vec<_> = (0..130).collect();
    let capped = inputs.streaming(InstructionSet::Portable).with_logit_softcap(Some(2.0));
    let capped = totals(&capped.far_masses(queries.view(), &rows).unwrap());
    assert_same(&reference(Some(2.0)), &capped, 1e-5);
    assert!((capped[0].mass / reference(None)[0].mass - 1.0).abs() > 1e-3);
    assert!(
        reference_far_mass(queries.view(), keys.slice(s![.., 1.., ..]), *scale, None, far, &Cancel::default()).is_err()
    );

    let rounded = inputs.map().mapv(|weight| weight as f32 * 1.01);
    assert_same(&normalized_map_far_mass(rounded.view(), far), &totals(&inputs.expected()), 1e-6);
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let inputs = Inputs::random(7, (9, 3), 1500, 64, FarRegion { min_distance: 375, sink_tokens: 4 });
    let with_threads = |count| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
        pool.install(|| (inputs.streamed(InstructionSet::Auto), inputs.profiled(InstructionSet::Auto)))
    };
    let one = with_threads(1);
    assert_eq!(with_threads(2), one);
    assert_eq!(with_threads(5), one);
}

#[test]
fn every_min_distance_at_the_edges() {
    for min_distance in [0, 1, 2, 256, 511, 512, 513, usize::MAX] {
        for sink_tokens in [0, 1, 511, 512, usize::MAX] {
            let far = FarRegion { min_distance, sink_tokens };
            let inputs = Inputs::random(3, (2, 1), 512, 8, far);
            assert_close(&inputs.streamed(InstructionSet::Auto), &inputs.expected());
            inputs.assert_profiled();
        }
    }
}

#[test]
fn soft_capped_logits_equal_double_precision() {
    for softcap in [0.1, 1.0, 50.0, 1e6] {
        let far = FarRegion { min_distance: 70, sink_tokens: 2 };
        let inputs = Inputs { softcap: Some(softcap), ..Inputs::random(2, (4, 2), 300, 16, far) };
        assert_close(&inputs.streamed(InstructionSet::Auto), &inputs.expected());
        inputs.assert_profiled();
    }
}

#[test]
fn estimates_of_soft_capped_logits_are_close() {
    let inputs = Inputs::random(4, (2, 1), 1200, 8, FarRegion { min_distance: 300, sink_tokens: 0 });
    let inputs = Inputs { softcap: Some(0.5), ..inputs };
    let attention = inputs.streaming(InstructionSet::Auto);
    let queries = |rows: &[usize]| Ok(inputs.queries.select(ndarray::Axis(1), rows).into());
    let run = |rows: &[usize]| Ok(inputs.queries.slice(s![.., rows[0]..rows[0] + rows.len(), ..]).into());
    let drawn = rows_to_draw(1200, inputs.far, 400).unwrap();
    let asked_for = estimate(&attention, &[0; 1200], drawn, false, queries).unwrap();
    let at_hand = estimate(&attention, &[0; 1200], drawn, true, run).unwrap();
    assert_eq!(at_hand.heads, asked_for.heads);
    for (head, found) in at_hand.heads.iter().enumerate() {
        let exact: f64 = inputs.streamed(InstructionSet::Auto).row(head).iter().map(|row| row.mass).sum();
        assert!((found.mass - exact).abs() <= 0.01 * exact, "{} is not near {exact}", found.mass);
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let mut inputs = Inputs::random(5, (2, 1), 400, 4, FarRegion { min_distance: 100, sink_tokens: 0 });
    inputs.scale = 300.0;
    let rows = inputs.streamed(InstructionSet::Auto);
    let expected = inputs.expected();
    for (found, expected) in rows.iter().zip(&expected) {
        // Rounding of the logits themselves, of the size 1000, is magnified by the exponential.
        assert!((found.mass - expected.mass).abs() < 2e-3, "{} is not {}", found.mass, expected.mass);
    }
}

#[test]
fn weights_that_are_not_numbers_are_never_hidden() {
    // Among them the NaN that NVIDIA's GPUs make, and one that differs from Rust's in a single bit.
    let damages =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7fff_ffff), f32::from_bits(0x7fc0_0001)];
    for (instruction_set, damage) in InstructionSet::available().flat_map(|set| damages.map(|damage| (set, damage))) {
        // In a whole panel and in the last one.
        for position in [20, 299] {
            let case = format!("{:x} at {position} in {instruction_set:?}", damage.to_bits());
            let unharmed = Inputs::random(11, (1, 1), 300, 4, FarRegion { min_distance: 10, sink_tokens: 0 });

            let mut inputs = unharmed.clone();
            inputs.keys[[0, position, 1]] = damage;
            inputs.queries.fill(1.0);
            for rows in [inputs.streamed(instruction_set), inputs.streamed_as_integers(instruction_set)] {
                for ((_, row), mass) in rows.indexed_iter().filter(|((_, row), _)| *row >= 10) {
                    assert_eq!(mass.mass.is_nan(), row >= position, "key {case} seen by {row}");
                }
            }
            let by_distance = inputs.profiled(instruction_set)[[0, 299]].by_distance;
            assert!(by_distance.iter().all(|mass| mass.is_nan()), "{case}");

            let mut inputs = unharmed;
            inputs.queries[[0, position, 3]] = damage;
            for rows in [inputs.streamed(instruction_set), inputs.streamed_as_integers(instruction_set)] {
                for ((_, row), mass) in rows.indexed_iter() {
                    assert_eq!(mass.mass.is_nan(), row == position, "query {case} and row {row}");
                }
            }
        }
    }
}

#[test]
fn shapes_that_contradict_are_refused() {
    let inputs = Inputs::random(1, (4, 2), 10, 8, FarRegion { min_distance: 2, sink_tokens: 0 });
    let streaming = inputs.streaming(InstructionSet::Auto);
    let refused = |queries: (usize, usize, usize), rows: &[usize]| {
        streaming.far_masses(Array3::zeros(queries).view(), rows).unwrap_err().to_string()
    };
    assert!(refused((3, 1, 8), &[0]).contains("3 query heads"));
    assert!(refused((4, 1, 7), &[0]).contains("head size 7"));
    assert!(refused((4, 2, 8), &[0]).contains("2 queries"));
    assert!(refused((4, 2, 8), &[1, 1]).contains("must rise"));
    assert!(refused((4, 1, 8), &[10]).contains("10 keys"));
    assert_eq!(streaming.far_masses(Array3::zeros((4, 0, 8)).view(), &[]).unwrap().dim(), (4, 0));
}

#[test]
fn maps_that_are_no_softmax_are_refused() {
    let far = FarRegion { min_distance: 1, sink_tokens: 0 };
    let score = |map: &Array3<f32>| Score::from_map(map.view(), far, VarianceDomain::Map);
    let causal =
        Array3::from_shape_fn((2, 8, 8), |(_, row, column)| if column <= row { 1.0 / (row + 1) as f32 } else { 0.0 });
    let changed = |row: usize, column: usize, weight: f32| {
        let mut map = causal.clone();
        map[[1, row, column]] = weight;
        score(&map)
    };
    assert!(score(&causal).is_ok());
    assert!(score(&Array3::from_elem((2, 8, 8), 0.125)).is_ok(), "that of an encoder");
    assert!(changed(2, 5, f32::NAN).is_ok(), "what is above the diagonal is not read");
    assert!(score(&causal.mapv(|weight| half::f16::from_f32(weight).to_f32())).is_ok());
    assert_eq!(score(&(&causal * 7.0)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(score(&(&causal * 0.5)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(changed(5, 5, f32::NAN).unwrap_err().kind(), ErrorKind::NonFinite);
    let negative = changed(5, 5, -0.01).unwrap_err();
    assert!(negative.to_string().contains("row 5 of head 1"), "{negative}");
}

#[test]
fn numbers_of_the_caller_are_not_blamed_on_a_model() {
    let far = FarRegion { min_distance: 1, sink_tokens: 0 };
    let keys = Array3::from_elem((1, 8, 4), 0.5);
    let mut queries = keys.clone();
    let score = |queries: &Array3<f32>, keys: &Array3<f32>| {
        let (queries, keys) = (queries.view(), keys.view());
        Score::from_query_key(queries, keys, 0.5, far, VarianceDomain::Map, InstructionSet::Auto, Precision::Float32)
    };
    assert!(score(&queries, &keys).is_ok());
    queries[[0, 3, 1]] = f32::NAN;
    let error = score(&queries, &keys).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonFinite);
    assert!(error.to_string().contains("queries") && !error.to_string().contains("model"), "{error}");
    let nothing = Array3::zeros((1, usize::MAX >> 4, 0));
    assert_eq!(score(&nothing, &nothing).unwrap_err().kind(), ErrorKind::InvalidArgument);
}
