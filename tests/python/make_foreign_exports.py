"""Makes the models in tests/data/foreign that optimum and torch.onnx wrote, of tiny checkpoints with random weights.

    pip install --require-hashes --requirement requirements/foreign-exports.txt
    python3 tests/python/make_foreign_exports.py tests/data/foreign

Each model gets a JSON file of the same name with a window of token ids and, for each output that holds an attention
map, `proportion` and `variance` of every head with min_distance L/4, computed from PyTorch's own eager attentions.
The exporters' notes on where in their sources a node comes from are left out; they name files of this machine.
"""

import json
import pathlib
import sys
import tempfile

import numpy
import onnx
import torch
from make_foreign_models import LENGTH, VOCABULARY, statistics
from optimum.exporters.onnx import onnx_export_from_model
from optimum.exporters.onnx.model_configs import BertOnnxConfig, LlamaOnnxConfig
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

LAYERS = 2
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": LAYERS}
# Large enough that attention is not all but even.
ATTENTION = {"num_attention_heads": 4, "initializer_range": 0.5, "attn_implementation": "eager"}


def llama():
    config = LlamaConfig(**SIZES, **ATTENTION, num_key_value_heads=2, max_position_embeddings=64)
    return LlamaForCausalLM(config).eval()


def bert():
    return BertModel(BertConfig(**SIZES, **ATTENTION, max_position_embeddings=64), add_pooling_layer=False).eval()


class WithAttentions:
    """What optimum's manual says to override for outputs of one's own."""

    @property
    def outputs(self):
        axes = {0: "batch_size", 2: "sequence_length", 3: "total_sequence_length"}
        return super().outputs | {f"attentions.{layer}": axes for layer in range(LAYERS)}


class LlamaWithAttentions(WithAttentions, LlamaOnnxConfig):
    pass


class BertWithAttentions(WithAttentions, BertOnnxConfig):
    pass


def by_optimum(task, config):
    """A function that exports a model as `optimum-cli export onnx --task TASK` does, with attention outputs."""

    def export(model, directory):
        onnx_export_from_model(
            model,
            directory,
            task=task,
            custom_onnx_configs={"model": config(model.config)},
            model_kwargs={"output_attentions": True},
        )
        return directory / "model.onnx"

    return export


class AttentionsOf(torch.nn.Module):
    """A model that gives its last hidden state and its attentions, as a tuple."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        result = self.model(input_ids, attention_mask=attention_mask, output_attentions=True)
        return (result.last_hidden_state, *result.attentions)


class CausalAttentionsOf(AttentionsOf):
    """The same for a decoder, with a mask that the new exporter can follow."""

    def forward(self, input_ids, position_ids):
        later = position_ids[:, None, :] > position_ids[:, :, None]
        mask = torch.where(later, torch.finfo(torch.float32).min, 0.0)[:, None]
        result = self.model(input_ids, attention_mask=mask, position_ids=position_ids, use_cache=False, output_attentions=True)
        return (result.last_hidden_state, *result.attentions)


def example():
    return torch.arange(14).reshape(2, 7)


def by_torch_script(model, directory):
    """The exporter that torch.onnx had until 2.8; nobody names the outputs."""
    axes = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")}
    arguments = (example(), torch.ones_like(example()))
    path = directory / "model.onnx"
    torch.onnx.export(AttentionsOf(model), arguments, path, input_names=list(axes), dynamic_axes=axes, dynamo=False)
    return path


def by_torch_dynamo(model, directory):
    """The exporter that torch.onnx has since 2.9; nobody names the outputs."""
    axes = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    arguments = (example(), torch.arange(7).expand(2, 7))
    path = directory / "model.onnx"
    module = CausalAttentionsOf(model.model)
    torch.onnx.export(module, arguments, path, dynamic_shapes=(axes, axes), dynamo=True, external_data=False)
    return path


def decoder(**past):
    return lambda config: LlamaWithAttentions(config, task="text-generation", **past)


def encoder(config):
    return BertWithAttentions(config, task="feature-extraction")


MODELS = {
    "optimum_decoder": (llama, by_optimum("text-generation", decoder())),
    "optimum_decoder_with_past": (
        llama,
        by_optimum("text-generation-with-past", decoder(use_past=True, use_past_in_inputs=True)),
    ),
    "optimum_encoder": (bert, by_optimum("feature-extraction", encoder)),
    "torch_script_encoder": (bert, by_torch_script),
    "torch_dynamo_decoder": (llama, by_torch_dynamo),
}


def attention_outputs(model):
    """Names of the outputs of a model file that hold attention maps: what follows the hidden state, or is named so."""
    names = [output.name for output in model.graph.output]
    named = [name for name in names if "attentions" in name]
    return named or names[1:]


def without_notes(model):
    model.ClearField("doc_string")
    del model.metadata_props[:]
    for part in [model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info]:
        part.ClearField("doc_string")
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
    return model


def main():
    target = pathlib.Path(sys.argv[1])
    for seed, (name, (make, export)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model = make()
        token_ids = numpy.random.default_rng(seed).integers(0, VOCABULARY, LENGTH).tolist()
        with tempfile.TemporaryDirectory() as directory, torch.no_grad():
            attentions = model(torch.tensor([token_ids]), output_attentions=True).attentions
            exported = without_notes(onnx.load(export(model, pathlib.Path(directory))))
        onnx.save(exported, target / f"{name}.onnx")
        outputs = attention_outputs(exported)
        assert len(outputs) == len(attentions) == LAYERS, outputs
        maps = {output: statistics(attention[0].numpy()) for output, attention in zip(outputs, attentions)}
        (target / f"{name}.json").write_text(json.dumps({"token_ids": token_ids, "maps": maps}, indent=1) + "\n")


if __name__ == "__main__":
    main()
