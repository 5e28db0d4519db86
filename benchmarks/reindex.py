"""Re-indexing two releases of a documentation: ours, bare scripts, LlamaIndex, LangChain and CocoIndex.

Each builds the first release, looks again with nothing changed, then takes the second release, in a process
of its own. The embedder is a stub, the same for all and not counted: CPU seconds are the pipeline's own, with
those of processes it started. `new` are the distinct texts of the second release that the first did not
have, by each pipeline's own splitter; `embedded / new` is 1 for a pipeline that embeds nothing twice. `moved`
are the texts embedded after every document got another name and nothing else.

    python benchmarks/reindex.py FIRST SECOND [--times 4] [--leave-out LlamaIndex]

FIRST and SECOND are folders of Markdown or reStructuredText files; `--times` puts so many copies of them side
by side, each in other words. The peers are in benchmarks/requirements.txt; one that is not installed is left
out and named.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reindex_peers import CocoIndex, LangChain, LangChainStored, LlamaIndex
from reindex_pipelines import Bare, Ours, Stored, Stub, files_of

PIPELINES = {
    "bare script": Bare,
    "bare, in DuckDB": Stored,
    "ours": Ours,
    "CocoIndex": CocoIndex,
    "LangChain, stored": LangChainStored,
    "LangChain, in memory": LangChain,
    "LlamaIndex": LlamaIndex,
}
_WORD = re.compile(r"\b[a-z]{6,}\b")


def worded(text, copy):
    """Return a text in other words of the same length, the same for the same copy; 0 is the text itself."""
    mark = chr(97 + copy // 26) + chr(97 + copy % 26)
    lines = text.split("\n")
    return "\n".join(
        line
        if not copy or "::" in line or line.lstrip()[:1] in (".", ":")
        else _WORD.sub(lambda word: word[0][:-2] + mark, line)
        for line in lines
    )


def laid_out(release, folder, times):
    """Make a folder hold copies of a release; a file that stays as it is keeps its time."""
    wanted = {
        f"copy{copy}/{path.relative_to(release)}": worded(path.read_text(), copy)
        for path in files_of(release)
        for copy in range(times)
    }
    for path in files_of(folder):
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def children():
    """Return CPU seconds and peak MB of the processes this one has started and that still run."""
    cpu, peak = 0.0, 0.0
    for listed in Path("/proc/self/task").glob("*/children"):
        for child in listed.read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
            cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            status = Path(f"/proc/{child}/status").read_text()
            peak += int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    return cpu, peak


def measured(name, first, second, times):
    """Run one pipeline in this process; print CPU seconds and texts embedded by step, as JSON."""
    home = Path(tempfile.mkdtemp(prefix="reindex-"))
    folder, stub = home / "corpus", Stub()
    folder.mkdir()
    laid_out(first, folder, times)
    time.sleep(2.5)  # a file changed a moment ago is looked at twice
    pipeline, steps, seen = PIPELINES[name](home, stub), [], set()
    for step in ("build", "again", "next", "moved"):
        if step == "next":
            laid_out(second, folder, times)
            time.sleep(2.5)
        if step == "moved":
            (folder / "copy0").rename(folder / "another")
        stub.texts, stub.seconds = [], 0.0
        begun, before = time.process_time(), children()[0]
        pipeline.update(folder)
        cpu = time.process_time() - begun - stub.seconds + children()[0] - before
        firsts = set(stub.texts) - seen
        seen |= firsts
        steps.append({"step": step, "cpu": cpu, "embedded": len(stub.texts), "new": len(firsts)})
    disk = sum(p.stat().st_size for p in home.rglob("*") if p.is_file() and folder not in p.parents)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + children()[1]
    print(json.dumps({"steps": steps, "disk_mb": disk / 1e6, "peak_mb": peak}), flush=True)
    shutil.rmtree(home)
    os._exit(0)  # peers' threads must not keep the process


def runs_of(name, given):
    """Return what each of several runs of a pipeline measured; nothing, and why, where it does not run."""
    command = [sys.executable, __file__, str(given.first), str(given.second)]
    command += ["--times", str(given.times), "--only", name]
    runs = []
    for _ in range(given.repeats):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
        if done.returncode:
            print(f"{name:20} not run: {(done.stderr.strip().splitlines() or ['killed'])[-1]}")
            return []
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return runs


def main():
    """Run every pipeline some times and print the least CPU of each step, and ratios to the bare script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--leave-out", nargs="*", default=[])
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        return measured(given.only, given.first, given.second, given.times)
    files = [given.times * len(files_of(release)) for release in (given.first, given.second)]
    print(f"{files[0]} and {files[1]} documents; CPU seconds without the embedder, best of {given.repeats}")
    heads = ("build", "again", "next", "build, x bare", "next, x bare", "embedded / new", "moved", "disk MB")
    print(f"{'':20}" + "".join(f" {head:>{max(8, len(head) + 2)}}" for head in (*heads, "peak MB")))
    bare = None
    for name in PIPELINES:
        if name in given.leave_out or not (runs := runs_of(name, given)):
            continue
        cpu = [min(run["steps"][n]["cpu"] for run in runs) for n in range(3)]
        bare = bare or cpu
        following, moved = runs[-1]["steps"][2:]
        ratio = f"{following['embedded']:,} / {following['new']:,}"
        print(
            f"{name:20} {cpu[0]:8.2f} {cpu[1]:8.3f} {cpu[2]:8.2f} {cpu[0] / bare[0]:15.2f} "
            f"{cpu[2] / bare[2]:14.2f} {ratio:>16} {moved['embedded']:8,} {runs[-1]['disk_mb']:9.1f} "
            f"{max(run['peak_mb'] for run in runs):9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
