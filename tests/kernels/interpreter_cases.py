"""The Triton kernels in Triton's interpreter; run by `test_interpreter` in a process with TRITON_INTERPRET=1."""

import pytest
import torch
from agreement import EveryOperation
from cases import Case
from pagedviz_kernels import triton_ops


@pytest.fixture
def backend():
    return triton_ops


@pytest.fixture
def dtypes():
    return (torch.float32,)


class TestTriton(EveryOperation):
    pass


def test_bfloat16_is_refused_because_the_interpreter_computes_it_wrongly():
    case = Case((5,), dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="interpreter computes bfloat16 wrongly"):
        case.decode(triton_ops)
