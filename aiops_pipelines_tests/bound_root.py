"""Permissions that bind the user of the tests, who may be root and pass them all."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiops_pipelines.project import ROOT

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
RUN = "from aiops_pipelines.cli import app; app()"


def _bound() -> None:
    """Take from the process that is about to start what lets root pass permissions: capabilities(7)."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        if prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) or prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH):
            raise OSError(ctypes.get_errno(), "root cannot be bound here")


def python(code: str, *arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process that permissions bind."""
    try:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
            cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, preexec_fn=_bound,
        )  # fmt: skip
    except subprocess.SubprocessError:
        pytest.skip("root passes every permission here, and cannot be kept from it")


def aiops(data: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process that permissions bind."""
    return python(RUN, *arguments, AIOPS_DATA=str(data))
