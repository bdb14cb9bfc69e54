// Files of archives: below the directory that auditchain.archive_directory names, and nowhere else.
// A path is of names below it, as "2026/audit_events.tar". It is opened name by name, so that no
// symbolic link leads out of the directory, whoever puts one there and whenever.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// What is wrong with a path: absolute, a name that is empty, "." or "..", control characters, too
// long; nullptr: nothing.
const char* path_fault(const char* path);

// Whether auditchain.archive_directory is set.
bool has_archive_directory();

// Errors unless auditchain.archive_directory is set and nothing is wrong with the path, which is
// called `what` in the message.
void require_safe_path(const char* path, const char* what);

// These return a file descriptor, or -1 and errno. They raise no errors, so that the end of a
// transaction may call them. Paths have been required to be safe.

// Opens a directory. `create` makes what is missing of it, for nobody but the server.
int open_archive_directory(const char* path, bool create);

// Opens an ordinary file for reading. Anything else is ENXIO.
int open_archive_file(const char* path);

// Opens the directory that a file is in, and finds the file's name in it.
int open_directory_of(const char* path, const char** name);

// Removes a file below `root`, which auditchain.archive_directory was when the file was written or
// found; returns false and errno where that fails. One that is not there is removed.
bool remove_archive_file(const char* root, const char* path);

// A file descriptor that is closed when the current memory context goes, errors included.
struct OwnedFile {
    int fd;
    MemoryContextCallback callback;
};
OwnedFile* own_file(int fd);
void close_file(OwnedFile* file);

// Raises the error that a file could not be written, read or the like, for the reason that errno
// has.
[[noreturn]] void refuse_archive_file(const char* doing, const char* path);

}  // namespace auditchain::pg
