// What the tests of trees, keys and notes share.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base64.h"
#include "digest.h"
#include "ed25519.h"
#include "merkle.h"
#include "sha256.h"

namespace auditchain::test {

inline std::string unhex(std::string_view hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    }
    return bytes;
}

template <class Bytes>
Bytes bytes_from_hex(std::string_view hex) {
    const std::string text = unhex(hex);
    Bytes bytes{};
    std::copy(text.begin(), text.end(), bytes.begin());
    return bytes;
}

inline Digest digest_from_hex(std::string_view hex) {
    return {bytes_from_hex<std::array<std::uint8_t, 32>>(hex)};
}

/// PKCS#8 of RFC 8410 around the 32 bytes that RFC 8032 calls the private key.
inline std::string pem_from_seed(std::string_view hex) {
    return "-----BEGIN PRIVATE KEY-----\n" +
           to_base64(unhex("302e020100300506032b657004220420" + std::string(hex))) +
           "\n-----END PRIVATE KEY-----\n";
}

/// The private key of test `number`, the same in every run.
inline Ed25519PrivateKey test_key(char number) {
    return Ed25519PrivateKey::from_pem(pem_from_seed(std::string(63, '1') + number));
}

/// A tree with the storage that a backend has: leaves and the subtrees at stored levels.
class StoredTree {
  public:
    explicit StoredTree(Sha256& sha256) : sha256_(&sha256) {}

    void append(const Digest& hash) {
        leaves_.push_back(hash);
        for (const SubtreeHash& done : frontier_.append(*sha256_, hash)) {
            auto& level = stored_[static_cast<std::size_t>(done.subtree.level / kStoredLevels)];
            if (done.subtree.index != level.size()) {
                throw std::logic_error("a subtree was left out");
            }
            level.push_back(done.hash);
        }
        roots_.push_back(frontier_.root(*sha256_));
    }

    const Frontier& frontier() const { return frontier_; }
    const Digest& leaf(std::uint64_t index) const { return leaves_[index]; }
    const Digest& root(std::uint64_t size) const { return roots_[size - 1]; }

    /// The hash of a complete subtree, by way of what is stored.
    Digest hash(const Subtree& subtree) const {
        const SubtreeRun run = stored_below(subtree);
        const auto level = static_cast<std::size_t>(run.level / kStoredLevels);
        const auto& hashes = level == 0 ? leaves_ : stored_.at(level);
        const auto first = hashes.begin() + static_cast<std::ptrdiff_t>(run.index);
        std::vector<Digest> nodes(first, first + static_cast<std::ptrdiff_t>(run.count));
        return complete_hash(*sha256_, nodes);
    }

    template <class Subtrees>
    std::vector<Digest> hashes(const Subtrees& subtrees) const {
        std::vector<Digest> hashes;
        for (const Subtree& subtree : subtrees) {
            hashes.push_back(hash(subtree));
        }
        return hashes;
    }

  private:
    Sha256* sha256_;
    Frontier frontier_;
    std::vector<Digest> leaves_;
    std::vector<Digest> roots_;
    std::array<std::vector<Digest>, 8> stored_;  // [n]: level 8n
};

}  // namespace auditchain::test
