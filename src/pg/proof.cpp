// Proofs about the sealed tree: what is given out.

#include "core/base64.h"
#include "core/leaf.h"
#include "core/merkle_proof.h"
#include "core/tlog_proof.h"
#include "pg/archived_range.h"
#include "pg/barrier.h"
#include "pg/chain_row.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/incarnation.h"
#include "pg/key_ring.h"
#include "pg/log_cache.h"
#include "pg/tree.h"

#include <openssl/crypto.h>

extern "C" {
#include <access/htup_details.h>
#include <mb/pg_wchar.h>
#include <utils/array.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// Text that C++ makes, in a form that outlives it.
struct MadeText {
    char bytes[16384];
    std::size_t size;

    void assign(std::string_view text) {
        if (text.size() > sizeof bytes) {
            throw std::length_error("a proof is too long");
        }
        size = text.copy(bytes, sizeof bytes);
    }
    Datum datum() const {
        return PointerGetDatum(cstring_to_text_with_len(bytes, static_cast<int>(size)));
    }
};

MadeText* make_text() {
    return static_cast<MadeText*>(palloc0(sizeof(MadeText)));
}

// Between open_tree and close_tree SPI is connected.
struct OpenTree {
    MemoryContext caller;
    int guc_level;
    LinkReader* links;
};

OpenTree open_tree(const Log& log) {
    MemoryContext caller = CurrentMemoryContext;
    SPI_connect();
    int guc_level = forbid_row_security();
    require_readable(log);
    return {caller, guc_level, make_link_reader(log)};
}

void close_tree(const OpenTree& tree) {
    AtEOXact_GUC(true, tree.guc_level);
    SPI_finish();
}

[[noreturn]] void refuse_proof(const Log& log) {
    if (!has_archives(log)) {
        refuse_damaged_tree(log, "Entries or hashes that the proof would need are missing.");
    }
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("log \"%s\" has not got the hashes for this proof", get_rel_name(log.relation)),
            errdetail("It would need those of single entries that are archived."),
            errhint("Between the sizes of checkpoints there are proofs: see the view "
                    "auditchain.checkpoints. If these are, verify the log."));
    pg_unreachable();
}

Digest* read_hashes(const Log& log, const OpenTree& tree, const SubtreeList& subtrees) {
    auto* hashes = static_cast<Digest*>(palloc((subtrees.size() + 1) * sizeof(Digest)));
    std::size_t count = 0;
    for (const Subtree& subtree : subtrees) {
        if (!read_subtree_hash(log, tree.links, subtree, &hashes[count++])) {
            refuse_proof(log);
        }
    }
    return hashes;
}

// The leaf hash of the entry as it is now.
Digest read_entry_leaf(const Log& log, const OpenTree& tree, std::int32_t chain_id,
                       std::int64_t position) {
    ChainName name;
    ChainLink link;
    bool found = find_log_chain(log.id, chain_id, &name);
    if (found) {
        begin_links(tree.links, chain_id, position, position);
        found = next_link(tree.links, &link);
        if (found) {
            end_links(tree.links);
        }
    }
    if (!found) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no such entry", get_rel_name(log.relation)),
                errdetail("chain_id %d has no entry at position %lld.", chain_id,
                          static_cast<long long>(position)),
                errhint("The columns chain_id and chain_position of an entry say its place."));
    }
    return leaf_hash_of(uuid_text(log.id), chain_name(name.key, name.lane), position,
                        link.checksum);
}

std::int64_t require_leaf(const Log& log, std::int32_t chain_id, std::int64_t position,
                          const TreeHead& head) {
    std::int64_t leaf = find_leaf(log, chain_id, position);
    if (leaf < 0 || leaf >= head.size) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_SEALED), errmsg("the entry is not sealed yet"),
                errdetail("The newest checkpoint of log \"%s\" covers %s, and not this one.",
                          get_rel_name(log.relation), count_entries(head.size)),
                errhint("CALL auditchain.checkpoint('%s')", qualified_name(log.relation)));
    }
    return leaf;
}

// A proof is not given out unless it holds: what was changed since its entry was sealed has no
// proof.
void make_inclusion_proof(const Log& log, const OpenTree& tree, std::int32_t chain_id,
                          std::int64_t position, MadeText* out) {
    TreeHead head = require_signed_head(log);
    Digest leaf = read_entry_leaf(log, tree, chain_id, position);
    auto index = static_cast<std::uint64_t>(require_leaf(log, chain_id, position, head));
    auto size = static_cast<std::uint64_t>(head.size);
    ProofPlan plan;
    barrier([&] { plan = inclusion_plan(index, size); });
    Digest* hashes = read_hashes(log, tree, plan.subtrees());
    bool holds = false;
    Sha256& hasher = sha256();
    barrier([&] {
        TlogProof proof = {index, plan.fold(hasher, {hashes, plan.subtrees().size()}), head.note};
        holds = verify_inclusion(hasher, leaf, index, size, proof.hashes, head.root);
        out->assign(format_tlog_proof(proof));
    });
    if (!holds) {
        ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("there is no proof that this entry is in log \"%s\"",
                       get_rel_name(log.relation)),
                errdetail("It, or its neighbours in the tree, are not what was sealed."),
                errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                        qualified_name(log.relation)));
    }
}

