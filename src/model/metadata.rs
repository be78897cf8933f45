//! What a scorer package says of itself: the `longattn.*` keys of the ONNX `metadata_props`.

use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};

/// How a model gives its attention, see the model contracts in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// Queries and keys of one layer, rotary embedding applied; the statistics are streamed from them.
    QueryKey,
    /// Whole attention maps.
    Attentions,
    /// The far mass and far square mass of each head of the scored layers, summed within the model.
    Statistics,
}

impl Choice for Contract {
    const NAMES: &'static [(&'static str, Self)] =
        &[("query-key", Self::QueryKey), ("attentions", Self::Attentions), ("statistics", Self::Statistics)];
}

/// Everything that the library must know of a model that it cannot read off the ONNX graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// How the model gives its attention.
    pub contract: Contract,
    /// The checkpoint's own name.
    pub name: String,
    /// The checkpoint's architecture, such as `llama`.
    pub architecture: String,
    /// The scored layers, ascending from 0, at least one.
    pub layers: Vec<usize>,
    /// Query heads of a layer.
    pub heads: usize,
    /// Heads of a layer's keys; `heads` is a multiple of it.
    pub key_value_heads: usize,
    /// Numbers in one head's query or key.
    pub head_size: usize,
    /// Token ids run from 0 to one less than this.
    pub vocabulary_size: usize,
    /// Positions that the model was trained for.
    pub max_positions: usize,
    /// Base of the rotary embedding; `None` where positions are learned, so that there are no more than `max_positions`.
    pub rope_theta: Option<f64>,
    /// Factor on the product of a query and a key before the softmax.
    pub attention_scale: f64,
    /// The number `c` where a logit `x` becomes `c · tanh(x / c)` before the softmax.
    pub logit_softcap: Option<f64>,
    /// Tokens that a token of the scored layer sees, itself included, where it does not see all before it.
    pub sliding_window: Option<usize>,
    /// The first layer that attends to all tokens, where the scored one does not but another does.
    pub full_attention_layer: Option<usize>,
    /// Number format of the stored weights, `f32`, `f16` or `bf16`.
    pub weights: String,
    /// Whether the package has `loss.onnx`, by which it tells the losses of tokens and the information gain of windows.
    pub losses: bool,
    /// The oldest ONNX Runtime, such as `1.24`, that computes the model rightly, where not all do that load it.
    pub least_onnxruntime: Option<String>,
    /// Rows of attention that the model computes at a time, where it does so in blocks.
    pub block_rows: Option<usize>,
}

impl Metadata {
    /// The keys and values that go into `metadata_props`.
    pub fn to_properties(&self) -> Vec<(String, String)> {
        let pairs = [
            ("contract", Some(self.contract.name().to_owned())),
            ("name", Some(self.name.clone())),
            ("architecture", Some(self.architecture.clone())),
            ("layers", Some(numbers(&self.layers))),
            ("heads", Some(self.heads.to_string())),
            ("key_value_heads", Some(self.key_value_heads.to_string())),
            ("head_size", Some(self.head_size.to_string())),
            ("vocabulary_size", Some(self.vocabulary_size.to_string())),
            ("max_positions", Some(self.max_positions.to_string())),
            ("rope_theta", self.rope_theta.map(|theta| theta.to_string())),
            ("attention_scale", Some(self.attention_scale.to_string())),
            ("logit_softcap", self.logit_softcap.map(|cap| cap.to_string())),
            ("sliding_window", self.sliding_window.map(|window| window.to_string())),
            ("full_attention_layer", self.full_attention_layer.map(|layer| layer.to_string())),
            ("weights", Some(self.weights.clone())),
            ("losses", self.losses.then(|| self.losses.to_string())),
            ("least_onnxruntime", self.least_onnxruntime.clone()),
            ("block_rows", self.block_rows.map(|rows| rows.to_string())),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((format!("longattn.{key}"), value?))).collect()
    }

    /// Query heads of all scored layers together.
    pub fn scored_heads(&self) -> usize {
        self.layers.len() * self.heads
    }

    /// The last scored layer.
    pub(crate) fn deepest(&self) -> usize {
        self.layers.last().copied().unwrap_or_default()
    }

    /// What a sliding window of a scored layer means for those who score; `None` where there is none.
    pub(crate) fn sliding_window_limit(&self) -> Option<String> {
        let window = self.sliding_window?;
        let other_layer = match self.full_attention_layer {
            Some(layer) if layer < self.deepest() => {
                format!("the first layer with full attention is {layer}: export it with --layer {layer}")
            }
            Some(layer) => format!("the first layer with full attention is {layer}"),
            None => "no layer has full attention".to_owned(),
        };
        let subject = match self.layers[..] {
            [layer] => format!("layer {layer} attends"),
            _ => format!("one of the layers {} attends", numbers(&self.layers)),
        };
        Some(format!(
            "{subject} through a sliding window, so it can score windows of at most {window} tokens; {other_layer}"
        ))
    }

