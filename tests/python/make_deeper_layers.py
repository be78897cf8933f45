"""Makes tests/data/deeper_layers.json: what transformers' eager attention gives in deeper layers of the default model.

    pip install --require-hashes --no-deps --requirement requirements/make-checkpoints.txt
    pip install gguf==0.19.0 accelerate==1.15.0
    python3 tests/python/make_deeper_layers.py target/fetch/SmolLM2-135M-Instruct.Q4_1.gguf tests/data

For each layer `proportion` and `variance` of every head as the released code computes them, on the token ids of the case
`gpl3_2048` in `released_code.json`, in float32 with min_distance L/4, where the first 4 tokens, the sinks, do not count as
far. transformers itself reads the weights from the GGUF file.
"""

import json
import pathlib
import sys

import torch
from make_checkpoints import SINK_TOKENS, heads
from transformers import AutoModelForCausalLM

LAYERS = [1, 17, 29]
CASE = "gpl3_2048"


def main():
    model_file, target = map(pathlib.Path, sys.argv[1:])
    case = json.loads((target / "released_code.json").read_text())["cases"][CASE]
    model = AutoModelForCausalLM.from_pretrained(
        model_file.parent, gguf_file=model_file.name, attn_implementation="eager", dtype=torch.float32
    )
    found = {}

    def keep(layer):
        def hook(module, inputs, outputs):
            found[layer] = heads(outputs[1][0], SINK_TOKENS)

        return hook

    for layer in LAYERS:
        model.model.layers[layer].self_attn.register_forward_hook(keep(layer))
    with torch.no_grad():
        model.eval().model(torch.tensor([case["token_ids"]]), use_cache=False)
    expected = {"case": CASE, "sink_tokens": SINK_TOKENS, "layers": found}
    (target / "deeper_layers.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
