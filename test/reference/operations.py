"""Ways to tamper with a log. Each returns SQL, and what violations() must say if nothing else was
done: (chain, position, kind)."""

GARBAGE = "sha256(random()::text::bytea)"


class Log:
    def __init__(self, name, chains, rows):
        self.name = name
        self.chains = {number: (key, lane) for number, key, lane in chains}
        self.keyed = any(key != "[]" for key, _ in self.chains.values())
        self.copies = name in ("lanes", "parted")  # no primary key
        self.next_id = 1000
        self.ids = {}  # by chain, from position 1
        for row in sorted(rows, key=lambda row: row["position"]):
            self.ids.setdefault(row["chain"], []).append(row["id"])

    def name_of(self, chain):
        return "{}/{}".format(*self.chains[chain]) if chain in self.chains else None

    def update(self, values, where):
        return f"UPDATE {self.name} SET {values} WHERE {where}"

    def shift(self, chain, above, by):
        return self.update(f"chain_position = chain_position + {by}",
                           f"chain_id = {chain} AND chain_position > {above}")

    def insert(self, chain, position, previous, checksum, tenant="'forged'"):
        """A row made by hand. Returns SQL and its id."""
        self.next_id += 1
        return (f"INSERT INTO {self.name} (id, tenant, note, chain_id, chain_position, previous_checksum, checksum) "
                f"VALUES ({self.next_id}, {tenant}, 'forged', {chain}, {position}, {previous}, {checksum})",
                self.next_id)

    def copy(self, row, position, new_id=False):
        columns = "tenant, note, chain_id"
        self.next_id += 1
        return (f"INSERT INTO {self.name} (id, {columns}, chain_position, previous_checksum, checksum) "
                f"SELECT {self.next_id if new_id else 'id'}, {columns}, {position}, previous_checksum, checksum "
                f"FROM {self.name} WHERE id = {row} LIMIT 1")

    def rehash(self, row):
        return f"CALL tampering.rehash('{self.name}', {row})"

    def rewrite(self, chain, start):
        return f"CALL tampering.rewrite('{self.name}', {chain}, {start})"

    def checksum_at(self, chain, position):
        return (f"coalesce((SELECT checksum FROM {self.name} WHERE chain_id = {chain} "
                f"AND chain_position = {position} LIMIT 1), decode(repeat('00', 32), 'hex'))")

    def tenant_of(self, chain):
        return f"(SELECT tenant FROM {self.name} WHERE id = {self.ids[chain][0]} LIMIT 1)"


OPERATIONS = {}


def operation(function):
    """Register an operation on a random entry of a chain: log, rng, chain, its name and size, and
    the position and id of the entry."""
    def on_random_entry(log, rng, chain):
        ids = log.ids[chain]
        position = rng.choice([1, len(ids)]) if rng.random() < 0.2 else rng.randint(1, len(ids))
        return function(log, rng, chain, log.name_of(chain), len(ids), position, ids[position - 1])

    OPERATIONS[function.__name__] = on_random_entry
    return function


def block(rng, size, position):
    """The last position of a block that begins here."""
    return min(size, position + rng.choice([0, 1, 1, 2, 2, 3, 5]))


def ids_in(log, chain, first, last):
    return "id IN ({})".format(", ".join(map(str, log.ids[chain][first - 1:last])))


# ---- Edits --------------------------------------------------------------------------------------


@operation
def edit_content(log, rng, chain, name, size, position, row):
    return [log.update("note = note || 'x'", f"id = {row}")], [(name, position, "content_modified")]


