#pragma once

#include <stdexcept>

namespace auditchain {

/// Thrown by parsers of texts that come from outside: what() says what is wrong with the text, in
/// a form fit for a user, and never quotes it.
class Malformed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace auditchain
