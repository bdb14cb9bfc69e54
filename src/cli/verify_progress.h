// How far a verification in a database is, on a terminal.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace auditchain::cli {

/// Shows what the view auditchain.progress has of a server process, each second, on a line of its
/// own. Silent where standard error is no terminal, and where there is nothing to be had: the view
/// is empty without shared_preload_libraries, and a second connection may be refused.
class VerifyProgress {
  public:
    VerifyProgress(std::string dsn, std::string pid, std::string what);
    ~VerifyProgress();
    VerifyProgress(const VerifyProgress&) = delete;
    VerifyProgress& operator=(const VerifyProgress&) = delete;

  private:
    void show_while_under_way() noexcept;
    /// Return false when the work has ended.
    bool wait();

    std::string dsn_;
    std::string pid_;
    std::string what_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
    bool shown_ = false;  // the thread's, until it has ended
    std::thread thread_;
};

}  // namespace auditchain::cli
