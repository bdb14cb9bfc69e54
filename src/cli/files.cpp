#include "files.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace auditchain::cli {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path) {
    throw Unusable(std::string("cannot ") + what + " " + path + ": " + std::strerror(errno));
}

void write_all(int file, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            fail("write", path);
        }
        text.remove_prefix(static_cast<std::size_t>(written < 0 ? 0 : written));
    }
}

/// A file descriptor that closes itself.
class File {
  public:
    File(const std::string& path, int flags, const char* what) : path_(path) {
        file_ = ::open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (file_ < 0) {
            fail(what, path);
        }
    }
    ~File() { ::close(file_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    void write(std::string_view text) {
        write_all(file_, text, path_);
        sync();
    }
    void sync() {
        if (::fsync(file_) != 0) {
            fail("flush", path_);
        }
    }
    std::string read() {
        std::string text;
        char bytes[65536];
        for (;;) {
            const ssize_t count = ::read(file_, bytes, sizeof bytes);
            if (count < 0 && errno != EINTR) {
                fail("read", path_);
            }
            if (count == 0) {
                return text;
            }
            text.append(bytes, static_cast<std::size_t>(count < 0 ? 0 : count));
        }
    }

  private:
    std::string path_;
    int file_;
};

void sync_directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    File(directory, O_RDONLY | O_DIRECTORY, "open").sync();
}

}  // namespace

void create_private_file(const std::string& path, std::string_view text) {
    File(path, O_WRONLY | O_CREAT | O_EXCL, "create").write(text);
    sync_directory_of(path);
}

void replace_file(const std::string& path, std::string_view text) {
    const std::string other = path + ".new";
    File(other, O_WRONLY | O_CREAT | O_TRUNC, "write").write(text);
    if (::rename(other.c_str(), path.c_str()) != 0) {
        fail("replace", path);
    }
    sync_directory_of(path);
}

void append_to_file(const std::string& path, std::string_view text) {
    File(path, O_WRONLY | O_CREAT | O_APPEND, "write").write(text);
    sync_directory_of(path);
}

std::optional<std::string> read_file(const std::string& path) {
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
        return std::nullopt;
    }
    return File(path, O_RDONLY, "open").read();
}

NewFile::NewFile(const std::string& path) : path_(path), other_(path + ".partial") {
    ::unlink(other_.c_str());
    file_ = ::open(other_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file_ < 0) {
        fail("create", other_);
    }
}

NewFile::~NewFile() {
    ::close(file_);
    if (!other_.empty()) {
        ::unlink(other_.c_str());
    }
}

void NewFile::write(std::string_view bytes) {
    write_all(file_, bytes, other_);
}

void NewFile::publish() {
    if (::fsync(file_) != 0 || ::rename(other_.c_str(), path_.c_str()) != 0) {
        fail("publish", path_);
    }
    other_.clear();
    sync_directory_of(path_);
}

FileLock::FileLock(const std::string& path)
    : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)) {
    if (file_ < 0) {
        fail("open", path);
    }
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
        ::close(file_);
        throw Unusable("another process uses " + path);
    }
}

FileLock::~FileLock() {
    ::close(file_);
}

}  // namespace auditchain::cli
