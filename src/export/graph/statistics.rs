//! The statistics of attention, summed within the graph over blocks of rows.

use super::{Builder, Value};
use crate::export::onnx::{Attribute, Dimension, ElementType, Graph, Tensor, ValueInfo};

/// What the graph gives.
const OUTPUTS: [&str; 2] = ["far_mass", "far_square_mass"];

/// Names within the loop over blocks.
const TURN: &str = "turn";
const CONDITION: &str = "condition";
const EARLIER: [&str; 2] = ["earlier_far_mass", "earlier_far_square_mass"];

/// What the sums of each layer run over.
struct FarRows {
    /// `[length]`.
    positions: Value,
    length: Value,
    min_distance: Value,
    /// `[settings]`.
    sink_tokens: Value,
    block_rows: usize,
}

/// Some rows and the keys that they see.
struct RowBlock {
    /// From the first row to the one after the last, `[1]` each.
    rows: [Value; 2],
    /// `[rows, 1]`.
    row_positions: Value,
    /// Far keys of the last row, `[1]`.
    far_keys: Value,
}

impl Builder<'_> {
    /// The far mass and far square mass of the scored layers, `[settings, layers, heads]`, for each number of sink tokens.
    pub(super) fn statistics(&mut self, block_rows: usize) {
        let ids = self.input("input_ids", &["length"]);
        let min_distance = self.input("min_distance", &[]);
        let sink_tokens = self.input("sink_tokens", &["settings"]);
        let first = self.integers(&[0]);
        let ids = self.node("Unsqueeze", &[&ids, &first]);
        let tokens = self.whole_windows(ids);
        let length = self.length(&tokens.ids);
        let rows = FarRows { positions: tokens.positions.clone(), length, min_distance, sink_tokens, block_rows };
        let scored: Vec<_> = self
            .scored_vectors(&tokens)
            .into_iter()
            .map(|vectors| vectors.map(|vectors| self.node("Squeeze", &[&vectors, &first])))
            .collect();
        let sums: Vec<_> = scored.iter().map(|[query, key]| self.far_sums(query, key, &rows)).collect();
        if let Some([query, key]) = scored.last() {
            self.vectors_output("query", query, self.decoder.heads);
            self.vectors_output("key", key, self.decoder.key_value_heads);
        }
        for (index, name) in OUTPUTS.into_iter().enumerate() {
            let sums = self.joined_in_turn(sums.iter().map(|sums| &sums[index]));
            let sums = self.node_with("Transpose", &[&sums], vec![Attribute::integers("perm", &[2, 0, 1])]);
            let (layers, heads) = (self.decoder.layers.len(), self.decoder.heads);
            self.output(name, &sums, vec!["settings".into(), layers.into(), heads.into()]);
        }
    }

    /// Values one after the other. ONNX Runtime computes first what the newest node needs, so that by one node for each pair,
    /// newer than all values, it finishes the sums of one layer before it begins the next, and holds the queries and keys of
    /// one layer at a time.
    fn joined_in_turn<'a>(&mut self, values: impl Iterator<Item = &'a Value>) -> Value {
        let joined = values
            .cloned()
            .reduce(|joined, value| self.node_with("Concat", &[&joined, &value], vec![Attribute::integer("axis", 0)]));
        joined.expect("at least one layer is scored")
    }

    /// How many blocks hold the rows that have far keys.
    fn row_blocks(&mut self, rows: &FarRows) -> Value {
        let size = rows.block_rows as i64;
        let (size, rest, none) = (self.integer(size), self.integer(size - 1), self.integer(0));
        let count = self.node("Sub", &[&rows.length, &rows.min_distance]);
        let rounded = self.node("Add", &[&count, &rest]);
        let blocks = self.node("Div", &[&rounded, &size]);
        self.node("Max", &[&blocks, &none])
    }

    /// Both sums of a layer, `[1, heads, settings]`, from its queries and keys `[heads, length, head_size]`.
    fn far_sums(&mut self, query: &Value, key: &Value, rows: &FarRows) -> [Value; 2] {
        let blocks = self.row_blocks(rows);
        let nothing = self.no_sums(&rows.sink_tokens);
        let sums = self.repeatedly_added(&blocks, [&nothing, &nothing], |body, turn| {
            let block = body.row_block(turn, rows);
            let weights = body.weights(query, key, &block, rows);
            body.block_sums(&weights, &block, rows)
        });
        let shape = self.integers(&[1, self.decoder.heads as i64, -1]);
        sums.map(|sums| self.node("Reshape", &[&sums, &shape]))
    }

    /// Zeros `[key_value_heads, group, settings]`.
    fn no_sums(&mut self, sink_tokens: &Value) -> Value {
        let (zero, heads) = (self.float(0.0), self.integers(&self.head_groups()));
        let settings = self.node("Shape", &[sink_tokens]);
        let shape = self.joined_shape(&[&heads, &settings]);
        self.node("Expand", &[&zero, &shape])
    }

    /// Heads that have keys of their own, and how many queries share each.
    fn head_groups(&self) -> [i64; 2] {
        let (heads, key_value_heads) = (self.decoder.heads, self.decoder.key_value_heads);
        [key_value_heads as i64, (heads / key_value_heads) as i64]
    }

    fn joined_shape(&mut self, parts: &[&str]) -> Value {
        self.node_with("Concat", parts, vec![Attribute::integer("axis", 0)])
    }

    /// Adds to both sums, as often as `count` says, the `terms` that belong to the number of the turn.
    fn repeatedly_added(
        &mut self,
        count: &Value,
        sums: [&Value; 2],
        terms: impl FnOnce(&mut Builder, &Value) -> [Value; 2],
    ) -> [Value; 2] {
        let graph = Graph { name: "block_of_rows".to_owned(), ..Graph::default() };
        let mut body = Builder { graph, decoder: self.decoder, scope: "block_" };
        let [key_value_heads, group] = self.head_groups().map(|heads| heads as usize);
        let sum_info = |name: &str| {
            let shape: [Dimension; 3] = [key_value_heads.into(), group.into(), "settings".into()];
            ValueInfo::new(name, ElementType::Float32, shape.to_vec())
        };
        let condition_info = |name: &str| ValueInfo::new(name, ElementType::Bool, Vec::new());
        let turn = TURN.to_owned();
        let turn_info = ValueInfo::new(&turn, ElementType::Int64, Vec::new());
        body.graph.input = [turn_info, condition_info(CONDITION)].into_iter().chain(EARLIER.map(sum_info)).collect();

        let terms = terms(&mut body, &turn);
        let condition = body.node("Identity", &[CONDITION]);
        let later = [0, 1].map(|index| body.node("Add", &[EARLIER[index], &terms[index]]));
        body.graph.output = vec![condition_info(&condition), sum_info(&later[0]), sum_info(&later[1])];

        let always = self.constant(Tensor::inline(ElementType::Bool, &[], vec![1]));
        let totals = OUTPUTS.map(|stem| self.fresh(stem));
        let body = Attribute::graph("body", body.graph);
        self.push("Loop", &[count, &always, sums[0], sums[1]], totals.to_vec(), vec![body]);
        totals
    }

    /// The block of a turn, from the last rows to the first that have far keys: the largest block comes first, so that
    /// memory for it serves all others.
    fn row_block(&mut self, turn: &Value, rows: &FarRows) -> RowBlock {
        let size = self.integer(rows.block_rows as i64);
        let first = self.integers(&[0]);
        let after = self.node("Mul", &[turn, &size]);
        let end = self.node("Sub", &[&rows.length, &after]);
        let start = self.node("Sub", &[&end, &size]);
        let start = self.node("Max", &[&start, &rows.min_distance]);
        let far_keys = self.node("Sub", &[&end, &rows.min_distance]);
        let [start, end, far_keys] = [start, end, far_keys].map(|number| self.node("Unsqueeze", &[&number, &first]));
        let row_positions = self.node("Slice", &[&rows.positions, &start, &end]);
        let last = self.integers(&[-1]);
        let row_positions = self.node("Unsqueeze", &[&row_positions, &last]);
        RowBlock { rows: [start, end], row_positions, far_keys }
    }

    /// The attention of a block's rows, `[key_value_heads, group, rows, keys]`.
    fn weights(&mut self, query: &Value, key: &Value, block: &RowBlock, rows: &FarRows) -> Value {
        let [first_row, end] = &block.rows;
        let (zero, one) = (self.integers(&[0]), self.integers(&[1]));
        let [key_value_heads, group] = self.head_groups();
        let query = self.node("Slice", &[query, first_row, end, &one]);
        let scale = self.float(self.decoder.attention_scale as f32);
        let query = self.node("Mul", &[&query, &scale]);
        let shape = self.integers(&[key_value_heads, -1, self.decoder.head_size as i64]);
        let query = self.node("Reshape", &[&query, &shape]);
        let key = self.node("Slice", &[key, &zero, end, &one]);
        let key = self.node_with("Transpose", &[&key], vec![Attribute::integers("perm", &[0, 2, 1])]);
        let mut logits = self.node("MatMul", &[&query, &key]);
        if let Some(cap) = self.decoder.logit_softcap {
            logits = self.capped(&logits, cap);
        }
        let heads = self.integers(&[key_value_heads, group, -1]);
        let shape = self.joined_shape(&[&heads, end]);
        let logits = self.node("Reshape", &[&logits, &shape]);

        let keys = self.node("Slice", &[&rows.positions, &zero, end]);
        let visible = self.node("LessOrEqual", &[&keys, &block.row_positions]);
        let (nothing, hidden) = (self.float(0.0), self.float(f32::NEG_INFINITY));
        let bias = self.node("Where", &[&visible, &nothing, &hidden]);
        let logits = self.node("Add", &[&logits, &bias]);
        self.node_with("Softmax", &[&logits], vec![Attribute::integer("axis", -1)])
    }

    /// The far mass and far square mass of a block's rows, `[key_value_heads, group, settings]`.
    fn block_sums(&mut self, weights: &Value, block: &RowBlock, rows: &FarRows) -> [Value; 2] {
        let (zero, last) = (self.integers(&[0]), self.integers(&[-1]));
        let weights = self.node("Slice", &[weights, &zero, &block.far_keys, &last]);
        let keys = self.node("Slice", &[&rows.positions, &zero, &block.far_keys]);
        let farthest = self.node("Sub", &[&block.row_positions, &rows.min_distance]);
        let far = self.node("LessOrEqual", &[&keys, &farthest]);
        let far = self.cast(&far, ElementType::Float32);
        let weights = self.node("Mul", &[&weights, &far]);
        let squares = self.node("Mul", &[&weights, &weights]);

        let keys = self.node("Unsqueeze", &[&keys, &last]);
        let counts = self.node("GreaterOrEqual", &[&keys, &rows.sink_tokens]);
        let counts = self.cast(&counts, ElementType::Float32);
        let over_rows = self.integers(&[2]);
        [weights, squares].map(|numbers| {
            let sums = self.node("MatMul", &[&numbers, &counts]);
            self.node_with("ReduceSum", &[&sums, &over_rows], vec![Attribute::integer("keepdims", 0)])
        })
    }
}
