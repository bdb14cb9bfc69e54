// The data files of test/vectors: JSON objects, one a line.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace auditchain::test {

inline std::vector<nlohmann::json> read_vectors(const std::string& file) {
    std::ifstream in(std::string(AUDITCHAIN_VECTORS) + "/" + file);
    std::vector<nlohmann::json> vectors;
    for (std::string line; std::getline(in, line);) {
        vectors.push_back(nlohmann::json::parse(line));
    }
    if (vectors.empty()) {
        throw std::runtime_error("no vectors in " + file);
    }
    return vectors;
}

}  // namespace auditchain::test
