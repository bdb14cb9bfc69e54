#include "line_output.h"

#include <iostream>

#include <unistd.h>

#include "printable.h"

namespace auditchain::cli {

LineOutput::LineOutput(const std::string& path)
    : terminal_(path == "-" && ::isatty(STDOUT_FILENO) == 1) {
    if (path != "-") {
        file_.emplace(path);
    }
}

void LineOutput::write(std::string_view line) {
    constexpr std::size_t kFull = 1 << 16;
    buffer_ += terminal_ ? printable(line) : line;
    buffer_ += '\n';
    size_ += line.size() + 1;
    if (buffer_.size() >= kFull) {
        flush();
    }
}

void LineOutput::finish() {
    flush();
    if (file_) {
        file_->publish();
    }
}

void LineOutput::flush() {
    if (file_) {
        file_->write(buffer_);
    } else if (!(std::cout << buffer_ << std::flush)) {
        throw Unusable("cannot write standard output");
    }
    buffer_.clear();
}

}  // namespace auditchain::cli
