#!/usr/bin/env python3
"""Runs the benchmarks and keeps what they found in benchmarks/figures.json of a folder, docs where none is named; draw.py makes
benchmarks.md of it.

usage: measure.py [--quick] [--into FOLDER] [PART…]      parts: transfer snapshot calls rates sync latency scale size profile; all where none is named

--quick leaves out what takes minutes, and rates unless it is named. The programs are those of target/release, as `make bench-all` builds them. Nothing else should
run meanwhile: each part says how busy the machine was before it.
"""

import argparse
import gzip
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "target/release/examples"
BENCH = ROOT / ".local/bench/bin"
LIMIT = 2 * 3600
# A load average of one minute. It falls to a half in some forty seconds.
QUIET = 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--into", type=pathlib.Path, default=ROOT / "docs")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    given = parser.parse_args()
    parts = given.parts or [part for part in PARTS if not given.quick or part not in LONG]
    quick, kept = given.quick, given.into / "benchmarks/figures.json"
    figures = json.loads(kept.read_text()) if kept.exists() else {}
    figures["machine"] = machine()
    for part in parts:
        print(f"# {part}", file=sys.stderr, flush=True)
        before = os.getloadavg()[0] if quick else settle()
        began = time.time()
        figures[part] = {"load_before": round(before, 2), "commit": commit(), "quick": quick, **PARTS[part](quick)}
        figures[part]["took_s"] = round(time.time() - began)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(figures, indent=1) + "\n")


def settle():
    """Waits, five minutes at most, until what the build or the part before has left behind is done; gives the load that is still there."""
    os.sync()
    for _ in range(60):
        if os.getloadavg()[0] < QUIET:
            break
        time.sleep(5)
    return os.getloadavg()[0]


def transfer(quick):
    """One zone from Knot to all that can take it: seconds, processor time, peak memory."""
    sizes = [1_000, 10_000, 100_000] + ([] if quick else [1_000_000])
    rows = []
    for records in sizes:
        text = run(EXAMPLES / "secondaries", records, 3 if records > 100_000 else 5)
        for line in text.splitlines():
            found = re.match(r"(.{18}) +([\d.]+) +([\d.]+) +([\d.]+) +[\d.]+ +[\d.]+ +([\d.]+) ([\d.]+)$", line)
            if found:
                name, wall, cpu, peak, least, most = (group.strip() for group in found.groups())
                rows.append({"records": records, "who": name, "wall_s": float(wall), "cpu_s": float(cpu), "peak_mib": float(peak),
                             "least_s": float(least), "most_s": float(most)})
    return {"rows": rows}


