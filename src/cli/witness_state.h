// What a witness remembers.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "files.h"
#include "witness.h"

namespace auditchain::cli {

/// The last checkpoint of a log that was accepted.
struct WitnessedLog {
    std::string database;  ///< as it was given
    std::string log;       ///< name of the table
    std::string origin;
    std::string key;  ///< vkey of the log
    WitnessedTree tree;
    std::uint64_t accepted_at = 0;  ///< seconds since 1970
    std::uint64_t sealed_at = 0;    ///< by the log's own cosignature; 0: unknown
};

/// The witness's state file: one process has it at a time.
class WitnessState {
  public:
    /// Throws Unusable if the file is in use, or is none.
    explicit WitnessState(std::string path);

    /// The logs by their ids.
    const std::map<std::string, WitnessedLog>& logs() const { return logs_; }

    /// Remember a log. It is on disk when this returns. Throws Unusable if that fails.
    void remember(const std::string& log_id, const WitnessedLog& log);

  private:
    std::string path_;
    FileLock lock_;
    std::map<std::string, WitnessedLog> logs_;
};

}  // namespace auditchain::cli
