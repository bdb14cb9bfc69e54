// witness: checks each new checkpoint of the logs of one or many databases against the last that it
// accepted, and cosigns it. It is what notices a database that was restored to the past.

#include <atomic>
#include <csignal>
#include <ctime>
#include <iostream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base64.h"
#include "commands.h"
#include "files.h"
#include "malformed.h"
#include "pqxx_compat.h"
#include "printable.h"
#include "witness_state.h"

namespace auditchain::cli {
namespace {

struct WitnessOptions {
    std::vector<std::string> databases;
    std::string state = "auditchain-witness.json";
    std::string cosign_key;
    std::string name;
    std::string notes;
    std::vector<std::string> keys;
    std::uint64_t max_age = 600;
    unsigned interval = 60;
    bool once = false;
    bool json = false;
};

WitnessOptions options;
volatile std::sig_atomic_t stopped = 0;

std::uint64_t now() {
    return static_cast<std::uint64_t>(std::time(nullptr));
}

/// A connection string without its password, to be shown and kept.
std::string without_password(const std::string& dsn) {
    static const std::regex keyword(R"(password\s*=\s*('(\\.|[^'\\])*'|\S*)\s*)",
                                    std::regex::icase);
    static const std::regex uri(R"(^(\w+://[^:/@]*):[^@]*@)");
    return std::regex_replace(std::regex_replace(dsn, keyword, ""), uri, "$1@");
}

/// One line for a person, or for a program.
void report(bool alarm, const std::string& kind, const std::string& database,
            const std::string& log, const std::string& detail) {
    std::ostream& out = alarm ? std::cerr : std::cout;
    if (options.json) {
        out << nlohmann::json{{"time", now()}, {"alarm", alarm},       {"kind", kind},
                              {"log", log},    {"database", database}, {"detail", detail}}
            << std::endl;
    } else {
        out << (alarm ? "ALARM " : "") << kind << ": " << printable(log.empty() ? database : log)
            << ": " << printable_lines(detail) << std::endl;
    }
}

/// A checkpoint as the database has it.
struct OfferedCheckpoint {
    std::uint64_t size;
    std::string note;
    std::string key;
};

struct OfferedLog {
    std::string name;
    std::string id;
};

/// A pass over the logs of one database.
class Pass {
  public:
    Pass(WitnessState& state, const std::string& database, Sha256& sha256)
        : state_(state),
          database_(without_password(database)),
          sha256_(sha256),
          connection_(database),
          transaction_(connection_, "auditchain witness") {
        run(transaction_, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
        run(transaction_, "SET LOCAL search_path = pg_catalog");
    }

    /// Return whether all is well.
    bool check() {
        std::set<std::string> seen;
        for (const auto& row :
             run(transaction_, "SELECT log::text, log_id::text FROM auditchain.logs ORDER BY 1")) {
            const OfferedLog log{row[0].as<std::string>(), row[1].as<std::string>()};
            seen.insert(log.id);
            check_log(log);
        }
        for (const auto& [id, known] : state_.logs()) {
            if (known.database == database_ && seen.count(id) == 0) {
                alarm("log_missing", known.log, "the log is gone, or may not be read");
            }
        }
        return fine_;
    }

  private:
    void alarm(const std::string& kind, const std::string& log, const std::string& detail) {
        fine_ = false;
        report(true, kind, database_, log, detail);
    }

    std::vector<OfferedCheckpoint> offered(const OfferedLog& log, std::uint64_t from) {
        std::vector<OfferedCheckpoint> checkpoints;
        const auto rows =
            run(transaction_,
                "SELECT tree_size, coalesce(renewed_note, note), verifier_key "
                "FROM auditchain.checkpoints WHERE log = $1::regclass AND note IS NOT NULL "
                "AND tree_size >= $2 ORDER BY tree_size, incarnation",
                log.name, static_cast<long long>(from));
        for (const auto& row : rows) {
            checkpoints.push_back({static_cast<std::uint64_t>(row[0].as<long long>()),
                                   row[1].as<std::string>(), row[2].as<std::string>()});
        }
        return checkpoints;
    }

    std::vector<Digest> proof(const OfferedLog& log, std::uint64_t old_size,
                              std::uint64_t new_size) {
        std::vector<Digest> hashes;
        if (old_size >= new_size) {
            return hashes;
        }
        const auto rows =
            run(transaction_, "SELECT unnest(auditchain.consistency_proof($1::regclass, $2, $3))",
                log.name, static_cast<long long>(old_size), static_cast<long long>(new_size));
        for (const auto& row : rows) {
            hashes.push_back(digest_from_base64(row[0].as<std::string>()).value_or(Digest{}));
        }
        return hashes;
    }

    /// The key must be the one given, or that of the first checkpoint ever seen, in whatever name.
    bool key_is_trusted(const VerifierKey& key, const WitnessedLog* known) {
        std::vector<std::string> trusted = options.keys;
        if (trusted.empty() && known != nullptr) {
            trusted.push_back(known->key);
        }
        if (trusted.empty()) {
            return true;
        }
        for (const std::string& vkey : trusted) {
            if (parse_verifier_key(sha256_, vkey).key == key.key) {
                return true;
            }
        }
        return false;
    }

    void check_log(const OfferedLog& log) {
        const auto found = state_.logs().find(log.id);
        const WitnessedLog* known = found == state_.logs().end() ? nullptr : &found->second;
        const std::uint64_t from = known == nullptr ? 0 : known->tree.size;
        const auto checkpoints = offered(log, from);
        if (checkpoints.empty() && known != nullptr) {
            alarm("rolled_back", log.name,
                  "it had sealed " + std::to_string(from) +
                      " entries, and has no checkpoint of as many now");
            return;
        }
        for (const OfferedCheckpoint& checkpoint : checkpoints) {
            if (!check_checkpoint(log, checkpoint)) {
                return;
            }
        }
        check_age(log);
    }

    bool check_checkpoint(const OfferedLog& log, const OfferedCheckpoint& offered) {
        const auto found = state_.logs().find(log.id);
        const bool first = found == state_.logs().end();
        const WitnessedLog known = first ? WitnessedLog{} : found->second;
        WitnessJudgement judgement;
        try {
            const VerifierKey key = parse_verifier_key(sha256_, offered.key);
            if (!key_is_trusted(key, first ? nullptr : &known)) {
                alarm("key_changed", log.name, "a checkpoint is signed by " + offered.key);
                return false;
            }
            judgement = judge_checkpoint(
                sha256_, log.id, key, offered.note,
                first ? std::nullopt : std::optional<WitnessedTree>(known.tree),
                first ? std::vector<Digest>{} : proof(log, known.tree.size, offered.size));
        } catch (const Malformed& e) {
            alarm("bad_signature", log.name, std::string("a checkpoint is malformed: ") + e.what());
            return false;
        }
        const std::string sizes =
            std::to_string(known.tree.size) + " entries to " + std::to_string(offered.size);
        if (judgement.verdict != WitnessVerdict::accepted) {
            alarm(auditchain::name(judgement.verdict), log.name,
                  "the checkpoint does not go on from " + sizes);
            return false;
        }
        if (!first && judgement.checkpoint.origin != known.origin) {
            report(false, "incarnation_changed", database_, log.name,
                   "goes on as " + judgement.checkpoint.origin);
        }
        if (first || offered.size > known.tree.size) {
            report(false, "accepted", database_, log.name, "from " + sizes);
        }
        accept(log, offered, judgement);
        return true;
    }

    /// First remember, then cosign: what was given out is never contradicted after a crash.
    void accept(const OfferedLog& log, const OfferedCheckpoint& offered,
                const WitnessJudgement& judgement) {
        const Checkpoint& checkpoint = judgement.checkpoint;
        state_.remember(log.id, {database_,
                                 log.name,
                                 checkpoint.origin,
                                 offered.key,
                                 {checkpoint.size, checkpoint.root},
                                 now(),
                                 judgement.time});
        if (options.cosign_key.empty()) {
            return;
        }
        Note note = parse_note(offered.note);
        const auto pem = read_file(options.cosign_key);
        if (!pem) {
            throw Unusable("there is no file " + options.cosign_key);
        }
        note.signatures.push_back(cosign_note(sha256_, note.text, options.name, now(),
                                              Ed25519PrivateKey::from_pem(*pem)));
        const std::string text = format_note(note);
        append_to_file(options.notes + "/" + log.id + ".history", text + "\n");
        replace_file(options.notes + "/" + log.id + ".note", text);
    }

    void check_age(const OfferedLog& log) {
        const auto found = state_.logs().find(log.id);
        if (found == state_.logs().end()) {
            report(false, "unsigned", database_, log.name, "it has no signed checkpoint yet");
            return;
        }
        const std::uint64_t sealed_at = found->second.sealed_at;
        if (options.max_age > 0 && sealed_at + options.max_age < now()) {
            alarm("silent", log.name,
                  "last sealed " + std::to_string(now() - sealed_at) + " seconds ago");
        }
    }

    WitnessState& state_;
    std::string database_;
    Sha256& sha256_;
    pqxx::connection connection_;
    pqxx::work transaction_;
    bool fine_ = true;
};

/// A pass over all databases. One that cannot be reached is an alarm once it was so for --max-age.
int check_all(WitnessState& state, Sha256& sha256,
              std::map<std::string, std::uint64_t>& unreachable_since) {
    int result = kFine;
    for (const std::string& database : options.databases) {
        try {
            if (!Pass(state, database, sha256).check()) {
                result = kAlarm;
            }
            unreachable_since.erase(database);
        } catch (const pqxx::failure& e) {
            const std::uint64_t since = unreachable_since.emplace(database, now()).first->second;
            const bool alarm = options.once || since + options.max_age < now();
            report(alarm, "unreachable", without_password(database), "", e.what());
            if (alarm && result == kFine) {
                result = options.once ? kUnusable : kAlarm;
            }
        }
    }
    return result;
}

int witness() {
    if (!options.cosign_key.empty() && (options.name.empty() || options.notes.empty())) {
        throw Unusable("--cosign-key needs --name and --notes");
    }
    std::signal(SIGINT, [](int) { stopped = 1; });
    std::signal(SIGTERM, [](int) { stopped = 1; });
    WitnessState state(options.state);
    Sha256 sha256;
    std::map<std::string, std::uint64_t> unreachable_since;
    for (;;) {
        const int result = check_all(state, sha256, unreachable_since);
        if (options.once || result != kFine) {
            return result;
        }
        for (unsigned second = 0; second < options.interval && stopped == 0; ++second) {
            ::sleep(1);
        }
        if (stopped != 0) {
            return kFine;
        }
    }
}

}  // namespace

void add_witness(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand("witness",
                                           "Watch the checkpoints of logs from outside of their "
                                           "databases: each must be signed by the log's key, and "
                                           "go on from the last that was accepted. Alarms, and "
                                           "exits with 1, when history was rewritten, cut or "
                                           "restored to the past, when a key has changed, when a "
                                           "log is gone, and when nothing was sealed for too "
                                           "long. Needs a role with SELECT on the logs.");
    command
        ->add_option("--dsn", options.databases,
                     "A database, as psql takes it; several may be given")
        ->required();
    command->add_option("--state", options.state, "The file to remember checkpoints in")
        ->capture_default_str();
    command->add_option(
        "--key", options.keys,
        "A verifier key that checkpoints may be signed by; without any, the first seen is trusted");
    command->add_option("--cosign-key", options.cosign_key,
                        "Cosign what is accepted, with the key in this file");
    command->add_option("--name", options.name,
                        "The name to cosign in, such as witness.example.com/w1");
    command->add_option("--notes", options.notes,
                        "The directory for cosigned notes: the newest of each log, and all");
    command
        ->add_option("--max-age", options.max_age,
                     "Seconds after which a log or database is silent; 0: never")
        ->capture_default_str();
    command->add_option("--interval", options.interval, "Seconds between looks")
        ->capture_default_str()
        ->check(CLI::Range(1U, 86400U));
    command->add_flag("--once", options.once, "Look once, as from cron");
    command->add_flag("--json", options.json, "Write each line as JSON");
    command->callback([&] { chosen = witness; });
}

}  // namespace auditchain::cli
