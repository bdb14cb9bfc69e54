// verify_head(): the newest entries of a log's chains against its newest checkpoint, in O(log n) a
// chain.
//
// Of each chain it looks at three entries: the last sealed one, whose leaf must prove into the
// checkpoint's root; the first behind it, which must follow it; and the newest, which must follow
// the one before. What lies between the last two is for verify_since().

#include "core/chain_walk.h"
#include "core/merkle_proof.h"
#include "pg/archived_range.h"
#include "pg/barrier.h"
#include "pg/chain_ends.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/incarnation.h"
#include "pg/note_fault.h"
#include "pg/tree.h"
#include "pg/verify.h"
#include "pg/verify_entry.h"
#include "pg/violation_text.h"

extern "C" {
#include <common/pg_prng.h>
#include <utils/guc.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

// A log may have a chain for each of a million tenants. Of more chains than this, so many are
// chosen at random, anew in each run; that no sealed end is gone is seen of all.
constexpr std::int64_t kMaxHeads = 100;

struct HeadCheck {
    const Log* log;
    std::int64_t tree_size;
    Digest root;
    bool root_is_good;  // else nothing is proven against it
    LinkReader* links;
    ReceiptCheck receipts;
    MemoryContext context;        // of the whole check
    MemoryContext chain_context;  // of a chain
    std::int64_t to_come;         // chains
    std::int64_t to_choose;       // of these
    std::int64_t chains;          // with entries, or once with some
    std::int32_t heads;           // looked at
    std::int64_t entries;
    std::int64_t faulty;
    std::int64_t violations;
    const char* first;
    bool sealed_fault;      // a sealed entry is known to be gone or changed: so is the tree, then
    std::int64_t unproven;  // heads that have no proof
    const char* unproven_first;
};

void report(HeadCheck* check, const char* violation) {
    if (check->violations++ == 0) {
        check->first = MemoryContextStrdup(check->context, violation);
    }
}

// Selection sampling: each set of chains is as likely as any other.
bool choose(HeadCheck* check) {
    if (check->to_choose == 0) {
        return false;
    }
    auto to_choose = static_cast<std::uint64_t>(check->to_choose);
    bool chosen = pg_prng_uint64_range(&pg_global_prng_state, 0, --check->to_come) < to_choose;
    check->to_choose -= chosen;
    return chosen;
}

// Since the checkpoint was read the log may have been sealed anew, and the entry archived.
bool is_archived(const Log& log, std::int32_t chain_id, std::int64_t position) {
    std::span<ArchivedRange> ranges = read_archived_ranges(log, chain_id, position, 1);
    return !ranges.empty() && ranges[0].entries.first <= position;
}

// Whether the leaf of an entry proves into the checkpoint's root.
bool is_proven(HeadCheck* check, const ChainEnd& end, std::int64_t position) {
    ChainLink link;
    begin_links(check->links, end.chain_id, position, position);
    if (!next_link(check->links, &link)) {
        return is_archived(*check->log, end.chain_id, position);
    }
    end_links(check->links);
    Digest leaf = leaf_hash_of(uuid_text(check->log->id), chain_name(end.key, end.lane), position,
                               link.checksum);
    auto index = static_cast<std::uint64_t>(find_leaf(*check->log, end.chain_id, position));
    auto size = static_cast<std::uint64_t>(check->tree_size);
    ProofPlan plan;
    barrier([&] { plan = inclusion_plan(index, size); });
    std::size_t count = plan.subtrees().size();
    auto* hashes = static_cast<Digest*>(palloc((count + 1) * sizeof(Digest)));
    std::size_t read = 0;
    for (const Subtree& subtree : plan.subtrees()) {
        if (!read_subtree_hash(*check->log, check->links, subtree, &hashes[read++])) {
            return false;
        }
    }
    bool proven = false;
    Sha256& hasher = sha256();
    barrier([&] {
        proven = verify_inclusion(hasher, leaf, index, size, plan.fold(hasher, {hashes, count}),
                                  check->root);
    });
    return proven;
}

void prove(HeadCheck* check, const ChainEnd& end, std::int64_t position) {
    if (!check->root_is_good || is_proven(check, end, position) || check->unproven++ > 0) {
        return;
    }
    MemoryContext caller = MemoryContextSwitchTo(check->context);
    check->unproven_first = tell_violation(
        {shown_chain(end.key, end.lane), position, name(Violation::checkpoint_mismatch),
         psprintf("this entry, or another beside it in the tree, is not what the checkpoint of "
                  "%s sealed",
                  count_entries(check->tree_size))});
    MemoryContextSwitchTo(caller);
}

bool check_place(HeadCheck* check, const ChainEnd& end, std::int64_t position) {
    EntryVerdict verdict = check_entry(*check->log, end.chain_id, position, &check->receipts);
    check->entries += verdict.rows;
    if (verdict.violations == 0) {
        return true;
    }
    check->faulty += verdict.rows;
    report(check, verdict.first);
    return false;
}

// What is wrong with one entry may well be seen at the next: one violation a chain is enough.
void check_head(HeadCheck* check, const ChainEnd& end) {
    check->heads++;
    std::int64_t sealed = end.sealed;
    if (sealed > 0) {
        if (!check_place(check, end, sealed)) {
            check->sealed_fault = true;
            return;
        }
        prove(check, end, sealed);
    }
    if (end.newest > sealed && check_place(check, end, sealed + 1) && end.newest > sealed + 1) {
        check_place(check, end, end.newest);
    }
}

void check_chain(void* state, const ChainEnd& end) {
    auto* check = static_cast<HeadCheck*>(state);
    bool chosen = choose(check);
    if (end.newest == 0 && end.sealed == 0) {
        return;
    }
    check->chains++;
    if (!chosen && end.newest >= end.sealed) {
        return;
    }
    MemoryContext caller = MemoryContextSwitchTo(check->chain_context);
    if (end.newest < end.sealed) {
        check->heads += chosen;
        check->sealed_fault = true;
        report(check, tell_violation({shown_chain(end.key, end.lane), end.newest + 1,
                                      name(Violation::tail_missing),
                                      psprintf("sealed entries behind position %lld are missing",
                                               static_cast<long long>(end.newest))}));
    } else if (chosen && end.newest > 0) {
        check_head(check, end);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextReset(check->chain_context);
}

std::int64_t count_chains(const Log& log) {
    query_catalog("SELECT count(*) FROM auditchain.chain WHERE log_id = $1", {uuid_arg(log.id)});
    bool null;
    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

// The checkpoint by itself: its root is that of its frontier, and what its note signs.
void check_checkpoint(HeadCheck* check, const TreeHead& head) {
    const char* fault = reach_fault(*check->log, head);
    if (fault == nullptr) {
        fault = head.sound ? note_fault(*check->log, head) : "its root is not that of its subtrees";
        fault = fault == nullptr
                    ? nullptr
                    : psprintf("of the checkpoint of %s, %s", count_entries(head.size), fault);
    }
    check->root_is_good = fault == nullptr;
    if (fault != nullptr) {
        report(check, tell_violation({nullptr, 0, name(Violation::checkpoint_mismatch), fault}));
    }
}

// Entries that are known to be gone or changed explain that the tree is another.
void report_unproven(HeadCheck* check) {
    if (check->unproven == 0 || check->sealed_fault) {
        return;
    }
    auto others = static_cast<long long>(check->unproven - 1);
    report(check, others == 0 ? check->unproven_first
                              : psprintf("%s; so it is with %lld more chain head%s",
                                         check->unproven_first, others, others == 1 ? "" : "s"));
}

char* summary(const HeadCheck& check, bool sealed) {
    const char* unchecked = warn_unchecked(check.receipts);
    if (check.violations > 0) {
        return psprintf(
            "Chain integrity violated: %lld violation%s at %d chain head%s. First: "
            "%s%s%s",
            static_cast<long long>(check.violations), check.violations == 1 ? "" : "s", check.heads,
            check.heads == 1 ? "" : "s", check.first, unchecked[0] == '\0' ? "" : ".", unchecked);
    }
    const char* heads = "The only chain head";
    if (check.heads < check.chains) {
        heads = psprintf("%d of %lld chain heads, chosen at random,", check.heads,
                         static_cast<long long>(check.chains));
    } else if (check.heads != 1) {
        heads = psprintf("All %d chain heads", check.heads);
    }
    if (!sealed) {
        return psprintf("%s verified. The log is not sealed yet.%s", heads, unchecked);
    }
    return psprintf("%s verified against the checkpoint of %s.%s", heads,
                    count_entries(check.tree_size), unchecked);
}

Verification verify_heads(const Log& log, MemoryContext caller) {
    // What is committed now, whatever the isolation level: the heads, and the checkpoint.
    PushActiveSnapshot(GetLatestSnapshot());
    require_readable(log);
    TreeHead head = read_tree_head(log);
    auto* check = new (palloc0(sizeof(HeadCheck))) HeadCheck{};
    check->log = &log;
    check->tree_size = head.size;
    check->root = head.root;
    check->links = make_link_reader(log);
    check->receipts = begin_receipt_check(log);
    check->context = CurrentMemoryContext;
    check->chain_context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain chain", ALLOCSET_DEFAULT_SIZES);
    check->to_come = count_chains(log);
    check->to_choose = std::min(check->to_come, kMaxHeads);
    if (head.exists) {
        check_checkpoint(check, head);
    }
    read_chain_ends(log, {check_chain, check});
    report_unproven(check);
    PopActiveSnapshot();

    Verification result = {};
    result.intact = check->violations == 0;
    result.total_events = check->entries;
    result.verified_events = check->entries - check->faulty;
    result.chains = check->heads;
    result.checkpoints = head.exists ? 1 : 0;
    result.violations = check->violations;
    result.message = MemoryContextStrdup(caller, summary(*check, head.exists));
    return result;
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// verify_head(log regclass) → as verify()
AUDITCHAIN_FUNCTION(auditchain_verify_head) {
    MemoryContext caller = CurrentMemoryContext;
    const Log& log = require_log(PG_GETARG_OID(0));
    SPI_connect();
    int guc_level = forbid_row_security();
    Verification result = verify_heads(log, caller);
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    return verification_row(fcinfo, result);
}
