#include "timestamp.h"

#include <chrono>
#include <cstring>
#include <ctime>
#include <memory>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "malformed.h"
#include "openssl_error.h"

namespace auditchain {
namespace {

struct Free {
    void operator()(ASN1_INTEGER* number) const noexcept { ASN1_INTEGER_free(number); }
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
    void operator()(PKCS7* token) const noexcept { PKCS7_free(token); }
    void operator()(STACK_OF(X509) * borrowed) const noexcept { sk_X509_free(borrowed); }
    void operator()(TS_MSG_IMPRINT* imprint) const noexcept { TS_MSG_IMPRINT_free(imprint); }
    void operator()(TS_REQ* request) const noexcept { TS_REQ_free(request); }
    void operator()(TS_RESP* response) const noexcept { TS_RESP_free(response); }
    void operator()(TS_TST_INFO* info) const noexcept { TS_TST_INFO_free(info); }
    void operator()(X509_ALGOR* algorithm) const noexcept { X509_ALGOR_free(algorithm); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, Free>;

/// What OpenSSL says about a text that is none is not its caller's business.
struct ErrorsForgotten {
    ErrorsForgotten() { ERR_set_mark(); }
    ~ErrorsForgotten() { ERR_pop_to_mark(); }
    ErrorsForgotten(const ErrorsForgotten&) = delete;
    ErrorsForgotten& operator=(const ErrorsForgotten&) = delete;
};

template <typename Object>
Owned<Object> made(Object* object, const char* call) {
    require_openssl(object != nullptr, call);
    return Owned<Object>(object);
}

const unsigned char* bytes_of(std::string_view der) noexcept {
    return reinterpret_cast<const unsigned char*>(der.data());
}

/// Decode all of the bytes as one object; null if they are not that.
template <typename Object, typename Decode>
Owned<Object> decoded(std::string_view der, Decode decode) {
    const unsigned char* next = bytes_of(der);
    Owned<Object> object(decode(nullptr, &next, static_cast<long>(der.size())));
    if (next != bytes_of(der) + der.size()) {
        object.reset();
    }
    return object;
}

[[noreturn]] void refuse_unreadable() {
    throw Malformed("it is neither a time-stamp response nor a time-stamp token in DER");
}

/// Pass over the header of an element, or all of it. Its length must be given before it (DER).
void skip(const unsigned char** next, const unsigned char* end, bool with_contents) {
    long length = 0;
    int tag = 0;
    int tag_class = 0;
    if (ASN1_get_object(next, &length, &tag, &tag_class, end - *next) != V_ASN1_CONSTRUCTED) {
        refuse_unreadable();
    }
    *next += with_contents ? length : 0;
}

/// The token of a response that was decoded: SEQUENCE { SEQUENCE status, token }.
std::string_view token_within(std::string_view response) {
    const unsigned char* next = bytes_of(response);
    const unsigned char* end = next + response.size();
    skip(&next, end, false);
    skip(&next, end, true);
    return response.substr(static_cast<std::size_t>(next - bytes_of(response)));
}

void require_granted(TS_RESP* response) {
    constexpr const char* kNames[] = {"granted", "grantedWithMods",   "rejection",
                                      "waiting", "revocationWarning", "revocationNotification"};
    const long status =
        ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(response)));
    if (status == TS_STATUS_GRANTED || status == TS_STATUS_GRANTED_WITH_MODS) {
        return;
    }
    const bool known = status >= 0 && status < static_cast<long>(std::size(kNames));
    throw Malformed(std::string("the authority did not grant it: its status is ") +
                    (known ? kNames[status] : "unknown"));
}

Digest read_imprint(TS_TST_INFO* info) {
    TS_MSG_IMPRINT* imprint = TS_TST_INFO_get_msg_imprint(info);
    const ASN1_OBJECT* algorithm = nullptr;
    X509_ALGOR_get0(&algorithm, nullptr, nullptr, TS_MSG_IMPRINT_get_algo(imprint));
    const ASN1_OCTET_STRING* hash = TS_MSG_IMPRINT_get_msg(imprint);
    Digest digest;
    if (OBJ_obj2nid(algorithm) != NID_sha256 ||
        ASN1_STRING_length(hash) != static_cast<int>(digest.bytes.size())) {
        throw Malformed("its message imprint is not of SHA-256");
    }
    std::memcpy(digest.bytes.data(), ASN1_STRING_get0_data(hash), digest.bytes.size());
    return digest;
}

std::int64_t read_time(const TS_TST_INFO* info) {
    std::tm utc{};
    if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(info), &utc) != 1) {
        throw Malformed("its time is none");
    }
    using namespace std::chrono;
    const sys_days day = year{utc.tm_year + 1900} / (utc.tm_mon + 1) / utc.tm_mday;
    const sys_seconds time = day + hours{utc.tm_hour} + minutes{utc.tm_min} + seconds{utc.tm_sec};
    return time.time_since_epoch().count();
}

