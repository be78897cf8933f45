//! The table of architectures: what distinguishes one kind of decoder from another.
//!
//! A new one is a row in [`ARCHITECTURES`]; `docs/export.md` tells how to add and to test it.

/// A kind of decoder, in all that its configuration takes for granted.
pub(super) struct Architecture {
    /// The `model_type` of `config.json`.
    pub name: &'static str,
    pub tensors: TensorNames,
    pub norm: Norm,
    /// Whether the projections have biases where `attention_bias` does not say.
    pub bias: bool,
    /// Whether embeddings are multiplied by the square root of their size.
    pub scaled_embedding: bool,
    /// Which layers attend through a sliding window where `layer_types` does not say.
    pub sliding: Sliding,
    /// Other names that its configuration has for a usual key.
    pub aliases: &'static [(&'static str, &'static str)],
    /// What `transformers` takes for keys that a configuration leaves out.
    pub defaults: &'static [(&'static str, f64)],
}

/// Names of tensors without `.weight` and `.bias`; `{}` stands for the layer.
pub(super) struct TensorNames {
    pub token_embedding: &'static str,
    /// Learned positions, added to the embedding; without them positions are rotary.
    pub position_embedding: Option<&'static str>,
    /// The norm before attention.
    pub input_norm: Option<&'static str>,
    pub projections: Projections,
    pub query_key_norms: QueryKeyNorms,
    /// What follows in the layer; without it, layers after the first cannot be scored.
    pub block: Option<BlockNames>,
    /// The norm after the last layer.
    pub output_norm: &'static str,
    /// The projection to the vocabulary, where it is not the embedding.
    pub head: &'static str,
}

