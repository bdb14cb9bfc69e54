#include "s3_store.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <iostream>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include <curl/curl.h>

#include "base64.h"
#include "bundle_manifest.h"
#include "printable.h"
#include "s3_credentials.h"
#include "s3_hasher.h"
#include "s3_time.h"

namespace auditchain::cli {
namespace {

constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct FreeUrl {
    void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};

/// A part of a URL; empty if it has none.
std::string part(CURLU* url, CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url, which, &text, 0) != CURLUE_OK) {
        return {};
    }
    std::string copy(text);
    curl_free(text);
    return copy;
}

/// Whether a host cannot be anywhere else.
bool is_this_machine(std::string_view host) {
    return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" ||
           (host.starts_with("127.") && std::all_of(host.begin(), host.end(), [](char c) {
                return c == '.' || (c >= '0' && c <= '9');
            }));
}

/// The text of an element of a small XML document, fit for a terminal.
std::string element(std::string_view xml, const std::string& name) {
    const std::size_t begin = xml.find("<" + name + ">");
    const std::size_t end = xml.find("</" + name + ">");
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
        return {};
    }
    const std::size_t first = begin + name.size() + 2;
    std::string text(xml.substr(first, std::min<std::size_t>(end - first, 500)));
    for (const auto& [entity, character] : {std::pair{"&lt;", "<"},
                                            {"&gt;", ">"},
                                            {"&quot;", "\""},
                                            {"&apos;", "'"},
                                            {"&amp;", "&"}}) {
        for (std::size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at) {
            text.replace(at, std::string_view(entity).size(), character);
        }
    }
    return printable(text);
}

/// The code and message that S3 has for an error, or the status where it sends none, as for HEAD.
std::string error_text(const HttpResponse& response) {
    const std::string code = element(response.body, "Code");
    const std::string message = element(response.body, "Message");
    return "HTTP " + std::to_string(response.status) + (code.empty() ? "" : " " + code) +
           (message.empty() ? "" : ": " + message);
}

/// What to do about an error of a request that asked for a lock, or did not.
std::string hint(const HttpResponse& response, bool with_lock) {
    const std::string code = element(response.body, "Code");
    if (response.status == 301 || response.status == 307 ||
        code == "AuthorizationHeaderMalformed") {
        return ". The bucket may be in another region: see --endpoint and --region";
    }
    if (code == "SignatureDoesNotMatch" || code == "InvalidAccessKeyId") {
        return ". See the credentials and --region";
    }
    if (response.status == 403 && code.empty()) {  // a HEAD, whose answer has no body
        return ". The credentials need the rights s3:GetObject and s3:GetObjectVersion";
    }
    if (code == "RequestTimeTooSkewed") {
        return ". Set the clock of this machine";
    }
    if (code == "BadDigest" || code == "XAmzContentSHA256Mismatch") {
        return ". The file was changed while it was pushed";
    }
    // Stores have no common code for a bucket that cannot lock.
    return with_lock && response.status == 400
               ? ". A lock needs a bucket that was created with Object Lock"
               : "";
}

[[noreturn]] void refuse(const std::string& what, const HttpResponse& response,
                         bool with_lock = false) {
    throw Refused(response.status, "the store refuses to " + what + ": " + error_text(response) +
                                       hint(response, with_lock));
}

/// What may pass by itself; 501 does not.
bool is_passing(long status) {
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/// Wait for 0.5 s, 1 s, 2 s … up to a minute, by chance a little less, so that many machines that
/// were sent away together do not come back together.
void wait_before(unsigned attempt) {
    static std::mt19937 random{std::random_device{}()};
    const double longest =
        std::min(60000.0, 500.0 * static_cast<double>(1U << std::min(attempt, 10U)));
    const auto wait = std::uniform_real_distribution<>(longest / 2, longest)(random);
    std::this_thread::sleep_for(std::chrono::milliseconds(static_cast<long>(wait)));
}

}  // namespace

S3Store::S3Store(S3Access access)
    : access_(std::move(access)), http_(access_.ca_file, access_.timeout) {
    const std::unique_ptr<CURLU, FreeUrl> url(curl_url());
    if (curl_url_set(url.get(), CURLUPART_URL, access_.endpoint.c_str(), 0) != CURLUE_OK) {
        throw Unusable("--endpoint is not a URL such as https://s3.eu-central-1.amazonaws.com");
    }
    scheme_ = part(url.get(), CURLUPART_SCHEME);
    host_ = part(url.get(), CURLUPART_HOST);
    const std::string port = part(url.get(), CURLUPART_PORT);
    const std::string path = part(url.get(), CURLUPART_PATH);
    if (path != "/" || !part(url.get(), CURLUPART_QUERY).empty() ||
        !part(url.get(), CURLUPART_USER).empty()) {
        throw Unusable("--endpoint has more than a host and a port");
    }
    if (scheme_ != "https" && !(scheme_ == "http" && is_this_machine(host_))) {
        throw Unusable("--endpoint must be https; http only on this machine");
    }
    if (access_.virtual_hosted) {
        host_ = access_.bucket + "." + host_;
    } else {
        root_ = "/" + s3_encode_path(access_.bucket);
    }
    if (!port.empty() && port != (scheme_ == "https" ? "443" : "80")) {
        host_ += ":" + port;
    }
    if (!access_.ca_file.empty() && !read_file(access_.ca_file)) {
        throw Unusable("there is no file " + access_.ca_file);
    }
    read_s3_credentials(access_.credentials, &credentials_);
}

