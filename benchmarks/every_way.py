"""Build an image in every way and load it: shards, CPU targets and linkers must not change what a program computes.

    python benchmarks/every_way.py [--links cc,in-process] [--shards 1,2] [--folder DIR] [--plain FILE] [SCRIPT ...]

A script prints, as its last line, one JSON object with the member "digest". It is run without an image, and recorded once;
from the raw IR of that image others are built, for each linker that is here, each list of CPU targets and each number of
shards. For each list and number all is compiled once, and linked by each linker. Images that differ in the number of shards
must be equal, byte for byte. For each list and linker, one is loaded by a process of its own, which must compile nothing and
print the same digest. Recordings in DIR are used again; FILE is a JSON object that gives the digests of runs without an
image by the name of the script, so that these need not be run. Exits with 1 where anything differs.
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


def record(script: Path, folder: Path) -> Path:
    """Return the image of a script, recorded without any other; the digest of that run is beside it."""
    image = folder / f"{script.stem}.aot"
    if not image.exists():
        command = [sys.executable, "-m", "aotnb", "run", "--record", "--image", str(image), str(script)]
        digest = digest_of(command, AOTNB_IMAGE_THREADS="1")
        image.with_suffix(".digest").write_text(digest, encoding="utf-8")
    return image


def build(recorded: str, folder: str, targets: str, links: list[str], shards: list[str]) -> None:
    """Compile the raw IR of the image *recorded* for *targets*, in *shards*, and link it by each of *links*.

    Leaves the image of each linker in *folder*, and prints a row on each compilation; of these the images must be equal.
    """
    from aotnb.building.pipeline import cpu_targets, create, dump
    from aotnb.image.reader import ImageReader
    from aotnb.image.units import stored_units
    from aotnb.tracing.recorder import Recorder

    for count in shards:
        os.environ["AOTNB_IMAGE_THREADS"] = count
        job = create(Recorder(), [], targets=cpu_targets(targets), keep=[ImageReader(recorded)])
        job.stock = {}  # nothing is taken over
        equal, saved = {}, []
        for link in links:
            path, before = Path(folder) / f"{link}.aot", b""
            if count != shards[0]:
                before = path.read_bytes()
            saved.append(dump(job, path, link=link))
            job.stock = job.stock or stored_units(ImageReader(path).file)  # compiled by now, to be linked by the others
            equal[link] = not before or before == path.read_bytes()
        first = saved[0]
        row = {"shards": count, "seconds": round(first.seconds, 1), "size": first.size, "units": first.units}
        row |= {"compiled": [report.units - report.reused for report in saved], "equal": equal}
        print(json.dumps(row | {"peak": max(shard.peak for shard in first.shards)}), flush=True)


def check(script: Path, links: list[str], shards: list[str], folder: Path, plain: dict[str, str]) -> bool:
    """Build and load the image of one script in every way; return whether all was as it should be."""
    expected = plain.get(script.stem) or digest_of([sys.executable, str(script)])
    recorded = record(script, folder)
    good = recorded.with_suffix(".digest").read_text(encoding="utf-8") == expected
    if not good:
        say(f"{script.stem}: another digest where it was recorded")
    for targets in TARGETS:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            command = [sys.executable, __file__, "--build", str(recorded), place, targets]
            command += ["--links", ",".join(links), "--shards", ",".join(shards)]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
            rows = [json.loads(line) for line in told]
            for row in rows:
                say(f"{script.stem}: {targets}: {row}")
            for link in links:
                row = loaded(script, Path(place) / f"{link}.aot", expected)
                row["equal"] = all(built["equal"][link] for built in rows)
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
    parser.add_argument("--folder", type=Path, help="where recordings are kept; default: nowhere")
    parser.add_argument("--plain", type=Path, help="a JSON file with the digests of runs without an image")
    parser.add_argument("--record", action="store_true", help="record the scripts and do no more")
    parser.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    from aotnb.building.link import find_linkers

    links = args.links.split(",") if args.links else [*find_linkers(), "in-process"]
    shards = args.shards.split(",")
    if args.build:
        build(*args.build, links, shards)
        return
    scripts = args.scripts or [HERE / "workloads" / name for name in ("stumpy_stump.py", "umap_fit.py")]
    plain = json.loads(args.plain.read_text(encoding="utf-8")) if args.plain else {}
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        for script in map(Path.resolve, scripts):
            try:
                results.append(bool(record(script, folder)) if args.record else check(script, links, shards, folder, plain))
            except subprocess.CalledProcessError as error:
                say(f"{script.stem}: {error}")
                results.append(False)
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
