#!/usr/bin/env python3
"""Makes docs/benchmarks.md and the pictures beside it of docs/benchmarks/figures.json, which measure.py wrote."""

import json
import pathlib

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/benchmarks"
# The same file for the same figures, and text that can be searched.
matplotlib.rcParams.update({"svg.hashsalt": "secondary53", "svg.fonttype": "none", "figure.figsize": (7, 4), "axes.grid": True})


def main():
    figures = json.loads((FOLDER / "figures.json").read_text())
    machine = figures["machine"]
    versions = "; ".join(f"{name}: {text}" for name, text in machine["versions"].items())
    text = [
        "# Measured",
        "",
        "Made by [tests/benchmarks](../tests/benchmarks) from release builds, part by part; `make bench-all` makes all parts. Do not edit: what ran last is what stands",
        "here. Seconds are medians, with the least and the most of the runs where they say so.",
        "",
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']:,} MiB, {machine['system']}. {versions}.",
    ]
    for part, tell in [("transfer", transfer), ("snapshot", snapshot), ("calls", calls), ("latency", latency), ("scale", scale), ("size", size)]:
        if part in figures:
            found = figures[part]
            text += ["", *tell(found), "", f"<sub>commit {found['commit']}; load before: {found['load_before']}; took {found['took_s']} s</sub>"]
    (ROOT / "docs/benchmarks.md").write_text("\n".join(text) + "\n")


def transfer(found):
    rows = found["rows"]
    names = sorted({row["who"] for row in rows}, key=lambda name: (name != "secondary53-relay", name))
    for field, label in [("wall_s", "seconds"), ("peak_mib", "MiB at most")]:
        axes = lines(f"transfer-{field}", "records", label)
        for name in names:
            mine = [row for row in rows if row["who"] == name]
            axes.plot([row["records"] for row in mine], [row[field] for row in mine], marker="o", label=name,
                      linewidth=2.5 if name == "secondary53-relay" else 1)
        save(axes, f"transfer-{field}")
    ours = {row["records"]: row for row in rows if row["who"] == "secondary53-relay"}
    return [
        "## Transfer",
        "",
        "The reference zone from Knot, in turn, to all that can take it: the relay until its snapshot is sent and stored (`once`, from its start to its end), a Knot and",
        "an NSD secondary until they serve it, the others until they have it all. `secondaries RECORDS RUNS`.",
        "",
        "![seconds](benchmarks/transfer-wall_s.svg) ![memory](benchmarks/transfer-peak_mib.svg)",
        "",
        *table(["records", "", "seconds", "least – most", "× ours", "CPU s", "MiB at most", "× ours"],
               [[f"{row['records']:,}", row["who"], f"{row['wall_s']:.3f}", f"{row['least_s']:.3f} – {row['most_s']:.3f}",
                 f"{row['wall_s'] / ours[row['records']]['wall_s']:.2f}", f"{row['cpu_s']:.2f}", f"{row['peak_mib']:.1f}",
                 f"{row['peak_mib'] / ours[row['records']]['peak_mib']:.2f}"] for row in rows]),
    ]


def snapshot(found):
    rows = found["rows"]
    each = lambda row, key: f"{row[key] / row['records']:.2f}" if key in row else "–"
    return [
        "## Snapshot",
        "",
        "Octets of a record, 10,000 records: as it crosses the queue, and as a zone file. The reference zone, and one as a directory service makes it.",
        f"One message of 1 MiB holds some {found['records_in_a_message']:,} records of the reference zone.",
        "",
        *table(["zone", "snapshot", "gzip -9", "zstd -3", "zstd -19", "plain", "encode ms", "decode ms", "digest ms"],
               [[row["zone"], each(row, "snapshot"), each(row, "gzip_9"), each(row, "zstd_3"), each(row, "zstd_19"), each(row, "text"),
                 row["encode_ms"], row["decode_ms"], row["digest_ms"]] for row in rows]),
    ]


def calls(found):
    sizes = sorted({row["records"] for row in found["rows"]})
    steps = list(dict.fromkeys(row["what"] for row in found["rows"]))
    of = {(row["records"], row["what"]): row for row in found["rows"]}
    return [
        "## Calls",
        "",
        "Calls of Route 53's API, the hosted zone's id being known, and how many of them are batches of changes; against the strict hosted zone. The same on every machine.",
        "",
        *table(["", *(f"{size:,} records" for size in sizes)],
               [[what, *(f"{of[size, what]['calls']} ({of[size, what]['batches']})" for size in sizes)] for what in steps]),
    ]


def latency(found):
    return [
        "## Latency",
        "",
        "Milliseconds from a change to its acceptance by Route 53's stand-in, through the real relay, SQS's and Lambda's stand-in and the real worker, one change after the other.",
        "BIND and Knot hold their NOTIFY back; `ours` is a primary that does not, and counts from its NOTIFY.",
        "",
        *table(["primary", "records", "changes", "median", "99 %", "max"],
               [[row["primary"], f"{row['records']:,}", row["changes"], row["median"], row.get("p99", "–"), row["max"]] for row in found["rows"]]),
    ]


def scale(found):
    rows = found["rows"]
    axes = lines("scale", "zones", "MiB")
    largest = {row["zones"]: row for row in rows}
    axes.plot(list(largest), [row["mib"] for row in largest.values()], marker="o", label="held")
    axes.plot(list(largest), [row["peak_mib"] for row in largest.values()], marker="o", label="at most")
    save(axes, "scale-memory")
    return [
        "## Scale",
        "",
        "One relay, one scripted primary, zones of 20 records: from its start until all were sent for the first time (200 first looks a second), then some changed at once.",
        "",
        "![memory](benchmarks/scale-memory.svg)",
        "",
        *table(["zones", "listening s", "all sent s", "changed", "NOTIFYs lost", "sent s", "MiB", "at most"],
               [[f"{row['zones']:,}", f"{row['listening_s']:.3f}", f"{row['first_sent_s']:.1f}", f"{row['changed']:,}", row["never_answered"],
                 f"{row['sent_s']:.2f}", row["mib"], row["peak_mib"]] for row in rows]),
    ]


def size(found):
    return [
        "## Size and start",
        "",
        *table(["program", "octets"], [[name, f"{octets:,}"] for name, octets in found["programs"].items()] + [["bootstrap, zipped", f"{found['zip']:,}"]]),
        "",
        "The worker, from its start to its first answer, and what it holds:",
        "",
        "```text",
        *found["worker"],
        "```",
    ]


def lines(name, x, y):
    axes = plot.figure(name).add_subplot()
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    return axes


def save(axes, name):
    axes.legend()
    axes.figure.tight_layout()
    axes.figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})


def table(head, rows):
    line = lambda cells: "| " + " | ".join(str(cell) for cell in cells) + " |"
    return [line(head), line(["---"] * len(head)), *map(line, rows)]


if __name__ == "__main__":
    main()
