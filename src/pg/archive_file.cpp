#include "pg/archive_file.h"

#include "pg/archive_directory.h"
#include "pg/commit_pipeline.h"
#include "pg/errors.h"
#include "pg/settings.h"

extern "C" {
#include <access/xact.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

struct PendingFile {
    PendingFile* next;
    int level;  // of the subtransaction that it belongs to
    bool at_commit;
    char root[MAXPGPATH];  // auditchain.archive_directory, which a reload may change
    char path[MAXPGPATH];
};

PendingFile* pending = nullptr;  // the newest first

void add_pending(const char* path, bool at_commit) {
    auto* file =
        static_cast<PendingFile*>(MemoryContextAllocZero(TopMemoryContext, sizeof(PendingFile)));
    file->next = pending;
    file->level = GetCurrentTransactionNestLevel();
    file->at_commit = at_commit;
    strlcpy(file->root, archive_directory, sizeof file->root);
    strlcpy(file->path, path, sizeof file->path);
    pending = file;
}

// The transaction is over: an error would be a PANIC. So nothing goes to the client, whose encoding
// may not have what is in the path.
void remove_now(const PendingFile& file) {
    if (!remove_archive_file(file.root, file.path)) {
        ereport(LOG_SERVER_ONLY, errcode(ERRCODE_AC_ARCHIVE_FILE),
                errmsg("could not remove \"%s\" from the archive directory", file.path),
                errdetail("%m."),
                errhint(file.at_commit ? "auditchain.expire() will try again."
                                       : "No archive is in it. Remove it by hand."));
    }
}

// Ends what belongs to the level or is deeper.
void end_pending(int level, bool committed) {
    while (pending != nullptr && pending->level >= level) {
        PendingFile* file = pending;
        pending = file->next;
        if (file->at_commit == committed) {
            remove_now(*file);
        }
        pfree(file);
    }
}

bool removes_at_commit() {
    for (PendingFile* file = pending; file != nullptr; file = file->next) {
        if (file->at_commit) {
            return true;
        }
    }
    return false;
}

void end_transaction(XactEvent event, void*) {
    switch (event) {
        case XACT_EVENT_COMMIT:
            // Even if the user would rather not wait: a file must not go before the record of that
            // is here to stay.
            if (removes_at_commit()) {
                flush_visible_entries();
            }
            end_pending(0, true);
            break;
        case XACT_EVENT_ABORT:
            end_pending(0, false);
            break;
        case XACT_EVENT_PRE_PREPARE:
            if (pending != nullptr) {
                ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                        errmsg("cannot PREPARE a transaction that has written or expired archives "
                               "in files"),
                        errdetail("Nobody would remove the files at its end."),
                        errhint("COMMIT it instead."));
            }
            break;
        default:
            break;
    }
}

void end_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    int level = GetCurrentTransactionNestLevel();
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        end_pending(level, false);
    } else if (event == SUBXACT_EVENT_COMMIT_SUB) {
        for (PendingFile* file = pending; file != nullptr && file->level >= level;
             file = file->next) {
            file->level = level - 1;
        }
    }
}

}  // namespace

void remove_file_at_abort(const char* path) {
    add_pending(path, false);
}

void remove_file_at_commit(const char* path) {
    add_pending(path, true);
}

void init_archive_files() {
    RegisterXactCallback(end_transaction, nullptr);
    RegisterSubXactCallback(end_subtransaction, nullptr);
}

}  // namespace auditchain::pg
