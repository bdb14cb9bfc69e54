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
#include <access/xlog.h>
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
}

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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

// Tells this database from others of this server and of others.
const char* database_mark() {
    return psprintf("%016llx-%u", static_cast<unsigned long long>(GetSystemIdentifier()),
                    MyDatabaseId);
}

// "audit_events.<log id>.000012.<this database>-<this run>.partial": a copy of the database, whose
// log has the same id, may write below the same directory.
const char* partial_name(const Log& log, std::int64_t archive) {
    std::uint64_t run;
    if (!pg_strong_random(&run, sizeof run)) {
        ereport(ERROR, errcode(ERRCODE_AC_INTERNAL), errmsg("there are no random numbers"),
                errdetail("The name of a file that is being written has one."),
                errhint("Try again."));
    }
    return psprintf("%s.%s-%016llx%s", file_stem(log, archive), database_mark(),
                    static_cast<unsigned long long>(run), kPartial.data());
}

// Whoever writes the file has a lock on it. Where locks cannot be had, it may be in use.
bool is_in_use(int directory, const char* name) {
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool in_use = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0) {
        close(fd);
    }
    return in_use;
}

// What a crash has left of earlier runs. Nobody else writes archives of this log now, unless a copy
// of all of the server does, which has the same mark.
void remove_leftovers(const Log& log, int directory) {
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
    if (entries == nullptr) {
        close(copy);
        return;
    }
    const char* log_part = psprintf(".%s.", log.id_text);
    const char* database_part = psprintf(".%s-", database_mark());
    while (const dirent* entry = readdir(entries)) {
        const char* rest = strstr(entry->d_name, log_part);
        if (std::string_view(entry->d_name).ends_with(kPartial) && rest != nullptr &&
            strstr(rest, database_part) != nullptr && !is_in_use(directory, entry->d_name)) {
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
    // So that nobody takes it for a leftover. Where there are no such locks, nobody does either.
    flock(fd, LOCK_EX | LOCK_NB);
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

// Errors unless it is the very file that was written and verified that has the name now.
void require_named(const ArchiveFile& file, const char* name) {
    struct stat verified;
    struct stat named;
    if (fstat(file.file->fd, &verified) != 0 ||
        fstatat(file.handle->fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0) {
        refuse_archive_file("create", path_in(file.directory, name));
    }
    if (verified.st_dev != named.st_dev || verified.st_ino != named.st_ino) {
        ereport(ERROR, errcode(ERRCODE_AC_ARCHIVE_FILE),
                errmsg("\"%s\" in the archive directory is not what was written",
                       path_in(file.directory, name)),
                errdetail("Somebody else has put another file in its place."),
                errhint("Nothing has been changed. Let only the server write to the directory, and "
                        "do it again."));
    }
}

[[noreturn]] void refuse_file_system(const ArchiveFile& file) {
    int error = errno;
    ereport(ERROR, errcode(ERRCODE_AC_ARCHIVE_FILE),
            errmsg("archives cannot be in \"%s\" in the archive directory", file.directory),
            errdetail("Its file system has no hard links: %s.", strerror(error)),
            errhint("Have auditchain.archive_directory on a file system with hard links."));
    pg_unreachable();
}

// Gives the file a name that no other file has; never that of another.
const char* name_file(const Log& log, std::int64_t archive, const ArchiveFile& file) {
    const char* stem = file_stem(log, archive);
    const char* name = psprintf("%s.tar", stem);
    for (int number = 2; linkat(file.handle->fd, file.partial, file.handle->fd, name, 0) != 0;
         number++) {
        if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS) {
            refuse_file_system(file);
        }
        if (errno != EEXIST) {
            refuse_archive_file("create", path_in(file.directory, name));
        }
        name = psprintf("%s-%d.tar", stem, number);
    }
    require_named(file, name);
    return path_in(file.directory, name);
}

}  // namespace

ArchiveFile begin_archive_file(const Log& log, std::int64_t archive, const char* directory) {
    ArchiveFile file = {};
    file.directory = directory;
    file.partial = partial_name(log, archive);
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
    file->path = name_file(log, archive, *file);
    remove_file_at_abort(file->path);
    close_file(file->file);
    if (unlinkat(file->handle->fd, file->partial, 0) != 0 || fsync(file->handle->fd) != 0) {
        refuse_archive_file("create", file->path);
    }
    close_file(file->handle);
}

}  // namespace auditchain::pg
