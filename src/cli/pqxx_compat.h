// Every difference between the supported versions of libpqxx (6.4 to 8.0), and nothing else.
#pragma once

#include <pqxx/pqxx>

namespace auditchain::cli {

/// Run one statement with arguments $1, $2, ...: text, and integers.
template <typename... Args>
pqxx::result run(pqxx::transaction_base& transaction, const char* sql, const Args&... args) {
#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)
    // Integers go as text: 7.10's own conversion has GCC 14 warn of a variant not initialized.
    return transaction.exec(sql, pqxx::params{pqxx::to_string(args)...});
#else
    return transaction.exec_params(sql, args...);
#endif
}

}  // namespace auditchain::cli