void require_sizes(const Log& log, std::int64_t old_size, std::int64_t new_size) {
    std::int64_t newest = require_tree_head(log).size;
    if (old_size < 0 || old_size > new_size || new_size > newest) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("there is no proof from tree size %lld to %lld",
                       static_cast<long long>(old_size), static_cast<long long>(new_size)),
                errdetail("Log \"%s\" has sealed %s.", get_rel_name(log.relation),
                          count_entries(newest)),
                errhint("Sizes are from 0 to that, the smaller one first."));
    }
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain;
using namespace auditchain::pg;

// verifier_key(log regclass) → text
AUDITCHAIN_FUNCTION(auditchain_verifier_key) {
    const Log& log = require_log(PG_GETARG_OID(0));
    SPI_connect();
    const char* key = read_tree_head(log).verifier_key;
    Incarnation incarnation = newest_incarnation(log);
    MadeText* made = make_text();
    Ed25519Seed seed;
    if (key != nullptr) {
        barrier([&] { made->assign(key); });
    } else {
        require_signing_key(&seed);
        Sha256& hasher = sha256();
        barrier([&] {
            const Ed25519PrivateKey signer = Ed25519PrivateKey::from_seed(seed);
            OPENSSL_cleanse(seed.data(), seed.size());
            made->assign(format_verifier_key(
                hasher, {incarnation.origin, SignatureType::ed25519, signer.public_key()}));
        });
    }
    Datum result = SPI_datumTransfer(made->datum(), false, -1);
    SPI_finish();
    PG_RETURN_DATUM(result);
}

// leaf(entry anyelement) → text
AUDITCHAIN_FUNCTION(auditchain_leaf) {
    Oid relation = get_typ_typrelid(get_fn_expr_argtype(fcinfo->flinfo, 0));
    if (!OidIsValid(relation)) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG), errmsg("leaf() takes an entry of a log"),
                errdetail("The argument is not a row of a table."),
                errhint("SELECT auditchain.leaf(e) FROM some_log AS e"));
    }
    // Only now: an argument of another type must not be read as a row.
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    CachedLog& cached = require_cached_log(relation);
    require_chain_columns(*cached.log, *cached.plan, relation);
    bool nulls[3];
    std::int32_t chain_id = DatumGetInt32(GetAttributeByNum(row, cached.plan->chain_id, &nulls[0]));
    std::int64_t position =
        DatumGetInt64(GetAttributeByNum(row, cached.plan->chain_position, &nulls[1]));
    Datum checksum_value = GetAttributeByNum(row, cached.plan->checksum, &nulls[2]);
    Digest checksum;
    ChainName name;
    if (nulls[0] || nulls[1] || nulls[2] || !read_digest(checksum_value, &checksum) ||
        !find_log_chain(cached.log->id, chain_id, &name)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("the row is no entry of log \"%s\"", get_rel_name(cached.log->relation)),
                errdetail("It has no place in a chain of the log."),
                errhint("SELECT auditchain.leaf(e) FROM some_log AS e"));
    }
    const char* log_id = uuid_text(cached.log->id);
    const char* chain = chain_name(name.key, name.lane);
    MadeText* made = make_text();
    barrier([&] { made->assign(entry_leaf(log_id, chain, position, checksum)); });
    PG_RETURN_DATUM(made->datum());
}

// inclusion_proof(log regclass, chain_id int, "position" bigint) → text
AUDITCHAIN_FUNCTION(auditchain_inclusion_proof) {
    const Log& log = require_log(PG_GETARG_OID(0));
    MadeText* made = make_text();
    OpenTree tree = open_tree(log);
    make_inclusion_proof(log, tree, PG_GETARG_INT32(1), PG_GETARG_INT64(2), made);
    close_tree(tree);
    PG_RETURN_DATUM(made->datum());
}

// consistency_proof(log regclass, old_size bigint, new_size bigint) → text[]
AUDITCHAIN_FUNCTION(auditchain_consistency_proof) {
    const Log& log = require_log(PG_GETARG_OID(0));
    std::int64_t old_size = PG_GETARG_INT64(1);
    std::int64_t new_size = PG_GETARG_INT64(2);
    OpenTree tree = open_tree(log);
    require_sizes(log, old_size, new_size);
    ProofPlan plan;
    barrier([&] { plan = consistency_plan(old_size, new_size); });
    Digest* hashes = read_hashes(log, tree, plan.subtrees());
    constexpr std::size_t kMaxHashes = 128;
    auto* proof = static_cast<Digest*>(palloc(kMaxHashes * sizeof(Digest)));
    std::size_t count = 0;
    Sha256& hasher = sha256();
    barrier([&] {
        for (const Digest& hash : plan.fold(hasher, {hashes, plan.subtrees().size()})) {
            proof[count++] = hash;
        }
    });
    MemoryContextSwitchTo(tree.caller);
    auto* texts = static_cast<Datum*>(palloc((count + 1) * sizeof(Datum)));
    MadeText* made = make_text();
    for (std::size_t i = 0; i < count; i++) {
        barrier([&] { made->assign(to_base64(proof[i])); });
        texts[i] = made->datum();
    }
    ArrayType* result =
        construct_array(texts, static_cast<int>(count), TEXTOID, -1, false, TYPALIGN_INT);
    close_tree(tree);
    PG_RETURN_ARRAYTYPE_P(result);
}
