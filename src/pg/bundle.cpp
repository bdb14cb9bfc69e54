#include "pg/bundle.h"

#include "core/bundle_writer.h"
#include "pg/archived_range.h"
#include "pg/archive_key.h"
#include "pg/barrier.h"
#include "pg/bundle_entries.h"
#include "pg/commit_pipeline.h"
#include "pg/incarnation.h"
#include "pg/progress.h"

extern "C" {
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::int64_t kBatch = 1000;

// A bundle on its way.
struct Bundling {
    const Log* log;
    const BundleRequest* request;
    const BundleSink* sink;
    BundleWriter* writer;  // deleted with the memory context
    BundleEntryReader* entries;
    LinkReader* links;
    ArchivedRanges archived;
    std::int32_t chain_id;  // of the name
    const char* chain;
    MemoryContext batch_context;
};

const char* to_utf8(const char* text) {
    return pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
}

const char* program_version() {
    query_catalog(
        "SELECT 'auditchain ' || extversion FROM pg_catalog.pg_extension "
        "WHERE extname = 'auditchain'",
        {});
    return SPI_processed == 0 ? "auditchain"
                              : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

std::string_view or_empty(const char* text) {
    return text == nullptr ? "" : text;
}

void delete_writer(void* writer) {
    delete static_cast<BundleWriter*>(writer);
}

BundleWriter* make_writer(const Log& log, const TreeHead& head, const BundleRequest& request) {
    const char* program = program_version();
    const char* name = to_utf8(qualified_name(log.relation));
    const char* log_id = uuid_text(log.id);
    const char* origin = newest_incarnation(log).origin;
    auto now = static_cast<std::uint64_t>(timestamptz_to_time_t(GetCurrentTimestamp()));
    auto* callback = static_cast<MemoryContextCallback*>(palloc0(sizeof(MemoryContextCallback)));
    ArchiveKeys keys;
    if (request.encrypted) {
        read_archive_keys(&keys);
    }
    BundleWriter* writer = nullptr;
    char fault[256] = "";
    barrier([&] {
        try {
            BundleHead bundle{.created_at = now,
                              .created_by = program,
                              .log_name = name,
                              .log_id = log_id,
                              .origin = origin,
                              .tree_size = static_cast<std::uint64_t>(head.size),
                              .root = head.root,
                              .since = std::string(or_empty(request.since)),
                              .until = std::string(or_empty(request.until)),
                              .context = std::string(or_empty(request.context)),
                              .encryption = {}};
            writer = new BundleWriter(std::move(bundle), or_empty(head.note),
                                      or_empty(head.note == nullptr ? nullptr : head.verifier_key),
                                      request.encrypted ? &keys.keys[0] : nullptr);
        } catch (const std::exception& e) {
            strlcpy(fault, e.what(), sizeof fault);
        }
    });
    erase_keys(&keys);
    if (writer == nullptr) {
        ereport(ERROR, errcode(ERRCODE_AC_INTERNAL), errmsg("auditchain: %s", fault));
    }
    callback->func = delete_writer;
    callback->arg = writer;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return writer;
}

// Gives what was written to the sink, once it is a piece or more, or else all of it.
void hand_over(Bundling* bundling, bool all) {
    std::string& output = bundling->writer->output();
    if (output.size() < kPiece && !all) {
        return;
    }
    std::string_view rest = output;
    while (!rest.empty()) {
        bundling->sink->take(bundling->sink->state, rest.substr(0, kPiece));
        rest.remove_prefix(std::min(kPiece, rest.size()));
    }
    output.clear();
}

[[noreturn]] void refuse_entry(const Bundling& bundling, std::int64_t position, const char* fault) {
    refuse_damaged_tree(*bundling.log,
                        psprintf("Position %lld of chain %s %s.", static_cast<long long>(position),
                                 bundling.chain, fault));
}

const char* describe(BundleWriter::Fault fault) {
    return fault == BundleWriter::Fault::content ? "does not match its checksum"
                                                 : "does not follow the entry before it";
}

// Puts the hashes of the leaves up to before `end` in the place of entries.
void skip_leaves(Bundling* bundling, std::uint64_t end) {
    BundleWriter* writer = bundling->writer;
    while (writer->next_leaf() < end) {
        SubtreeHash subtree = {subtree_at(writer->next_leaf(), end), {}};
        if (!read_subtree_hash(*bundling->log, bundling->links, subtree.subtree, &subtree.hash)) {
            refuse_damaged_tree(*bundling->log,
                                "Entries or hashes that the bundle would need are missing.");
        }
        barrier([&] { writer->skip(subtree); });
        advance_progress(progress_slot(), std::int64_t{1} << subtree.subtree.level);
        hand_over(bundling, false);
    }
}

void write_entries(Bundling* bundling, std::int64_t first, std::int64_t last) {
    BundleWriter* writer = bundling->writer;
    BundledEntry entry;
    begin_bundle_entries(bundling->entries, bundling->chain_id, first, last);
    std::int64_t expected = first;
    while (next_bundle_entry(bundling->entries, &entry)) {
        if (entry.position != expected) {
            refuse_entry(*bundling, expected, "has not one entry");
        }
        entry.chain = bundling->chain;
        auto fault = BundleWriter::Fault::none;
        barrier([&] { fault = writer->add(entry); });
        if (fault != BundleWriter::Fault::none) {
            refuse_entry(*bundling, expected, describe(fault));
        }
        hand_over(bundling, false);
        advance_progress(progress_slot(), 1);
        expected++;
    }
    if (expected != last + 1) {
        refuse_entry(*bundling, expected, "has no entry");
    }
}

void find_chain(Bundling* bundling, std::int32_t chain_id) {
    ChainName name;
    if (!find_log_chain(bundling->log->id, chain_id, &name)) {
        refuse_damaged_tree(*bundling->log, "A chain that has sealed entries is not on record.");
    }
    bundling->chain_id = chain_id;
    bundling->chain = chain_name(name.key, name.lane);
}

// Writes entries of a range of leaves, but for those that are archived.
void write_kept_entries(Bundling* bundling, const SealedRange& range, std::int64_t first,
                        std::int64_t last) {
    begin_archived_chain(&bundling->archived, range.chain_id, first);
    while (first <= last) {
        const ArchivedRange* archived = next_archived_range(&bundling->archived, last);
        std::int64_t end = archived == nullptr ? last : archived->entries.first - 1;
        if (first <= end) {
            skip_leaves(bundling, static_cast<std::uint64_t>(range.first_leaf + first -
                                                             range.first_position));
            find_chain(bundling, range.chain_id);
            write_entries(bundling, first, end);
        }
        first = archived == nullptr ? last + 1 : archived->entries.last + 1;
    }
}

// Writes what is wanted of a range of leaves, before leaf `end`.
void write_range(Bundling* bundling, const SealedRange& range, std::int64_t end) {
    std::int64_t last =
        std::min(range.last_position, range.first_position + end - range.first_leaf - 1);
    auto wanted = std::lower_bound(
        bundling->request->ranges.begin(), bundling->request->ranges.end(), range,
        [](const PositionRange& one, const SealedRange& sealed) {
            return one.chain_id != sealed.chain_id ? one.chain_id < sealed.chain_id
                                                   : one.last < sealed.first_position;
        });
    for (; wanted != bundling->request->ranges.end() && wanted->chain_id == range.chain_id &&
           wanted->first <= last;
         ++wanted) {
        write_kept_entries(bundling, range, std::max(wanted->first, range.first_position),
                           std::min(wanted->last, last));
    }
}

void write_leaves(Bundling* bundling, std::int64_t size) {
    for (std::int64_t leaf = 0; leaf < size;) {
        MemoryContext caller = MemoryContextSwitchTo(bundling->batch_context);
        std::span<SealedRange> ranges = read_sealed_ranges(*bundling->log, leaf, size, kBatch);
        for (const SealedRange& range : ranges) {
            CHECK_FOR_INTERRUPTS();
            if (range.first_leaf > leaf) {
                break;
            }
            write_range(bundling, range, size);
            leaf = range.end_leaf();
        }
        if (ranges.empty() || leaf < ranges.back().end_leaf()) {
            refuse_damaged_tree(*bundling->log, "It is not on record which entries were sealed.");
        }
        MemoryContextSwitchTo(caller);
        MemoryContextReset(bundling->batch_context);
    }
    skip_leaves(bundling, static_cast<std::uint64_t>(size));
}

}  // namespace

std::int64_t write_bundle(const Log& log, const TreeHead& head, const BundleRequest& request,
                          const BundleSink& sink) {
    flush_visible_entries();
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain bundle", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    begin_progress(log.relation, "bundle", "writing entries", head.size);
    Bundling bundling = {};
    bundling.log = &log;
    bundling.request = &request;
    bundling.sink = &sink;
    bundling.writer = make_writer(log, head, request);
    bundling.entries = make_bundle_reader(log);
    bundling.links = make_link_reader(log);
    bundling.archived = make_archived_ranges(log);
    bundling.batch_context =
        AllocSetContextCreate(context, "auditchain bundle ranges", ALLOCSET_DEFAULT_SIZES);
    write_leaves(&bundling, head.size);
    auto fault = BundleWriter::Fault::none;
    barrier([&] { fault = bundling.writer->finish(); });
    if (fault != BundleWriter::Fault::none) {
        refuse_damaged_tree(log, "Its entries are not those that were sealed.");
    }
    hand_over(&bundling, true);
    auto entries = static_cast<std::int64_t>(bundling.writer->entries());
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
    return entries;
}

std::span<PositionRange> sealed_positions(const Log& log) {
    query_catalog_as_seen(
        "SELECT chain_id, min(first_position), max(last_position) FROM auditchain.sealed_range "
        "WHERE log_id = $1 GROUP BY chain_id ORDER BY chain_id",
        {uuid_arg(log.id)});
    return read_position_ranges();
}

std::span<PositionRange> read_position_ranges() {
    auto* ranges = static_cast<PositionRange*>(palloc((SPI_processed + 1) * sizeof(PositionRange)));
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc descriptor = SPI_tuptable->tupdesc;
        bool null;
        ranges[i] = {DatumGetInt32(SPI_getbinval(row, descriptor, 1, &null)),
                     DatumGetInt64(SPI_getbinval(row, descriptor, 2, &null)),
                     DatumGetInt64(SPI_getbinval(row, descriptor, 3, &null))};
    }
    std::span<PositionRange> result(ranges, SPI_processed);
    SPI_freetuptable(SPI_tuptable);
    return result;
}

}  // namespace auditchain::pg
