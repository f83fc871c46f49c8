"""``aotnb precompile``: trace files in, an image out, and a list of what was skipped."""

from __future__ import annotations

import os
import sys

from aotnb.core.records import SaveReport
from aotnb.core.words import counted
from aotnb.errors import AotError


def precompile(
    traces: list[str],
    modules: list[str],
    output: str,
    *,
    link: str,
    append: bool,
    emit: list[str],
    cpu_target: str | None,
    verbose: bool,
) -> int:
    """Build the image; the exit status is 0 if anything was built."""
    if not traces and not modules:
        raise AotError("there is nothing to precompile; give a trace file, or a module with -m")
    _check_output(output)
    sys.path[0] = os.getcwd()  # modules are found as by python -m; a script brings its own folder
    from aotnb import saving
    from aotnb.replay import replay

    saving.check_cpu_target(cpu_target)  # a mistake in it must not cost the replay
    result = replay(traces, modules)
    for item in result.skipped:
        print(f"aotnb: skipped {item.what}: {item.why}", file=sys.stderr)
    total = result.done + len(result.skipped)
    print(f"{result.done} of {total} carried out" + (f", {len(result.skipped)} skipped" if result.skipped else ""))
    _tell(output, saving.save(output, link=link, append=append, emit=emit, cpu_target=cpu_target), verbose=verbose)
    return 0


def precompile_packages(
    packages: list[str], scripts: list[str], output: str, *, link: str, cpu_target: str | None, verbose: bool
) -> int:
    """Build a base image of installed packages; what each has to run is its own workloads and the *scripts*."""
    _check_output(output)
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]  # packages are those that are installed, not what lies in this folder
    from aotnb import saving, session
    from aotnb.replay import run_packages

    saving.check_cpu_target(cpu_target)
    run_packages(packages, scripts)
    if not session.recorded():
        raise AotError(
            f"nothing was compiled: importing {' and '.join(packages)} compiles nothing; give a script with --workload"
        )
    _tell(output, saving.save_base(output, link=link, cpu_target=cpu_target), verbose=verbose)
    return 0


def _tell(output: str, saved: SaveReport, *, verbose: bool) -> None:
    for left in saved.dropped:
        print(f"aotnb: left out {left.module}.{left.function}{left.signature}: {left.reason}: {left.detail}", file=sys.stderr)
    print(f"{output}: {counted(saved.entries, 'entry', 'entries')}, {saved.size} bytes, linked by {saved.linker}")
    if verbose and saved.link_command:
        print(saved.link_command)


def _check_output(output: str) -> None:
    folder = os.path.dirname(os.path.abspath(output))
    if os.path.isdir(output) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise AotError(f"the image cannot be written to {output}; give a file in a folder that exists and is writable")
