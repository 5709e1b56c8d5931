#!/usr/bin/env python3
"""secondary53 and octoDNS, in turns, on the same servers: seconds and API calls of a first sync and of what follows.

usage: compare.py OCTODNS SECONDARY53 STRICT RECORDS [--runs N] [--unlimited] [--json]

OCTODNS is a folder with octodns-sync in it (PyPI: octodns, octodns-bind, octodns-route53), SECONDARY53 and STRICT
are the programs secondary53 and strict-hosted-zone. The primary is BIND with the reference zone. The hosted zone is the strict one, at the rates of Route 53:
50 requests at once and 10 a second for each action, 1,500 changes at once and 100 a second. With --unlimited it has no rates; secondary53
keeps to Route 53's all the same. --json prints an object a line for each step.

octoDNS is given two settings without which a first sync of 10,000 records fails: client_max_attempts, for it is throttled, and max_changes,
for it counts the changes of a request and not their characters: the largest of a few with which all steps go through. It writes a semicolon
in TXT with a backslash before it, which the strict hosted zone refuses; whether Route 53 does is not known here, so the zone has commas in
their place.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ZONE = "example.com"
NAMED = """
options { directory "%s"; pid-file none; session-keyfile "%s/session.key"; listen-on port %d { 127.0.0.1; };
  listen-on-v6 { none; }; recursion no; dnssec-validation no; allow-transfer { 127.0.0.1; }; notify no; };
controls { };
zone "%s" { type primary; file "zone.db"; };
"""
CONFIG = """
providers:
  bind: { class: octodns_bind.AxfrSource, host: 127.0.0.1, port: %d }
  route53: { class: octodns_route53.Route53Provider, access_key_id: test, secret_access_key: test,
             client_max_attempts: 30, max_changes: %d }
processors:
  apex: { class: octodns.processor.filter.IgnoreRootNsFilter }
zones:
  %s.: { sources: [bind], processors: [apex], targets: [route53] }
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nobody listens on {port}")


