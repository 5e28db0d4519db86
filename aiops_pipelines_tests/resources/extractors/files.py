"""Small real files of each binary format, made here."""

import io
import json

import docx as word


def make_pdf(*pages):
    """Write a PDF with a text layer, one line a page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + trailer.encode()


def make_docx():
    document = word.Document()
    document.add_heading("Travel", 0)
    document.add_heading("Trains", 1)
    document.add_paragraph("Book early.")
    document.add_paragraph("Second class", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ["From", "To", "Bern", "Basel"], strict=True
    ):
        cell.text = text
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def make_notebook():
    cells = [
        {"cell_type": "markdown", "source": ["# Fit\n", "\n", "A line."]},
        {"cell_type": "code", "source": "print(2)", "outputs": [{"output_type": "stream", "text": ["2\n"]}]},
        {
            "cell_type": "code",
            "source": "show()",
            "outputs": [{"data": {"image/png": "iVBOR", "text/plain": "x" * 301}}],
        },
        {
            "cell_type": "code",
            "source": "fail()",
            "outputs": [{"output_type": "error", "traceback": ["secret"]}],
        },
    ]
    about = {"language_info": {"name": "python"}}
    return json.dumps({"nbformat": 4, "metadata": about, "cells": cells}).encode()
