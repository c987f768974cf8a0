"""The Triton kernels compile for a GPU, which the interpreter does not show. The compiler needs no device."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

# Not an import: that would settle for the kernels' other tests whether they are interpreted.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is for Linux")

COMPILE = """
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from mt_ls.calibration import bin_kernel, temperature_kernel
    from mt_ls.smoothing import row_kernel

    def build(kernel, types, constants, warps):
        signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        built = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
        assert len(built.asm["cubin"]) > 1000

    row = {"stride": "i32", "target_ptr": "*i64", "prior_ptr": "*fp32", "statistics_ptr": "*fp32", "hit_ptr": "*i1"}
    row |= {"statistics_stride": "i32", "alpha": "fp32", "ignored": "i64"}
    for dtype, classes, prior, scale in (
        ("bf16", 32_001, row_kernel.UNIFORM, 1),
        ("fp16", 8_000, row_kernel.GIVEN, 2**14),
        ("fp32", 256_000, row_kernel.NO_PRIOR, 0),
    ):
        block, warps = row_kernel.launch_shape(classes)
        constants = {"CLASSES": classes, "PRIOR": prior, "SCALE": scale, "BLOCK": block}
        build(row_kernel._row, {"logits_ptr": f"*{dtype}", **row}, constants, warps)
    bins = {"confidence_ptr": "*fp32", "hit_ptr": "*i1", "where_ptr": "*i1", "sums_ptr": "*fp64", "n": "i32"}
    build(bin_kernel._sums, bins, {"N_BINS": 15, "ALL": False, "BINS": 16, "BLOCK": 1024}, 8)
    grid = {"logits_ptr": "*bf16", "target_ptr": "*i64", "inverse_ptr": "*fp32", "columns_ptr": "*fp32", "n": "i32"}
    constants = {"CLASSES": 8_000, "COUNT": 10, "TEMPERATURES": 16, "BLOCK": 1024}
    build(temperature_kernel._row, {**grid, "hit_ptr": "*i1"}, constants, 8)
"""


def test_every_kernel_compiles(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)  # nothing built before counts
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COMPILE)], env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-2000:]
