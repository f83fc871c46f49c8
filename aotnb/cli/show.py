"""The text of ``aotnb inspect``. Imports reports and display; runs nothing of the image."""

from __future__ import annotations

from typing import Any

from aotnb.core.words import counted
from aotnb.display.render import text_table
from aotnb.image.contents import specializations
from aotnb.reports.differences import Side, diff_table
from aotnb.reports.explain import cure, sentence
from aotnb.reports.merges import merge_tables
from aotnb.reports.tables import Table

_ALL = 1_000_000


def image_text(image: dict[str, Any], *, explain: bool, functions: bool = False) -> str:
    """Return a description of an image for people; *functions* adds all that its code consists of."""
    entries = image["entries"]
    system = f"{image['os']} {image['machine']}".strip()
    how = "a shared library" if image["linked"] == "dlopen" else "objects that are placed at load"
    versions = f"Python {image['python']}, Numba {image['numba']}, llvmlite {image['llvmlite']}, NumPy {image['numpy']}"
    instances, units = counted(image["code_instances"], "code instance"), counted(image["units"], "unit")
    counts = f"{counted(len(entries), 'entry', 'entries')}, {instances}, {units}"
    lines = [
        f"{image['path']}: aotnb image {image['image_id']}, format {image['format']}, {image['size']} bytes",
        f"made by {image['created_by']}, {'trusted' if image['trusted'] else 'not trusted'}",
        f"for {image['target']}, {versions}, {system}; as {how}",
        "parts: " + ", ".join(f"{name} {size}" for name, size in image["sections"].items()),
        f"{counts}, {len(image['dropped'])} left out",
        "",
        text_table(_entries(entries), limit=_ALL, width=60),
    ]
    if functions:
        lines += ["", *_code(image, image["targets"])]
    for record in image["journal"]:
        held = f"{counted(len(record['entries']), 'entry', 'entries')}, {record['size']} bytes"
        lines += [
            "",
            f"record {record['image_id']} of its journal: {held}",
            "",
            text_table(_entries(record["entries"]), limit=_ALL, width=60),
        ]
        if functions:
            lines += ["", *_code(record, record["targets"])]
    if explain:
        lines += ["", *_explain(entries, image["dropped"])]
    elif image["dropped"]:
        lines += ["", "aotnb inspect --explain says what was left out and why"]
    return "\n".join(lines)


def merge_text(a: str, b: str) -> str:
    """Return what loading two images makes of their roots, and what each way of storing them would cost."""
    rows, costs = merge_tables((a, b))
    return f"{text_table(costs, limit=_ALL)}\n\n{text_table(rows, limit=_ALL, width=40)}"


def diff_text(a: str, b: str) -> str:
    """Return in what two images differ."""
    table = diff_table(Side(a, specializations(a)), Side(b, specializations(b)))
    shown = [[row[place] for place in range(7)] for row in table.rows if row[0] != "same"]
    if not shown:
        return "the same entries"
    return text_table(Table(table.columns[:7], [tuple(row) for row in shown]), limit=_ALL, width=60)


def _code(image: dict[str, Any], targets: list[dict[str, Any]]) -> list[str]:
    """Return each function of an image for each CPU, the sum for each CPU, and each slot."""
    columns = ("function", "module", "signature", "role", "slot", "unit", "target", "weight", "bytes")
    labels = [target["label"] for target in targets]
    rows = [tuple({**row, "target": labels[row["target"]]}[name] for name in columns) for row in image["functions"]]
    lines = [text_table(Table(columns, rows), limit=_ALL, width=60), ""]
    for number, label in enumerate(labels):
        own = [row for row in image["functions"] if row["target"] == number]
        weight, size = sum(row["weight"] for row in own), sum(row["bytes"] for row in own)
        lines.append(f"{label}: {len(own)} functions, weight {weight}, {size} bytes")
    slots = [(row["slot"], row["kind"], row["name"]) for row in image["slots"]]
    return [*lines, "", text_table(Table(("slot", "kind", "name"), slots), limit=_ALL, width=100)]


def _entries(entries: list[dict[str, Any]]) -> Table:
    columns = ("function", "module", "signature", "kind", "roots", "edges", "callees")
    rows = [
        (e["function"], e["module"], e["signature"], e["kind"], e["roots"], len(e["edges"]), e.get("callees", ""))
        for e in entries
    ]
    return Table(columns, rows)


def _explain(entries: list[dict[str, Any]], dropped: list[dict[str, str]]) -> list[str]:
    lines = []
    for entry in entries:
        lines.append(f"{entry['module']}.{entry['function']}{entry['signature']}")
        lines.append(
            f"  is used while its definition has the digest {entry['method_digest']}" + (" and" if entry["edges"] else "")
        )
        lines += [f"    {_edge(edge)}" for edge in entry["edges"]]
    if dropped:
        lines += ["", "left out:"]
    for item in dropped:
        reason, detail = item.get("reason", ""), item.get("detail", "")
        lines.append(f"{item.get('module', '')}.{item.get('function', '')}{item.get('signature', '')}: {reason}")
        lines.append(f"  {sentence(reason, detail)} {cure(reason)}")
    return lines


_EDGE = {
    "global": "the global {name} of {where} is {summary}",
    "free": "the closure variable {name} is {summary}",
    "attribute": "{where}.{name} is {summary}",
    "overload": "the overload of {name} is {summary}",
    "overload_set": "no overload of {name} that counts has come or gone",
    "same": "{name} are {summary}",
    "version": "{name} is installed in the same version",
}


def _edge(edge: dict[str, str]) -> str:
    text = _EDGE.get(edge["kind"], "{kind} {name} of {where} is {summary}")
    where = "its module" if edge["where"] == "own" else edge["where"]
    return text.format(kind=edge["kind"], name=edge.get("name", ""), where=where, summary=edge["summary"])
