#include "pg/catalog.h"

#include "pg/errors.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <catalog/indexing.h>
#include <catalog/namespace.h>
#include <catalog/pg_collation_d.h>
#include <commands/sequence.h>
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

// Columns of auditchain.chain, in the order of sql/catalog.sql.
enum ChainColumn : AttrNumber { kChainId = 1, kChainLog, kChainKey, kChainLane, kChainFormat };
constexpr int kChainColumns = kChainFormat;

// A key is stored as text, so in the server's encoding.
Datum key_datum(std::string_view utf8) {
    auto length = static_cast<int>(utf8.size());
    const char* text = pg_any_to_server(utf8.data(), length, PG_UTF8);
    return PointerGetDatum(text == utf8.data() ? cstring_to_text_with_len(text, length)
                                               : cstring_to_text(text));
}

void insert_chain(const pg_uuid_t& log, std::string_view key, int lane, std::int32_t chain_id) {
    Datum values[kChainColumns];
    bool nulls[kChainColumns] = {};
    values[kChainId - 1] = Int32GetDatum(chain_id);
    values[kChainLog - 1] = UUIDPGetDatum(&log);
    values[kChainKey - 1] = key_datum(key);
    values[kChainLane - 1] = Int32GetDatum(lane);
    values[kChainFormat - 1] = Int32GetDatum(kFormat);

    Relation chains = table_open(catalog_object("chain"), RowExclusiveLock);
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(chains), values, nulls);
    CatalogTupleInsert(chains, tuple);
    heap_freetuple(tuple);
    table_close(chains, NoLock);
}

// Copies the latest snapshot, or that which is active. A parallel query may take no latest one, but
// that for catalogs is as new.
void push_snapshot(bool latest) {
    PushActiveSnapshot(!latest              ? GetActiveSnapshot()
                       : IsInParallelMode() ? GetCatalogSnapshot(catalog_object("log"))
                                            : GetLatestSnapshot());
}

// A read-only query of SPI takes the snapshot that is active.
void run_on_catalog(const char* sql, std::initializer_list<Arg> args, bool latest, bool read_only) {
    constexpr std::size_t kMaxArgs = 16;
    if (args.size() > kMaxArgs) {
        elog(ERROR, "too many arguments of a statement on the catalog");
    }
    Oid types[kMaxArgs];
    Datum values[kMaxArgs];
    char nulls[kMaxArgs];
    int count = 0;
    for (const Arg& arg : args) {
        types[count] = arg.type;
        values[count] = arg.value;
        nulls[count++] = arg.null ? 'n' : ' ';
    }

    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    Relation log = table_open(catalog_object("log"), AccessShareLock);
    Oid owner = log->rd_rel->relowner;
    table_close(log, NoLock);
    SetUserIdAndSecContext(owner, security_context | SECURITY_LOCAL_USERID_CHANGE);
    // Operators are looked up by search_path, and the caller's must not run as the owner.
    int guc_level = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                      GUC_ACTION_SAVE, true, 0, false);
    push_snapshot(latest);
    SPI_execute_with_args(sql, count, types, values, nulls, read_only, 0);
    PopActiveSnapshot();
    AtEOXact_GUC(true, guc_level);
    SetUserIdAndSecContext(user, security_context);
}

}  // namespace

Oid catalog_object(const char* name) {
    Oid schema = get_namespace_oid("auditchain", false);
    Oid object = get_relname_relid(name, schema);
    if (!OidIsValid(object)) {
        ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("auditchain.%s does not exist", name),
                errdetail("The extension's own tables are incomplete."),
                errhint("Restore the database, or create the extension again."));
    }
    return object;
}

void query_catalog(const char* sql, std::initializer_list<Arg> args) {
    run_on_catalog(sql, args, true, true);
}

void change_catalog(const char* sql, std::initializer_list<Arg> args) {
    run_on_catalog(sql, args, true, false);
}

void query_catalog_as_seen(const char* sql, std::initializer_list<Arg> args) {
    run_on_catalog(sql, args, false, true);
}

