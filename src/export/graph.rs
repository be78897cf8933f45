//! The ONNX graphs of a scorer package.

use super::llama::{self, Llama};
use super::onnx::{Attribute, Dimension, ElementType, Graph, Node, Tensor, ValueInfo};
use crate::model::metadata::Contract;

/// Names of the initializers.
pub(super) const TOKEN_EMBEDDING: &str = "token_embedding";
pub(super) const NORM: &str = "input_norm";

/// One of the two projections.
#[derive(Clone, Copy)]
pub(super) struct Projection {
    pub heads: usize,
    /// The checkpoint's tensor.
    pub tensor: &'static str,
    /// The initializer that holds the projection alone.
    pub weights: &'static str,
    /// The initializer that holds it folded with embedding and norm.
    pub table: &'static str,
}

/// The projections to queries and to keys.
pub(super) fn projections(layer: &Llama) -> [Projection; 2] {
    let query =
        Projection { heads: layer.heads, tensor: llama::QUERY, weights: "query_projection", table: "query_table" };
    let key =
        Projection { heads: layer.key_value_heads, tensor: llama::KEY, weights: "key_projection", table: "key_table" };
    [query, key]
}

/// The graph of the first layer up to its queries and keys, or to its attention maps.
///
/// `weights` holds the initializers: if `folded`, each projection's table `[vocabulary_size, rows]`; otherwise the
/// embedding `[vocabulary_size, embedding_size]`, the norm `[embedding_size]`, and the projections
/// `[embedding_size, rows]`. Each head's numbers are in the order of rotary halves.
pub(super) fn build(contract: Contract, layer: &Llama, folded: bool, weights: Vec<Tensor>) -> Graph {
    let graph = Graph { name: "longattn".to_owned(), initializer: weights, ..Graph::default() };
    let mut builder = Builder { graph, layer, folded };
    match contract {
        Contract::QueryKey => builder.query_key(),
        Contract::Attentions => builder.attentions(),
    }
    builder.graph
}

/// Name of a value in the graph.
type Value = String;

struct Builder<'a> {
    graph: Graph,
    layer: &'a Llama,
    folded: bool,
}

