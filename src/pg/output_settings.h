// Makes the text output of a type independent of the session's settings.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Settings that the output of a type depends on, as bits; 0: it prints the same under all.
using OutputDependence = std::uint8_t;

OutputDependence output_dependence(Oid type);

struct OutputSettings {
    int guc_level;  // 0: nothing had to be changed
};

// Brings these settings to the values that payloads are written under, until
// leave_output_settings. An error in between restores them too, as it ends the (sub)transaction.
// Costs next to nothing where they have these values, as in a scope of this that is open.
OutputSettings enter_output_settings(OutputDependence dependence);
void leave_output_settings(OutputSettings settings);

}  // namespace auditchain::pg
