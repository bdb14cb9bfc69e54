#include "s3_signature.h"

#include <span>

#include <openssl/crypto.h>

#include "hmac.h"
#include "s3_time.h"

namespace auditchain::cli {
namespace {

bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::string encode(std::string_view text, bool keep_slashes) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        if (is_unreserved(c) || (keep_slashes && c == '/')) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', kDigits[byte >> 4], kDigits[byte & 0x0F]};
        }
    }
    return encoded;
}

/// The key that signs requests of one day, derived from the secret one.
Digest signing_key(const std::string& secret, std::string_view day, std::string_view region) {
    std::string first = "AWS4" + secret;
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(first.data()), first.size());
    Digest key = HmacSha256(bytes)({day});
    OPENSSL_cleanse(first.data(), first.size());
    for (const std::string_view step :
         {region, std::string_view("s3"), std::string_view("aws4_request")}) {
        key = HmacSha256(key.bytes)({step});
    }
    return key;
}

}  // namespace

S3Credentials::~S3Credentials() {
    OPENSSL_cleanse(secret.data(), secret.size());
    OPENSSL_cleanse(token.data(), token.size());
}

std::string s3_encode_path(std::string_view text) {
    return encode(text, true);
}

std::string s3_encode_query(const std::map<std::string, std::string>& query) {
    std::string encoded;
    for (const auto& [name, value] : query) {
        encoded += (encoded.empty() ? "" : "&") + encode(name, false) + "=" + encode(value, false);
    }
    return encoded;
}

void s3_sign(Sha256& sha256, const S3Credentials& credentials, const std::string& region,
             std::uint64_t time, S3Request* request) {
    const std::string now = format_compact(time);
    const std::string day = now.substr(0, 8);
    request->headers["x-amz-date"] = now;
    request->headers["x-amz-content-sha256"] = request->content_sha256;
    if (!credentials.token.empty()) {
        request->headers["x-amz-security-token"] = credentials.token;
    }
    std::string lines;
    std::string names;
    for (const auto& [name, value] : request->headers) {
        lines += name + ":" + value + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    const std::string scope = day + "/" + region + "/s3/aws4_request";
    const Digest canonical =
        sha256({request->method, "\n", request->path, "\n", s3_encode_query(request->query), "\n",
                lines, "\n", names, "\n", request->content_sha256});
    Digest key = signing_key(credentials.secret, day, region);
    const Digest signature =
        HmacSha256(key.bytes)({"AWS4-HMAC-SHA256\n", now, "\n", scope, "\n", to_hex(canonical)});
    erase(key.bytes);
    request->headers["authorization"] = "AWS4-HMAC-SHA256 Credential=" + credentials.id + "/" +
                                        scope + ", SignedHeaders=" + names +
                                        ", Signature=" + to_hex(signature);
}

}  // namespace auditchain::cli
