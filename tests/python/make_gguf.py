"""Writes tiny checkpoints of tests/data as GGUF files with llama.cpp's own package, and blocks of its number formats.

    pip install gguf==0.19.0 numpy safetensors
    python3 tests/python/make_gguf.py [NAME …]

With names only these checkpoints are written, and all else stays.
Tensors get the names, order of rows and shifts that llama.cpp's convert_hf_to_gguf.py gives them.
"""

import json
import math
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors import deserialize

DATA = Path(__file__).parent.parent / "data"

# The name in GGUF files of each `model_type`, and layers that are more than any has, for the names of tensors.
ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "phi3": "phi3", "gemma2": "gemma2",
    "gemma3_text": "gemma3", "olmo2": "olmo2", "gpt_neox": "gptneox", "gpt2": "gpt2", "olmo3": "olmo2", "smollm3": "smollm3",
    "granite": "granite", "qwen3_moe": "qwen3moe", "exaone4": "exaone4", "cohere2": "cohere2", "glm4": "glm4",
}

# Those whose queries and keys llama.cpp turns in pairs side by side, and `transformers` does not.
REORDERED = ["llama", "smollm3", "granite"]
LAYERS = 8

CHECKPOINTS = [
    "llama-deep", "mistral-deep", "qwen2-deep", "qwen3-deep", "phi3-deep", "olmo2-deep", "gemma2-deep", "gemma3-deep",
    "gpt_neox-deep", "gpt2-deep", "olmo3-deep", "granite-deep", "exaone4-deep", "cohere2-deep", "glm4-deep",
    "smollm3", "qwen3_moe", "mistral", "phi3-longrope", "gemma2", "gemma3", "linear", "yarn", "longrope", "llama3",
]

# In parts of so many tensors.
SPLIT = {"llama-deep": 20}


def read(path):
    """The tensors of a file by their names, in float32."""
    kinds = {"F64": np.float64, "F32": np.float32, "F16": np.float16}

    def numbers(tensor):
        if tensor["dtype"] == "BF16":
            halves = np.frombuffer(tensor["data"], np.uint16).astype(np.uint32)
            return (halves << 16).view(np.float32).reshape(tensor["shape"])
        return np.frombuffer(tensor["data"], kinds[tensor["dtype"]]).reshape(tensor["shape"]).astype(np.float32)

    return {name: numbers(tensor) for name, tensor in deserialize(path.read_bytes())}


def interleaved(matrix, heads):
    """Rows of each head from halves to pairs side by side."""
    rows = matrix.shape[0]
    return matrix.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(matrix.shape)


def by_kind(tensor, heads):
    """Rows that come head by head, each with its query, its key and its value, to all queries, all keys, all values."""
    return tensor.reshape(heads, 3, -1, *tensor.shape[1:]).swapaxes(0, 1).reshape(tensor.shape)


def converted(name, tensor, config, architecture, heads):
    kind = config["model_type"]
    if architecture in REORDERED and ".q_proj." in name:
        return interleaved(tensor, heads)
    if architecture in REORDERED and ".k_proj." in name:
        return interleaved(tensor, config.get("num_key_value_heads", heads))
    if kind.startswith("gemma") and name.endswith("norm.weight"):
        return tensor + 1
    if kind == "gpt_neox" and "query_key_value" in name:
        return by_kind(tensor, heads)
    if kind == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return tensor.T
    return tensor


def llama3_factors(scaling, theta, head_size):
    """What divides each frequency."""
    frequencies = theta ** -(np.arange(0, head_size, 2) / head_size)
    turns = scaling["original_max_position_embeddings"] * frequencies / math.tau
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / (kept + (1 - kept) / scaling["factor"])).astype(np.float32)


def add_rotary(writer, config, head_size):
    parameters = config.get("rope_parameters", {}).get("full_attention", {})
    theta = parameters.get("rope_theta", config.get("rope_theta", config.get("rotary_emb_base", 10_000.0)))
    usual_part = 0.5 if config["model_type"] == "glm4" else 1.0
    part = config.get("partial_rotary_factor", config.get("rotary_pct", usual_part))
    writer.add_rope_freq_base(theta)
    writer.add_rope_dimension_count(int(head_size * part))
    if "rope_local_base_freq" in config:
        writer.add_rope_freq_base_swa(config["rope_local_base_freq"])
    scaling = config.get("rope_scaling") or parameters
    kind = scaling.get("rope_type", scaling.get("type"))
    original = config.get("original_max_position_embeddings", scaling.get("original_max_position_embeddings"))
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling["factor"])
        writer.add_rope_scaling_orig_ctx_len(original)
    if kind == "longrope":
        factor = scaling.get("factor", config["max_position_embeddings"] / original)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(factor) / math.log(original)))
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_tensor("rope_factors_short.weight", np.array(scaling["short_factor"], np.float32))
        writer.add_tensor("rope_factors_long.weight", np.array(scaling["long_factor"], np.float32))
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(scaling, theta, head_size))


