// What the commands that look at the logs of a database share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pqxx_compat.h"

namespace auditchain::cli {

enum class Access { reads, records };

/// Begin a transaction that sees one state of the logs. Access::records lets verifications be
/// recorded where the server takes writes. A policy that would hide rows is an error, and the
/// server gives up a statement when this program is gone. Throws Unusable if the database has not
/// got the extension.
void begin_access(pqxx::transaction_base& transaction, Access access);

/// From here on no name without a schema is found in the transaction but those of PostgreSQL.
void close_search_path(pqxx::transaction_base& transaction);

/// A log that was named on the command line.
struct NamedLog {
    std::string oid;   ///< of its table; as an argument of type regclass it is the table
    std::string name;  ///< with its schema, as SQL takes it
};

/// Find a log by its name, as psql would with the user's search_path, which is closed then.
/// Throws pqxx::sql_error if there is no such table.
NamedLog find_log(pqxx::transaction_base& transaction, const std::string& name);

/// Values that columns must have, by column.
using Filters = std::map<std::string, std::string>;

/// Read the arguments of --filter. Throws Unusable unless each is column=value.
Filters parse_filters(const std::vector<std::string>& arguments);

/// The filter of auditchain.export(): a JSON object.
std::string filter_json(const Filters& filters);

}  // namespace auditchain::cli
