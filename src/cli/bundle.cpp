// bundle: fetches the evidence for a period from a database, and verifies it before it is there.

#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "bundle_files.h"
#include "bundle_report.h"
#include "commands.h"
#include "files.h"
#include "log_access.h"
#include "malformed.h"

namespace auditchain::cli {
namespace {

struct BundleOptions {
    std::string database;
    std::string log;
    std::string since;
    std::string until;
    std::string output = "bundle.tar";
    std::string key_file;
    std::vector<std::string> keys;
    bool json = false;
};

BundleOptions options;

int hex_digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/// The bytes that PostgreSQL writes as "\x…".
std::string bytes_of(std::string_view bytea) {
    std::string bytes;
    bytes.reserve(bytea.size() / 2);
    for (std::size_t i = 2; i + 1 < bytea.size(); i += 2) {
        bytes += static_cast<char>(hex_digit(bytea[i]) << 4 | hex_digit(bytea[i + 1]));
    }
    return bytes;
}

/// Write the bundle as it comes, a few pieces at a time.
void fetch(NewFile& file) {
    pqxx::connection connection(options.database);
    connection.set_client_encoding("UTF8");  // of the name, whatever the database has
    pqxx::work transaction(connection, "auditchain bundle");
    begin_access(transaction, Access::reads);
    run(transaction, "SET LOCAL bytea_output = 'hex'");
    const std::string call = "DECLARE pieces NO SCROLL CURSOR FOR SELECT auditchain.bundle(" +
                             transaction.quote(options.log) + "::regclass, nullif(" +
                             transaction.quote(options.since) + ", '')::timestamptz, nullif(" +
                             transaction.quote(options.until) + ", '')::timestamptz, encrypt => " +
                             (options.key_file.empty() ? "false" : "true") + ")";
    run(transaction, call.c_str());
    ProgressLine progress(options.output, 0);
    std::uint64_t done = 0;
    for (;;) {
        const pqxx::result rows = run(transaction, "FETCH 4 FROM pieces");
        if (rows.empty()) {
            return;
        }
        for (const auto& row : rows) {
            const std::string bytes = bytes_of(row[0].as<std::string>());
            file.write(bytes);
            done += bytes.size();
        }
        progress.show(done);
    }
}

int bundle() {
    ReceiptSecrets archive_keys;
    const BundleTrust trust = read_trust(options.keys, options.key_file, &archive_keys);
    NewFile file(options.output);
    fetch(file);
    const BundleVerdict verdict =
        verify_bundle_file(file.written_as(), trust, [](std::uint64_t) {});
    print_verdict(options.output, verdict, options.json);
    if (!verdict.findings.empty()) {
        return kAlarm;
    }
    file.publish();
    return kFine;
}

}  // namespace

void add_bundle(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand(
        "bundle",
        "Fetch the evidence for a period out of a database: one file with the entries, the "
        "checkpoint that seals them and all that is needed to verify them anywhere, without the "
        "database. It is verified before it is there under its name. Needs a role with SELECT on "
        "the log.");
    command->add_option("--dsn", options.database, "The database, as psql takes it")->required();
    command->add_option("--log", options.log, "The log, such as public.payments")->required();
    command->add_option("--since", options.since,
                        "The beginning of the period, such as 2026-01-01; without it all from the "
                        "first entry on");
    command->add_option("--until", options.until,
                        "The first moment behind the period; without it all that is sealed");
    command->add_option("--output", options.output, "The file to make or replace")
        ->capture_default_str();
    command->add_option("--key", options.keys,
                        "A verifier key that the checkpoint may be signed by");
    command->add_option("--key-file", options.key_file,
                        "Have the entries encrypted with the server's archive key, which is in "
                        "this file");
    command->add_flag("--json", options.json, "Write the verification as JSON");
    command->footer(
        "For example:\n"
        "  auditchain bundle --dsn 'dbname=app' --log payments --since 2026-01-01 "
        "--until 2026-04-01 --output q1.tar");
    command->callback([&] { chosen = bundle; });
}

}  // namespace auditchain::cli
