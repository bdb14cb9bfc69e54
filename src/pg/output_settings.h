// Makes the text output of a type independent of the session's settings.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

enum class OutputDependence : std::uint8_t {
    none,      // prints the same under every setting
    settings,  // DateStyle, IntervalStyle, TimeZone, extra_float_digits, bytea_output
    names,     // these, search_path, quote_all_identifiers and lc_monetary
};

OutputDependence output_dependence(Oid type);

struct OutputSettings {
    int guc_level;  // 0: nothing had to be changed
};

// Brings the settings to the values that payloads are written under, until leave_output_settings.
// An error in between restores them too, as it ends the (sub)transaction.
OutputSettings enter_output_settings(OutputDependence dependence);
void leave_output_settings(OutputSettings settings);

}  // namespace auditchain::pg
