// The newest entries of a log.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "log_access.h"

namespace auditchain::cli {

/// Which entries.
struct EntrySelection {
    std::uint64_t limit;
    std::string since;  ///< a time as SQL takes it; empty: from the first entry on
    std::string until;
    Filters filters;
    std::string chain;  ///< name of a chain; empty: all
};

/// Take the events of the selected entries, newest first by the column that is mapped to timestamp,
/// as auditchain.export() writes them. Entries of the same time are in the order of their chains,
/// and so are all where there is no such column; entries without a time come last. With an index on
/// the time column no more of the log is read than is taken. Rows that are in no chain are passed
/// over: they are no entries.
/// Throws Unusable if the selection does not fit the log, or it is none that may be read.
void take_newest_entries(pqxx::transaction_base& transaction, const NamedLog& log,
                         const EntrySelection& selection,
                         const std::function<void(std::string_view event)>& take);

}  // namespace auditchain::cli
