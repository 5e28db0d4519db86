"""Commands about retrieval: rag metrics, and those of `chunking` and `queries`."""

from pathlib import Path
from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands.chunking import chunk_sweep
from aiops_pipelines.commands.look import Json
from aiops_pipelines.commands.queries import draft_queries, retire_queries, sign_off_queries

rag = typer.Typer(
    no_args_is_help=True, help="Measure rankings, try ways of cutting documents, draft known queries."
)
rag.command("chunk-sweep")(chunk_sweep)
rag.command("draft-queries")(draft_queries)
rag.command("sign-off-queries")(sign_off_queries)
rag.command("retire-queries")(retire_queries)


@rag.command("metrics")
def metrics(
    qrels: Annotated[
        Path,
        typer.Option("--qrels", metavar="F", help="TREC judgements: query 0 document grade.", dir_okay=False),
    ],
    run: Annotated[
        Path,
        typer.Option(
            "--run", metavar="F", help="TREC run: query Q0 document rank score tag.", dir_okay=False
        ),
    ],
    cuts: Annotated[
        list[int] | None, typer.Option("-k", min=1, help="Length of the ranking; may be repeated [5, 10].")
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Count judged queries without a ranking as 0.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print precision, recall, hit rate, nDCG and MRR as trec_eval defines them, with 95 % intervals."""
    from aiops_pipelines.rag import trec

    truth, ranking = trec.qrels(qrels.name, qrels.read_bytes()), trec.run(run.name, run.read_bytes())
    found = trec.measured(truth, ranking, cuts or trec.CUTS, complete)
    if found.scores.is_empty():
        raise trec.TrecFileError(
            f"{run.name} ranks no query that {qrels.name} judges, so there is nothing to measure; ids of "
            "queries are compared letter for letter."
        )
    means = found.means()
    queries = found.scores.height
    if as_json:
        terminal.data(
            {
                "queries": queries,
                "metrics": {name: mean for name, (mean, _, _) in means.items()},
                "intervals": {name: [low, high] for name, (_, low, high) in means.items()},
                "judged_without_ranking": list(found.unranked),
                "ranked_without_judgement": list(found.unjudged),
            }
        )
        return
    rows = ((name, f"{mean:.4f}", f"{low:.4f} to {high:.4f}") for name, (mean, low, high) in means.items())
    terminal.table(("metric", "mean", "95 % interval"), rows)
    terminal.verbatim(f"{queries} queries.")
    for left_out, what in ((found.unranked, "judged but not ranked"), (found.unjudged, "ranked, not judged")):
        if left_out:
            terminal.verbatim(f"{len(left_out)} {what}, left out: {', '.join(left_out[:5])}.")
