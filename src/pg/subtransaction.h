// Work that may fail without its transaction failing.
#pragma once

#include "pg/backend.h"

#include <type_traits>

namespace auditchain::pg {

// Does the work in a subtransaction. nullptr: done; otherwise it was rolled back, and this is the
// error, in the caller's memory. A cancel is raised again. No object with a destructor may live in
// the work across what can raise an error.
ErrorData* try_in_subtransaction(void (*work)(void* state), void* state);

template <typename Work>
ErrorData* try_in_subtransaction(Work&& work) {
    return try_in_subtransaction(
        [](void* state) { (*static_cast<std::remove_reference_t<Work>*>(state))(); }, &work);
}

}  // namespace auditchain::pg
