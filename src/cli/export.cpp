// export: writes the events of a log to a file, or for another program.

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bundle_report.h"
#include "commands.h"
#include "line_output.h"
#include "log_access.h"

namespace auditchain::cli {
namespace {

struct ExportOptions {
    std::string database;
    std::string log;
    std::string format = "jsonl";
    std::string since;
    std::string until;
    std::vector<std::string> filters;
    std::string output = "-";
};

ExportOptions options;

/// Lines come a thousand at a time: a cursor over a function in the select list has the server make
/// them when they are fetched, so that memory grows with the log on neither side.
int export_log() {
    const std::string filter = filter_json(parse_filters(options.filters));
    pqxx::connection connection(options.database);
    connection.set_client_encoding("UTF8");
    pqxx::work transaction(connection, "auditchain export");
    begin_access(transaction, Access::reads);
    const NamedLog log = find_log(transaction, options.log);
    run(transaction,
        "DECLARE lines NO SCROLL CURSOR FOR SELECT auditchain.export($1::regclass, $2, "
        "nullif($3, '')::timestamptz, nullif($4, '')::timestamptz, $5::jsonb)",
        log.oid, options.format, options.since, options.until, filter);
    LineOutput output(options.output);
    std::optional<ProgressLine> progress;
    if (options.output != "-") {
        progress.emplace(options.output, 0);
    }
    for (;;) {
        const pqxx::result rows = run(transaction, "FETCH 1000 FROM lines");
        if (rows.empty()) {
            break;
        }
        for (const auto& row : rows) {
            output.write(row[0].as<std::string>());
        }
        if (progress) {
            progress->show(output.size());
        }
    }
    output.finish();
    return kFine;
}

}  // namespace

void add_export(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand(
        "export",
        "Write the events of a log, as auditchain.export() returns them: for a SIEM, a "
        "spreadsheet or an auditor. Each event carries its checksum and payload. Needs a role "
        "with SELECT on the log; works on a standby, and for logs of any size.");
    command->add_option("--dsn", options.database, "The database, as psql takes it")->required();
    command->add_option("--log", options.log, "The log, such as public.payments")->required();
    command
        ->add_option(
            "--format", options.format,
            "jsonl: an event a line; json: an array of them; csv; or soc2: a document that "
            "says as well whether the log verifies")
        ->capture_default_str();
    command->add_option("--since", options.since,
                        "Only events from this time on, such as 2026-01-01");
    command->add_option("--until", options.until, "Only events before this time");
    command
        ->add_option("--filter", options.filters,
                     "Only entries that have this value in this column, as column=value; several "
                     "may be given, and all must hold")
        ->allow_extra_args(false);
    command
        ->add_option("--output", options.output,
                     "The file to make or replace, when all of it is there; - is standard output")
        ->capture_default_str();
    command->footer(
        "For example:\n"
        "  auditchain export --dsn dbname=app --log payments --since 2026-01-01 --until 2026-04-01 "
        "--format csv --output q1.csv\n"
        "  auditchain export --dsn dbname=app --log payments --filter actor=alice | jq .eventType");
    command->callback([&] { chosen = export_log; });
}

}  // namespace auditchain::cli
