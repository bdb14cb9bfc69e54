// The guard over cold tables: what is archived is still evidence.

#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/guard_ddl.h"

extern "C" {
#include <executor/spi.h>
}

namespace auditchain::pg {
namespace {

[[noreturn]] void refuse_archive_ddl(const char* command, const char* name, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_HARMFUL_DDL),
            errmsg("%s refused: %s has archived entries of a log", command, name),
            errdetail("%s", detail),
            errhint("auditchain.expire() deletes archived entries when their time has come."));
    pg_unreachable();
}

bool find_archive_table(Oid table) {
    query_catalog("SELECT FROM auditchain.archive_table WHERE relation = $1",
                  {{REGCLASSOID, ObjectIdGetDatum(table)}});
    return SPI_processed > 0;
}

}  // namespace

bool is_archive_table(Oid table) {
    SPI_connect();
    bool found = find_archive_table(table);
    SPI_finish();
    return found;
}

void check_dropped_archive(const char* command, Oid table, const char* name, const char* column) {
    if (!find_archive_table(table)) {
        return;
    }
    query_catalog(
        "SELECT FROM auditchain.archive JOIN auditchain.log USING (log_id) "
        "WHERE archive.relation = $1 AND expired_at IS NULL AND released_at IS NULL LIMIT 1",
        {{REGCLASSOID, ObjectIdGetDatum(table)}});
    if (SPI_processed > 0) {
        refuse_archive_ddl(command, name,
                           column == nullptr ? "They would be gone."
                                             : psprintf("Column \"%s\" is part of them.", column));
    }
    if (column == nullptr) {
        change_catalog("DELETE FROM auditchain.archive_table WHERE relation = $1",
                       {{REGCLASSOID, ObjectIdGetDatum(table)}});
        change_catalog("UPDATE auditchain.archive SET relation = NULL WHERE relation = $1",
                       {{REGCLASSOID, ObjectIdGetDatum(table)}});
    }
}

void check_rewritten_archive(const char* command, Oid table) {
    if (find_archive_table(table)) {
        refuse_archive_ddl(command, qualified_name(table), "They would be written anew.");
    }
}

void check_renamed_archive(const char* command, Oid table, Node* parsetree) {
    if (IsA(parsetree, RenameStmt) &&
        castNode(RenameStmt, parsetree)->renameType == OBJECT_COLUMN && find_archive_table(table)) {
        refuse_archive_ddl(command, qualified_name(table),
                           "Its columns have the names that payloads have for them.");
    }
}

}  // namespace auditchain::pg
