#include "verify_database.h"

#include <algorithm>
#include <exception>

#include "files.h"
#include "log_access.h"
#include "log_report.h"
#include "verify_progress.h"

namespace auditchain::cli {
namespace {

template <typename Field>
std::uint64_t number_of(const Field& field) {
    return field.is_null() ? 0 : static_cast<std::uint64_t>(field.template as<long long>());
}

template <typename Field>
std::string text_of(const Field& field) {
    return field.is_null() ? std::string() : field.template as<std::string>();
}

void read_verdict(pqxx::transaction_base& transaction, const NamedLog& log, LogVerdict& verdict) {
    const auto rows = run(transaction,
                          "SELECT intact, total_events, verified_events, chains, checkpoints, "
                          "message FROM auditchain.verify($1::regclass)",
                          log.oid);
    const auto& row = rows[0];
    verdict.intact = row[0].as<bool>();
    verdict.entries = number_of(row[1]);
    verdict.verified_entries = number_of(row[2]);
    verdict.chains = number_of(row[3]);
    verdict.checkpoints = number_of(row[4]);
    verdict.message = text_of(row[5]);
}

void read_identity(pqxx::transaction_base& transaction, const NamedLog& log, LogVerdict& verdict) {
    for (const auto& row :
         run(transaction,
             "SELECT log_id::text, origin, sealed_entries, "
             "to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
             "FROM auditchain.logs WHERE log = $1::regclass",
             log.oid)) {
        verdict.log_id = text_of(row[0]);
        verdict.origin = text_of(row[1]);
        verdict.tree_size = number_of(row[2]);
        verdict.sealed_at = text_of(row[3]);
    }
}

/// Each step is a transaction of its own: what one has found is not lost when the next one fails.
class DatabaseVerifier {
  public:
    explicit DatabaseVerifier(const DatabaseCheck& check) : check_(check), connection_(check.dsn) {
        connection_.set_client_encoding("UTF8");
    }

    int verify() {
        int result = kFine;
        for (const std::string& log : check_.logs.empty() ? readable_logs() : check_.logs) {
            result = std::max<int>(result, verify_log(log));
        }
        return result;
    }

  private:
    /// That nothing can be read is no good news for who wants all verified.
    std::vector<std::string> readable_logs() {
        pqxx::work transaction(connection_, "auditchain verify");
        begin_access(transaction, Access::reads);
        close_search_path(transaction);
        std::vector<std::string> logs;
        for (const auto& row :
             run(transaction, "SELECT log::text FROM auditchain.logs ORDER BY 1")) {
            logs.push_back(row[0].as<std::string>());
        }
        if (logs.empty()) {
            throw Unusable("the database has no log that this role can read");
        }
        return logs;
    }

    ExitCode verify_log(const std::string& name) {
        LogVerdict verdict;
        std::vector<long long> archives;
        try {
            pqxx::work transaction(connection_, "auditchain verify");
            begin_access(transaction, Access::records);
            const NamedLog log = find_log(transaction, name);
            const VerifyProgress progress(check_.dsn, backend_pid(transaction), log.name);
            verdict.log = log.name;
            read_verdict(transaction, log, verdict);
            read_identity(transaction, log, verdict);
            if (check_.archives) {
                verdict.archives.emplace();
                archives = archives_of(transaction, log);
            }
            transaction.commit();
        } catch (const std::exception& e) {
            print_unusable("log", name, e.what(), check_.json);
            return kUnusable;
        }
        if (!verdict.intact) {
            list_violations(verdict);
        }
        for (const long long archive : archives) {
            verdict.archives->push_back(verify_archive(verdict.log, archive));
        }
        print_verdict(verdict, check_.json);
        return exit_code(verdict);
    }

    static std::string backend_pid(pqxx::transaction_base& transaction) {
        return run(transaction, "SELECT pg_catalog.pg_backend_pid()::text")[0][0].as<std::string>();
    }

    static std::vector<long long> archives_of(pqxx::transaction_base& transaction,
                                              const NamedLog& log) {
        std::vector<long long> archives;
        for (const auto& row : run(transaction,
                                   "SELECT archive FROM auditchain.archives "
                                   "WHERE log = $1::regclass AND state = 'kept' ORDER BY 1",
                                   log.oid)) {
            archives.push_back(row[0].as<long long>());
        }
        return archives;
    }

    void list_violations(LogVerdict& verdict) {
        try {
            pqxx::work transaction(connection_, "auditchain violations");
            begin_access(transaction, Access::reads);
            const NamedLog log = find_log(transaction, verdict.log);
            const VerifyProgress progress(check_.dsn, backend_pid(transaction), log.name);
            for (const auto& row : run(transaction,
                                       "SELECT chain, \"position\", kind, detail "
                                       "FROM auditchain.violations($1::regclass)",
                                       log.oid)) {
                verdict.violations.push_back(
                    {text_of(row[0]), number_of(row[1]), text_of(row[2]), text_of(row[3])});
            }
        } catch (const std::exception& e) {
            verdict.unlisted = e.what();
        }
    }

    ArchiveVerdict verify_archive(const std::string& log, long long archive) {
        try {
            pqxx::work transaction(connection_, "auditchain verify_archive");
            begin_access(transaction, Access::records);
            close_search_path(transaction);
            const VerifyProgress progress(check_.dsn, backend_pid(transaction),
                                          log + ", archive " + std::to_string(archive));
            const auto rows = run(
                transaction,
                "SELECT intact, total_events, message FROM auditchain.verify_archive($1)", archive);
            const auto& row = rows[0];
            ArchiveVerdict verdict{archive, row[0].as<bool>(), number_of(row[1]), text_of(row[2])};
            transaction.commit();
            return verdict;
        } catch (const std::exception& e) {
            return {archive, std::nullopt, 0, e.what()};
        }
    }

    const DatabaseCheck& check_;
    pqxx::connection connection_;
};

}  // namespace

int verify_database(const DatabaseCheck& check) {
    return DatabaseVerifier(check).verify();
}

}  // namespace auditchain::cli