/// Where the projections to queries, keys and values lie.
pub(super) enum Projections {
    /// In a tensor each.
    Apart([&'static str; 3]),
    /// In one tensor: the rows of all queries, of all keys, of all values.
    Fused(&'static str),
    /// The same, stored as `[columns, rows]`.
    FusedTransposed(&'static str),
    /// In one tensor: head by head the rows of its query, its key, its value.
    FusedByHead(&'static str),
}

/// What a layer adds to the hidden state: attention, projected by `attention_output`, and then, normed anew, a
/// feed-forward network, the SiLU of `gate` times `up`, projected by `down`.
#[derive(Clone, Copy)]
pub(super) struct BlockNames {
    pub attention_output: &'static str,
    pub feed_forward_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

/// Norms of queries and of keys, before the rotary embedding.
#[derive(Clone, Copy)]
pub(super) enum QueryKeyNorms {
    None,
    /// Over each head by itself, all with the same weights.
    ByHead([&'static str; 2]),
    /// Over all heads together.
    AllHeads([&'static str; 2]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Norm {
    /// Root mean square, times a weight.
    Rms,
    /// Root mean square, times one plus a weight.
    RmsOnePlus,
    /// Mean and variance, times a weight, plus a bias.
    Layer,
}

#[derive(Clone, Copy)]
pub(super) enum Sliding {
    No,
    /// All layers, where `sliding_window` is set.
    All,
    /// The layers from `max_window_layers` on, where `use_sliding_window` is set.
    FromLayer,
    /// All but the last of every so many, which `sliding_window_pattern` may change.
    AllButLastOf(usize),
}

/// Every architecture that works.
pub(super) const ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    Architecture {
        name: "mistral",
        sliding: Sliding::All,
        defaults: &[("num_key_value_heads", 8.0), ("sliding_window", 4096.0)],
        ..LLAMA
    },
    Architecture {
        name: "qwen2",
        bias: true,
        sliding: Sliding::FromLayer,
        defaults: &[("num_key_value_heads", 32.0), ("sliding_window", 4096.0), ("max_window_layers", 28.0)],
        ..LLAMA
    },
    Architecture {
        name: "qwen3",
        tensors: TensorNames { query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS), ..LLAMA.tensors },
        sliding: Sliding::FromLayer,
        defaults: &[
            ("num_key_value_heads", 32.0),
            ("head_dim", 128.0),
            ("sliding_window", 4096.0),
            ("max_window_layers", 28.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "phi3",
        tensors: TensorNames {
            projections: Projections::Fused("layers.{}.self_attn.qkv_proj"),
            block: None,
            ..LLAMA.tensors
        },
        sliding: Sliding::All,
        defaults: &[("original_max_position_embeddings", 4096.0)],
        ..LLAMA
    },
    Architecture {
        name: "gemma2",
        tensors: TensorNames { block: None, ..LLAMA.tensors },
        norm: Norm::RmsOnePlus,
        scaled_embedding: true,
        sliding: Sliding::AllButLastOf(2),
        defaults: &[
            ("head_dim", 256.0),
            ("query_pre_attn_scalar", 256.0),
            ("sliding_window", 4096.0),
            ("attn_logit_softcapping", 50.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "gemma3_text",
        tensors: TensorNames { query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS), block: None, ..LLAMA.tensors },
        norm: Norm::RmsOnePlus,
        scaled_embedding: true,
        sliding: Sliding::AllButLastOf(6),
        // Configurations of the multimodal models leave out whatever is as here.
        defaults: &[
            ("vocab_size", 262_208.0),
            ("hidden_size", 2304.0),
            ("num_attention_heads", 8.0),
            ("num_key_value_heads", 4.0),
            ("head_dim", 256.0),
            ("num_hidden_layers", 26.0),
            ("max_position_embeddings", 131_072.0),
            ("rms_norm_eps", 1e-6),
            ("rope_theta", 1_000_000.0),
            ("rope_local_base_freq", 10_000.0),
            ("query_pre_attn_scalar", 256.0),
            ("sliding_window", 4096.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "olmo2",
        tensors: TensorNames {
            input_norm: None,
            query_key_norms: QueryKeyNorms::AllHeads(QUERY_KEY_NORMS),
            block: None,
            ..LLAMA.tensors
        },
        ..LLAMA
    },
    Architecture {
        name: "gpt_neox",
        tensors: TensorNames {
            token_embedding: "embed_in",
            projections: Projections::FusedByHead("layers.{}.attention.query_key_value"),
            block: None,
            output_norm: "final_layer_norm",
            head: "embed_out",
            ..LLAMA.tensors
        },
        norm: Norm::Layer,
        bias: true,
        aliases: &[
            ("rms_norm_eps", "layer_norm_eps"),
            ("rope_theta", "rotary_emb_base"),
            ("partial_rotary_factor", "rotary_pct"),
        ],
        defaults: &[("partial_rotary_factor", 0.25)],
        ..LLAMA
    },
    Architecture {
        name: "gpt2",
        tensors: TensorNames {
            token_embedding: "wte",
            position_embedding: Some("wpe"),
            input_norm: Some("h.{}.ln_1"),
            projections: Projections::FusedTransposed("h.{}.attn.c_attn"),
            block: None,
            output_norm: "ln_f",
            ..LLAMA.tensors
        },
        norm: Norm::Layer,
        bias: true,
        aliases: &[
            ("hidden_size", "n_embd"),
            ("num_attention_heads", "n_head"),
            ("num_hidden_layers", "n_layer"),
            ("max_position_embeddings", "n_positions"),
            ("rms_norm_eps", "layer_norm_epsilon"),
        ],
        ..LLAMA
    },
];

pub(super) const LLAMA: Architecture = Architecture {
    name: "llama",
    tensors: TensorNames {
        token_embedding: "embed_tokens",
        position_embedding: None,
        input_norm: Some("layers.{}.input_layernorm"),
        projections: Projections::Apart([
            "layers.{}.self_attn.q_proj",
            "layers.{}.self_attn.k_proj",
            "layers.{}.self_attn.v_proj",
        ]),
        query_key_norms: QueryKeyNorms::None,
        block: Some(BlockNames {
            attention_output: "layers.{}.self_attn.o_proj",
            feed_forward_norm: "layers.{}.post_attention_layernorm",
            gate: "layers.{}.mlp.gate_proj",
            up: "layers.{}.mlp.up_proj",
            down: "layers.{}.mlp.down_proj",
        }),
        output_norm: "norm",
        head: "lm_head",
    },
    norm: Norm::Rms,
    bias: false,
    scaled_embedding: false,
    sliding: Sliding::No,
    aliases: &[],
    defaults: &[],
};

const QUERY_KEY_NORMS: [&str; 2] = ["layers.{}.self_attn.q_norm", "layers.{}.self_attn.k_norm"];

impl Architecture {
    /// The architecture of a `model_type`.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|architecture| architecture.name == name)
    }
}

/// The names of all architectures, for messages.
pub(super) fn names() -> String {
    names_of(|_| true)
}

/// The names of those architectures whose layers after the first can be scored, for messages.
pub(super) fn names_with_deeper_layers() -> String {
    names_of(|architecture| architecture.tensors.block.is_some())
}

fn names_of(wanted: impl Fn(&Architecture) -> bool) -> String {
    let names: Vec<_> = ARCHITECTURES.iter().filter(|row| wanted(row)).map(|row| row.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::rotary::SCALINGS;

    #[test]
    fn the_documentation_lists_what_works() {
        let page = include_str!("../../docs/export.md");
        let listed = |heading: &str| -> Vec<&str> {
            let table = page.split(heading).nth(1).expect("the heading is there");
            let rows =
                table.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with('|'));
            rows.filter_map(|row| row.split('`').nth(1)).collect()
        };
        let names: Vec<_> = ARCHITECTURES.iter().map(|architecture| architecture.name).collect();
        assert_eq!(listed("## Architectures"), names);
        assert_eq!(listed("| `rope_type` |"), SCALINGS);
    }
}
