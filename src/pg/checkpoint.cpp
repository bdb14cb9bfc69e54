#include "pg/checkpoint.h"

#include "core/checkpoint.h"
#include "core/note.h"
#include "pg/barrier.h"
#include "pg/chain_ends.h"
#include "pg/commit_pipeline.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/epoch_seal.h"
#include "pg/incarnation.h"
#include "pg/key_ring.h"
#include "pg/tree.h"

#include <openssl/crypto.h>

extern "C" {
#include <access/xact.h>
#include <access/xlog.h>
#include <miscadmin.h>
#include <storage/lock.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

struct Sealing {
    const Log* log;
    const char* log_id;
    LinkReader* links;
    Frontier frontier;
    SealedRange newest;  // the last of the tree; chain_id 0: none
};

[[noreturn]] void refuse_broken_chain(const Sealing& sealing, const char* chain,
                                      std::int64_t position, const char* fault) {
    ereport(
        ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
        errmsg("log \"%s\" cannot be sealed", get_rel_name(sealing.log->relation)),
        errdetail("Position %lld of chain %s %s.", static_cast<long long>(position), chain, fault),
        errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                qualified_name(sealing.log->relation)));
}

void append_leaf(Sealing* sealing, const Digest& hash) {
    SubtreeHash completed[8];
    std::size_t count = 0;
    Sha256& hasher = sha256();
    barrier([&] {
        for (const SubtreeHash& subtree : sealing->frontier.append(hasher, hash)) {
            completed[count++] = subtree;
        }
    });
    for (std::size_t i = 0; i < count; i++) {
        store_subtree_hash(*sealing->log, completed[i]);
    }
}

// One range a chain and checkpoint, but that a chain which grows alone goes on with its range.
void store_range(Sealing* sealing, const SealedRange& range) {
    if (sealing->newest.chain_id == range.chain_id &&
        sealing->newest.last_position + 1 == range.first_position) {
        change_catalog(
            "UPDATE auditchain.sealed_range SET last_position = $3 "
            "WHERE log_id = $1 AND first_leaf = $2",
            {uuid_arg(sealing->log->id),
             {INT8OID, Int64GetDatum(sealing->newest.first_leaf)},
             {INT8OID, Int64GetDatum(range.last_position)}});
        sealing->newest.last_position = range.last_position;
        return;
    }
    change_catalog(
        "INSERT INTO auditchain.sealed_range "
        "(log_id, first_leaf, chain_id, first_position, last_position) VALUES ($1, $2, $3, $4, $5)",
        {uuid_arg(sealing->log->id),
         {INT8OID, Int64GetDatum(range.first_leaf)},
         {INT4OID, Int32GetDatum(range.chain_id)},
         {INT8OID, Int64GetDatum(range.first_position)},
         {INT8OID, Int64GetDatum(range.last_position)}});
    sealing->newest = range;
}

// The checksum that the first entry behind what is sealed has to follow.
Digest read_sealed_checksum(Sealing* sealing, const ChainEnd& end, const char* chain) {
    if (end.sealed == 0) {
        return {};
    }
    ChainLink link;
    begin_links(sealing->links, end.chain_id, end.sealed, end.sealed);
    if (!next_link(sealing->links, &link)) {
        refuse_broken_chain(*sealing, chain, end.sealed, "is sealed and has no entry");
    }
    end_links(sealing->links);
    return link.checksum;
}

// Appends a chain's entries behind what is sealed.
void seal_chain(void* state, const ChainEnd& end) {
    auto* sealing = static_cast<Sealing*>(state);
    if (end.newest == end.sealed) {
        return;
    }
    const char* chain = chain_name(end.key, end.lane);
    if (end.newest < end.sealed) {
        refuse_broken_chain(*sealing, chain, end.sealed, "is sealed and has no entry");
    }
    SealedRange range = {static_cast<std::int64_t>(sealing->frontier.size()), end.chain_id,
                         end.sealed + 1, end.sealed};
    Digest previous = read_sealed_checksum(sealing, end, chain);
    begin_links(sealing->links, end.chain_id, end.sealed + 1, end.newest);
    ChainLink link;
    while (next_link(sealing->links, &link)) {
        if (link.position != range.last_position + 1) {
            refuse_broken_chain(*sealing, chain, range.last_position + 1, "has not one entry");
        }
        if (link.previous != previous) {
            refuse_broken_chain(*sealing, chain, link.position,
                                "does not follow the entry before it");
        }
        append_leaf(sealing, leaf_hash_of(sealing->log_id, chain, link.position, link.checksum));
        previous = link.checksum;
        range.last_position = link.position;
    }
    store_range(sealing, range);
}

// A signed checkpoint, or nothing.
struct SignedNote {
    bool is_signed;
    char text[2048];
    char verifier_key[512];
};

void copy_text(std::string_view text, std::span<char> out) {
    if (text.size() >= out.size()) {
        throw std::length_error("a note is too long");
    }
    memcpy(out.data(), text.data(), text.size());
    out[text.size()] = '\0';
}

