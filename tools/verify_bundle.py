#!/usr/bin/env python3
"""Verify an auditchain bundle with nothing but Python, and zstd where Python is older than 3.14:

    verify_bundle.py [--key VERIFIER_KEY] BUNDLE...

It shares no code with auditchain; the format is in docs/bundle.md. Exit codes: 0 intact,
1 violations, 2 unusable. Encrypted bundles need the program `auditchain`."""
import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile

GENESIS = "0" * 64


class Unusable(Exception):
    """The bundle cannot be read to its end, or contradicts itself."""


def require(holds, problem):
    if not holds:
        raise Unusable(problem)


def decompress(data):
    try:
        from compression import zstd  # Python 3.14
        return zstd.decompress(data)
    except ImportError:
        program = shutil.which("zstd") or shutil.which("unzstd")
        require(program, "this needs Python 3.14 or the program zstd")
        run = subprocess.run([program, "-dc"], input=data, capture_output=True)
        require(run.returncode == 0, "zstd: " + run.stderr.decode(errors="replace").strip())
        return run.stdout


# Ed25519 (RFC 8032, section 5.1.7 and the code of section 6).

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_add(a, b):
    s = (a[1] - a[0]) * (b[1] - b[0]) % P
    t = (a[1] + a[0]) * (b[1] + b[0]) % P
    u = 2 * a[3] * b[3] * D % P
    v = 2 * a[2] * b[2] % P
    e, f, g, h = t - s, v - u, v + u, t + s
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_mul(scalar, point):
    result = 0, 1, 1, 0
    while scalar > 0:
        if scalar & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        scalar >>= 1
    return result


