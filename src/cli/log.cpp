// log: shows the newest entries of a log.

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "commands.h"
#include "event_text.h"
#include "line_output.h"
#include "newest_entries.h"

namespace auditchain::cli {
namespace {

struct LogOptions {
    std::string database;
    std::string log;
    std::uint64_t limit = 20;
    std::string since;
    std::string until;
    std::vector<std::string> filters;
    std::string chain;
    bool json = false;
};

LogOptions options;

int show_log() {
    const EntrySelection selection = {options.limit, options.since, options.until,
                                      parse_filters(options.filters), options.chain};
    pqxx::connection connection(options.database);
    connection.set_client_encoding("UTF8");
    pqxx::work transaction(connection, "auditchain log");
    begin_access(transaction, Access::reads);
    const NamedLog log = find_log(transaction, options.log);
    LineOutput output("-");
    take_newest_entries(transaction, log, selection, [&output](std::string_view event) {
        if (options.json) {
            output.write(event);
        } else {
            for (const std::string& line : event_lines(event)) {
                output.write(line);
            }
        }
    });
    output.finish();
    return kFine;
}

}  // namespace

void add_log(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand(
        "log",
        "Show the newest entries of a log, newest first: of each its time, actor and type, its "
        "chain and position, the beginning of its checksum, and what else it has. They are shown "
        "as "
        "they are and not verified: that is what `auditchain verify` is for. Needs a role with "
        "SELECT on the log; quick on a big one that has an index on its time column.");
    command->add_option("--dsn", options.database, "The database, as psql takes it")->required();
    command->add_option("--log", options.log, "The log, such as public.payments")->required();
    command->add_option("--limit", options.limit, "How many entries")
        ->capture_default_str()
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1000000000}));
    command->add_option("--since", options.since,
                        "Only entries from this time on, such as 2026-01-01 or yesterday");
    command->add_option("--until", options.until, "Only entries before this time");
    command
        ->add_option("--filter", options.filters,
                     "Only entries that have this value in this column, as column=value; several "
                     "may be given, and all must hold")
        ->allow_extra_args(false);
    command->add_option("--chain", options.chain, "Only entries of this chain, such as []/0");
    command->add_flag("--json", options.json,
                      "Write events as JSON, a line each, as `auditchain export` does");
    command->footer(
        "For example:\n"
        "  auditchain log --dsn dbname=app --log payments\n"
        "  auditchain log --dsn dbname=app --log payments --since yesterday --filter actor=alice\n"
        "  auditchain log --dsn dbname=app --log payments --chain '[\"acme\"]/0' --limit 1 --json");
    command->callback([&] { chosen = show_log; });
}

}  // namespace auditchain::cli
