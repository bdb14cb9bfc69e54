#include "pg/archive_directory.h"

#include "pg/errors.h"
#include "pg/settings.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace auditchain::pg {
namespace {

constexpr std::size_t kMaxName = 255;

// Takes the first name off a path.
std::string_view take_name(std::string_view* path) {
    std::size_t end = std::min(path->find('/'), path->size());
    std::string_view name = path->substr(0, end);
    path->remove_prefix(std::min(end + 1, path->size()));
    return name;
}

int close_keeping_errno(int fd) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int open_directory_in(int parent, const char* name, bool create) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd >= 0 || !create || errno != ENOENT) {
        return fd;
    }
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    return openat(parent, name, flags);
}

// The directory of this many first bytes of a path below the root.
int open_directory(const char* root, std::string_view path, bool create) {
    // The DBA's own path may well have links in it.
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && !path.empty()) {
        char name[kMaxName + 1];
        std::string_view next = take_name(&path);
        name[next.copy(name, kMaxName)] = '\0';
        int inner = open_directory_in(fd, name, create);
        // What is in it counts only if it is itself on disk, and who made it may not have come to
        // that.
        if (inner >= 0 && create && fsync(fd) != 0) {
            close_keeping_errno(inner);
            inner = -1;
        }
        close_keeping_errno(fd);
        fd = inner;
    }
    return fd;
}

int open_directory_below(const char* root, const char* path, const char** name) {
    const char* slash = strrchr(path, '/');
    *name = slash == nullptr ? path : slash + 1;
    return open_directory(
        root, slash == nullptr ? std::string_view() : std::string_view(path, slash - path), false);
}

void close_owned(void* file) {
    close_file(static_cast<OwnedFile*>(file));
}

}  // namespace

const char* path_fault(const char* path) {
    std::string_view rest = path;
    if (rest.empty()) {
        return "It is empty.";
    }
    if (rest.size() >= MAXPGPATH) {
        return "It is too long.";
    }
    if (rest[0] == '/') {
        return "It is absolute, and must be relative to auditchain.archive_directory.";
    }
    if (rest.back() == '/') {
        return "It ends in a slash.";
    }
    auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
    if (std::any_of(rest.begin(), rest.end(), is_control)) {
        return "It has control characters.";
    }
    while (!rest.empty()) {
        std::string_view name = take_name(&rest);
        if (name.empty() || name == "." || name == "..") {
            return "It has a component that is empty, \".\" or \"..\".";
        }
        if (name.size() > kMaxName) {
            return "It has a component of more than 255 bytes.";
        }
    }
    return nullptr;
}

bool has_archive_directory() {
    return archive_directory != nullptr && archive_directory[0] != '\0';
}

void require_safe_path(const char* path, const char* what) {
    if (!has_archive_directory()) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("archives may not be files"),
                errdetail("auditchain.archive_directory is empty."),
                errhint("A superuser may set it to a directory that only the server's user can "
                        "write to, in postgresql.conf, and reload."));
    }
    if (const char* fault = path_fault(path)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("%s", what),
                errdetail("%s", fault),
                errhint("Name a path below auditchain.archive_directory: names, with \"/\" between "
                        "them."));
    }
}

int open_archive_directory(const char* path, bool create) {
    return open_directory(archive_directory, path, create);
}

int open_directory_of(const char* path, const char** name) {
    return open_directory_below(archive_directory, path, name);
}

int open_archive_file(const char* path) {
    const char* name;
    int directory = open_directory_of(path, &name);
    if (directory < 0) {
        return -1;
    }
    // A pipe must not keep the server waiting.
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close_keeping_errno(directory);
    struct stat status;
    if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))) {
        errno = ENXIO;
        return close_keeping_errno(fd);
    }
    return fd;
}

bool remove_archive_file(const char* root, const char* path) {
    const char* name;
    int directory = open_directory_below(root, path, &name);
    if (directory < 0) {
        return errno == ENOENT;
    }
    bool removed = (unlinkat(directory, name, 0) == 0 || errno == ENOENT) && fsync(directory) == 0;
    close_keeping_errno(directory);
    return removed;
}

OwnedFile* own_file(int fd) {
    auto* file = static_cast<OwnedFile*>(palloc0(sizeof(OwnedFile)));
    file->fd = fd;
    file->callback.func = close_owned;
    file->callback.arg = file;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, &file->callback);
    return file;
}

void close_file(OwnedFile* file) {
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
}

[[noreturn]] void refuse_archive_file(const char* doing, const char* path) {
    int error = errno;
    ereport(ERROR, errcode(ERRCODE_AC_ARCHIVE_FILE),
            errmsg("could not %s \"%s\" in the archive directory", doing, path),
            errdetail("%s.", strerror(error)),
            errhint("Nothing has been changed. Mend that, and do it again."));
    pg_unreachable();
}

}  // namespace auditchain::pg