def write(name):
    config = json.loads((DATA / "checkpoints" / name / "config.json").read_text())
    tensors = read(DATA / "checkpoints" / name / "model.safetensors")
    architecture = ARCHITECTURES[config["model_type"]]
    get = lambda *keys: next((config[key] for key in keys if config.get(key) is not None), None)
    hidden, heads = get("hidden_size", "n_embd"), get("num_attention_heads", "n_head")
    head_size = get("head_dim") or hidden // heads
    epsilon = get("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon")
    target = DATA / "gguf" / f"{name}.gguf"
    writer = gguf.GGUFWriter(target, architecture, split_max_tensors=SPLIT.get(name, 0))
    writer.add_name(name)
    writer.add_context_length(get("max_position_embeddings", "n_positions"))
    writer.add_embedding_length(hidden)
    writer.add_block_count(get("num_hidden_layers", "n_layer"))
    writer.add_feed_forward_length(get("intermediate_size", "n_inner") or 4 * hidden)
    writer.add_head_count(heads)
    if get("num_key_value_heads"):
        writer.add_head_count_kv(get("num_key_value_heads"))
    if get("head_dim"):
        writer.add_key_length(head_size)
        writer.add_value_length(head_size)
    if architecture in ("gptneox", "gpt2", "cohere2"):
        writer.add_layer_norm_eps(epsilon)
    else:
        writer.add_layer_norm_rms_eps(epsilon)
    if architecture == "gptneox":
        writer.add_parallel_residual(config.get("use_parallel_residual", True))
    if architecture != "gpt2":
        add_rotary(writer, config, head_size)
    if architecture != "qwen2" and get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    if "layer_types" in config:
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config["layer_types"]])
    elif "sliding_window_pattern" in config:
        writer.add_sliding_window_pattern(config["sliding_window_pattern"])
    if "query_pre_attn_scalar" in config:
        writer.add_attention_scale(config["query_pre_attn_scalar"] ** -0.5)
    if "attention_multiplier" in config:
        writer.add_attention_scale(config["attention_multiplier"])
    if "embedding_multiplier" in config:
        writer.add_embedding_scale(config["embedding_multiplier"])
    if "residual_multiplier" in config:
        writer.add_residual_scale(config["residual_multiplier"])
    if get("logits_scaling", "logit_scale"):
        writer.add_logit_scale(get("logits_scaling", "logit_scale"))
    if "attn_logit_softcapping" in config:
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if "final_logit_softcapping" in config:
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), LAYERS)
    for stored, tensor in sorted(tensors.items()):
        if ".experts." in stored:
            continue  # Never read, and in other tensors than transformers 5 has.
        new = names.get_name(stored, try_suffixes=(".weight", ".bias"))
        assert new, stored
        tensor = converted(stored, tensor, config, architecture, heads)
        writer.add_tensor(new, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


FORMATS = ["F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
           "IQ4_XS", "MXFP4"]

# Where the scales of a block lie that are 16-bit floating point.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}


def blocks():
    """Two random blocks of each format, and their numbers."""
    random = np.random.default_rng(1)
    found = {}
    for name in FORMATS:
        kind = gguf.GGMLQuantizationType[name]
        size, length = gguf.GGML_QUANT_SIZES[kind]
        if size == 1:
            plain = {"F32": np.float32, "F16": np.float16, "BF16": np.float32, "F64": np.float64}[name]
            numbers = random.normal(size=8).astype(plain)
            stored = gguf.quants.quantize(numbers, kind) if name == "BF16" else numbers
            stored = np.frombuffer(stored.tobytes(), np.uint8)
            numbers = gguf.quants.dequantize(stored, kind) if name == "BF16" else numbers
        else:
            stored = random.integers(0, 256, size=2 * length, dtype=np.uint8).reshape(2, length)
            for place in HALVES.get(name, []):
                scales = random.normal(size=2).astype(np.float16)
                stored[:, place : place + 2] = scales.view(np.uint8).reshape(2, 2)
            if name == "MXFP4":
                stored[:, 0] = [120, 131]
            numbers = gguf.quants.dequantize(stored, kind).flatten()
        # Enough digits to come back to the bit.
        numbers = [float(number) for number in numbers.astype(np.float32)]
        found[name] = {"bytes": [int(byte) for byte in stored.flatten()], "numbers": numbers}
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(block)}" for name, block in found.items())
    (DATA / "gguf" / "blocks.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    names = sys.argv[1:]
    (DATA / "gguf").mkdir(exist_ok=True)
    for checkpoint in names or CHECKPOINTS:
        write(checkpoint)
    if not names:
        blocks()
