#include "pg/tree.h"

#include "core/leaf.h"
#include "core/malformed.h"
#include "pg/archived_tree.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/incarnation.h"

extern "C" {
#include <mb/pg_wchar.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

Datum result_value(std::uint64_t row, int column, bool* null) {
    return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

std::int64_t result_bigint(std::uint64_t row, int column) {
    bool null;
    return DatumGetInt64(result_value(row, column, &null));
}

// The hashes of leaves side by side, computed from their entries.
bool read_leaf_hashes(const Log& log, LinkReader* reader, const SubtreeRun& run, Digest* hashes) {
    const char* log_id = uuid_text(log.id);
    auto next = static_cast<std::int64_t>(run.index);
    auto end = static_cast<std::int64_t>(run.index + run.count);
    for (const SealedRange& range : read_sealed_ranges(log, next, end, 256)) {
        ChainName name;
        if (range.first_leaf > next || !find_log_chain(log.id, range.chain_id, &name)) {
            break;
        }
        const char* chain = chain_name(name.key, name.lane);
        std::int64_t position = range.first_position + next - range.first_leaf;
        std::int64_t last = std::min(range.last_position, position + end - next - 1);
        begin_links(reader, range.chain_id, position, last);
        ChainLink link;
        while (next_link(reader, &link)) {
            if (link.position != position++) {
                end_links(reader);
                break;
            }
            *hashes++ = leaf_hash_of(log_id, chain, link.position, link.checksum);
            next++;
        }
    }
    return next == end;
}

}  // namespace

void refuse_damaged_tree(const Log& log, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("the tree of log \"%s\" is damaged", get_rel_name(log.relation)),
            errdetail("%s", detail),
            errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                    qualified_name(log.relation)));
}

TreeHead read_tree_head(const Log& log) {
    query_catalog_as_seen(
        "SELECT tree_size, frontier, root, incarnation, coalesce(renewed_note, note), verifier_key "
        "FROM auditchain.checkpoint WHERE log_id = $1 "
        "ORDER BY tree_size DESC, incarnation DESC LIMIT 1",
        {uuid_arg(log.id)});
    TreeHead head = {};
    if (SPI_processed == 0) {
        Sha256& hasher = sha256();
        barrier([&] { head.root = empty_root(hasher); });
        head.sound = true;
        return head;
    }
    bool null;
    head.exists = true;
    head.size = result_bigint(0, 1);
    head.sound = read_digest(result_value(0, 3, &null), &head.root) &&
                 read_frontier(head.size, DatumGetByteaPP(result_value(0, 2, &null)), head.root,
                               &head.frontier);
    head.incarnation = DatumGetInt32(result_value(0, 4, &null));
    head.note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5);
    head.verifier_key = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6);
    return head;
}

const char* reach_fault(const Log& log, const TreeHead& head) {
    std::int64_t end = read_newest_range(log).end_leaf();
    return end == head.size ? nullptr
                            : psprintf(
                                  "the newest checkpoint is of %s, and %lld %s on "
                                  "record as sealed",
                                  count_entries(head.size), static_cast<long long>(end),
                                  end == 1 ? "is" : "are");
}

TreeHead require_tree_head(const Log& log) {
    TreeHead head = read_tree_head(log);
    const char* fault = head.sound ? reach_fault(log, head)
                                   : psprintf("the checkpoint of %s is not as it was made",
                                              count_entries(head.size));
    if (fault != nullptr) {
        refuse_damaged_tree(log, psprintf("It shows that %s.", fault));
    }
    return head;
}

TreeHead require_signed_head(const Log& log) {
    TreeHead head = require_tree_head(log);
    if (!head.exists || head.note == nullptr) {
        ereport(ERROR, errcode(head.exists ? ERRCODE_AC_NO_KEY : ERRCODE_AC_NOT_SEALED),
                errmsg("log \"%s\" has no signed checkpoint", get_rel_name(log.relation)),
                head.exists ? errdetail("Its newest checkpoint was made without a signing key.")
                            : errdetail("It has not been sealed yet."),
                errhint("CALL auditchain.checkpoint('%s') seals it, and signs where "
                        "auditchain.signing_key_file names a key.",
                        qualified_name(log.relation)));
    }
    return head;
}

