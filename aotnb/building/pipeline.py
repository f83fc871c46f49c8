"""Create -> dump: what is to be compiled, as plain data; then units -> objects -> link -> image file."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aotnb.bridge.codegen import (
    BASE_SLOT,
    CLONE_SLOT,
    UnitObject,
    declarations,
    emit_text,
    forwarding_stub,
    mathematics_stub,
    runtime_text,
    stub_slot,
    table_text,
)
from aotnb.bridge.environment import host_cpu
from aotnb.bridge.irtext import DATA_PREFIX
from aotnb.bridge.libraries import recorded_bytes
from aotnb.bridge.native import pack_objects
from aotnb.bridge.symbols import is_foreign, is_helper, is_mathematics, lack
from aotnb.building.archive import write_archives
from aotnb.building.borrowed import Borrowed, borrowed_from, borrowed_slots, recorded_bases, units_to_link
from aotnb.building.clones import STUB, versions_of
from aotnb.building.functions import function_rows
from aotnb.building.link import Linked, choose, link_with
from aotnb.building.manifest import stored_instances
from aotnb.building.packages import frozen_tree, summaries
from aotnb.building.plan import Plan, Planner
from aotnb.building.shards import Crew, UnitJob, compile_all, name_helpers, unit_keys
from aotnb.building.timings import timings_text, timings_wanted
from aotnb.building.units import closure, entry_symbols
from aotnb.core.digest import digest
from aotnb.core.elf import open_names
from aotnb.core.records import SaveReport
from aotnb.core.targets import Target, parse_targets
from aotnb.core.words import counted
from aotnb.errors import BuildError
from aotnb.image.code import pack_text
from aotnb.image.format import dump_json, publish, sealed
from aotnb.image.journal import append, journal_of, locked
from aotnb.image.model import Library, library_of
from aotnb.image.reader import ImageReader
from aotnb.image.trust import user_key
from aotnb.image.units import pack_units, stored_units
from aotnb.tracing.instance import Instance
from aotnb.tracing.recorder import Recorder

Progress = Callable[[str, int, int], None]

_BYTES = 24  # recorded for each unit of weight, about


@dataclass(slots=True)
class Job:
    """What :func:`create` makes and :func:`dump` turns into a file: plain data, so that another process can do it."""

    plan: Plan
    targets: list[Target]
    units: list[UnitJob]
    clones: dict[str, list[int]]  # function in the table -> further targets that have a clone of it
    redirected: list[str]  # functions that shared wrappers reach through a slot
    runtime: str
    frozen: dict[str, Any]  # of a base image: what its packages are
    freeze: bool
    bases: list[list[str]]  # path and id of each image that this one builds on
    borrowed: Borrowed
    stock: dict[str, UnitObject]  # compiled units of earlier images, by key
    seconds: float


def check_target(path: Path, link: str) -> None:
    """Refuse a path that no file can be written to, and a linker that is not there, before any work is done."""
    if path.is_dir():
        raise BuildError(f"{path} is a folder; give the name of the image file")
    if not path.parent.is_dir():
        raise BuildError(f"there is no folder {path.parent}; make it first")
    choose(link)
    user_key()


def cpu_targets(asked: str | None) -> list[Target]:
    """Return the CPU targets that *asked* names, or else ``AOTNB_CPU_TARGET``, or else that of this machine.

    Raises
    ------
    BuildError
        If the text does not follow the grammar of :mod:`aotnb.core.targets`.
    """
    return parse_targets(asked or os.environ.get("AOTNB_CPU_TARGET") or "native", host_cpu(), platform.machine())


def early_crew(instances: Iterable[Instance]) -> Crew:
    """Start the processes for the shards of an image with *instances*, so that they are ready when :func:`create` is."""
    libraries = [instance.result.library for instance in instances if instance.result is not None]
    return Crew.early(sum(map(recorded_bytes, filter(None, libraries))) // _BYTES)


def create(
    recorder: Recorder,
    instances: Iterable[Instance],
    *,
    targets: Sequence[Target],
    progress: Progress | None = None,
    keep: Iterable[ImageReader] = (),
    freeze: bool = False,
    bases: Iterable[ImageReader] = (),
    failed: Iterable[str] = (),
) -> Job:
    """Describe what is to be compiled, from the live objects of this process: the entries among *instances*, and those of *keep*.

    *targets* are the CPUs, see :func:`cpu_targets`. *freeze* makes a base image: entries of installed packages
    get a summary. *bases* are the images that the new one builds on; code called one of *failed* could not be
    compiled before, and is left out.
    """
    started = time.perf_counter()
    targets = list(targets)
    if progress is not None:
        progress("plan", 0, 1)
    keep, bases = list(keep), list(bases)
    found = {base.image_id: str(base.file.path.absolute()) for base in bases}
    found |= {image_id: place for image in keep for place, image_id in image.index["bases"]}
    plan = Planner(recorder, found, frozenset(failed)).plan(instances, keep)
    manifest, libraries = plan.manifest, plan.libraries
    if not any(instance.entry for instance in manifest.instances):
        raise BuildError(f"nothing to save: {_why_empty(plan)}")
    borrowed = borrowed_from(manifest, libraries, recorded_bases(keep, bases))
    versions = versions_of(manifest, libraries, targets, borrowed.libraries)
    runtime = runtime_text()
    name_helpers(versions.jobs, runtime)
    return Job(
        plan=plan,
        targets=targets,
        units=versions.jobs,
        clones=versions.clones,
        redirected=versions.redirected,
        runtime=runtime,
        frozen=frozen_tree({instance.module for instance in manifest.instances if instance.module}) if freeze else {},
        freeze=freeze,
        bases=sorted([place, image_id] for image_id, place in found.items()),
        borrowed=borrowed,
        stock={key: unit for image in keep for key, unit in stored_units(image.file).items()},
        seconds=time.perf_counter() - started,
    )


def dump(
    job: Job,
    path: Path,
    *,
    link: str = "auto",
    journal: bool = False,
    progress: Progress | None = None,
    emit: Sequence[str] = (),
    crew: Crew | None = None,
) -> SaveReport:
    """Compile, link and publish what :func:`create` described; in this process or in another one like it.

    With *journal* the result is not the image at *path* but a record at the end of its journal. Nothing is written unless
    all of it succeeds. *emit* names what else to write: see :mod:`aotnb.building.archive`. *crew* has processes for the shards
    that were started before: see :func:`early_crew`.
    """
    report = progress or (lambda stage, done, total: None)
    started = time.perf_counter()
    linkers, key, plan = choose(link), user_key(), job.plan
    timings = {"plan": job.seconds}
    keys = unit_keys(job.units, job.runtime)
    known = {} if emit else _in_stock(job, keys)  # objects in stock come without their bitcode
    compiled = compile_all(job.units, job.runtime, report, known, crew)
    linking = units_to_link(job.units, compiled.objects, job.borrowed)
    units, objects = [job.units[number] for number in linking], [compiled.objects[number] for number in linking]
    timings["compile"] = time.perf_counter() - started
    clock = time.perf_counter()
    report("link", 0, 1)
    table_object, table = _table(job, units, objects)
    linked = link_with([*(item.data for item in objects), table_object], linkers)
    timings["link"] = time.perf_counter() - clock
    clock = time.perf_counter()
    parts, image_id = _parts(job, objects, table_object, table, linked)
    needed = {number for unit in job.units for number in unit.available}
    inlined = frozenset(place for place, number in enumerate(linking) if number in needed)
    functions = [
        (unit.target, function_rows(unit.code, unit.names, unit.suffix, item.data))
        for unit, item in zip(units, objects, strict=True)
    ]
    parts["units"] = pack_units([keys[number] for number in linking], objects, functions, inlined, linked=bool(linked.native))
    write_archives(path, emit, units, objects)
    written, size = _append(path, sealed(parts, key)) if journal else (path, publish(path, parts, key))
    timings["write"] = time.perf_counter() - clock
    report("done", 1, 1)
    saved = SaveReport(
        path=str(written),
        image_id=image_id,
        entries=sum(instance.entry for instance in plan.manifest.instances),
        code_instances=len(plan.manifest.instances),
        units=len(objects),
        dropped=tuple(plan.dropped),
        size=size,
        linker=linked.linker,
        link_command=linked.command,
        target=";".join(target.label for target in job.targets),
        seconds=job.seconds + time.perf_counter() - started,
        timings=timings,
        unexplained=tuple(plan.unexplained),
        reused=len(known.keys() & set(linking)),
        shards=tuple(compiled.shards),
    )
    if timings_wanted():
        print(timings_text(saved), file=sys.stderr)
    return saved


def _append(image: Path, record: bytes) -> tuple[Path, int]:
    path = journal_of(image)
    with locked(image) as file:
        append(file, path, record)
    return path, len(record)


def _in_stock(job: Job, keys: list[str]) -> dict[int, UnitObject]:
    """Return the units that an earlier image has compiled, by number; for one that others inline from, it must say what."""
    needed = {number for unit in job.units for number in unit.available}
    found = {number: job.stock[key] for number, key in enumerate(keys) if key in job.stock}
    return {number: unit for number, unit in found.items() if unit.inlinable is not None or number not in needed}


def _why_empty(plan: Plan) -> str:
    if not plan.dropped:
        return (
            "no compilation was recorded; in a new kernel, begin with %load_ext aotnb and run what you usually wait for in a "
            "cell with %%aot_trace (what was compiled before cannot be saved)"
        )
    first = plan.dropped[0]
    why = f"{first.function} ({first.reason}: {first.detail})"
    return f"{counted(len(plan.dropped), 'recorded function')} left out, beginning with {why}"


def _table(job: Job, units: list[UnitJob], objects: list[UnitObject]) -> tuple[bytes, list[str]]:
    """Return the object with all slots, stubs and the table of the image, and the names in the table."""
    manifest, libraries = job.plan.manifest, job.plan.libraries
    further = {f"{name}.{target}" for name, targets in job.clones.items() for target in targets}
    entries = sorted({*entry_symbols(manifest), *job.clones, *further})
    # from the objects, not from the IR: LLVM makes calls of its own, such as pow from its intrinsic
    opened = set(open_names([item.data for item in objects]))
    slots = {name: record[0] for library in libraries.values() for name, record in library.slots.items() if name in opened}
    exported = {unit.names.get(name, name) for unit in units for name in unit.exported}
    stubs = {}
    known = _declared(libraries, job.runtime)
    lent = {unit.names.get(name, name): name for unit in job.units for name in unit.exported if name in job.borrowed.functions}
    for name in sorted(opened & lent.keys() - exported):
        exported.add(name)
        slots[BASE_SLOT + lent[name]] = "base"
        stubs[name] = forwarding_stub(known[lent[name]], name, BASE_SLOT + lent[name])
    for name in job.redirected:
        exported.add(name + STUB)
        slots[CLONE_SLOT + name] = "clone"
        stubs[name + STUB] = forwarding_stub(known[name], name + STUB, CLONE_SLOT + name)
    helper_slot = stub_slot("")
    for name in sorted(opened - slots.keys() - exported):
        if name.startswith(DATA_PREFIX):
            slots[name] = "data"
        elif name.startswith(helper_slot):  # the call itself reads it
            _check_provided(name[len(helper_slot) :])
            slots[name] = "helper"
        elif is_helper(name):
            _check_provided(name)
            slots[stub_slot(name)] = "helper"
            stubs[name] = mathematics_stub(name) if is_mathematics(name) else forwarding_stub(known[name])
    symbols = [*entries, *sorted(slots)]
    text = table_text(stubs.values(), dict(sorted(slots.items())), symbols, entries)
    return emit_text(text, job.targets[0].cpu, job.targets[0].features), symbols


def _check_provided(name: str) -> None:
    if (sentence := lack(name)) is not None:
        raise BuildError(sentence)


def _declared(libraries: dict[str, Library], runtime: str) -> dict[str, str]:
    known = declarations(runtime)
    for library in libraries.values():
        known.update(declarations(library.text))
    return known


def _parts(
    job: Job, objects: list[UnitObject], table_object: bytes, table: list[str], linked: Linked
) -> tuple[dict[str, bytes], str]:
    from aotnb import __version__

    manifest, libraries = job.plan.manifest, job.plan.libraries
    packed = b"" if linked.native else pack_objects([*(item.data for item in objects), table_object])
    code, code_index = b"", {}
    for name, library in libraries.items():
        data = pack_text(library.text)
        code_index[name] = [len(code), len(data), library.uses, library.slots]
        code += data
    position = {name: number for number, name in enumerate(table)}
    by_question: dict[str, list[int]] = {}
    by_method: dict[str, list[int]] = {}
    entry_slots: dict[str, list[int]] = {}
    bodies, places = b"", []
    foreign = _foreign_slots(table, libraries)
    for number, (instance, tree) in enumerate(zip(manifest.instances, stored_instances(manifest), strict=True)):
        data = dump_json(tree)
        places.append([len(bodies), len(data)])
        bodies += data
        if instance.entry:
            by_question.setdefault(instance.key, []).append(number)
            by_method.setdefault(f"{instance.module}:{instance.qualname}", []).append(number)
            entry_slots[str(number)] = _slots_of(instance.symbols, libraries, position, job.borrowed, foreign)
    summary_places = {}
    for number, summary in (summaries(manifest, job.frozen) if job.freeze else {}).items():
        data = dump_json(summary)
        summary_places[str(number)] = [len(bodies), len(data)]
        bodies += data
    roots, root_index = b"", {}
    for method, trees in manifest.methods.items():
        data = dump_json(trees)
        root_index[method] = [len(roots), len(data)]
        roots += data
    slots = {str(position[slot]): ["helper", -1, -1] for names in foreign.values() for slot in names}
    for library in libraries.values():
        for name, record in library.slots.items():
            if name in position:
                slots[str(position[name])] = record
    borrowed = {}
    for number, instance in enumerate(manifest.instances):
        symbol = instance.symbols.get("native", "")
        if (place := position.get(BASE_SLOT + symbol)) is not None:
            slots.setdefault(str(place), ["base", number, -1])
            borrowed[symbol] = job.borrowed.functions[symbol]
    index = {
        "process": manifest.process,
        "targets": [target.tree() for target in job.targets],
        "clones": job.clones,
        "created_by": f"aotnb {__version__}",
        "linked": "in-process" if linked.linker == "in-process" else "dlopen",
        "imports": linked.imports,
        "units": len(objects),
        "table": table,
        "questions": by_question,
        "methods": by_method,
        "entry_slots": entry_slots,
        "slots": slots,
        "instances": places,
        "roots": root_index,
        "code": code_index,
        "frozen": job.frozen,
        "summaries": summary_places,
        "bases": job.bases,
        "borrowed": borrowed,
        "names": manifest.names,
        "switches": manifest.switches,
        "dropped": manifest.dropped,
    }
    # the tables belong to the id: one key, one list of roots
    instances = [instance.id for instance in manifest.instances]
    image_id = digest(
        [manifest.process, [target.tree() for target in job.targets], instances, sorted(libraries), manifest.methods]
    )
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


def _foreign_slots(table: list[str], libraries: dict[str, Library]) -> dict[str, set[str]]:
    """Return, by library, the slots for functions that another package has to load: bound when an entry needs them."""
    prefix = stub_slot("")
    foreign = {name for name in table if name.startswith(prefix) and is_foreign(name[len(prefix) :])}
    if not foreign:
        return {}
    return {name: foreign & set(map(stub_slot, declarations(library.text))) for name, library in libraries.items()}


def _slots_of(
    symbols: dict[str, str],
    libraries: dict[str, Library],
    position: dict[str, int],
    borrowed: Borrowed,
    foreign: dict[str, set[str]],
) -> list[int]:
    """Return the table positions of every slot that an entry's code may read."""
    starts = [library_of(symbol) for symbol in symbols.values()]
    names = {slot for name in closure(libraries, starts) for slot in (*libraries[name].slots, *foreign.get(name, ()))}
    names |= {BASE_SLOT + symbol for symbol in borrowed_slots(borrowed, libraries, starts)}
    return sorted(position[slot] for slot in names if slot in position)
