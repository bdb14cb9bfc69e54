#include "violations.h"

#include <iostream>

#include "printable.h"

namespace auditchain::cli {

nlohmann::json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

nlohmann::json violations_json(const std::vector<ReportedViolation>& violations) {
    nlohmann::json all = nlohmann::json::array();
    for (const ReportedViolation& violation : violations) {
        all.push_back({{"chain", text_or_null(violation.chain)},
                       {"position", violation.position == 0 ? nlohmann::json(nullptr)
                                                            : nlohmann::json(violation.position)},
                       {"kind", violation.kind},
                       {"detail", violation.detail}});
    }
    return all;
}

void print_violations(const std::string& of, const std::vector<ReportedViolation>& violations) {
    for (const ReportedViolation& violation : violations) {
        std::cerr << printable(of) << ": VIOLATION " << violation.kind;
        if (!violation.chain.empty()) {
            std::cerr << " in chain " << printable(violation.chain);
        }
        if (violation.position != 0) {
            std::cerr << " at position " << violation.position;
        }
        std::cerr << ": " << printable(violation.detail) << '\n';
    }
}

void print_unusable(const char* what, const std::string& name, const std::string& reason,
                    bool json) {
    if (json) {
        std::cout << json_line({{what, name}, {"intact", nullptr}, {"error", reason}}) << std::endl;
    } else {
        std::cerr << printable(name) << ": cannot be verified: " << printable_lines(reason)
                  << std::endl;
    }
}

}  // namespace auditchain::cli