bool read_frontier(std::int64_t size, const bytea* stored, const Digest& root, Frontier* frontier) {
    std::string_view bytes(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
    bool sound = false;
    Sha256& hasher = sha256();
    barrier([&] {
        try {
            Frontier read(static_cast<std::uint64_t>(size), bytes);
            sound = read.root(hasher) == root;
            *frontier = sound ? read : Frontier();
        } catch (const Malformed&) {
        }
    });
    return sound;
}

std::span<StoredCheckpoint> read_checkpoints(const Log& log, std::int64_t size,
                                             std::int32_t incarnation, std::int64_t end,
                                             std::int64_t limit) {
    query_catalog_as_seen(
        "SELECT tree_size, incarnation, root, frontier FROM auditchain.checkpoint "
        "WHERE log_id = $1 AND (tree_size, incarnation) > ($2, $3) AND tree_size <= $4 "
        "ORDER BY tree_size, incarnation LIMIT $5",
        {uuid_arg(log.id),
         {INT8OID, Int64GetDatum(size)},
         {INT4OID, Int32GetDatum(incarnation)},
         {INT8OID, Int64GetDatum(end)},
         {INT8OID, Int64GetDatum(limit)}});
    std::uint64_t count = SPI_processed;
    auto* checkpoints =
        static_cast<StoredCheckpoint*>(palloc((count + 1) * sizeof(StoredCheckpoint)));
    for (std::uint64_t i = 0; i < count; i++) {
        bool null;
        auto* checkpoint = new (&checkpoints[i]) StoredCheckpoint{};
        checkpoint->size = result_bigint(i, 1);
        checkpoint->incarnation = DatumGetInt32(result_value(i, 2, &null));
        checkpoint->sound =
            read_digest(result_value(i, 3, &null), &checkpoint->root) &&
            read_frontier(checkpoint->size, DatumGetByteaPP(result_value(i, 4, &null)),
                          checkpoint->root, &checkpoint->frontier);
    }
    SPI_freetuptable(SPI_tuptable);
    return {checkpoints, count};
}

Digest leaf_hash_of(const char* log_id, const char* chain, std::int64_t position,
                    const Digest& checksum) {
    Sha256& hasher = sha256();
    Digest hash;
    barrier([&] { hash = leaf_hash(hasher, entry_leaf(log_id, chain, position, checksum)); });
    return hash;
}

char* chain_name(std::string_view key, int lane) {
    return psprintf("%.*s/%d", static_cast<int>(key.size()), key.data(), lane);
}

std::span<SealedRange> read_sealed_ranges(const Log& log, std::int64_t first, std::int64_t end,
                                          std::int64_t limit) {
    query_catalog_as_seen(
        "SELECT first_leaf, chain_id, first_position, last_position FROM auditchain.sealed_range "
        "WHERE log_id = $1 AND first_leaf >= coalesce((SELECT max(first_leaf) "
        "FROM auditchain.sealed_range WHERE log_id = $1 AND first_leaf <= $2), 0) "
        "AND first_leaf < $3 ORDER BY first_leaf LIMIT $4",
        {uuid_arg(log.id),
         {INT8OID, Int64GetDatum(first)},
         {INT8OID, Int64GetDatum(end)},
         {INT8OID, Int64GetDatum(limit)}});
    auto* ranges = static_cast<SealedRange*>(palloc((SPI_processed + 1) * sizeof(SealedRange)));
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        bool null;
        ranges[i] = {result_bigint(i, 1), DatumGetInt32(result_value(i, 2, &null)),
                     result_bigint(i, 3), result_bigint(i, 4)};
    }
    std::span<SealedRange> result(ranges, SPI_processed);
    SPI_freetuptable(SPI_tuptable);
    return result;
}