def point_equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def recover_x(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def point_decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P


def ed25519_verify(key, message, signature):
    point, r = point_decode(key), point_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or point is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return point_equal(point_mul(s, BASE), point_add(r, point_mul(h, point)))


# Signed notes (c2sp.org/signed-note).


def parse_key(vkey):
    """Name, key id and public key of a C2SP vkey."""
    require(vkey.count("+") > 1, "the verifier key is none")
    name, identity, encoded = vkey.rstrip("\n").split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    require(len(data) == 33 and data[0] == 1, "the verifier key is not of Ed25519")
    computed = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    require(computed.hex() == identity, "the id of the verifier key is not its own")
    return name, computed, data[1:]


def note_is_signed(note, vkey):
    """The text of the note, if the key has signed it; else None."""
    name, identity, key = parse_key(vkey)
    text, separator, signatures = note.rpartition("\n\n")
    require(separator, "checkpoint.note is no signed note")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, encoded = line.split(" ")
        signature = base64.b64decode(encoded, validate=True)
        if dash == "\u2014" and signer == name and signature[:4] == identity:
            return text if ed25519_verify(key, text.encode(), signature[4:]) else None
    return None


# The tree (RFC 6962 section 2.1), hashed from left to right.


def sha256(data):
    return hashlib.sha256(data).digest()


class Tree:
    def __init__(self):
        self.size = 0
        self.subtrees = []  # (leaves, hash), each bigger than the next

    def append(self, leaves, digest):
        require(self.size % leaves == 0, "leaves that are no subtree have a hash")
        self.size += leaves
        self.subtrees.append((leaves, digest))
        while len(self.subtrees) > 1 and self.subtrees[-1][0] == self.subtrees[-2][0]:
            right, left = self.subtrees.pop(), self.subtrees.pop()
            self.subtrees.append((2 * left[0], sha256(b"\x01" + left[1] + right[1])))

    def root(self):
        if not self.subtrees:
            return sha256(b"")
        digest = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            digest = sha256(b"\x01" + left + digest)
        return digest


class Bundle:
    def __init__(self, trusted):
        self.trusted = trusted
        self.violations = []
        self.head = self.manifest = self.note = self.key = None
        self.tree = Tree()
        self.parts = {}  # chain: [[first, last, previous of the first, checksum of the last]]
        self.lost = set()  # chains whose last entry was modified, with its checksum
        self.entries = 0
        self.sums = []

    def find(self, kind, detail, chain=None, position=None):
        self.violations.append((kind, chain, position, detail))

    def read(self, file):
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                require(self.manifest is None, "something stands behind manifest.json")
                require(member.isreg(), f"{member.name} is no regular file")
                data = archive.extractfile(member).read()
                self.take(member.name, data)
        require(self.manifest is not None, "it has no manifest.json, and so no end")

    def take(self, name, data):
        if name == "manifest.json":
            self.manifest = json.loads(data)
            return
        self.sums.append({"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        if name == "bundle.json":
            self.head = json.loads(data)
            require(self.head["format"] == 1, "it is of a format that is not known")
            require(self.head["encryption"] is None,
                    "its entries are encrypted: only the program auditchain reads them")
        elif name == "checkpoint.note":
            self.note = data.decode()
        elif name == "checkpoint.vkey":
            self.key = data.decode().rstrip("\n")
        elif name.startswith("entries/"):
            require(self.head, "bundle.json is missing")
            for line in decompress(data).decode().split("\n")[:-1]:
                self.take_line(json.loads(line))
        else:
            require(name == "README.txt", f"{name} is no file of a bundle")

    def take_line(self, line):
        if line["leaf"] != self.tree.size:
            self.tree_in_order = False
        if "payload" not in line:
            self.tree.append(line["leaves"], bytes.fromhex(line["hash"]))
            return
        chain, position = line["chain"], line["position"]
        leaf = f"auditchain/v1\n{self.head['log']['id']}\n{chain}\n{position}\n{line['checksum']}\n"
        self.tree.append(1, sha256(b"\x00" + leaf.encode()))
        self.entries += 1
        self.check_entry(chain, position, line["previous_checksum"], line["checksum"], line["payload"])

    tree_in_order = True

    def check_entry(self, chain, position, previous, checksum, payload):
        def checksum_behind(before):
            return hashlib.sha256(before.encode() + payload.encode("utf-8", "surrogatepass")).hexdigest()

        parts = self.parts.setdefault(chain, [])
        last = parts[-1] if parts else [None, None, None, None]
        follows = last[1] is not None and position == last[1] + 1
        computed = checksum_behind(previous)
        before = last[3] if follows else GENESIS if position == 1 else previous
        if computed != checksum and checksum_behind(before) == checksum:
            computed = checksum  # only the previous checksum was edited
        if computed != checksum:
            self.find("content_modified", "the payload no longer matches the checksum", chain, position)
        if last[1] is not None and position == last[1]:
            self.find("entry_duplicated", "another entry has this position", chain, position)
            return
        if last[1] is not None and position < last[1]:
            self.find("link_broken", f"it stands behind position {last[1]}", chain, position)
            return
        if follows:
            if previous != last[3] and chain not in self.lost and computed == checksum:
                self.find("link_broken", f"it does not follow position {last[1]}", chain, position)
            last[1], last[3] = position, checksum
        else:
            if position == 1 and previous != GENESIS:
                self.find("link_broken", "it is the first and names another before it", chain, position)
            parts.append([position, position, previous, checksum])
        (self.lost.add if computed != checksum else self.lost.discard)(chain)

    def check_parts(self):
        for chain in self.manifest["chains"]:
            found = self.parts.get(chain["name"], [])
            for part in chain["parts"]:
                position = part["first"]
                for first, last, _, _ in found + [[part["last"] + 1, part["last"] + 1, None, None]]:
                    end = min(first, part["last"] + 1)
                    if end > position:
                        self.find("entry_missing", f"positions {position} to {end - 1} are missing",
                                  chain["name"], position)
                    position = max(position, last + 1)

    def check_seal(self):
        if self.note is None or self.key is None:
            if self.trusted:
                self.find("checkpoint_mismatch", "the bundle has no signed checkpoint")
            return
        text = note_is_signed(self.note, self.key)
        if text is None:
            self.find("checkpoint_mismatch", "the checkpoint is not signed by the key in the bundle")
            return
        origin, size, root = text.splitlines()[:3]
        head = self.head
        if (int(size) != head["tree"]["size"] or base64.b64decode(root).hex() != head["tree"]["root"]
                or not origin == head["log"]["origin"] == parse_key(self.key)[0]
                or not origin.startswith(f"auditchain/{head['log']['id']}/")):
            self.find("checkpoint_mismatch", "the checkpoint is signed, and of another tree than the bundle")
        # A log that was restored goes on in another incarnation: the end of the key's name.
        def identity(key):
            name, _, public = parse_key(key)
            return name.rpartition("/")[0], public

        if self.trusted and identity(self.key) not in map(identity, self.trusted):
            self.find("checkpoint_mismatch", "the checkpoint is not signed by a key that is trusted for this log")

    def check_contents(self):
        manifest = self.manifest
        require({**self.head, **manifest} == manifest, "manifest.json contradicts bundle.json")
        require(manifest["files"] == self.sums, "a file is not the one that manifest.json names")
        found = [{"name": name, "parts": [
            dict(zip(("first", "last", "previous_checksum", "checksum"), part)) for part in parts]}
            for name, parts in sorted(self.parts.items(), key=lambda item: item[0].encode())]
        require(manifest["chains"] == found and manifest["entries"] == self.entries,
                "manifest.json tells of other entries than there are")

    def check(self):
        self.check_parts()
        tree = self.head["tree"]
        if not self.violations:
            if not self.tree_in_order or self.tree.size != tree["size"]:
                self.find("entry_missing", "the entries and hashes are not all leaves of the tree")
            elif self.tree.root().hex() != tree["root"]:
                self.find("checkpoint_mismatch", "the checkpoint is of other entries than the bundle has")
        self.check_seal()
        if not self.violations:
            self.check_contents()


def verify(path, trusted):
    bundle = Bundle(trusted)
    try:
        if path == "-":
            bundle.read(sys.stdin.buffer)
        else:
            with open(path, "rb") as file:
                bundle.read(file)
        bundle.check()
    except (Unusable, OSError, tarfile.TarError, KeyError, TypeError, ValueError, AttributeError) as error:
        print(f"{path}: cannot be verified: {error!s}", file=sys.stderr)
        return 2
    for kind, chain, position, detail in bundle.violations:
        place = "" if chain is None else f" in chain {chain} at position {position}"
        print(f"{path}: VIOLATION {kind}{place}: {detail}", file=sys.stderr)
    if bundle.violations:
        return 1
    print(f"{path}: All {bundle.entries} audit events verified. Bundle intact.")
    if bundle.key is None:
        print("  not signed: that nobody made all of it anew is not shown")
    elif trusted:
        print("  signed by a key that you trust")
    else:
        print(f"  signed by {bundle.key}\n  compare this key with the one that you trust, or give that with --key")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", metavar="BUNDLE", nargs="+", help="a bundle; - is standard input")
    parser.add_argument("--key", action="append", default=[], help="a verifier key that may have signed")
    arguments = parser.parse_args()
    try:
        for key in arguments.key:
            parse_key(key)
    except (Unusable, ValueError) as error:
        parser.error(f"--key: {error}")
    sys.exit(max(verify(path, arguments.key) for path in arguments.bundles))


if __name__ == "__main__":
    main()
