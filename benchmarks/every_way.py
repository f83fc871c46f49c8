"""Build an image in every way and load it: shards, CPU targets and linkers must not change what a program computes.

    python benchmarks/every_way.py [--links cc,in-process] [--shards 1,2] [SCRIPT ...]

A script prints, as its last line, one JSON object with the member "digest". It is run without an image, and recorded once;
from the raw IR of that image others are built, for each linker that is here, each list of CPU targets and each number of
shards. Images that differ in the number of shards must be equal, byte for byte. Each image is loaded by a process of its
own, which must compile nothing and print the same digest. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TARGETS = ("native", "generic;x86-64-v3;native")
OURS = ("AOTNB_IMAGE", "AOTNB_RECORD", "AOTNB_REPORT", "AOTNB_CPU_TARGET", "AOTNB_LINK")


def digest_of(command: list[str], **variables: str) -> str:
    """Run a script in a fresh process and return the digest that it prints."""
    env = {name: value for name, value in os.environ.items() if name not in OURS} | variables
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return str(json.loads(done.stdout.splitlines()[-1])["digest"])


def build(recorded: str, path: str, link: str, targets: str) -> None:
    """Compile the raw IR of the image *recorded* again, for *targets*, and print a row on how that went."""
    from aotnb.building.pipeline import cpu_targets, create, dump
    from aotnb.image.reader import ImageReader
    from aotnb.tracing.recorder import Recorder

    job = create(Recorder(), [], targets=cpu_targets(targets), keep=[ImageReader(recorded)])
    job.stock = {}  # nothing is taken over
    saved = dump(job, Path(path), link=link)
    peak = max((shard.peak for shard in saved.shards), default=0)
    print(json.dumps({"seconds": saved.seconds, "size": saved.size, "units": saved.units, "peak": peak}))


def check(script: Path, links: list[str], shards: list[str], folder: Path) -> bool:
    """Build and load the image of one script in every way; return whether all was as it should be."""
    recorded = folder / f"{script.stem}.aot"
    plain = digest_of([sys.executable, str(script)])
    digest_of([sys.executable, "-m", "aotnb", "run", "--record", "--image", str(recorded), str(script)], AOTNB_IMAGE_THREADS="1")
    good = True
    for targets in TARGETS:
        for link in links:
            images = {}
            for count in shards:
                path = folder / "one.aot"
                command = [sys.executable, __file__, "--build", str(recorded), str(path), link, targets]
                env = {**os.environ, "AOTNB_IMAGE_THREADS": count}
                told = json.loads(subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)
                images[path.read_bytes()] = count
                say(
                    f"{script.stem}: {targets} by {link}, {count} shards: {told['seconds']:.1f} s, {told['size']} bytes, "
                    f"{told['units']} units, {told['peak'] // 1024} MB in a shard"
                )
            row = loaded(script, path, plain)
            row["equal"] = len(images) == 1
            good = good and row["equal"] and row["same"] and not row["compiled"]
            print(json.dumps({"script": script.stem, "targets": targets, "link": link, "shards": shards, **row}), flush=True)
    return good


def loaded(script: Path, image: Path, plain: str) -> dict[str, Any]:
    """Run a script from its image; return what it compiled all the same, and whether the digest is the *plain* one."""
    report = image.with_suffix(".json")
    command = [sys.executable, "-m", "aotnb", "run", "--image", str(image), "--report", str(report), str(script)]
    same = digest_of(command) == plain
    told = json.loads(report.read_text(encoding="utf-8"))
    return {"compiled": [item["function"] for item in told["compiled"]], "served": len(told["served"]), "same": same}


def say(text: str) -> None:
    """Tell on standard error how far it is."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Check all scripts."""
    parser = argparse.ArgumentParser(description="Images built in every way compute the same.")
    parser.add_argument("scripts", nargs="*", type=Path, help="default: those in workloads/ that print a digest")
    parser.add_argument("--links", default="", help="linkers, with commas between; default: all that are here")
    parser.add_argument("--shards", default="1,2", help="numbers of shards, with commas between")
    parser.add_argument("--build", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        build(*args.build)
        return
    from aotnb.building.link import find_linkers

    links = args.links.split(",") if args.links else [*find_linkers(), "in-process"]
    scripts = args.scripts or [HERE / "workloads" / name for name in ("stumpy_stump.py", "umap_fit.py")]
    with tempfile.TemporaryDirectory() as folder:
        results = [check(script.resolve(), links, args.shards.split(","), Path(folder)) for script in scripts]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
