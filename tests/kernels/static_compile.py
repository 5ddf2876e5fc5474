"""Compile every Triton kernel for GPUs that are not here, and report what the assembler says of each.

Run as a program it prints one JSON object per compiled kernel (`--table`: one line for people). The list of
configurations comes from the functions that the launchers use. Knows nothing about pytest; `test_compile` reads it.
"""

import argparse
import contextlib
import io
import itertools
import json
import multiprocessing
import re
import sys
import tempfile
import warnings

import torch
import triton
from pagedviz_kernels import block_copy, kv_write, paged_decode, paged_prefill, tiles
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

PYTHONS_OWN = r"(?s).*Python 3\.\d+"
# Under a new Python an old Triton is told by Python that it will not run under a later one; that is not our fault.
# What Triton says of a kernel, and what our own code is told, stays an error.
warnings.filterwarnings("ignore", PYTHONS_OWN, DeprecationWarning, module=r"triton\.")

TARGETS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "gfx942": ("hip", "gfx942", 64)}
HEAD_DIMS = (64, 80, 96, 128, 256)
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
FLOAT32_POINTERS = {"Partial", "Stats"}
INT32_POINTERS = {"Tables", "Lens", "Starts"}
INT64_POINTERS = {"Slots", "Pairs"}
FLOATS = {"scale", "softcap"}


def configurations(dtypes, head_dims):
    """(kernel name, dtype name, constexprs and options). The group and the block size are no constexprs."""
    for dtype, head_dim in itertools.product(dtypes, head_dims):
        itemsize, padded = DTYPES[dtype].itemsize, tiles.next_power_of_2(head_dim)
        for softcap in (False, True):
            yield "decode", dtype, tiles.decode_tiles(head_dim, itemsize).as_kwargs() | {"SOFTCAP": softcap}
            yield "prefill", dtype, tiles.prefill_tiles(head_dim, itemsize).as_kwargs() | {"SOFTCAP": softcap}
        dims = {"HEAD_DIM": head_dim, "HEAD_DIM_PADDED": padded}
        yield "merge", dtype, dims | {"SPLIT_TILE": paged_decode.SPLIT_TILE, "num_warps": 4}
        rows = block_copy.ROWS
        yield "copy", dtype, dims | {"ROWS": rows, "num_warps": tiles.copy_warps(rows * padded)}
        for heads in (1, 3, 8):
            heads_padded = tiles.next_power_of_2(heads)
            warps = tiles.copy_warps(heads_padded * padded)
            yield "write", dtype, dims | {"HEADS": heads, "HEADS_PADDED": heads_padded, "num_warps": warps}


KERNELS = {
    "decode": paged_decode.decode_kernel,
    "merge": paged_decode.merge_kernel,
    "prefill": paged_prefill.prefill_kernel,
    "write": kv_write.write_kernel,
    "copy": block_copy.copy_kernel,
}


def source(kernel: str, dtype: str, chosen: dict) -> ASTSource:
    """The arguments as a launch would specialise them: pointers and strides are multiples of 16."""
    function = KERNELS[kernel]
    signature, attrs, constexprs = {}, {}, {}
    for i, param in enumerate(function.params):
        name = param.name
        if param.is_constexpr:
            signature[name], constexprs[name] = "constexpr", chosen[name]
        elif name in FLOATS:
            signature[name] = "fp32"
        elif name[0].isupper():
            pointee = "fp32" if name in FLOAT32_POINTERS else "i32" if name in INT32_POINTERS else dtype
            signature[name] = "*" + ("i64" if name in INT64_POINTERS else pointee)
            attrs[(i,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
            if not param.do_not_specialize:
                attrs[(i,)] = [["tt.divisibility", 16]]
    return ASTSource(function, signature, constexprs, attrs)


def compile_one(case: tuple[str, str, str, dict]) -> dict:
    """Compile for one target; registers, spills, shared memory and wide loads, from the assembly."""
    target, kernel, dtype, chosen = case
    options = {name: chosen[name] for name in ("num_warps", "num_stages") if name in chosen} | tiles.OPTIONS
    log = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(log), triton.knobs.cache.scope():
        triton.knobs.cache.dir = folder  # a kernel from the cache would come without the assembler's log
        triton.knobs.nvidia.dump_ptxas_log = True
        compiled = triton.compile(
            source(kernel, dtype, chosen), target=GPUTarget(*TARGETS[target]), options=options
        )
    report = {
        "target": target,
        "kernel": kernel,
        "dtype": dtype,
        **chosen,
        "shared": compiled.metadata.shared,
    }
    if target == "gfx942":
        assembly = compiled.asm["amdgcn"]
        return report | {
            "registers": int(re.search(r"\.vgpr_count:\s+(\d+)", assembly)[1]),
            "spills": int(re.search(r"\.vgpr_spill_count:\s+(\d+)", assembly)[1]),
            "mma": assembly.count("v_mfma"),
            "load_16": len(re.findall(r"(?:global|buffer)_load_dwordx4", assembly)),
        }
    ptx, ptxas = compiled.asm["ptx"], log.getvalue()  # Triton runs ptxas -v
    return report | {
        "registers": int(re.search(r"Used (\d+) registers", ptxas)[1]),
        "spills": sum(map(int, re.findall(r"(\d+) bytes spill (?:stores|loads)", ptxas))),
        "mma": ptx.count("mma.sync") + ptx.count("wgmma.mma_async"),
        "load_16": len(re.findall(r"ld\.global\S*\.v4\.b32", ptx)),
        "cp_async_16": len(re.findall(r"cp\.async\.c[ag]\.shared\.global [^;]*, 0x10,", ptx)),
    }


def main() -> None:
    """Print the reports of all targets that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--kernels", nargs="*", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--dtypes", nargs="*", default=["fp16", "bf16"], choices=list(DTYPES))
    parser.add_argument("--head-dims", nargs="*", type=int, default=list(HEAD_DIMS))
    args = parser.parse_args()
    wanted = [case for case in configurations(args.dtypes, args.head_dims) if case[0] in args.kernels]
    cases = [(target, *case) for target in args.targets for case in wanted]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for report in pool.imap(compile_one, cases):
            if args.table:
                sys.stdout.write(" ".join(f"{key}={value}" for key, value in report.items()) + "\n")
            else:
                sys.stdout.write(json.dumps(report) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
