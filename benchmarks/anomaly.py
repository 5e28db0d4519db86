"""Alarms on labelled series: ours, a rolling 4-sigma rule and two peers, by the same count, in one run.

A window is hit when any point of it is alarmed. Alarms outside all windows are false; they are counted as
episodes (more than 288 points apart, a day of most series), as episodes of an hour (12 points) and as points:
a detector that never stops has few episodes. The first half of the series, by the hash of their names, chose
our constants; the second did not.

    python benchmarks/anomaly.py FOLDER

FOLDER holds nab.parquet (series, timestamp, value) and nab_labels.json, the Numenta Anomaly Benchmark as
published. The peers' settings are their own defaults for such series; nothing is tuned by series.
"""

import hashlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from aiops_pipelines.costs.unusual import judge

DAY_SECONDS, DAY_POINTS, HOUR_POINTS = 86_400, 288, 12


def ours(times, values, per_day):
    """The detector of costs.spend_anomalies, in both directions."""
    return np.nan_to_num(np.abs(judge(values, per_day).score), nan=0.0, posinf=1e9) > 1


def four_sigma(times, values, per_day):
    """More than four standard deviations from the mean of the 288 points before."""
    series = pl.Series(values)
    mean = series.rolling_mean(DAY_POINTS, min_samples=2).shift(1)
    deviation = series.rolling_std(DAY_POINTS, min_samples=2).shift(1)
    return ((series - mean).abs() > 4 * deviation).fill_null(False).to_numpy()


def stl_residual(times, values, per_day):
    """statsmodels: STL of a daily season, residual beyond 4 robust sigmas; it sees the whole series."""
    from statsmodels.tsa.seasonal import STL

    rest = STL(values, period=per_day, robust=False).fit().resid
    return np.abs(rest) > 4 * max(1.4826 * float(np.median(np.abs(rest))), 1e-9)


def stl_robust(times, values, per_day):
    """The same with robust weights, which outliers do not bend."""
    from statsmodels.tsa.seasonal import STL

    rest = STL(values, period=per_day, robust=True).fit().resid
    return np.abs(rest) > 4 * max(1.4826 * float(np.median(np.abs(rest))), 1e-9)


def river_trees(times, values, per_day):
    """river: half-space trees on the scaled value, alarmed above the 99.5 % quantile of the scores so far."""
    from river import anomaly, preprocessing, stats

    scaler, limit = preprocessing.MinMaxScaler(), stats.Quantile(0.995)
    trees = anomaly.HalfSpaceTrees(seed=1, window_size=per_day)
    alarms = np.zeros(len(values), dtype=bool)
    for n, value in enumerate(values):
        scaler.learn_one({"x": float(value)})
        x = scaler.transform_one({"x": float(value)})
        score = trees.score_one(x)
        alarms[n] = n > per_day and score > limit.get()
        limit.update(score)
        trees.learn_one(x)
    return alarms


DETECTORS = (ours, four_sigma, stl_residual, stl_robust, river_trees)


def episodes(points, apart):
    """Count runs of points that are no further apart."""
    return 1 + int((np.diff(points) > apart).sum()) if len(points) else 0


def counted(alarms, times, windows):
    """Return windows hit and false alarms: episodes of a day, of an hour, and points."""
    inside, hit = np.zeros(len(times), dtype=bool), 0
    for start, end in windows:
        window = (times >= np.datetime64(start)) & (times <= np.datetime64(end))
        inside |= window
        hit += bool((alarms & window).any())
    false = np.flatnonzero(alarms & ~inside)
    return np.array([hit, episodes(false, DAY_POINTS), episodes(false, HOUR_POINTS), len(false)])


def measure(detector: Callable, series, labels):
    """Return the counts by half, and CPU seconds."""
    halves, begun = np.zeros((2, 4), dtype=int), time.process_time()
    for name, (times, values) in series.items():
        step = np.median(np.diff(times).astype("timedelta64[s]").astype(int))
        alarms = detector(times, values, round(DAY_SECONDS / step))
        half = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2
        halves[half] += counted(alarms, times, labels[name]["windows"])
    return halves, time.process_time() - begun


def main() -> None:
    """Run every detector that is installed and print the counts beside each other."""
    folder = Path(sys.argv[1])
    labels = json.loads((folder / "nab_labels.json").read_text())
    frame = pl.read_parquet(folder / "nab.parquet")
    series = {
        name[0]: (rows["timestamp"].to_numpy(), rows["value"].cast(pl.Float64).to_numpy())
        for name, rows in frame.group_by(["series"], maintain_order=True)
    }
    windows = sum(len(label["windows"]) for name, label in labels.items() if name in series)
    print(f"{len(series)} series, {frame.height:,} points, {windows} windows; both halves as first + second.")
    heads = ("hit", "false days", "false hours", "false points")
    print(f"{'detector':<13}" + "".join(f"{head:>20}" for head in heads) + "   CPU s")
    for detector in DETECTORS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                halves, seconds = measure(detector, series, labels)
            except ImportError as missing:
                print(f"{detector.__name__:<13} not installed: {missing.name}")
                continue
        cells = [f"{a} + {b} = {a + b}" for a, b in halves.T]
        print(f"{detector.__name__:<13}" + "".join(f"{cell:>20}" for cell in cells) + f"{seconds:>8.1f}")


if __name__ == "__main__":
    main()
