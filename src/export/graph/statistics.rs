//! The statistics of attention, summed within the graph: by the operator `FarMass`, or over blocks of rows by ONNX's own.

use super::attention::Block;
use super::{Builder, Value};
use crate::export::AttentionOperators;
use crate::export::onnx::{Attribute, ElementType};
use crate::model::{DOMAIN, FAR_MASS};

/// What the graph gives.
const OUTPUTS: [&str; 2] = ["far_mass", "far_square_mass"];

/// What the sums of each layer run over.
struct FarRows {
    /// `[length]`.
    positions: Value,
    length: Value,
    min_distance: Value,
    /// `[settings]`.
    sink_tokens: Value,
}

impl Builder<'_> {
    /// The far mass and far square mass of the scored layers, `[settings, layers, heads]`, for each number of sink tokens.
    pub(super) fn statistics(&mut self) {
        let ids = self.input("input_ids", &["length"]);
        let min_distance = self.input("min_distance", &[]);
        let sink_tokens = self.input("sink_tokens", &["settings"]);
        let first = self.integers(&[0]);
        let ids = self.node("Unsqueeze", &[&ids, &first]);
        let tokens = self.whole_windows(ids);
        let length = self.length(&tokens.ids);
        let rows = FarRows { positions: tokens.positions.clone(), length, min_distance, sink_tokens };
        let scored = self.scored_vectors(&tokens);
        let sums: Vec<_> = scored.iter().map(|[query, key]| self.far_sums(query, key, &rows)).collect();
        if let Some(vectors) = scored.last() {
            let [query, key] = vectors.each_ref().map(|vectors| self.node("Squeeze", &[vectors, &first]));
            self.vectors_output("query", &query, self.decoder.heads);
            self.vectors_output("key", &key, self.decoder.key_value_heads);
        }
        let element = match self.options.attention {
            AttentionOperators::Fused => ElementType::Float64,
            AttentionOperators::Standard => ElementType::Float32,
        };
        for (index, name) in OUTPUTS.into_iter().enumerate() {
            let sums = self.joined_in_turn(sums.iter().map(|sums| &sums[index]));
            let (layers, heads) = (self.decoder.layers.len(), self.decoder.heads);
            self.output_of(name, &sums, element, vec!["settings".into(), layers.into(), heads.into()]);
        }
    }

    /// Values one after the other. ONNX Runtime computes first what the newest node needs, so that by one node for each pair,
    /// newer than all values, it finishes the sums of one layer before it begins the next, and holds the queries and keys of
    /// one layer at a time.
    fn joined_in_turn<'a>(&mut self, values: impl Iterator<Item = &'a Value>) -> Value {
        let joined = values
            .cloned()
            .reduce(|joined, value| self.node_with("Concat", &[&joined, &value], vec![Attribute::integer("axis", 1)]));
        joined.expect("at least one layer is scored")
    }

    /// How many blocks hold the rows that have far keys.
    fn row_blocks(&mut self, rows: &FarRows) -> Value {
        let none = self.integer(0);
        let count = self.node("Sub", &[&rows.length, &rows.min_distance]);
        let count = self.node("Max", &[&count, &none]);
        self.blocks_of(&count, self.options.block_rows())
    }

    /// Both sums of a layer, `[settings, 1, heads]`, from its queries and keys `[1, heads, length, head_size]`.
    fn far_sums(&mut self, query: &Value, key: &Value, rows: &FarRows) -> [Value; 2] {
        match self.options.attention {
            AttentionOperators::Fused => self.far_mass(query, key, rows),
            AttentionOperators::Standard => self.looped_far_sums(query, key, rows),
        }
    }

    fn far_mass(&mut self, query: &Value, key: &Value, rows: &FarRows) -> [Value; 2] {
        let first_row = self.integer(0);
        let inputs = [query, key, &first_row, &rows.min_distance, &rows.sink_tokens];
        let mut attributes = vec![Attribute::float("scale", self.decoder.attention_scale as f32)];
        attributes.extend(self.decoder.logit_softcap.map(|cap| Attribute::float("softcap", cap as f32)));
        let sums = OUTPUTS.map(|stem| self.fresh(stem));
        self.push_of(DOMAIN, FAR_MASS, &inputs.map(String::as_str), sums.to_vec(), attributes);
        sums
    }

    fn looped_far_sums(&mut self, query: &Value, key: &Value, rows: &FarRows) -> [Value; 2] {
        let blocks = self.row_blocks(rows);
        let nothing = self.no_sums(&rows.sink_tokens);
        let sums = self.looped("block_of_rows", &blocks, [&nothing, &nothing], |body, turn, [mass, square_mass]| {
            let (block, far_keys) = body.far_block(turn, query, key, rows);
            let weights = body.weights(&block);
            let sums = body.block_sums(&weights, &block, &far_keys, rows);
            [body.node("Add", &[&mass, &sums[0]]), body.node("Add", &[&square_mass, &sums[1]])]
        });
        let shape = self.integers(&[1, self.decoder.heads as i64, -1]);
        sums.map(|sums| {
            let sums = self.node("Reshape", &[&sums, &shape]);
            self.node_with("Transpose", &[&sums], vec![Attribute::integers("perm", &[2, 0, 1])])
        })
    }

    /// Zeros `[1, key_value_heads, group, settings]`.
    fn no_sums(&mut self, sink_tokens: &Value) -> Value {
        let [key_value_heads, group] = self.head_groups();
        let (zero, heads) = (self.float(0.0), self.integers(&[1, key_value_heads, group]));
        let settings = self.node("Shape", &[sink_tokens]);
        let shape = self.joined_shape(&[&heads, &settings]);
        self.node("Expand", &[&zero, &shape])
    }

    /// The block of a turn, and the number of keys that are far of its last row, `[1]`. Blocks go from the last rows to the
    /// first that have far keys: the largest comes first, so that memory for it serves all others.
    fn far_block(&mut self, turn: &Value, query: &Value, key: &Value, rows: &FarRows) -> (Block, Value) {
        let size = self.integer(self.options.block_rows() as i64);
        let (zero, two, last) = (self.integers(&[0]), self.integers(&[2]), self.integers(&[-1]));
        let after = self.node("Mul", &[turn, &size]);
        let end = self.node("Sub", &[&rows.length, &after]);
        let start = self.node("Sub", &[&end, &size]);
        let start = self.node("Max", &[&start, &rows.min_distance]);
        let far_keys = self.node("Sub", &[&end, &rows.min_distance]);
        let [start, end, far_keys] = [start, end, far_keys].map(|number| self.node("Unsqueeze", &[&number, &zero]));
        let row_positions = self.node("Slice", &[&rows.positions, &start, &end]);
        let block = Block {
            query: self.node("Slice", &[query, &start, &end, &two]),
            key: self.node("Slice", &[key, &zero, &end, &two]),
            row_positions: self.node("Unsqueeze", &[&row_positions, &last]),
            key_positions: self.node("Slice", &[&rows.positions, &zero, &end]),
            // Windows longer than the scored layer's sliding window are refused, so that it hides nothing.
            sliding_window: None,
        };
        (block, far_keys)
    }

    /// The far mass and far square mass of a block's rows, `[1, key_value_heads, group, settings]`.
    fn block_sums(&mut self, weights: &Value, block: &Block, far_keys: &Value, rows: &FarRows) -> [Value; 2] {
        let (zero, last) = (self.integers(&[0]), self.integers(&[-1]));
        let weights = self.node("Slice", &[weights, &zero, far_keys, &last]);
        let keys = self.node("Slice", &[&rows.positions, &zero, far_keys]);
        let farthest = self.node("Sub", &[&block.row_positions, &rows.min_distance]);
        let far = self.node("LessOrEqual", &[&keys, &farthest]);
        let far = self.cast(&far, ElementType::Float32);
        let weights = self.node("Mul", &[&weights, &far]);
        let squares = self.node("Mul", &[&weights, &weights]);

        let keys = self.node("Unsqueeze", &[&keys, &last]);
        let counts = self.node("GreaterOrEqual", &[&keys, &rows.sink_tokens]);
        let counts = self.cast(&counts, ElementType::Float32);
        let over_rows = self.integers(&[-2]);
        [weights, squares].map(|numbers| {
            let sums = self.node("MatMul", &[&numbers, &counts]);
            self.node_with("ReduceSum", &[&sums, &over_rows], vec![Attribute::integer("keepdims", 0)])
        })
    }
}
