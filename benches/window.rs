//! One window of the default model: the streaming kernel against a plain matrix product and against a materialised map,
//! each measured in turn in one run, since the machine's speed may change from minute to minute.
//!
//! `cargo bench` prints one table. Only useful operations are counted: `heads · head_size · L(L+1)` for the causal logits.

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::Command;
use std::time::Instant;

use longattn::attention::{FarMass, FarRegion, InstructionSet, PackedKeys, StreamingAttention, map_far_mass};
use longattn::config::Config;
use longattn::model::Scorer;
use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;

const HEADS: usize = 9;
const KEY_VALUE_HEADS: usize = 3;
const HEAD_SIZE: usize = 64;
const LENGTH: usize = 8192;
const MATRIX_SIZE: usize = 4096;
const ROUNDS: usize = 7;

/// Tells a child process which window to score.
const CHILD_LENGTH: &str = "LONGATTN_BENCH_LENGTH";

fn main() {
    if let Ok(length) = std::env::var(CHILD_LENGTH) {
        return score_one_window(length.parse().expect("a number of tokens"));
    }
    let threads = rayon::current_num_threads();
    println!(
        "{LENGTH} tokens, {HEADS} heads of {HEAD_SIZE} on {KEY_VALUE_HEADS} key heads, {threads} threads; medians of {ROUNDS}"
    );
    println!("{:<34} {:>9} {:>9} {:>16}", "", "seconds", "GFLOP/s", "of the product's");

    let inputs = Inputs::random();
    let mut seconds = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        seconds[0].push(time(|| matrix_product(MATRIX_SIZE)));
        seconds[1].push(time(|| inputs.streaming()));
        seconds[2].push(time(|| inputs.profiled()));
        // The map is slow and its time steady: it is not worth every round.
        if round % 3 == 0 {
            seconds[3].push(time(|| inputs.materialised()));
        }
    }
    let [product, streaming, profiled, materialised] = seconds.map(median);
    let product_rate = 2.0 * (MATRIX_SIZE as f64).powi(3) / product;
    let operations = (HEADS * HEAD_SIZE * LENGTH * (LENGTH + 1)) as f64;
    let row = |name: &str, seconds: f64, rate: f64| {
        println!("{name:<34} {seconds:>9.3} {:>9.1} {:>16.3}", rate / 1e9, rate / product_rate);
    };
    row(&format!("float32 product of {MATRIX_SIZE}² by gemm"), product, product_rate);
    row("streamed statistics", streaming, operations / streaming);
    row("with the distance profile", profiled, operations / profiled);
    row("statistics of a materialised map", materialised, operations / materialised);
    println!("streaming is {:.1} times as fast as the map", materialised / streaming);

    println!("\nwhole windows through ONNX Runtime, one process each");
    println!("{:<34} {:>9} {:>9} {:>16}", "tokens", "seconds", "tokens/s", "peak memory MB");
    for length in [LENGTH, 16 * LENGTH] {
        let executable = std::env::current_exe().expect("the path of this program");
        let child = Command::new(executable).env(CHILD_LENGTH, length.to_string()).status();
        assert!(child.expect("a child process").success(), "the window of {length} tokens was not scored");
    }
}

/// The numbers that a first layer of the default model's shape would give.
struct Inputs {
    queries: Array3<f32>,
    keys: Array3<f32>,
    far: FarRegion,
}

impl Inputs {
    fn random() -> Self {
        let mut state = 1u64;
        let mut next = move || {
            // The linear congruential generator of Knuth's MMIX.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        Self {
            queries: Array3::from_shape_simple_fn((HEADS, LENGTH, HEAD_SIZE), &mut next),
            keys: Array3::from_shape_simple_fn((KEY_VALUE_HEADS, LENGTH, HEAD_SIZE), &mut next),
            far: FarRegion { min_distance: LENGTH / 4, sink_tokens: 0 },
        }
    }

