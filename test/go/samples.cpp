// Writes notes and proofs for test/go/run to have checked by others:
//
//     auditchain_samples KEY.pem DIRECTORY
//
// Prints one line for each check: `accepted` or `refused`, a tab, and a command of check.go.
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "base64.h"
#include "checkpoint.h"
#include "core_fixture.h"
#include "merkle_proof.h"
#include "note.h"
#include "tlog_proof.h"

namespace {

using namespace auditchain;

const std::string kLog = "example.com/log";
const std::string kWitness = "witness.example.com/w1";
constexpr std::uint64_t kLeaves = 300;
constexpr std::uint64_t kSizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 255, 256, 257, 300};

/// A log of which every checkpoint and proof is a file.
class Samples {
  public:
    Samples(const std::string& pem, std::string directory)
        : key_(Ed25519PrivateKey::from_pem(pem)), directory_(std::move(directory)) {
        for (std::uint64_t i = 0; i < kLeaves; ++i) {
            const std::string leaf = "leaf " + std::to_string(i) + "\n";
            tree_.append(leaf_hash(sha256_, leaf));
            forked_.append(leaf_hash(sha256_, i == 0 ? "forged\n" : leaf));
            write("leaf." + std::to_string(i), leaf);
        }
    }

    void write_notes() {
        write("vkey", vkey(kLog, SignatureType::ed25519));
        write("witness", vkey(kWitness, SignatureType::cosignature));
        for (const std::uint64_t size : kSizes) {
            const Note note = checkpoint(tree_, size);
            const std::string file = write_note("note", size, note);
            expect("accepted", "note", {file});
            expect("accepted", "cosignature", {file});
            for (std::size_t i = 0; i < note.signatures.size(); ++i) {
                Note forged = note;
                forged.signatures[i].signature[size % 64] ^= 1;
                expect("refused", i == 0 ? "note" : "cosignature",
                       {write_note("forged" + std::to_string(i), size, forged)});
            }
            Note changed = note;
            changed.text = format_checkpoint({kLog, size, forked_.root(size)});
            const std::string changed_file = write_note("changed", size, changed);
            expect("refused", "note", {changed_file});
            expect("refused", "cosignature", {changed_file});
        }
    }

    void write_inclusion() {
        for (const std::uint64_t size : kSizes) {
            for (std::uint64_t index = 0; index < size; index += size < 20 ? 1 : 13) {
                write_inclusion(index, size);
            }
        }
    }

    void write_consistency() {
        for (const std::uint64_t size : kSizes) {
            write_note("fork", size, checkpoint(forked_, size));
            for (const std::uint64_t old : kSizes) {
                if (old <= size) {
                    write_consistency(old, size);
                }
            }
        }
    }

  private:
    void write_inclusion(std::uint64_t index, std::uint64_t size) {
        const ProofPlan plan = inclusion_plan(index, size);
        TlogProof proof{index, plan.fold(sha256_, tree_.hashes(plan.subtrees())),
                        format_note(checkpoint(tree_, size))};
        const std::string name = std::to_string(index) + "." + std::to_string(size);
        const std::string leaf = path("leaf." + std::to_string(index));
        expect("accepted", "inclusion", {write("proof." + name, format_tlog_proof(proof)), leaf});
        expect("refused", "inclusion",
               {path("proof." + name), path("leaf." + std::to_string((index + 1) % kLeaves))});
        if (!proof.hashes.empty()) {
            proof.hashes[index % proof.hashes.size()].bytes[size % 32] ^= 1;
            expect("refused", "inclusion", {write("flip." + name, format_tlog_proof(proof)), leaf});
        }
    }

    void write_consistency(std::uint64_t old, std::uint64_t size) {
        const ProofPlan plan = consistency_plan(old, size);
        auto proof = plan.fold(sha256_, tree_.hashes(plan.subtrees()));
        const std::string name = std::to_string(old) + "." + std::to_string(size);
        const std::string old_note = path("note." + std::to_string(old));
        const std::string new_note = path("note." + std::to_string(size));
        const std::string file = write_hashes("hashes." + name, proof);
        expect("accepted", "consistency", {old_note, new_note, file});
        expect("refused", "consistency", {old_note, path("fork." + std::to_string(size)), file});
        if (!proof.empty()) {
            proof[old % proof.size()].bytes[size % 32] ^= 1;
            expect("refused", "consistency",
                   {old_note, new_note, write_hashes("flipped." + name, proof)});
        }
    }

    Note checkpoint(const test::StoredTree& tree, std::uint64_t size) {
        const std::string text = format_checkpoint({kLog, size, tree.root(size)});
        return {text,
                {sign_note(sha256_, text, kLog, key_),
                 cosign_note(sha256_, text, kWitness, 1679315147, key_)}};
    }

    std::string vkey(const std::string& name, SignatureType type) {
        return format_verifier_key(sha256_, {name, type, key_.public_key()});
    }

    std::string path(const std::string& name) const { return directory_ + "/" + name; }

    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream file(path(name), std::ios::binary);
        file << text;
        if (!file.flush()) {
            throw std::runtime_error("cannot write " + path(name));
        }
        return path(name);
    }

    std::string write_note(const std::string& kind, std::uint64_t size, const Note& note) const {
        return write(kind + "." + std::to_string(size), format_note(note));
    }

    std::string write_hashes(const std::string& name, const std::vector<Digest>& hashes) const {
        std::string text;
        for (const Digest& hash : hashes) {
            text += to_base64(hash) + "\n";
        }
        return write(name, text);
    }

    void expect(const char* result, const std::string& command,
                const std::vector<std::string>& files) {
        std::cout << result << '\t' << command << '\t'
                  << (command == "cosignature" ? vkey(kWitness, SignatureType::cosignature)
                                               : vkey(kLog, SignatureType::ed25519));
        for (const std::string& file : files) {
            std::cout << '\t' << file;
        }
        std::cout << '\n';
    }

    Sha256 sha256_;
    Ed25519PrivateKey key_;
    std::string directory_;
    test::StoredTree tree_{sha256_};
    test::StoredTree forked_{sha256_};  // with another first leaf
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: auditchain_samples KEY.pem DIRECTORY\n";
        return 2;
    }
    try {
        std::ifstream file(argv[1]);
        Samples samples({std::istreambuf_iterator<char>(file), {}}, argv[2]);
        samples.write_notes();
        samples.write_inclusion();
        samples.write_consistency();
    } catch (const std::exception& error) {
        std::cerr << "auditchain_samples: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
