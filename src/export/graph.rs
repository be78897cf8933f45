//! The ONNX graphs of a scorer package.

mod attention;
mod loops;
mod loss;
mod statistics;

use std::collections::HashSet;
use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::ExportOptions;
use super::architecture::{Activation, QueryKeyNorms};
use super::decoder::Decoder;
use super::latent::NORM_EPSILON;
use super::onnx::{Attribute, Dimension, ElementType, Graph, Node, Tensor, ValueInfo};
use super::rotary::{Frequencies, Rotary};
use crate::model::WINDOW_LENGTH;
use crate::model::metadata::Contract;

/// Names of the initializers that belong to no projection.
pub(super) const TOKEN_EMBEDDING: &str = "token_embedding";
pub(super) const POSITION_EMBEDDING: &str = "position_embedding";

/// What the norm before attention is called.
pub(super) const NORM: &str = "input_norm";

/// The projection to the vocabulary, `[vocabulary_size, embedding_size]`, where it is not the embedding.
pub(super) const HEAD: &str = "head";

/// Operators of ONNX Runtime's own.
pub(super) const RUNTIME_DOMAIN: &str = "com.microsoft";

/// The first ONNX Runtime whose fused attention ends a sliding window where it ends: those before it see one token more.
pub(super) const LOCAL_ATTENTION_RUNTIME: &str = "1.24";

/// Names of the initializers of a norm.
pub(super) struct NormNames {
    pub weights: String,
    pub bias: String,
}

impl NormNames {
    pub(super) fn new(layer: usize, norm: &str) -> Self {
        Self { weights: format!("layer_{layer}_{norm}"), bias: format!("layer_{layer}_{norm}_bias") }
    }

    /// Of the norm after the last layer.
    pub(super) fn of_output() -> Self {
        Self { weights: "output_norm".to_owned(), bias: "output_norm_bias".to_owned() }
    }
}

/// Names of the initializers of a projection or another matrix.
pub(super) struct LinearNames {
    /// It alone, `[embedding_size, rows]`.
    pub weights: String,
    pub bias: String,
    pub norm: String,
    /// What compresses the hidden state before it, where attention is latent.
    pub compression: String,
    pub compression_bias: String,
    pub compression_norm: String,
    /// It folded with all that comes before and after it, `[vocabulary_size, rows]`.
    pub table: String,
}

impl LinearNames {
    /// `linear` is what it computes, such as `query`.
    pub(super) fn new(layer: usize, linear: &str) -> Self {
        let name = |part: &str| format!("layer_{layer}_{linear}_{part}");
        Self {
            weights: name("projection"),
            bias: name("bias"),
            norm: name("norm"),
            compression: name("compression"),
            compression_bias: name("compression_bias"),
            compression_norm: name("compression_norm"),
            table: name("table"),
        }
    }
}

/// The graph up to the queries and keys of the scored layers, or to their attention maps, those of all layers stacked along
/// the axis of heads, or to their statistics.
///
/// `weights` holds the initializers, and what it holds is computed with: either each projection's table, or the embedding
/// `[vocabulary_size, embedding_size]`, the matrices, and those of norms, biases and positions that the model has.
pub(super) fn build(options: &ExportOptions, decoder: &Decoder, weights: &[Tensor]) -> Graph {
    let mut builder = Builder::new(options, decoder, weights);
    match options.contract {
        Contract::QueryKey if decoder.deepest() == 0 => builder.query_key(),
        Contract::QueryKey => builder.deeper_query_key(),
        Contract::Attentions => builder.attentions(),
        Contract::Statistics => builder.statistics(),
    }
    builder.finish()
}

/// The graph from token ids through all layers to the losses, which takes no tables.
pub(super) fn build_losses(options: &ExportOptions, decoder: &Decoder, weights: &[Tensor]) -> Graph {
    let mut builder = Builder::new(options, decoder, weights);
    builder.losses();
    builder.finish()
}

/// Name of a value in the graph.
type Value = String;

struct Builder<'a> {
    graph: Graph,
    options: &'a ExportOptions,
    decoder: &'a Decoder,
    /// What names of values begin with, another for a graph within a graph.
    scope: &'static str,
}

