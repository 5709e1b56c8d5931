#!/usr/bin/env python3
"""secondary53 and octoDNS, in turns, on the same servers: seconds and API calls of a first sync and of what follows.

usage: compare.py OCTODNS SECONDARY53 STRICT RECORDS

OCTODNS is a folder with octodns-sync in it (PyPI: octodns, octodns-bind, octodns-route53), SECONDARY53 and STRICT
are the programs secondary53 and strict-hosted-zone. The primary is BIND with the reference zone. The hosted zone is the strict one, at the rates of Route 53:
50 requests at once and 10 a second for each action, 1,500 changes at once and 100 a second.

octoDNS is given two settings without which a first sync of 10,000 records fails: client_max_attempts, for it is throttled, and max_changes,
for it counts the changes of a request and not their characters. It writes a semicolon in TXT with a backslash before it, which the strict
hosted zone refuses; whether Route 53 does is not known here, so the zone has commas in their place.
"""
import json
import os
import re
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
             client_max_attempts: 30, max_changes: 70 }
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


class World:
    """A primary, and a hosted zone for one tool."""

    def __init__(self, folder, strict, text):
        os.makedirs(folder)
        self.port, self.folder = free_port(), folder
        self.write(text)
        with open(f"{folder}/named.conf", "w") as file:
            file.write(NAMED % (folder, folder, self.port, ZONE))
        self.named = self.start_named()
        command = [strict, "--zone", ZONE, "--throttle-requests", "--throttle-changes", "--max-rrsets", "200000"]
        self.strict = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.endpoint = json.loads(self.strict.stdout.readline())["http"]

    def start_named(self):
        log = open(f"{self.folder}/named.log", "a")
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
        return len(calls), sum(1 for call in calls if call.get("error")), sum(1 for call in calls if call["action"] == "ChangeResourceRecordSets")

    def stop(self):
        for process in (self.named, self.strict):
            process.terminate()
            process.wait()


def run(what, name, world, command, statuses):
    time.sleep(REST)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL_ROUTE_53": world.endpoint, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    world.calls()
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - began
    calls, errors, changes = world.calls()
    told = f"{what:34} {name:12} {seconds:8.1f} s  {calls:5} calls, {changes:4} of them changes, {errors:4} refused"
    if done.returncode not in statuses:
        words = re.sub(r"\s+", " ", (done.stderr or done.stdout)[-400:])
        told += f"  FAILED with {done.returncode}: …{words}"
    print(told, flush=True)


# The account's buckets fill again between two runs.
REST = 16


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    octodns, ours, strict, records = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder:
        first = 2026112301
        text = reference(records, first)
        worlds = {name: World(f"{folder}/{name}", strict, text) for name in ("secondary53", "octodns")}
        commands = {}
        for name, world in worlds.items():
            if name == "secondary53":
                base = [ours]
                more = [ZONE, "--primary", f"127.0.0.1:{world.port}"]
                commands[name] = (base + ["plan"] + more, base + ["sync", "--yes"] + more, (0, 2))
            else:
                with open(f"{world.folder}/config.yaml", "w") as file:
                    file.write(CONFIG % (world.port, ZONE))
                sync = [f"{octodns}/octodns-sync", "--config-file", f"{world.folder}/config.yaml"]
                commands[name] = (sync, sync + ["--doit", "--force"], (0,))
        one = text.replace("ns1 3600 IN A 192.0.2.1", "ns1 3600 IN A 192.0.2.9").replace(str(first), str(first + 1))
        try:
            for what, step, changed in (("first plan", 0, None), ("first sync", 1, None), ("plan, nothing to do", 0, None),
                                        ("sync of one changed record", 1, one)):
                for name, world in worlds.items():
                    if changed:
                        world.change(changed)
                    run(f"{records} records: {what}", name, world, commands[name][step], commands[name][2])
        finally:
            for world in worlds.values():
                world.stop()


if __name__ == "__main__":
    main()
