// Violations, as the program tells them to people and to programs: those of bundles and those of
// databases alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace auditchain::cli {

struct ReportedViolation {
    std::string chain;       ///< name of the chain; empty: it concerns all
    std::uint64_t position;  ///< in the chain; 0: none
    std::string kind;
    std::string detail;
};

/// A text, or null where it is empty.
nlohmann::json text_or_null(const std::string& text);

/// The violations as they stand in JSON.
nlohmann::json violations_json(const std::vector<ReportedViolation>& violations);

/// Write the violations of a bundle or a log to standard error, a line each.
void print_violations(const std::string& of, const std::vector<ReportedViolation>& violations);

/// Write that something cannot be verified, and why. `what` is its member in JSON: bundle or log.
void print_unusable(const char* what, const std::string& name, const std::string& reason,
                    bool json);

}  // namespace auditchain::cli
