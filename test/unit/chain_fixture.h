// Chains to tamper with, and what verification says of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "chain_walk.h"
#include "checksum.h"

namespace auditchain::test {

/// A stored row of a log.
struct Row {
    std::int64_t position;
    Digest previous;
    Digest checksum;
    std::string payload;
    bool key_matches = true;
    ReceiptState receipt = ReceiptState::unchecked;
};

/// The rows of a chain in the order they are stored, which is what tied positions are read in.
using Chain = std::vector<Row>;

inline Sha256& hasher() {
    static Sha256 sha256;
    return sha256;
}

inline void rehash(Row& row) {
    row.checksum = entry_checksum(hasher(), row.previous, row.payload);
}

/// Return an intact chain of entries 1..size, stored in order: row i is at position i + 1.
inline Chain make_chain(std::int64_t size, const std::string& key = "") {
    Chain chain;
    Digest previous;
    for (std::int64_t position = 1; position <= size; ++position) {
        Row row{position, previous, {}, "{\"id\":\"" + key + std::to_string(position) + "\"}"};
        rehash(row);
        previous = row.checksum;
        chain.push_back(row);
    }
    return chain;
}

/// Return the findings of chains, unexplained; Entry::row counts rows as they are read.
inline std::vector<Finding> walk(std::vector<Chain> chains) {
    std::vector<Finding> findings;
    Finding out[kMaxFindings];
    std::int64_t number = 0;
    const auto keep = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            out[i].chain = number;
            findings.push_back(out[i]);
        }
    };
    ChainWalk chain_walk(hasher());
    std::uint64_t handle = 0;
    for (Chain& chain : chains) {
        std::stable_sort(chain.begin(), chain.end(),
                         [](const Row& a, const Row& b) { return a.position < b.position; });
        chain_walk.begin_chain();
        ++number;
        for (const Row& row : chain) {
            keep(chain_walk.next({row.position, row.previous, row.checksum, row.payload,
                                  row.key_matches, handle++, row.receipt},
                                 out));
        }
        keep(chain_walk.end_chain(out));
    }
    return findings;
}

inline std::vector<Finding> explained(std::vector<Finding> findings) {
    findings.resize(explain(findings));
    return findings;
}

/// Violations as "kind@first" or "kind@first-last".
using Report = std::vector<std::string>;

inline Report describe(const std::vector<Finding>& findings) {
    Report report;
    for (const Finding& finding : findings) {
        std::ostringstream text;
        text << name(finding.kind) << '@' << finding.first;
        if (finding.last != finding.first) {
            text << '-' << finding.last;
        }
        report.push_back(text.str());
    }
    return report;
}

/// Return what verification reports of these chains of one log.
inline Report report(std::vector<Chain> chains) {
    return describe(explained(walk(std::move(chains))));
}

inline Report report(Chain chain) {
    return report(std::vector<Chain>{std::move(chain)});
}

}  // namespace auditchain::test
