"""The tables of reStructuredText as rows of cells: grid, simple, list-table and csv-table."""

import csv
import re

GRID = re.compile(r"\+(?:[-=]+\+)+\s*$")
SIMPLE = re.compile(r"=+(?: +=+)+\s*$")


def grid(lines: list[str]) -> list[list[str]]:
    """Return the rows of a grid table; a cell over several columns is one cell."""
    rows: list[list[str]] = []
    cells: list[list[str]] = []
    for line in lines:
        if re.match(r"\s*\+[-=+]", line):
            rows.append([" ".join(" ".join(cell).split()) for cell in cells])
            cells = []
        else:
            parts = line.strip().strip("|").split("|")
            cells = cells if len(cells) == len(parts) else [*cells, *([] for _ in parts[len(cells) :])]
            for cell, part in zip(cells, parts, strict=False):
                cell.append(part)
    return [row for row in rows if any(row)]


def simple(lines: list[str]) -> list[list[str]]:
    """Return the rows of a simple table; a row whose first cell is empty continues the one above."""
    edges = [(found.start(), found.end()) for found in re.finditer("=+", lines[0])]
    rows: list[list[str]] = []
    for line in lines[1:]:
        if not line.strip() or re.fullmatch(r"[=\- ]+", line.strip()):
            continue
        ends = [start for start, _ in edges[1:]] + [len(line)]
        cells = [line[start:end].strip() for (start, _), end in zip(edges, ends, strict=True)]
        if rows and not cells[0]:
            rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return rows


def listed(lines: list[str]) -> list[list[str]]:
    """Return the rows of a list-table: a list of rows, each a list of cells."""
    rows: list[list[list[str]]] = []
    for line in lines:
        if found := re.match(r"[*-] +[*-](?: +(.*))?$", line):
            rows.append([[found[1] or ""]])
        elif (
            rows
            and (found := re.match(r" {2,}[*-](?: +(.*))?$", line))
            and len(line) - len(line.lstrip()) < 5
        ):
            rows[-1].append([found[1] or ""])
        elif rows:
            rows[-1][-1].append(line)
    return [[" ".join(" ".join(cell).split()) for cell in row] for row in rows]


def separated(lines: list[str]) -> list[list[str]]:
    """Return the rows of a csv-table."""
    return [[" ".join(cell.split()) for cell in row] for row in csv.reader(lines, skipinitialspace=True)]
