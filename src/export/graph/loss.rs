//! The graph of `loss.onnx`: the losses of tokens.

use super::{Builder, HEAD, NormNames, TOKEN_EMBEDDING, Tokens, Value};
use crate::export::onnx::Attribute;
use crate::model::losses::{INPUT, OUTPUT};

/// Bytes of the logits that are held at a time, about.
const BLOCK_BYTES: usize = 64 << 20;

/// Rows of a block, whatever the vocabulary; fewer would multiply matrices slowly.
const FEWEST_ROWS: usize = 16;

impl Builder<'_> {
    /// The negative log-likelihood of each token of `[batch, length]` but the first, `[batch, length - 1]`.
    ///
    /// A loop over blocks of rows projects them to the vocabulary, so that never more logits are held than those of a block.
    pub(super) fn losses(&mut self) {
        let ids = self.input(INPUT, &["batch", "length"]);
        let tokens = self.whole_windows(ids);
        let hidden = self.hidden_state(&tokens);
        let normed = self.normed(&hidden, &NormNames::of_output());
        let [zero, one, last] = [0, 1, -1].map(|number| self.integers(&[number]));
        let end = self.integers(&[i64::MAX]);
        let predicting = self.node("Slice", &[&normed, &zero, &last, &one]);
        let predicted = self.node("Slice", &[&tokens.ids, &one, &end, &one]);

        let rows_shape = self.integers(&[-1, self.decoder.embedding_size as i64]);
        let rows = self.node("Reshape", &[&predicting, &rows_shape]);
        let column = self.integers(&[-1, 1]);
        let targets = self.node("Reshape", &[&predicted, &column]);
        let losses = self.losses_of_rows(&rows, &targets);
        let shape = self.node("Shape", &[&predicted]);
        let losses = self.node("Reshape", &[&losses, &shape]);
        self.output(OUTPUT, &losses, vec!["batch".into(), "losses".into()]);
    }

    /// What the last layer gives, `[batch, length, embedding_size]`.
    fn hidden_state(&mut self, tokens: &Tokens) -> Value {
        let mut hidden = self.embedded(tokens);
        for layer in 0..self.decoder.layer_count() {
            let normed = self.normed(&hidden, &NormNames::new(layer, super::NORM));
            let vectors = self
                .query_and_key()
                .map(|(name, heads)| self.vectors(layer, name, heads, &Some(normed.clone()), tokens));
            hidden = self.block(layer, &hidden, &normed, vectors, tokens);
        }
        hidden
    }

    /// The losses `[rows]` of targets `[rows, 1]`, predicted from `[rows, embedding_size]`.
    fn losses_of_rows(&mut self, rows: &Value, targets: &Value) -> Value {
        let head = if self.has(HEAD) { HEAD } else { TOKEN_EMBEDDING };
        let head = self.float32(head, head.to_owned());
        let block_rows = (BLOCK_BYTES / size_of::<f32>() / self.decoder.vocabulary_size).max(FEWEST_ROWS);
        let shape = self.node("Shape", &[rows]);
        let first = self.integer(0);
        let count = self.node("Gather", &[&shape, &first]);
        let blocks = self.blocks_of(&count, block_rows);
        let none_yet = self.floats(&[0], &[]);
        let [losses] = self.looped("block_of_losses", &blocks, [&none_yet], |body, turn, [earlier]| {
            let losses = body.block_of_losses(turn, [rows, targets], &head, block_rows);
            [body.node_with("Concat", &[&earlier, &losses], vec![Attribute::integer("axis", 0)])]
        });
        losses
    }

    /// The losses of the rows of one block.
    fn block_of_losses(&mut self, turn: &Value, all: [&Value; 2], head: &Value, block_rows: usize) -> Value {
        let (zero, one) = (self.integers(&[0]), self.integers(&[1]));
        let block_rows = self.integers(&[block_rows as i64]);
        let start = self.node("Mul", &[turn, &block_rows]);
        let end = self.node("Add", &[&start, &block_rows]);
        let [rows, targets] = all.map(|all| self.node("Slice", &[all, &start, &end, &zero]));
        let mut logits = self.node_with("Gemm", &[&rows, head], vec![Attribute::integer("transB", 1)]);
        if let Some(cap) = self.decoder.final_logit_softcap {
            logits = self.capped(&logits, cap);
        }
        let over_last = vec![Attribute::integers("axes", &[-1])];
        let sum = self.node_with("ReduceLogSumExp", &[&logits], over_last);
        let target = self.node_with("GatherElements", &[&logits, &targets], vec![Attribute::integer("axis", 1)]);
        let losses = self.node("Sub", &[&sum, &target]);
        self.node("Squeeze", &[&losses, &one])
    }
}
