"""The plain-torch specification against dense attention in float64."""

import pytest
import torch
from agreement import EveryOperation
from pagedviz_kernels import reference


@pytest.fixture
def backend():
    return reference


@pytest.fixture
def dtypes():
    return torch.float32, torch.float16, torch.bfloat16


class TestReference(EveryOperation):
    pass
