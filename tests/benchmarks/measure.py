#!/usr/bin/env python3
"""Runs the benchmarks and keeps what they found in docs/benchmarks/figures.json; draw.py makes docs/benchmarks.md of it.

usage: measure.py [--quick] [PART…]      parts: transfer snapshot calls latency scale size; all where none is named

--quick leaves out what takes minutes. The programs are those of target/release, as `make bench-all` builds them. Nothing else should
run meanwhile: each part says how busy the machine was before it.
"""

import gzip
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs/benchmarks/figures.json"
EXAMPLES = ROOT / "target/release/examples"
LIMIT = 3600


def main():
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    parts = [argument for argument in arguments if argument != "--quick"] or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        sys.exit(f"{__doc__}\nno such part: {', '.join(unknown)}")
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures["machine"] = machine()
    for part in parts:
        print(f"# {part}", file=sys.stderr, flush=True)
        before = os.getloadavg()[0]
        began = time.time()
        figures[part] = {"load_before": round(before, 2), "commit": commit(), **PARTS[part](quick)}
        figures[part]["took_s"] = round(time.time() - began)
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


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
    """Calls of Route 53's API."""
    rows = []
    for line in run(EXAMPLES / "calls").splitlines()[1:]:
        records, what, all_calls, batches = re.match(r" *(\d+)  (.+?) +(\d+) +(\d+)$", line).groups()
        rows.append({"records": int(records), "what": what, "calls": int(all_calls), "batches": int(batches)})
    return {"rows": rows}


def latency(quick):
    """From a change at a primary to its acceptance by Route 53, through the real processes."""
    rows = []
    for primary in ("ours", "bind", "knot"):
        # More would first have to get through Route 53's rate of changes.
        for records in (10, 1_000):
            changes = 20 if quick else 200
            told = run(ROOT / "target/release/latency", "--primary", primary, "--records", records, "--changes", changes)
            row = dict(re.findall(r"(median|p99|max) (\d+) ms", told))
            rows.append({"primary": primary, "records": records, "changes": changes, **{key: int(value) for key, value in row.items()}})
    return {"rows": rows}


def scale(quick):
    """One relay and many zones of 20 records."""
    rows = []
    for zones in [1, 10, 100, 1_000] + ([] if quick else [10_000]):
        for changed in sorted({max(1, zones // 100), zones // 10, zones} - {0}) if not quick else [max(1, zones // 10)]:
            told = run(EXAMPLES / "many-zones", zones, changed)
            number = lambda pattern: float(re.search(pattern, told).group(1))
            rows.append({"zones": zones, "changed": changed, "listening_s": number(r"listening after ([\d.]+)"),
                         "first_sent_s": number(r"first time after ([\d.]+)"), "sent_s": number(r"all sent after ([\d.]+)"),
                         "never_answered": int(number(r"never answered: (\d+)")), "mib": number(r"holds ([\d.]+) MiB"),
                         "peak_mib": max(map(float, re.findall(r"at most ([\d.]+)", told)))})
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


PARTS = {part.__name__: part for part in (transfer, snapshot, calls, latency, scale, size)}


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
            "bind": ["named", "-v"]}


def version(*command):
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    program = shutil.which(command[0], path=path)
    if program is None:
        return "not there"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def commit():
    return subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT).stdout.strip()


if __name__ == "__main__":
    main()
