// Types in payloads: what DDL must not do to them.

#include "pg/guard_ddl.h"

extern "C" {
#include <catalog/namespace.h>
#include <executor/spi.h>
#include <nodes/makefuncs.h>
#include <parser/parse_type.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

// Types between which a conversion that rewrites nothing leaves the payload as it was. One and the
// same base type, or two kinds of string: int4 and oid, cidr and inet, or timestamp and timestamptz
// (where the time zone is UTC) need no rewrite either, yet are written differently.
bool written_alike(Oid left, Oid right) {
    if (getBaseType(left) == getBaseType(right)) {
        return true;
    }
    char left_category;
    char right_category;
    bool preferred;
    get_type_category_preferred(left, &left_category, &preferred);
    get_type_category_preferred(right, &right_category, &preferred);
    return left_category == TYPCATEGORY_STRING && right_category == TYPCATEGORY_STRING;
}

}  // namespace

// What does rewrite the table is left to the table_rewrite event.
void require_same_bytes(const char* command, Oid log, Oid table, const AlterTableCmd* alteration) {
    if (alteration->subtype != AT_AlterColumnType) {
        return;
    }
    AttrNumber attnum = get_attnum(table, alteration->name);
    if (attnum <= 0 || get_attgenerated(table, attnum) != '\0') {
        return;
    }
    Oid type;
    std::int32_t modifier;
    typenameTypeIdAndMod(nullptr, castNode(ColumnDef, alteration->def)->typeName, &type, &modifier);
    if (!written_alike(get_atttype(table, attnum), type)) {
        refuse_ddl(command, log,
                   psprintf("Another type of column \"%s\" would change the payload of chained "
                            "entries.",
                            alteration->name),
                   "Add a column of the other type.");
    }
}

void refuse_payload_type(const char* command, Oid type) {
    if (!OidIsValid(type)) {
        return;
    }
    query_catalog(
        "WITH RECURSIVE used (log, type) AS ("
        "  SELECT l.relation::oid, a.atttypid FROM auditchain.log l "
        "  JOIN pg_attribute a ON a.attrelid = l.relation "
        "  WHERE l.released_at IS NULL AND a.attnum > 0 AND NOT a.attisdropped "
        "  AND a.attgenerated = '' "
        "UNION SELECT u.log, part.type FROM used u, LATERAL ("
        "  SELECT unnest(ARRAY[typelem, typbasetype]) AS type FROM pg_type WHERE oid = u.type "
        "  UNION ALL SELECT rngsubtype FROM pg_range WHERE u.type IN (rngtypid, rngmultitypid) "
        "  UNION ALL SELECT a.atttypid FROM pg_type t JOIN pg_attribute a "
        "  ON a.attrelid = t.typrelid WHERE t.oid = u.type AND a.attnum > 0 "
        "  AND NOT a.attisdropped) AS part WHERE part.type <> 0) "
        "SELECT log FROM used WHERE type = $1 LIMIT 1",
        {{OIDOID, ObjectIdGetDatum(type)}});
    if (SPI_processed == 0) {
        return;
    }
    bool null;
    Oid log =
        DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    refuse_ddl(command, log,
               psprintf("Payloads of chained entries contain values of type %s as it was.",
                        format_type_be(type)));
}

Oid renamed_type(Node* parsetree) {
    if (IsA(parsetree, AlterEnumStmt)) {
        auto* statement = castNode(AlterEnumStmt, parsetree);
        return statement->oldVal == nullptr
                   ? InvalidOid
                   : typenameTypeId(nullptr, makeTypeNameFromNameList(statement->typeName));
    }
    if (IsA(parsetree, RenameStmt)) {
        auto* statement = castNode(RenameStmt, parsetree);
        bool attribute =
            statement->renameType == OBJECT_ATTRIBUTE || statement->renameType == OBJECT_COLUMN;
        if (attribute && statement->relation != nullptr) {
            Oid relation = RangeVarGetRelid(statement->relation, NoLock, true);
            return OidIsValid(relation) ? get_rel_type_id(relation) : InvalidOid;
        }
    }
    return InvalidOid;
}

}  // namespace auditchain::pg
