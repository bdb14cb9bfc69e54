// verify_receipt(): one entry by its receipt, without its neighbours, in O(log n).

#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/key_ring.h"
#include "pg/receipt.h"

extern "C" {
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

void require_receipts(const Log& log) {
    if (!log.receipts) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no receipts", get_rel_name(log.relation)),
                errdetail("It was protected without them."),
                errhint("auditchain.verify_entry() verifies an entry by the one before it."));
    }
    if (!has_receipt_key()) {
        refuse_without_receipt_key(psprintf("log \"%s\" has receipts", get_rel_name(log.relation)));
    }
}

bool is_authentic(EntryScan* scan, ReceiptCheck* check, const ChainName& chain,
                  const ScannedEntry& scanned) {
    const Entry& entry = scanned.entry;
    return check_receipt(check, {chain.key, chain.lane, entry.position, entry.checksum},
                         scanned.has_receipt ? &scanned.receipt : nullptr) == ReceiptState::valid &&
           checksum_of(entry.previous, scanned_payload(scan)) == entry.checksum &&
           scanned_key(scan) == chain.key;
}

bool verify_receipt(const Log& log, std::int32_t chain_id, std::int64_t position) {
    ChainName chain;
    if (!find_log_chain(log.id, chain_id, &chain)) {
        return false;
    }
    EntryScan* scan = open_entries(log, psprintf("e.chain_id OPERATOR(pg_catalog.=) %d "
                                                 "AND e.chain_position OPERATOR(pg_catalog.=) %lld",
                                                 chain_id, static_cast<long long>(position)));
    ReceiptCheck check = begin_receipt_check(log);
    ScannedEntry scanned = {};
    int rows = 0;
    int authentic = 0;
    while (next_entry(scan, &scanned)) {
        rows++;
        authentic += is_authentic(scan, &check, chain, scanned);
    }
    close_entries(scan);
    if (check.past > 0) {
        ereport(ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("the receipt cannot be checked here"),
                errdetail("It is of another epoch than the server's receipt key."),
                errhint("\"auditchain receipts\" checks the receipts of all epochs, with the seed "
                        "of the key."));
    }
    return rows == 1 && authentic == 1;
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// verify_receipt(log regclass, chain_id int, "position" bigint) → boolean
AUDITCHAIN_FUNCTION(auditchain_verify_receipt) {
    const Log& log = require_log(PG_GETARG_OID(0));
    require_receipts(log);
    SPI_connect();
    int guc_level = forbid_row_security();
    bool valid = verify_receipt(log, PG_GETARG_INT32(1), PG_GETARG_INT64(2));
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    PG_RETURN_BOOL(valid);
}
