"""Runs Almagest and the Python peer in turn on the same input and prints ratios. See bench/run."""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import scaling
import server
import transfer

HERE = Path(__file__).resolve().parent


@dataclass
class Took:
    """What a command took: wall-clock and CPU seconds, peak resident memory of its largest process in MB."""

    wall: float
    cpu: float
    peak_mb: float
    out: str = ""


def run(*command, ok=(0,), **options):
    """Runs a command to its end with the page cache as it is."""
    before = time.monotonic()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    out, err = process.communicate()
    wall = time.monotonic() - before
    if process.returncode not in ok:
        sys.exit(f"{' '.join(map(str, command))}: exit {process.returncode}\n{err.decode()}")
    return wall, out.decode()


def timed(*command, ok=(0,)):
    """As `run`, with CPU and memory of the whole process tree (children that were waited for)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        wall, out = run(*command, ok=ok)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = dict(wall=wall, cpu=usage.ru_utime + usage.ru_stime, peak_mb=usage.ru_maxrss / 1024, out=out)
        with os.fdopen(writer, "w") as pipe:
            json.dump(report, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not text:
        sys.exit(1)
    return Took(**json.loads(text))


def median(runs, what):
    return statistics.median(getattr(r, what) for r in runs)


class Bench:
    def __init__(self, arguments):
        self.almagest = Path(arguments.almagest)
        self.work = Path(arguments.work)
        self.small = arguments.small
        self.rows = []
        self.peaks = {}

    def fresh(self, name):
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def simulate(self, name, *options):
        out = self.work / name
        done = out / ".options"
        if done.exists() and done.read_text() == " ".join(map(str, options)):
            deliveries = [p for p in out.iterdir() if p.is_dir()]
        else:
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            timed(self.almagest, "simulate", out, *options)
            done.write_text(" ".join(map(str, options)))
            deliveries = [p for p in out.iterdir() if p.is_dir()]
        return sorted(deliveries)[0]

    def site(self, name):
        site = self.fresh(name)
        run(self.almagest, "init", site)
        run(self.almagest, "--site", site, "programme", "add", "U07B12", "u/07b/12")
        return site

    def peer(self, step, delivery, out):
        return timed(sys.executable, HERE / "peer.py", step, delivery, out, 2)

    def step(self, site, *words):
        took = timed(self.almagest, "--site", site, *words, ok=(0, 1))
        self.peaks[words[0]] = max(self.peaks.get(words[0], 0), took.peak_mb)
        return took

    def sql(self, site, query):
        _, out = run(self.almagest, "--site", site, "sql", query, "--format", "json")
        return json.loads(out)

    def add(self, what, ours, theirs, ratio, bar, holds):
        self.rows.append((what, ours, theirs, f"{ratio:.2f}", bar, "reached" if holds else "NOT reached"))

    def table(self):
        head = ("what", "Almagest", "peer", "ratio", "bar", "")
        rows = [head, *self.rows]
        widths = [max(len(r[i]) for r in rows) for i in range(len(head))]
        for i, row in enumerate(rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
            if i == 0:
                print("  ".join("-" * w for w in widths))


def count_of(delivery):
    files = [p for p in delivery.iterdir() if p.suffix in (".fit", ".fits")]
    return len([p for p in files if p.suffix == ".fit"]), sum(p.stat().st_size for p in files)


def night(bench, repeats):
    """The night of section one: each step beside its peer, then the whole."""
    frames, detections = (60, 1000) if not bench.small else (6, 1000)
    delivery = bench.simulate("night", "--night", 20071011, "--frames", frames, "--detections", detections,
                              "--detector-size", 2048, "--stacks-only", "--seed", 1)
    images, size = count_of(delivery)
    print(f"input: {delivery.name}, {images} images, {size / 1e9:.2f} GB")
    runs = {}
    for turn in range(repeats):
        site = bench.site("site")
        ours = {"transfer": bench.step(site, "transfer", delivery)}
        peer = bench.fresh("peer")
        theirs = {"transfer": bench.peer("transfer", delivery, peer / "library")}
        for step in ("preview", "metadata", "catalogue"):
            ours[step] = bench.step(site, step)
            out = peer / ("previews" if step == "preview" else "staged")
            theirs[step] = bench.peer(step, peer / "library", out)
            if step == "metadata":
                bench.step(site, "ingest")  # what follows is the lake alone
        os.sync()
        ours["ingest"] = bench.step(site, "ingest")
        os.sync()
        theirs["ingest"] = copy_lake(bench, site)
        ours["night"] = bench.step(bench.site("site-whole"), "run", delivery)
        theirs["night"] = bench.peer("night", delivery, bench.fresh("peer-whole"))
        runs[turn] = (ours, theirs)
    report_night(bench, runs, site)


def copy_lake(bench, site):
    """The floor of the lake: cp and sync of the very files."""
    target = bench.fresh("lake-copy")
    lake = site / "lake"
    script = f"cp -r '{lake}' '{target}' && sync -f '{target}'"
    return timed("sh", "-c", script)


def report_night(bench, runs, site):
    def both(step, what="wall"):
        return (median([r[0][step] for r in runs.values()], what), median([r[1][step] for r in runs.values()], what))

    counted = bench.sql(
        site,
        "SELECT (SELECT count(*) FROM multiframe_detector) AS detectors,"
        " (SELECT count(*) FROM multiframe) AS frames, (SELECT count(*) FROM detection) AS detections",
    )[0]
    a, p = both("preview", "cpu")
    n = counted["detectors"]
    bench.add("previews: CPU ms per detector", f"{1e3 * a / n:.1f}", f"{1e3 * p / n:.1f}", a / p, "<= 0.25", a / p <= 0.25)
    n = counted["frames"]
    a, p = both("metadata")
    bench.add("metadata: files per second", f"{n / a:.0f}", f"{n / p:.0f}", p / a, ">= 30", p / a >= 30)
    n = counted["detections"]
    a, p = both("catalogue")
    bench.add("catalogue: detections per second", f"{n / a:.0f}", f"{n / p:.0f}", p / a, ">= 6", p / a >= 6)
    n = sum(f.stat().st_size for f in (site / "lake").rglob("*.parquet")) / 1e6
    a, p = both("ingest")
    bench.add("lake ingest: MB per second (cp + sync)", f"{n / a:.0f}", f"{n / p:.0f}", p / a, ">= 0.5", p / a >= 0.5)
    a, p = both("night")
    bench.add("whole night: seconds", f"{a:.1f}", f"{p:.1f}", p / a, ">= 4", p / a >= 4)
    memory(bench)


def memory(bench):
    allowed = 300 + 150 * (os.cpu_count() or 1)
    step, peak = max(bench.peaks.items(), key=lambda item: item[1])
    bench.add(f"memory: peak MB ({step})", f"{peak:.0f}", f"{allowed}", peak / allowed, "<= 1", peak <= allowed)


COUNTS = (
    "SELECT (SELECT count(*) FROM multiframe) AS files, (SELECT count(*) FROM multiframe_detector) AS detectors,"
    " (SELECT count(*) FROM detection) AS detections, (SELECT count(DISTINCT programme_id) FROM detection) AS programmes"
)


def full(bench):
    """What file counts cost: the paper's night beside what the rates of smaller ones predict."""
    frames = 3000 // (10 if bench.small else 1)
    # The same kind of files throughout: rates from 2048x2048 detectors would flatter those of 64x64.
    options = ("--detections", 250, "--detector-size", 64, "--programmes", 6, "--stacks-only")
    rates = rates_of_steps(bench, bench.simulate("full-small", "--frames", 60, *options, "--seed", 4))
    fifth = bench.simulate("full-fifth", "--frames", frames // 5, *options, "--seed", 3)
    delivery = bench.simulate("full", "--frames", frames, *options, "--seed", 2)
    part = bench.step(bench.site("site-fifth"), "run", fifth)
    part_counts = bench.sql(bench.work / "site-fifth", COUNTS)[0]
    whole = bench.step(bench.site("site-full"), "run", delivery)
    counts = bench.sql(bench.work / "site-full", COUNTS)[0]
    print(f"full count: {counts}")
    predictions = {
        "60 multiframes' rates": sum(rate * counts[what] for what, rate in rates.items()),
        "a fifth of it": part.wall * counts["files"] / part_counts["files"],
    }
    for source, predicted in predictions.items():
        ratio = whole.wall / predicted
        bench.add(f"full count: seconds (predicted from {source})", f"{whole.wall:.1f}", f"{predicted:.1f}", ratio,
                  "<= 1.2", ratio <= 1.2)
    memory(bench)


def rates_of_steps(bench, delivery):
    """Seconds per file, detector and detection, from the steps whose work is counted in them."""
    site = bench.site("site-small")
    took = {step: bench.step(site, step, *words).wall for step, *words in
            (("transfer", delivery), ("preview",), ("metadata",), ("catalogue",), ("ingest",))}
    counts = bench.sql(site, COUNTS)[0]
    return {
        "files": (took["transfer"] + took["metadata"]) / counts["files"],
        "detectors": took["preview"] / counts["detectors"],
        "detections": (took["catalogue"] + took["ingest"]) / counts["detections"],
    }


def growth(bench):
    """Ingesting small nights one after the other: what the 300th costs beside the first."""
    nights = 300 if not bench.small else 30
    site = bench.site("site-growth")
    took = []
    for number in range(nights):
        out = bench.fresh("growth-night")
        date = time.strftime("%Y%m%d", time.gmtime(1.1e9 + 86400 * number))
        run(bench.almagest, "simulate", out, "--night", date, "--frames", 4, "--detections", 250,
            "--detector-size", 64, "--stacks-only", "--seed", number)
        delivery = next(p for p in out.iterdir() if p.is_dir())
        for step in (("transfer", delivery), ("preview",), ("metadata",), ("catalogue",)):
            bench.step(site, *step)
        took.append(bench.step(site, "ingest").wall)
    first, last = statistics.median(took[:5]), statistics.median(took[-5:])
    for number in (0, 29, nights - 1):
        print(f"ingest of night {number + 1}: {1e3 * took[number]:.0f} ms")
    bench.add(f"growth: ms to ingest night {nights} (and 1)", f"{1e3 * last:.0f}", f"{1e3 * first:.0f}", last / first,
              "<= 1.1", last / first <= 1.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", default="night", choices=["night", "full", "growth", "server", "scaling", "transfer", "all"])
    parser.add_argument("--almagest", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--repeats", type=int, default=3, help="of the night, medians are shown")
    parser.add_argument("--use-case", choices=[*scaling.USE_CASES, "all"], help="of scaling; else each of them")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    if arguments.what in ("night", "all"):
        night(bench, arguments.repeats)
    if arguments.what in ("full", "all"):
        full(bench)
    if arguments.what in ("growth", "all"):
        growth(bench)
    if arguments.what in ("server", "all"):
        server.run(bench, arguments.repeats)
    if arguments.what in ("transfer", "all"):
        transfer.run(bench, arguments.repeats, timed, median)
    if arguments.what == "scaling":
        scaling.run(bench, arguments.repeats, arguments.use_case)
    bench.table()
    if not arguments.keep:
        shutil.rmtree(bench.work, ignore_errors=True)


if __name__ == "__main__":
    main()
