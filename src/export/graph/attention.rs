//! What layers that are computed whole attend to.

use super::{Builder, LinearNames, RUNTIME_DOMAIN, Tokens, Value};
use crate::export::AttentionOperators;
use crate::export::onnx::{Attribute, ElementType};

/// Queries and the keys that they see.
pub(super) struct Block {
    /// `[batch, heads, rows, head_size]`.
    pub query: Value,
    /// `[batch, key_value_heads, keys, head_size]`.
    pub key: Value,
    /// `[rows, 1]`.
    pub row_positions: Value,
    /// `[keys]`.
    pub key_positions: Value,
    pub sliding_window: Option<usize>,
}

impl Builder<'_> {
    /// What a layer's attention gives, `[batch, length, embedding_size]`, without ever holding its map.
    pub(super) fn attended(&mut self, layer: usize, normed: &Value, query_key: [Value; 2], tokens: &Tokens) -> Value {
        let names = LinearNames::new(layer, "value");
        let value = self.linear(normed, &names);
        let attended = match self.options.attention {
            AttentionOperators::Fused => self.fused_attention(layer, query_key, &value, tokens),
            AttentionOperators::Standard => {
                let value = self.split(&value, &names, self.decoder.key_value_heads, tokens);
                self.attention_in_blocks(layer, query_key, &value, tokens)
            }
        };
        self.linear(&attended, &LinearNames::new(layer, "attention_output"))
    }

    /// Values `[batch, length, key_value_heads * head_size]` by the attention to them, `[batch, length, heads * head_size]`.
    fn fused_attention(&mut self, layer: usize, [query, key]: [Value; 2], value: &Value, tokens: &Tokens) -> Value {
        let decoder = self.decoder;
        let query = self.joined(&query, decoder.heads);
        let key = self.joined(&key, decoder.key_value_heads);
        let [last, length] = self.extents(tokens);
        let mut attributes = vec![
            Attribute::integer("num_heads", decoder.heads as i64),
            Attribute::integer("kv_num_heads", decoder.key_value_heads as i64),
            Attribute::float("scale", decoder.attention_scale as f32),
        ];
        attributes.extend(decoder.logit_softcap.map(|cap| Attribute::float("softcap", cap as f32)));
        let window = decoder.sliding_windows[layer];
        attributes.extend(window.map(|window| Attribute::integer("local_window_size", window as i64)));
        let outputs = ["attended", "present_key", "present_value"].map(|stem| self.fresh(stem));
        let attended = outputs[0].clone();
        let inputs = [&query, &key, value, "", "", &last, &length];
        self.push_of(RUNTIME_DOMAIN, "GroupQueryAttention", &inputs, outputs.to_vec(), attributes);
        attended
    }

    /// `[batch, heads, length, head_size]` as `[batch, length, heads * head_size]`.
    fn joined(&mut self, vectors: &Value, heads: usize) -> Value {
        let by_token = self.node_with("Transpose", &[vectors], vec![Attribute::integers("perm", &[0, 2, 1, 3])]);
        let shape = self.integers(&[0, 0, (heads * self.decoder.head_size) as i64]);
        self.node("Reshape", &[&by_token, &shape])
    }

    /// The last position of each window `[batch]`, and the length of all.
    fn extents(&mut self, tokens: &Tokens) -> [Value; 2] {
        let length = self.length(&tokens.ids);
        let one = self.integer(1);
        let last = self.node("Sub", &[&length, &one]);
        let shape = self.node("Shape", &[&tokens.ids]);
        let first = self.integers(&[0]);
        let batch = self.node("Gather", &[&shape, &first]);
        let last = self.node("Expand", &[&last, &batch]);
        [last, length].map(|number| self.cast(&number, ElementType::Int32))
    }

    /// Values `[batch, key_value_heads, length, head_size]` by the attention to them, `[batch, length, heads * head_size]`:
    /// a loop over blocks of rows, so that never more attention is held than that of a block.
    fn attention_in_blocks(&mut self, layer: usize, [query, key]: [Value; 2], value: &Value, tokens: &Tokens) -> Value {
        let (heads, size) = (self.decoder.heads as i64, self.options.block_rows());
        let length = self.length(&tokens.ids);
        let blocks = self.blocks_of(&length, size);
        // It carries a number from turn to turn because OpenVINO's provider does not load a loop that carries nothing.
        let idle = self.float(0.0);
        let [_, attended] = self.looped("block_of_attention", &blocks, [&idle], |body, turn, [idle]| {
            let (block, value) = body.attention_block(layer, turn, [&query, &key, value], &length, tokens);
            let weights = body.weights(&block);
            let [_, group] = body.head_groups();
            let by_key_head = body.integers(&[0, 0, group * size as i64, -1]);
            let weights = body.node("Reshape", &[&weights, &by_key_head]);
            let attended = body.node("MatMul", &[&weights, &value]);
            // Flat, since ONNX's own evaluator joins others along an axis that they have.
            let flat = body.integers(&[-1]);
            [body.node("Identity", &[&idle]), body.node("Reshape", &[&attended, &flat])]
        });
        let by_block = self.integers(&[0, -1, heads, size as i64, self.decoder.head_size as i64]);
        let attended = self.node("Reshape", &[&attended, &by_block]);
        let by_token = Attribute::integers("perm", &[1, 0, 3, 2, 4]);
        let attended = self.node_with("Transpose", &[&attended], vec![by_token]);
        let shape = self.integers(&[0, -1, heads * self.decoder.head_size as i64]);
        let attended = self.node("Reshape", &[&attended, &shape]);
        let (zero, one) = (self.integers(&[0]), self.integers(&[1]));
        let end = self.node("Unsqueeze", &[&length, &zero]);
        self.node("Slice", &[&attended, &zero, &end, &one])
    }

    /// The block of a turn, and the values of its keys. All blocks have as many rows, so that what comes of them can be
    /// collected: behind the end of the window stands its last row again.
    fn attention_block(
        &mut self,
        layer: usize,
        turn: &Value,
        [query, key, value]: [&Value; 3],
        length: &Value,
        tokens: &Tokens,
    ) -> (Block, Value) {
        let size = self.options.block_rows() as i64;
        let sliding_window = self.decoder.sliding_windows[layer];
        let (size, offsets, one) = (self.integer(size), self.integers(&Vec::from_iter(0..size)), self.integer(1));
        let first_row = self.node("Mul", &[turn, &size]);
        let rows = self.node("Add", &[&first_row, &offsets]);
        let last_row = self.node("Sub", &[length, &one]);
        let rows = self.node("Min", &[&rows, &last_row]);

        let end = self.node("Add", &[&first_row, &size]);
        let start = self.first_seen_key(&first_row, sliding_window);
        let (zero, two, last) = (self.integers(&[0]), self.integers(&[2]), self.integers(&[-1]));
        let [start, end] = [start, end].map(|number| self.node("Unsqueeze", &[&number, &zero]));
        let [key, value] = [key, value].map(|all| self.node("Slice", &[all, &start, &end, &two]));
        let block = Block {
            query: self.node_with("Gather", &[query, &rows], vec![Attribute::integer("axis", 2)]),
            key,
            row_positions: self.node("Unsqueeze", &[&rows, &last]),
            key_positions: self.node("Slice", &[&tokens.positions, &start, &end]),
            sliding_window,
        };
        (block, value)
    }

    fn first_seen_key(&mut self, row: &Value, sliding_window: Option<usize>) -> Value {
        let first = self.integer(0);
        let Some(window) = sliding_window else { return first };
        let before = self.integer(window as i64 - 1);
        let start = self.node("Sub", &[row, &before]);
        self.node("Max", &[&start, &first])
    }

    /// The attention of a block's rows, `[batch, key_value_heads, group, rows, keys]`.
    pub(super) fn weights(&mut self, block: &Block) -> Value {
        let [key_value_heads, group] = self.head_groups();
        let scale = self.float(self.decoder.attention_scale as f32);
        let query = self.node("Mul", &[&block.query, &scale]);
        let by_key_head = self.integers(&[0, key_value_heads, -1, self.decoder.head_size as i64]);
        let query = self.node("Reshape", &[&query, &by_key_head]);
        let key = self.node_with("Transpose", &[&block.key], vec![Attribute::integers("perm", &[0, 1, 3, 2])]);
        let mut logits = self.node("MatMul", &[&query, &key]);
        if let Some(cap) = self.decoder.logit_softcap {
            logits = self.capped(&logits, cap);
        }
        let visible = self.visible(block);
        let (nothing, hidden) = (self.float(0.0), self.float(f32::NEG_INFINITY));
        let bias = self.node("Where", &[&visible, &nothing, &hidden]);
        let (by_group, rows_and_keys) = (self.integers(&[0, 0, group]), self.node("Shape", &[&bias]));
        let shape = self.joined_shape(&[&by_group, &rows_and_keys]);
        let logits = self.node("Reshape", &[&logits, &shape]);
        let logits = self.node("Add", &[&logits, &bias]);
        self.node_with("Softmax", &[&logits], vec![Attribute::integer("axis", -1)])
    }

    /// Whether a row sees a key, `[rows, keys]`.
    fn visible(&mut self, block: &Block) -> Value {
        let visible = self.node("LessOrEqual", &[&block.key_positions, &block.row_positions]);
        let Some(window) = block.sliding_window else { return visible };
        let window = self.integer(window as i64);
        let behind = self.node("Sub", &[&block.row_positions, &window]);
        let near = self.node("Greater", &[&block.key_positions, &behind]);
        self.node("And", &[&visible, &near])
    }

    /// Heads that have keys of their own, and how many queries share each.
    pub(super) fn head_groups(&self) -> [i64; 2] {
        let (heads, key_value_heads) = (self.decoder.heads, self.decoder.key_value_heads);
        [key_value_heads as i64, (heads / key_value_heads) as i64]
    }

    pub(super) fn joined_shape(&mut self, parts: &[&str]) -> Value {
        self.node_with("Concat", parts, vec![Attribute::integer("axis", 0)])
    }
}
