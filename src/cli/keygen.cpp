// keygen: makes the keys of a server, and of a witness.

#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "commands.h"
#include "digest.h"
#include "ed25519.h"
#include "files.h"

namespace auditchain::cli {
namespace {

int make_signing_key(const std::string& path) {
    std::string pem = Ed25519PrivateKey::generate().to_pem();
    create_private_file(path, pem);
    OPENSSL_cleanse(pem.data(), pem.size());
    std::cout << "auditchain.signing_key_file = '" << path << "'\n";
    return kFine;
}

int make_receipt_key(const std::string& path) {
    Digest secret;
    if (RAND_priv_bytes(secret.bytes.data(), static_cast<int>(secret.bytes.size())) != 1) {
        throw Unusable("no random numbers");
    }
    std::string text = to_hex(secret) + "\n";
    create_private_file(path, text);
    OPENSSL_cleanse(text.data(), text.size());
    OPENSSL_cleanse(secret.bytes.data(), secret.bytes.size());
    std::cout << "auditchain.receipt_key_file = '" << path << "'\n";
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
    receipt->callback([&] { chosen = [] { return make_receipt_key(path); }; });
}

}  // namespace auditchain::cli
