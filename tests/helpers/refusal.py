"""The messages of errors."""

from collections.abc import Callable

import pytest

from genreplay.common.errors import UserError


def refusal(call: Callable[[], object], error: type[Exception] = UserError) -> str:
    """The message of the error that `call` raises."""
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)
