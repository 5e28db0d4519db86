"""A class or function by its dotted name, as a system's file gives it."""

import importlib
from typing import Any

from aiops_pipelines.mendable import Mendable


class DottedNameError(Mendable, ValueError):
    """Nothing has this name; the message says what to install or change."""


def named(dotted: str) -> Any:
    """Return what a dotted name such as `package.module.Class` or `package.module.Class.method` stands for.

    Raises:
        DottedNameError: no such module is installed, or it holds no such name.
    """
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and not module.startswith(error.name):
                raise DottedNameError(f"{dotted} needs the package {error.name}; install it.") from error
            continue
        for name in parts[cut:]:
            found = getattr(found, name, None)
        if found is None:
            raise DottedNameError(f"{module} holds no {'.'.join(parts[cut:])}; correct {dotted}.")
        return found
    raise DottedNameError(f"{dotted} cannot be imported; install the package of {parts[0]}.")
