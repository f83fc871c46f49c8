"""Arguments and exit statuses of ``aotnb``. Each command is one function; what it needs is imported inside it.

Exit statuses: 0 success, 1 what was asked for could not be done, 2 wrong usage. An error is one sentence on standard
error, never a traceback, except the traceback of the user's own script under ``run``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from aotnb import __version__
from aotnb.core.words import counted
from aotnb.errors import AotError

LINKS = ("auto", "cc", "ld.lld", "zig", "in-process")  # as aotnb.building.link has them, whose import brings Numba along


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; ``run`` may raise the script's own ``SystemExit``."""
    args = build_parser().parse_args(argv)
    try:
        status: int = args.command(args)
        sys.stdout.flush()
        return status
    except (AotError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # `aotnb inspect F | head`
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 1
        print(f"aotnb: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("aotnb: interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(prog="aotnb", description="Native images of Numba code.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"aotnb {__version__}")
    commands: argparse._SubParsersAction[_Parser] = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Parser
    )

    _add_run(commands)
    _add_precompile(commands)

    inspect = commands.add_parser(
        "inspect", help="show what an image holds", description="Show what an image holds; runs none of it."
    )
    inspect.add_argument("file", metavar="FILE", help="the image")
    inspect.add_argument("--json", action="store_true", help="print everything as one JSON object")
    inspect.add_argument("--explain", action="store_true", help="also what each entry depends on, and what was left out and why")
    inspect.add_argument("--functions", action="store_true", help="each function and slot: CPU target, weight, bytes")
    inspect.add_argument("--roots", metavar="OTHER", help="what loading this image and OTHER makes of their roots")
    inspect.add_argument("--diff", metavar="OTHER", help="what OTHER has that this image has not, and the reverse")
    inspect.set_defaults(command=_inspect)

    verify = commands.add_parser("verify", help="check an image", description="Check checksums, seal and structure of an image.")
    verify.add_argument("file", metavar="FILE", help="the image")
    verify.set_defaults(command=_verify)

    compact = commands.add_parser("compact", help="fold the journal of an image into it", description=_COMPACT)
    compact.add_argument("file", metavar="FILE", help="the image")
    compact.add_argument("--link", choices=LINKS, default="auto", help="how to link; auto is $AOTNB_LINK, or what is there")
    compact.set_defaults(command=_compact)

    trust = commands.add_parser("trust", help="accept an image that somebody else made", description=_TRUST)
    trust.add_argument("file", metavar="FILE", help="the image")
    trust.set_defaults(command=_trust)

    shelf = commands.add_parser("list", help="show the images in a folder", description=_LIST)
    shelf.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="where to look, with the folders below")
    shelf.add_argument("--json", action="store_true", help="print a JSON list")
    shelf.set_defaults(command=_list)

    prune = commands.add_parser("prune", help="remove images from a folder", description=_PRUNE)
    prune.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="where to look, with the folders below")
    prune.add_argument("--refused", action="store_true", help="those that cannot be loaded in this environment")
    prune.add_argument("--max-size", metavar="SIZE", help="the oldest, until the others have no more than this, such as 500MB")
    prune.add_argument("--older-than", metavar="DAYS", type=float, help="those that were saved before so many days")
    prune.add_argument("-n", "--dry-run", action="store_true", help="only say what would be removed")
    prune.set_defaults(command=_prune)

    doctor = commands.add_parser("doctor", help="check this installation", description=_DOCTOR)
    doctor.add_argument("--json", action="store_true", help="print everything as one JSON object")
    doctor.set_defaults(command=_doctor)

    demo = commands.add_parser("demo", help="run the demo of a source checkout", description=_DEMO)
    demo.add_argument("--only-notebooks", action="store_true", help="leave out the fresh processes and the table")
    demo.add_argument("--keep", metavar="FOLDER", help="keep the image and the executed notebooks there")
    demo.set_defaults(command=_demo)
    return parser


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = commands.add_parser("run", help="run a script with an image", description=_RUN, allow_abbrev=False)
    run.add_argument("--image", metavar="FILE", help="image to load, and with --record to write; default $AOTNB_IMAGE")
    run.add_argument("--record", action="store_true", help="write what was compiled back to the image at exit")
    run.add_argument("--cpu-target", metavar="TARGETS", help="with --record: the CPUs to compile for; default $AOTNB_CPU_TARGET")
    run.add_argument("--report", metavar="FILE", help="write a JSON object on what happened at exit")
    run.add_argument(
        "-v", "--verbose", action="store_true", help="list on standard error what was compiled all the same, and why"
    )
    run.add_argument(
        "--trace-compile", metavar="FILE", help="write a precompile(...) statement for whatever is compiled, or stderr"
    )
    run.add_argument("--trace-dispatch", metavar="FILE", help="the same for whatever Python asks for, compiled or not")
    run.add_argument("script", metavar="SCRIPT", help="the Python script")
    run.add_argument("args", metavar="ARG", nargs=argparse.REMAINDER, help="arguments of the script").required = False
    run.set_defaults(command=_run)


