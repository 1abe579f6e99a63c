"""What holds for every test."""

import pytest
import torch

# Simulators, ranks and tests share few cores, and sums keep their order.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, so that no worker begins a long one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
