#include "pg/settings.h"

#include "pg/backend.h"

extern "C" {
#include <datatype/timestamp.h>
#include <miscadmin.h>
#include <utils/guc.h>
}

namespace auditchain::pg {

bool pipelined_commit = true;
int cached_heads = 10000;
int checkpoint_interval = 60;
int retention_interval = SECS_PER_HOUR;
int minimum_retention = 90 * MINS_PER_HOUR * HOURS_PER_DAY;
char* archive_directory = nullptr;
char* signing_key_file = nullptr;
char* signing_key_command = nullptr;
char* receipt_key_file = nullptr;
char* receipt_key_command = nullptr;
char* archive_key_file = nullptr;
char* archive_key_command = nullptr;
char* personal_key_file = nullptr;
char* personal_key_command = nullptr;

namespace {

void define_key_setting(const char* name, const char* what, const char* how, char** value,
                        int flags) {
    DefineCustomStringVariable(name, what, how, value, "", PGC_SIGHUP, flags, nullptr, nullptr,
                               nullptr);
}

// Relative to what would be known to nobody.
bool check_archive_directory(char** value, void**, GucSource) {
    if ((*value)[0] == '\0' || is_absolute_path(*value)) {
        return true;
    }
    GUC_check_errdetail("It must be an absolute path, or empty.");
    return false;
}

void define_key_settings() {
    define_key_setting("auditchain.signing_key_file",
                       "File with the key that signs checkpoints: Ed25519, PKCS#8, PEM.",
                       "As \"openssl genpkey -algorithm ed25519\" writes it.", &signing_key_file,
                       0);
    define_key_setting("auditchain.signing_key_command",
                       "Command that writes the key that signs checkpoints.", nullptr,
                       &signing_key_command, GUC_SUPERUSER_ONLY);
    define_key_setting("auditchain.receipt_key_file",
                       "File with the secret that receipts are made with: 64 hexadecimal digits.",
                       "As \"openssl rand -hex 32\" writes it. Further lines are retired secrets, "
                       "newest first, which verification still accepts. One line may be an "
                       "evolving key, as \"auditchain keygen evolving\" writes it.",
                       &receipt_key_file, 0);
    define_key_setting("auditchain.receipt_key_command",
                       "Command that writes the secret that receipts are made with.", nullptr,
                       &receipt_key_command, GUC_SUPERUSER_ONLY);
    define_key_setting("auditchain.archive_key_file",
                       "File with the key that archives are encrypted for: 64 hexadecimal digits.",
                       "As \"openssl rand -hex 32\" writes it. Further lines are retired keys, "
                       "newest first, which old archives can still be read with.",
                       &archive_key_file, 0);
    define_key_setting("auditchain.archive_key_command",
                       "Command that writes the key that archives are encrypted for.", nullptr,
                       &archive_key_command, GUC_SUPERUSER_ONLY);
    define_key_setting(
        "auditchain.personal_key_file",
        "File with the master key of personal fields: 64 hexadecimal digits.",
        "As \"openssl rand -hex 32\" writes it. Further lines are older keys, newest "
        "first, until auditchain.rotate_personal_key() has replaced them.",
        &personal_key_file, 0);
    define_key_setting("auditchain.personal_key_command",
                       "Command that writes the master key of personal fields.", nullptr,
                       &personal_key_command, GUC_SUPERUSER_ONLY);
}

}  // namespace

void define_settings() {
    DefineCustomBoolVariable(
        "auditchain.pipelined_commit",
        "Frees a chain for its next writer before the commit is flushed, not after.",
        "COMMIT still returns only when the transaction is as durable as synchronous_commit asks.",
        &pipelined_commit, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("auditchain.minimum_retention",
                            "The shortest time for which a retention policy may keep entries.",
                            nullptr, &minimum_retention, minimum_retention, 0, INT_MAX, PGC_SUSET,
                            GUC_UNIT_MIN, nullptr, nullptr, nullptr);
    DefineCustomStringVariable(
        "auditchain.archive_directory",
        "Directory below which archives may be files: the destination \"file:SUBDIRECTORY\".",
        "Empty: archives may not be files.", &archive_directory, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
        check_archive_directory, nullptr, nullptr);
    // Shared memory is made at server start, so what is about it can be set only there.
    if (process_shared_preload_libraries_in_progress) {
        DefineCustomIntVariable(
            "auditchain.cached_heads",
            "Number of chains whose newest entry is kept in shared memory.",
            "Other chains read it from the index at each transaction's first insert.",
            &cached_heads, 10000, 16, 10000000, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
        DefineCustomIntVariable(
            "auditchain.checkpoint_interval",
            "Time between two checkpoints of each log, made by a background worker.",
            "A checkpoint is made also where nothing was written. 0 turns the worker off.",
            &checkpoint_interval, 60, 0, SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
            nullptr);
        DefineCustomIntVariable(
            "auditchain.retention_interval",
            "Time between two applications of the retention policies, by the background worker.",
            "0 leaves it to auditchain.apply_retention().", &retention_interval, SECS_PER_HOUR, 0,
            INT_MAX, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
        define_key_settings();
    }
    MarkGUCPrefixReserved("auditchain");
}

}  // namespace auditchain::pg
