"""The roots of this process as tables. Imports the session and the image layer."""

from __future__ import annotations

from aotnb import session
from aotnb.core.digest import canonical
from aotnb.core.records import Root
from aotnb.core.roots import UNKNOWN, RootReference, RootsTable
from aotnb.core.text import Use, root_kind, root_text
from aotnb.errors import AotError
from aotnb.image.contents import root_uses
from aotnb.image.model import method_name
from aotnb.reports.tables import Table

ROOT_COLUMNS = (
    "method", "key", "index", "owner", "kind", "value", "bytes", "added_by", "users", "used_by", "position",
)  # fmt: skip
GROWTH_COLUMNS = ("compilation", "function", "method", "total_roots", "new_roots", "shared_roots", "duplicate_roots")


def live_roots(func: str | None = None) -> list[Root]:
    """Return the roots of this process, method by method; *func* is a name or its end, such as "f" or "lib.f"."""
    own = session.roots()
    uses: dict[tuple[str, RootReference], list[Use]] = {}
    owners = {own.key: "this session", UNKNOWN: "unknown origin: not saved"}
    for image in session.loaded():
        owners[image.reader.image_id] = image.report.path
        for (method, index), found in root_uses(image.reader).items():
            uses[method, RootReference(image.reader.image_id, index)] = list(found)
    for place, found in own.uses(session.recorded()).items():
        uses.setdefault(place, []).extend(found)
    methods = [method for method in own.registry.methods() if func is None or _is_named(method, func)]
    if func is not None and not methods:
        raise AotError(f"no compiled function of this process is named {func!r}; without a name you get the roots of all")
    return [row for method in methods for row in _rows(method, own.registry.table(method), uses, owners)]


def _is_named(method: str, func: str) -> bool:
    name = method_name(method)
    return name == func or name.endswith("." + func)


def _rows(method: str, table: RootsTable, uses: dict[tuple[str, RootReference], list[Use]], owners: dict[str, str]) -> list[Root]:
    rows = []
    for position, tree in enumerate(list(table)):
        reference = table.reference(position)
        found = uses.get((method, reference), [])
        role = found[0].role if found else "object"
        users = tuple(dict.fromkeys(use.signature for use in found))
        rows.append(
            Root(
                method=method,
                key=reference.key,
                index=reference.index,
                position=position,
                owner=owners.get(reference.key, "an image that is no longer asked"),
                kind=root_kind(role, tree),
                value=root_text(role, tree),
                size=len(canonical(tree)),
                added_by=users[0] if users else "",
                users=users,
            )
        )
    return rows


def roots_table(func: str | None = None) -> Table:
    """Return one row for each root of this process, or of one function."""
    rows = [
        (
            method_name(r.method),
            r.key,
            r.index,
            r.owner,
            r.kind,
            r.value,
            r.size,
            r.added_by,
            len(r.users),
            "; ".join(r.users),
            r.position,
        )
        for r in live_roots(func)
    ]
    return Table(ROOT_COLUMNS, rows)


def growth_table(func: str | None = None) -> Table:
    """Return one row for each compilation of this process: how the table of its method grew."""
    own = session.roots()
    rows = []
    for instance in session.recorded():
        added = own.added.get(instance.index)
        if added is not None and (func is None or _is_named(added.method, func)):
            name = f"{instance.qualname}{instance.signature}"
            shared = len(added.references) - added.new
            rows.append((instance.index, name, method_name(added.method), added.total, added.new, shared, added.duplicates))
    return Table(GROWTH_COLUMNS, rows)
