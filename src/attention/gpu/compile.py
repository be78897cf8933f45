"""Compiles the kernels of `far_mass.py` ahead of time, with the tools in Triton's wheel and without a GPU.

Writes `kernels.xz`, machine code and PTX one after the other, and `kernels.json`, which tells where each lies, what it is for and
what a launch needs. With --check nothing is written: what is there is disassembled and must hold matrix instructions, leave no
register to memory, and be what the source gives now."""

import argparse
import hashlib
import json
import lzma
import os
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

# Line numbers are half of the machine code, and tell of this machine.
os.environ["TRITON_DISABLE_LINE_INFO"] = "1"

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import far_mass

HERE = Path(__file__).parent
FACTS, CODE = HERE / "kernels.json", HERE / "kernels.xz"
TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
ALIGNED = [["tt.divisibility", 16]]


@dataclass(frozen=True)
class Variant:
    """One kernel for one generation of GPUs."""

    function: str
    capability: int  # Ten times the compute capability.
    element: str | None = None
    head_size: int | None = None
    capped: bool | None = None
    block: int | None = None
    tile: int | None = None
    warps: int = 4
    stages: int = 1

    def architecture(self):
        return f"sm_{self.capability}" + ("a" if self.capability >= 90 else "")

    def is_portable(self):
        """Whether newer GPUs can be given its PTX."""
        return self.capability < 90


def tilings(capability, capped):
    """Rows at a time, keys at a time, warps and stages of each type and head size.

    Those of sm_80 serve 8.6 and 8.9 too, so that they keep to the 99 KB of shared memory that these have. Two blocks of 256
    threads with 128 registers each share a multiprocessor on sm_90 and sm_100: one computes exponentials while the other multiplies."""
    half = {64: (128, 64, 8, 3), 80: (128, 64, 8, 3), 96: (128, 64, 8, 3), 128: (128, 64, 8, 3), 256: (64, 64, 8, 2)}
    single = {64: (64, 32, 8, 3), 96: (64, 64, 4, 3), 128: (64, 64, 4, 3), 256: (64, 64, 4, 3)}
    if capability in (90, 100):
        half[256] = (128, 64, 8, 2)
        single = dict.fromkeys(single, (128, 64, 8, 3))
    if capability == 100:
        half = dict.fromkeys(half, (128, 64, 8, 2))
        if capped:
            half[128] = (128, 32, 8, 2)
    for element, of_sizes in (("float16", half), ("bfloat16", half), ("float32", single)):
        yield from ((element, size, tiling) for size, tiling in of_sizes.items())


def variants():
    for capability in (80, 90, 100, 120):
        yield Variant("sum_blocks", capability)
        for capped in (False, True):
            for element, head_size, tiling in tilings(capability, capped):
                # Few models cap logits: their smaller heads are padded.
                if not capped or head_size in (128, 256):
                    yield Variant("far_mass", capability, element, head_size, capped, *tiling)


def source(variant):
    element = {"float16": "*fp16", "bfloat16": "*bf16", "float32": "*fp32", None: None}[variant.element]
    if variant.function == "sum_blocks":
        signature = dict(parts="*fp32", sums="*fp64", blocks="i32")
        constants = dict(CHUNK=128)
    else:
        size = variant.head_size
        signature = dict(queries=element, keys=element, sink_tokens="*i64", masses="*fp32", squares_of_masses="*fp32", heads="i32",
                         key_heads="i32", rows="i32", length="i32", first_row="i32", min_distance="i32", settings="i32",
                         scale="fp32", softcap="fp32")
        constants = dict(SIZE=size, LOW=1 << (size.bit_length() - 1), BLOCK=variant.block, TILE=variant.tile,
                         CHUNK=32 if variant.element == "float32" else 0, CAPPED=variant.capped)
    names = [*signature, *constants]
    return ASTSource(
        fn=getattr(far_mass, variant.function),
        signature=signature | dict.fromkeys(constants, "constexpr"),
        constexprs={(names.index(name),): value for name, value in constants.items()},
        # Else loads are of two bytes each, and nothing is copied ahead.
        attrs={(names.index(name),): ALIGNED for name in ("queries", "keys") if name in names},
    )


def parameters_of(made):
    return [name for name, kind in made.signature.items() if kind != "constexpr"]


def run(tool, code, *options):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        return subprocess.run([TOOLS / tool, *options, file.name], check=True, capture_output=True, text=True).stdout