/// Tokens of which queries or keys are to be computed.
struct Tokens {
    /// `[length]`, or `[batch, length]`.
    ids: Value,
    /// Axes of `ids`.
    axes: usize,
    /// `[length]`.
    positions: Value,
}

impl<'a> Builder<'a> {
    fn new(options: &'a ExportOptions, decoder: &'a Decoder, weights: &[Tensor]) -> Self {
        let graph = Graph { name: "longattn".to_owned(), initializer: weights.to_vec(), ..Graph::default() };
        Self { graph, options, decoder, scope: "" }
    }

    /// The graph, without the weights that it does not read.
    fn finish(mut self) -> Graph {
        let read: HashSet<_> = inputs_of(&self.graph.node).collect();
        self.graph.initializer.retain(|tensor| read.contains(&tensor.name));
        self.graph
    }

    fn query_key(&mut self) {
        for (name, heads) in self.query_and_key() {
            let length = format!("{name}_length");
            let ids = self.input(&format!("{name}_ids"), &[&length]);
            let positions = self.input(&format!("{name}_positions"), &[&length]);
            let tokens = Tokens { ids, axes: 1, positions };
            let hidden = self.unless_folded(&tokens);
            let normed = hidden.map(|hidden| self.normed(&hidden, &NormNames::new(0, NORM)));
            let vectors = self.vectors(0, name, heads, &normed, &tokens);
            self.output(name, &vectors, vec![heads.into(), length.as_str().into(), self.decoder.head_size.into()]);
        }
    }

    /// Queries and keys of a window at once, since they depend on all tokens before.
    fn deeper_query_key(&mut self) {
        let ids = self.input("input_ids", &["length"]);
        let first = self.integers(&[0]);
        let ids = self.node("Unsqueeze", &[&ids, &first]);
        let tokens = self.whole_windows(ids);
        let scored = self.scored_vectors(&tokens);
        for (index, (name, heads)) in self.query_and_key().into_iter().enumerate() {
            let vectors: Vec<_> = scored.iter().map(|vectors| vectors[index].clone()).collect();
            let vectors = self.stacked(&vectors);
            let vectors = self.node("Squeeze", &[&vectors, &first]);
            self.vectors_output(name, &vectors, heads * self.decoder.layers.len());
        }
    }

    /// Queries or keys of a whole window.
    fn vectors_output(&mut self, name: &str, vectors: &Value, heads: usize) {
        self.output(name, vectors, vec![heads.into(), "length".into(), self.decoder.head_size.into()]);
    }

    fn attentions(&mut self) {
        let ids = self.input("input_ids", &["batch", "length"]);
        let tokens = self.whole_windows(ids);
        let mut maps = Vec::new();
        for [query, key] in self.scored_vectors(&tokens) {
            let key = self.repeated(&key);
            maps.push(self.causal_attention(&query, &key, &tokens.positions));
        }
        let maps = self.stacked(&maps);
        let all_heads = self.decoder.heads * self.decoder.layers.len();
        self.output("attentions", &maps, vec!["batch".into(), all_heads.into(), "length".into(), "length".into()]);
    }

