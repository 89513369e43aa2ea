"""What a run sets in its process and the caller did not ask for: put back when it ends."""

import contextlib
import os
import random
from collections.abc import Iterator, Mapping

import numpy as np

from clworkbench.models.torch_setup import import_torch


@contextlib.contextmanager
def own_chance() -> Iterator[None]:
    """Within it, training seeds torch, numpy and Python; what a notebook draws afterwards is as if it had not."""
    torch = import_torch()
    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)


@contextlib.contextmanager
def environment_variables(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Within it, these are set; those that are None are not."""
    before = {name: os.environ.get(name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
