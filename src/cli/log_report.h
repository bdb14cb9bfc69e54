// What the program says about logs that it has verified, to people and to programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "violations.h"

namespace auditchain::cli {

/// What is said of an archive.
struct ArchiveVerdict {
    long long archive;
    std::optional<bool> intact;  ///< none: it could not be verified
    std::uint64_t entries;
    std::string message;  ///< or why it could not
};

/// What is said of a log.
struct LogVerdict {
    std::string log;
    std::string log_id;
    std::string origin;
    std::uint64_t tree_size = 0;
    std::string sealed_at;
    bool intact = false;
    std::uint64_t entries = 0;
    std::uint64_t verified_entries = 0;
    std::uint64_t chains = 0;
    std::uint64_t checkpoints = 0;
    std::string message;
    std::vector<ReportedViolation> violations;
    std::string unlisted;  ///< why violations could not be listed; empty: they are
    std::optional<std::vector<ArchiveVerdict>> archives;  ///< none: they were not asked for
};

/// The worst of the log and its archives.
ExitCode exit_code(const LogVerdict& verdict);

/// Write what a verification says to standard output, violations to standard error.
void print_verdict(const LogVerdict& verdict, bool json);

}  // namespace auditchain::cli
