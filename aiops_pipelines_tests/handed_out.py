"""The program that auditors get, loaded as a module: nothing imports it where it lies."""

import importlib.util

from aiops_pipelines.resources.auditor import TEMPLATES

spec = importlib.util.spec_from_file_location("verify", TEMPLATES / "verify.py")
assert spec and spec.loader
verifier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verifier)
