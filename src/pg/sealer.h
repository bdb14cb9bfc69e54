// A sealer: the background worker that seals the logs of one database.
#pragma once

#include "pg/backend.h"

extern "C" {
AUDITCHAIN_EXPORT void auditchain_sealer_main(Datum slot);
}
