#!/usr/bin/env python3
"""Print the ZONEMD digest (RFC 8976: SIMPLE, SHA-384) of a zone file, as dnspython computes it.

usage: zonemd.py ZONEFILE ORIGIN
"""
import sys

import dns.zone

if len(sys.argv) != 3:
    sys.exit(__doc__)
zone = dns.zone.from_file(sys.argv[1], origin=sys.argv[2], relativize=False, check_origin=False)
print(zone.compute_digest(dns.zone.DigestHashAlgorithm.SHA384).digest.hex())
