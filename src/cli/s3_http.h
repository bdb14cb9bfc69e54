// One HTTP request at a time, by libcurl.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "files.h"

namespace auditchain::cli {

/// The store did not answer, or not to the end: trying again may help.
class NoAnswer : public Unusable {
  public:
    using Unusable::Unusable;
};

struct HttpRequest {
    std::string method;  ///< GET, HEAD or PUT
    std::string url;
    std::map<std::string, std::string> headers;
    std::string body;                             ///< of a PUT, unless it sends a file
    std::string file;                             ///< path of what a PUT sends
    std::uint64_t file_size = 0;                  ///< how much of it
    std::function<void(std::uint64_t)> progress;  ///< is told how much was sent, if it is there
    std::function<void(std::string_view)> sink;   ///< takes the body of a 200, if it is there
};

struct HttpResponse {
    long status = 0;
    std::map<std::string, std::string> headers;  ///< by names in lower case
    std::string body;                            ///< without what a sink took; its beginning

    /// Return the value of a header, or an empty text.
    std::string header(const std::string& name) const;
};

/// A connection that is kept from request to request. Certificates are verified; redirections are
/// not followed, since a signature is for one host; http and https only.
class HttpClient {
  public:
    /// Trust the authorities in a file, or those of the system if there is no path. A connection on
    /// which nothing moves for `timeout` seconds is given up.
    HttpClient(std::string ca_file, unsigned timeout);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// Send a request, and return the answer, whatever it says.
    /// Throws NoAnswer, or Unusable where trying again cannot help: a certificate, a file, a name.
    HttpResponse send(const HttpRequest& request);

  private:
    struct Free {
        void operator()(void* handle) const noexcept;
    };
    std::unique_ptr<void, Free> handle_;
    std::string ca_file_;
    unsigned timeout_;
};

}  // namespace auditchain::cli
