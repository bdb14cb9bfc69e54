// verify: checks bundles, without a database.

#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <sys/stat.h>

#include "bundle_files.h"
#include "bundle_report.h"
#include "commands.h"
#include "files.h"
#include "malformed.h"
#include "violations.h"

namespace auditchain::cli {
namespace {

struct VerifyOptions {
    std::vector<std::string> bundles;
    std::vector<std::string> keys;
    std::string key_file;
    bool json = false;
};

VerifyOptions options;

std::uint64_t size_of(const std::string& path) {
    struct stat status {};
    return path != "-" && ::stat(path.c_str(), &status) == 0
               ? static_cast<std::uint64_t>(status.st_size)
               : 0;
}

int verify_one(const std::string& path, const BundleTrust& trust) {
    try {
        BundleVerdict verdict;
        {
            ProgressLine progress(path, size_of(path));
            verdict =
                verify_bundle_file(path, trust, [&](std::uint64_t done) { progress.show(done); });
        }
        print_verdict(path, verdict, options.json);
        return verdict.findings.empty() ? kFine : kAlarm;
    } catch (const Malformed& e) {
        print_unusable("bundle", path, e.what(), options.json);
    } catch (const Unusable& e) {
        print_unusable("bundle", path, e.what(), options.json);
    }
    return kUnusable;
}

int verify() {
    Sha256 sha256;
    ReceiptSecrets archive_keys;
    BundleTrust trust;
    for (const std::string& key : options.keys) {
        try {
            trust.signers.push_back(parse_verifier_key(sha256, key));
        } catch (const Malformed& e) {
            throw Unusable("--key: " + std::string(e.what()));
        }
    }
    if (!options.key_file.empty()) {
        read_archive_keys(options.key_file, &archive_keys);
        trust.archive_keys = &archive_keys;
    }
    int result = kFine;
    for (const std::string& bundle : options.bundles) {
        result = std::max(result, verify_one(bundle, trust));
    }
    return result;
}

}  // namespace

void add_verify(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand(
        "verify",
        "Verify bundles, with no database: every checksum and link, that the entries are in the "
        "tree that the log has sealed, and who signed that. The signature is worth what you know "
        "of its key: give the one that you trust with --key. Exits with 1 if a bundle was "
        "tampered with, with 2 if one cannot be read to its end.");
    command
        ->add_option("BUNDLE", options.bundles,
                     "A bundle, as auditchain.bundle() or auditchain bundle makes it; - is "
                     "standard input")
        ->required();
    command->add_option("--key", options.keys,
                        "A verifier key that checkpoints may be signed by; several may be given");
    command->add_option("--key-file", options.key_file,
                        "The keys to decrypt with, as in auditchain.archive_key_file: 64 "
                        "hexadecimal digits a line");
    command->add_flag("--json", options.json, "Write one line of JSON for each bundle");
    command->footer(
        "For example:\n"
        "  auditchain verify --key \"$(cat payments.vkey)\" payments.tar\n"
        "  auditchain verify --json *.tar | jq -r 'select(.intact | not) | .bundle'\n"
        "  ssh db2 cat /archive/payments.tar | auditchain verify -");
    command->callback([&] { chosen = verify; });
}

}  // namespace auditchain::cli