def reference(records, serial):
    script = os.path.join(TESTS, "reference_zone.py")
    command = [sys.executable, script, str(records), ZONE, str(serial)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.replace(";", ",")


def another(text, serial, changes):
    """The zone with so many addresses changed, and its serial."""
    text, changed = re.subn(r"( IN A 10)(?=\.)", " IN A 11", text, count=changes)
    if changed != changes:
        sys.exit(f"only {changed} of {changes} records can be changed")
    return text.replace(f" hostmaster {serial} ", f" hostmaster {serial + 1} ")


class World:
    """A primary, and a hosted zone for one tool."""

    def __init__(self, folder, strict, text, rates):
        os.makedirs(folder)
        self.port, self.folder = free_port(), folder
        self.write(text)
        with open(f"{folder}/named.conf", "w") as file:
            file.write(NAMED % (folder, folder, self.port, ZONE))
        self.named = self.start_named()
        command = [strict, "--zone", ZONE, *rates, "--max-rrsets", "200000"]
        self.strict = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.endpoint = json.loads(self.strict.stdout.readline())["http"]

    def start_named(self):
        with open(f"{self.folder}/named.log", "a") as log:
            process = subprocess.Popen(["/usr/sbin/named", "-g", "-n", "1", "-c", f"{self.folder}/named.conf"], stderr=log)
        wait_for(self.port)
        return process

    def write(self, text):
        with open(f"{self.folder}/zone.db", "w") as file:
            file.write(text)

    def change(self, text):
        self.named.terminate()
        self.named.wait()
        self.write(text)
        self.named = self.start_named()

    def calls(self):
        with urllib.request.urlopen(f"{self.endpoint}/_strict/calls") as answer:
            calls = json.load(answer)
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/_strict/calls/reset", method="POST")).close()
        return calls

    def stop(self):
        for process in (self.named, self.strict):
            process.terminate()
            process.wait()


class Tool:
    """How a tool is told to sync, and what it needs for that."""

    def __init__(self, name, program, max_changes=None):
        self.name, self.program, self.max_changes = name, program, max_changes

    def command(self, world, what):
        if self.max_changes is None:
            subcommand = ["plan"] if what == PLAN else ["sync", "--yes"]
            return [self.program, "--quiet", *subcommand, ZONE, "--primary", f"127.0.0.1:{world.port}"]
        config = f"{world.folder}/config.yaml"
        with open(config, "w") as file:
            file.write(CONFIG % (world.port, self.max_changes, ZONE))
        return [self.program, "--config-file", config, *([] if what == PLAN else ["--doit", "--force"])]

    def run(self, world, what):
        """One sync, or only its plan, and what it took."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environment |= {"AWS_ENDPOINT_URL_ROUTE_53": world.endpoint, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
                        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
        usage = f"{world.folder}/usage"
        command = [shutil.which("time"), "--quiet", "--format=%U %S %M", "--output", usage, *self.command(world, what)]
        world.calls()
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.monotonic() - began
        with open(usage) as file:
            user, system, kib = map(float, file.read().split())
        calls = world.calls()
        batches = [call for call in calls if call["action"] == "ChangeResourceRecordSets"]
        cost = lambda call: sum(2 if change["action"] == "UPSERT" else 1 for change in call["changes"])
        # As terraform does, secondary53 ends with 2 where there is something to do.
        is_failed = done.returncode not in ([0, 2] if what == PLAN else [0])
        words = re.sub(r"\s+", " ", (done.stderr or done.stdout)[-400:]) if is_failed else None
        return {"who": self.name, "max_changes": self.max_changes, "s": round(seconds, 3), "cpu_s": round(user + system, 3),
                "mib": round(kib / 1024, 1), "calls": len(calls), "refused": sum(1 for call in calls if call["error"]), "batches": len(batches),
                "changes": sum(cost(call) for call in batches if not call["error"]), "failed": words}


# The first step changes nothing.
PLAN = "plan of it all"
# Seconds in which the account's buckets are full again.
REST = 16
FIRST = 2026112301
# Of a request, for octoDNS: its default is the first.
MAX_CHANGES = (1000, 500, 250, 140, 70)


def steps(records):
    """What happens, and the zone at each of it."""
    text = reference(records, FIRST)
    yield PLAN, text
    yield "first sync", text
    yield "nothing changed", text
    text = another(text, FIRST, 1)
    yield "one record changed", text
    yield "10 % changed", another(text, FIRST + 1, records // 10)


def run_through(folder, tools, strict, records, rates):
    """All steps, at each of them all tools."""
    worlds, before = {}, None
    try:
        for what, text in steps(records):
            for tool in tools:
                if tool.name not in worlds:
                    worlds[tool.name] = World(f"{folder}/{tool.name}", strict, text, rates)
                elif text != before:
                    worlds[tool.name].change(text)
            for tool in tools:
                if rates and before:
                    time.sleep(REST / len(tools))
                yield {"records": records, "buckets": bool(rates), "what": what, **tool.run(worlds[tool.name], what)}
            before = text
    finally:
        for world in worlds.values():
            world.stop()


def fitting(program, strict, records):
    """octoDNS with the largest requests that go through."""
    for max_changes in MAX_CHANGES:
        tool = Tool("octoDNS", program, max_changes)
        with tempfile.TemporaryDirectory() as folder:
            with contextlib.closing(run_through(folder, [tool], strict, records, [])) as steps_done:
                failed = next((step["failed"] for step in steps_done if step["failed"]), None)
        if failed is None:
            return tool
    sys.exit(f"octoDNS cannot sync {records} records: {failed}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("octodns", "secondary53", "strict"):
        parser.add_argument(name)
    parser.add_argument("records", type=int)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--unlimited", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rates = [] if given.unlimited else ["--throttle-requests", "--throttle-changes"]
    tools = [Tool("secondary53", given.secondary53), fitting(f"{given.octodns}/octodns-sync", given.strict, given.records)]
    for number in range(given.runs):
        with tempfile.TemporaryDirectory() as folder:
            for step in run_through(folder, tools, given.strict, given.records, rates):
                print(json.dumps({"run": number, **step}) if given.json else told(step), flush=True)


def told(step):
    failed = f"  FAILED: …{step['failed']}" if step["failed"] else ""
    return (f"{step['records']:6} records: {step['what']:18} {step['who']:12} {step['s']:8.2f} s, processor {step['cpu_s']:6.2f} s, {step['mib']:5.1f} MiB, "
            f"{step['calls']:5} calls, {step['batches']:4} of them batches, {step['refused']:4} refused; {step['changes']:6} changes{failed}")


if __name__ == "__main__":
    main()
