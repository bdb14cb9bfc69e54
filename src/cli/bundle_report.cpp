#include "bundle_report.h"

#include <algorithm>
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace auditchain::cli {
namespace {

nlohmann::json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

/// On one line, whatever bytes are in it: who made the bundle may not be a friend.
std::string one_line(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json as_json(const std::string& bundle, const BundleVerdict& verdict) {
    const BundleHead& head = verdict.head;
    nlohmann::json violations = nlohmann::json::array();
    for (const BundleFinding& finding : verdict.findings) {
        violations.push_back(
            {{"chain", text_or_null(finding.chain)},
             {"position",
              finding.position == 0 ? nlohmann::json(nullptr) : nlohmann::json(finding.position)},
             {"kind", name(finding.kind)},
             {"detail", finding.detail}});
    }
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
        {"violations", violations}};
}

/// Text of somebody else for a terminal, which control characters could make show other things.
std::string plain(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
    return text;
}

void print_seal(const BundleVerdict& verdict) {
    if (verdict.signer.empty()) {
        std::cout << "  not signed: that nobody made all of it anew is not shown\n";
        return;
    }
    std::cout
        << "  sealed " << (verdict.sealed_at == 0 ? "" : "at " + format_utc(verdict.sealed_at))
        << " by " << plain(verdict.signer) << '\n'
        << (verdict.signer_trusted
                ? "  which is a key that you trust\n"
                : "  compare this key with the one that you trust, or give that with --key\n");
}

}  // namespace

void print_verdict(const std::string& bundle, const BundleVerdict& verdict, bool json) {
    if (json) {
        std::cout << one_line(as_json(bundle, verdict)) << std::endl;
        return;
    }
    const BundleHead& head = verdict.head;
    for (const BundleFinding& finding : verdict.findings) {
        std::cerr << bundle << ": VIOLATION " << name(finding.kind);
        if (!finding.chain.empty()) {
            std::cerr << " in chain " << plain(finding.chain) << " at position "
                      << finding.position;
        }
        std::cerr << ": " << finding.detail << '\n';
    }
    std::cout << bundle << ": ";
    if (verdict.findings.empty()) {
        std::cout << "All " << verdict.entries << " audit events verified. Bundle intact.\n";
    } else {
        std::cout << verdict.findings.size() << " violation"
                  << (verdict.findings.size() == 1 ? "" : "s") << " in " << verdict.entries
                  << " audit events.\n";
    }
    std::cout << "  of log " << plain(head.log_name) << " (" << plain(head.log_id) << "), "
              << verdict.chains.size() << " chain" << (verdict.chains.size() == 1 ? "" : "s")
              << ", which had " << head.tree_size << " entries sealed\n";
    print_seal(verdict);
    std::cout << std::flush;
}

void print_unusable(const std::string& bundle, const std::string& reason, bool json) {
    if (json) {
        std::cout << one_line({{"bundle", bundle}, {"intact", nullptr}, {"error", reason}})
                  << std::endl;
    } else {
        std::cerr << bundle << ": cannot be verified: " << plain(reason) << std::endl;
    }
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
