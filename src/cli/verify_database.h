// Verifies logs in their database.
#pragma once

#include <string>
#include <vector>

namespace auditchain::cli {

struct DatabaseCheck {
    std::string dsn;
    std::vector<std::string> logs;  ///< none: all that the role can read
    bool archives = false;          ///< verify the archives of the logs, too
    bool json = false;
};

/// Verify logs, and write a report for each. Returns the exit code: the worst of them.
/// Throws pqxx::failure if there is no connection, Unusable if there is nothing to verify.
int verify_database(const DatabaseCheck& check);

}  // namespace auditchain::cli
