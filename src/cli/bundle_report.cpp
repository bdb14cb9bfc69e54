#include "bundle_report.h"

#include <algorithm>
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "printable.h"
#include "violations.h"

namespace auditchain::cli {
namespace {

std::vector<ReportedViolation> violations_of(const BundleVerdict& verdict) {
    std::vector<ReportedViolation> violations;
    for (const BundleFinding& finding : verdict.findings) {
        violations.push_back({finding.chain, static_cast<std::uint64_t>(finding.position),
                              name(finding.kind), finding.detail});
    }
    return violations;
}

nlohmann::json verdict_json(const std::string& bundle, const BundleVerdict& verdict) {
    const BundleHead& head = verdict.head;
    return {
        {"bundle", bundle},
        {"intact", verdict.findings.empty()},
        {"log", head.log_name},
        {"log_id", head.log_id},
        {"origin", head.origin},
        {"created_at", format_utc(head.created_at)},
        {"since", text_or_null(head.since)},
        {"until", text_or_null(head.until)},
        {"entries", verdict.entries},
        {"payload_bytes", verdict.bytes},
        {"chains", verdict.chains.size()},
        {"tree_size", head.tree_size},
        {"root", to_hex(head.root)},
        {"sealed_at", text_or_null(verdict.sealed_at == 0 ? "" : format_utc(verdict.sealed_at))},
        {"signer", text_or_null(verdict.signer)},
        {"signer_trusted", verdict.signer_trusted},
        {"violations", violations_json(violations_of(verdict))}};
}

void print_seal(const BundleVerdict& verdict) {
    if (verdict.signer.empty()) {
        std::cout << "  not signed: that nobody made all of it anew is not shown\n";
        return;
    }
    std::cout
        << "  sealed " << (verdict.sealed_at == 0 ? "" : "at " + format_utc(verdict.sealed_at))
        << " by " << printable(verdict.signer) << '\n'
        << (verdict.signer_trusted
                ? "  which is a key that you trust\n"
                : "  compare this key with the one that you trust, or give that with --key\n");
}

}  // namespace

void print_verdict(const std::string& bundle, const BundleVerdict& verdict, bool json) {
    if (json) {
        std::cout << json_line(verdict_json(bundle, verdict)) << std::endl;
        return;
    }
    const BundleHead& head = verdict.head;
    print_violations(bundle, violations_of(verdict));
    std::cout << bundle << ": ";
    if (verdict.findings.empty()) {
        std::cout << "All " << verdict.entries << " audit events verified. Bundle intact.\n";
    } else {
        std::cout << verdict.findings.size() << " violation"
                  << (verdict.findings.size() == 1 ? "" : "s") << " in " << verdict.entries
                  << " audit events.\n";
    }
    std::cout << "  of log " << printable(head.log_name) << " (" << printable(head.log_id) << "), "
              << verdict.chains.size() << " chain" << (verdict.chains.size() == 1 ? "" : "s")
              << ", which had " << head.tree_size << " entries sealed\n";
    print_seal(verdict);
    std::cout << std::flush;
}

ProgressLine::ProgressLine(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(total), shown_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
    if (shown_) {
        std::cerr << "\r\033[K" << std::flush;
    }
}

void ProgressLine::show(std::uint64_t done) {
    constexpr std::uint64_t kMegabyte = 1000000;
    if (!shown_ || done / kMegabyte == last_) {
        return;
    }
    last_ = done / kMegabyte;
    std::cerr << '\r' << what_ << ": " << last_ << " MB";
    if (total_ > 0) {
        constexpr std::uint64_t kWidth = 30;
        const std::uint64_t filled = std::min(kWidth, done * kWidth / total_);
        std::cerr << " [" << std::string(filled, '#') << std::string(kWidth - filled, ' ') << "] "
                  << std::min<std::uint64_t>(100, done * 100 / total_) << " %";
    }
    std::cerr << std::flush;
}

}  // namespace auditchain::cli
