//! One window: the streaming kernel against a plain matrix product and against a materialised map, and whole windows
//! through ONNX Runtime. All in one run and in turn, since the machine's speed may change from minute to minute.
//!
//! `cargo bench --bench window` prints tables. Only useful operations are counted: two for each number of each query
//! and each key up to its row, `heads · head_size · L(L+1)` in all.

#[path = "../tests/common/mod.rs"]
mod common;
mod process;

use std::fs;
use std::process::Command;
use std::time::Instant;

use longattn::attention::{
    FarMass, FarRegion, InstructionSet, PackedKeys, Precision, StreamingAttention, estimate, map_far_mass, rows_to_draw,
};
use longattn::config::Config;
use longattn::model::Scorer;
use ndarray::{Array2, Array3, ArrayView2, Axis, CowArray, Ix3, s};
use process::peak_memory_megabytes;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// The sizes of a first layer.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    heads: usize,
    key_value_heads: usize,
    head_size: usize,
}

const SHAPES: [Shape; 2] = [
    Shape { name: "SmolLM2-135M", heads: 9, key_value_heads: 3, head_size: 64 },
    Shape { name: "Llama-3.1-8B", heads: 32, key_value_heads: 8, head_size: 128 },
];
const LENGTHS: [usize; 4] = [2048, 8192, 32768, 131_072];

const MATRIX_SIZE: usize = 4096;
const ROUNDS: usize = 5;

/// Longer windows are timed by evenly spread runs of their rows that come to about this many operations.
const MOST_OPERATIONS: f64 = 2e11;

/// Rows of a run.
const RUN: usize = 96;

/// Maps and estimates of longer windows are not worth waiting for.
const LONGEST_WHOLE: usize = 8192;

/// One row in so many is drawn for an estimate.
const SAMPLED: usize = 16;

/// Tells a child process which window to score, and from how many rows.
const CHILD: &str = "LONGATTN_BENCH_WINDOW";

fn main() {
    if let Ok(window) = std::env::var(CHILD) {
        let (length, rows) = window.split_once(' ').expect("a length and a number of rows");
        return score_one_window(length.parse().expect("a number of tokens"), rows);
    }
    kernels();
    windows();
    stages();
}

fn kernels() {
    println!("statistics from queries and keys, {} threads; medians of {ROUNDS}", rayon::current_num_threads());
    println!(
        "{:<14} {:>7} {:>9} {:>8} {:>11} {:>10} {:>7} {:>12} {:>10} {:>11}",
        "shape",
        "tokens",
        "seconds",
        "GFLOP/s",
        "of product",
        "map takes",
        "int16",
        "with profile",
        "2 threads",
        "1 row in 16"
    );
    for shape in SHAPES {
        for length in LENGTHS {
            kernel(shape, length);
        }
    }
}

fn kernel(shape: Shape, length: usize) {
    let inputs = Inputs::random(shape, length);
    let rows = inputs.timed_rows();
    let attention = inputs.attention();
    let integers = inputs.attention().with_precision(Precision::Int16);
    let one_thread = ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut seconds = [const { Vec::new() }; 6];
    for _ in 0..ROUNDS {
        seconds[0].push(time(|| matrix_product(MATRIX_SIZE)));
        seconds[1].push(time(|| inputs.streamed(&attention, &rows)));
        seconds[2].push(time(|| one_thread.install(|| inputs.streamed(&attention, &rows))));
        seconds[3].push(time(|| inputs.streamed(&integers, &rows)));
        if length <= LONGEST_WHOLE {
            // As samples are multiplied where the setting precision says nothing else.
            seconds[4].push(time(|| inputs.estimated(&integers)));
            seconds[5].push(time(|| inputs.profiled(&attention, &rows)));
        }
    }
    let [product, streamed, single, integers, estimated, profiled] = seconds.map(median);
    let product_rate = 2.0 * (MATRIX_SIZE as f64).powi(3) / product;
    let rate = shape.operations(rows.iter().copied()) / streamed;
    let exact = shape.operations(0..length) / rate;
    let map = if length <= LONGEST_WHOLE { time(|| inputs.materialised()) / exact } else { f64::NAN };
    let times = |factor: f64| if factor.is_nan() { String::new() } else { format!("{factor:.2}×") };
    println!(
        "{:<14} {length:>7} {exact:>9.3} {:>8.1} {:>11.2} {:>10} {:>7} {:>12} {:>10} {:>11}",
        shape.name,
        rate / 1e9,
        rate / product_rate,
        times(map),
        times(streamed / integers),
        times(profiled / streamed),
        times(single / streamed),
        times(exact / estimated)
    );
}

