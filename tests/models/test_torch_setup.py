"""What libraries say while they work goes to the log, and their own settings come back."""

import logging
import warnings

import pytest
from transformers.utils import logging as transformers_logging

from clworkbench.models.torch_setup import import_torch, quiet_transformers


def test_warnings_within_go_to_the_log_and_those_after_are_raised_again(caplog: pytest.LogCaptureFixture):
    before = transformers_logging.get_verbosity()
    with caplog.at_level(logging.DEBUG, "clworkbench.models.torch_setup"), quiet_transformers():
        warnings.warn("old name", FutureWarning, stacklevel=1)
        assert transformers_logging.get_verbosity() == logging.ERROR
        assert not transformers_logging.is_progress_bar_enabled()
    assert "FutureWarning: old name" in caplog.text
    assert transformers_logging.get_verbosity() == before
    with pytest.raises(FutureWarning):
        warnings.warn("old name", FutureWarning, stacklevel=1)


def test_threads_are_those_asked_for():
    torch = import_torch()
    before = torch.get_num_threads()
    try:
        assert import_torch(1).get_num_threads() == 1
        assert import_torch().get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
