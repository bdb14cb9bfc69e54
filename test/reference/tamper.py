"""Tampers with logs at random and compares what violations() says with the reference.

    tamper.py SEED CASES

Reads the logs of helpers.sql from the database that PGHOST, PGPORT and PGDATABASE point to. A case
is a savepoint: operations of which the exact findings are known, since there is one at most in a
chain, or a mix of them, of which the reference tells. Exits with 1, and prints the case, where they differ.
"""

import json
import random
import subprocess
import sys
from collections import Counter

from operations import OPERATIONS, Log
from violations import NO_CHECKSUM, Row, violations

LOGS = ["strict", "lanes", "keyed", "parted"]
BATCH = 60  # cases in one transaction


def psql(script):
    done = subprocess.run(["psql", "-XAtqv", "ON_ERROR_STOP=1"], input=script, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"psql failed: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def key_of(tenant, log):
    return json.dumps([tenant], separators=(",", ":")) if log.keyed else "[]"


def row_of(seen, log):
    def digest(text):
        return text if text is not None and len(text) == 64 else NO_CHECKSUM

    return Row(seen["id"], seen["chain"], seen["position"], digest(seen["previous"]), digest(seen["checksum"]),
               seen["payload"], key_of(seen["tenant"], log))


def read_log(name):
    rows = psql(f"SELECT tampering.observe('{name}');")[0]["rows"]
    chains = psql(f"""SELECT jsonb_agg(jsonb_build_array(chain_id, key, lane)) FROM auditchain.chain
                      JOIN auditchain.log USING (log_id) WHERE relation = '{name}'::regclass;""")[0]
    return Log(name, chains, rows)


def make_case(log, rng):
    """Return SQL, the names of the operations, and the findings where they are known: of one
    operation, or of one in each chain."""
    chains, sort = list(log.chains), rng.random()
    log.next_id = 1000
    if sort < 0.02:
        names, at, exact = [], [], []
    elif sort < 0.4:
        names, at, exact = rng.choices(list(OPERATIONS)), [rng.choice(chains)], []
    elif sort < 0.55:
        at, exact = chains, []
        names = rng.choices([name for name in OPERATIONS if "another_chain" not in name], k=len(at))
    else:
        names, exact = rng.choices(list(OPERATIONS), k=rng.randint(2, 6)), None
        focus = rng.sample(chains, rng.choice([1, len(chains)]))
        at = rng.choices(focus, k=len(names))
    statements = []
    for name, chain in zip(names, at):
        sql, found = OPERATIONS[name](log, rng, chain)
        statements += sql
        exact = None if exact is None else exact + found
    if not statements or rng.random() < 0.3:
        statements.append(f"CALL tampering.guard_on('{log.name}')")
    return statements, names, exact


def check(log, seen, exact):
    """Return what is wrong with what verification says, or None."""
    rows = [row_of(row, log) for row in seen["rows"] or []]
    found = seen["violations"] or []
    summary = seen["verify"]
    expected = violations(rows, {number: key for number, (key, _) in log.chains.items()})
    strays = strays_of(log, rows)
    stray_chains = {row.chain for row in strays}
    named = len([f for f in expected if f.row]) + len(strays) - len(stray_chains)
    wanted = [(log.name_of(f.chain), f.position if f.position and f.position > 0 else None, f.kind)
              for f in expected]
    if exact is not None and Counter(exact) != Counter(wanted):
        return f"the reference says {wanted} where it is {exact}"
    if not seen["guarded"]:
        wanted.append((None, None, "guard_disabled"))
    got = [(v["chain"], v["position"], v["kind"]) for v in found]
    if Counter(got) != Counter(wanted):
        return f"violations() says\n  {got}\nwhere it is\n  {wanted}"
    facts = {"intact": not wanted, "violations": len(wanted), "total_events": len(rows),
             "verified_events": len(rows) - named,
             "chains": len({row.chain for row in rows if row.position is not None} & set(log.chains))}
    wrong = {name: (summary[name], fact) for name, fact in facts.items() if summary[name] != fact}
    return f"verify() is wrong about {wrong}" if wrong else None


def strays_of(log, rows):
    return [row for row in rows if row.chain is not None and row.position is not None
            and row.chain not in log.chains]


def is_ambiguous(log, seen):
    """Whether rows of an unknown chain share a position: in which order they are read is not said,
    and so not which of them the one before was followed by."""
    strays = Counter((row.chain, row.position) for row in strays_of(log, [row_of(r, log) for r in seen["rows"] or []]))
    return any(count > 1 for count in strays.values())


def run_batch(log, cases):
    script = f"BEGIN;\nCALL tampering.guard_off('{log.name}');\n"
    for statements, _, _ in cases:
        script += "SAVEPOINT pristine;\n" + "".join(sql + ";\n" for sql in statements)
        script += f"SELECT tampering.observe('{log.name}');\nROLLBACK TO pristine;\nRELEASE pristine;\n"
    return psql(script + f"ROLLBACK;\nVACUUM {log.name};\n")


def main():
    seed, wanted = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    logs = [read_log(name) for name in LOGS]
    done = Counter()
    while done.total() < wanted:
        log = rng.choice(logs)
        cases = [make_case(log, rng) for _ in range(min(BATCH, wanted - done.total()))]
        for (statements, names, exact), seen in zip(cases, run_batch(log, cases), strict=True):
            if is_ambiguous(log, seen):
                done["ambiguous"] += 1
                continue
            problem = check(log, seen, exact)
            if problem:
                print(f"log {log.name}, {' + '.join(names) or 'nothing'}: {problem}\n")
                print("\n".join(statements))
                sys.exit(1)
            done["intact" if not names else "known" if exact is not None else "mixed"] += 1
    print(f"{done['known']} known cases, {done['mixed']} mixes and {done['intact']} intact logs agree, "
          f"{done['ambiguous']} are ambiguous")


if __name__ == "__main__":
    main()