// The time is in the cosignature, by the log's own key: who has the note knows that the log had not
// grown by then.
void sign_checkpoint(const char* origin, std::uint64_t size, const Digest& root, SignedNote* out) {
    Ed25519Seed seed;
    out->is_signed = signing_key(&seed);
    if (!out->is_signed) {
        return;
    }
    auto now = static_cast<std::uint64_t>(timestamptz_to_time_t(GetCurrentTimestamp()));
    Sha256& hasher = sha256();
    barrier([&] {
        const Ed25519PrivateKey key = Ed25519PrivateKey::from_seed(seed);
        OPENSSL_cleanse(seed.data(), seed.size());
        Note note = {format_checkpoint({.origin = origin, .size = size, .root = root}), {}};
        note.signatures.push_back(sign_note(hasher, note.text, origin, key));
        note.signatures.push_back(cosign_note(hasher, note.text, origin, now, key));
        copy_text(format_note(note), out->text);
        copy_text(format_verifier_key(hasher, {origin, SignatureType::ed25519, key.public_key()}),
                  out->verifier_key);
    });
}

Arg digest_arg(const Digest& digest) {
    return {BYTEAOID, digest_datum(digest)};
}

Datum frontier_datum(const Frontier& frontier) {
    constexpr std::size_t kMaxBytes = 64 * sizeof(Digest);
    auto* bytes = static_cast<bytea*>(palloc(VARHDRSZ + kMaxBytes));
    barrier([&] {
        std::string text = frontier.bytes();
        memcpy(VARDATA(bytes), text.data(), text.size());
        SET_VARSIZE(bytes, VARHDRSZ + text.size());
    });
    return PointerGetDatum(bytes);
}

// A new checkpoint, or the newest one renewed where the log has not grown in this life.
void store_checkpoint(const Sealing& sealing, const Incarnation& incarnation, const Digest& root,
                      const SignedNote& note) {
    auto size = static_cast<std::int64_t>(sealing.frontier.size());
    change_catalog(
        "INSERT INTO auditchain.checkpoint "
        "(log_id, tree_size, incarnation, root, frontier, note, verifier_key) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (log_id, tree_size, incarnation) DO UPDATE SET renewed_at = "
        "clock_timestamp(), "
        "renewed_note = excluded.note, verifier_key = excluded.verifier_key",
        {uuid_arg(sealing.log->id),
         {INT8OID, Int64GetDatum(size)},
         {INT4OID, Int32GetDatum(incarnation.number)},
         digest_arg(root),
         {BYTEAOID, frontier_datum(sealing.frontier)},
         text_arg(note.is_signed ? note.text : nullptr),
         text_arg(note.is_signed ? note.verifier_key : nullptr)});
    change_catalog(
        "INSERT INTO auditchain.daily_root (log_id, day, tree_size, root, note) "
        "VALUES ($1, (clock_timestamp() AT TIME ZONE 'UTC')::date, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        {uuid_arg(sealing.log->id),
         {INT8OID, Int64GetDatum(size)},
         digest_arg(root),
         text_arg(note.is_signed ? note.text : nullptr)});
}

void require_sealable(const Log& log) {
    if (RecoveryInProgress() || XactReadOnly || IsBinaryUpgrade) {
        ereport(ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                errmsg("log \"%s\" cannot be sealed here", get_rel_name(log.relation)),
                errdetail("A checkpoint is written, and this %s.",
                          RecoveryInProgress() ? "server is a standby"
                          : IsBinaryUpgrade    ? "server is being upgraded"
                                               : "transaction is read-only"),
                errhint("CALL auditchain.checkpoint('%s') on the primary, in a transaction that "
                        "can write.",
                        qualified_name(log.relation)));
    }
}

void extend_tree(const Log& log) {
    TreeHead head = require_tree_head(log);
    Sealing sealing = {&log, uuid_text(log.id), make_link_reader(log), head.frontier,
                       read_newest_range(log)};
    read_chain_ends(log, {seal_chain, &sealing});

    Incarnation incarnation = current_incarnation(log, head.size);
    Digest root;
    Sha256& hasher = sha256();
    barrier([&] { root = sealing.frontier.root(hasher); });
    auto* note = static_cast<SignedNote*>(palloc0(sizeof(SignedNote)));
    sign_checkpoint(incarnation.origin, sealing.frontier.size(), root, note);
    store_checkpoint(sealing, incarnation, root, *note);
    seal_epoch(log, incarnation, sealing.frontier.size(), root);
}

// Sealers of a log go one after another, to the end of their transactions. Beside the locks of its
// chains (chain_lock.cpp), whose numbers are small.
void lock_sealing(const Log& log) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, log.relation, PG_UINT32_MAX, 0);
    LockAcquire(&tag, ExclusiveLock, false, false);
}

// COMMIT must not make the note visible before it is durable, and with it all entries that it
// covers: their commit records come before ours in the WAL. So this transaction is neither
// pipelined nor asynchronous.
void require_durable_commit() {
    forbid_pipelined_commit();
    if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH) {
        set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                          true, 0, false);
    }
}

}  // namespace

void seal_log(const Log& log) {
    require_sealable(log);
    lock_sealing(log);
    require_durable_commit();
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "auditchain checkpoint",
                                                  ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    SPI_connect();
    int guc_level = forbid_row_security();
    PushActiveSnapshot(GetLatestSnapshot());
    require_readable(log);
    extend_tree(log);
    PopActiveSnapshot();
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// checkpoint(log regclass)
AUDITCHAIN_FUNCTION(auditchain_checkpoint) {
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("log must not be NULL"),
                errhint("CALL auditchain.checkpoint('log')"));
    }
    const Log& log = require_log(PG_GETARG_OID(0));
    require_owner(log.relation);
    if (log.released) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("log \"%s\" is released", get_rel_name(log.relation)),
                errdetail("Its last checkpoint was made when it was released."),
                errhint("The view auditchain.checkpoints has it."));
    }
    seal_log(log);
    PG_RETURN_VOID();
}
