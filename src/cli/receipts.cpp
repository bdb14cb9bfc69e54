// receipts: checks the receipts and epoch seals of a log with the seed of the server's evolving
// key, away from the server.

#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "commands.h"
#include "files.h"
#include "lines.h"
#include "malformed.h"
#include "pqxx_compat.h"
#include "printable.h"
#include "receipt_audit.h"

namespace auditchain::cli {
namespace {

constexpr int kBatch = 1000;

struct ReceiptsOptions {
    std::string dsn;
    std::string log;
    std::string seed;
    std::string secrets;
    std::vector<std::string> unsealed;
    std::uint64_t max_age = 600;
};

ReceiptsOptions options;

Digest digest_from_hex(const std::string& hex) {
    Digest digest;
    if (!read_hex(hex, &digest.bytes)) {
        digest.bytes.fill(0xFF);  // what nothing hashes to
    }
    return digest;
}

template <typename Field>
Digest digest_of(const Field& field) {
    return digest_from_hex(field.is_null() ? std::string() : field.template as<std::string>());
}

template <typename Field>
std::optional<Receipt> receipt_of(const Field& field) {
    std::string bytes;
    const std::string hex = field.is_null() ? std::string() : field.template as<std::string>();
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes += static_cast<char>(hex_value(hex[i]) << 4 | hex_value(hex[i + 1]));
    }
    Receipt receipt;
    return parse_receipt(bytes, &receipt) ? std::optional(receipt) : std::nullopt;
}

/// The name of the chain, which a leaf has in its third line.
std::string chain_of(std::string_view leaf) {
    take_line(leaf);
    take_line(leaf);
    return std::string(take_line(leaf).value_or(""));
}

EpochRange parse_range(const std::string& text) {
    const std::size_t dash = std::min(text.find('-'), text.size());
    const auto first = parse_decimal(text.substr(0, dash), kMaxEpoch);
    const std::string rest = text.substr(std::min(dash + 1, text.size()));
    const auto last = dash == text.size() ? first
                      : rest.empty()      ? std::optional<std::uint64_t>(kMaxEpoch)
                                          : parse_decimal(rest, kMaxEpoch);
    if (!first || !last || *last < *first) {
        throw Unusable("--unsealed takes epochs, as 12, 12-14 or 12-, and not " + text);
    }
    return {static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*last)};
}

std::string read_secret_file(const std::string& path) {
    auto text = read_file(path);
    if (!text) {
        throw Unusable("there is no file " + path);
    }
    return std::move(*text);
}

EvolvingKey read_seed() {
    std::string text = read_secret_file(options.seed);
    EvolvingKey seed;
    std::string_view rest = text;
    try {
        parse_evolving_key(take_line(rest).value_or(text), kEvolvingSeedWord, &seed);
    } catch (const Malformed& e) {
        throw Unusable(options.seed + " is no seed: " + e.what());
    }
    if (seed.epoch != 0) {
        throw Unusable(options.seed + " is no seed: it is not of epoch 0");
    }
    return seed;
}

