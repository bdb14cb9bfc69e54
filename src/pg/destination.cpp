#include "pg/destination.h"

#include "pg/archive_directory.h"
#include "pg/errors.h"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/catalog.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

constexpr std::string_view kSchemaPrefix = "schema:";
constexpr std::string_view kDirectoryPrefix = "file:";

[[noreturn]] void refuse_destination(const char* text, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("archives cannot be in \"%s\"", text), errdetail("%s", detail),
            errhint("CREATE SCHEMA cold, and then destination => 'schema:cold'"));
    pg_unreachable();
}

}  // namespace

Destination require_destination(const char* text, Oid log) {
    if (std::string_view(text).starts_with(kDirectoryPrefix)) {
        const char* path = text + kDirectoryPrefix.size();
        require_safe_path(path, psprintf("archives cannot be in \"%s\"", text));
        return {DestinationKind::kDirectory, path};
    }
    if (!std::string_view(text).starts_with(kSchemaPrefix)) {
        refuse_destination(text, "Destinations are \"schema:NAME\" and \"file:SUBDIRECTORY\".");
    }
    Destination destination = {DestinationKind::kSchema, text + kSchemaPrefix.size()};
    Oid schema = get_namespace_oid(destination.name, true);
    if (!OidIsValid(schema)) {
        refuse_destination(text, "There is no such schema.");
    }
    if (schema == get_rel_namespace(log)) {
        refuse_destination(text,
                           "The log itself is in that schema, and its archive has the same name.");
    }
    if (schema == get_namespace_oid("auditchain", false) || IsCatalogNamespace(schema) ||
        isAnyTempNamespace(schema)) {
        refuse_destination(text, "The schema belongs to the system, or to auditchain.");
    }
    return destination;
}

}  // namespace auditchain::pg
