"""What a user asks of the present session: reports, whose frames are the public tables."""

from __future__ import annotations

import os
from typing import Any

from aotnb import session
from aotnb.display import bundle
from aotnb.display.bundle import Report
from aotnb.errors import AotError
from aotnb.image.contents import specializations
from aotnb.reports import parcels, shelf
from aotnb.reports.changes import Invalidations
from aotnb.reports.differences import Side
from aotnb.reports.merges import merge_tables
from aotnb.reports.roots import growth_table, roots_table
from aotnb.reports.stragglers import stragglers as found_stragglers


def invalidations() -> Invalidations:
    """Return what was invalidated in this process, and why, oldest first: a tuple of records with ``.frame`` and ``.tree()``."""
    return Invalidations(session.invalidations())


def roots(
    func: str | Any = None,
    *,
    growth: bool = False,
    merge: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    costs: bool = False,
) -> Report:
    """Return a report on the objects that compiled code refers to, one row for each, in the table of its method.

    Parameters
    ----------
    func
        A jitted function, or a name or its end such as "f" or "lib.f": only the roots of this one.
    growth
        One row for each compilation instead: how the table of its method grew.
    merge
        Two image files: what loading them one after the other makes of their roots. Nothing is loaded.
    costs
        With *merge*: what each way of storing the roots would cost.

    Columns of ``.frame``
    ---------------------
    method : str
        Module and qualified name.
    key, index : str, int
        The reference. The key is the id of an image or of this session; 0 is unknown origin, which no image can hold.
    owner : str
        Whose key it is: "this session" or the file of the image.
    kind, value : str
        "type", "constant", "global", "free", "attribute", "overload", "version", "callee", "object" or "address"; its short text.
    bytes : int
        Its size in an image.
    added_by : str
        The specialization that added it.
    users, used_by : int, str
        How many specializations refer to it, and which.
    position : int
        Its place in the table of this process.

    With *growth*: compilation, function, method, total_roots, new_roots, shared_roots, duplicate_roots (roots whose content
    another owner has brought as well). With *merge*: method, image, key, index, position (after the merge), kind, value, bytes,
    references, shared_with. With *costs*: proposal, roots, bytes, bytes_saved (against private tables), references,
    rewritten_references.
    """
    if merge is not None:
        rows, proposals = merge_tables(merge)
        files = [os.fspath(path) for path in merge]
        return bundle.cost_report(proposals, files) if costs else bundle.merge_report(rows, proposals, files)
    name = func if func is None or isinstance(func, str) else _name(func)
    return bundle.growth_report(growth_table(name)) if growth else bundle.roots_report(roots_table(name), name)


def _name(func: Any) -> str:
    func = getattr(func, "py_func", func)
    if not hasattr(func, "__qualname__"):
        raise AotError(f"{func!r} is no function; give a jitted function or its name")
    return f"{func.__module__}.{func.__qualname__}"


def stragglers() -> Report:
    """Return a report on what was compiled although an image was loaded, and what no save can take; the costliest first.

    Columns of ``.frame``
    ---------------------
    what : str
        "compiled" (a loaded image did not serve it) or "not saved".
    function, module, signature : str
        What was compiled.
    reason, detail : str
        Reason code and sentence.
    nearest : str
        The stored entry of the same function that differs least, if there is one.
    difference : str
        In what it differs, such as "argument 2 is array(float32, 2d, A); stored: array(float32, 2d, C)".
    seconds : float
        What compiling it took; missing where Numba refused it.
    what_to_do : str
        The cure.
    """
    return bundle.stragglers_report(found_stragglers())


