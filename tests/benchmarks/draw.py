#!/usr/bin/env python3
"""Makes benchmarks.md and the pictures beside it of benchmarks/figures.json, which measure.py wrote.

usage: draw.py [FOLDER]      docs where none is named
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = pathlib.Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs"
FOLDER = DOCUMENTS / "benchmarks"
# The same file for the same figures, and text that can be searched.
matplotlib.rcParams.update({"svg.hashsalt": "secondary53", "svg.fonttype": "none", "figure.figsize": (7, 4), "axes.grid": True})


# One benchmark behind the other makes a load of about one.
BUSY = 1.5


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
    for tell in (transfer, snapshot, calls, rates, sync, latency, scale, size, profile):
        if tell.__name__ in figures:
            found = figures[tell.__name__]
            quick = "; **quick: fewer runs, smaller sizes**" if found.get("quick") else ""
            busy = "; **the machine was busy**" if found["load_before"] > BUSY else ""
            text += ["", *tell(found), "", f"<sub>commit {found['commit']}; load before: {found['load_before']}; took {found['took_s']} s{quick}{busy}</sub>"]
    text += ["", *mended()]
    (DOCUMENTS / "benchmarks.md").write_text("\n".join(text) + "\n")


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
        "",
        *goals(rows),
    ]


def goals(rows):
    """What was to be reached at 100,000 records and beyond, and whether it is."""
    of = {(row["records"], row["who"]): row for row in rows}
    told = []
    for records in sorted({row["records"] for row in rows if row["records"] >= 100_000}):
        ours, dig, knot = (of[records, who] for who in ("secondary53-relay", "dig", "Knot secondary"))
        slower, lighter = ours["wall_s"] / dig["wall_s"], knot["peak_mib"] / ours["peak_mib"]
        told += [f"- {records:,} records: " + (f"faster than dig ({slower:.2f} of its time)" if slower < 1 else f"**slower than dig, by {100 * slower - 100:.0f} %**")
                 + f"; {lighter:.2f} times lighter than Knot" + ("" if lighter >= 3 else " (**the goal is missed**)")]
    return [
        "The goals: faster than dig, and a third of a Knot secondary's memory at most.",
        "",
        *told,
        "",
        "dig prints what comes and keeps nothing. The relay digests the zone as it comes, but folds, compresses, sends and stores it once the last record is there, for until then it is",
        "no zone: at a million records that is some three tenths of a second. Its memory is some 8 MiB whatever the zone (program, TLS, roots), and the zone beside its columns.",
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
    rows = found["rows"]
    sizes = sorted({row["records"] for row in rows})
    steps = list(dict.fromkeys(row["what"] for row in rows))
    of = {(row["records"], row["what"]): row for row in rows}
    for field, label in [("calls", "calls of the API"), ("octets", "octets of the message"), ("worker_ms", "ms of the worker")]:
        axes = lines(f"cost-{field}", "records", label)
        for what in steps:
            axes.plot(sizes, [of[size, what][field] for size in sizes], marker="o", label=what)
        save(axes, f"cost-{field}")
    return [
        "## Cost of a sync, by the size of the zone",
        "",
        "Calls of Route 53's API, the hosted zone's id being known, and how many of them are batches of changes; against the strict hosted zone. The same on every machine,",
        "and held by [tests/tests/figures.rs](../tests/tests/figures.rs). Message: octets as SQS counts them. Worker: decoding, comparing and asking, with Route 53's",
        "stand-in on the same machine and without its limits, which itself takes most of it in a first sync. Least: the seconds that Route 53's published buckets, full at the",
        "beginning, allow nobody to go below. A zone of five records is a SOA, two NS and their addresses; one of them is more than the quarter that a relay says of a zone.",
        "",
        "![calls](benchmarks/cost-calls.svg) ![octets](benchmarks/cost-octets.svg) ![milliseconds](benchmarks/cost-worker_ms.svg)",
        "",
        *table(["", *(f"{size:,} records" for size in sizes)],
               [[what, *(f"{of[size, what]['calls']} ({of[size, what]['batches']})" for size in sizes)] for what in steps]),
        "",
        *table(["records", "", "changes", "message", "octets a record", "worker ms", "least s"],
               [[f"{row['records']:,}", row["what"], f"{row['changes']:,}", f"{row['octets']:,}", f"{row['octets'] / row['records']:.1f}",
                 f"{row['worker_ms']:.2f}", f"{row['least_s']:g}"] for row in rows]),
    ]


def rates(found):
    return [
        "## Rates",
        "",
        "The function as it ships, one or two of it, at Route 53's rates: 50 requests at once and 10 a second of each action, 1,500 changes at once and 100 a",
        "second. From the first call to the last, beside the least time in which these buckets let the same calls through. `rates BOOTSTRAP`; the simulation holds",
        "the same in `make test`.",
        "",
        *table(["", "workers", "seconds", "least", "×", "calls", "of them throttled"],
               [[row["what"], row["workers"], f"{row['seconds']:.2f}", f"{row['least_s']:.2f}", f"{row['times']:.3f}", f"{row['calls']:,}", row["throttled"]]
                for row in found["rows"]]),
    ]


def sync(found):
    rows = found["rows"]
    steps = [what for what in dict.fromkeys(row["what"] for row in rows) if not what.startswith("plan")]
    names = list(dict.fromkeys(row["who"] for row in rows))
    for field, label in [("s", "seconds"), ("calls", "calls of the API")]:
        figure, panels = plot.subplots(2, 2, figsize=(9, 6.5), sharex=True, sharey=True)
        for axes, what in zip(panels.flat, steps):
            axes.set(xscale="log", yscale="log", title=what)
            for name, colour in zip(names, ("C0", "C1")):
                for buckets, style in [(True, "-"), (False, "--")]:
                    mine = [row for row in rows if (row["what"], row["who"], row["buckets"]) == (what, name, buckets)]
                    axes.plot([row["records"] for row in mine], [row[field] for row in mine], style, color=colour, marker="o",
                              label=f"{name}, {'Route 53’s rates' if buckets else 'no rates'}")
        for axes in panels[1]:
            axes.set_xlabel("records")
        for axes in panels[:, 0]:
            axes.set_ylabel(label)
        panels[0, 0].legend(fontsize="small")
        figure.tight_layout()
        figure.savefig(FOLDER / f"sync-{field}.svg", metadata={"Date": None})
    ours = {(row["records"], row["buckets"], row["what"]): row for row in rows if row["who"] == "secondary53"}
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    result = [
        "## Sync, beside octoDNS",
        "",
        f"`secondary53 plan` and `sync`, `octodns-sync` without and with `--doit` ({versions}), in turn, from their start to their end: the same zone from BIND, a strict hosted zone each. Route 53's rates are",
        "50 requests at once and 10 a second for each action, 1,500 changes at once and 100 a second, and the buckets are full before each run; without rates the hosted zone",
        "takes everything at once, and secondary53 keeps to Route 53's rates all the same: it does not go by what it is refused. octoDNS counts the changes of a request and not",
        "their characters, so it was given the largest `max_changes` of 1000, 500, 250, 140 and 70 with which every step goes through, and 30 attempts, for it is throttled.",
        "A change is what Route 53 counts: CREATE and DELETE one, UPSERT two. secondary53 writes the serial too, and marks the SOA before the first of several batches.",
        "`tests/octodns/compare.py`, [why the zone has no semicolons](../tests/octodns/compare.py).",
        "",
        "![seconds](benchmarks/sync-s.svg) ![calls](benchmarks/sync-calls.svg)",
        "",
    ]
    for buckets in (True, False):
        result += [
            f"### {'At Route 53’s rates' if buckets else 'Without rates'}",
            "",
            *table(["records", "step", "", "runs", "seconds", "least – most", "× ours", "CPU s", "MiB", "calls", "batches", "refused", "changes", "max_changes"],
                   [sync_row(row, ours[row["records"], row["buckets"], row["what"]]) for row in rows if row["buckets"] == buckets]),
            "",
        ]
    return result + [
        "### The seed's own way",
        "",
        "[dnsnotify2route53](https://github.com/patanne/dnsnotify2route53), which this project comes from, was read and not run. For each NOTIFY it asks for one page of the account's",
        "hosted zones and for one page of the zone, gives up where the zone has another page, and sends all changes in one request. So, by Route 53's published limits (300 RRsets in a",
        "page; 1,000 records and 32,000 characters in a request, an UPSERT counting twice): three calls for a change in a zone of up to 300 RRsets, where relay and worker",
        "take two (and `secondary53 sync` four: it looks for the hosted zone, reads it, and looks again before it writes); of the zone of 1,000 records above a first sync at best, and nothing after it; of that of 10,000 not even that.",
    ]


def sync_row(row, ours):
    return [f"{row['records']:,}", row["what"] + (" **failed**" if row["failed"] else ""), row["who"], row["runs"], f"{row['s']:.2f}",
            f"{row['least_s']:.2f} – {row['most_s']:.2f}", f"{row['s'] / ours['s']:.2f}", f"{row['cpu_s']:.2f}", f"{row['mib']:.1f}", f"{row['calls']:,}",
            f"{row['batches']:,}", f"{row['refused']:,}", f"{row['changes']:,}", row["max_changes"] or "–"]


def latency(found):
    rows = found["rows"]
    steps = [step["step"] for step in rows[0]["steps"]]
    figure, panels = plot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axes, left_out, title in zip(panels, [(), ("NOTIFY", "Lambda")], ["all", "without NOTIFY and Lambda"]):
        for row in rows:
            left = 0
            for index, step in enumerate(row["steps"][1:]):
                if step["step"] not in left_out:
                    axes.barh(f"{row['primary']}, {row['records']:,}", step["ms"][0], left=left, color=f"C{index}",
                              label=step["step"] if row is rows[0] else None)
                    left += step["ms"][0]
        axes.set(xlabel="ms, medians of the steps", title=title)
    panels[0].invert_yaxis()
    panels[0].legend(ncols=2, fontsize="small")
    figure.tight_layout()
    figure.savefig(FOLDER / "latency.svg", metadata={"Date": None})
    ms = lambda value: f"{value:.1f}" if value >= 100 else f"{value:.2f}"
    return [
        "## Latency",
        "",
        "From a change to its acceptance by Route 53's stand-in, through the real relay, SQS's and Lambda's stand-in and the real worker, one change after the other, at most",
        "eight a second. BIND and Knot hold their NOTIFY back; `ours` is a primary that does not, and counts from its NOTIFY. Milliseconds, by the logs of relay and worker;",
        "the medians of the steps do not add up to that of all.",
        "",
        "- NOTIFY: until the relay has read it. SOA: connection, question, answer. Transfer: IXFR where the primary gives one, and the zone made of it",
        "- encode: what is stored is read, the difference, zstd, base64. SQS: the request to SQS's stand-in",
        "- Lambda: until the worker has the event. The stand-in looks at a queue at once or 50 ms later; AWS polls, and has its own figures",
        "- decode: until the hosted zone's SOA is asked for. list: that answer. plan: until the changes are sent. change: their answer",
        "",
        "![where the time goes](benchmarks/latency.svg)",
        "",
        *table(["primary", "records", "changes", "median", "99 %", "most", *(f"{step}: median" for step in steps[1:])],
               [[row["primary"], f"{row['records']:,}", f"{row['changes']:,}", *map(ms, row["steps"][0]["ms"]), *(ms(step["ms"][0]) for step in row["steps"][1:])]
                for row in rows]),
        "",
        "The same, 99 % and the most of each step:",
        "",
        *table(["primary", "records", *steps[1:]],
               [[row["primary"], f"{row['records']:,}", *(f"{ms(step['ms'][1])} / {ms(step['ms'][2])}" for step in row["steps"][1:])] for row in rows]),
    ]


def scale(found):
    rows = found["rows"]
    zones = sorted({row["zones"] for row in rows})
    first = {row["zones"]: row for row in rows if row["what"].startswith("all sent")}
    idle = {row["zones"]: row for row in rows if row["what"] == "idle"}
    all_changed = {row["zones"]: row for row in rows if row.get("changed") == row["zones"]}
    axes = lines("scale-memory", "zones", "MiB")
    axes.plot(zones, [idle[count]["mib"] for count in zones], marker="o", label="at rest")
    axes.plot(zones, [all_changed[count]["peak_mib"] for count in zones], marker="o", label="at most, all changed at once")
    save(axes, "scale-memory")
    axes = lines("scale-seconds", "zones", "seconds")
    axes.plot(zones, [first[count]["s"] for count in zones], marker="o", label="start until all are sent")
    axes.plot(zones, [all_changed[count]["s"] for count in zones], marker="o", label="all changed at once until all are sent")
    axes.plot(zones, [all_changed[count]["cpu_s"] for count in zones], marker="o", label="the same, processor")
    save(axes, "scale-seconds")
    axes = lines("scale-messages", "zones", "")
    for field, label in [("messages", "messages"), ("requests", "requests to SQS"), ("sockets", "sockets at most")]:
        axes.plot(zones, [all_changed[count][field] for count in zones], marker="o", label=f"all changed at once: {label}")
    save(axes, "scale-messages")
    return [
        "## Scale",
        "",
        "One relay, one scripted primary, zones of 20 records, and a queue that takes everything: from the relay's start until all were sent for the first time (200 first looks",
        "a second, so that a primary is not overrun), then some changed at once, then at rest. Octets are the messages' bodies.",
        "",
        "![seconds](benchmarks/scale-seconds.svg) ![memory](benchmarks/scale-memory.svg) ![messages](benchmarks/scale-messages.svg)",
        "",
        *table(["zones", "step", "seconds", "CPU s", "messages", "requests", "octets", "sockets", "MiB", "at most"],
               [[f"{row['zones']:,}", row["what"], f"{row['s']:.3f}", f"{row['cpu_s']:.3f}", f"{row['messages']:,}", f"{row['requests']:,}", f"{row['octets']:,}",
                 row["sockets"], f"{row['mib']:.1f}", f"{row['peak_mib']:.1f}"] for row in rows]),
        "",
        "### What Route 53 needs for as much",
        "",
        "A model, no measurement: 10,000 zones of 20 records, the published buckets, full at the beginning, and workers that use all of them. Each action has a bucket of requests of",
        "its own, so reading and changing go side by side, and what is slowest is the limit.",
        "",
        *table(["", "zones", "requests", "changes", "requests need", "changes need", "together", "the limit is"],
               [[row["what"], f"{row['zones']:,}", f"{row['requests']:,}", f"{row['changes']:,}", duration(row["requests_s"]), duration(row["changes_s"]),
                 duration(max(row["requests_s"], row["changes_s"])), limit(row)] for row in found["route53"]]),
    ]


def limit(row):
    if row["requests_s"] == row["changes_s"] == 0:
        return "none of these"
    return "10 requests a second" if row["requests_s"] >= row["changes_s"] else "100 changes a second"


def duration(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def profile(found):
    rows = found["rows"]
    share = lambda row: "; ".join(f"{100 * count / row['instructions']:.0f} % `{name}`" for name, count in row["most"][:4])
    return [
        "## Where the instructions go",
        "",
        f"Instructions of one step of the work on {rows[0]['records']:,} records of the reference zone, counted by valgrind's callgrind, and the functions that they are in.",
        "",
        *table(["step", "instructions", "a record", "most of them"],
               [[row["step"], f"{row['instructions']:,}", f"{row['instructions'] / row['records']:,.0f}", share(row)] for row in rows]),
    ]


def mended():
    """Measured once, before and after; not by measure.py."""
    return [
        "## What was slow",
        "",
        "Each before and after on one machine; what is in the tables above is measured after.",
        "",
        *table(["what", "where the time went", "before", "after"], [
            ["100,000 records from Knot (median of 10 in turn)", "strace: in 6 of 30 transfers the last message, 158 octets, came 40 to 43 ms late. Knot never sets TCP_NODELAY and holds it back "
             "until all before it is acknowledged (Nagle's algorithm), and the kernel here took its time for that. The relay has it acknowledged at once: late in none of 30", "0.122 s", "0.088 s"],
            ["a zone of a million records into a message", "perf: owners, compared and measured over and over, on one thread. An owner stands at one place now, and owners are folded beside the rest", "252 ms", "193 ms"],
            ["a message into a zone (10,000 records)", "callgrind: each number in a column, of one octet mostly, took the way of a long one, with an error made and dropped", "74.0 million instructions", "61.8 million"],
            ["one record changed in a zone of 10,003 RRsets, to acceptance (median)", "the log: the hosted zone was read beyond 10,000 RRsets, whatever the message said of the change", "3,481 ms", "72 ms"],
        ]),
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
