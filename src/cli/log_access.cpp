#include "log_access.h"

#include <nlohmann/json.hpp>

#include "files.h"
#include "printable.h"

namespace auditchain::cli {

void begin_access(pqxx::transaction_base& transaction, Access access) {
    run(transaction, access == Access::reads
                         ? "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                         : "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    run(transaction,
        "SELECT pg_catalog.set_config('client_connection_check_interval', '1s', true), "
        "pg_catalog.set_config('client_min_messages', 'error', true), "
        "pg_catalog.set_config('row_security', 'off', true)");
    if (run(transaction, "SELECT FROM pg_catalog.pg_extension WHERE extname = 'auditchain'")
            .empty()) {
        throw Unusable("the database has no extension auditchain");
    }
}

void close_search_path(pqxx::transaction_base& transaction) {
    run(transaction, "SET LOCAL search_path = pg_catalog, pg_temp");
}

NamedLog find_log(pqxx::transaction_base& transaction, const std::string& name) {
    NamedLog log;
    log.oid = run(transaction, "SELECT $1::pg_catalog.regclass::pg_catalog.oid::pg_catalog.text",
                  name)[0][0]
                  .as<std::string>();
    close_search_path(transaction);
    log.name = run(transaction, "SELECT $1::regclass::text", log.oid)[0][0].as<std::string>();
    return log;
}

Filters parse_filters(const std::vector<std::string>& arguments) {
    Filters filters;
    for (const std::string& argument : arguments) {
        const std::size_t equals = argument.find('=');
        if (equals == 0 || equals == argument.npos) {
            throw Unusable("--filter takes column=value, and not " + argument);
        }
        if (!filters.emplace(argument.substr(0, equals), argument.substr(equals + 1)).second) {
            throw Unusable("--filter names the column " + argument.substr(0, equals) + " twice");
        }
    }
    return filters;
}

std::string filter_json(const Filters& filters) {
    return json_line(filters);
}

}  // namespace auditchain::cli
