// What the program says about bundles, to people and to programs.
#pragma once

#include <string>

#include "bundle_verify.h"

namespace auditchain::cli {

/// Write what a verification says to standard output, violations to standard error.
void print_verdict(const std::string& bundle, const BundleVerdict& verdict, bool json);

/// A line on a terminal that tells how far something is; silent where standard error is none.
class ProgressLine {
  public:
    /// The total is 0 where it is not known.
    ProgressLine(std::string what, std::uint64_t total);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    void show(std::uint64_t done);

  private:
    std::string what_;
    std::uint64_t total_;
    bool shown_;
    std::uint64_t last_ = 0;
};

}  // namespace auditchain::cli
