#include "newest_entries.h"

#include <nlohmann/json.hpp>

#include "files.h"
#include "printable.h"

namespace auditchain::cli {
namespace {

/// Writes e.COLUMN and the equality that filters of auditchain.export() use: that of the default
/// operator class of the column's type where it has one of its own, as citext has; else that of
/// pg_catalog. What an operator of another schema would do is up to whoever made it.
constexpr const char* kFilterCondition = R"(
WITH RECURSIVE base(attname, type) AS (
    SELECT attname, atttypid FROM pg_attribute
    WHERE attrelid = $1::regclass AND attname::text = $2 AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT attname, typbasetype FROM base JOIN pg_type ON pg_type.oid = type AND typtype = 'd')
SELECT format('e.%I OPERATOR(%s) %L', attname, coalesce((
        SELECT format('%I.%s', n.nspname, o.oprname)
        FROM pg_opclass AS c
        JOIN pg_am AS m ON m.oid = c.opcmethod AND m.amname = 'btree'
        JOIN pg_amop AS s ON s.amopfamily = c.opcfamily AND s.amopstrategy = 3
            AND s.amoplefttype = c.opcintype AND s.amoprighttype = c.opcintype
        JOIN pg_operator AS o ON o.oid = s.amopopr
        JOIN pg_namespace AS n ON n.oid = o.oprnamespace
        WHERE c.opcdefault AND c.opcintype = type), 'pg_catalog.='),
    CASE WHEN type = 'jsonb'::regtype THEN to_jsonb($3::text)::text ELSE $3 END)
FROM base JOIN pg_type AS t ON t.oid = type AND t.typtype <> 'd')";

class NewestEntries {
  public:
    NewestEntries(pqxx::transaction_base& transaction, const NamedLog& log,
                  const EntrySelection& selection)
        : transaction_(transaction), log_(log) {
        read_log();
        conditions_ = "e.chain_id IS NOT NULL AND e.chain_position IS NOT NULL";
        add_time_bound(">=", selection.since);
        add_time_bound("<", selection.until);
        for (const auto& [column, value] : selection.filters) {
            add_filter(column, value);
        }
        if (!selection.chain.empty()) {
            conditions_ += " AND e.chain_id = " + chain_id(selection.chain);
        }
        open_cursor(selection.limit);
    }

    void take(const std::function<void(std::string_view)>& take) {
        std::string last;
        for (;;) {
            const pqxx::result places = run(transaction_, "FETCH 100 FROM newest");
            if (places.empty()) {
                return;
            }
            for (const auto& place : places) {
                const std::string filter = place_filter(place);
                // Two entries at one place, which verification tells, are both in one export.
                if (filter != last) {
                    for (const auto& row : run(transaction_,
                                               "SELECT auditchain.export($1::regclass, 'jsonl', "
                                               "filter => $2::jsonb)",
                                               log_.oid, filter)) {
                        take(row[0].as<std::string>());
                    }
                }
                last = filter;
            }
        }
    }

  private:
    /// The types are looked at since the owner of a released log may have changed them to ones
    /// whose operators and casts are the owner's code, which must not run as whoever looks.
    void read_log() {
        const auto rows = run(transaction_,
                              "SELECT mapping ->> 'timestamp', "
                              "quote_ident(mapping ->> 'timestamp'), relkind = 'p' "
                              "FROM auditchain.logs JOIN pg_class ON oid = log "
                              "WHERE log = $1::regclass",
                              log_.oid);
        if (rows.empty()) {
            throw Unusable(log_.name + " is no log, or may not be read");
        }
        const auto columns =
            run(transaction_,
                "SELECT FROM pg_attribute WHERE attrelid = $1::regclass AND (attname, atttypid) "
                "IN (('chain_id', 'integer'::regtype), ('chain_position', 'bigint'::regtype))",
                log_.oid);
        if (columns.size() < 2) {
            throw Unusable(log_.name + " has lost the columns of its chains");
        }
        if (!rows[0][0].is_null()) {
            time_name_ = rows[0][0].as<std::string>();
            time_ = "e." + rows[0][1].as<std::string>();
        }
        const bool partitioned = rows[0][2].as<bool>();
        from_ = (partitioned ? " FROM " : " FROM ONLY ") + log_.name + " AS e ";
    }