fn windows() {
    println!("\nwhole windows of the default model through ONNX Runtime, one process each");
    println!("{:<9} {:>9} {:>9} {:>9} {:>15}", "tokens", "rows", "seconds", "tokens/s", "peak memory MB");
    for (length, rows) in [(2048, "all"), (8192, "all"), (32768, "all"), (131_072, "8192"), (1_048_576, "2048")] {
        let executable = std::env::current_exe().expect("the path of this program");
        let child = Command::new(executable).env(CHILD, format!("{length} {rows}")).status();
        assert!(child.expect("a child process").success(), "the window of {length} tokens was not scored");
    }
}

/// Where the time of one window goes.
fn stages() {
    let scorer = scorer("8192", "all");
    let source = fs::read_to_string("benches/window.rs").expect("this file").repeat(12);
    let mut seconds = [const { Vec::new() }; 3];
    let inputs = Inputs::random(SHAPES[0], 8192);
    let rows: Vec<_> = (0..8192).collect();
    let attention = inputs.attention();
    let tokens = scorer.tokenize(&source).expect("tokens");
    for _ in 0..ROUNDS {
        seconds[0].push(time(|| scorer.tokenize(&source).expect("tokens")));
        seconds[1].push(time(|| scorer.score_tokens(&tokens.ids()[..8192]).expect("a score")));
        seconds[2].push(time(|| inputs.streamed(&attention, &rows)));
    }
    let [tokenized, scored, kernel] = seconds.map(median);
    let tokenized = tokenized * 8192.0 / tokens.ids().len() as f64;
    let total = tokenized + scored;
    println!(
        "\na window of 8192 tokens: {:.0} % tokenizer on one thread, {:.0} % ONNX Runtime, {:.0} % kernel; {:.0} tokens/s",
        100.0 * tokenized / total,
        100.0 * (scored - kernel) / total,
        100.0 * kernel / total,
        8192.0 / total
    );
}

impl Shape {
    /// Useful operations of these rows.
    fn operations(&self, rows: impl Iterator<Item = usize>) -> f64 {
        rows.map(|row| (2 * self.heads * self.head_size * (row + 1)) as f64).sum()
    }
}

/// The numbers that a first layer might give.
struct Inputs {
    shape: Shape,
    queries: Array3<f32>,
    keys: Array3<f32>,
    far: FarRegion,
}

impl Inputs {
    fn random(shape: Shape, length: usize) -> Self {
        let mut state = 1u64;
        let mut next = move || {
            // The linear congruential generator of Knuth's MMIX.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        Self {
            shape,
            queries: Array3::from_shape_simple_fn((shape.heads, length, shape.head_size), &mut next),
            keys: Array3::from_shape_simple_fn((shape.key_value_heads, length, shape.head_size), &mut next),
            far: FarRegion { min_distance: length / 4, sink_tokens: 0 },
        }
    }

    fn scale(&self) -> f64 {
        (self.shape.head_size as f64).sqrt().recip()
    }

    fn length(&self) -> usize {
        self.keys.dim().1
    }

