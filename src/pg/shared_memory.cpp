#include "pg/shared_memory.h"

extern "C" {
#include <miscadmin.h>
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
}

namespace auditchain::pg {
namespace {

SharedMemory* newest = nullptr;

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

void request_all() {
    if (previous_request_hook != nullptr) {
        previous_request_hook();
    }
    for (SharedMemory* memory = newest; memory != nullptr; memory = memory->next) {
        RequestAddinShmemSpace(memory->size());
        if (memory->tranche != nullptr) {
            RequestNamedLWLockTranche(memory->tranche, memory->locks);
        }
    }
}

void attach_all() {
    if (previous_startup_hook != nullptr) {
        previous_startup_hook();
    }
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    for (SharedMemory* memory = newest; memory != nullptr; memory = memory->next) {
        bool found;
        void* address = ShmemInitStruct(memory->name, memory->size(), &found);
        if (!found) {
            memset(address, 0, memory->size());
        }
        memory->attach(address, !found);
    }
    LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void request_shared_memory(SharedMemory* memory) {
    if (newest == nullptr) {
        previous_request_hook = shmem_request_hook;
        shmem_request_hook = request_all;
        previous_startup_hook = shmem_startup_hook;
        shmem_startup_hook = attach_all;
    }
    memory->next = newest;
    newest = memory;
}

}  // namespace auditchain::pg
