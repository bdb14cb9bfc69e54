#include "pg/protect.h"

#include "pg/backfill.h"
#include "pg/entry_scan.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/incarnation.h"
#include "pg/key_ring.h"
#include "pg/log.h"
#include "pg/table_columns.h"
#include "pg/worker.h"

extern "C" {
#include <access/relation.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/catalog.h>
#include <catalog/namespace.h>
#include <catalog/pg_inherits.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/array.h>
#include <utils/guc.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

constexpr int kMaxLanes = 1024;
constexpr const char* kStorageOrder = "tableoid, ctid";

[[noreturn]] void refuse_table(Oid table, const char* detail, const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_UNSUITABLE_TABLE),
            errmsg("cannot protect \"%s\"", get_rel_name(table)), errdetail("%s", detail),
            errhint("%s", hint));
    pg_unreachable();
}

// What must hold for the table and for each of its partitions.
void require_suitable_part(Oid log, Relation table) {
    const char* it = RelationGetRelid(table) == log
                         ? "It"
                         : psprintf("Its partition \"%s\"", RelationGetRelationName(table));
    char kind = table->rd_rel->relkind;
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
        refuse_table(log, psprintf("%s is not an ordinary or partitioned table.", it),
                     "Protect the table that the entries are stored in.");
    }
    if (table->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) {
        refuse_table(
            log,
            psprintf("%s is temporary or unlogged, and would lose its entries in a crash.", it),
            "ALTER TABLE … SET LOGGED makes an unlogged table permanent.");
    }
    if (table->rd_rules != nullptr) {
        refuse_table(log,
                     psprintf("%s has rules, which could turn an INSERT into something else.", it),
                     "DROP RULE, and use triggers.");
    }
}

// The log of operations is the one log in auditchain's own schema.
bool is_own_table(Relation table, bool operations) {
    return RelationGetNamespace(table) == get_namespace_oid("auditchain", false) && !operations;
}

void require_suitable_table(Relation table, bool operations) {
    Oid oid = RelationGetRelid(table);
    char kind = table->rd_rel->relkind;
    require_suitable_part(oid, table);
    if (IsCatalogRelation(table)) {
        refuse_table(oid, "It is a system catalog.", "Protect a table of your own.");
    }
    if (is_own_table(table, operations)) {
        refuse_table(oid, "It is one of auditchain's own tables.", "Protect a table of your own.");
    }
    if (table->rd_rel->relispartition) {
        refuse_table(oid, "It is a partition.",
                     "Protect the partitioned table; its partitions are protected with it.");
    }
    bool inherits = has_superclass(oid) || (kind == RELKIND_RELATION && has_subclass(oid) &&
                                            find_inheritance_children(oid, AccessShareLock) != NIL);
    if (inherits) {
        refuse_table(oid, "It is part of a table inheritance.",
                     "Use declarative partitioning, or a table without parents and children.");
    }
}

void require_unprotected(Oid table, bool receipts) {
    const Log* log = read_log(table);
    if (log != nullptr && !log->released) {
        ereport(ERROR, errcode(ERRCODE_AC_ALREADY_PROTECTED),
                errmsg("\"%s\" is already protected", get_rel_name(table)),
                errdetail("It is a log of auditchain."),
                errhint("SELECT auditchain.release('%s', 'reason') ends protection.",
                        qualified_name(table)));
    }
    for (const char* own : own_columns(receipts)) {
        if (get_attnum(table, own) != InvalidAttrNumber) {
            refuse_table(table, psprintf("It has a column \"%s\" already.", own),
                         receipts ? "Rename the column: auditchain adds columns of its own under "
                                    "the names chain_id, chain_position, previous_checksum, "
                                    "checksum and receipt."
                                  : "Rename the column: auditchain adds columns of its own under "
                                    "the names chain_id, chain_position, previous_checksum and "
                                    "checksum.");
        }
    }
}

// The default order of entries that are already there: the primary key; nullptr when there is none.
const char* primary_key_order(Oid table) {
    return column_list(primary_key_columns(table));
}