def snapshot(quick):
    """Octets of a record: as a snapshot, and as a zone file in gzip and zstd."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in [("reference", reference(10_000)), ("directory", directory(10_000))]:
            file = pathlib.Path(folder) / name
            file.write_text(text)
            told = run(EXAMPLES / "snapshot", file, "example.com", 11)
            of = lambda what: float(re.search(rf"{what}: ([\d.]+) ms", told).group(1))
            row = {"zone": name, "records": 10_000, "snapshot": int(re.search(r"snapshot (\d+) octets", told).group(1)),
                   "encode_ms": of("encode"), "decode_ms": of("decode"), "digest_ms": of("digest"),
                   "text": len(text), "gzip_9": len(gzip.compress(text.encode(), 9))}
            if shutil.which("zstd"):
                for level in (3, 19):
                    row[f"zstd_{level}"] = len(subprocess.run(["zstd", f"-{level}", "-c", file], capture_output=True, check=True).stdout)
            rows.append(row)
        # What one message holds: 1 MiB, less 4 KiB for a note and some hundred octets of attributes, in base64.
        room = (2**20 - 4096 - 700) * 3 // 4
        fits, too_many = 40_000, 100_000
        while too_many - fits > 500:
            middle = (fits + too_many) // 2
            file = pathlib.Path(folder) / "zone"
            file.write_text(reference(middle))
            octets = int(re.search(r"snapshot (\d+) octets", run(EXAMPLES / "snapshot", file, "example.com", 1)).group(1))
            fits, too_many = (middle, too_many) if octets <= room else (fits, middle)
    return {"rows": rows, "records_in_a_message": fits}


def calls(quick):
    """What a sync costs, by the size of the zone: calls of Route 53's API, changes, octets, the worker's time."""
    rows = []
    # The smallest has five: a SOA, two NS and their addresses.
    for line in run(EXAMPLES / "calls", 5, 10, 100, 1_000, 10_000, *([] if quick else [100_000])).splitlines()[1:]:
        records, what, *numbers, ms = re.match(r" *(\d+)  (.+?) +(\d+) +(\d+) +(\d+) +(\d+) +([\d.]+)$", line).groups()
        row = {"records": int(records), "what": what, **dict(zip(("calls", "batches", "changes", "octets"), map(int, numbers)))}
        rows.append({**row, "worker_ms": float(ms), "least_s": least_seconds(row["calls"] - row["batches"], row["batches"], row["changes"])})
    return {"rows": rows}


def sync(quick):
    """octoDNS and we, on the same primary and hosted zone."""
    rows = []
    for records in [100, 1_000] + ([] if quick else [10_000]):
        for rates in [["--unlimited"], []]:
            # What is throttled takes minutes, and is much the same each time.
            runs = 1 if quick else 5 if records < 10_000 and rates else 3
            told = run("python3", ROOT / "tests/octodns/compare.py", BENCH, ROOT / "target/release/secondary53",
                       ROOT / "target/release/strict-hosted-zone", records, "--json", "--runs", runs, *rates)
            found = [json.loads(line) for line in told.splitlines()]
            for what, who in dict.fromkeys((step["what"], step["who"]) for step in found):
                mine = [step for step in found if (step["what"], step["who"]) == (what, who)]
                row = {key: mine[0][key] for key in ("records", "buckets", "what", "who", "max_changes", "batches", "changes")}
                rows.append({**row, "runs": runs, "calls": middle(step["calls"] for step in mine), "refused": middle(step["refused"] for step in mine),
                             "s": middle(step["s"] for step in mine), "least_s": min(step["s"] for step in mine), "most_s": max(step["s"] for step in mine),
                             "cpu_s": middle(step["cpu_s"] for step in mine), "mib": middle(step["mib"] for step in mine),
                             "failed": next((step["failed"] for step in mine if step["failed"]), None)})
    versions = subprocess.run([BENCH / "pip", "list", "--format", "json", "--disable-pip-version-check"], capture_output=True, text=True, check=True)
    versions = {package["name"]: package["version"] for package in json.loads(versions.stdout)}
    return {"rows": rows, "versions": {name: versions.get(name) for name in ("octodns", "octodns-bind", "octodns-route53", "boto3")}}


def latency(quick):
    """From a change at a primary to its acceptance by Route 53, through the real processes, and where the time goes."""
    rows = []
    for primary, records, changes in [("ours", 10, 1_000), ("ours", 10_000, 1_000), ("bind", 10, 200), ("bind", 10_000, 200),
                                      ("knot", 10, 200), ("knot", 10_000, 200)]:
        changes = 20 if quick else changes
        told = run(ROOT / "target/release/latency", "--primary", primary, "--records", records, "--changes", changes, "--json")
        rows.append({"primary": primary, "records": records, **json.loads(told)})
    return {"rows": rows}


def scale(quick):
    """One relay and many zones of 20 records, beside what Route 53 needs for as much."""
    rows = []
    for zones in [1, 10, 100, 1_000] + ([] if quick else [10_000]):
        changed = sorted({max(1, zones // 100), max(1, zones // 10), zones})
        told = run(EXAMPLES / "many-zones", zones, ",".join(map(str, changed)), 10 if quick else 60).splitlines()
        listening = float(re.search(r"listening after ([\d.]+)", told[0]).group(1))
        for line in told[1:]:
            what, *numbers = re.match(r"(.+): ([\d.]+) s, processor ([\d.]+) s, (\d+) messages, (\d+) requests, (\d+) octets, (\d+) sockets, "
                                      r"holds ([\d.]+) MiB, at most ([\d.]+) MiB$", line).groups()
            s, cpu_s, messages, requests, octets, sockets, mib, peak_mib = map(float, numbers)
            row = {"zones": zones, "what": what, "listening_s": listening, "s": s, "cpu_s": cpu_s, "messages": int(messages), "requests": int(requests),
                   "octets": int(octets), "sockets": int(sockets), "mib": mib, "peak_mib": peak_mib}
            count = re.match(r"(\d+) changed, (\d+) NOTIFYs sent again, (\d+) never", what)
            if count:
                row.update(changed=int(count.group(1)), again=int(count.group(2)), lost=int(count.group(3)))
            rows.append(row)
    return {"rows": rows, "route53": [route53(*work) for work in WORK]}


# 10,000 zones of 20 records: what is done, zones, and for each the requests that read, the batches, and the changes as Route 53 counts them.
WORK = [
    # The zone's id is asked for by another action, which has a bucket of its own. 18 RRsets, and the SOA, which counts twice.
    ("first sync", 10_000, 1, 1, 18 + 2),
    ("1 % changed: one RRset each", 100, 1, 1, 2 + 2),
    ("10 % changed: one RRset each", 1_000, 1, 1, 2 + 2),
    ("100 % changed: one RRset each", 10_000, 1, 1, 2 + 2),
    ("100 % changed: all RRsets of each", 10_000, 1, 1, 2 * 18 + 2),
    ("audit: nothing changed", 10_000, 1, 0, 0),
]


def route53(what, zones, reads, batches, changes):
    return {"what": what, "zones": zones, "requests": zones * (reads + batches), "changes": zones * changes,
            "requests_s": least_seconds(zones * reads, zones * batches, 0), "changes_s": least_seconds(0, 0, zones * changes)}


def least_seconds(reads, batches, changes):
    """What Route 53's published buckets, full at the beginning, let nobody do in less time: 50 requests at once and 10 a second for each
    action, 1,500 changes at once and 100 a second."""
    return round(max((reads - 50) / 10, (batches - 50) / 10, (changes - 1_500) / 100, 0), 1)


def profile(quick):
    """Instructions of the steps of the work on 10,000 records, and the functions that take most of them, by valgrind's callgrind."""
    rows = []
    records = 1_000 if quick else 10_000
    for step in run(EXAMPLES / "hot-paths").splitlines():
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/out"
            run("valgrind", "--quiet", "--tool=callgrind", "--toggle-collect=*measured*", f"--callgrind-out-file={out}", EXAMPLES / "hot-paths", step, records)
            told = run("callgrind_annotate", "--threshold=100", out)
        total = int(re.search(r"([\d,]+)[^\n]*PROGRAM TOTALS", told).group(1).replace(",", ""))
        functions = {}
        for line in told.splitlines():
            found = re.match(r" *([\d,]+) \( *[\d.]+%\)  (\S+?):(.+?)(?: \[.*\])?$", line)
            if found:
                name = re.sub(r"'\d+$|<impl [^>]*>::|::h[0-9a-f]{16}$", "", found.group(3))
                functions[name] = functions.get(name, 0) + int(found.group(1).replace(",", ""))
        most = sorted(functions.items(), key=lambda item: -item[1])[:5]
        rows.append({"step": step, "records": records, "instructions": total, "most": [[name, count] for name, count in most]})
    return {"rows": rows}


