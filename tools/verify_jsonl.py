#!/usr/bin/env python3
"""Prove a whole log from its JSONL export, with no PostgreSQL: psql -XAtc
"SELECT auditchain.export('log', 'jsonl')" | verify_jsonl.py

The checksum of an entry is SHA-256 over the hex of the previous one and the payload's UTF-8 bytes;
before the first entry of a chain are 64 zeros."""
import hashlib
import json
import sys

heads = {}  # chain: position and checksum of its newest entry
entries = 0
lines = open(sys.argv[1], "rb") if len(sys.argv) > 1 else sys.stdin.buffer
for number, line in enumerate(lines, 1):
    event = json.loads(line)
    chain, position, checksum = event["chain"], event["chainPosition"], event["checksum"]
    newest, previous = heads.get(chain, (0, "0" * 64))

    def require(holds, problem):
        if not holds:
            sys.exit(f"line {number}, chain {chain}, position {position}: {problem}")

    require(position == newest + 1, f"expected position {newest + 1}")
    require(event["previousChecksum"] == previous, f"does not continue {previous}")
    content = previous.encode() + event["payload"].encode()
    require(hashlib.sha256(content).hexdigest() == checksum, "payload does not match the checksum")
    heads[chain] = position, checksum
    entries += 1
print(f"{entries} entries in {len(heads)} chains verified")
