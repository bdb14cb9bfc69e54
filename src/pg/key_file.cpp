// Replacing a key file, so that nothing remains of the old key.

#include <cerrno>

#include <openssl/crypto.h>

#include "pg/key_source.h"

extern "C" {
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
}

namespace auditchain::pg {
namespace {

constexpr const char* kReplaceHint =
    "An evolving key is replaced each epoch: its file must belong to the operating system's user "
    "that runs the server, in a directory where that user may make files.";

bool fail(const char* doing, const char* path, KeyFault* fault) {
    set_fault(fault, kReplaceHint, "Cannot %s \"%s\": %m.", doing, path);
    return false;
}

bool write_all(int file, const char* bytes, std::size_t size) {
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        bytes += std::max<ssize_t>(written, 0);
        size -= static_cast<std::size_t>(std::max<ssize_t>(written, 0));
    }
    return fsync(file) == 0;
}

// Overwrites what an open file holds; best effort.
void blank(int file) {
    struct stat status;
    char zeros[sizeof KeyText::bytes] = {};
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && lseek(file, 0, SEEK_SET) == 0) {
        write_all(file, zeros, std::min(sizeof zeros, static_cast<std::size_t>(status.st_size)));
    }
}

// What a crash has left under the temporary name held a key, too.
void remove_leftover(const char* path) {
    int file = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file >= 0) {
        blank(file);
        close(file);
    }
    unlink(path);
}

bool make_file(const char* path, const KeyText& text, KeyFault* fault) {
    remove_leftover(path);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        return fail("make", path, fault);
    }
    bool done = write_all(file, text.bytes, text.size) || fail("write", path, fault);
    close(file);
    return done;
}

const char* directory_of(const char* path, char (&directory)[MAXPGPATH]) {
    strlcpy(directory, path, sizeof directory);
    get_parent_directory(directory);
    if (directory[0] == '\0') {
        strlcpy(directory, ".", sizeof directory);
    }
    return directory;
}

bool flush_directory_of(const char* path, KeyFault* fault) {
    char directory[MAXPGPATH];
    int file = open(directory_of(path, directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = (file >= 0 && fsync(file) == 0) || fail("flush", directory, fault);
    if (file >= 0) {
        close(file);
    }
    return done;
}

}  // namespace

bool is_key_file_replaceable(const KeySource& source, KeyFault* fault) {
    if (source.file[0] == '\0') {
        set_fault(fault, kReplaceHint, "%s gives an evolving key, and only a file can hold one.",
                  source.command_setting);
        return false;
    }
    char directory[MAXPGPATH];
    struct stat status;
    if (lstat(source.file, &status) != 0 ||
        access(directory_of(source.file, directory), W_OK | X_OK) != 0) {
        return fail("replace", source.file, fault);
    }
    if (status.st_uid != geteuid() || !S_ISREG(status.st_mode)) {
        set_fault(fault, kReplaceHint, "\"%s\" belongs to another user, or is a symbolic link.",
                  source.file);
        return false;
    }
    return true;
}

bool write_key_file(const KeySource& source, const KeyText& text, KeyFault* fault) {
    char other[MAXPGPATH];
    if (snprintf(other, sizeof other, "%s.new", source.file) >= MAXPGPATH) {
        errno = ENAMETOOLONG;
        return fail("replace", source.file, fault);
    }
    // Open before it has another name, or none.
    int old = open(source.file, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    bool done = make_file(other, text, fault) &&
                (rename(other, source.file) == 0 || fail("replace", source.file, fault)) &&
                flush_directory_of(source.file, fault);
    if (old >= 0) {
        if (done) {
            blank(old);
        }
        close(old);
    }
    return done;
}

}  // namespace auditchain::pg
