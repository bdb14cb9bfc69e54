// Putting a table under protection.
#pragma once

#include "pg/backend.h"

extern "C" {
#include <utils/array.h>
}

namespace auditchain::pg {

struct Protection {
    ArrayType* chain_by;  // name[]
    int lanes;
    ArrayType* order_by;  // name[]; nullptr: the primary key
    bool receipts;
    bool operations;  // it is the log of operations: see operations.h
};

// What the SQL function protect() does. Runs as the current user, who must own the table; only the
// catalog is written as its owner. SPI is not needed.
void protect_table(Oid table, const Protection& protection);

}  // namespace auditchain::pg
