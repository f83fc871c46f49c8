"""The code instances of this process and of its loaded images, as the explorer lists them; what is costly is made on demand."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from aotnb import session
from aotnb.bridge import texts
from aotnb.core.text import root_kind, root_text
from aotnb.image.model import method_key, references
from aotnb.loading.mapped import LoadedImage
from aotnb.tracing.instance import Instance

PANES = ("Summary", "Source", "LLVM IR", "Assembly", "Roots", "Edges", "Callers and invalidations")


@dataclass(frozen=True, slots=True)
class Item:
    """One code instance: compiled in this process (``live``), or number ``number`` of a loaded image."""

    module: str
    function: str
    signature: str
    kind: str
    state: str  # "compiled", "not saved: REASON", or the file of the image
    seconds: float | None
    live: Instance | None = None
    image: LoadedImage | None = None
    number: int = -1
    worlds: tuple[tuple[int, int | None], ...] = ()  # the first and the last (None: it goes on) of each time it was valid

    @property
    def method(self) -> str:
        """Module and qualified name."""
        return f"{self.module}.{self.function}"

    @property
    def arguments(self) -> str:
        """The argument types: with the method they are the specialization."""
        return self.signature.partition(" -> ")[0]

    @property
    def returns(self) -> str:
        """The return type."""
        return self.signature.rpartition(" -> ")[2]

    @property
    def story(self) -> str:
        """Where it comes from, what it cost and when it was valid, in a few words."""
        cost = "" if self.seconds is None else f" in {self.seconds:.2f} s"
        return f"{self.state}{cost}{_worlds_text(self.worlds)}"

    def is_valid_in(self, world: int) -> bool:
        """Return whether a call would have run it in *world*."""
        return any(first <= world and (last is None or world <= last) for first, last in self.worlds)


def items() -> list[Item]:
    """Return all code instances, those of the images last."""
    spans = session.spans()
    found = [
        Item(
            c.module,
            c.function,
            c.signature,
            c.kind,
            f"not saved: {c.reason}" if c.reason else "compiled",
            c.seconds,
            live,
            worlds=spans.get((None, live.index), ()),
        )
        for c, live in zip(session.compiled(), session.recorded(), strict=False)
    ]
    for image in session.loaded():
        for number in range(len(image.reader)):
            tree = image.reader.stored(number)
            place = (tree["module"], tree["qualname"], tree["signature"], tree["kind"], image.report.path, None)
            worlds = spans.get((image.report.image_id, number), ())
            found.append(Item(*place, image=image, number=number, worlds=worlds))
    return found


def _worlds_text(worlds: tuple[tuple[int, int | None], ...]) -> str:
    """Say when code was valid; nothing where it is still.

    >>> _worlds_text(((1, 1), (3, 5)))
    ', valid in world 1 and worlds 3 to 5'
    """
    if not worlds or worlds[-1][1] is None:
        return ""
    times = [f"world {first}" if first == last else f"worlds {first} to {last}" for first, last in worlds]
    return f", valid in {' and '.join(times)}"


def pane(item: Item, name: str) -> str:
    """Return the text of a pane; where there is none, a sentence that says why."""
    makers = dict(zip(PANES, (_summary, _source, _llvm, _assembly, _roots, _edges, _callers), strict=True))
    return makers[name](item)


def _summary(item: Item) -> str:
    cost = "unknown" if item.seconds is None else f"{item.seconds:.3f} s, nested compilations included"
    return f"{item.method}{item.signature}\nkind: {item.kind}\nstate: {item.state}\ncompile time: {cost}"


def _source(item: Item) -> str:
    if item.live is None:
        return "An image keeps no source; open the function in its module."
    try:
        return inspect.getsource(item.live.func)
    except (OSError, TypeError):
        return "The source of this function is not available: it was made by the compiler, or its file is gone."


def _llvm(item: Item) -> str:
    if item.image is not None:
        library = item.image.reader.stored(item.number)["library"]
        return item.image.reader.library_text(library) if library else "This entry is an outcome without code."
    return _of_result(item, texts.llvm_text)


def _assembly(item: Item) -> str:
    if item.image is not None:
        return "An image keeps LLVM IR and machine code, no assembly. Compile the function in this process to see it."
    return _of_result(item, texts.assembly_text)


def _of_result(item: Item, text: Any) -> str:
    result = item.live.result if item.live is not None else None
    if result is None:
        return "This compilation gave no code."
    try:
        return str(text(result))
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        return f"Numba no longer has the text of this code: {error}"


def _roots(item: Item) -> str:
    if item.image is not None:
        reader, method = item.image.reader, method_key(item.image.reader.instance(item.number))
        places = dict.fromkeys(references(reader.stored(item.number)))
        lines = [_root_line(f"[{index}]", role, reader.method_root(method, index)) for role, index in places]
    elif item.live is None:
        lines = []
    else:
        own = session.roots()
        lines = [
            _root_line(f"{reference.key}[{reference.index}]", use.role, own.registry.resolve(method, reference))
            for (method, reference), uses in own.uses([item.live]).items()
            for use in uses[:1]
        ]
    return "\n".join(lines) or "no roots"


def _root_line(reference: str, role: str, tree: Any) -> str:
    return f"{reference} {root_kind(role, tree)}: {root_text(role, tree)}"


def _edges(item: Item) -> str:
    if item.image is not None:
        edges = item.image.reader.instance(item.number).edges
        return "\n".join(f"{e.kind} {e.where}.{e.name} = {e.summary}" for e in edges) or "reads nothing"
    assert item.live is not None
    reads = [f"{read.kind} {read.module or ''}.{read.name} = {read.summary}" for read in item.live.reads.values()]
    calls = [f"calls {c.instance.module}.{c.instance.qualname}{c.instance.signature}" for c in item.live.callees]
    return "\n".join([*reads, *calls]) or "reads nothing and calls nothing"


def _callers(item: Item) -> str:
    if item.image is not None:
        trees = map(item.image.reader.stored, range(len(item.image.reader)))
        callers = [
            f"{t['module']}.{t['qualname']}{t['signature']}" for t in trees if any(c == item.number for c, _ in t["callees"])
        ]
    else:
        callers = [
            f"{other.module}.{other.qualname}{other.signature}"
            for other in session.recorded()
            if any(callee.instance is item.live for callee in other.callees)
        ]
    lost = [
        f"world {row.world}: {row.kind} {row.cause}: {row.before} -> {row.after}"
        for row in session.invalidations()
        if (row.module, row.function, row.signature.partition(" -> ")[0]) == (item.module, item.function, item.arguments)
    ]
    called = [f"called by {name}: invalidated with this one" for name in callers] or ["no compiled code calls it"]
    return "\n".join([*called, *(f"invalidated in {line}" for line in lost)])
