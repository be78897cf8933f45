//! Graphs within a graph, run over and over.

use super::{Builder, Value};
use crate::export::onnx::{Attribute, ElementType, Graph, Tensor, ValueInfo};

const TURN: &str = "turn";
const CONDITION: &str = "condition";

impl Builder<'_> {
    /// Runs a body `turns` times. It gets the number of its turn, from 0, and what the turn before carried on to it, `initial`
    /// at first. It gives what it carries on, and after that what is collected of all turns along a new first axis, where
    /// all are of one shape. Returns what the last turn carried on and what was collected.
    pub(super) fn looped<const CARRIED: usize, const RESULTS: usize>(
        &mut self,
        name: &str,
        turns: &Value,
        initial: [&Value; CARRIED],
        body: impl FnOnce(&mut Builder, &Value, [Value; CARRIED]) -> [Value; RESULTS],
    ) -> [Value; RESULTS] {
        let graph = Graph { name: name.to_owned(), ..Graph::default() };
        let mut within = Builder { graph, scope: "block_", ..*self };
        let earlier: [Value; CARRIED] = std::array::from_fn(|index| format!("earlier_{index}"));
        let floats = |name: &Value| ValueInfo::of_any_shape(name, ElementType::Float32);
        let number = ValueInfo::new(TURN, ElementType::Int64, Vec::new());
        let condition = |name: &str| ValueInfo::new(name, ElementType::Bool, Vec::new());
        within.graph.input = [number, condition(CONDITION)].into_iter().chain(earlier.iter().map(floats)).collect();

        let results = body(&mut within, &TURN.to_owned(), earlier);
        let again = within.node("Identity", &[CONDITION]);
        within.graph.output = [condition(&again)].into_iter().chain(results.iter().map(floats)).collect();

        let always = self.constant(Tensor::inline(ElementType::Bool, &[], vec![1]));
        let inputs: Vec<_> = [turns, &always].into_iter().chain(initial).map(String::as_str).collect();
        let outputs: [Value; RESULTS] = std::array::from_fn(|index| self.fresh(&format!("{name}_{index}")));
        self.push("Loop", &inputs, outputs.to_vec(), vec![Attribute::graph("body", within.graph)]);
        outputs
    }

    /// How many blocks of `size` hold `rows`, both numbers.
    pub(super) fn blocks_of(&mut self, rows: &Value, size: usize) -> Value {
        let (rest, size) = (self.integer(size as i64 - 1), self.integer(size as i64));
        let rounded = self.node("Add", &[rows, &rest]);
        self.node("Div", &[&rounded, &size])
    }
}