    /// What layers are scored by, and its heads.
    fn query_and_key(&self) -> [(&'static str, usize); 2] {
        [("query", self.decoder.heads), ("key", self.decoder.key_value_heads)]
    }

    /// Windows of ids `[batch, length]` from their beginning on.
    fn whole_windows(&mut self, ids: Value) -> Tokens {
        let positions = self.positions(&ids);
        Tokens { ids, axes: 2, positions }
    }

    /// What belongs to each of the scored layers, `[batch, heads, ..]`, as `[batch, layers * heads, ..]`.
    fn stacked(&mut self, layers: &[Value]) -> Value {
        let [only] = layers else {
            let layers: Vec<_> = layers.iter().map(String::as_str).collect();
            return self.node_with("Concat", &layers, vec![Attribute::integer("axis", 1)]);
        };
        only.clone()
    }

    /// The queries and keys of each scored layer, `[batch, heads, length, head_size]`.
    fn scored_vectors(&mut self, tokens: &Tokens) -> Vec<[Value; 2]> {
        let mut hidden = self.unless_folded(tokens);
        let mut scored = Vec::new();
        for layer in 0..=self.decoder.deepest() {
            let normed = hidden.as_ref().map(|hidden| self.normed(hidden, &NormNames::new(layer, NORM)));
            let vectors = self.query_and_key().map(|(name, heads)| self.vectors(layer, name, heads, &normed, tokens));
            if self.decoder.layers.contains(&layer) {
                scored.push(vectors.clone());
            }
            hidden = match (hidden, normed) {
                (Some(hidden), Some(normed)) if layer < self.decoder.deepest() => {
                    Some(self.block(layer, &hidden, &normed, vectors, tokens))
                }
                _ => None,
            };
        }
        scored
    }

    /// The embedding `[.., length, embedding_size]`; `None` where it is folded.
    fn unless_folded(&mut self, tokens: &Tokens) -> Option<Value> {
        let folded = self.query_and_key().iter().all(|(name, _)| self.has(&LinearNames::new(0, name).table));
        (!folded).then(|| self.embedded(tokens))
    }

    /// Queries or keys `[.., heads, length, head_size]` of a layer, from its normed input where they are not folded.
    fn vectors(
        &mut self,
        layer: usize,
        projection: &str,
        heads: usize,
        normed: &Option<Value>,
        tokens: &Tokens,
    ) -> Value {
        let names = LinearNames::new(layer, projection);
        let rows = match normed {
            Some(normed) => self.linear(normed, &names),
            None => self.looked_up(&names.table, &tokens.ids),
        };
        self.rotated(layer, &rows, &names, heads, tokens)
    }

    /// What follows a layer's queries and keys, from one hidden state `[batch, length, embedding_size]` to the next.
    fn block(
        &mut self,
        layer: usize,
        hidden: &Value,
        normed: &Value,
        query_and_key: [Value; 2],
        tokens: &Tokens,
    ) -> Value {
        let attended = self.attended(layer, normed, query_and_key, tokens);
        let attended = self.normed(&attended, &NormNames::new(layer, "post_attention_norm"));
        let behind = self.node("Add", &[hidden, &attended]);
        let norm = NormNames::new(layer, "feed_forward_norm");
        let normed = match self.decoder.parallel_residual {
            // Without a norm of its own it reads what attention reads.
            true if !self.has(&norm.weights) => normed.clone(),
            true => self.normed(hidden, &norm),
            false => self.normed(&behind, &norm),
        };
        let fed_forward = self.fed_forward(layer, &normed);
        let fed_forward = self.normed(&fed_forward, &NormNames::new(layer, "post_feed_forward_norm"));
        self.node("Add", &[&behind, &fed_forward])
    }

    fn fed_forward(&mut self, layer: usize, normed: &Value) -> Value {
        let [gate, up, down] = ["gate", "up", "down"].map(|name| LinearNames::new(layer, name));
        let up = self.linear(normed, &up);
        let inner = match self.has(&gate.weights) {
            true => {
                let gate = self.linear(normed, &gate);
                let gate = self.activated(&gate);
                self.node("Mul", &[&gate, &up])
            }
            false => self.activated(&up),
        };
        self.linear(&inner, &down)
    }

    fn activated(&mut self, numbers: &Value) -> Value {
        let share = match self.decoder.activation {
            Activation::Silu => self.node("Sigmoid", &[numbers]),
            Activation::Gelu => {
                let scale = self.float(FRAC_1_SQRT_2);
                let scaled = self.node("Mul", &[numbers, &scale]);
                let bent = self.node("Erf", &[&scaled]);
                self.as_share(&bent)
            }
            Activation::GeluTanh => {
                let [cubic, scale] = [0.044_715, (2.0 / PI).sqrt()].map(|number| self.float(number));
                let square = self.node("Mul", &[numbers, numbers]);
                let cube = self.node("Mul", &[&square, numbers]);
                let cube = self.node("Mul", &[&cube, &cubic]);
                let sum = self.node("Add", &[numbers, &cube]);
                let scaled = self.node("Mul", &[&sum, &scale]);
                let bent = self.node("Tanh", &[&scaled]);
                self.as_share(&bent)
            }
        };
        self.node("Mul", &[numbers, &share])
    }

    /// Numbers from -1 to 1 as from 0 to 1.
    fn as_share(&mut self, numbers: &Value) -> Value {
        let [one, half] = [1.0, 0.5].map(|number| self.float(number));
        let sum = self.node("Add", &[numbers, &one]);
        self.node("Mul", &[&sum, &half])
    }

    /// Rows `[.., length, rows]` of queries or keys as `[.., heads, length, head_size]`, rotary embedding applied.
    fn rotated(&mut self, layer: usize, rows: &Value, names: &LinearNames, heads: usize, tokens: &Tokens) -> Value {
        let split = self.split(rows, names, heads, tokens);
        let decoder = self.decoder;
        match decoder.rotary(layer) {
            Some(rotary) => self.turned(&split, rotary, tokens),
            None => split,
        }
    }

    /// Queries or keys before the rotary embedding.
    fn split(&mut self, rows: &Value, names: &LinearNames, heads: usize, tokens: &Tokens) -> Value {
        // A size of 0 stands for the input's own, so lengths of 0 pass.
        let mut shape = vec![0; tokens.axes];
        shape.extend([heads as i64, self.decoder.head_size as i64]);
        let shape = self.integers(&shape);
        let split = self.node("Reshape", &[rows, &shape]);
        let split = match self.has(&names.norm) && self.norms_by_head() {
            true => self.root_mean_square_normed(&split, &names.norm),
            false => split,
        };
        let order: &[i64] = if tokens.axes == 1 { &[1, 0, 2] } else { &[0, 2, 1, 3] };
        self.node_with("Transpose", &[&split], vec![Attribute::integers("perm", order)])
    }

    fn embedded(&mut self, tokens: &Tokens) -> Value {
        let mut hidden = self.looked_up(TOKEN_EMBEDDING, &tokens.ids);
        if let Some(scale) = self.decoder.embedding_scale() {
            let scale = self.float(scale);
            hidden = self.node("Mul", &[&hidden, &scale]);
        }
        if self.has(POSITION_EMBEDDING) {
            let positions = self.looked_up(POSITION_EMBEDDING, &tokens.positions);
            hidden = self.node("Add", &[&hidden, &positions]);
        }
        hidden
    }

    /// `[.., length, columns]` times a matrix: `[.., length, rows]`.
    fn linear(&mut self, hidden: &Value, names: &LinearNames) -> Value {
        let compressed = self.compressed(hidden, names);
        let rows = self.product(compressed.as_ref().unwrap_or(hidden), &names.weights, &names.bias);
        match self.has(&names.norm) && !self.norms_by_head() {
            true => self.root_mean_square_normed(&rows, &names.norm),
            false => rows,
        }
    }

    /// What a projection of latent attention reads, `[.., length, columns]`; `None` for any other.
    fn compressed(&mut self, hidden: &Value, names: &LinearNames) -> Option<Value> {
        let size = self.stored(&names.compression_norm)?.dims[0];
        let columns = self.stored(&names.compression)?.dims[1];
        let compressed = self.product(hidden, &names.compression, &names.compression_bias);
        if size == columns {
            return Some(self.normed_with(&compressed, &names.compression_norm, NORM_EPSILON));
        }
        let sizes = self.integers(&[size, columns - size]);
        let [first, rest] = [self.fresh("Split"), self.fresh("Split_second")];
        let last = Attribute::integer("axis", -1);
        self.push("Split", &[&compressed, &sizes], vec![first.clone(), rest.clone()], vec![last.clone()]);
        let first = self.normed_with(&first, &names.compression_norm, NORM_EPSILON);
        Some(self.node_with("Concat", &[&first, &rest], vec![last]))
    }

    /// Numbers times a matrix, plus its bias where it has one.
    fn product(&mut self, numbers: &Value, weights: &str, bias: &str) -> Value {
        let weights = self.float32(weights, weights.to_owned());
        let product = self.node("MatMul", &[numbers, &weights]);
        if self.has(bias) { self.node("Add", &[&product, bias]) } else { product }
    }

    fn norms_by_head(&self) -> bool {
        matches!(self.decoder.query_key_norms, QueryKeyNorms::ByHead(_) | QueryKeyNorms::Unweighted)
    }

    fn looked_up(&mut self, table: &str, ids: &Value) -> Value {
        let rows = self.node("Gather", &[table, ids]);
        self.float32(table, rows)
    }

    /// `hidden` itself where there is no such norm.
    fn normed(&mut self, hidden: &Value, names: &NormNames) -> Value {
        if !self.has(&names.weights) {
            return hidden.clone();
        }
        if !self.decoder.architecture.norm.is_centered() {
            return self.root_mean_square_normed(hidden, &names.weights);
        }
        let epsilon = Attribute::float("epsilon", self.decoder.norm_epsilon as f32);
        self.node_with("LayerNormalization", &[hidden, &names.weights, &names.bias], vec![epsilon])
    }

    fn root_mean_square_normed(&mut self, numbers: &Value, weights: &str) -> Value {
        self.normed_with(numbers, weights, self.decoder.norm_epsilon)
    }

    /// By the root mean square over the last axis.
    fn normed_with(&mut self, numbers: &Value, weights: &str, epsilon: f64) -> Value {
        let squares = self.node("Mul", &[numbers, numbers]);
        let over_last = vec![Attribute::integers("axes", &[-1])];
        let mean = self.node_with("ReduceMean", &[&squares], over_last);
        let epsilon = self.float(epsilon as f32);
        let variance = self.node("Add", &[&mean, &epsilon]);
        let deviation = self.node("Sqrt", &[&variance]);
        let scaled = self.node("Div", &[numbers, &deviation]);
        self.node("Mul", &[&scaled, weights])
    }

    /// Turns the pairs (i, i + head_size / 2) of `[.., length, head_size]` by their positions.
    fn turned(&mut self, vectors: &Value, rotary: &Rotary, tokens: &Tokens) -> Value {
        let angles = self.angles(rotary, tokens);
        let mut cosine = self.node("Cos", &[&angles]);
        let mut sine = self.node("Sin", &[&angles]);
        if rotary.attention_factor != 1.0 {
            let factors = self.for_pairs(&vec![rotary.attention_factor as f32; rotary.rotated / 2], 1.0);
            [cosine, sine] = [cosine, sine].map(|part| self.node("Mul", &[&part, &factors]));
        }
        let [first, second] = self.halves(vectors);
        let turned_first = self.difference_of_products([&first, &cosine], [&second, &sine]);
        let turned_second = self.sum_of_products([&second, &cosine], [&first, &sine]);
        self.node_with("Concat", &[&turned_first, &turned_second], vec![Attribute::integer("axis", -1)])
    }

    /// `[length, head_size / 2]`.
    fn angles(&mut self, rotary: &Rotary, tokens: &Tokens) -> Value {
        let last = self.integers(&[-1]);
        let column = self.node("Unsqueeze", &[&tokens.positions, &last]);
        let column = self.cast(&column, ElementType::Float32);
        let frequencies = self.frequencies(&rotary.frequencies, tokens);
        self.node("Mul", &[&column, &frequencies])
    }

    fn frequencies(&mut self, frequencies: &Frequencies, tokens: &Tokens) -> Value {
        match frequencies {
            Frequencies::Fixed(fixed) => self.for_pairs(fixed, 0.0),
            Frequencies::ByLength { limit, short, long } => {
                let length = self.window_length(tokens);
                let limit = self.integer(*limit as i64);
                let is_long = self.node("Greater", &[&length, &limit]);
                let (short, long) = (self.for_pairs(short, 0.0), self.for_pairs(long, 0.0));
                self.node("Where", &[&is_long, &long, &short])
            }
            Frequencies::Dynamic { limit, factor, base, exponents } => {
                let (limit, factor) = (*limit as f32, *factor as f32);
                let [lowest, slope, shift] = [limit, factor / limit, factor - 1.0].map(|number| self.float(number));
                let length = self.window_length(tokens);
                let length = self.cast(&length, ElementType::Float32);
                let length = self.node("Max", &[&length, &lowest]);
                let stretched = self.node("Mul", &[&length, &slope]);
                let stretch = self.node("Sub", &[&stretched, &shift]);
                let exponents = self.for_pairs(exponents, 0.0);
                let factors = self.node("Pow", &[&stretch, &exponents]);
                let base = self.for_pairs(base, 0.0);
                self.node("Mul", &[&base, &factors])
            }
        }
    }

    /// Tokens of the whole window, which the contract `query-key` is asked for in parts.
    fn window_length(&mut self, tokens: &Tokens) -> Value {
        if tokens.axes == 2 {
            return self.length(&tokens.ids);
        }
        match self.graph.input.iter().any(|input| input.name == WINDOW_LENGTH) {
            true => WINDOW_LENGTH.to_owned(),
            false => self.input(WINDOW_LENGTH, &[]),
        }
    }

    /// One number for each pair of a head, with `still` for those that do not turn.
    fn for_pairs(&mut self, turning: &[f32], still: f32) -> Value {
        let pairs = self.decoder.head_size / 2;
        let mut numbers = turning.to_vec();
        numbers.resize(pairs, still);
        self.floats(&[pairs], &numbers)
    }

    fn halves(&mut self, vectors: &Value) -> [Value; 2] {
        let names = [self.fresh("Split"), self.fresh("Split_second")];
        self.push("Split", &[vectors], names.to_vec(), vec![Attribute::integer("axis", -1)]);
        names
    }

    fn sum_of_products(&mut self, left: [&str; 2], right: [&str; 2]) -> Value {
        let (left, right) = (self.node("Mul", &left), self.node("Mul", &right));
        self.node("Add", &[&left, &right])
    }

    fn difference_of_products(&mut self, left: [&str; 2], right: [&str; 2]) -> Value {
        let (left, right) = (self.node("Mul", &left), self.node("Mul", &right));
        self.node("Sub", &[&left, &right])
    }

    /// 0, 1, … for ids `[batch, length]`.
    fn positions(&mut self, ids: &Value) -> Value {
        let (zero, one) = (self.integer(0), self.integer(1));
        let length = self.length(ids);
        self.node("Range", &[&zero, &length, &one])
    }

    fn length(&mut self, ids: &Value) -> Value {
        let shape = self.node("Shape", &[ids]);
        let one = self.integer(1);
        self.node("Gather", &[&shape, &one])
    }

    /// Each head's keys once for every query head that shares them.
    fn repeated(&mut self, key: &Value) -> Value {
        let group = self.decoder.heads / self.decoder.key_value_heads;
        let heads: Vec<i64> = (0..self.decoder.heads).map(|head| (head / group) as i64).collect();
        let heads = self.integers(&heads);
        self.node_with("Gather", &[key, &heads], vec![Attribute::integer("axis", 1)])
    }

    fn causal_attention(&mut self, query: &Value, key: &Value, positions: &Value) -> Value {
        let scale = self.float(self.decoder.attention_scale as f32);
        let query = self.node("Mul", &[query, &scale]);
        let key = self.node_with("Transpose", &[key], vec![Attribute::integers("perm", &[0, 1, 3, 2])]);
        let mut logits = self.node("MatMul", &[&query, &key]);
        if let Some(cap) = self.decoder.logit_softcap {
            logits = self.capped(&logits, cap);
        }
        let last = self.integers(&[-1]);
        let rows = self.node("Unsqueeze", &[positions, &last]);
        let visible = self.node("LessOrEqual", &[positions, &rows]);
        let hidden = self.float(f32::NEG_INFINITY);
        let logits = self.node("Where", &[&visible, &logits, &hidden]);
        self.node_with("Softmax", &[&logits], vec![Attribute::integer("axis", -1)])
    }

    /// Each number `x` as `cap · tanh(x / cap)`.
    fn capped(&mut self, numbers: &Value, cap: f64) -> Value {
        let cap = self.float(cap as f32);
        let parts = self.node("Div", &[numbers, &cap]);
        let parts = self.node("Tanh", &[&parts]);
        self.node("Mul", &[&parts, &cap])
    }

    /// `value`, which has the number format of the initializer `weights`, in float32.
    fn float32(&mut self, weights: &str, value: Value) -> Value {
        if self.stored(weights).is_some_and(|tensor| tensor.data_type == ElementType::Float32 as i32) {
            return value;
        }
        self.cast(&value, ElementType::Float32)
    }

    fn has(&self, weights: &str) -> bool {
        self.stored(weights).is_some()
    }

    fn stored(&self, weights: &str) -> Option<&Tensor> {
        self.graph.initializer.iter().find(|tensor| tensor.name == weights)
    }

    fn cast(&mut self, value: &Value, to: ElementType) -> Value {
        self.node_with("Cast", &[value], vec![Attribute::integer("to", to as i64)])
    }

    fn input(&mut self, name: &str, dims: &[&str]) -> Value {
        let dims = dims.iter().map(|&dim| dim.into()).collect();
        self.graph.input.push(ValueInfo::new(name, ElementType::Int64, dims));
        name.to_owned()
    }

    fn output(&mut self, name: &str, value: &Value, dims: Vec<Dimension>) {
        self.output_of(name, value, ElementType::Float32, dims);
    }

    fn output_of(&mut self, name: &str, value: &Value, element: ElementType, dims: Vec<Dimension>) {
        self.push("Identity", &[value], vec![name.to_owned()], Vec::new());
        self.graph.output.push(ValueInfo::new(name, element, dims));
    }

    fn float(&mut self, number: f32) -> Value {
        self.floats(&[], &[number])
    }

    fn floats(&mut self, dims: &[usize], numbers: &[f32]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(Tensor::inline(ElementType::Float32, dims, bytes))
    }

    fn integer(&mut self, number: i64) -> Value {
        self.constant(Tensor::inline(ElementType::Int64, &[], number.to_le_bytes().to_vec()))
    }

    fn integers(&mut self, numbers: &[i64]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(Tensor::inline(ElementType::Int64, &[numbers.len()], bytes))
    }

    fn constant(&mut self, tensor: Tensor) -> Value {
        let known = self.graph.initializer.iter().find(|known| tensor.clone().named(&known.name) == **known);
        if let Some(known) = known {
            return known.name.clone();
        }
        let name = format!("{}constant_{}", self.scope, self.graph.initializer.len());
        self.graph.initializer.push(tensor.named(&name));
        name
    }

    fn node(&mut self, operator: &str, inputs: &[&str]) -> Value {
        self.node_with(operator, inputs, Vec::new())
    }

    fn node_with(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> Value {
        let output = self.fresh(operator);
        self.push(operator, inputs, vec![output.clone()], attributes);
        output
    }

    fn fresh(&self, stem: &str) -> Value {
        format!("{}{stem}_{}", self.scope, self.graph.node.len())
    }

    fn push(&mut self, operator: &str, inputs: &[&str], output: Vec<Value>, attribute: Vec<Attribute>) {
        self.push_of("", operator, inputs, output, attribute);
    }

    /// A node of an operator that is in a `domain` of its own.
    fn push_of(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        output: Vec<Value>,
        attribute: Vec<Attribute>,
    ) {
        let name = format!("{operator}_node_{}", self.graph.node.len());
        let input = inputs.iter().map(|&input| input.to_owned()).collect();
        self.graph.node.push(Node {
            input,
            output,
            name,
            op_type: operator.to_owned(),
            attribute,
            domain: domain.to_owned(),
        });
    }
}

/// What nodes read, and those of graphs within them.
fn inputs_of(nodes: &[Node]) -> impl Iterator<Item = &String> {
    let within = nodes.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.g.as_ref());
    let within = within.flat_map(|graph| graph.node.iter().flat_map(|node| &node.input));
    nodes.iter().flat_map(|node| &node.input).chain(within)
}
