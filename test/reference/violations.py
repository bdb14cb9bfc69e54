"""What verification must say of a log: a slow and simple reference.

It has all rows of a log in memory and says what is wrong with them by the definitions in
docs/reference.md ("Kinds of violations", "One cause, one violation"). It shares nothing with the
extension, which classifies as it reads, in constant memory. Only the guard is left out.
"""

from dataclasses import dataclass, field
from hashlib import sha256

GENESIS = "00" * 32
NO_CHECKSUM = "ff" * 32  # how NULL and what has another length are read


@dataclass(eq=False)
class Row:
    id: int
    chain: int | None
    position: int | None
    previous: str
    checksum: str
    payload: str
    key: str  # of the row by its columns, as chain names have it

    def computed(self, previous=None):
        return sha256(((previous or self.previous) + self.payload).encode()).hexdigest()

    def intact(self):
        return self.computed() == self.checksum

    def checksums(self):
        return {self.checksum, self.computed()}


@dataclass(eq=False)
class Verdict:
    """A row, judged by the place before its own."""

    row: Row
    link: str  # one of LINKS
    kind: str | None  # what is wrong with it

    def checksums(self):
        """What the next entry may name."""
        if self.kind == "link_broken" and not self.row.intact():
            return {self.row.checksum}  # only its previous checksum was edited
        return self.row.checksums()

    def preference(self):
        return (self.kind is not None, LINKS.index(self.link), KINDS.index(self.kind) if self.kind else 0,
                self.row.checksum, self.row.previous, self.row.computed())


@dataclass(eq=False)
class Place:
    """A position of a chain that has rows. Position 0 is genesis and has none."""

    position: int
    rows: list = field(default_factory=list)
    verdicts: list = field(default_factory=list)
    holder: Verdict | None = None
    foreign: bool = False

    def checksums(self):
        return {c for verdict in self.verdicts for c in verdict.checksums()} if self.rows else {GENESIS}

    def ends(self):
        return self.holder.checksums() if self.rows else {GENESIS}

    def stored(self):
        return {row.checksum for row in self.rows} or {GENESIS}


@dataclass(eq=False)
class Finding:
    kind: str
    chain: int | None
    position: int | None
    row: Row | None = None  # None: a gap
    missing: int = 0  # entries, of a gap
    # The run of entries that begins here, if it can be trusted to say where it belongs:
    expected: str | None = None  # the checksum that its first entry names
    ends: frozenset = frozenset()  # checksums of its last entry
    length: int = 0
    # Of a break or a gap:
    consequence: bool = False  # may be one
    before: frozenset = frozenset()
    behind_modified: bool = False


def violations(rows, keys):
    """Return the findings of a log whose chains are `keys`: number → key."""
    findings = []
    for chain in sorted(keys):
        placed = [row for row in rows if row.chain == chain and row.position is not None]
        findings += in_chain(chain, keys[chain], placed)
    findings += in_unknown_chains(rows, keys)
    for row in rows:
        if row.chain is None or row.position is None:
            findings.append(alone("link_broken", None, None, row))
    return without_consequences(findings)


def alone(kind, chain, position, row):
    if not row.intact():
        return Finding(kind, chain, position, row)
    return Finding(kind, chain, position, row, expected=row.previous, ends=frozenset(row.checksums()), length=1)


def in_unknown_chains(rows, keys):
    """One finding for each chain number that is none of the log's."""
    findings = []
    placed = [row for row in rows if row.chain is not None and row.position is not None]
    for chain in sorted({row.chain for row in placed} - set(keys)):
        strays = sorted((row for row in placed if row.chain == chain), key=lambda row: row.position)
        run = strays[:1]
        for row in strays[1:]:
            if row.previous != run[-1].checksum:
                break
            run.append(row)
        findings.append(Finding("key_mismatch", None, run[0].position, run[0], expected=run[0].previous,
                                ends=frozenset({run[-1].checksum}), length=len(run)))
    return findings


# ---- One chain ----------------------------------------------------------------------------------


def in_chain(chain, key, rows):
    nowhere = [row for row in rows if row.position < 1]
    places = [Place(0)]
    for position in sorted({row.position for row in rows if row.position >= 1}):
        places.append(Place(position, [row for row in rows if row.position == position]))
    for at in range(1, len(places)):
        settle(places, at, key)
    findings = [alone("link_broken", chain, row.position, row) for row in nowhere]
    for place in places[1:]:
        for row in place.rows:
            if row is not place.holder.row:
                findings.append(alone("entry_duplicated", chain, place.position, row))
    return findings + along(chain, places)


LINKS = ["follows", "resumes", "unknown", "skips", "broken"]  # the best first
KINDS = ["content_modified", "link_broken", "key_mismatch"]


def settle(places, at, key):
    """Judge the rows of a place, and choose the one that holds it."""
    place, before = places[at], places[at - 1]
    place.verdicts = [judge(places, at, row, key) for row in place.rows]
    place.holder = min(place.verdicts, key=Verdict.preference)
    # A modified entry may owe its key to an edit: it is of the key of the entry that it follows.
    modified = not place.holder.row.intact() and place.holder.link == "follows"
    place.foreign = before.foreign if modified else place.holder.row.key != key


