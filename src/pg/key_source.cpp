#include "pg/key_source.h"

#include <cerrno>
#include <cstdarg>

#include <openssl/crypto.h>

extern "C" {
#include <fcntl.h>
#include <storage/fd.h>
#include <sys/stat.h>
#include <unistd.h>
}

namespace auditchain::pg {
namespace {

constexpr const char* kOwnerHint =
    "The file must belong to the operating system's user that runs the server, or to root.";
constexpr const char* kPermissionsHint =
    "Its permissions must be u=rw (0600) or less if it belongs to the server's user, u=rw,g=r "
    "(0640) or less if it belongs to root.";
constexpr const char* kCommandHint =
    "Run the command as the operating system's user that runs the server: it must write the key "
    "to its standard output and exit with status 0.";

// As check_ssl_key_file_permissions() has it.
bool is_private(const char* path, const struct stat& status, KeyFault* fault) {
    if (!S_ISREG(status.st_mode)) {
        set_fault(fault, "Name a file, or set a command that writes the key.",
                  "\"%s\" is not a regular file.", path);
        return false;
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        set_fault(fault, kOwnerHint, "File \"%s\" belongs to another user.", path);
        return false;
    }
    mode_t forbidden =
        status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : static_cast<mode_t>(S_IRWXG | S_IRWXO);
    if ((status.st_mode & forbidden) != 0) {
        set_fault(fault, kPermissionsHint, "File \"%s\" has group or world access.", path);
        return false;
    }
    return true;
}

// Reads to the end from `read_some`, which is as read(2).
template <typename Read>
bool read_to_end(Read read_some, KeyText* text) {
    while (text->size < sizeof text->bytes) {
        ssize_t count = read_some(text->bytes + text->size, sizeof text->bytes - text->size);
        if (count < 0) {
            return false;
        }
        if (count == 0) {
            break;
        }
        text->size += static_cast<std::size_t>(count);
    }
    return true;
}

bool require_short(const char* what, const KeySource& source, const KeyText& text,
                   KeyFault* fault) {
    if (text.size == sizeof text.bytes) {
        set_fault(fault, source.how_to_make, "%s gives %zu bytes or more, and is no key.", what,
                  sizeof text.bytes);
        return false;
    }
    return true;
}

bool read_open_file(int file, const KeySource& source, KeyText* text, KeyFault* fault) {
    struct stat status;
    if (fstat(file, &status) != 0) {
        set_fault(fault, kOwnerHint, "File \"%s\": %m.", source.file);
        return false;
    }
    if (!is_private(source.file, status, fault)) {
        return false;
    }
    auto read_some = [file](char* to, std::size_t count) {
        ssize_t result;
        do {
            result = read(file, to, count);
        } while (result < 0 && errno == EINTR);
        return result;
    };
    if (!read_to_end(read_some, text)) {
        set_fault(fault, kOwnerHint, "File \"%s\": %m.", source.file);
        return false;
    }
    return require_short("The file", source, *text, fault);
}

bool read_file(const KeySource& source, KeyText* text, KeyFault* fault) {
    // What is checked is what is read: the file is open before. A FIFO must not make the server
    // wait.
    int file = BasicOpenFile(source.file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        set_fault(fault, errno == ENOENT ? source.how_to_make : kOwnerHint, "File \"%s\": %m.",
                  source.file);
        return false;
    }
    bool done = read_open_file(file, source, text, fault);
    close(file);
    return done;
}

bool run_command(const KeySource& source, KeyText* text, KeyFault* fault) {
    FILE* pipe = OpenPipeStream(source.command, "r");
    if (pipe == nullptr) {
        set_fault(fault, kCommandHint, "The command cannot be run: %m.");
        return false;
    }
    // No copy of the key in a buffer of the C library.
    setvbuf(pipe, nullptr, _IONBF, 0);
    auto read_some = [pipe](char* to, std::size_t count) {
        std::size_t result = fread(to, 1, count, pipe);
        return ferror(pipe) ? ssize_t{-1} : static_cast<ssize_t>(result);
    };
    bool done = read_to_end(read_some, text);
    if (!done) {
        set_fault(fault, kCommandHint, "What the command writes cannot be read: %m.");
    }
    done = done && require_short("The command", source, *text, fault);
    int status = ClosePipeStream(pipe);
    if (done && status != 0) {
        set_fault(fault, kCommandHint, "The command failed: %s.",
                  status == -1 ? "its exit status is not known" : wait_result_to_str(status));
        done = false;
    }
    return done;
}

}  // namespace

void erase_key_text(KeyText* text) {
    OPENSSL_cleanse(text, sizeof *text);
}

void set_fault(KeyFault* fault, const char* hint, const char* detail, ...) {
    int error = errno;
    strlcpy(fault->hint, hint, sizeof fault->hint);
    va_list arguments;
    va_start(arguments, detail);
    errno = error;  // for %m
    vsnprintf(fault->detail, sizeof fault->detail, detail, arguments);
    va_end(arguments);
}

bool is_set(const KeySource& source) {
    return source.file[0] != '\0' || source.command[0] != '\0';
}

bool read_key_text(const KeySource& source, KeyText* text, KeyFault* fault) {
    text->size = 0;
    if (source.file[0] != '\0' && source.command[0] != '\0') {
        set_fault(fault, "Set only one of them.", "Both %s and %s are set.", source.file_setting,
                  source.command_setting);
        return false;
    }
    bool done =
        source.file[0] != '\0' ? read_file(source, text, fault) : run_command(source, text, fault);
    if (done && text->size == 0) {
        set_fault(fault, source.how_to_make, "%s",
                  source.file[0] != '\0' ? "The file is empty." : "The command writes nothing.");
        return false;
    }
    return done;
}

}  // namespace auditchain::pg
