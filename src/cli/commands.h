// The commands of the program: each adds itself to the command line, and runs when it was named
// there.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace auditchain::cli {

/// Exit codes, of all commands.
enum ExitCode : int {
    kFine = 0,
    kAlarm = 1,     ///< what was looked at is not as it should be
    kUnusable = 2,  ///< it could not be looked at: arguments, files, connections
};

/// What to do after the command line was read; returns the exit code.
using Command = std::function<int()>;

void add_archive(CLI::App& app, Command& chosen);
void add_bundle(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_keygen(CLI::App& app, Command& chosen);
void add_log(CLI::App& app, Command& chosen);
void add_receipts(CLI::App& app, Command& chosen);
void add_verify(CLI::App& app, Command& chosen);
void add_witness(CLI::App& app, Command& chosen);

}  // namespace auditchain::cli