std::string S3Store::uri(const std::string& name) const {
    return "s3://" + access_.bucket + "/" + name;
}

S3Request S3Store::request(const char* method, const std::string& name,
                           const std::string& version) const {
    S3Request request;
    request.method = method;
    request.path = root_ + "/" + s3_encode_path(name);
    request.headers["host"] = host_;
    if (!version.empty()) {
        request.query["versionId"] = version;
    }
    request.content_sha256 = kEmptySha256;
    return request;
}

/// Send a request, anew as long as the answer is that it may work later. Each time it is signed
/// anew: a signature is good for some minutes.
HttpResponse S3Store::call(const S3Request& request, const Body& body) {
    for (unsigned attempt = 0;; ++attempt) {
        S3Request signed_request = request;
        s3_sign(sha256_, credentials_, access_.region,
                static_cast<std::uint64_t>(std::time(nullptr)), &signed_request);
        const std::string query = s3_encode_query(request.query);
        const std::string url =
            scheme_ + "://" + host_ + request.path + (query.empty() ? "" : "?" + query);
        if (body.begin) {
            body.begin();
        }
        const bool last = attempt == access_.retries;
        std::string reason;
        try {
            HttpResponse response =
                http_.send({request.method, url, std::move(signed_request.headers), body.text,
                            body.file, body.size, body.progress, body.sink});
            if (!is_passing(response.status)) {
                return response;
            }
            reason = error_text(response);
        } catch (const NoAnswer& e) {
            reason = e.what();
        }
        if (last) {
            throw NoAnswer(access_.endpoint + ": " + reason + ", " + std::to_string(attempt + 1) +
                           " times");
        }
        std::cerr << "auditchain: " << access_.endpoint << ": " << reason << "; trying again"
                  << std::endl;
        wait_before(attempt);
    }
}

std::optional<S3Object> S3Store::look_up(const std::string& name, const std::string& version) {
    S3Request head = request("HEAD", name, version);
    head.headers["x-amz-checksum-mode"] = "ENABLED";
    const HttpResponse response = call(head, {});
    if (response.status == 404) {
        return std::nullopt;
    }
    if (response.status != 200) {
        refuse("say what it has as " + uri(name), response);
    }
    S3Object object;
    const std::string size = response.header("content-length");
    std::from_chars(size.data(), size.data() + size.size(), object.size);
    // The checksum of an object that came in several parts is not that of its bytes, and has
    // their number behind it.
    object.sha256 = digest_from_base64(response.header("x-amz-checksum-sha256"));
    object.version = response.header("x-amz-version-id");
    object.lock_mode = response.header("x-amz-object-lock-mode");
    object.retain_until =
        parse_time(response.header("x-amz-object-lock-retain-until-date")).value_or(0);
    return object;
}

bool S3Store::put(const std::string& name, const std::string& file, std::uint64_t size,
                  const Digest& sha256, std::uint64_t retain_until,
                  const std::function<void(std::uint64_t)>& progress) {
    S3Request put = request("PUT", name, "");
    put.content_sha256 = to_hex(sha256);
    put.headers["content-type"] = "application/x-tar";
    put.headers["if-none-match"] = "*";
    put.headers["x-amz-checksum-sha256"] = to_base64(sha256);
    if (retain_until > 0) {
        put.headers["x-amz-object-lock-mode"] = "COMPLIANCE";
        put.headers["x-amz-object-lock-retain-until-date"] = format_utc(retain_until);
    }
    Body body;
    body.file = file;
    body.size = size;
    body.progress = progress;
    const HttpResponse response = call(put, body);
    if (response.status == 412) {
        return false;
    }
    if (response.status != 200) {
        refuse("take " + file, response, retain_until > 0);
    }
    return true;
}

Digest S3Store::hash_of(const std::string& name, const std::string& version) {
    const S3Request get = request("GET", name, version);
    Hasher hasher;
    Body body;
    body.begin = [&] { hasher.restart(); };
    body.sink = [&](std::string_view bytes) { hasher.add(bytes); };
    const HttpResponse response = call(get, body);
    if (response.status != 200) {
        refuse("give out " + uri(name), response);
    }
    return hasher.finish();
}

void S3Store::extend(const std::string& name, const std::string& version, std::uint64_t until) {
    S3Request put = request("PUT", name, version);
    put.query["retention"] = "";
    Body body;
    body.text =
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode>"
        "<RetainUntilDate>" +
        format_utc(until) + "</RetainUntilDate></Retention>";
    const Digest sha256 = sha256_({body.text});
    put.content_sha256 = to_hex(sha256);
    put.headers["content-type"] = "application/xml";
    put.headers["x-amz-checksum-sha256"] = to_base64(sha256);
    const HttpResponse response = call(put, body);
    if (response.status != 200) {
        refuse("lock " + uri(name) + " until " + format_utc(until), response, true);
    }
}

}  // namespace auditchain::cli