    /// All rows, or runs of them that come to the most operations.
    fn timed_rows(&self) -> Vec<usize> {
        let length = self.length();
        let share = (MOST_OPERATIONS / self.shape.operations(0..length)).min(1.0);
        let runs = length.div_ceil(RUN);
        let wanted = (runs as f64 * share).ceil() as usize;
        let starts = (0..wanted).map(|run| (run * runs + runs / 2) / wanted % runs * RUN);
        let mut rows: Vec<_> = starts.flat_map(|start| start..length.min(start + RUN)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn attention(&self) -> StreamingAttention {
        let keys = PackedKeys::new(self.keys.view());
        StreamingAttention::new(keys, self.scale(), self.far, InstructionSet::Auto).expect("a kernel")
    }

    fn select(&self, rows: &[usize]) -> CowArray<'_, f32, Ix3> {
        let run = rows[0]..rows[rows.len() - 1] + 1;
        match run.len() == rows.len() {
            true => self.queries.slice(s![.., run, ..]).into(),
            false => self.queries.select(Axis(1), rows).into(),
        }
    }

    fn streamed(&self, attention: &StreamingAttention, rows: &[usize]) -> f64 {
        let parts = rows.chunks(2048).map(|rows| {
            let far_masses = attention.far_masses(self.select(rows).view(), rows).expect("shapes that agree");
            far_masses.iter().map(|row| row.mass).sum::<f64>()
        });
        parts.sum()
    }

    fn profiled(&self, attention: &StreamingAttention, rows: &[usize]) -> f64 {
        let parts = rows.chunks(2048).map(|rows| {
            let masses = attention.profiled_masses(self.select(rows).view(), rows).expect("shapes that agree");
            masses.iter().map(|row| row.far.mass).sum::<f64>()
        });
        parts.sum()
    }

    fn estimated(&self, attention: &StreamingAttention) -> f64 {
        let groups = vec![0; self.length()];
        let drawn = rows_to_draw(self.length(), self.far, self.length() / SAMPLED).expect("fewer rows than all");
        let estimate = estimate(attention, &groups, drawn, true, |rows| Ok(self.select(rows)));
        estimate.expect("shapes that agree").heads[0].mass
    }

    /// As the released code does it, though head by head: logits, mask, softmax, and the far entries of the map.
    fn materialised(&self) -> f64 {
        let group = self.shape.heads / self.shape.key_value_heads;
        let heads = self.queries.outer_iter().enumerate().map(|(head, queries)| {
            let map = attention_map(queries, self.keys.index_axis(Axis(0), head / group), self.scale() as f32);
            map_far_mass(map.view().insert_axis(Axis(0)), self.far)[0]
        });
        heads.map(|FarMass { mass, .. }| mass).sum()
    }
}

fn attention_map(queries: ArrayView2<f32>, keys: ArrayView2<f32>, scale: f32) -> Array2<f32> {
    let length = keys.nrows();
    let mut map = Array2::zeros((length, length));
    product(&mut map, queries, keys.t(), scale);
    let rows = map.as_slice_mut().expect("a new array is contiguous").par_chunks_exact_mut(length);
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

fn scorer(window: &str, rows: &str) -> Scorer {
    let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    config.set("window", window).expect("a valid length");
    config.set("rows", rows).expect("a valid number of rows");
    Scorer::open(&common::scorer_package(), &config).expect("the default model")
}

fn score_one_window(length: usize, rows: &str) {
    let scorer = scorer(&length.to_string(), rows);
    let ids: Vec<_> = (0..length as u32).map(|index| index.wrapping_mul(7919) % 49152).collect();
    let seconds = time(|| scorer.score_tokens(&ids).expect("a score"));
    println!("{length:<9} {rows:>9} {seconds:>9.3} {:>9.0} {:>15.0}", length as f64 / seconds, peak_memory_megabytes());
}

fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed().as_secs_f64()
}

/// The middle value; NaN where nothing was measured.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