    fn streaming(&self) -> f64 {
        let rows: Vec<_> = (0..LENGTH).collect();
        let far_masses = self.attention().far_masses(self.queries.view(), &rows).expect("shapes that agree");
        far_masses.iter().map(|row| row.mass).sum()
    }

    fn profiled(&self) -> f64 {
        let rows: Vec<_> = (0..LENGTH).collect();
        let masses = self.attention().profiled_masses(self.queries.view(), &rows).expect("shapes that agree");
        masses.iter().map(|row| row.by_distance[0]).sum()
    }

    fn attention(&self) -> StreamingAttention {
        let scale = (HEAD_SIZE as f64).sqrt().recip();
        let keys = PackedKeys::new(self.keys.view());
        StreamingAttention::new(keys, scale, self.far, InstructionSet::Auto).expect("a kernel")
    }

    /// As the released code does it, though head by head: logits, mask, softmax, and the far entries of the map.
    fn materialised(&self) -> f64 {
        let heads = self.queries.outer_iter().enumerate().map(|(head, queries)| {
            let keys = self.keys.index_axis(Axis(0), head / (HEADS / KEY_VALUE_HEADS));
            let map = attention_map(queries, keys);
            map_far_mass(map.view().insert_axis(Axis(0)), self.far)[0]
        });
        heads.map(|FarMass { mass, .. }| mass).sum()
    }
}

fn attention_map(queries: ArrayView2<f32>, keys: ArrayView2<f32>) -> Array2<f32> {
    let mut map = Array2::zeros((LENGTH, LENGTH));
    product(&mut map, queries, keys.t(), (HEAD_SIZE as f32).sqrt().recip());
    let rows = map.as_slice_mut().expect("a new array is contiguous").par_chunks_exact_mut(LENGTH);
    rows.enumerate().for_each(|(row, weights)| {
        weights[row + 1..].fill(f32::NEG_INFINITY);
        let maximum = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        weights.iter_mut().for_each(|weight| *weight = (*weight - maximum).exp());
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
    });
    map
}

fn matrix_product(size: usize) -> f64 {
    let (left, right) = (Array2::from_elem((size, size), 0.5), Array2::from_elem((size, size), 0.25));
    let mut result = Array2::zeros((size, size));
    product(&mut result, left.view(), right.view(), 1.0);
    f64::from(result[[0, 0]])
}

fn product(result: &mut Array2<f32>, left: ArrayView2<f32>, right: ArrayView2<f32>, scale: f32) {
    let (rows, columns) = result.dim();
    let strides = |strides: &[isize]| (strides[1], strides[0]);
    let (result_column, result_row) = strides(result.strides());
    let (left_column, left_row) = strides(left.strides());
    let (right_column, right_row) = strides(right.strides());
    let threads = gemm::Parallelism::Rayon(rayon::current_num_threads());
    // SAFETY: each pointer and its strides describe one array of just these dimensions, and `result` is borrowed
    // exclusively.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            left.ncols(),
            result.as_mut_ptr(),
            result_column,
            result_row,
            false,
            left.as_ptr(),
            left_column,
            left_row,
            right.as_ptr(),
            right_column,
            right_row,
            0.0,
            scale,
            false,
            false,
            false,
            threads,
        );
    }
}

fn score_one_window(length: usize) {
    let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    config.set("window", &length.to_string()).expect("a valid length");
    let scorer = Scorer::open(&common::scorer_package(), &config).expect("the default model");
    let ids: Vec<_> = (0..length as u32).map(|index| index.wrapping_mul(7919) % 49152).collect();
    let seconds = time(|| scorer.score_tokens(&ids).expect("a score").dependency_strength);
    println!("{length:<34} {seconds:>9.3} {:>9.0} {:>16.0}", length as f64 / seconds, peak_memory_megabytes());
}

/// The most memory that this process has had, from Linux's own account.
fn peak_memory_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0 / 1e6)
}

fn time(work: impl FnOnce() -> f64) -> f64 {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