bool log_is_visible(const pg_uuid_t& log) {
    Relation logs = table_open(catalog_object("log"), AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&log));
    SysScanDesc scan =
        systable_beginscan(logs, catalog_object("log_pkey"), true, GetActiveSnapshot(), 1, &key);
    bool visible = HeapTupleIsValid(systable_getnext(scan));
    systable_endscan(scan);
    table_close(logs, AccessShareLock);
    return visible;
}

const char* this_database() {
    return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

const char* current_actor() {
    const char* session = GetUserNameFromId(GetSessionUserId(), false);
    if (GetUserId() == GetSessionUserId()) {
        return session;
    }
    return psprintf("%s as %s", session, GetUserNameFromId(GetUserId(), false));
}

void record_log_event(const pg_uuid_t& log, const char* event, const char* detail) {
    change_catalog(
        "INSERT INTO auditchain.log_event (log_id, actor, event, detail) VALUES ($1, $2, $3, $4)",
        {uuid_arg(log), text_arg(current_actor()), text_arg(event), text_arg(detail)});
}

FoundChain find_chain(const pg_uuid_t& log, std::string_view key, int lane) {
    Relation chains = table_open(catalog_object("chain"), AccessShareLock);
    ScanKeyData keys[3];
    ScanKeyInit(&keys[0], kChainLog, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&log));
    ScanKeyEntryInitialize(&keys[1], 0, kChainKey, BTEqualStrategyNumber, InvalidOid,
                           C_COLLATION_OID, F_TEXTEQ, key_datum(key));
    ScanKeyInit(&keys[2], kChainLane, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(lane));
    // Never the transaction's own snapshot: REPEATABLE READ must find a chain begun meanwhile.
    SysScanDesc scan = systable_beginscan(chains, catalog_object("chain_log_id_key_lane_key"), true,
                                          SnapshotSelf, lengthof(keys), keys);
    FoundChain found = {};
    found.table = RelationGetRelid(chains);
    if (HeapTuple tuple = systable_getnext(scan)) {
        bool null;
        found.chain_id =
            DatumGetInt32(heap_getattr(tuple, kChainId, RelationGetDescr(chains), &null));
        found.committed =
            !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
    }
    systable_endscan(scan);
    table_close(chains, AccessShareLock);
    return found;
}

std::int32_t add_chain(const pg_uuid_t& log, std::string_view key, int lane) {
    auto chain_id =
        static_cast<std::int32_t>(nextval_internal(catalog_object("chain_id_seq"), false));
    insert_chain(log, key, lane, chain_id);
    return chain_id;
}

void add_given_chain(const pg_uuid_t& log, std::string_view key, int lane, std::int32_t chain_id) {
    SPI_connect();
    change_catalog(
        "SELECT setval('auditchain.chain_id_seq', $1) "
        "FROM auditchain.chain_id_seq WHERE last_value < $1 OR last_value = $1 AND NOT is_called",
        {{INT8OID, Int64GetDatum(chain_id)}});
    SPI_finish();
    insert_chain(log, key, lane, chain_id);
}

bool find_chain_name(std::int32_t chain_id, ChainName* name) {
    Relation chains = table_open(catalog_object("chain"), AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, kChainId, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chain_id));
    SysScanDesc scan =
        systable_beginscan(chains, catalog_object("chain_pkey"), true, SnapshotSelf, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        TupleDesc descriptor = RelationGetDescr(chains);
        bool null;
        name->log = *DatumGetUUIDP(heap_getattr(tuple, kChainLog, descriptor, &null));
        char* key = TextDatumGetCString(heap_getattr(tuple, kChainKey, descriptor, &null));
        name->key = pg_server_to_any(key, static_cast<int>(strlen(key)), PG_UTF8);
        name->lane = DatumGetInt32(heap_getattr(tuple, kChainLane, descriptor, &null));
    }
    systable_endscan(scan);
    table_close(chains, AccessShareLock);
    return HeapTupleIsValid(tuple);
}

bool find_log_chain(const pg_uuid_t& log, std::int32_t chain_id, ChainName* name) {
    return find_chain_name(chain_id, name) && memcmp(&name->log, &log, sizeof log) == 0;
}

}  // namespace auditchain::pg