def judge(places, at, row, key):
    link = link_of(places, at, row)
    if not row.intact():
        if link == "broken" and any(row.computed(c) == row.checksum for c in places[at - 1].stored()):
            return Verdict(row, "follows", "link_broken")
        return Verdict(row, link, "content_modified")
    if row.key != key:
        return Verdict(row, link, "key_mismatch")
    return Verdict(row, link, "link_broken" if link == "broken" else None)


def link_of(places, at, row):
    before = places[at - 1]
    if places[at].position > before.position + 1:
        return "skips" if row.previous in before.ends() else "unknown"
    if row.previous in before.checksums():
        return "follows"
    return "resumes" if row.previous in left_off(places, at) else "broken"


def left_off(places, at):
    """Where an entry may go on from if not from the place before: where the newest break left off,
    or, once that was gone on from, where the entries that stood in between did."""
    gaps = [n for n in range(1, at) if places[n].holder.link in ("unknown", "skips")]
    breaks = [n for n in range(1, at) if places[n].holder.link == "broken" or enters_foreign_key(places, n)]
    if not breaks or max(gaps, default=0) > breaks[-1]:
        return set()
    resumed = [n for n in range(breaks[-1], at) if places[n].holder.link == "resumes"]
    if len(resumed) > 1:
        return set()
    return places[(resumed or breaks[-1:])[0] - 1].checksums()


def enters_foreign_key(places, n):
    return places[n].holder.link == "follows" and places[n].foreign and not places[n - 1].foreign


def along(chain, places):
    """The findings of holders and gaps."""
    findings = []
    for at in range(1, len(places)):
        place, before = places[at], places[at - 1]
        row, link, kind = place.holder.row, place.holder.link, place.holder.kind
        begins = link != "follows" or place.foreign != before.foreign
        after = at + 1
        while (after < len(places) and places[after].holder.link == "follows"
               and places[after].foreign == place.foreign):
            after += 1
        run = {"expected": row.previous}
        if row.intact():
            run |= {"ends": frozenset(places[after - 1].ends()), "length": after - at}
        missing = place.position - before.position - 1
        if missing:
            findings.append(Finding("head_missing" if at == 1 else "entry_missing", chain, before.position + 1,
                                    missing=missing, consequence=link != "skips", **run))
        if kind and not row.intact():
            findings.append(Finding(kind, chain, place.position, row))
        elif kind and begins:
            modified = before.rows and before.holder.kind == "content_modified"
            resumed = after < len(places) and places[after].holder.link == "resumes"
            findings.append(Finding(kind, chain, place.position, row, consequence=kind == "link_broken",
                                    before=frozenset(before.ends()), behind_modified=modified and not resumed, **run))
    return findings


# ---- Causes and consequences --------------------------------------------------------------------


def without_consequences(findings):
    order = sorted(findings, key=lambda f: (f.chain is None, f.chain or 0, f.position or 0,
                                            f.kind != "entry_duplicated"))

    # A gap whose entries are all elsewhere was left by them. They moved, whatever else they look like.
    runs = [f for f in order if f.length]
    pieces = {gap: pieces_of(gap, runs) for gap in order if gap.missing and gap.consequence}
    moved = {run for filling in pieces.values() for run in filling}
    dropped = {gap for gap, filling in pieces.items() if filling and gap not in moved}

    # A break that names the end of a run that was moved is where this run was.
    breaks = [f for f in order if f.kind == "link_broken" and f.consequence and f not in moved]
    misplaced = [f for f in runs if f.kind in ("link_broken", "key_mismatch")]
    settled = {}

    def is_cause(finding):
        if finding not in breaks:
            return True
        if finding not in settled:
            settled[finding] = None
            settled[finding] = not any(finding.expected in run.ends and is_cause(run) for run in misplaced)
        return settled[finding]

    causes = [f for f in breaks if is_cause(f)]
    dropped |= set(breaks) - set(causes)
    explaining = {run for run in misplaced if any(f.expected in run.ends for f in breaks)}

    # Two runs that stand in each other's place were swapped.
    for n, other in enumerate(causes):
        for one in causes[:n]:
            if one.expected in other.before and other.expected in one.before:
                dropped.add(other)
                explaining.add(one)

    # Behind a modified entry the checksum that the next one names may be lost.
    dropped |= {f for f in breaks if f.behind_modified and f not in explaining}
    return [f for f in order if f not in dropped]


def pieces_of(gap, runs):
    """The runs that together are what is missing, from its end back; none if they are not all there."""
    expected, missing, pieces = gap.expected, gap.missing, []
    while missing:
        fitting = [run for run in runs if expected in run.ends and run.length <= missing]
        if not fitting:
            return []
        pieces.append(max(fitting, key=lambda run: (run.length, run.expected, runs.index(run))))
        expected, missing = pieces[-1].expected, missing - pieces[-1].length
    return pieces