std::string name_text(const X509_NAME* name) {
    const auto bio = made(BIO_new(BIO_s_mem()), "BIO_new");
    require_openssl(X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) >= 0 ? 1 : 0,
                    "X509_NAME_print_ex");
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

std::string read_authority(PKCS7* token, TS_TST_INFO* info) {
    const Owned<STACK_OF(X509)> signers(PKCS7_get0_signers(token, nullptr, 0));
    if (signers != nullptr && sk_X509_num(signers.get()) == 1) {
        return name_text(X509_get_subject_name(sk_X509_value(signers.get(), 0)));
    }
    const GENERAL_NAME* tsa = TS_TST_INFO_get_tsa(info);
    return tsa != nullptr && tsa->type == GEN_DIRNAME ? name_text(tsa->d.directoryName)
                                                      : std::string();
}

Timestamp read_token(PKCS7* token, std::string_view der) {
    const Owned<TS_TST_INFO> info(PKCS7_to_TS_TST_INFO(token));
    if (info == nullptr || TS_TST_INFO_get_version(info.get()) != 1) {
        refuse_unreadable();
    }
    if (sk_PKCS7_SIGNER_INFO_num(PKCS7_get_signer_info(token)) != 1) {
        throw Malformed("it does not have one signature");
    }
    return {der, read_imprint(info.get()), read_time(info.get()),
            read_authority(token, info.get())};
}

}  // namespace

std::string timestamp_request(const Digest& imprint, std::uint64_t nonce) {
    const auto request = made(TS_REQ_new(), "TS_REQ_new");
    const auto message = made(TS_MSG_IMPRINT_new(), "TS_MSG_IMPRINT_new");
    const auto algorithm = made(X509_ALGOR_new(), "X509_ALGOR_new");
    const auto number = made(ASN1_INTEGER_new(), "ASN1_INTEGER_new");
    Digest hash = imprint;
    const bool complete =
        X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) == 1 &&
        TS_MSG_IMPRINT_set_algo(message.get(), algorithm.get()) == 1 &&
        TS_MSG_IMPRINT_set_msg(message.get(), hash.bytes.data(),
                               static_cast<int>(hash.bytes.size())) == 1 &&
        ASN1_INTEGER_set_uint64(number.get(), nonce) == 1 &&
        TS_REQ_set_version(request.get(), 1) == 1 &&
        TS_REQ_set_msg_imprint(request.get(), message.get()) == 1 &&
        TS_REQ_set_nonce(request.get(), number.get()) == 1 &&
        TS_REQ_set_cert_req(request.get(), 1) == 1;
    require_openssl(complete ? 1 : 0, "making a TS_REQ");
    const int size = i2d_TS_REQ(request.get(), nullptr);
    require_openssl(size > 0 ? 1 : 0, "i2d_TS_REQ");
    std::string der(static_cast<std::size_t>(size), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_TS_REQ(request.get(), &out);
    return der;
}

Timestamp parse_timestamp(std::string_view der) {
    if (der.size() > kMaxTimestampSize) {
        throw Malformed("it is longer than 1 MiB");
    }
    const ErrorsForgotten forgotten;
    if (const auto response = decoded<TS_RESP>(der, d2i_TS_RESP)) {
        require_granted(response.get());
        // One that is granted and has no token is not decoded.
        return read_token(TS_RESP_get_token(response.get()), token_within(der));
    }
    if (const auto token = decoded<PKCS7>(der, d2i_PKCS7)) {
        return read_token(token.get(), der);
    }
    refuse_unreadable();
}

}  // namespace auditchain