@operation
def edit_several(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    return ([log.update("note = 'forged'", ids_in(log, chain, position, last))],
            [(name, p, "content_modified") for p in range(position, last + 1)])


@operation
def edit_checksum(log, rng, chain, name, size, position, row):
    value = rng.choice([GARBAGE, "NULL", "'short'", "decode(repeat('00', 32), 'hex')"])
    return [log.update(f"checksum = {value}", f"id = {row}")], [(name, position, "content_modified")]


@operation
def edit_previous_checksum(log, rng, chain, name, size, position, row):
    value = rng.choice([GARBAGE, "NULL", "'short'", "checksum"])
    return [log.update(f"previous_checksum = {value}", f"id = {row}")], [(name, position, "link_broken")]


@operation
def edit_content_and_checksum(log, rng, chain, name, size, position, row):
    """As one does who computes the checksum wrongly: what the next entry names is lost."""
    return ([log.update(f"note = 'forged', checksum = {GARBAGE}", f"id = {row}")],
            [(name, position, "content_modified")])


@operation
def edit_all(log, rng, chain, name, size, position, row):
    return ([log.update(f"note = 'forged', previous_checksum = {GARBAGE}, checksum = {GARBAGE}", f"id = {row}")],
            [(name, position, "content_modified")])


@operation
def edit_and_rehash(log, rng, chain, name, size, position, row):
    return ([log.update("note = 'forged'", f"id = {row}"), log.rehash(row)],
            [(name, position + 1, "link_broken")] if position < size else [])


@operation
def edit_tenant(log, rng, chain, name, size, position, row):
    return [log.update("tenant = 'z'", f"id = {row}")], [(name, position, "content_modified")]


@operation
def rewrite_rest(log, rng, chain, name, size, position, row):
    """Only a checkpoint or a receipt can tell."""
    return [log.update("note = 'forged'", f"id = {row}"), log.rewrite(chain, position)], []


@operation
def rewrite_rest_off_the_link(log, rng, chain, name, size, position, row):
    return ([log.update(f"previous_checksum = {GARBAGE}", f"id = {row}"), log.rehash(row),
             log.rewrite(chain, position + 1)], [(name, position, "link_broken")])


@operation
def rewrite_rest_with_another_tenant(log, rng, chain, name, size, position, row):
    return ([log.update("tenant = 'z'", f"id = {row}"), log.rewrite(chain, position)],
            [(name, position, "key_mismatch")] if log.keyed else [])


# ---- Removals -----------------------------------------------------------------------------------


@operation
def delete_block(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    kind = "head_missing" if position == 1 else "entry_missing"
    return ([f"DELETE FROM {log.name} WHERE {ids_in(log, chain, position, last)}"],
            [(name, position, kind)] if last < size else [])


@operation
def delete_block_and_close_the_gap(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    return ([f"DELETE FROM {log.name} WHERE {ids_in(log, chain, position, last)}",
             log.shift(chain, last, position - last - 1)], [(name, position, "link_broken")] if last < size else [])


@operation
def cut_head(log, rng, chain, name, size, position, row):
    return ([f"DELETE FROM {log.name} WHERE chain_id = {chain} AND chain_position <= {position}"],
            [(name, 1, "head_missing")] if position < size else [])


@operation
def cut_tail(log, rng, chain, name, size, position, row):
    """Only a checkpoint can tell."""
    return [f"DELETE FROM {log.name} WHERE chain_id = {chain} AND chain_position >= {position}"], []


# ---- Moves --------------------------------------------------------------------------------------


@operation
def swap(log, rng, chain, name, size, position, row):
    other = rng.choice([p for p in range(1, size + 1) if p != position])
    return ([log.update(f"chain_position = {position + other} - chain_position",
                        f"id IN ({row}, {log.ids[chain][other - 1]})")],
            [(name, min(position, other), "link_broken")])


def moved_away(name, size, position, last, found):
    """A block that came from the end leaves no gap but the one before its new place."""
    return [(name, position, "head_missing" if position == 1 else "entry_missing")] if last == size else [found]


@operation
def move_block_to_the_end(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    return ([log.update(f"chain_position = chain_position + {size - position + 1}",
                        ids_in(log, chain, position, last))],
            moved_away(name, size, position, last, (name, size + 1, "link_broken")))


@operation
def move_block_far_beyond_the_end(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    return ([log.update(f"chain_position = chain_position + {size + 50}", ids_in(log, chain, position, last))],
            moved_away(name, size, position, last, (name, size + 1, "entry_missing")))


@operation
def rotate(log, rng, chain, name, size, position, row):
    """A block put before another, and all renumbered."""
    middle = block(rng, size - 1, min(position, size - 1))
    first, last = min(position, middle), block(rng, size, middle + 1)
    left, right = middle - first + 1, last - middle
    return ([log.update(f"chain_position = chain_position + CASE WHEN chain_position <= {middle} "
                        f"THEN {right} ELSE {-left} END", ids_in(log, chain, first, last))],
            [(name, first, "link_broken")])


@operation
def move_onto_another(log, rng, chain, name, size, position, row):
    other = rng.choice([p for p in range(1, size + 1) if p != position])
    return ([log.update(f"chain_position = {other}", f"id = {row}")], [(name, other, "entry_duplicated")])


@operation
def move_block_to_another_chain(log, rng, chain, name, size, position, row):
    others = [number for number in log.chains if number != chain]
    if not others:
        return move_block_to_the_end(log, rng, chain, name, size, position, row)
    other = rng.choice(others)
    last, end = block(rng, size, position), len(log.ids[other])
    return ([log.update(f"chain_id = {other}, chain_position = chain_position + {end - position + 1}",
                        ids_in(log, chain, position, last))],
            [(log.name_of(other), end + 1, "key_mismatch" if log.keyed else "link_broken")])


@operation
def move_block_into_another_chain(log, rng, chain, name, size, position, row):
    """Put between others there, and both chains renumbered."""
    others = [number for number in log.chains if number != chain]
    if not others:
        return rotate(log, rng, chain, name, size, position, row)
    other = rng.choice(others)
    last, to = block(rng, size, position), rng.randint(1, len(log.ids[other]))
    length = last - position + 1
    found = (log.name_of(other), to, "key_mismatch" if log.keyed else "link_broken")
    if position == to == 1 and not log.keyed:  # both name genesis: which one moved cannot be told
        first = last < size and chain < other
        found = (name, 1, "link_broken") if first else (log.name_of(other), length + 1, "link_broken")
    return ([log.shift(other, to - 1, length),
             log.update(f"chain_id = {other}, chain_position = chain_position + {to - position}",
                        ids_in(log, chain, position, last)),
             log.shift(chain, last, -length)], [found])


@operation
def move_before_the_start(log, rng, chain, name, size, position, row):
    return ([log.update(f"chain_position = {rng.choice([0, -1, -7])}", f"id = {row}")],
            [(name, None, "link_broken")])


@operation
def move_block_to_an_unknown_chain(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    return ([log.update(f"chain_id = {rng.randint(10 ** 6, 2 * 10 ** 9)}", ids_in(log, chain, position, last))],
            [(None, position, "key_mismatch")])


@operation
def unchain_block(log, rng, chain, name, size, position, row):
    last = block(rng, size, position)
    column = rng.choice(["chain_id", "chain_position"])
    return ([log.update(f"{column} = NULL", ids_in(log, chain, position, last))],
            [(None, None, "link_broken")] * (last - position + 1))


# ---- Additions ----------------------------------------------------------------------------------


@operation
def copy_to_the_same_position(log, rng, chain, name, size, position, row):
    return [log.copy(row, "chain_position", new_id=not log.copies)], [(name, position, "entry_duplicated")]


@operation
def copy_to_the_end(log, rng, chain, name, size, position, row):
    return ([log.copy(row, size + 1, new_id=not log.copies)],
            [(name, size + 1, "link_broken" if log.copies else "content_modified")])


@operation
def fork(log, rng, chain, name, size, position, row):
    """Another entry in the same place, right by itself."""
    sql, new = log.insert(chain, position, log.checksum_at(chain, position - 1), "NULL", log.tenant_of(chain))
    return [sql, log.rehash(new)], [(name, position, "entry_duplicated")]


@operation
def insert_without_chain(log, rng, chain, name, size, position, row):
    sql, _ = log.insert("NULL", "NULL", "NULL", "NULL")
    return [sql], [(None, None, "link_broken")]


@operation
def append_garbage(log, rng, chain, name, size, position, row):
    previous = rng.choice([GARBAGE, "NULL", log.checksum_at(chain, size)])
    sql, _ = log.insert(chain, size + 1, previous, rng.choice([GARBAGE, "NULL"]))
    return [sql], [(name, size + 1, "content_modified")]


@operation
def append_off_the_link(log, rng, chain, name, size, position, row):
    sql, new = log.insert(chain, size + 1, GARBAGE, "NULL", log.tenant_of(chain))
    return [sql, log.rehash(new)], [(name, size + 1, "link_broken")]


@operation
def append_well(log, rng, chain, name, size, position, row):
    """As the chain trigger would: an entry like any other."""
    sql, new = log.insert(chain, size + 1, log.checksum_at(chain, size), "NULL", log.tenant_of(chain))
    return [sql, log.rehash(new)], []


@operation
def insert_between(log, rng, chain, name, size, position, row):
    linked = rng.random() < 0.5
    previous = log.checksum_at(chain, position - 1) if linked else GARBAGE
    sql, new = log.insert(chain, position, previous, "NULL", log.tenant_of(chain))
    return ([log.shift(chain, position - 1, 1), sql, log.rehash(new)],
            [(name, position + linked, "link_broken")])
