// Receipts: what an entry's place and checksum are authenticated with, under a key that the
// database does not have (docs/format.md).
#pragma once

#include "core/chain_walk.h"
#include "pg/log.h"

namespace auditchain::pg {

// What a receipt is of.
struct ReceiptPlace {
    std::string_view key;  // of the chain, UTF-8
    int lane;
    std::int64_t position;
    Digest checksum;
};

// The receipt of an entry of this log; errors when the server has no receipt key.
Digest make_receipt(const Log& log, const ReceiptPlace& place);

// Checks the receipts of a log's entries, one after the other, with the secret in use and the
// retired ones. Plain data.
struct ReceiptCheck {
    const Log* log;
    int secret;      // that matched last
    bool unchecked;  // an entry's receipt was not checked, as the server has no receipt key
};

ReceiptCheck begin_receipt_check(const Log& log);

// The state of an entry's receipt; `receipt` is nullptr where the row has none of 32 bytes. Entries
// come cheapest chain by chain. Errors only when OpenSSL fails or memory runs out.
ReceiptState check_receipt(ReceiptCheck* check, const ReceiptPlace& place, const Digest* receipt);

// The sentence, beginning with a blank, that verification ends its message with; empty where
// nothing is to be said. WARNs of it, too, as an auditor may read no message.
const char* warn_unchecked(const ReceiptCheck& check);

}  // namespace auditchain::pg
