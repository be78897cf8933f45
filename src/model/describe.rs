//! A scorer package as JSON.

use serde_json::{Value, json};

use super::metadata::Metadata;
use super::runtime::loaded_from;
use super::scorer::Description;
use super::session::Port;
use crate::choice::Choice;

impl Description {
    /// Everything known of the package as one JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "contract": self.contract.map(Choice::name),
            "heads": self.heads,
            "model": self.model.display().to_string(),
            "model_bytes": self.model_bytes,
            "tokenizer_vocabulary": self.tokenizer_vocabulary,
            "inputs": ports(&self.inputs),
            "outputs": ports(&self.outputs),
            "metadata": self.metadata.as_ref().map(metadata),
            "placement": self.placement,
            "onnxruntime": loaded_from().map(|path| path.display().to_string()),
        })
    }
}

fn ports(ports: &[Port]) -> Vec<Value> {
    ports.iter().map(|port| json!({ "name": port.name, "element": port.element, "shape": port.shape })).collect()
}

fn metadata(metadata: &Metadata) -> Value {
    json!({
        "name": metadata.name,
        "architecture": metadata.architecture,
        "layers": metadata.layers,
        "heads": metadata.heads,
        "key_value_heads": metadata.key_value_heads,
        "head_size": metadata.head_size,
        "vocabulary_size": metadata.vocabulary_size,
        "max_positions": metadata.max_positions,
        "rope_theta": metadata.rope_theta,
        "attention_scale": metadata.attention_scale,
        "logit_softcap": metadata.logit_softcap,
        "sliding_window": metadata.sliding_window,
        "full_attention_layer": metadata.full_attention_layer,
        "weights": metadata.weights,
        "losses": metadata.losses,
        "least_onnxruntime": metadata.least_onnxruntime,
        "block_rows": metadata.block_rows,
    })
}
