"""Compares scores of real models with attention computed in float64 from the weights that llama.cpp's package reads.

    python3 tests/python/check_real_models.py target/release/longattn MODEL.gguf...

Each GGUF file, of the architecture gemma3 or qwen2, is exported by the command; its first layer and a middle one are scored on random
token ids, and proportion and variance of each head have to agree to 1e-3.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

LENGTH = 300
TOLERANCE = 1e-3


class Model:
    """A decoder, as transformers computes gemma3_text and qwen2, with all positions within its sliding windows."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}
        self.architecture = self.reader.fields["general.architecture"].contents()
        self.gemma = self.architecture == "gemma3"
        self.heads = self.value("attention.head_count")
        self.epsilon = self.value("attention.layer_norm_rms_epsilon")
        self.layers = self.value("block_count")
        self.size = self.value("embedding_length")
        self.head_size = self.value("attention.key_length", self.size // self.heads)

    def value(self, key, otherwise=None):
        field = self.reader.fields.get(f"{self.architecture}.{key}")
        return otherwise if field is None else field.contents()

    def read(self, name):
        tensor = self.tensors[name]
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        return numbers.reshape(tensor.shape[::-1]).astype(np.float64)

    def norm(self, x, name):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + self.epsilon) * self.read(name)

    def project(self, x, name):
        bias = f"{name}.bias"
        return x @ self.read(f"{name}.weight").T + (self.read(bias) if bias in self.tensors else 0)

    def rotated(self, x, layer):
        slides = self.gemma and (layer + 1) % 6 != 0
        theta = 10_000.0 if slides else self.value("rope.freq_base", 10_000.0)
        half = self.head_size // 2
        angles = np.arange(x.shape[0])[:, None] * theta ** -(np.arange(half) / half)
        cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
        left, right = x[..., :half], x[..., half:]
        return np.concatenate([left * cosine - right * sine, right * cosine + left * sine], -1)

    def maps(self, ids, deepest):
        """Attention of the layer `deepest`, [heads, tokens, tokens]."""
        x = self.read("token_embd.weight")[ids]
        if self.gemma:
            x = x * np.sqrt(self.size)
        for layer in range(deepest + 1):
            block = f"blk.{layer}."
            normed = self.norm(x, f"{block}attn_norm.weight")
            query, key, value = (
                self.project(normed, f"{block}attn_{name}").reshape(len(ids), -1, self.head_size) for name in "qkv"
            )
            if self.gemma:
                query, key = self.norm(query, f"{block}attn_q_norm.weight"), self.norm(key, f"{block}attn_k_norm.weight")
            query, key = self.rotated(query, layer), self.rotated(key, layer)
            shared = self.heads // key.shape[1]
            key, value = np.repeat(key, shared, 1), np.repeat(value, shared, 1)
            logits = np.einsum("ihd,jhd->hij", query, key) / np.sqrt(self.head_size)
            logits[:, ~np.tri(len(ids), dtype=bool)] = -np.inf
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            if layer == deepest:
                return weights
            mixed = np.einsum("hij,jhd->ihd", weights, value).reshape(len(ids), -1)
            x = x + self.added(self.project(mixed, f"{block}attn_output"), f"{block}post_attention_norm.weight")
            x = x + self.added(self.feed_forward(self.norm(x, f"{block}ffn_norm.weight"), block), f"{block}post_ffw_norm.weight")

    def added(self, x, norm):
        return self.norm(x, norm) if self.gemma else x

    def feed_forward(self, x, block):
        gate, up = self.project(x, f"{block}ffn_gate"), self.project(x, f"{block}ffn_up")
        if self.gemma:
            bent = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
        else:
            bent = gate / (1 + np.exp(-gate))
        return self.project(bent * up, f"{block}ffn_down")

    def framed(self, ids):
        adds = self.reader.fields.get("tokenizer.ggml.add_bos_token")
        if adds is None or not adds.contents():
            return ids
        return [self.reader.fields["tokenizer.ggml.bos_token_id"].contents(), *ids][: len(ids)]


def scores(command, model, layer, ids, directory):
    package, windows = directory / f"package-{layer}", directory / "windows.jsonl"
    windows.write_text(json.dumps({"id": "a", "token_ids": ids}) + "\n")
    export = [command, "export", model, "--layer", str(layer), "--no-fold", "--dtype", "f32", "--quiet", "-o", package]
    subprocess.run(export, check=True)
    score = [command, "score", "--model", package, "--window", str(len(ids)), "--sink-tokens", "0", "--per-head", "--quiet", windows]
    return json.loads(subprocess.run(score, check=True, capture_output=True).stdout)


def main(command, paths):
    for path in paths:
        model = Model(path)
        ids = [int(number) for number in np.random.default_rng(1).integers(1000, 100_000, LENGTH)]
        for layer in [0, model.layers // 2]:
            with tempfile.TemporaryDirectory() as directory:
                found = scores(command, path, layer, ids, Path(directory))
            far = np.tri(LENGTH, k=-(LENGTH // 4)) * model.maps(model.framed(ids), layer)
            proportions = far.sum((1, 2)) / LENGTH
            variances = far.reshape(len(far), -1).var(-1, ddof=1)
            errors = np.concatenate([found["head_proportions"] / proportions, found["head_variances"] / variances]) - 1
            worst = abs(errors).max()
            print(f"{Path(path).name}, layer {layer}: {len(far)} heads, {worst:.1e} apart at most")
            assert worst <= TOLERANCE


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
