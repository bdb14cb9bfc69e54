// The library's shared memory. There is none unless it is preloaded: who uses it does without.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// A piece of it, which one file owns.
struct SharedMemory {
    const char* name;
    Size (*size)();  // asked when all settings are known
    // Takes the piece into use, in the postmaster, before any backend; a new one is all zeros.
    void (*attach)(void* memory, bool is_new);
    const char* tranche = nullptr;  // of LWLocks that come with it; nullptr: none
    int locks = 0;
    SharedMemory* next = nullptr;  // that was asked for before
};

// Asks the server for a piece, at the time of preloading.
void request_shared_memory(SharedMemory* memory);

}  // namespace auditchain::pg
