"""Building images of what a process has recorded: the whole, what is new, what a journal holds, what packages compiled.

Apart from the session because a process that only loads images has no need of the builder, whose import takes longer than
the load.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from aotnb import log, settings
from aotnb.building.archive import check_emit
from aotnb.building.background import BackgroundSave
from aotnb.building.edges import distributions_of
from aotnb.building.pipeline import Job, check_target, cpu_targets, create, dump, early_crew
from aotnb.core.records import SaveReport
from aotnb.errors import AotError, BuildError, ImageRejected, UnitError
from aotnb.image.costs import Costs, question, read_costs, write_costs
from aotnb.image.journal import journal_of, keep_only, locked, read_journal
from aotnb.image.reader import ImageReader
from aotnb.loading.loader import check_fit
from aotnb.session import Session, Trace, active, describe_instances, named_image
from aotnb.tracing.instance import Instance


def save(
    path: str | Path | None = None,
    trace: Trace | None = None,
    *,
    link: str = "auto",
    append: bool = False,
    journal: bool = False,
    base: Iterable[str | Path] | None = None,
    emit: Sequence[str] = (),
    cpu_target: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> SaveReport:
    """Compile what was recorded into one native image at *path*.

    Parameters
    ----------
    path
        The image file; replaced atomically if it exists, left alone on error. None is the one that the settings name.
    trace
        What to save; None means everything recorded in this process.
    link
        "cc", "ld.lld", "zig" or "in-process"; "auto" is what ``AOTNB_LINK`` says, or the first of them that works.
    append
        Keep the entries of the image that is at *path* already, and of its journal, and add to them.
    journal
        Leave the image as it is, and add a record to its journal: only what was compiled since this process saved there
        last. Several processes may do so at once. :func:`load` takes image and journal, :func:`compact` makes them one.
    base
        Loaded base images that the new one builds on: their entries are left to them, and a load of the new image loads
        them too. None means those that have served something here; an empty list, none at all.
    emit
        What to write beside the image, for other tools: "object", "bitcode", "assembly", each an archive with a member
        for each unit (``nb.bitcode.a`` for ``nb.aot``). "native" is the image itself.
    cpu_target
        The CPUs to compile for, such as "generic;x86-64-v3,clone_all"; None is what ``AOTNB_CPU_TARGET`` says, or "native".
    progress
        Called as ``progress(stage, done, total)``.

    Raises
    ------
    BuildError, LinkError
        If there is nothing to save or it cannot be built or written.
    ImageRejected
        If *append* finds an image that is damaged, not trusted, or made for another environment.
    """
    session = active()
    check_emit(emit)
    where, link = _where(path, link)
    with _writing(where, append=append, journal=journal) as keep:
        failed: frozenset[str] = frozenset()
        while True:
            # of what is added to something, most may have been compiled before
            new = () if keep or journal else session.recorder.instances if trace is None else trace.instances
            with early_crew(new) as crew:
                job, done = _job(session, where, trace, keep, base, cpu_target, progress, journal=journal, failed=failed)
                try:
                    return done(dump(job, where, link=link, journal=journal, progress=progress, emit=emit, crew=crew))
                except UnitError as error:
                    if error.libraries <= failed:
                        raise
                    log.logger.warning("left out: %s", error)
                    failed |= error.libraries


def save_in_background(
    path: str | Path | None = None,
    trace: Trace | None = None,
    *,
    link: str = "auto",
    append: bool = False,
    journal: bool = False,
    base: Iterable[str | Path] | None = None,
    cpu_target: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    tell: Callable[[BackgroundSave], None] = lambda save: None,
) -> BackgroundSave:
    """Describe what was recorded up to now, and let another process compile it into an image at *path*.

    The parameters are those of :func:`save`; *progress* is called in a thread, and so is *tell*, with the returned object when it
    has ended. Its ``wait()`` gives the report or raises, ``cancel()`` stops it.

    Raises
    ------
    BuildError, LinkError, ImageRejected
        If there is nothing to save, or the image that *append* finds is refused.
    """
    session = active()
    where, link = _where(path, link)

    def describe(keep: list[ImageReader]) -> tuple[Job, Callable[[SaveReport], SaveReport]]:
        return _job(session, where, trace, keep, base, cpu_target, None, journal=journal)

    return _in_background(where, link, _writing(where, append=append, journal=journal), describe, journal, progress, tell)


def _in_background(
    path: Path,
    link: str,
    writing: contextlib.AbstractContextManager[list[ImageReader]],
    describe: Callable[[list[ImageReader]], tuple[Job, Callable[[SaveReport], SaveReport]]],
    journal: bool,
    progress: Callable[[str, int, int], None] | None,
    tell: Callable[[BackgroundSave], None],
) -> BackgroundSave:
    """Start a build in another process; *writing* ends when that has ended."""
    keep = writing.__enter__()
    try:
        job, done = describe(keep)
    except BaseException:
        writing.__exit__(*sys.exc_info())
        raise

    def ended(save: BackgroundSave) -> None:
        if save.report is not None:
            done(save.report)
        with contextlib.suppress(AotError):
            writing.__exit__(None if save.error is None else type(save.error), save.error, None)
        tell(save)

    return BackgroundSave(job, path, link, journal, ended, progress)


def compact(
    path: str | Path | None = None, *, link: str = "auto", progress: Callable[[str, int, int], None] | None = None
) -> SaveReport:
    """Fold the journal of the image at *path* into it, and remove the journal. Compiles nothing that is compiled already.

    The image stays one for the same CPUs. A record that was made for another CPU or environment stays in the journal.

    Raises
    ------
    ImageRejected
        If there is no image, or it is damaged, not trusted, or made for another environment.
    BuildError, LinkError
        If it cannot be built or written.
    """
    session = active()
    where, link = _where(path, link)
    with _writing(where, append=True) as keep:
        job, done = _compaction(session, where, keep, progress)
        return done(dump(job, where, link=link, progress=progress))


def compact_in_background(
    path: str | Path | None = None,
    *,
    link: str = "auto",
    progress: Callable[[str, int, int], None] | None = None,
    tell: Callable[[BackgroundSave], None] = lambda save: None,
) -> BackgroundSave:
    """Do as :func:`compact` does in another process, and return at once what :func:`save_in_background` returns.

    Raises
    ------
    ImageRejected, LinkError
        As :func:`compact`.
    """
    session = active()
    where, link = _where(path, link)

    def describe(keep: list[ImageReader]) -> tuple[Job, Callable[[SaveReport], SaveReport]]:
        return _compaction(session, where, keep, None)

    return _in_background(where, link, _writing(where, append=True), describe, False, progress, tell)


def _compaction(
    session: Session, path: Path, keep: list[ImageReader], progress: Callable[[str, int, int], None] | None
) -> tuple[Job, Callable[[SaveReport], SaveReport]]:
    """Describe an image of the images *keep*; also return what is to be called when it has been built."""
    if not keep:
        raise ImageRejected("missing_file", f"there is no image {path}; make one with %aot_save or `aotnb run --record`")
    job = create(session.recorder, [], targets=keep[0].targets, progress=progress, keep=keep)
    costs = _costs(session, [], [image.image_id for image in keep])
    return job, lambda report: _saved(session, report, costs)


def check_cpu_target(text: str | None = None) -> None:
    """Refuse a mistake in *text*, or else in ``AOTNB_CPU_TARGET``, before anything is compiled.

    Raises
    ------
    BuildError
        If it does not follow the grammar of CPU targets.
    """
    cpu_targets(text)


def _where(path: str | Path | None, link: str) -> tuple[Path, str]:
    """Return the image file and the linker to use."""
    if link == "auto" and not os.environ.get("AOTNB_LINK"):
        link = settings.get("link")
    where = Path(named_image(path))
    check_target(where, link)
    return where, link


@contextlib.contextmanager
def _writing(path: Path, *, append: bool, journal: bool = False) -> Iterator[list[ImageReader]]:
    """Hold *path* against other writers and give the images that a new one there keeps: that at *path*, those of its journal.

    When all has gone well, the journal is empty, but for records that this environment cannot take over.
    """
    if journal:  # the image is not written, and the journal only for an instant
        if not path.exists():
            raise BuildError(f"there is no image {path} to which a journal could belong; save it first, without --journal")
        yield []
        return
    with locked(path) as file:
        written = read_journal(path)
        keep, rest = [], []
        if append and path.exists():
            keep.append(ImageReader(path))
            check_fit(keep[0])
            for record in written.records:
                try:
                    reader = ImageReader(written.path, data=record)
                    check_fit(reader)
                    keep.append(reader)
                except ImageRejected as error:
                    rest.append(record)
                    log.logger.warning("left in the journal: %s", error)
        yield keep
        keep_only(file, written.path, rest)


def _job(
    session: Session,
    path: Path,
    trace: Trace | None,
    keep: list[ImageReader],
    base: Iterable[str | Path] | None,
    cpu_target: str | None,
    progress: Callable[[str, int, int], None] | None,
    *,
    journal: bool,
    failed: frozenset[str] = frozenset(),
) -> tuple[Job, Callable[[SaveReport], SaveReport]]:
    """Describe what is to be built; also return what is to be called when that has succeeded."""
    instances = session.recorder.instances if trace is None else trace.instances
    stored = session.stored.setdefault(path.absolute(), set()) if journal else set()
    instances = [instance for instance in instances if instance.index not in stored]
    served = session.resolver.served if trace is None else trace.served
    bases = _bases(session, {item.image_id for item in served}, base)
    costs = _costs(session, instances, [image.image_id for image in keep])
    given = {instance.index for instance in instances if instance.python_called}
    if journal and not given:
        raise BuildError(f"there is nothing to add to {journal_of(path)}: nothing new was compiled")
    targets = cpu_targets(cpu_target)
    job = create(session.recorder, instances, targets=targets, progress=progress, keep=keep, bases=bases, failed=failed)

    def done(report: SaveReport) -> SaveReport:
        session.stored[path.absolute()] = stored | given
        return _saved(session, report, costs)

    return job, done


def _saved(session: Session, report: SaveReport, costs: Costs) -> SaveReport:
    """Note a save that has succeeded."""
    session.dropped = report.dropped
    write_costs(report.image_id, costs)
    log.logger.info("saved %s: %d entries, %d left out, %.2f s", report.path, report.entries, len(report.dropped), report.seconds)
    return report


def _costs(session: Session, instances: list[Instance], kept: list[str]) -> Costs:
    """Return what the JIT took for what a save took, nested compilations included, and for the images whose entries it kept."""
    total = 0.0
    questions: dict[str, float] = {}
    for known in filter(None, map(read_costs, kept)):
        total += known.total
        questions |= known.questions
    saved = {item.index: item for item in describe_instances(instances) if item.saveable}
    parents = {instance.index: instance.parent for instance in session.recorder.instances}
    for index, item in saved.items():
        questions[question(item.module, item.function, item.signature)] = item.seconds
        above = parents.get(index)
        while above is not None and above not in saved:
            above = parents.get(above)
        if above is None:  # else it was compiled within the seconds of that one
            total += item.seconds
    return Costs(total, questions)


def _bases(session: Session, used: set[str], wanted: Iterable[str | Path] | None) -> list[ImageReader]:
    loaded = [image.reader for image in session.resolver.images if image.frozen is not None]
    if wanted is None:
        return [reader for reader in loaded if reader.image_id in used]
    found = []
    for path in wanted:
        reader = next((reader for reader in loaded if reader.file.path.absolute() == Path(path).absolute()), None)
        if reader is None:
            raise AotError(f"{path} is not a loaded base image; make it with aotnb precompile --package, and load it first")
        found.append(reader)
    return found


def save_base(path: str | Path, *, link: str = "auto", cpu_target: str | None = None) -> SaveReport:
    """Compile what was recorded of installed packages into a base image at *path*: see ``aotnb precompile --package``.

    Raises
    ------
    BuildError, LinkError
        If nothing of them was compiled, or it cannot be built or written.
    """
    session = active()
    where, link = _where(path, link)
    instances = [item for item in session.recorder.instances if distributions_of(item.module)]
    job = create(session.recorder, instances, targets=cpu_targets(cpu_target), freeze=True)
    return _saved(session, dump(job, where, link=link), _costs(session, instances, []))
