#include "openssl_error.h"

#include <stdexcept>
#include <string>

#include <openssl/err.h>

namespace auditchain {

void throw_openssl_error(const char* call) {
    char reason[256] = "unknown error";
    if (const unsigned long code = ERR_peek_last_error(); code != 0) {
        ERR_error_string_n(code, reason, sizeof reason);
    }
    ERR_clear_error();
    throw std::runtime_error(std::string(call) + " failed: " + reason);
}

}  // namespace auditchain
