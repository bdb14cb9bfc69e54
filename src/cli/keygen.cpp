// keygen: makes the keys of a server, and of a witness.

#include <cstdio>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "commands.h"
#include "digest.h"
#include "ed25519.h"
#include "evolving_key.h"
#include "files.h"
#include "hmac.h"

namespace auditchain::cli {
namespace {

int make_signing_key(const std::string& path) {
    std::string pem = Ed25519PrivateKey::generate().to_pem();
    create_private_file(path, pem);
    OPENSSL_cleanse(pem.data(), pem.size());
    std::cout << "auditchain.signing_key_file = '" << path << "'\n";
    return kFine;
}

/// 32 random bytes for the setting with this name.
int make_secret(const std::string& path, const char* setting) {
    Digest secret;
    if (RAND_priv_bytes(secret.bytes.data(), static_cast<int>(secret.bytes.size())) != 1) {
        throw Unusable("no random numbers");
    }
    std::string text = to_hex(secret) + "\n";
    create_private_file(path, text);
    OPENSSL_cleanse(text.data(), text.size());
    OPENSSL_cleanse(secret.bytes.data(), secret.bytes.size());
    std::cout << setting << " = '" << path << "'\n";
    return kFine;
}

void write_evolving_key(const std::string& path, const EvolvingKey& key, std::string_view word) {
    char line[160];
    create_private_file(path, {line, format_evolving_key(key, word, line)});
    OPENSSL_cleanse(line, sizeof line);
}

int make_evolving_key(const std::string& path, const std::string& seed_path,
                      std::uint32_t epoch_length) {
    EvolvingKey key;
    key.start = static_cast<std::uint64_t>(std::time(nullptr));
    key.length = epoch_length;
    if (RAND_priv_bytes(key.secret.data(), static_cast<int>(key.secret.size())) != 1) {
        throw Unusable("no random numbers");
    }
    write_evolving_key(path, key, kEvolvingKeyWord);
    try {
        write_evolving_key(seed_path, key, kEvolvingSeedWord);
    } catch (...) {
        std::remove(path.c_str());  // a key without its seed is of no use
        throw;
    }
    erase(key.secret);
    std::cout << "auditchain.receipt_key_file = '" << path << "'\n";
    std::cerr << "Take " << seed_path
              << " away from this machine: who has it can forge receipts of every epoch.\n";
    return kFine;
}

}  // namespace

void add_keygen(CLI::App& app, Command& chosen) {
    CLI::App* keygen = app.add_subcommand(
        "keygen",
        "Make a key, in a file that only you can read, and print the line for postgresql.conf. "
        "An existing file is never overwritten.");
    keygen->require_subcommand(1);
    static std::string path;
    CLI::App* signing = keygen->add_subcommand(
        "signing",
        "The key that signs checkpoints, or cosigns them for a witness: Ed25519, PKCS#8 in PEM.");
    signing->add_option("FILE", path, "The file to make")->required();
    signing->callback([&] { chosen = [] { return make_signing_key(path); }; });
    CLI::App* receipt = keygen->add_subcommand(
        "receipt", "The secret that receipts are made with: 64 hexadecimal digits.");
    receipt->add_option("FILE", path, "The file to make")->required();
    receipt->callback(
        [&] { chosen = [] { return make_secret(path, "auditchain.receipt_key_file"); }; });
    CLI::App* archive = keygen->add_subcommand(
        "archive", "The key that bundles are encrypted for: 64 hexadecimal digits.");
    archive->add_option("FILE", path, "The file to make")->required();
    archive->callback(
        [&] { chosen = [] { return make_secret(path, "auditchain.archive_key_file"); }; });
    static std::string seed;
    static std::uint32_t epoch = 3600;
    CLI::App* evolving = keygen->add_subcommand(
        "evolving",
        "A secret for receipts that the server replaces by another each epoch, and the seed that "
        "all of them are computed from, which `auditchain receipts` needs: keep it elsewhere.");
    evolving
        ->add_option("FILE", path,
                     "The file to make for the server, which must be able to "
                     "replace it")
        ->required();
    evolving->add_option("SEED", seed, "The file to make for the seed")->required();
    evolving->add_option("--epoch", epoch, "Length of an epoch: 30s, 10min, 1h, 1d")
        ->transform(CLI::AsNumberWithUnit(
            std::map<std::string, std::uint32_t>{{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}))
        ->check(CLI::Range(1U, kMaxEpochLength))
        ->default_str("1h");
    evolving->callback([&] { chosen = [] { return make_evolving_key(path, seed, epoch); }; });
}

}  // namespace auditchain::cli
