#include "pg/subtransaction.h"

extern "C" {
#include <access/xact.h>
#include <utils/memutils.h>
#include <utils/resowner.h>
}

namespace auditchain::pg {

ErrorData* try_in_subtransaction(void (*work)(void* state), void* state) {
    MemoryContext caller = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    ErrorData* volatile error = nullptr;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(caller);
    PG_TRY();
    {
        work(state);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(caller);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(caller);
    CurrentResourceOwner = owner;
    if (error != nullptr && error->sqlerrcode == ERRCODE_QUERY_CANCELED) {
        ReThrowError(error);
    }
    return error;
}

}  // namespace auditchain::pg
