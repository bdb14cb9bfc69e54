// The one barrier between C++ exceptions and PostgreSQL errors.
#pragma once

#include "pg/errors.h"

namespace auditchain::pg {

// Runs `action`, which may throw but must not call into PostgreSQL, and turns what it throws into
// an ERROR. The exception is copied to plain data and its handler left before ereport jumps.
template <typename Action>
void barrier(Action&& action) {
    enum { kNone, kOutOfMemory, kOther } failure = kNone;
    char message[256] = "";
    try {
        action();
    } catch (const std::bad_alloc&) {
        failure = kOutOfMemory;
    } catch (const std::exception& e) {
        failure = kOther;
        strlcpy(message, e.what(), sizeof message);
    } catch (...) {
        failure = kOther;
        strlcpy(message, "unknown C++ exception", sizeof message);
    }
    if (failure == kOutOfMemory) {
        ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
    }
    if (failure == kOther) {
        ereport(ERROR, errcode(ERRCODE_AC_INTERNAL), errmsg("auditchain: %s", message));
    }
}

}  // namespace auditchain::pg
