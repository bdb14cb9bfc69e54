// Receipts: what an entry's place and checksum are authenticated with, under a key that the
// database does not have (docs/format.md).
#pragma once

#include "core/chain_walk.h"
#include "core/receipt.h"
#include "pg/log.h"

namespace auditchain::pg {

// What a receipt is of.
struct ReceiptPlace {
    std::string_view key;  // of the chain, UTF-8
    int lane;
    std::int64_t position;
    Digest checksum;
};

// The receipt of an entry of this log; errors when the server has no receipt key, or one whose
// epoch has been over for long.
Receipt make_receipt(const Log& log, const ReceiptPlace& place);

// A receipt from a bytea, false when it is none, and to a bytea, palloc'd.
bool read_receipt(Datum value, Receipt* receipt);
Datum receipt_datum(const Receipt& receipt);

// Checks the receipts of a log's entries, one after the other, with the secret in use and the
// retired ones. Plain data.
struct ReceiptCheck {
    const Log* log;
    int secret;         // that matched last
    bool unchecked;     // an entry's receipt was not checked, as the server has no receipt key
    std::int64_t past;  // receipts that were not, as the keys of their epochs are gone
};

ReceiptCheck begin_receipt_check(const Log& log);

// The state of an entry's receipt; `receipt` is nullptr where the row has none. Entries
// come cheapest chain by chain. Errors only when OpenSSL fails or memory runs out.
ReceiptState check_receipt(ReceiptCheck* check, const ReceiptPlace& place, const Receipt* receipt);

// The sentence, beginning with a blank, that verification ends its message with; empty where
// nothing is to be said. WARNs of a missing key, too, as an auditor may read no message.
const char* warn_unchecked(const ReceiptCheck& check);

void init_receipts();

}  // namespace auditchain::pg
