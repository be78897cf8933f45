"""Makes the tiny checkpoints in tests/data/checkpoints, one for each architecture and each rotary scaling, with random weights.

    pip install --require-hashes --requirement requirements/make-checkpoints.txt
    python3 tests/python/make_checkpoints.py tests/data/checkpoints [NAME …]

With names only these are made, and what is expected of the others stays.
Each is a directory with `config.json`, in one of the spellings that are found in the wild, and `model.safetensors`. Beside
them lies one `tokenizer.json` for all, and `expected.json`: for each checkpoint some windows of token ids with what the
released code computes from the first layer's attention, `proportion` and `variance` of every head with min_distance L/4.
`expected_deeper.json` holds the same of the last layer of checkpoints with several, where the first 4 tokens, the sinks,
do not count as far, and `losses`, the negative log-likelihood in nats of each token but the first. Attention and losses are
those of transformers' eager implementation in float32.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY = 64
LENGTHS = [12, 40]
SINK_TOKENS = 4

LLAMA = {
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000.0,
}
GEMMA = LLAMA | {"num_hidden_layers": 2, "query_pre_attn_scalar": 4, "sliding_window": 48}
GPT_NEOX = {
    "model_type": "gpt_neox",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "layer_norm_eps": 1e-5,
    "rotary_pct": 0.25,
    "rotary_emb_base": 100,
}
GPT2 = {
    "model_type": "gpt2",
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_inner": 8,
    "n_layer": 1,
    "n_head": 2,
    "n_positions": 40,
    "layer_norm_epsilon": 1e-5,
}
LONG = {"short_factor": [1.0, 1.1, 1.2, 1.5], "long_factor": [1.0, 2.0, 4.0, 8.0]}
PHI3_LONGROPE = {
    "model_type": "phi3",
    "head_dim": None,
    "pad_token_id": 0,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "partial_rotary_factor": 0.5,
    "original_max_position_embeddings": 16,
    "rope_scaling": {"type": "longrope"} | LONG,
}


def changed(base, **changes):
    """A configuration with changed keys; None takes one away."""
    return {key: value for key, value in (base | changes).items() if value is not None}


EXPERTS = {"num_local_experts": 2, "num_experts": 2, "num_experts_per_tok": 1, "sliding_window": None}
PADDED = {"pad_token_id": 0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
OLMO3 = changed(LLAMA, model_type="olmo3", hidden_size=32, head_dim=None, rope_theta=None)
COHERE2 = {
    "model_type": "cohere2",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "layer_norm_eps": 1e-5,
    "rope_theta": 1000.0,
    "sliding_window": 48,
    "logit_scale": 0.25,
}


LLAMA4 = LLAMA | {
    "model_type": "llama4_text",
    "num_local_experts": 2,
    "num_experts_per_tok": 1,
    "intermediate_size_mlp": 8,
}
LATENT = changed(LLAMA, head_dim=None) | {
    "num_key_value_heads": 4,
    "kv_lora_rank": 6,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 10,
    "n_routed_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 8,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}


def scaled(rope_type, spelling="rope_type", **parameters):
    """A Llama configuration with a rotary scaling in the older spelling."""
    return LLAMA | {"rope_scaling": {spelling: rope_type} | parameters}


# Name, configuration, number format, prefix of tensor names in place of the usual one.
CHECKPOINTS = [
    ("llama", LLAMA, torch.bfloat16, None),
    ("llama-biased", LLAMA | {"attention_bias": True}, torch.float32, None),
    ("llama-base", changed(LLAMA, head_dim=None, rope_theta=None, num_key_value_heads=None), torch.float16, ""),
    ("mistral", LLAMA | {"model_type": "mistral", "sliding_window": 40}, torch.bfloat16, None),
    ("qwen2", changed(LLAMA, model_type="qwen2", head_dim=None), torch.bfloat16, None),
    ("qwen3", LLAMA | {"model_type": "qwen3"}, torch.bfloat16, None),
    ("phi3", changed(LLAMA, model_type="phi3", head_dim=None, pad_token_id=0, hidden_size=32), torch.bfloat16, None),
    (
        "phi3-longrope",
        changed(LLAMA, **PHI3_LONGROPE),
        torch.bfloat16,
        None,
    ),
    ("gemma2", GEMMA | {"model_type": "gemma2", "attn_logit_softcapping": 2.0}, torch.bfloat16, None),
    (
        "gemma3",
        GEMMA
        | {
            "model_type": "gemma3_text",
            "rope_local_base_freq": 100.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "sliding_window_pattern": 2,
        },
        torch.bfloat16,
        None,
    ),
    (
        "gemma3-full-attention",
        GEMMA
        | {
            "model_type": "gemma3_text",
            "layer_types": ["full_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            },
        },
        torch.bfloat16,
        "language_model.model.",
    ),
    ("olmo2", LLAMA | {"model_type": "olmo2"}, torch.bfloat16, None),
    ("gpt_neox", GPT_NEOX, torch.float16, None),
    ("gpt2", GPT2, torch.float32, None),
    ("linear", scaled("linear", "type", factor=4.0), torch.bfloat16, None),
    ("dynamic", scaled("dynamic", "type", factor=2.0) | {"max_position_embeddings": 16}, torch.bfloat16, None),
    ("yarn", scaled("yarn", factor=4.0, original_max_position_embeddings=16), torch.bfloat16, None),
    (
        "yarn-tuned",
        changed(
            LLAMA,
            rope_theta=None,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 500.0,
                "factor": 8.0,
                "original_max_position_embeddings": 32,
                "beta_fast": 4.0,
                "beta_slow": 0.5,
                "mscale": 1.5,
                "mscale_all_dim": 0.5,
                "truncate": False,
            },
        ),
        torch.bfloat16,
        None,
    ),
    (
        "longrope",
        scaled("longrope", factor=4.0, original_max_position_embeddings=16, **LONG),
        torch.bfloat16,
        None,
    ),
    (
        "llama3",
        scaled(
            "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
        ),
        torch.bfloat16,
        None,
    ),
    ("mixtral", LLAMA | {"model_type": "mixtral"} | EXPERTS, torch.bfloat16, None),
    ("qwen3_moe", LLAMA | {"model_type": "qwen3_moe", "moe_intermediate_size": 8} | EXPERTS, torch.bfloat16, None),
    ("smollm3", LLAMA | {"model_type": "smollm3"} | PADDED, torch.bfloat16, None),
    ("smollm3-still", LLAMA | {"model_type": "smollm3", "no_rope_layers": [0]} | PADDED, torch.bfloat16, None),
    (
        "granite",
        LLAMA | {"model_type": "granite", "attention_multiplier": 0.5, "embedding_multiplier": 0.1},
        torch.bfloat16,
        None,
    ),
    # transformers 5 gives layers with a sliding window the usual base where the older spelling names another.
    (
        "olmo3",
        OLMO3 | {"sliding_window": 48, "rope_theta": 500_000.0, "rope_scaling": YARN},
        torch.bfloat16,
        None,
    ),
    ("exaone4", LLAMA | {"model_type": "exaone4", "sliding_window": 48}, torch.bfloat16, None),
    ("cohere2", changed(COHERE2, num_hidden_layers=1), torch.bfloat16, None),
    ("glm4", LLAMA | {"model_type": "glm4"} | PADDED, torch.bfloat16, None),
    ("llama4", LLAMA4 | {"attention_chunk_size": 48, "no_rope_layers": []}, torch.bfloat16, None),
    (
        "llama4-full-attention",
        LLAMA4 | {"layer_types": ["full_attention"], "use_qk_norm": False},
        torch.bfloat16,
        "language_model.model.",
    ),
    (
        "deepseek_v2",
        LATENT
        | {
            "model_type": "deepseek_v2",
            "q_lora_rank": None,
            "rope_scaling": YARN | {"mscale": 0.7, "mscale_all_dim": 0.7},
        },
        torch.bfloat16,
        None,
    ),
    ("deepseek_v2-compressed", LATENT | {"model_type": "deepseek_v2", "q_lora_rank": 12}, torch.bfloat16, None),
    (
        "deepseek_v3",
        LATENT
        | {
            "model_type": "deepseek_v3",
            "q_lora_rank": 12,
            "attention_bias": True,
            "rope_scaling": YARN | {"mscale": 1.5, "mscale_all_dim": 1.0},
        },
        torch.bfloat16,
        None,
    ),
    (
        "deepseek_v3-halves",
        LATENT | {"model_type": "deepseek_v3", "q_lora_rank": None, "rope_interleave": False},
        torch.bfloat16,
        None,
    ),
]


# Checkpoints of three layers, one of each architecture at least.
DEEP = LLAMA | {"num_hidden_layers": 3, "intermediate_size": 24}
DEEPER_CHECKPOINTS = [
    ("llama-deep", DEEP | {"attention_bias": True, "mlp_bias": True}, torch.float32, None),
    ("mistral-deep", DEEP | {"model_type": "mistral", "sliding_window": None}, torch.bfloat16, None),
    (
        "qwen2-deep",
        changed(
            DEEP,
            model_type="qwen2",
            head_dim=None,
            num_attention_heads=2,
            num_key_value_heads=1,
            use_sliding_window=True,
            sliding_window=8,
            max_window_layers=3,
        ),
        torch.bfloat16,
        None,
    ),
    (
        "qwen3-deep",
        changed(
            DEEP,
            model_type="qwen3",
            max_position_embeddings=16,
            rope_scaling={"rope_type": "dynamic", "factor": 2.0},
        ),
        torch.bfloat16,
        None,
    ),
    (
        "phi3-deep",
        changed(DEEP, **PHI3_LONGROPE),
        torch.bfloat16,
        None,
    ),
    ("olmo2-deep", DEEP | {"model_type": "olmo2"}, torch.bfloat16, None),
    (
        "gemma2-deep",
        DEEP
        | {
            "model_type": "gemma2",
            "query_pre_attn_scalar": 4,
            "sliding_window": 6,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
        torch.bfloat16,
        None,
    ),
    (
        "gemma3-deep",
        DEEP
        | {
            "model_type": "gemma3_text",
            "query_pre_attn_scalar": 4,
            "sliding_window": 6,
            "sliding_window_pattern": 3,
            "rope_local_base_freq": 100.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
        torch.bfloat16,
        None,
    ),
    ("gpt_neox-deep", GPT_NEOX | {"num_hidden_layers": 3, "intermediate_size": 24}, torch.float16, None),
    (
        "gpt_neox-sequential",
        GPT_NEOX | {"num_hidden_layers": 3, "hidden_act": "gelu_fast", "use_parallel_residual": False},
        torch.float16,
        None,
    ),
    ("gpt2-deep", changed(GPT2, n_layer=3, n_inner=None), torch.float32, None),
    ("smollm3-deep", DEEP | {"model_type": "smollm3", "no_rope_layer_interval": 2} | PADDED, torch.bfloat16, None),
    (
        "granite-deep",
        DEEP
        | {
            "model_type": "granite",
            "attention_multiplier": 0.5,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.4,
            "logits_scaling": 2.0,
            "mlp_bias": True,
        },
        torch.bfloat16,
        None,
    ),
    (
        "olmo3-deep",
        OLMO3
        | {
            "num_hidden_layers": 3,
            "sliding_window": 6,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            "rope_parameters": {
                "full_attention": YARN | {"rope_theta": 1000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
            },
        },
        torch.bfloat16,
        None,
    ),
    (
        "exaone4-deep",
        DEEP
        | {
            "model_type": "exaone4",
            "sliding_window": 6,
            "sliding_window_pattern": "LG",
            "layer_types": ["sliding_attention", "full_attention", "full_attention"],
        },
        torch.bfloat16,
        None,
    ),
    (
        "cohere2-deep",
        COHERE2 | {"num_hidden_layers": 3, "sliding_window": 6, "sliding_window_pattern": 3},
        torch.bfloat16,
        None,
    ),
    ("glm4-deep", DEEP | {"model_type": "glm4"} | PADDED, torch.bfloat16, None),
]


def randomize(model):
    """Weights by which attention is neither flat nor all on one token."""
    for name, parameter in model.named_parameters():
        if name.endswith(("embed_tokens.weight", "embed_in.weight", "wte.weight", "wpe.weight")):
            spread, center = 1.0, 0.0
        elif parameter.dim() == 1:
            spread, center = 0.3, parameter.mean().item()
        else:
            spread, center = 1.2 / model.config.hidden_size**0.5, 0.0
        parameter.data.normal_(center, spread)


def heads(attention, sink_tokens):
    """What the released code computes from a map [heads, length, length], without the sinks."""
    length = attention.shape[-1]
    position = torch.arange(length)
    far = attention.double() * ((position[:, None] - position >= length // 4) & (position >= sink_tokens))
    return {
        "proportion": (far.sum(dim=(1, 2)) / length).tolist(),
        "variance": far.flatten(1).var(dim=1).tolist(),
    }


def is_tied(model):
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


def losses(model, ids):
    """The negative log-likelihood of each token but the first, `[batch, length - 1]`."""
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")


def rounded(numbers):
    """As many digits as the tests need."""
    return [round(number, 6) for number in numbers.tolist()]


def make(name, config, number_format, prefix, seed, directory, layer=None):
    """Writes a checkpoint, the head only where `layer` names a deeper one than the first, and gives its windows."""
    torch.manual_seed(seed)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    parsed = AutoConfig.from_pretrained(directory)
    model = AutoModelForCausalLM.from_config(parsed, attn_implementation="eager").float().eval()
    randomize(model)
    tensors = {name: tensor.to(number_format) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    # Llama 4 names another prefix than its tensors have.
    usual = next(name for name in [model.base_model_prefix, "model"] if hasattr(model, name)) + "."
    new = usual if prefix is None else prefix
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith(usual) or layer and not is_tied(model)}
    if config["model_type"] == "gpt_neox" and "lm_head.weight" in kept:
        # What checkpoints call it, and transformers writes.
        kept["embed_out.weight"] = kept.pop("lm_head.weight")
    save_file(
        {name.replace(usual, new, 1): tensor.clone() for name, tensor in kept.items()},
        directory / "model.safetensors",
        {"format": "pt"},
    )
    if prefix == "language_model.model.":
        nested = {"model_type": config["model_type"].removesuffix("_text"), "text_config": config}
        (directory / "config.json").write_text(json.dumps(nested, indent=1) + "\n")
    windows = []
    for length in LENGTHS:
        ids = torch.randint(VOCABULARY, (1, length))
        with torch.no_grad():
            attention = model(ids, output_attentions=True, use_cache=False).attentions[layer or 0][0]
        window = {"token_ids": ids[0].tolist()} | heads(attention, SINK_TOKENS if layer else 0)
        windows.append(window | ({"losses": rounded(losses(model, ids)[0])} if layer else {}))
    return windows


def tokenizer():
    """One word for each token id."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {f"w{id}": id for id in range(VOCABULARY)}, "unk_token": "w0"},
    }


def make_all(checkpoints, first_seed, file, names, layer=None):
    """Makes checkpoints, all or those of some names, and writes what is expected of them."""
    expected = json.loads(file.read_text()) if names else {}
    for seed, (name, config, number_format, prefix) in enumerate(checkpoints, first_seed):
        if not names or name in names:
            expected[name] = make(name, config, number_format, prefix, seed, file.parent / name, layer)
            print(name, [round(share, 4) for share in expected[name][-1]["proportion"]])
    file.write_text(json.dumps(expected) + "\n")


def main():
    target, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    make_all(CHECKPOINTS, 0, target / "expected.json", names)
    # As many as there once were of the others, so that none changes where one is added.
    make_all(DEEPER_CHECKPOINTS, 20, target / "expected_deeper.json", names, layer=2)
    (target / "tokenizer.json").write_text(json.dumps(tokenizer()) + "\n")


if __name__ == "__main__":
    main()
