"""Plan -> units -> objects -> link -> image file."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from aotnb.bridge.codegen import (
    UnitObject,
    UnitSource,
    compile_unit,
    declarations,
    emit_text,
    forwarding_stub,
    mathematics_stub,
    runtime_text,
    stub_slot,
    table_text,
)
from aotnb.bridge.irtext import DATA_PREFIX
from aotnb.bridge.symbols import is_helper, is_mathematics, is_provided
from aotnb.building.link import Linked, choose, link_with
from aotnb.building.manifest import stored_instances
from aotnb.building.packages import frozen_tree, summaries
from aotnb.building.plan import Plan, Planner
from aotnb.building.units import closure, entry_symbols, plan_units
from aotnb.core.digest import digest
from aotnb.core.elf import open_names
from aotnb.core.records import SaveReport
from aotnb.errors import BuildError
from aotnb.image.format import dump_json, publish
from aotnb.image.model import Library, library_of
from aotnb.image.reader import ImageReader
from aotnb.image.trust import user_key
from aotnb.tracing.instance import Instance
from aotnb.tracing.recorder import Recorder

Progress = Callable[[str, int, int], None]


def build(
    recorder: Recorder,
    instances: Iterable[Instance],
    path: Path,
    *,
    link: str = "auto",
    progress: Progress | None = None,
    keep: Iterable[ImageReader] = (),
    merged: bool = False,
    freeze: bool = False,
    bases: Iterable[ImageReader] = (),
) -> SaveReport:
    """Compile the entries among *instances*, and those of the images in *keep*, into an image at *path*.

    Nothing is written unless all of it succeeds. *merged* compiles everything as one unit (for comparison).
    *freeze* makes a base image: entries of installed packages get a summary. *bases* are the images that the new one
    builds on.
    """
    report = progress or (lambda stage, done, total: None)
    started = time.perf_counter()
    timings: dict[str, float] = {}
    if path.is_dir():
        raise BuildError(f"{path} is a folder; give the name of the image file")
    if not path.parent.is_dir():
        raise BuildError(f"there is no folder {path.parent}; make it first")
    linkers, key = choose(link), user_key()
    keep = list(keep)
    found = {base.image_id: str(base.file.path.absolute()) for base in bases}
    found |= {image_id: place for image in keep for place, image_id in image.index["bases"]}
    report("plan", 0, 1)
    plan = Planner(recorder).plan(instances, keep)
    timings["plan"] = time.perf_counter() - started
    if not any(instance.entry for instance in plan.manifest.instances):
        raise BuildError(f"nothing to save: {_why_empty(plan)}")
    objects, table = _compile(plan, report, timings, merged)
    clock = time.perf_counter()
    report("link", 0, 1)
    linked = link_with([item.data for item in objects], linkers)
    timings["link"] = time.perf_counter() - clock
    parts, image_id = _parts(plan, objects, table, linked, freeze, sorted([place, image_id] for image_id, place in found.items()))
    size = publish(path, parts, key)
    report("done", 1, 1)
    return SaveReport(
        path=str(path),
        image_id=image_id,
        entries=sum(instance.entry for instance in plan.manifest.instances),
        code_instances=len(plan.manifest.instances),
        units=len(objects) - 1,
        dropped=tuple(plan.dropped),
        size=size,
        linker=linked.linker,
        link_command=linked.command,
        target=plan.manifest.cpu,
        seconds=time.perf_counter() - started,
        timings=timings,
        unexplained=tuple(plan.unexplained),
    )


def _why_empty(plan: Plan) -> str:
    if not plan.dropped:
        return "no compilation was recorded; run the code that compiles inside %%aot_trace, after %load_ext aotnb"
    first = plan.dropped[0]
    why = f"{first.function} ({first.reason}: {first.detail})"
    return f"all {len(plan.dropped)} recorded functions were left out, the first being {why}"


def _compile(plan: Plan, report: Progress, timings: dict[str, float], merged: bool) -> tuple[list[UnitObject], list[str]]:
    """Return the objects (units, then the table) and the names in the table."""
    clock = time.perf_counter()
    manifest, libraries = plan.manifest, plan.libraries
    units = plan_units(manifest, libraries, merged=merged)
    runtime = runtime_text()
    objects: list[UnitObject] = []
    for number, unit in enumerate(units):
        report("compile", number, len(units))
        texts = [libraries[name].text for name in unit.libraries]
        source = UnitSource(texts, [objects[other] for other in unit.available], unit.exported)
        objects.append(compile_unit(source, runtime, manifest.cpu, manifest.features))
    timings["compile"] = time.perf_counter() - clock
    entries = entry_symbols(manifest)
    # from the objects, not from the IR: LLVM makes calls of its own, such as pow from its intrinsic
    opened = set(open_names([item.data for item in objects]))
    slots = {name: record[0] for library in libraries.values() for name, record in library.slots.items() if name in opened}
    exported = {name for unit in units for name in unit.exported}
    stubs = {}
    known = _declared(libraries, runtime)
    for name in sorted(opened - slots.keys() - exported):
        if name.startswith(DATA_PREFIX):
            slots[name] = "data"
        elif is_helper(name):
            if not is_provided(name):
                raise BuildError(f"the code calls {name}, which neither Numba nor this process provides; please report this")
            slots[stub_slot(name)] = "helper"
            stubs[name] = mathematics_stub(name) if is_mathematics(name) else forwarding_stub(known[name])
    symbols = [*entries, *sorted(slots)]
    text = table_text(stubs.values(), dict(sorted(slots.items())), symbols, entries)
    objects.append(UnitObject(emit_text(text, manifest.cpu, manifest.features)))
    return objects, symbols


def _declared(libraries: dict[str, Library], runtime: str) -> dict[str, str]:
    known = declarations(runtime)
    for library in libraries.values():
        known.update(declarations(library.text))
    return known


def _parts(
    plan: Plan, objects: list[UnitObject], table: list[str], linked: Linked, freeze: bool, bases: list[list[str]]
) -> tuple[dict[str, bytes], str]:
    from aotnb import __version__

    manifest, libraries = plan.manifest, plan.libraries
    packed = b"" if linked.native else b"".join(struct.pack("<Q", len(item.data)) + item.data for item in objects)
    code, code_index = b"", {}
    for name, library in libraries.items():
        data = zlib.compress(library.text.encode(), 6)
        code_index[name] = [len(code), len(data), library.uses, library.slots]
        code += data
    position = {name: number for number, name in enumerate(table)}
    by_question: dict[str, list[int]] = {}
    by_method: dict[str, list[int]] = {}
    entry_slots: dict[str, list[int]] = {}
    bodies, places = b"", []
    for number, (instance, tree) in enumerate(zip(manifest.instances, stored_instances(manifest), strict=True)):
        data = dump_json(tree)
        places.append([len(bodies), len(data)])
        bodies += data
        if instance.entry:
            by_question.setdefault(instance.key, []).append(number)
            by_method.setdefault(f"{instance.module}:{instance.qualname}", []).append(number)
            entry_slots[str(number)] = _slots_of(instance.symbols, libraries, position)
    frozen = frozen_tree({instance.module for instance in manifest.instances if instance.module}) if freeze else {}
    summary_places = {}
    for number, summary in (summaries(manifest, frozen) if freeze else {}).items():
        data = dump_json(summary)
        summary_places[str(number)] = [len(bodies), len(data)]
        bodies += data
    roots, root_index = b"", {}
    for method, trees in manifest.methods.items():
        data = dump_json(trees)
        root_index[method] = [len(roots), len(data)]
        roots += data
    slots = {}
    for library in libraries.values():
        for name, record in library.slots.items():
            if name in position:
                slots[str(position[name])] = record
    index = {
        "process": manifest.process,
        "cpu": manifest.cpu,
        "features": manifest.features,
        "created_by": f"aotnb {__version__}",
        "linked": "in-process" if linked.linker == "in-process" else "dlopen",
        "imports": linked.imports,
        "units": len(objects) - 1,
        "table": table,
        "questions": by_question,
        "methods": by_method,
        "entry_slots": entry_slots,
        "slots": slots,
        "instances": places,
        "roots": root_index,
        "code": code_index,
        "frozen": frozen,
        "summaries": summary_places,
        "bases": bases,
        "names": manifest.names,
        "switches": manifest.switches,
        "dropped": manifest.dropped,
    }
    # the tables belong to the id: one key, one list of roots
    instances = [instance.id for instance in manifest.instances]
    image_id = digest([manifest.process, manifest.features, instances, sorted(libraries), manifest.methods])
    index["image_id"] = image_id
    parts = {
        "native": linked.native,
        "objects": packed,
        "code": code,
        "index": dump_json(index),
        "instances": bodies,
        "roots": roots,
    }
    return parts, image_id


def _slots_of(symbols: dict[str, str], libraries: dict[str, Library], position: dict[str, int]) -> list[int]:
    """Return the table positions of every slot that an entry's code may read."""
    starts = [library_of(symbol) for symbol in symbols.values()]
    return sorted(position[slot] for name in closure(libraries, starts) for slot in libraries[name].slots if slot in position)