def parcel(trace: session.Trace | str | None = None, *, write: str | os.PathLike[str] | None = None) -> Report:
    """Return a report on who owns what was compiled, one row for each package, the costliest first.

    Parameters
    ----------
    trace
        A trace or the name of one; everything that this process compiled if none is given.
    write
        A folder: write a trace file for each package into it, ``PACKAGE.trace``. ``aotnb precompile`` takes one or several.

    Columns of ``.frame``
    ---------------------
    package, version : str
        The first part of the module's name; the version of the distribution that it comes from, empty where it was not installed.
    functions, compilations : int
        How many functions of it were compiled, and how often.
    seconds, share : float
        What compiling them took without nested compilations, so that the packages add up; the share of all.
    asked : int
        How many of the compilations Python asked for. The others were compiled as parts of these, in whichever package they are.
    statements : int
        How many of those a trace file can name.
    saved : int
        How many of the compilations a save takes.
    file : str
        The trace file that was written, if one was.

    Raises
    ------
    AotError
        If there is no such trace, or if a file cannot be written.
    """
    found = parcels.parcels(session.recorded() if trace is None else _trace(trace).instances)
    return bundle.parcel_report(found, {} if write is None else parcels.write_parcels(found, write))


def _trace(trace: session.Trace | str) -> session.Trace:
    if isinstance(trace, session.Trace):
        return trace
    known = session.traces()
    if trace not in known:
        raise AotError(f"there is no trace {trace!r}" + (f"; known: {', '.join(known)}" if known else ""))
    return known[trace]


def images(folder: str | os.PathLike[str] = ".") -> Report:
    """Return a report on the images in a folder and the folders below it, one row for each, the latest first.

    Columns of ``.frame``
    ---------------------
    image : str
        The file.
    entries : int
        How many specializations it has code for; missing where it cannot be read.
    bytes : int
        Its size, with that of its journal.
    saved : str
        When.
    target : str
        The CPU targets.
    numba, python : str
        The versions that it was made with.
    reason, detail : str
        Why it cannot be loaded here: reason code and sentence; empty where it can.
    """
    return bundle.images_report(shelf.images(folder))


def prune(
    folder: str | os.PathLike[str] = ".",
    *,
    refused: bool = False,
    max_size: int | str | None = None,
    older_than: float | None = None,
    dry_run: bool = False,
) -> Report:
    """Remove images with their journals from a folder and the folders below it; return a report on them, as of :func:`images`.

    Only whole images with your seal are removed; with *refused* also what is damaged or in another version of the format.

    Parameters
    ----------
    folder
        Where they are.
    refused
        Those that cannot be loaded in this environment: another version of Python, Numba, NumPy or the file format,
        another CPU, or a damaged file.
    max_size
        The oldest ones, until the others have no more than these bytes; texts such as "500MB" are understood.
    older_than
        Those that were saved more than this many days ago.
    dry_run
        Remove nothing, and report on what would be removed.

    Raises
    ------
    AotError
        If nothing says which images may go, or if one cannot be removed.
    """
    gone = shelf.prune(folder, refused=refused, max_size=max_size, older_than=older_than, dry_run=dry_run)
    return bundle.images_report(gone, "would be removed: " if dry_run else "removed: ")


def diff(a: Any, b: Any) -> Report:
    """Compare two traces (or their names), two images (files), or two worlds (numbers): what was valid in each.

    Columns of ``.frame``
    ---------------------
    change : str
        "added" (only in b), "removed" (only in a), "changed" or "same".
    function, module, signature : str
        What was compiled.
    difference : str
        In what it changed: "the definition", each edge that differs with what was found before and after, the number of
        compilations, whether it is saved.
    roots_added, roots_removed : int
        Roots that only b, only a refers to.
    seconds_a, seconds_b : float
        Compile time; missing where it was not compiled, and in images, which do not keep it.
    reason_a, reason_b : str
        Why it is not saved, if so.
    """
    return bundle.diff_report(side(a), side(b))


def side(what: Any) -> Side:
    """Return one side of a comparison: a trace, the name of one, an image file, or the number of a world."""
    if isinstance(what, session.Trace):
        return Side(f"trace {what.name!r}", what.specializations)
    known = session.traces()
    if isinstance(what, str) and what in known:
        return side(known[what])
    if isinstance(what, int) or (isinstance(what, str) and what.isdecimal() and not os.path.exists(what)):
        return Side(f"world {what}", session.valid_in(int(what)))
    if isinstance(what, str | os.PathLike) and os.path.exists(what):
        return Side(f"image {os.fspath(what)}", specializations(os.fspath(what)))
    traces = f"; the traces are {', '.join(known)}" if known else ""
    raise AotError(f"{what!r} is neither a trace of this process nor an image file nor the number of a world{traces}")