    /// Reads the keys through `lookup`; `None` where the model carries no `longattn.contract`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where a key is missing or its value is malformed, and [`ErrorKind::Unsupported`]
    /// for a contract that this version does not know.
    pub fn from_properties(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let text = |key: &str| lookup(&format!("longattn.{key}"));
        let Some(contract) = text("contract") else { return Ok(None) };
        let contract = Contract::NAMES.iter().find(|row| row.0 == contract).map(|row| row.1).ok_or_else(|| {
            let message = format!("the model's contract is {contract:?}, which this version of longattn does not know");
            Error::new(ErrorKind::Unsupported, message)
        })?;
        Ok(Some(Self {
            contract,
            name: required(text, "name")?,
            architecture: required(text, "architecture")?,
            layers: layers(&required::<String>(text, "layers")?)?,
            heads: required(text, "heads")?,
            key_value_heads: required(text, "key_value_heads")?,
            head_size: required(text, "head_size")?,
            vocabulary_size: required(text, "vocabulary_size")?,
            max_positions: required(text, "max_positions")?,
            rope_theta: optional(text, "rope_theta")?,
            attention_scale: required(text, "attention_scale")?,
            logit_softcap: optional(text, "logit_softcap")?,
            sliding_window: optional(text, "sliding_window")?,
            full_attention_layer: optional(text, "full_attention_layer")?,
            weights: required(text, "weights")?,
            losses: optional(text, "losses")?.unwrap_or_default(),
            least_onnxruntime: optional(text, "least_onnxruntime")?,
            block_rows: optional(text, "block_rows")?,
        }))
    }
}

fn numbers(layers: &[usize]) -> String {
    let layers: Vec<_> = layers.iter().map(usize::to_string).collect();
    layers.join(",")
}

/// Layers as [`numbers`] writes them.
fn layers(text: &str) -> Result<Vec<usize>> {
    let layers: Option<Vec<usize>> = text.split(',').map(|layer| layer.parse().ok()).collect();
    let layers = layers.filter(|layers| layers.is_sorted_by(|a, b| a < b));
    layers.ok_or_else(|| malformed("layers", &format!("cannot be {text:?}")))
}

fn required<T: std::str::FromStr>(text: impl Fn(&str) -> Option<String>, key: &str) -> Result<T> {
    optional(text, key)?.ok_or_else(|| malformed(key, "is missing"))
}

fn optional<T: std::str::FromStr>(text: impl Fn(&str) -> Option<String>, key: &str) -> Result<Option<T>> {
    let Some(value) = text(key) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| malformed(key, &format!("cannot be {value:?}")))
}

fn malformed(key: &str, found: &str) -> Error {
    let message = format!("the model's metadata key longattn.{key} {found}: export the model again");
    Error::new(ErrorKind::InvalidModel, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Metadata {
        Metadata {
            contract: Contract::QueryKey,
            name: "tiny".to_owned(),
            architecture: "llama".to_owned(),
            layers: vec![0, 17],
            heads: 4,
            key_value_heads: 2,
            head_size: 8,
            vocabulary_size: 100,
            max_positions: 2048,
            rope_theta: Some(100_000.0),
            attention_scale: 8f64.sqrt().recip(),
            logit_softcap: Some(50.0),
            sliding_window: None,
            full_attention_layer: None,
            weights: "f32".to_owned(),
            losses: true,
            least_onnxruntime: Some("1.24".to_owned()),
            block_rows: Some(64),
        }
    }

    fn read(properties: &[(String, String)]) -> Result<Option<Metadata>> {
        Metadata::from_properties(|key| properties.iter().find(|pair| pair.0 == key).map(|pair| pair.1.clone()))
    }

    #[test]
    fn properties_round_trip() {
        assert_eq!(read(&example().to_properties()).unwrap(), Some(example()));
    }

    #[test]
    fn a_model_without_a_contract_says_nothing() {
        assert_eq!(read(&[]).unwrap(), None);
    }

    #[test]
    fn missing_and_malformed_keys_are_named() {
        let mut properties = example().to_properties();
        properties.retain(|pair| pair.0 != "longattn.heads");
        assert!(read(&properties).unwrap_err().to_string().contains("longattn.heads is missing"));
        properties.push(("longattn.heads".to_owned(), "many".to_owned()));
        assert!(read(&properties).unwrap_err().to_string().contains("longattn.heads cannot be \"many\""));
    }
}