bool has_rows(Oid table) {
    SPI_execute(psprintf("SELECT FROM %s LIMIT 1", qualified_name(table)), false, 1);
    return SPI_processed > 0;
}

const char* require_order(Oid table, ArrayType* order_by) {
    const char* primary_key = primary_key_order(table);
    if (order_by != nullptr) {
        List* columns = require_columns(table, order_by, "order_by");
        if (columns != NIL) {
            // Rows that tie fall back to the primary key, or to where they are stored.
            return psprintf("%s, %s", column_list(columns),
                            primary_key ? primary_key : kStorageOrder);
        }
    }
    if (primary_key == nullptr && has_rows(table)) {
        ereport(
            ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("\"%s\" has entries and no primary key to order them by", get_rel_name(table)),
            errdetail("Entries that are already there are chained first, in a definite order."),
            errhint("Name the columns: auditchain.protect('%s', order_by => "
                    "'{occurred_at}')",
                    qualified_name(table)));
    }
    return primary_key ? primary_key : kStorageOrder;
}

void add_columns(Oid table, bool receipts) {
    SPI_execute(psprintf("ALTER TABLE %s ADD COLUMN chain_id integer, "
                         "ADD COLUMN chain_position bigint, "
                         "ADD COLUMN previous_checksum bytea, ADD COLUMN checksum bytea%s",
                         qualified_name(table), receipts ? ", ADD COLUMN receipt bytea" : ""),
                false, 0);
}

// NOT NULL, and the index that finds the newest entry of a chain. Where a unique index would have
// to contain the partition key, it is not unique: the chain's lock and verification see to that.
void constrain_columns(Oid table, bool receipts) {
    const char* name = qualified_name(table);
    bool partitioned = get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE;
    SPI_execute(psprintf("ALTER TABLE %s ALTER COLUMN chain_id SET NOT NULL, "
                         "ALTER COLUMN chain_position SET NOT NULL, "
                         "ALTER COLUMN previous_checksum SET NOT NULL, "
                         "ALTER COLUMN checksum SET NOT NULL%s%s",
                         name, receipts ? ", ALTER COLUMN receipt SET NOT NULL" : "",
                         partitioned ? "" : ", ADD UNIQUE (chain_id, chain_position)"),
                false, 0);
    if (partitioned) {
        SPI_execute(psprintf("CREATE INDEX ON %s (chain_id, chain_position)", name), false, 0);
    }
}

// The names of auditchain's columns as an array's text.
const char* own_column_array(bool receipts) {
    StringInfoData names;
    initStringInfo(&names);
    for (const char* own : own_columns(receipts)) {
        appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "{", own);
    }
    appendStringInfoChar(&names, '}');
    return names.data;
}

void register_log(Oid table, ArrayType* chain_by, int lanes, bool receipts) {
    // A table that was released before becomes another log; the old one keeps its history.
    change_catalog(
        "UPDATE auditchain.log SET relation = NULL WHERE relation = $1 AND released_at IS NOT NULL",
        {{REGCLASSOID, ObjectIdGetDatum(table)}});
    change_catalog(
        "WITH new AS (INSERT INTO auditchain.log (relation, relation_oid, recorded_in, name, "
        "  chain_by, lanes, receipts) "
        "  VALUES ($1, $1::oid, $5, $1::regclass::text, $2::text[], $3, $6) RETURNING log_id) "
        "INSERT INTO auditchain.log_column (log_id, attnum, column_name, member) "
        "SELECT new.log_id, a.attnum, a.attname, a.attname "
        "FROM new, pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.attgenerated = '' AND a.attname <> ALL ($4::name[])",
        {{REGCLASSOID, ObjectIdGetDatum(table)},
         {NAMEARRAYOID, PointerGetDatum(chain_by)},
         {INT4OID, Int32GetDatum(lanes)},
         text_arg(own_column_array(receipts)),
         text_arg(this_database()),
         {BOOLOID, BoolGetDatum(receipts)}});
}

