// Lines of text for standard output, or for a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "files.h"

namespace auditchain::cli {

/// Writes lines to standard output where the path is "-", else to a file, which has its name only
/// when it is complete. What goes to a terminal is made fit for it: printable().
class LineOutput {
  public:
    /// Throws Unusable if the file cannot be made.
    explicit LineOutput(const std::string& path);

    /// Throws Unusable if it cannot be written.
    void write(std::string_view line);

    /// Call it behind the last line. Throws Unusable if not all could be written.
    void finish();

    /// How many bytes were written.
    std::uint64_t size() const { return size_; }

  private:
    void flush();

    std::optional<NewFile> file_;
    bool terminal_;
    std::string buffer_;
    std::uint64_t size_ = 0;
};

}  // namespace auditchain::cli
