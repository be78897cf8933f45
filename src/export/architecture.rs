//! The table of architectures: what distinguishes one kind of decoder from another.
//!
//! A new one is a row in [`ARCHITECTURES`]; `docs/export.md` tells how to add and to test it.

/// A kind of decoder, in all that its configuration takes for granted.
pub(super) struct Architecture {
    /// The `model_type` of `config.json`.
    pub name: &'static str,
    pub tensors: TensorNames,
    pub norm: Norm,
    /// Whether the embedding is the projection to the vocabulary too, where `tie_word_embeddings` does not say.
    pub tied_head: bool,
    /// Whether the projections have biases where `attention_bias` does not say.
    pub bias: bool,
    /// Whether embeddings are multiplied by the square root of their size.
    pub scaled_embedding: bool,
    /// What the feed-forward network bends its numbers by where `hidden_act` does not say.
    pub activation: Activation,
    /// Whether the feed-forward network reads what attention reads, where `use_parallel_residual` does not say.
    pub parallel_residual: bool,
    /// Which layers attend through a sliding window where `layer_types` does not say.
    pub sliding: Sliding,
    /// Whether no scaling stretches the rotary embedding of layers that attend through a sliding window.
    pub unscaled_sliding: bool,
    /// Which layers' queries and keys turn with their positions.
    pub rotation: Rotation,
    /// Whether the two numbers of a pair that turns lie side by side.
    pub interleaved: bool,
    /// Other names that its configuration has for a usual key.
    pub aliases: &'static [(&'static str, &'static str)],
    /// What `transformers` takes for keys that a configuration leaves out, as those of the language model in a multimodal
    /// one leave out whatever is usual.
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
    /// What takes the place of the projections where attention is latent.
    pub latent: Option<&'static LatentNames>,
    pub query_key_norms: QueryKeyNorms,
    /// What follows in the layer.
    pub block: BlockNames,
    /// The norm after the last layer.
    pub output_norm: &'static str,
    /// The projection to the vocabulary, where it is not the embedding.
    pub head: &'static str,
    /// Whether matrices but the embeddings are stored as `[columns, rows]`.
    pub transposed: bool,
}