void require_lanes(int lanes) {
    if (lanes < 1 || lanes > kMaxLanes) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("lanes must be between 1 and %d", kMaxLanes),
                errdetail("The argument is %d.", lanes),
                errhint("lanes => 1 keeps one strict chain per key; more let writers go on in "
                        "parallel."));
    }
}

// Locks the table and all its partitions against everybody, and checks that it can be protected.
List* lock_suitable_table(Oid table, const Protection& protection) {
    if (get_rel_name(table) == nullptr) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
                errmsg("relation with OID %u does not exist", table));
    }
    require_owner(table);
    LockRelationOid(table, AccessExclusiveLock);
    Relation relation = try_relation_open(table, NoLock);
    if (relation == nullptr) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
                errmsg("relation with OID %u was dropped meanwhile", table));
    }
    require_suitable_table(relation, protection.operations);
    if (is_archive_table(table)) {
        refuse_table(table, "It has archived entries of a log, and a guard of its own.",
                     "Protect another table.");
    }
    relation_close(relation, NoLock);
    require_unprotected(table, protection.receipts);
    List* tables = log_tables(table, AccessExclusiveLock);
    ListCell* cell;
    foreach (cell, tables) {
        Relation member = relation_open(lfirst_oid(cell), NoLock);
        require_suitable_part(table, member);
        require_chain_trigger_last(member);
        relation_close(member, NoLock);
    }
    return tables;
}

// A subscriber may get its key, and its entries, later.
void warn_without_receipt_key(const Log& log) {
    if (!has_receipt_key()) {
        ereport(WARNING, errcode(ERRCODE_AC_NO_KEY),
                errmsg("log \"%s\" has receipts, and the server has no receipt key",
                       get_rel_name(log.relation)),
                errdetail("It takes no entries until the server has one."),
                errhint("Set auditchain.receipt_key_file or auditchain.receipt_key_command."));
    }
}

}  // namespace

void protect_table(Oid table, const Protection& protection) {
    List* tables = lock_suitable_table(table, protection);
    require_lanes(protection.lanes);
    require_columns(table, protection.chain_by, "chain_by");

    SPI_connect();
    // An owner whom FORCE ROW LEVEL SECURITY hides rows from gets an error, not half a chain.
    int guc_level = forbid_row_security();
    const char* order = require_order(table, protection.order_by);
    bool receipts = protection.receipts;
    add_columns(table, receipts);
    register_log(table, protection.chain_by, protection.lanes, receipts);
    const Log& log = require_log(table);
    std::int64_t chained = backfill(log, order);
    constrain_columns(table, receipts);
    ListCell* cell;
    foreach (cell, tables) {
        install_guard(lfirst_oid(cell));
        CacheInvalidateRelcacheByRelid(lfirst_oid(cell));
    }
    current_incarnation(log, 0);
    record_log_event(log.id, "protected",
                     psprintf("lanes %d, %s%s already there", protection.lanes,
                              receipts ? "receipts, " : "", count_entries(chained)));
    if (receipts) {
        warn_without_receipt_key(log);
    }
    seal_after_commit();
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// protect(log regclass, chain_by name[], lanes int, order_by name[], receipts boolean)
AUDITCHAIN_FUNCTION(auditchain_protect) {
    for (int required : {0, 1, 2, 4}) {
        if (PG_ARGISNULL(required)) {
            ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                    errmsg("log, chain_by, lanes and receipts must not be NULL"),
                    errhint("Leave an argument out to have its default."));
        }
    }
    protect_table(PG_GETARG_OID(0),
                  {.chain_by = PG_GETARG_ARRAYTYPE_P(1),
                   .lanes = PG_GETARG_INT32(2),
                   .order_by = PG_ARGISNULL(3) ? nullptr : PG_GETARG_ARRAYTYPE_P(3),
                   .receipts = PG_GETARG_BOOL(4),
                   .operations = false});
    PG_RETURN_VOID();
}