def _add_precompile(commands: argparse._SubParsersAction[_Parser]) -> None:
    build = commands.add_parser("precompile", help="make an image from trace files", description=_PRECOMPILE, allow_abbrev=False)
    build.add_argument(
        "trace", metavar="TRACE", nargs="*", help="a file that aotnb run --trace-compile or --trace-dispatch wrote"
    )
    build.add_argument("-o", "--output", metavar="FILE", required=True, help="the image")
    build.add_argument(
        "-m", "--module", metavar="MODULE", action="append", default=[], help="import MODULE and run its workloads"
    )
    build.add_argument(
        "-p", "--package", metavar="PACKAGE", action="append", default=[], help="make a base image of an installed package"
    )
    build.add_argument("-w", "--workload", metavar="SCRIPT", action="append", default=[], help="with -p: run SCRIPT")
    build.add_argument("-a", "--append", action="store_true", help="keep the entries of an image that is there")
    build.add_argument("--link", choices=LINKS, default="auto", help="how to link; auto is $AOTNB_LINK, or what is there")
    build.add_argument("--emit", metavar="KINDS", default="", help="archives to write beside the image: object,bitcode,assembly")
    build.add_argument("--cpu-target", metavar="TARGETS", help="as in 'generic;x86-64-v3'; default $AOTNB_CPU_TARGET or native")
    build.add_argument("-v", "--verbose", action="store_true", help="also say by which command the image was linked")
    build.set_defaults(command=_precompile)


_PRECOMPILE = (
    "Import the modules that the statements name, compile what they name, and save it as an image. Statements that name nothing "
    "any more are skipped, counted and listed. The exit status is 0 if anything was built."
)
_RUN = (
    "Run a Python script as python would, served from an image. A missing image is an error unless it is recorded. "
    "The exit status is that of the script, or 1 if the script succeeded but the image could not be written."
)
_COMPACT = (
    "Fold the records that processes have added to the journal of an image into the image, and remove the journal. Nothing is "
    "compiled anew."
)
_LIST = "Show the images in a folder: entries, bytes, CPU targets, versions, and why one cannot be loaded here."
_PRUNE = "Remove images of yours, with their journals. Nothing is removed without an option that says which."
_TRUST = "Put your own seal on an image. Its machine code will then run in your processes: do this only if you trust its maker."
_DOCTOR = "Show versions, CPU, linkers and key, and probe what aotnb relies on; the exit status is 1 if something is wrong."
_DEMO = "Trace and save in one kernel, load and run in a fresh one, and compare first calls."


def _run(args: argparse.Namespace) -> int:
    from aotnb.cli.script import run

    return run(
        args.script,
        args.args,
        args.image,
        record=args.record,
        cpu_target=args.cpu_target,
        report=args.report,
        verbose=args.verbose,
        trace_compile=args.trace_compile,
        trace_dispatch=args.trace_dispatch,
    )


def _precompile(args: argparse.Namespace) -> int:
    from aotnb.cli.precompile import precompile, precompile_packages

    if not args.package:
        if args.workload:
            raise AotError("a workload is for a base image; name its packages with --package")
        emit = args.emit.split(",") if args.emit else []
        options = {"link": args.link, "append": args.append, "emit": emit, "cpu_target": args.cpu_target, "verbose": args.verbose}
        return precompile(args.trace, args.module, args.output, **options)
    if args.trace or args.module or args.append or args.emit:
        raise AotError("a base image is made of packages and workloads alone; leave trace files, -m, -a and --emit away")
    options = {"link": args.link, "cpu_target": args.cpu_target, "verbose": args.verbose}
    return precompile_packages(args.package, args.workload, args.output, **options)


def _inspect(args: argparse.Namespace) -> int:
    from aotnb.cli.show import diff_text, image_text, merge_text
    from aotnb.image.reader import describe

    if args.roots is not None or args.diff is not None:
        print(merge_text(args.file, args.roots) if args.roots is not None else diff_text(args.file, args.diff))
        return 0

    described = describe(args.file)
    if args.json:
        _print_json(described)
    else:
        print(image_text(described, explain=args.explain, functions=args.functions))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from aotnb.image.reader import verify

    problems = verify(args.file)
    for problem in problems:
        print(f"aotnb: {problem}", file=sys.stderr)
    if not problems:
        print(f"{args.file} is sound")
    return 1 if problems else 0


def _compact(args: argparse.Namespace) -> int:
    from aotnb import saving

    saved = saving.compact(args.file, link=args.link)
    print(f"{args.file}: {counted(saved.entries, 'entry', 'entries')}, {saved.size} bytes, linked by {saved.linker}")
    return 0


def _list(args: argparse.Namespace) -> int:
    import dataclasses

    from aotnb.display.asked import images

    found = images(args.folder)
    if args.json:
        _print_json([dataclasses.asdict(image) for image in found.record])
    else:
        print(found.text(limit=len(found)))
    return 0


def _prune(args: argparse.Namespace) -> int:
    from aotnb.display.asked import prune

    which = {"refused": args.refused, "max_size": args.max_size, "older_than": args.older_than}
    gone = prune(args.folder, **which, dry_run=args.dry_run)
    print(gone.text(limit=len(gone)))
    return 0


def _trust(args: argparse.Namespace) -> int:
    from aotnb.image.reader import trust

    trust(args.file)
    print(f"{args.file} is trusted now")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from aotnb.cli.doctor import examine

    facts, problems = examine()
    if args.json:
        _print_json({**facts, "problems": problems})
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            print(f"{name.ljust(width)}  {value}")
        print("everything is in order" if not problems else "")
    for problem in problems:
        print(f"aotnb: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _demo(args: argparse.Namespace) -> int:
    import subprocess
    from pathlib import Path

    script = Path(__file__).resolve().parents[2] / "notebooks" / "demo.py"
    if not script.is_file():
        raise AotError("the demo is part of the source, not of the installed package; get a source checkout and say make demo")
    options = ["--only-notebooks"] if args.only_notebooks else []
    options += ["--keep", args.keep] if args.keep else []
    return subprocess.run([sys.executable, str(script), *options], check=False).returncode


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=1, default=str))
