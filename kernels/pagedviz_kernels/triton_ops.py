"""The Triton backend: the launchers of its kernels, and swaps. Needs triton, and a GPU to be useful.

On a CPU the same kernels run in Triton's interpreter, slowly, if TRITON_INTERPRET=1 is in the environment
before this module is imported (Triton reads it when it decorates a kernel).
"""

from pagedviz_kernels.block_copy import copy_blocks
from pagedviz_kernels.kv_write import write_kv
from pagedviz_kernels.paged_decode import decode
from pagedviz_kernels.paged_prefill import prefill
from pagedviz_kernels.reference import swap_blocks

__all__ = ["copy_blocks", "decode", "prefill", "swap_blocks", "write_kv"]
