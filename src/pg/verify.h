// Verification: reads a log and classifies what is wrong with it.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

// What verify() answers. Strings are palloc'd.
struct Verification {
    bool intact;
    std::int64_t total_events;
    std::int64_t verified_events;
    std::int32_t chains;
    std::int32_t checkpoints;
    std::int64_t violations;
    char* message;
};

// One finding, as violations() shows it.
struct ReportedViolation {
    const char* chain;      // its name; nullptr when it concerns the log as a whole
    std::int64_t position;  // 0: none
    const char* kind;
    const char* detail;
};

// Takes the findings one by one, in the order of chains and positions.
struct ViolationReceiver {
    void (*take)(void* state, const ReportedViolation& violation);
    void* state;
};

// Verifies a whole log in the active snapshot. Runs with the caller's rights; connects SPI itself.
// `receiver` may be nullptr.
Verification verify_log(const Log& log, const ViolationReceiver* receiver);

// Verifies the entry at one place, its link to the entry before it included.
Verification verify_one_entry(const Log& log, std::int32_t chain_id, std::int64_t position);

// What verify_log() records for the views logs and verifications, wherever the transaction may
// write. SPI is connected.
void record_verification(const Log& log, const char* scope, const Verification& result);

// A Verification as the row that the caller's query expects.
Datum verification_row(FunctionCallInfo fcinfo, const Verification& result);

}  // namespace auditchain::pg
