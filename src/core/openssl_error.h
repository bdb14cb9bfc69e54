#pragma once

namespace auditchain {

/// Throw std::runtime_error that says what OpenSSL says about its newest error, and leave its
/// error queue empty: that belongs to the host program.
[[noreturn]] void throw_openssl_error(const char* call);

/// Do so unless the call has returned 1.
inline void require_openssl(int ok, const char* call) {
    if (ok != 1) {
        throw_openssl_error(call);
    }
}

}  // namespace auditchain
