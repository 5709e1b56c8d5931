"""Reads and writes RDATA with dnspython, for the differential test beside this file.

A line of JSON in, a line of JSON out, until the end of the input. Octets are in hexadecimal.
In:  type, owner (text), values: [{wire, route53, zone_file}]; the texts are of a zone file, escapes in decimal.
Out: owner (octets), values: [{route53, zone_file, text}]: the octets of either text, and dnspython's text of the wire.
     What dnspython refuses is {"error": …} in the place of the octets or the text.
"""

import json
import sys

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype


def attempt(action):
    try:
        return action()
    except Exception as error:  # whatever it is, the test shows it
        return {"error": f"{type(error).__name__}: {error}"}


def octets(rtype, text):
    return dns.rdata.from_text(dns.rdataclass.IN, rtype, text, origin=dns.name.root, relativize=False).to_wire().hex()


def text(rtype, wire):
    return dns.rdata.from_wire(dns.rdataclass.IN, rtype, wire, 0, len(wire)).to_text()


def answer(rrset):
    rtype = dns.rdatatype.from_text(rrset["type"])
    return {
        "owner": attempt(lambda: dns.name.from_text(rrset["owner"]).to_wire().hex()),
        "values": [
            {
                "route53": attempt(lambda: octets(rtype, value["route53"])),
                "zone_file": attempt(lambda: octets(rtype, value["zone_file"])),
                "text": attempt(lambda: text(rtype, bytes.fromhex(value["wire"]))),
            }
            for value in rrset["values"]
        ],
    }


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