/// Where the projections to queries, keys and values lie.
pub(super) enum Projections {
    /// In a tensor each.
    Apart([&'static str; 3]),
    /// In one tensor: the rows of all queries, of all keys, of all values.
    Fused(&'static str),
    /// In one tensor: head by head the rows of its query, its key, its value.
    FusedByHead(&'static str),
}

/// The tensors of latent attention.
pub(super) struct LatentNames {
    /// The projection to queries, where nothing compresses them.
    pub query: &'static str,
    /// What compresses the hidden state for queries, the norm behind it, and the projection to queries.
    pub compressed_query: [&'static str; 3],
    /// The same for keys and values; behind what is compressed comes the part of a key that turns.
    pub compressed_key_value: [&'static str; 3],
}

/// What a layer adds to the hidden state: attention, projected by `attention_output`, and a feed-forward network.
#[derive(Clone, Copy)]
pub(super) struct BlockNames {
    pub attention_output: &'static str,
    /// The norm of what attention adds.
    pub post_attention_norm: Option<&'static str>,
    /// The norm before the feed-forward network.
    pub feed_forward_norm: Option<&'static str>,
    pub feed_forward: FeedForward,
    /// The norm of what the feed-forward network adds.
    pub post_feed_forward_norm: Option<&'static str>,
}

/// The matrices of a feed-forward network.
#[derive(Clone, Copy)]
pub(super) enum FeedForward {
    /// `down` of the activation of `gate` times `up`.
    Gated { gate: &'static str, up: &'static str, down: &'static str },
    /// The same, where one tensor has the rows of `gate` and then those of `up`.
    GatedFused { gate_up: &'static str, down: &'static str },
    /// `down` of the activation of `up`.
    Plain { up: &'static str, down: &'static str },
    /// A mixture of experts, which is not computed.
    Experts,
}

/// By what a feed-forward network bends numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x` times its logistic function.
    Silu,
    /// `x` times the normal distribution function.
    Gelu,
    /// The same by an approximation with the hyperbolic tangent.
    GeluTanh,
}

/// Every `hidden_act` that works.
pub(super) const ACTIVATIONS: &[(&str, Activation)] = &[
    ("silu", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
];

/// Norms of queries and of keys, before the rotary embedding.
#[derive(Clone, Copy)]
pub(super) enum QueryKeyNorms {
    None,
    /// Over each head by itself, all with the same weights.
    ByHead([&'static str; 2]),
    /// Over all heads together.
    AllHeads([&'static str; 2]),
    /// Over each head by itself, without weights, in layers whose queries and keys turn.
    Unweighted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Norm {
    /// Root mean square, times a weight.
    Rms,
    /// Root mean square, times one plus a weight.
    RmsOnePlus,
    /// Mean and variance, times a weight, plus a bias.
    Layer,
    /// Mean and variance, times a weight.
    LayerWithoutBias,
}

impl Norm {
    /// Whether the mean is taken away.
    pub(super) fn is_centered(self) -> bool {
        matches!(self, Self::Layer | Self::LayerWithoutBias)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Rotation {
    /// Those of all layers.
    All,
    /// Those of all layers but every so many, which `no_rope_layers` and `no_rope_layer_interval` may change.
    AllButEvery(usize),
    /// Those of layers that attend through a sliding window, where there are any, else those of all.
    Sliding,
}

impl Rotation {
    /// Whether each layer's queries and keys turn, by the sliding window that it has.
    pub(super) fn of_layers(self, sliding_windows: &[Option<usize>]) -> Vec<bool> {
        let none_slides = sliding_windows.iter().all(Option::is_none);
        let turns = |(layer, window): (usize, &Option<usize>)| match self {
            Self::All => true,
            Self::AllButEvery(interval) => !(layer + 1).is_multiple_of(interval),
            Self::Sliding => none_slides || window.is_some(),
        };
        sliding_windows.iter().enumerate().map(turns).collect()
    }
}

#[derive(Clone, Copy)]
pub(super) enum Sliding {
    No,
    /// All layers, where `sliding_window` is set.
    All,
    /// All layers, where `use_sliding_window` is set.
    AllWhereUsed,
    /// The layers from `max_window_layers` on, where `use_sliding_window` is set.
    FromLayer,
    /// All but the last of every so many, which `sliding_window_pattern` may change.
    AllButLastOf(usize),
    /// The layers whose queries and keys turn.
    WhereRotated,
}

/// Every architecture that works.
pub(super) const ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    Architecture {
        name: "mistral",
        sliding: Sliding::All,
        defaults: &[
            ("vocab_size", 32_000.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 14_336.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 131_072.0),
            ("rms_norm_eps", 1e-6),
            ("num_key_value_heads", 8.0),
            ("sliding_window", 4096.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "mixtral",
        tensors: TensorNames { block: EXPERTS_BLOCK, ..LLAMA.tensors },
        sliding: Sliding::All,
        defaults: &[
            ("vocab_size", 32_000.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 14_336.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 131_072.0),
            ("rms_norm_eps", 1e-5),
            ("num_key_value_heads", 8.0),
            ("rope_theta", 1e6),
        ],
        ..LLAMA
    },
    Architecture {
        name: "smollm3",
        tied_head: true,
        rotation: Rotation::AllButEvery(4),
        defaults: &[
            ("vocab_size", 128_256.0),
            ("hidden_size", 2048.0),
            ("intermediate_size", 11_008.0),
            ("num_hidden_layers", 36.0),
            ("num_attention_heads", 16.0),
            ("max_position_embeddings", 32_768.0),
            ("rms_norm_eps", 1e-6),
            ("num_key_value_heads", 4.0),
            ("rope_theta", 2e6),
        ],
        ..LLAMA
    },
    Architecture {
        name: "granite",
        defaults: &[
            ("vocab_size", 32_000.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 11_008.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 2048.0),
            ("rms_norm_eps", 1e-6),
            ("attention_multiplier", 1.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "qwen2",
        bias: true,
        sliding: Sliding::FromLayer,
        defaults: &[
            ("vocab_size", 151_936.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 22_016.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 32_768.0),
            ("rms_norm_eps", 1e-6),
            ("num_key_value_heads", 32.0),
            ("sliding_window", 4096.0),
            ("max_window_layers", 28.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "qwen3",
        tensors: TensorNames { query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS), ..LLAMA.tensors },
        sliding: Sliding::FromLayer,
        defaults: &[
            ("vocab_size", 151_936.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 22_016.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 32_768.0),
            ("rms_norm_eps", 1e-6),
            ("num_key_value_heads", 32.0),
            ("head_dim", 128.0),
            ("sliding_window", 4096.0),
            ("max_window_layers", 28.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "qwen3_moe",
        tensors: TensorNames {
            query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS),
            block: EXPERTS_BLOCK,
            ..LLAMA.tensors
        },
        sliding: Sliding::AllWhereUsed,
        defaults: &[
            ("vocab_size", 151_936.0),
            ("hidden_size", 2048.0),
            ("num_hidden_layers", 24.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 32_768.0),
            ("rms_norm_eps", 1e-6),
            ("num_key_value_heads", 4.0),
            ("sliding_window", 4096.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "phi3",
        tensors: TensorNames {
            projections: Projections::Fused("layers.{}.self_attn.qkv_proj"),
            block: BlockNames {
                feed_forward: FeedForward::GatedFused {
                    gate_up: "layers.{}.mlp.gate_up_proj",
                    down: "layers.{}.mlp.down_proj",
                },
                ..LLAMA.tensors.block
            },
            ..LLAMA.tensors
        },
        sliding: Sliding::All,
        defaults: &[
            ("vocab_size", 32_064.0),
            ("hidden_size", 3072.0),
            ("intermediate_size", 8192.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 4096.0),
            ("rms_norm_eps", 1e-5),
            ("original_max_position_embeddings", 4096.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "gemma2",
        tensors: TensorNames { block: GEMMA_BLOCK, ..LLAMA.tensors },
        norm: Norm::RmsOnePlus,
        tied_head: true,
        scaled_embedding: true,
        activation: Activation::GeluTanh,
        sliding: Sliding::AllButLastOf(2),
        aliases: &[("hidden_act", "hidden_activation")],
        defaults: &[
            ("vocab_size", 256_000.0),
            ("hidden_size", 2304.0),
            ("intermediate_size", 9216.0),
            ("num_hidden_layers", 26.0),
            ("num_attention_heads", 8.0),
            ("max_position_embeddings", 8192.0),
            ("rms_norm_eps", 1e-6),
            ("num_key_value_heads", 4.0),
            ("head_dim", 256.0),
            ("query_pre_attn_scalar", 256.0),
            ("sliding_window", 4096.0),
            ("attn_logit_softcapping", 50.0),
            ("final_logit_softcapping", 30.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "gemma3_text",
        tensors: TensorNames {
            query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS),
            block: GEMMA_BLOCK,
            ..LLAMA.tensors
        },
        norm: Norm::RmsOnePlus,
        tied_head: true,
        scaled_embedding: true,
        activation: Activation::GeluTanh,
        sliding: Sliding::AllButLastOf(6),
        aliases: &[("hidden_act", "hidden_activation")],
        defaults: &[
            ("vocab_size", 262_208.0),
            ("hidden_size", 2304.0),
            ("intermediate_size", 9216.0),
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
            block: NORMED_BEHIND_BLOCK,
            ..LLAMA.tensors
        },
        defaults: &[
            ("vocab_size", 50_304.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 11_008.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 2048.0),
            ("rms_norm_eps", 1e-5),
        ],
        ..LLAMA
    },
    Architecture {
        name: "olmo3",
        tensors: TensorNames {
            input_norm: None,
            query_key_norms: QueryKeyNorms::AllHeads(QUERY_KEY_NORMS),
            block: NORMED_BEHIND_BLOCK,
            ..LLAMA.tensors
        },
        sliding: Sliding::AllButLastOf(4),
        unscaled_sliding: true,
        defaults: &[
            ("vocab_size", 50_304.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 11_008.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 2048.0),
            ("rms_norm_eps", 1e-5),
            ("sliding_window", 4096.0),
            ("rope_theta", 500_000.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "exaone4",
        tensors: TensorNames {
            input_norm: None,
            query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS),
            block: NORMED_BEHIND_BLOCK,
            ..LLAMA.tensors
        },
        sliding: Sliding::AllButLastOf(4),
        rotation: Rotation::Sliding,
        defaults: &[
            ("vocab_size", 102_400.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 16_384.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 2048.0),
            ("rms_norm_eps", 1e-5),
            ("num_key_value_heads", 32.0),
            ("sliding_window", 4096.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "cohere2",
        tensors: TensorNames { block: BlockNames { feed_forward_norm: None, ..LLAMA.tensors.block }, ..LLAMA.tensors },
        norm: Norm::LayerWithoutBias,
        tied_head: true,
        parallel_residual: true,
        sliding: Sliding::AllButLastOf(4),
        rotation: Rotation::Sliding,
        interleaved: true,
        aliases: &[("rms_norm_eps", "layer_norm_eps")],
        defaults: &[
            ("vocab_size", 256_000.0),
            ("hidden_size", 8192.0),
            ("intermediate_size", 22_528.0),
            ("num_hidden_layers", 40.0),
            ("num_attention_heads", 64.0),
            ("max_position_embeddings", 8192.0),
            ("rms_norm_eps", 1e-5),
            ("sliding_window", 4096.0),
            ("logit_scale", 0.0625),
        ],
        ..LLAMA
    },
    Architecture {
        name: "glm4",
        tensors: TensorNames {
            block: BlockNames {
                post_attention_norm: Some("layers.{}.post_self_attn_layernorm"),
                feed_forward: FeedForward::GatedFused {
                    gate_up: "layers.{}.mlp.gate_up_proj",
                    down: "layers.{}.mlp.down_proj",
                },
                post_feed_forward_norm: Some("layers.{}.post_mlp_layernorm"),
                ..LLAMA.tensors.block
            },
            ..LLAMA.tensors
        },
        bias: true,
        interleaved: true,
        defaults: &[
            ("vocab_size", 151_552.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 13_696.0),
            ("num_hidden_layers", 40.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 131_072.0),
            ("rms_norm_eps", 1.5625e-7),
            ("num_key_value_heads", 2.0),
            ("head_dim", 128.0),
            ("partial_rotary_factor", 0.5),
        ],
        ..LLAMA
    },
    Architecture {
        name: "llama4_text",
        tensors: TensorNames { query_key_norms: QueryKeyNorms::Unweighted, block: EXPERTS_BLOCK, ..LLAMA.tensors },
        sliding: Sliding::WhereRotated,
        rotation: Rotation::AllButEvery(4),
        interleaved: true,
        aliases: &[("sliding_window", "attention_chunk_size")],
        defaults: &[
            ("vocab_size", 202_048.0),
            ("hidden_size", 5120.0),
            ("num_hidden_layers", 48.0),
            ("num_attention_heads", 40.0),
            ("max_position_embeddings", 131_072.0),
            ("rms_norm_eps", 1e-5),
            ("num_key_value_heads", 8.0),
            ("head_dim", 128.0),
            ("rope_theta", 500_000.0),
            ("attention_chunk_size", 8192.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "deepseek_v2",
        tensors: TensorNames { latent: Some(LATENT), block: EXPERTS_BLOCK, ..LLAMA.tensors },
        interleaved: true,
        defaults: &[
            ("vocab_size", 102_400.0),
            ("hidden_size", 4096.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 2048.0),
            ("rms_norm_eps", 1e-6),
            ("q_lora_rank", 1536.0),
            ("kv_lora_rank", 512.0),
            ("qk_nope_head_dim", 128.0),
            ("qk_rope_head_dim", 64.0),
            ("v_head_dim", 128.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "deepseek_v3",
        tensors: TensorNames { latent: Some(LATENT), block: EXPERTS_BLOCK, ..LLAMA.tensors },
        interleaved: true,
        defaults: &[
            ("vocab_size", 129_280.0),
            ("hidden_size", 7168.0),
            ("num_hidden_layers", 61.0),
            ("num_attention_heads", 128.0),
            ("max_position_embeddings", 4096.0),
            ("rms_norm_eps", 1e-6),
            ("q_lora_rank", 1536.0),
            ("kv_lora_rank", 512.0),
            ("qk_nope_head_dim", 128.0),
            ("qk_rope_head_dim", 64.0),
            ("v_head_dim", 128.0),
        ],
        ..LLAMA
    },
    Architecture {
        name: "gpt_neox",
        tensors: TensorNames {
            token_embedding: "embed_in",
            projections: Projections::FusedByHead("layers.{}.attention.query_key_value"),
            block: BlockNames {
                attention_output: "layers.{}.attention.dense",
                feed_forward: FeedForward::Plain {
                    up: "layers.{}.mlp.dense_h_to_4h",
                    down: "layers.{}.mlp.dense_4h_to_h",
                },
                ..LLAMA.tensors.block
            },
            output_norm: "final_layer_norm",
            head: "embed_out",
            ..LLAMA.tensors
        },
        norm: Norm::Layer,
        bias: true,
        activation: Activation::Gelu,
        parallel_residual: true,
        aliases: &[
            ("rms_norm_eps", "layer_norm_eps"),
            ("rope_theta", "rotary_emb_base"),
            ("partial_rotary_factor", "rotary_pct"),
        ],
        defaults: &[
            ("vocab_size", 50_432.0),
            ("hidden_size", 6144.0),
            ("intermediate_size", 24_576.0),
            ("num_hidden_layers", 44.0),
            ("num_attention_heads", 64.0),
            ("max_position_embeddings", 2048.0),
            ("rms_norm_eps", 1e-5),
            ("partial_rotary_factor", 0.25),
        ],
        ..LLAMA
    },
    Architecture {
        name: "gpt2",
        tensors: TensorNames {
            token_embedding: "wte",
            position_embedding: Some("wpe"),
            input_norm: Some("h.{}.ln_1"),
            projections: Projections::Fused("h.{}.attn.c_attn"),
            block: BlockNames {
                attention_output: "h.{}.attn.c_proj",
                feed_forward_norm: Some("h.{}.ln_2"),
                feed_forward: FeedForward::Plain { up: "h.{}.mlp.c_fc", down: "h.{}.mlp.c_proj" },
                ..LLAMA.tensors.block
            },
            output_norm: "ln_f",
            transposed: true,
            ..LLAMA.tensors
        },
        norm: Norm::Layer,
        tied_head: true,
        bias: true,
        activation: Activation::GeluTanh,
        aliases: &[
            ("hidden_size", "n_embd"),
            ("intermediate_size", "n_inner"),
            ("hidden_act", "activation_function"),
            ("num_attention_heads", "n_head"),
            ("num_hidden_layers", "n_layer"),
            ("max_position_embeddings", "n_positions"),
            ("rms_norm_eps", "layer_norm_epsilon"),
        ],
        defaults: &[
            ("vocab_size", 50_257.0),
            ("hidden_size", 768.0),
            ("num_hidden_layers", 12.0),
            ("num_attention_heads", 12.0),
            ("max_position_embeddings", 1024.0),
            ("rms_norm_eps", 1e-5),
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
        latent: None,
        query_key_norms: QueryKeyNorms::None,
        block: BlockNames {
            attention_output: "layers.{}.self_attn.o_proj",
            post_attention_norm: None,
            feed_forward_norm: Some("layers.{}.post_attention_layernorm"),
            feed_forward: FeedForward::Gated {
                gate: "layers.{}.mlp.gate_proj",
                up: "layers.{}.mlp.up_proj",
                down: "layers.{}.mlp.down_proj",
            },
            post_feed_forward_norm: None,
        },
        output_norm: "norm",
        head: "lm_head",
        transposed: false,
    },
    norm: Norm::Rms,
    tied_head: false,
    bias: false,
    scaled_embedding: false,
    activation: Activation::Silu,
    parallel_residual: false,
    sliding: Sliding::No,
    unscaled_sliding: false,
    rotation: Rotation::All,
    interleaved: false,
    aliases: &[],
    defaults: &[
        ("vocab_size", 32_000.0),
        ("hidden_size", 4096.0),
        ("intermediate_size", 11_008.0),
        ("num_hidden_layers", 32.0),
        ("num_attention_heads", 32.0),
        ("max_position_embeddings", 2048.0),
        ("rms_norm_eps", 1e-6),
    ],
};

const GEMMA_BLOCK: BlockNames = BlockNames {
    post_attention_norm: Some("layers.{}.post_attention_layernorm"),
    feed_forward_norm: Some("layers.{}.pre_feedforward_layernorm"),
    post_feed_forward_norm: Some("layers.{}.post_feedforward_layernorm"),
    ..LLAMA.tensors.block
};

/// Norms of what attention and the feed-forward network add, and none before.
const NORMED_BEHIND_BLOCK: BlockNames = BlockNames {
    post_attention_norm: Some("layers.{}.post_attention_layernorm"),
    feed_forward_norm: None,
    post_feed_forward_norm: Some("layers.{}.post_feedforward_layernorm"),
    ..LLAMA.tensors.block
};

const EXPERTS_BLOCK: BlockNames = BlockNames { feed_forward: FeedForward::Experts, ..LLAMA.tensors.block };

const LATENT: &LatentNames = &LatentNames {
    query: "layers.{}.self_attn.q_proj",
    compressed_query: [
        "layers.{}.self_attn.q_a_proj",
        "layers.{}.self_attn.q_a_layernorm",
        "layers.{}.self_attn.q_b_proj",
    ],
    compressed_key_value: [
        "layers.{}.self_attn.kv_a_proj_with_mqa",
        "layers.{}.self_attn.kv_a_layernorm",
        "layers.{}.self_attn.kv_b_proj",
    ],
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
    let names: Vec<_> = ARCHITECTURES.iter().map(|row| row.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::rotary::SCALINGS;

    #[test]
    fn layers_turn_as_the_architecture_says() {
        let sliding = [Some(8), None, Some(8), None];
        assert_eq!(Rotation::All.of_layers(&sliding), [true; 4]);
        assert_eq!(Rotation::AllButEvery(3).of_layers(&sliding), [true, true, false, true]);
        assert_eq!(Rotation::Sliding.of_layers(&sliding), [true, false, true, false]);
        assert_eq!(Rotation::Sliding.of_layers(&[None; 4]), [true; 4]);
    }

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
