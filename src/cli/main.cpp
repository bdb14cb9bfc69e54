// auditchain, the companion program: what is done outside of the database.

#include <exception>
#include <iostream>

#include <CLI/CLI.hpp>

#include "commands.h"
#include "printable.h"

int main(int argc, char** argv) {
    using namespace auditchain::cli;
    CLI::App app(
        "auditchain, the companion program of the PostgreSQL extension: shows, verifies "
        "and exports logs; keys, bundles that prove entries without the database, an audit of "
        "receipts, and a witness that watches checkpoints from outside.",
        "auditchain");
    app.set_version_flag("--version", AUDITCHAIN_VERSION);
    app.require_subcommand(1);
    app.footer(
        "Exit codes: 0 all is well, 1 something is not as it should be, 2 it could not be looked "
        "at.");
    Command chosen;
    add_archive(app, chosen);
    add_bundle(app, chosen);
    add_export(app, chosen);
    add_keygen(app, chosen);
    add_log(app, chosen);
    add_receipts(app, chosen);
    add_verify(app, chosen);
    add_witness(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? kFine : kUnusable;
    }
    try {
        return chosen();
    } catch (const std::exception& e) {
        std::cerr << "auditchain: " << printable_lines(e.what()) << '\n';
        return kUnusable;
    }
}
