// Every difference between the supported versions of libpqxx (6.4 to 8.0), and nothing else.
#pragma once

#include <pqxx/pqxx>

namespace auditchain::cli {

/// Run one statement with arguments $1, $2, ...
template <typename... Args>
pqxx::result run(pqxx::transaction_base& transaction, const char* sql, const Args&... args) {
#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)
    return transaction.exec(sql, pqxx::params{args...});
#else
    return transaction.exec_params(sql, args...);
#endif
}

}  // namespace auditchain::cli
