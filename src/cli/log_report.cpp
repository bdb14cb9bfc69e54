#include "log_report.h"

#include <algorithm>
#include <iostream>

#include "printable.h"

namespace auditchain::cli {
namespace {

std::vector<ArchiveVerdict> archives_of(const LogVerdict& verdict) {
    return verdict.archives.value_or(std::vector<ArchiveVerdict>());
}

nlohmann::json archive_json(const ArchiveVerdict& archive) {
    if (!archive.intact) {
        return {{"archive", archive.archive}, {"intact", nullptr}, {"error", archive.message}};
    }
    return {{"archive", archive.archive},
            {"intact", *archive.intact},
            {"entries", archive.entries},
            {"message", archive.message}};
}

/// The members that bundles have, too, mean the same there.
nlohmann::json verdict_json(const LogVerdict& verdict) {
    nlohmann::json json = {{"log", verdict.log},
                           {"log_id", verdict.log_id},
                           {"origin", text_or_null(verdict.origin)},
                           {"intact", verdict.intact},
                           {"entries", verdict.entries},
                           {"verified_entries", verdict.verified_entries},
                           {"chains", verdict.chains},
                           {"checkpoints", verdict.checkpoints},
                           {"tree_size", verdict.tree_size},
                           {"sealed_at", text_or_null(verdict.sealed_at)},
                           {"message", verdict.message},
                           {"violations", violations_json(verdict.violations)}};
    if (!verdict.unlisted.empty()) {
        json["violations"] = nullptr;
        json["error"] = verdict.unlisted;
    }
    if (verdict.archives) {
        json["archives"] = nlohmann::json::array();
        for (const ArchiveVerdict& archive : *verdict.archives) {
            json["archives"].push_back(archive_json(archive));
        }
    }
    return json;
}

void print_archive(const std::string& log, const ArchiveVerdict& archive) {
    const std::string name = log + ", archive " + std::to_string(archive.archive);
    if (archive.intact) {
        (*archive.intact ? std::cout : std::cerr)
            << printable(name) << ": " << printable(archive.message) << '\n';
    } else {
        print_unusable("archive", name, archive.message, false);
    }
}

}  // namespace

ExitCode exit_code(const LogVerdict& verdict) {
    ExitCode code = verdict.intact ? kFine : kAlarm;
    for (const ArchiveVerdict& archive : archives_of(verdict)) {
        code = std::max(code, !archive.intact ? kUnusable : *archive.intact ? kFine : kAlarm);
    }
    return code;
}

void print_verdict(const LogVerdict& verdict, bool json) {
    if (json) {
        std::cout << json_line(verdict_json(verdict)) << std::endl;
        return;
    }
    print_violations(verdict.log, verdict.violations);
    std::cout << printable(verdict.log) << ": ";
    if (verdict.violations.empty()) {
        std::cout << printable(verdict.message) << '\n';
    } else {
        std::cout << verdict.violations.size() << " violation"
                  << (verdict.violations.size() == 1 ? "" : "s") << " in " << verdict.entries
                  << " audit events.\n";
    }
    if (!verdict.unlisted.empty()) {
        std::cerr << printable(verdict.log)
                  << ": violations cannot be listed: " << printable_lines(verdict.unlisted) << '\n';
    }
    for (const ArchiveVerdict& archive : archives_of(verdict)) {
        print_archive(verdict.log, archive);
    }
    std::cout << std::flush;
}

}  // namespace auditchain::cli
