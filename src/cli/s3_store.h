// A bucket of an object store that speaks the S3 protocol, and what archives need of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "digest.h"
#include "s3_http.h"
#include "s3_signature.h"

namespace auditchain::cli {

/// How a store is reached.
struct S3Access {
    std::string endpoint;  ///< https://s3.eu-central-1.amazonaws.com
    std::string region = "us-east-1";
    std::string bucket;
    bool virtual_hosted = false;  ///< the bucket is a part of the host's name, not of the path
    std::string ca_file;          ///< authorities to trust; empty: those of the system
    std::string credentials;      ///< file of the credentials; empty: they are in the environment
    unsigned timeout = 60;        ///< seconds without a byte after which a connection is given up
    unsigned retries = 5;         ///< how often a request is sent again
};

/// The store refused a request; trying again does not help.
class Refused : public Unusable {
  public:
    Refused(long given_status, const std::string& message)
        : Unusable(message), status(given_status) {}
    const long status;
};

/// What a store says of an object.
struct S3Object {
    std::uint64_t size = 0;
    std::optional<Digest> sha256;    ///< where the store keeps it
    std::string version;             ///< empty: the bucket has no versions
    std::string lock_mode;           ///< COMPLIANCE or GOVERNANCE; empty: not locked, or not told
    std::uint64_t retain_until = 0;  ///< in seconds since 1970
};

class S3Store {
  public:
    /// Reads the credentials. Throws Unusable if there are none, or if the endpoint is none, or
    /// is one of plain HTTP that is not on this machine.
    explicit S3Store(S3Access access);

    /// Return what is there under a name, in a version or, if that is empty, the newest; or
    /// nothing. Throws Refused, NoAnswer.
    std::optional<S3Object> look_up(const std::string& name, const std::string& version);

    /// Put a file there, unless something is there already: then return false. The store compares
    /// the bytes with the checksum, and retains them in mode COMPLIANCE until a time, if that is
    /// given. Throws Refused, NoAnswer, or Unusable if the file cannot be read.
    bool put(const std::string& name, const std::string& file, std::uint64_t size,
             const Digest& sha256, std::uint64_t retain_until,
             const std::function<void(std::uint64_t)>& progress);

    /// Read the bytes of a version, and return their hash. Throws Refused, NoAnswer.
    Digest hash_of(const std::string& name, const std::string& version);

    /// Have a version retained in mode COMPLIANCE until a later time. Throws Refused, NoAnswer.
    void extend(const std::string& name, const std::string& version, std::uint64_t until);

    /// Return s3://bucket/name.
    std::string uri(const std::string& name) const;

  private:
    /// What is sent, besides what is signed.
    struct Body {
        std::string text;
        std::string file;
        std::uint64_t size = 0;
        std::function<void(std::uint64_t)> progress;
        std::function<void(std::string_view)> sink;
        std::function<void()> begin;  ///< before each try
    };

    S3Request request(const char* method, const std::string& name,
                      const std::string& version) const;
    HttpResponse call(const S3Request& request, const Body& body);

    S3Access access_;
    S3Credentials credentials_;
    Sha256 sha256_;
    HttpClient http_;
    std::string scheme_;
    std::string host_;  ///< with its port, unless that is the usual one
    std::string root_;  ///< path of the bucket, encoded, without a slash behind
};

}  // namespace auditchain::cli