impl Builder<'_> {
    fn query_key(&mut self) {
        let [query, key] = projections(self.layer);
        self.half("key", key);
        self.half("query", query);
    }

    /// One output of the query-key contract, from its own tokens at their own positions.
    fn half(&mut self, name: &str, projection: Projection) {
        let length = format!("{name}_length");
        let ids = self.input(&format!("{name}_ids"), &[&length]);
        let positions = self.input(&format!("{name}_positions"), &[&length]);
        let projected = self.projected(&ids, projection, 1);
        let rotated = self.rotated(&projected, &positions);
        let shape = vec![projection.heads.into(), length.as_str().into(), self.layer.head_size.into()];
        self.output(name, &rotated, shape);
    }

    fn attentions(&mut self) {
        let ids = self.input("input_ids", &["batch", "length"]);
        let positions = self.positions(&ids);
        let [query, key] = projections(self.layer);
        let query = self.projected(&ids, query, 2);
        let query = self.rotated(&query, &positions);
        let key = self.projected(&ids, key, 2);
        let key = self.rotated(&key, &positions);
        let key = self.repeated(&key);
        let attentions = self.causal_attention(&query, &key, &positions);
        let shape = vec!["batch".into(), self.layer.heads.into(), "length".into(), "length".into()];
        self.output("attentions", &attentions, shape);
    }

    /// Numbers of the tokens' heads before the rotary embedding, `[.., heads, length, head_size]` from ids
    /// `[.., length]` of `axes` axes.
    fn projected(&mut self, ids: &Value, projection: Projection, axes: usize) -> Value {
        let rows = if self.folded {
            self.looked_up(projection.table, ids)
        } else {
            let embedding = self.looked_up(TOKEN_EMBEDDING, ids);
            let normed = self.normed(&embedding);
            let weights = self.float32(projection.weights, projection.weights.to_owned());
            self.node("MatMul", &[&normed, &weights])
        };
        // A size of 0 stands for the input's own, so lengths of 0 pass.
        let mut shape = vec![0; axes];
        shape.extend([projection.heads as i64, self.layer.head_size as i64]);
        let shape = self.integers(&shape);
        let split = self.node("Reshape", &[&rows, &shape]);
        let order: &[i64] = if axes == 1 { &[1, 0, 2] } else { &[0, 2, 1, 3] };
        self.node_with("Transpose", &[&split], vec![Attribute::integers("perm", order)])
    }

    fn looked_up(&mut self, table: &'static str, ids: &Value) -> Value {
        let rows = self.node("Gather", &[table, ids]);
        self.float32(table, rows)
    }

    fn normed(&mut self, hidden: &Value) -> Value {
        let squares = self.node("Mul", &[hidden, hidden]);
        let over_last = vec![Attribute::integers("axes", &[-1])];
        let mean = self.node_with("ReduceMean", &[&squares], over_last);
        let epsilon = self.float(self.layer.norm_epsilon as f32);
        let variance = self.node("Add", &[&mean, &epsilon]);
        let deviation = self.node("Sqrt", &[&variance]);
        let scaled = self.node("Div", &[hidden, &deviation]);
        self.node("Mul", &[&scaled, NORM])
    }

    /// Turns the pairs (i, i + head_size / 2) of `[.., length, head_size]` by their positions `[length]`.
    fn rotated(&mut self, vectors: &Value, positions: &Value) -> Value {
        let angles = self.angles(positions);
        let cosine = self.node("Cos", &[&angles]);
        let sine = self.node("Sin", &[&angles]);
        let [first, second] = self.halves(vectors);
        let turned_first = self.difference_of_products([&first, &cosine], [&second, &sine]);
        let turned_second = self.sum_of_products([&second, &cosine], [&first, &sine]);
        self.node_with("Concat", &[&turned_first, &turned_second], vec![Attribute::integer("axis", -1)])
    }

    fn angles(&mut self, positions: &Value) -> Value {
        let last = self.integers(&[-1]);
        let column = self.node("Unsqueeze", &[positions, &last]);
        let column = self.cast(&column, ElementType::Float32);
        let frequencies = self.layer.inverse_frequencies.clone();
        let frequencies = self.floats(&[frequencies.len()], &frequencies);
        self.node("Mul", &[&column, &frequencies])
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
        let shape = self.node("Shape", &[ids]);
        let (zero, one) = (self.integer(0), self.integer(1));
        let length = self.node("Gather", &[&shape, &one]);
        self.node("Range", &[&zero, &length, &one])
    }

    /// Each head's keys once for every query head that shares them.
    fn repeated(&mut self, key: &Value) -> Value {
        let group = self.layer.heads / self.layer.key_value_heads;
        let heads: Vec<i64> = (0..self.layer.heads).map(|head| (head / group) as i64).collect();
        let heads = self.integers(&heads);
        self.node_with("Gather", &[key, &heads], vec![Attribute::integer("axis", 1)])
    }

    fn causal_attention(&mut self, query: &Value, key: &Value, positions: &Value) -> Value {
        let scale = self.float(self.layer.attention_scale as f32);
        let query = self.node("Mul", &[query, &scale]);
        let key = self.node_with("Transpose", &[key], vec![Attribute::integers("perm", &[0, 1, 3, 2])]);
        let logits = self.node("MatMul", &[&query, &key]);
        let last = self.integers(&[-1]);
        let rows = self.node("Unsqueeze", &[positions, &last]);
        let visible = self.node("LessOrEqual", &[positions, &rows]);
        let hidden = self.float(f32::NEG_INFINITY);
        let logits = self.node("Where", &[&visible, &logits, &hidden]);
        self.node_with("Softmax", &[&logits], vec![Attribute::integer("axis", -1)])
    }

    /// `value`, which has the number format of the initializer `weights`, in float32.
    fn float32(&mut self, weights: &str, value: Value) -> Value {
        let stored = self.graph.initializer.iter().find(|tensor| tensor.name == weights);
        if stored.is_some_and(|tensor| tensor.data_type == ElementType::Float32 as i32) {
            return value;
        }
        self.cast(&value, ElementType::Float32)
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
        self.push("Identity", &[value], vec![name.to_owned()], Vec::new());
        self.graph.output.push(ValueInfo::new(name, ElementType::Float32, dims));
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
        let name = format!("constant_{}", self.graph.initializer.len());
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
        format!("{stem}_{}", self.graph.node.len())
    }

    fn push(&mut self, operator: &str, inputs: &[&str], output: Vec<Value>, attribute: Vec<Attribute>) {
        let name = format!("{operator}_node_{}", self.graph.node.len());
        let input = inputs.iter().map(|&input| input.to_owned()).collect();
        self.graph.node.push(Node { input, output, name, op_type: operator.to_owned(), attribute });
    }
}
