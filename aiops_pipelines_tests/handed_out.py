"""What the program that auditors get computes with, loaded as a module: nothing imports it where it lies."""

import importlib.util

from aiops_pipelines.resources.auditor import TEMPLATES

spec = importlib.util.spec_from_file_location("tlog", TEMPLATES / "tlog.py")
assert spec and spec.loader
verifier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verifier)
