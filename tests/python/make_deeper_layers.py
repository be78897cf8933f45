"""Makes tests/data/deeper_layers.json: what transformers' eager attention gives in deeper layers of the default model.

    pip install --require-hashes --no-deps --requirement requirements/make-checkpoints.txt
    pip install gguf==0.19.0 accelerate==1.15.0
    python3 tests/python/make_deeper_layers.py target/fetch/SmolLM2-135M-Instruct.Q4_1.gguf tests/data

For each layer `proportion` and `variance` of every head as the released code computes them, on the token ids of the case
`gpl3_2048` in `released_code.json`, in float32 with min_distance L/4, where the first 4 tokens, the sinks, do not count as
far. Of the first `LOSS_TOKENS` tokens, `losses` are the negative log-likelihoods of every `LOSS_STEP`th from the second on, in
nats, and `information_gain` is the mean over the tokens from `SHORT_CONTEXT` on of how much higher they are in sequences of
`SHORT_CONTEXT` tokens, of which the second half counts. transformers itself reads the weights from the GGUF file.
"""

import json
import pathlib
import sys

import torch
from make_checkpoints import SINK_TOKENS, heads, losses, rounded
from transformers import AutoModelForCausalLM

LAYERS = [1, 17, 29]
CASE = "gpl3_2048"
SHORT_CONTEXT = 256
LOSS_TOKENS = 1024
LOSS_STEP = 4


def information_gain(model, ids, full):
    """Of a window of whole halves of `SHORT_CONTEXT`, whose losses are `full`."""
    half = SHORT_CONTEXT // 2
    short = losses(model, ids.unfold(0, SHORT_CONTEXT, half)[1:])[:, half - 1 :]
    return (short.flatten().double() - full[SHORT_CONTEXT - 1 :].double()).mean().item()


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

    hooks = [model.model.layers[layer].self_attn.register_forward_hook(keep(layer)) for layer in LAYERS]
    ids = torch.tensor(case["token_ids"])
    full = losses(model.eval(), ids[None])[0]
    for hook in hooks:
        hook.remove()
    expected = {
        "case": CASE,
        "sink_tokens": SINK_TOKENS,
        "layers": found,
        "loss_tokens": LOSS_TOKENS,
        "losses": rounded(full[: LOSS_TOKENS - 1 : LOSS_STEP]),
        "information_gain": information_gain(model, ids[:LOSS_TOKENS], full[: LOSS_TOKENS - 1]),
    }
    (target / "deeper_layers.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