def build(variant):
    """The facts and the code of a variant: machine code, and PTX where newer GPUs can use it."""
    made = source(variant)
    built = triton.compile(made, target=GPUTarget("cuda", variant.capability, 32),
                           options=dict(num_warps=variant.warps, num_stages=variant.stages))
    machine_code, ptx = built.asm["cubin"], built.asm["ptx"]
    parameters = parameters_of(made)
    # After its own parameters a kernel of Triton's takes two pointers to scratch space, of which these use none.
    assert len(re.findall(r"\.param \.\w+ .*_param_\d+,?$", ptx, re.MULTILINE)) == len(parameters) + 2, variant
    assert not built.metadata.global_scratch_size and not built.metadata.profile_scratch_size, variant
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", run("cuobjdump", machine_code, "-res-usage")).groups())
    assert stack == 0, f"{variant} leaves registers to memory"
    facts = asdict(variant) | dict(shared_memory=built.metadata.shared, registers=registers)
    yield facts | dict(format="cubin", architecture=variant.architecture()), machine_code
    if variant.is_portable():
        yield facts | dict(format="ptx", architecture=variant.architecture()), ptx.encode() + b"\0"


def write(facts, code):
    lines = ",\n  ".join(map(json.dumps, facts))
    heading = dict(
        made_by="make gpu-kernels",
        source_sha256=hashlib.sha256((HERE / "far_mass.py").read_bytes()).hexdigest(),
        code_sha256=hashlib.sha256(b"".join(code)).hexdigest(),
        triton=triton.__version__,
        cuda=cuda_version(),
        parameters={kernel.function: parameters_of(source(kernel)) for kernel in variants()},
    )
    FACTS.write_text(json.dumps(heading, indent=1)[:-2] + f',\n "kernels": [\n  {lines}\n ]\n}}\n')
    CODE.write_bytes(lzma.compress(b"".join(code), preset=9 | lzma.PRESET_EXTREME))


def cuda_version():
    """The newest CUDA of the assemblers, as drivers count: 12090 for 12.9."""
    outputs = [subprocess.run([TOOLS / name, "--version"], check=True, capture_output=True, text=True).stdout
               for name in ("ptxas", "ptxas-blackwell")]
    return max(int(major) * 1000 + int(minor) * 10 for major, minor in re.findall(r"release (\d+)\.(\d+)", " ".join(outputs)))


def compile_all():
    facts, code, offset = [], [], 0
    for variant in variants():
        for of_kernel, bytes_of_kernel in build(variant):
            facts.append(of_kernel | dict(offset=offset, length=len(bytes_of_kernel)))
            code.append(bytes_of_kernel)
            offset += len(bytes_of_kernel)
            print(*(f"{key}={of_kernel[key]}" for key in ("function", "architecture", "format", "element", "head_size", "capped",
                                                          "registers", "shared_memory")), flush=True)
    write(facts, code)
    print(f"{len(facts)} kernels, {offset} bytes, {CODE.stat().st_size} compressed")


MATRIX_INSTRUCTIONS = {80: r"\bHMMA\.", 90: r"\bHGMMA\.", 100: r"\bUTC[A-Z]*MMA", 120: r"\bHMMA\."}


def check():
    facts, code = json.loads(FACTS.read_text()), lzma.decompress(CODE.read_bytes())
    again = "compile them anew: make gpu-kernels"
    assert facts["source_sha256"] == hashlib.sha256((HERE / "far_mass.py").read_bytes()).hexdigest(), f"the kernels are stale; {again}"
    assert facts["code_sha256"] == hashlib.sha256(code).hexdigest(), f"the code is not what the facts are of; {again}"
    kernels = facts["kernels"]
    of_kernel = lambda kernel: {key: kernel[key] for key in asdict(Variant("", 0))}
    machine_code = [kernel for kernel in kernels if kernel["format"] == "cubin"]
    assert [of_kernel(kernel) for kernel in machine_code] == [asdict(variant) for variant in variants()], f"other variants; {again}"
    for kernel in machine_code:
        text = run("nvdisasm", code[kernel["offset"] : kernel["offset"] + kernel["length"]], "--print-code")
        spills = re.findall(r"\b(?:STL|LDL)\b", text)
        assert not spills, f"{kernel}: {len(spills)} accesses to registers in memory"
        products = len(re.findall(MATRIX_INSTRUCTIONS[kernel["capability"]], text))
        assert bool(products) == (kernel["function"] == "far_mass"), f"{kernel}: {products} matrix instructions"
        limit = 101376 if kernel["capability"] in (80, 120) else 232448
        assert kernel["shared_memory"] <= limit, f"{kernel}: more shared memory than there is"
    if facts["triton"] == triton.__version__:
        sample = Variant(**of_kernel(machine_code[1]))
        made, stored = next(build(sample))[1], code[machine_code[1]["offset"] :][: machine_code[1]["length"]]
        assert made == stored, f"{sample} compiles to something else now; {again}"
    print(f"{len(kernels)} kernels for {', '.join(sorted({kernel['architecture'] for kernel in machine_code}))}: "
          f"current, matrix instructions in each, no register in memory")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="check what is there, and write nothing")
    check() if parser.parse_args().check else compile_all()
