// Files that must not be lost, nor be read by others.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace auditchain::cli {

/// What makes the program unusable as it was called: exit code 2.
class Unusable : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Create a file that only its owner can read. Throws Unusable if it exists or cannot be written.
void create_private_file(const std::string& path, std::string_view text);

/// Replace a file by another text at once: after a crash it has the old text or the new one, and
/// when this returns the new one is on disk. Throws Unusable if that fails.
void replace_file(const std::string& path, std::string_view text);

/// Append to a file, and wait until it is on disk. Throws Unusable if that fails.
void append_to_file(const std::string& path, std::string_view text);

/// Return the text of a file, or nothing if there is none. Throws Unusable if it cannot be read.
std::optional<std::string> read_file(const std::string& path);

/// A file that is there under its name only when it is complete. Only its owner can read it.
class NewFile {
  public:
    /// Begin to write it under another name. Throws Unusable if that fails.
    explicit NewFile(const std::string& path);
    /// Removes what was written, unless it was published.
    ~NewFile();
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    /// Throws Unusable if it cannot be written.
    void write(std::string_view bytes);

    /// Where it is for now, with all that was written.
    const std::string& written_as() const { return other_; }

    /// Flush it, and give it its name. Throws Unusable if that fails.
    void publish();

  private:
    std::string path_;
    std::string other_;
    int file_;
};

/// A lock on a file, held until destruction, that one process has at a time.
class FileLock {
  public:
    /// Throws Unusable if another process has it.
    explicit FileLock(const std::string& path);
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

  private:
    int file_;
};

}  // namespace auditchain::cli