    /// The bound is a time in the user's time zone; columns without one are read as UTC.
    void add_time_bound(const std::string& op, const std::string& bound) {
        if (bound.empty()) {
            return;
        }
        if (time_.empty()) {
            throw Unusable(log_.name +
                           " has no time column that --since and --until could refer to: "
                           "auditchain.set_mapping() names one");
        }
        conditions_ += " AND " + time_ + " " + op + " " +
                       run(transaction_, "SELECT quote_literal(to_json($1::timestamptz) #>> '{}')",
                           bound)[0][0]
                           .as<std::string>() +
                       "::timestamptz";
    }

    void add_filter(const std::string& column, const std::string& value) {
        const auto rows = run(transaction_, kFilterCondition, log_.oid, column, value);
        if (rows.empty()) {
            throw Unusable("--filter: " + log_.name + " has no column " + column);
        }
        conditions_ += " AND " + rows[0][0].as<std::string>();
    }

    /// Looks at one entry of each chain, by the index on (chain_id, chain_position). The name of
    /// its chain is the last member so called in an event: only the payload follows, where
    /// quotation marks are escaped. A JSON parser could be made to fail by what a column of type
    /// json may hold.
    std::string chain_id(const std::string& name) {
        const std::string sql =
            "WITH RECURSIVE chains(id) AS (SELECT min(e.chain_id)" + from_ +
            "UNION ALL SELECT (SELECT min(e.chain_id)" + from_ +
            "WHERE e.chain_id > chains.id) FROM chains WHERE chains.id IS NOT NULL) "
            "SELECT chains.id::text FROM chains, "
            "LATERAL (SELECT min(e.chain_position) AS first" +
            from_ +
            "WHERE e.chain_id = chains.id) AS entry, "
            "LATERAL (SELECT auditchain.export($1::regclass, 'jsonl', filter => "
            "jsonb_build_object('chain_id', chains.id, 'chain_position', entry.first)) AS event) "
            "AS events WHERE substring(event FROM "
            R"('^.*,"chain":("([^"\\]|\\.)*"),"chainPosition":'))"
            " = to_json($2::text)::text LIMIT 1";
        const auto rows = run(transaction_, sql.c_str(), log_.oid, name);
        if (rows.empty()) {
            throw Unusable(log_.name + " has no entry in a chain " + name);
        }
        return rows[0][0].as<std::string>();
    }

    /// Entries without a time are a query of their own: an index has them before all others when it
    /// is read from its end, and to sort them elsewhere would read the whole log.
    void open_cursor(std::uint64_t limit) {
        run(transaction_, "SET LOCAL TimeZone = 'UTC'");
        run(transaction_, "SET LOCAL DateStyle = 'ISO'");
        const std::string places = "SELECT e.chain_id, e.chain_position, " +
                                   (time_.empty() ? "NULL" : time_) + " AS time" + from_ +
                                   "WHERE " + conditions_;
        const std::string chains =
            "chain_id DESC, chain_position DESC LIMIT " + std::to_string(limit);
        std::string sql = places + " ORDER BY " + chains;
        if (!time_.empty()) {
            sql = "(" + places + " AND " + time_ + " IS NOT NULL ORDER BY " + time_ + " DESC, " +
                  chains + ") UNION ALL (" + places + " AND " + time_ + " IS NULL ORDER BY " +
                  chains + ") ORDER BY time DESC NULLS LAST, " + chains;
        }
        run(transaction_, ("DECLARE newest NO SCROLL CURSOR FOR " + sql).c_str());
    }

    /// The filter that the entry at a place, and no other, passes. Its time is there to find the
    /// partition.
    template <typename Row>
    std::string place_filter(const Row& place) const {
        nlohmann::json filter = {{"chain_id", place[0].template as<long long>()},
                                 {"chain_position", place[1].template as<long long>()}};
        if (!place[2].is_null()) {
            filter[time_name_] = place[2].template as<std::string>();
        }
        return json_line(filter);
    }

    pqxx::transaction_base& transaction_;
    NamedLog log_;
    std::string time_name_;   // of the column that is the time of an entry; empty: there is none
    std::string time_;        // the same as an SQL expression
    std::string from_;        // " FROM … AS e "
    std::string conditions_;  // on e
};

}  // namespace

void take_newest_entries(pqxx::transaction_base& transaction, const NamedLog& log,
                         const EntrySelection& selection,
                         const std::function<void(std::string_view event)>& take) {
    NewestEntries(transaction, log, selection).take(take);
}

}  // namespace auditchain::cli
