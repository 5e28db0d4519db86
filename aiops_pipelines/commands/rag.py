"""Commands about retrieval: the measures of any ranking."""

from pathlib import Path
from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands.look import Json

rag = typer.Typer(no_args_is_help=True, help="Measure rankings.")
CUTS = [5, 10]
NAMED = 20
"""Bad lines that are printed one by one."""

Qrels = Annotated[Path, typer.Option("--qrels", metavar="FILE", help="Judgements, as TREC writes them.")]
Run = Annotated[Path, typer.Option("--run", metavar="FILE", help="The ranking, as TREC writes it.")]
Cuts = Annotated[list[int], typer.Option("-k", min=1, metavar="K", help="Places to cut at; may be repeated.")]
Complete = Annotated[
    bool,
    typer.Option("--complete", help="Count judged queries without a ranking as 0, as trec_eval -c does."),
]


@rag.command("metrics")
def metrics(
    qrels: Qrels, run: Run, cuts: Cuts = CUTS, complete: Complete = False, as_json: Json = False
) -> None:
    """Print precision, recall, hit rate, MRR and nDCG of a TREC run, as trec_eval counts them.

    Exits with 1 when a line could not be read: the figures are of the others.
    """
    from aiops_pipelines.rag.run_report import run_report
    from aiops_pipelines.rag.trec_files import parse_qrels, parse_run

    ranked, bad_ranks = parse_run(_lines(run), run.name)
    truth, bad_truth = parse_qrels(_lines(qrels), qrels.name)
    bad = [*bad_truth, *bad_ranks]
    _complain(bad)
    try:
        report = run_report(ranked, truth, sorted(set(cuts)), complete)
    except ValueError as error:
        terminal.fail(str(error))
        raise typer.Exit(1) from error
    rows = list(report.means.iter_rows(named=True))
    if as_json:
        found = {
            "queries": report.queries,
            "metrics": {row["metric"]: row["mean"] for row in rows},
            "intervals": {row["metric"]: [row["low"], row["high"]] for row in rows},
            "trec_eval_names": {row["metric"]: row["trec_eval"] for row in rows},
        }
        left = {"not_ranked": report.not_ranked, "not_judged": report.not_judged, "bad_lines": bad}
        terminal.data(found | left)
    else:
        _print(rows)
        counted = "counted as 0" if complete else "left out"
        terminal.verbatim(
            f"Means over {report.queries} queries. Judged without a ranking: {len(report.not_ranked)} "
            f"({counted}). Ranked without a judgement: {len(report.not_judged)} (left out)."
        )
    if bad:
        raise typer.Exit(1)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8-sig", errors="replace").splitlines()


def _complain(bad: list[str]) -> None:
    from aiops_pipelines.wording import inert, some

    for sentence in bad[:NAMED]:
        terminal.fail(inert(sentence))
    if len(bad) > NAMED:
        terminal.fail(f"{some(len(bad) - NAMED, 'more line')} could not be read; --json lists every one.")


def _print(rows: list[dict[str, float]]) -> None:
    terminal.table(
        ("measure", "trec_eval", "mean", "95 % interval"),
        (
            (str(r["metric"]), str(r["trec_eval"]), f"{r['mean']:.4f}", f"{r['low']:.4f} to {r['high']:.4f}")
            for r in rows
        ),
    )
