#include "pg/archive_to_file.h"

#include "pg/archive_directory.h"
#include "pg/archive_file.h"
#include "pg/archive_key.h"
#include "pg/archive_record.h"
#include "pg/bundle.h"
#include "pg/bundle_context.h"
#include "pg/bundle_file.h"
#include "pg/errors.h"
#include "pg/progress.h"
#include "pg/verify.h"
#include "pg/verify_archive_file.h"

extern "C" {
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
}

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace auditchain::pg {
namespace {

constexpr std::string_view kPartial = ".partial";

const char* path_in(const char* directory, const char* name) {
    return psprintf("%s/%s", directory, name);
}

// "audit_events.<log id>.000012": which log a file is of is plain to see, and no two logs have the
// same. What a name of a table may have and a file's better has not is "_".
const char* file_stem(const Log& log, std::int64_t archive) {
    constexpr int kMaxTable = 100;
    char* table = pnstrdup(get_rel_name(log.relation), kMaxTable);
    std::replace_if(
        table, table + strlen(table),
        [](unsigned char c) { return !isascii(c) || (!isalnum(c) && c != '-'); }, '_');
    return psprintf("%s.%s.%06lld", table, log.id_text, static_cast<long long>(archive));
}

// What a crash has left of earlier runs. Nobody else writes archives of this log now.
void remove_leftovers(const Log& log, int directory) {
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
    if (entries == nullptr) {
        close(copy);
        return;
    }
    const char* part = psprintf(".%s.", log.id_text);
    while (const dirent* entry = readdir(entries)) {
        if (std::string_view(entry->d_name).ends_with(kPartial) &&
            strstr(entry->d_name, part) != nullptr) {
            unlinkat(directory, entry->d_name, 0);
        }
    }
    closedir(entries);
}

void write_piece(void* state, std::string_view bytes) {
    const auto& file = *static_cast<ArchiveFile*>(state);
    while (!bytes.empty()) {
        ssize_t count = write(file.file->fd, bytes.data(), bytes.size());
        if (count < 0 && errno != EINTR) {
            refuse_archive_file("write", path_in(file.directory, file.partial));
        }
        bytes.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
        CHECK_FOR_INTERRUPTS();
    }
}

std::span<PositionRange> recorded_positions(std::int64_t archive) {
    query_catalog(
        "SELECT chain_id, first_position, last_position FROM auditchain.archive_range "
        "WHERE archive_id = $1 ORDER BY chain_id, first_position",
        {{INT8OID, Int64GetDatum(archive)}});
    return read_position_ranges();
}

void open_partial(ArchiveFile* file) {
    const char* path = path_in(file->directory, file->partial);
    // First, so that there is no moment at which an error would leave it.
    remove_file_at_abort(path);
    int fd = openat(file->handle->fd, file->partial,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        refuse_archive_file("create", path);
    }
    file->file = own_file(fd);
}

[[noreturn]] void refuse_written(const Log& log, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("what was archived of log \"%s\" is not what was written",
                   get_rel_name(log.relation)),
            errdetail("%s.", detail),
            errhint("Nothing has been changed. Look for errors of storage."));
    pg_unreachable();
}

void require_intact(const Log& log, std::int64_t archive, ArchiveFile* file) {
    if (lseek(file->file->fd, 0, SEEK_SET) != 0) {
        refuse_archive_file("read", path_in(file->directory, file->partial));
    }
    // From the disk, if the system follows advice, and not from memory.
    posix_fadvise(file->file->fd, 0, 0, POSIX_FADV_DONTNEED);
    BundleFileContents contents = read_bundle_file(file->file->fd, log, nullptr);
    ViolationReceiver receiver = {[](void* state, const ReportedViolation& violation) {
                                      refuse_written(*static_cast<const Log*>(state),
                                                     violation.detail);
                                  },
                                  const_cast<Log*>(&log)};
    report_bundle(contents, receiver);
    const char* fault = foreign_tree(log, *contents.verdict);
    fault = fault == nullptr ? ranges_fault(log, archive, *contents.verdict) : fault;
    if (fault != nullptr) {
        refuse_written(log, fault);
    }
    file->size = contents.size;
    file->sha256 = contents.sha256;
}

// Gives the file a name that no other file has; never that of another.
const char* name_file(const ArchiveFile& file) {
    const char* stem = pnstrdup(file.partial, strlen(file.partial) - kPartial.size());
    const char* name = psprintf("%s.tar", stem);
    for (int number = 2; linkat(file.handle->fd, file.partial, file.handle->fd, name, 0) != 0;
         number++) {
        if (errno != EEXIST) {
            refuse_archive_file("create", path_in(file.directory, name));
        }
        name = psprintf("%s-%d.tar", stem, number);
    }
    return path_in(file.directory, name);
}

}  // namespace

ArchiveFile begin_archive_file(const Log& log, std::int64_t archive, const char* directory) {
    ArchiveFile file = {};
    file.directory = directory;
    file.partial = psprintf("%s%s", file_stem(log, archive), kPartial.data());
    // With that name it may be too long.
    require_safe_path(path_in(directory, file.partial), "archives cannot be in that directory");
    int handle = open_archive_directory(directory, true);
    if (handle < 0) {
        refuse_archive_file("open", directory);
    }
    file.handle = own_file(handle);
    remove_leftovers(log, handle);
    open_partial(&file);
    enter_phase("writing a bundle", -1);
    BundleRequest request = {recorded_positions(archive), nullptr, nullptr, bundle_context(log),
                             has_archive_key()};
    write_bundle(log, require_tree_head(log), request, {write_piece, &file});
    if (fsync(file.file->fd) != 0) {
        refuse_archive_file("write", path_in(directory, file.partial));
    }
    return file;
}

void finish_archive_file(const Log& log, std::int64_t archive, ArchiveFile* file) {
    enter_phase("reading the bundle", -1);
    require_intact(log, archive, file);
    close_file(file->file);
    file->path = name_file(*file);
    remove_file_at_abort(file->path);
    if (unlinkat(file->handle->fd, file->partial, 0) != 0 || fsync(file->handle->fd) != 0) {
        refuse_archive_file("create", file->path);
    }
    close_file(file->handle);
}

}  // namespace auditchain::pg
