"""What only a GPU can tell, in eight minutes at most: whether the compiled kernels of far mass are right on it, how fast they are beside
PyTorch's fused attention and a matrix product, and whether the CUDA provider gives the scores of the processor.

Needs NVIDIA's driver and PyTorch. Launches the machine code in `src/attention/gpu`, not what Triton would compile here. Prints one table."""

import argparse
import ctypes
import json
import lzma
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

PROJECT = Path(__file__).parents[2]
KERNELS = PROJECT / "src/attention/gpu"
# What single numbers of each type may be off by: mass and square mass, relative.
BOUNDS = {torch.float16: (5e-5, 3e-4), torch.bfloat16: (5e-5, 3e-4), torch.float32: (2e-6, 1e-5)}
# Heads, heads of keys and head size.
SHAPES = {"SmolLM2-135M": (9, 3, 64), "Llama-3.1-8B": (32, 8, 128)}
SECONDS = 8 * 60 - 30


class Kernels:
    """The compiled kernels on this GPU."""

    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        major, minor = torch.cuda.get_device_capability()
        self.capability = 10 * major + minor
        facts = json.loads((KERNELS / "kernels.json").read_text())
        self.kernels, self.parameters = facts["kernels"], facts["parameters"]
        self.code = lzma.decompress((KERNELS / "kernels.xz").read_bytes())
        self.loaded = {}

    def call(self, function, *arguments):
        error = getattr(self.cuda, function)(*arguments)
        assert error == 0, f"{function}: error {error}"

    def serves(self, kernel):
        own = kernel["capability"]
        if kernel["format"] == "ptx":
            return own <= self.capability
        return own == self.capability or own < 90 and own // 10 == self.capability // 10 and own <= self.capability

    def find(self, function, element=None, head_size=0, capped=None):
        fits = [kernel for kernel in self.kernels if self.serves(kernel) and kernel["function"] == function
                and kernel["element"] == element and kernel["capped"] == capped and (kernel["head_size"] or 0) >= head_size]
        return min(fits, key=lambda kernel: (kernel["format"] != "cubin", kernel["head_size"]))

    def load(self, kernel):
        if kernel["offset"] not in self.loaded:
            library, function, device = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
            code = self.code[kernel["offset"] : kernel["offset"] + kernel["length"]]
            self.call("cuLibraryLoadData", ctypes.byref(library), code, None, None, 0, None, None, 0)
            self.call("cuLibraryGetKernel", ctypes.byref(function), library, kernel["function"].encode())
            self.call("cuCtxGetDevice", ctypes.byref(device))
            self.call("cuKernelSetAttribute", 8, kernel["shared_memory"], function, device)
            self.loaded[kernel["offset"]] = function
        return self.loaded[kernel["offset"]]

    def launch(self, kernel, grid, **values):
        pointers = [ctypes.c_void_p(value.data_ptr()) if isinstance(value, torch.Tensor)
                    else ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int(value)
                    for value in (values[name] for name in self.parameters[kernel["function"]])]
        pointers += [ctypes.c_void_p(0), ctypes.c_void_p(0)]
        places = (ctypes.c_void_p * len(pointers))(*(ctypes.cast(ctypes.pointer(value), ctypes.c_void_p) for value in pointers))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        self.call("cuLaunchKernel", self.load(kernel), *grid, 1, 32 * kernel["warps"], 1, 1, kernel["shared_memory"], stream, places, None)

    def far_mass(self, q, k, sinks, min_distance, first_row=0, scale=None, softcap=None):
        """Both sums, `[settings, windows, heads]`."""
        scale = scale or q.shape[-1] ** -0.5
        element = str(q.dtype).removeprefix("torch.")
        kernel, total = self.find("far_mass", element, q.shape[-1], softcap is not None), self.find("sum_blocks")
        pad = kernel["head_size"] - q.shape[-1]
        q, k = (F.pad(x, (0, pad)).contiguous() if pad else x.contiguous() for x in (q, k))
        windows, heads, rows, _ = q.shape
        blocks = -(-rows // kernel["block"])
        sinks = torch.tensor(sinks, dtype=torch.int64, device=q.device)
        parts = [torch.empty(len(sinks), windows, heads, blocks, device=q.device) for _ in range(2)]
        self.launch(kernel, (blocks, windows * heads), queries=q, keys=k, sink_tokens=sinks, masses=parts[0], squares_of_masses=parts[1],
                    heads=heads, key_heads=k.shape[1], rows=rows, length=k.shape[2], first_row=first_row, min_distance=min_distance,
                    settings=len(sinks), scale=scale * math.log2(math.e), softcap=(softcap or 0.0) * math.log2(math.e))
        sums = [torch.full((len(sinks), windows, heads), math.nan, dtype=torch.float64, device=q.device) for _ in range(2)]
        for part, whole in zip(parts, sums):
            self.launch(total, (whole.numel(), 1), parts=part, sums=whole, blocks=blocks)
        return sums


def by_definition(q, k, sinks, min_distance, first_row=0, scale=None, softcap=None):
    """In double precision, head by head and block of rows by block of rows."""
    windows, heads, rows, size = q.shape
    sums = torch.zeros(2, len(sinks), windows, heads, dtype=torch.float64, device=q.device)
    col = torch.arange(k.shape[2], device=q.device)[None]
    for window in range(windows):
        for head in range(heads):
            key = k[window, head // (heads // k.shape[1])].double()
            for start in range(0, rows, 1024):
                query = q[window, head, start : start + 1024].double()
                row = first_row + start + torch.arange(len(query), device=q.device)[:, None]
                x = query @ key.T * (scale or size**-0.5)
                x = softcap * torch.tanh(x / softcap) if softcap else x
                p = x.masked_fill(col > row, -math.inf).softmax(-1)
                for setting, sink in enumerate(sinks):
                    far = p * ((row - col >= min_distance) & (col >= sink))
                    sums[0, setting, window, head] += far.sum()
                    sums[1, setting, window, head] += (far * far).sum()
    return sums


class Table:
    """Lines of a check, its result and what was due; printed as they come and once more at the end."""

    def __init__(self):
        self.lines, self.failed, self.begun = [], 0, time.monotonic()

    def add(self, check, found, verdict):
        self.failed += verdict == "WRONG"
        self.lines.append(f"| {check} | {found} | {verdict} |")
        print(f"[{time.monotonic() - self.begun:4.0f} s] {self.lines[-1]}", flush=True)

    def left(self):
        """Seconds until the check has to end."""
        return SECONDS - (time.monotonic() - self.begun)

    def section(self, name, work, *arguments):
        """Whatever fails in one part is told, and the others are done all the same."""
        if self.left() <= 0:
            return self.add(name, "no time was left", "NOT DONE")
        try:
            work(self, *arguments)
        except Exception as error:
            self.add(name, f"{type(error).__name__}: {error}".replace("\n", " ")[:600], "WRONG")

    def show(self):
        print("\n| check | found | verdict |\n| --- | --- | --- |", *self.lines, sep="\n")


def random_vectors(windows, heads, key_heads, rows, length, size, dtype):
    q = torch.randn(windows, heads, rows, size, device="cuda") * 2
    k = torch.randn(windows, key_heads, length, size, device="cuda")
    return q.to(dtype), k.to(dtype)


def differences(kernels, q, k, *arguments, **options):
    got, want = kernels.far_mass(q, k, *arguments, **options), by_definition(q, k, *arguments, **options)
    nothing = want == 0
    assert all(torch.isfinite(sums).all() for sums in got), "sums that are not finite"
    assert not any(sums[zero].any() for sums, zero in zip(got, nothing)), "something where nothing is far"
    return [((g - w).abs() / w)[~zero].max().item() if not zero.all() else 0.0 for g, w, zero in zip(got, want, nothing)]


def right(table, kernels):
    for dtype, bounds in BOUNDS.items():
        for size in (64, 72, 80, 96, 128, 256):
            for softcap in (None, 30.0):
                q, k = random_vectors(2, 4, 2, 1037, 1037, size, dtype)
                off = differences(kernels, q, k, [0, 4], 1037 // 4, softcap=softcap)
                verdict = "right" if all(o <= bound for o, bound in zip(off, bounds)) else "WRONG"
                name = f"{str(dtype)[6:]}, heads of {size}" + (", capped" if softcap else "")
                table.add(name, f"masses off by {off[0]:.1e}, squares by {off[1]:.1e}", verdict)


def edges(table, kernels):
    length, worst = 300, 0.0
    for dtype in BOUNDS:
        for distance in (0, 1, length - 1, length):
            for sinks in ([0], [400, 0, 70]):
                for first_row, rows in ((0, length), (length - 1, 1), (129, 100)):
                    q, k = random_vectors(1, 2, 1, rows, length, 64, dtype)
                    off = differences(kernels, q, k, sinks, distance, first_row=first_row)
                    worst = max(worst, *(o / bound for o, bound in zip(off, BOUNDS[dtype])))
    table.add("distances of 0, 1, L-1, L; more sinks than tokens; one row", f"at most {worst:.2f} of what is allowed",
              "right" if worst <= 1 else "WRONG")
    q, k = random_vectors(1, 9, 3, 5000, 5000, 64, torch.float16)
    first = kernels.far_mass(q, k, [0, 4], 1250)
    same = all(torch.equal(a, b) for _ in range(5) for a, b in zip(first, kernels.far_mass(q, k, [0, 4], 1250)))
    table.add("the same bits six times", same, "right" if same else "WRONG")
    q[0, 0, 3000] = math.nan
    sums = kernels.far_mass(q, k, [0], 1250)
    told = all(bool(s[0, 0, 0].isnan()) and bool(s[0, 0, 1:].isfinite().all()) for s in sums)
    table.add("a query that is not a number", "its head alone" if told else "not told", "right" if told else "WRONG")


def sanitized(table):
    tool = shutil.which("compute-sanitizer")
    if not tool:
        return table.add("compute-sanitizer", "is not here", "NOT DONE")
    done = subprocess.run([tool, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, __file__, "--small"], capture_output=True,
                          text=True, timeout=min(120, table.left()))
    table.add("compute-sanitizer", (done.stdout + done.stderr).strip().splitlines()[-1][:200], "right" if done.returncode == 0 else "WRONG")


def milliseconds(work, repetitions):
    work()
    times = []
    for _ in range(repetitions):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def fast(table, kernels):
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
    table.add("matrix product of 8192, float16", f"{2 * 8192**3 / milliseconds(lambda: a @ a, 10) / 1e9:.0f} TFLOP/s", "")
    for name, (heads, key_heads, size) in SHAPES.items():
        for length in (8192, 32768, 131072):
            operations = heads * size * length * (length + 1)
            repetitions = 3 if length > 100000 else 10
            for dtype in (torch.float16, torch.float32):
                q, k = random_vectors(1, heads, key_heads, length, length, size, dtype)
                ms = milliseconds(lambda: kernels.far_mass(q, k, [0], length // 4), repetitions)
                found = f"{ms:.2f} ms, {operations / ms / 1e9:.0f} TFLOP/s"
                if dtype == torch.float16:
                    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
                        fused = milliseconds(lambda: F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True), repetitions)
                    found += f"; FlashAttention {fused:.2f} ms: {ms / fused:.2f} of it"
                table.add(f"{name}, {length} tokens, {str(dtype)[6:]}", found, "")


def command(table, arguments, *words):
    environment = os.environ | {"ORT_DYLIB_PATH": str(arguments.onnxruntime)}
    # CUDA's own libraries are those that PyTorch brings.
    libraries = sorted({str(file.parent) for file in Path(torch.__file__).parents[1].glob("nvidia/**/*.so*")})
    environment["LD_LIBRARY_PATH"] = ":".join([*libraries, environment.get("LD_LIBRARY_PATH", "")])
    begun = time.monotonic()
    done = subprocess.run([arguments.longattn, *map(str, words)], env=environment, capture_output=True, text=True,
                          timeout=max(1, table.left()))
    assert done.returncode == 0, f"longattn {words[0]}: {done.stderr.strip()[-500:]}"
    return done.stdout, time.monotonic() - begun


def packages(table, arguments):
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        for name, options in (
            ("layer 0", ["--layer", "0"]),
            ("layer 17", ["--layer", "17", "--attention", "standard"]),
            ("all layers", ["--layers", "all", "--attention", "standard"]),
        ):
            package = directory / name.replace(" ", "-")
            command(table, arguments, "export", arguments.model, "--contract", "statistics", *options, "-o", package)
            windows = directory / "windows.jsonl"
            text, _ = command(table, arguments, "windows", "--model", package, "--window", 2048, arguments.corpus)
            windows.write_text("".join(text.splitlines(keepends=True)[:4]))
            scores, seconds = {}, {}
            for provider in ("cpu", "cuda"):
                text, seconds[provider] = command(table, arguments, "score", "--model", package, "--window", 2048, "--per-head",
                                                  "--execution-provider", provider, windows)
                scores[provider] = [json.loads(line) for line in text.splitlines()]
            off = max(abs(a - b) / abs(a) for cpu, cuda in zip(scores["cpu"], scores["cuda"], strict=True)
                      for a, b in zip(cpu["head_proportions"], cuda["head_proportions"], strict=True))
            times = ", ".join(f"{provider} {seconds[provider]:.1f} s" for provider in seconds)
            table.add(f"{name} by CUDA's provider and the processor's", f"heads off by {off:.1e}; four windows of 2048: {times}",
                      "right" if off <= 1e-4 else "WRONG")
        package = directory / "layer-0"
        _, seconds = command(table, arguments, "run", "--model", package, "--window", 8192, "--execution-provider", "cuda", arguments.corpus,
                             "-o", directory / "result")
        table.add("longattn run, windows of 8192", f"{seconds:.1f} s", "")


def small():
    kernels = Kernels()
    for dtype in BOUNDS:
        q, k = random_vectors(2, 4, 2, 300, 300, 64, dtype)
        kernels.far_mass(q, k, [0, 4], 75)
    torch.cuda.synchronize()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="launch each type's kernel once and compare nothing")
    parser.add_argument("--longattn", help="the command; without it the kernels alone are checked")
    parser.add_argument("--onnxruntime", type=Path, help="ONNX Runtime's library with the CUDA provider beside it")
    parser.add_argument("--model", type=Path, help="a checkpoint, such as the default model's GGUF file")
    parser.add_argument("--corpus", type=Path, help="documents")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.zeros(1, device="cuda")  # Makes the context that the kernels are loaded into.
    if arguments.small:
        return small()
    table, kernels = Table(), Kernels()
    table.add("GPU", f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", "")
    table.section("kernels", right, kernels)
    table.section("edges", edges, kernels)
    table.section("compute-sanitizer", sanitized)
    table.section("speed", fast, kernels)
    if arguments.longattn:
        table.section("packages", packages, arguments)
    else:
        table.add("CUDA's provider", "its parts are not here: make gpu-parts", "NOT DONE")
    table.show()
    sys.exit(bool(table.failed))


if __name__ == "__main__":
    main()