/// The audit of one log in one snapshot of its database.
class Audit {
  public:
    Audit() : connection_(options.dsn), transaction_(connection_, "auditchain receipts") {
        run(transaction_, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
        run(transaction_, "SET LOCAL client_encoding = 'UTF8'");
        oid_ = value("SELECT $1::regclass::oid::text", options.log);
        run(transaction_, "SET LOCAL search_path = pg_catalog");
        run(transaction_, "SET LOCAL row_security = off");
        // Entries come in batches by an index: a plan that sorts would sort all of them each time.
        run(transaction_, "SET LOCAL enable_sort = off");
        run(transaction_, "SET LOCAL enable_bitmapscan = off");
    }

    int check() {
        const auto found = run(transaction_,
                               "SELECT log::text, log_id::text, receipts, released_at IS NULL "
                               "FROM auditchain.logs WHERE log = $1::regclass",
                               oid_);
        if (found.empty() || !found[0][2].as<bool>()) {
            throw Unusable(options.log + " is no log with receipts, or may not be read");
        }
        name_ = found[0][0].as<std::string>();
        ReceiptSecrets plain;
        if (!options.secrets.empty()) {
            parse_receipt_secrets(read_secret_file(options.secrets), &plain);
        }
        AuditGrounds grounds{found[0][1].as<std::string>(),
                             read_seed(),
                             &plain,
                             {},
                             static_cast<std::uint64_t>(std::time(nullptr)),
                             options.max_age};
        for (const std::string& range : options.unsealed) {
            grounds.unsealed.push_back(parse_range(range));
        }
        Sha256 sha256;
        ReceiptAudit audit(sha256, std::move(grounds), read_seals());
        report(audit);
        take_sealed(audit);
        take_others(audit);
        audit.end();
        report(audit);
        check_count(audit, found[0][3].as<bool>());
        std::cout << name_ << ": " << audit.entries() << " entries, " << audit.sealed()
                  << " of them sealed, " << audit.seals() << " epochs; " << violations_
                  << (violations_ == 1 ? " violation" : " violations") << std::endl;
        return violations_ == 0 ? kFine : kAlarm;
    }

  private:
    template <typename... Args>
    std::string value(const char* sql, const Args&... args) {
        return run(transaction_, sql, args...).at(0)[0].template as<std::string>();
    }

    void alarm(const AuditFinding& finding) {
        ++violations_;
        std::cerr << "ALARM " << finding.kind << ": " << name_ << ": ";
        if (!finding.chain.empty()) {
            std::cerr << "position " << finding.position << " of chain " << printable(finding.chain)
                      << ": ";
        }
        std::cerr << printable(finding.detail) << std::endl;
    }

    void report(ReceiptAudit& audit) {
        for (const AuditFinding& finding : audit.take_findings()) {
            alarm(finding);
        }
    }

    std::vector<OfferedSeal> read_seals() {
        std::vector<OfferedSeal> seals;
        for (const auto& row :
             run(transaction_,
                 "SELECT epoch, incarnation, tree_size, encode(root, 'hex'), "
                 "extract(epoch FROM sealed_at)::bigint, encode(mac, 'hex') "
                 "FROM auditchain.epoch_seals WHERE log = $1::regclass "
                 "AND epoch BETWEEN 0 AND 4294967295 AND incarnation >= 0 AND tree_size >= 0",
                 oid_)) {
            seals.push_back({{static_cast<std::uint32_t>(row[0].as<long long>()),
                              static_cast<std::uint32_t>(row[1].as<long long>()),
                              static_cast<std::uint64_t>(row[2].as<long long>()), digest_of(row[3]),
                              static_cast<std::uint64_t>(row[4].as<long long>())},
                             digest_of(row[5])});
        }
        return seals;
    }

    /// The columns of an entry `e` that take_rows() reads.
    static constexpr const char* kColumns =
        "e.chain_position, encode(e.previous_checksum, 'hex'), encode(e.checksum, 'hex'), "
        "encode(e.receipt, 'hex'), auditchain.payload(e)";

    /// Take entries of a chain; where none is named, each row has its leaf, too, which names it.
    long long take_rows(ReceiptAudit& audit, const pqxx::result& rows, const std::string* chain) {
        long long position = 0;
        for (const auto& row : rows) {
            position = row[0].as<long long>();
            const auto payload = row[4].as<std::string>();
            const auto own = chain != nullptr ? *chain : chain_of(row[5].as<std::string>());
            audit.next({own, position, digest_of(row[1]), digest_of(row[2]), receipt_of(row[3]),
                        payload, chain != nullptr});
        }
        report(audit);
        return position;
    }

    /// Entries in the order of the tree's leaves, range by range.
    void take_sealed(ReceiptAudit& audit) {
        long long next_leaf = 0;
        for (;;) {
            const auto ranges =
                run(transaction_,
                    "SELECT first_leaf, chain_id, coalesce(chain, ''), first_position, "
                    "last_position FROM auditchain.sealed_ranges WHERE log = $1::regclass "
                    "AND first_leaf >= $2 ORDER BY first_leaf LIMIT 1000",
                    oid_, next_leaf);
            if (ranges.empty()) {
                return;
            }
            for (const auto& range : ranges) {
                next_leaf = range[0].as<long long>() + 1;
                take_range(audit, range[1].as<long long>(), range[2].as<std::string>(),
                           range[3].as<long long>(), range[4].as<long long>());
            }
        }
    }

    void take_range(ReceiptAudit& audit, long long chain_id, const std::string& chain,
                    long long first, long long last) {
        const std::string sql = std::string("SELECT ") + kColumns + " FROM " + name_ +
                                " AS e WHERE e.chain_id = $1 AND e.chain_position BETWEEN $2 AND "
                                "$3 ORDER BY e.chain_position LIMIT 1000";
        while (first <= last) {
            const auto rows = run(transaction_, sql.c_str(), chain_id, first, last);
            first = take_rows(audit, rows, &chain) + 1;
            if (rows.size() < kBatch) {
                return;
            }
        }
    }

    /// Entries that no checkpoint covers yet.
    void take_others(ReceiptAudit& audit) {
        const std::string sql =
            std::string("DECLARE others NO SCROLL CURSOR FOR SELECT ") + kColumns +
            ", auditchain.leaf(e) FROM " + name_ +
            " AS e LEFT JOIN (SELECT chain_id, max(last_position) AS last "
            "FROM auditchain.sealed_ranges WHERE log = " +
            oid_ +
            "::regclass GROUP BY chain_id) AS s ON s.chain_id = e.chain_id "
            "WHERE e.chain_position > coalesce(s.last, 0) ORDER BY e.chain_id, e.chain_position";
        run(transaction_, sql.c_str());
        for (;;) {
            const auto rows = run(transaction_, "FETCH 1000 FROM others");
            if (rows.empty()) {
                return;
            }
            take_rows(audit, rows, nullptr);
        }
    }

    /// Rows that came in neither way. After a release, rows may be in no chain.
    void check_count(const ReceiptAudit& audit, bool is_protected) {
        const std::string sql =
            std::string("SELECT count(") + (is_protected ? "*" : "chain_id") + ") FROM " + name_;
        const auto rows = std::stoull(value(sql.c_str()));
        if (rows != audit.entries()) {
            alarm({"link_broken", "", 0,
                   "the table has " + std::to_string(rows) + " rows, and " +
                       std::to_string(audit.entries()) + " are in its chains"});
        }
    }

    pqxx::connection connection_;
    pqxx::work transaction_;
    std::string oid_;
    std::string name_;
    std::uint64_t violations_ = 0;
};

}  // namespace

void add_receipts(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand(
        "receipts",
        "Check every receipt of a log with the seed of the server's evolving key, and that each "
        "epoch was sealed and has stayed as it was: so that whoever got hold of the key of a later "
        "epoch has not rewritten, cut off or re-dated anything before. Run it away from the "
        "server, as a role with SELECT on the log.");
    command->add_option("--dsn", options.dsn, "The database, as psql takes it")->required();
    command->add_option("--log", options.log, "The log: its table")->required();
    command->add_option("--seed", options.seed, "The file with the seed, of `keygen evolving`")
        ->required();
    command->add_option("--secrets", options.secrets,
                        "A file with the plain secrets that other receipts were made with");
    command->add_option("--unsealed", options.unsealed,
                        "Epochs that nobody could seal, as 12, 12-14 or 12-: the log was not there "
                        "yet, or is released, or the server was down; several may be given");
    command
        ->add_option("--max-age", options.max_age,
                     "Seconds before its end that an epoch may have been sealed last")
        ->capture_default_str();
    command->callback([&] { chosen = [] { return Audit().check(); }; });
}

}  // namespace auditchain::cli
