// The sealers in shared memory. A slot is a database's: the launcher (worker.cpp) hands it out, and
// the process that it starts there (sealer.cpp) keeps it up to date.
#pragma once

#include "pg/backend.h"

extern "C" {
#include <datatype/timestamp.h>
}

namespace auditchain::pg {

enum class SealerPhase {
    kWaiting,   // there is no process: one is to be started at `since`
    kStarting,  // the launcher has asked for a process
    kLooking,   // the process looks whether the database has logs
    kSealing,   // it has
};

struct SealerSlot {
    Oid database;  // InvalidOid: free
    SealerPhase phase;
    TimestampTz since;      // when the phase began
    int pid;                // 0: no process
    bool connected;         // to the database
    bool leave;             // it has to leave the database
    TimestampTz sealed_at;  // when all logs were last gone through; 0: never
    char failure[256];      // what went wrong then; empty: nothing
};

// Whether there is shared memory for sealers, and whether a launcher runs.
bool has_sealer_slots();
bool has_launcher();

// Whether the last sealer could not be started because the server has no free worker.
bool is_short_of_workers();

// The slot of a database, copied; false when it has none.
bool find_sealer(Oid database, SealerSlot* copy);

// Asks the launcher to look for logs in all databases that have no sealer, now.
void request_look();

// Asks the sealer of a database to leave it at once, and returns whether one is there still.
bool ask_sealer_to_leave(Oid database);

// For the launcher.
void enter_launcher();
bool take_look_request();
int copy_sealer_slots(SealerSlot* copies);  // max_worker_processes of them; returns how many
int reserve_sealer_slot(Oid database);      // -1: all are taken
void free_sealer_slot(Oid database);
void set_short_of_workers(bool is_short);

// For a sealer. The end of its process leaves the slot waiting, or free when the database has no
// logs.
Oid enter_sealer_slot(int number);  // InvalidOid: the slot is none of this process's
void set_sealer_connected();
void set_sealer_sealing();
void report_sealing(const char* failure);  // of one pass over the logs; nullptr: none
bool must_sealer_leave();
[[noreturn]] void end_sealer(bool has_logs);

void init_sealer_slots();

}  // namespace auditchain::pg
