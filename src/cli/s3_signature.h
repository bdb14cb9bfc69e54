// Signatures of requests to S3: AWS Signature Version 4 with the hash of the whole body.
//
// libcurl can sign, too (CURLOPT_AWS_SIGV4), but not in the same way in all versions that we meet:
// until 8.5 it signs a subresource such as ?retention as no server does, until 8.10 it sorts
// headers wrongly where the name of one begins with that of another, and what it does with a = in a
// path depends on the version. This is one page, is tested with the published examples, and erases
// keys.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sha256.h"

namespace auditchain::cli {

struct S3Credentials {
    std::string id;
    std::string secret;
    std::string token;  ///< of a session; empty: the credentials are not temporary

    S3Credentials() = default;
    ~S3Credentials();
    S3Credentials(const S3Credentials&) = delete;
    S3Credentials& operator=(const S3Credentials&) = delete;
};

/// What is signed of a request.
struct S3Request {
    std::string method;
    std::string path;                            ///< encoded, from the first slash on
    std::map<std::string, std::string> query;    ///< not encoded
    std::map<std::string, std::string> headers;  ///< by names in lower case
    std::string content_sha256;                  ///< of the body, in hex
};

/// Return a text with all but letters, digits and -._~ as %XX, and slashes as they are.
std::string s3_encode_path(std::string_view text);

/// Return the parameters of a query as they are signed and sent: name=value, also without a value.
std::string s3_encode_query(const std::map<std::string, std::string>& query);

/// Add the headers to a request that sign it at this time (seconds since 1970). It has a header
/// `host`. Throws std::runtime_error if OpenSSL fails.
void s3_sign(Sha256& sha256, const S3Credentials& credentials, const std::string& region,
             std::uint64_t time, S3Request* request);

}  // namespace auditchain::cli
