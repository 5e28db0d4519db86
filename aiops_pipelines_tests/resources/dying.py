"""A process that is killed at a chosen moment of its work."""

import os
import signal
from typing import Any


def dies_in(where: Any, name: str, after: int) -> None:
    """Kill this process, with no chance to clean up, when a function is called once more than `after` times."""
    calls, original = [0], getattr(where, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(where, name, dying)
