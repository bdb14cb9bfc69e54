#include "verify_progress.h"

#include <chrono>
#include <exception>
#include <iostream>

#include <unistd.h>

#include "pqxx_compat.h"
#include "printable.h"

namespace auditchain::cli {

VerifyProgress::VerifyProgress(std::string dsn, std::string pid, std::string what)
    : dsn_(std::move(dsn)), pid_(std::move(pid)), what_(printable(what)) {
    if (::isatty(STDERR_FILENO) == 1) {
        thread_ = std::thread([this] { show_while_under_way(); });
    }
}

VerifyProgress::~VerifyProgress() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    if (shown_) {
        std::cerr << "\r\033[K" << std::flush;
    }
}

bool VerifyProgress::wait() {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, std::chrono::seconds(1), [this] { return ended_; });
}

void VerifyProgress::show_while_under_way() noexcept {
    try {
        if (!wait()) {
            return;  // most logs take no second, and no connection
        }
        pqxx::connection connection(dsn_);
        do {
            pqxx::work transaction(connection, "auditchain progress");
            const pqxx::result rows = run(transaction,
                                          "SELECT phase, entries_done::text, entries_total::text "
                                          "FROM auditchain.progress WHERE pid = $1::integer",
                                          pid_);
            if (!rows.empty()) {
                shown_ = true;
                std::cerr << '\r' << what_ << ": " << rows[0][0].as<std::string>() << ", "
                          << rows[0][1].as<std::string>()
                          << (rows[0][2].is_null() ? ""
                                                   : " of about " + rows[0][2].as<std::string>())
                          << "\033[K" << std::flush;
            }
        } while (wait());
    } catch (const std::exception&) {
        // It goes on without being shown.
    }
}

}  // namespace auditchain::cli