def size(quick):
    """Octets of the programs, and of what Lambda is given."""
    paths = ("release/secondary53-relay", "worker/bootstrap", "release/secondary53")
    programs = {pathlib.Path(path).name: (ROOT / "target" / path).stat().st_size for path in paths}
    with tempfile.TemporaryDirectory() as folder:
        archive = shutil.make_archive(f"{folder}/worker", "zip", ROOT / "target/worker", "bootstrap")
        zipped = os.stat(archive).st_size
    started = run(EXAMPLES / "cold_start", ROOT / "target/worker/bootstrap", 20)
    return {"programs": programs, "zip": zipped, "worker": started.splitlines()}


def rates(quick):
    """Seconds of the worker beside what Route 53's buckets need for the same calls; five minutes."""
    rows = []
    for line in run(EXAMPLES / "rates", ROOT / "target/worker/bootstrap").splitlines():
        pattern = r"(.+), (\d+) at work: ([\d.]+) s, at least ([\d.]+) s, ([\d.]+) times; (\d+) calls, (\d+) throttled"
        what, workers, seconds, least, times, all_calls, throttled = re.match(pattern, line).groups()
        rows.append({"what": what, "workers": int(workers), "seconds": float(seconds), "least_s": float(least), "times": float(times),
                     "calls": int(all_calls), "throttled": int(throttled)})
    return {"rows": rows}


PARTS = {part.__name__: part for part in (transfer, snapshot, calls, rates, sync, latency, scale, size, profile)}


# However few the runs.
LONG = {"rates"}


def middle(values):
    return statistics.median_low(list(values))


def run(*command):
    command = [str(argument) for argument in command]
    print("  " + " ".join(argument.replace(f"{ROOT}/", "") for argument in command), file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def reference(records):
    return run("python3", ROOT / "tests/reference_zone.py", records)


def directory(records):
    """Machines with an address each, as a directory service registers them; as in tests/tests/figures.rs."""
    lines = ["$ORIGIN example.com.", "@ 3600 IN SOA ns1 hostmaster 1 3600 600 1209600 300", "@ 3600 IN NS ns1"]
    random = 1
    for number in range(records - 2):
        random ^= random << 13 & 0xFFFFFFFF
        random ^= random >> 17
        random ^= random << 5 & 0xFFFFFFFF
        a, b, c = random >> 16 & 255, random >> 8 & 255, random & 255
        lines.append(f"{('pc', 'lap', 'srv', 'prn')[random % 4]}-{number} 1200 IN A 10.{a % 16}.{b}.{c}")
    return "\n".join(lines) + "\n"


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
            "system": platform.platform(), "versions": {name: version(*command) for name, command in VERSIONS.items()}}


VERSIONS = {"rustc": ["rustc", "--version"], "knot": ["knotd", "--version"], "nsd": ["nsd", "-v"], "dig": ["dig", "-v"],
            "bind": ["named", "-v"], "valgrind": ["valgrind", "--version"]}


def version(*command):
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    program = shutil.which(command[0], path=path)
    if program is None:
        return "not there"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def commit():
    """What is measured: the commit, and whether anything differs from it but what is written here."""
    git = lambda *words: subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs") else "")


if __name__ == "__main__":
    main()
