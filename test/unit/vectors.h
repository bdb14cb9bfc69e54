// The data files of test/vectors: JSON objects, one a line.
#pragma once

#include <cstdint>
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

inline std::vector<std::uint8_t> hex_bytes(const std::string& hex) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

}  // namespace auditchain::test