SealedRange read_newest_range(const Log& log) {
    query_catalog_as_seen(
        "SELECT first_leaf, chain_id, first_position, last_position FROM auditchain.sealed_range "
        "WHERE log_id = $1 ORDER BY first_leaf DESC LIMIT 1",
        {uuid_arg(log.id)});
    if (SPI_processed == 0) {
        return {0, 0, 1, 0};
    }
    bool null;
    return {result_bigint(0, 1), DatumGetInt32(result_value(0, 2, &null)), result_bigint(0, 3),
            result_bigint(0, 4)};
}

std::int64_t find_leaf(const Log& log, std::int32_t chain_id, std::int64_t position) {
    query_catalog_as_seen(
        "SELECT first_leaf + $3 - first_position FROM ("
        "SELECT * FROM auditchain.sealed_range "
        "WHERE log_id = $1 AND chain_id = $2 AND first_position <= $3 "
        "ORDER BY first_position DESC LIMIT 1) AS range WHERE last_position >= $3",
        {uuid_arg(log.id), {INT4OID, Int32GetDatum(chain_id)}, {INT8OID, Int64GetDatum(position)}});
    return SPI_processed == 0 ? -1 : result_bigint(0, 1);
}

std::int64_t sealed_position(const Log& log, std::int32_t chain_id, std::int64_t tree_size) {
    query_catalog_as_seen(
        "SELECT least(last_position, first_position + $3 - first_leaf - 1) "
        "FROM auditchain.sealed_range WHERE log_id = $1 AND chain_id = $2 AND first_leaf < $3 "
        "ORDER BY first_position DESC LIMIT 1",
        {uuid_arg(log.id),
         {INT4OID, Int32GetDatum(chain_id)},
         {INT8OID, Int64GetDatum(tree_size)}});
    return SPI_processed == 0 ? 0 : result_bigint(0, 1);
}

bool read_stored_hashes(const Log& log, const SubtreeRun& run, Digest* hashes) {
    query_catalog_as_seen(
        "SELECT hash FROM auditchain.tree_hash "
        "WHERE log_id = $1 AND level = $2 AND index >= $3 AND index < $4 ORDER BY index",
        {uuid_arg(log.id),
         {INT2OID, Int16GetDatum(run.level)},
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(run.index))},
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(run.index + run.count))}});
    bool complete = SPI_processed == run.count;
    for (std::uint64_t i = 0; complete && i < run.count; i++) {
        bool null;
        complete = read_digest(result_value(i, 1, &null), &hashes[i]);
    }
    SPI_freetuptable(SPI_tuptable);
    return complete;
}

bool read_subtree_hash(const Log& log, LinkReader* reader, const Subtree& subtree, Digest* hash) {
    SubtreeRun run = stored_below(subtree);
    auto* hashes = static_cast<Digest*>(palloc(run.count * sizeof(Digest)));
    bool complete = run.level == 0 ? read_leaf_hashes(log, reader, run, hashes)
                                   : read_stored_hashes(log, run, hashes);
    if (complete) {
        Sha256& hasher = sha256();
        barrier([&] { *hash = complete_hash(hasher, {hashes, run.count}); });
    }
    pfree(hashes);
    return complete || (run.level == 0 && read_partly_archived(log, reader, subtree, hash));
}

bool make_frontier(const Log& log, LinkReader* reader, std::int64_t size, Frontier* frontier) {
    Digest hashes[64];
    std::size_t count = 0;
    for (const Subtree& subtree : frontier_subtrees(static_cast<std::uint64_t>(size))) {
        if (!read_subtree_hash(log, reader, subtree, &hashes[count++])) {
            return false;
        }
    }
    std::string_view bytes(reinterpret_cast<const char*>(hashes), count * sizeof(Digest));
    barrier([&] { *frontier = Frontier(static_cast<std::uint64_t>(size), bytes); });
    return true;
}

void store_subtree_hash(const Log& log, const SubtreeHash& hash) {
    change_catalog(
        "INSERT INTO auditchain.tree_hash (log_id, level, index, hash) VALUES ($1, $2, $3, $4)",
        {uuid_arg(log.id),
         {INT2OID, Int16GetDatum(hash.subtree.level)},
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(hash.subtree.index))},
         {BYTEAOID, digest_datum(hash.hash)}});
}

}  // namespace auditchain::pg
