"""Pieces of the HTML report: escaped text, tables, facts.

Whatever comes from outside goes through `text`: nothing in a key can be markup, act, or turn the
line around.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from stocktake.reconcile._shown import visible


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        html: Its content, escaped already.
        kind: Class: `n` for numbers, `key`, `why`, `said`, `kind`, or empty.
    """

    html: str
    kind: str = ""


def text(value: object) -> str:
    """Any value as HTML text."""
    return escape(visible(str(value)), quote=True)


def words(value: object) -> Cell:
    """A cell of a word or two of ours, kept on one line."""
    return Cell(text(value), "kind")


def said(value: object) -> Cell:
    """A cell of text from anywhere."""
    return Cell(text(value), "said")


def number(value: object) -> Cell:
    """A cell of a number that was made for people."""
    return Cell(text(value), "n")


def key(value: str) -> Cell:
    """A cell of a key or prefix, kept apart from the direction of the text around it."""
    return Cell(f"<bdi>{text(value)}</bdi>", "key")


def tag(value: str) -> Cell:
    """A cell of a severity or verdict."""
    return Cell(f'<span class="tag {text(value.lower())}">{text(value)}</span>')


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Sequence[int] = ()
) -> str:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        caption: What it shows; from us.
        head: Titles of the columns; from us.
        rows: Cells.
        numbers: Indexes of columns whose title stands right.
    """
    titles = "".join(
        f'<th scope="col"{" class=n" if index in numbers else ""}>{text(title)}</th>'
        for index, title in enumerate(head)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{text(caption)}" tabindex="0"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{titles}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    kind = f' class="{cell.kind}"' if cell.kind else ""
    return f"<td{kind}>{cell.html}</td>"


def facts(rows: Iterable[tuple[str, Sequence[str]]], head: Sequence[str], caption: str) -> str:
    """A table whose rows have a name: one column per thing that is described."""
    titles = "".join(f'<th scope="col">{text(title)}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{text(name)}</th>'
        + "".join(f'<td class="said">{text(value)}</td>' for value in values)
        + "</tr>"
        for name, values in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{text(caption)}" tabindex="0"><table>'
        f"<caption>{text(caption)}</caption><thead><tr><td></td>{titles}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
