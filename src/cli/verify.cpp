// verify: checks bundles, without a database, or logs in their database.

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
#include "verify_database.h"
#include "violations.h"

namespace auditchain::cli {
namespace {

struct VerifyOptions {
    std::vector<std::string> bundles;
    std::vector<std::string> keys;
    std::string key_file;
    DatabaseCheck database;
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

int verify_bundles() {
    ReceiptSecrets archive_keys;
    const BundleTrust trust = read_trust(options.keys, options.key_file, &archive_keys);
    int result = kFine;
    for (const std::string& bundle : options.bundles) {
        result = std::max(result, verify_one(bundle, trust));
    }
    return result;
}

int verify(bool in_database) {
    if (in_database != options.bundles.empty()) {
        throw Unusable(in_database ? "give bundles, or a database with --dsn, and not both"
                                   : "give a bundle, or a database with --dsn");
    }
    if (in_database) {
        options.database.json = options.json;
        return verify_database(options.database);
    }
    return verify_bundles();
}

}  // namespace

void add_verify(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand(
        "verify",
        "Verify bundles, with no database: every checksum and link, that the entries are in the "
        "tree that the log has sealed, and who signed that. The signature is worth what you know "
        "of its key: give the one that you trust with --key. Or, with --dsn, verify logs in their "
        "database, as auditchain.verify() does, and list what auditchain.violations() finds: as a "
        "role with SELECT on the logs, on a standby as well. Exits with 1 if something was "
        "tampered with, with 2 if something could not be verified to its end.");
    command->add_option("BUNDLE", options.bundles,
                        "A bundle, as auditchain.bundle() or auditchain bundle makes it; - is "
                        "standard input");
    CLI::Option* key = command->add_option(
        "--key", options.keys,
        "A verifier key that checkpoints may be signed by; several may be given");
    key->allow_extra_args(false);
    CLI::Option* key_file =
        command->add_option("--key-file", options.key_file,
                            "The keys to decrypt with, as in auditchain.archive_key_file: 64 "
                            "hexadecimal digits a line");
    CLI::Option* dsn =
        command->add_option("--dsn", options.database.dsn, "A database, as psql takes it");
    dsn->excludes(key)->excludes(key_file);
    command
        ->add_option("--log", options.database.logs,
                     "A log of the database, such as public.payments; several may be given. "
                     "Without any all logs that the role can read")
        ->allow_extra_args(false)
        ->needs(dsn);
    command
        ->add_flag("--archives", options.database.archives,
                   "Verify what was archived of these logs, too, entry by entry")
        ->needs(dsn);
    command->add_flag("--json", options.json, "Write one line of JSON for each bundle or log");
    command->footer(
        "For example:\n"
        "  auditchain verify --key \"$(cat payments.vkey)\" payments.tar\n"
        "  auditchain verify --json *.tar | jq -r 'select(.intact | not) | .bundle'\n"
        "  ssh db2 cat /archive/payments.tar | auditchain verify -\n"
        "  auditchain verify --dsn 'host=db1 dbname=app user=auditor'\n"
        "  auditchain verify --dsn dbname=app --log payments --archives --json");
    command->callback([&chosen, dsn] { chosen = [dsn] { return verify(dsn->count() > 0); }; });
}

}  // namespace auditchain::cli
