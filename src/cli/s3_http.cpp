#include "s3_http.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <curl/curl.h>

namespace auditchain::cli {
namespace {

constexpr std::size_t kMaxBody = std::size_t{1} << 16;  // of answers that are kept: errors
constexpr long kConnectTimeout = 20;

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
struct FreeList {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

/// Forgets, when a request is done, what the handle points to; the connection is kept.
struct Reset {
    CURL* handle;
    ~Reset() { curl_easy_reset(handle); }
};

/// What curl asks for while it sends a request, and gives while it gets the answer.
struct Exchange {
    const HttpRequest* request;
    std::unique_ptr<std::FILE, CloseFile> file;
    std::uint64_t sent = 0;
    HttpResponse response;
    std::exception_ptr error;  // of the sink, which must not cross curl
};

std::size_t read_body(char* out, std::size_t size, std::size_t count, void* context) {
    auto& exchange = *static_cast<Exchange*>(context);
    const HttpRequest& request = *exchange.request;
    const std::uint64_t total = exchange.file ? request.file_size : request.body.size();
    const std::size_t length = std::min<std::uint64_t>(size * count, total - exchange.sent);
    if (exchange.file) {
        if (std::fread(out, 1, length, exchange.file.get()) != length) {
            return CURL_READFUNC_ABORT;
        }
    } else {
        std::memcpy(out, request.body.data() + exchange.sent, length);
    }
    exchange.sent += length;
    if (request.progress) {
        request.progress(exchange.sent);
    }
    return length;
}

/// Only ever to the beginning: when a kept connection turns out to be closed.
int rewind_body(void* context, curl_off_t offset, int origin) {
    auto& exchange = *static_cast<Exchange*>(context);
    if (offset != 0 || origin != SEEK_SET) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    exchange.sent = 0;
    return exchange.file && std::fseek(exchange.file.get(), 0, SEEK_SET) != 0 ? CURL_SEEKFUNC_FAIL
                                                                              : CURL_SEEKFUNC_OK;
}

/// A header line; the status line is the first of each answer, of which 100 Continue is one.
std::size_t take_header(char* bytes, std::size_t, std::size_t size, void* context) {
    auto& exchange = *static_cast<Exchange*>(context);
    const std::string_view line(bytes, size);
    const std::size_t colon = line.find(':');
    if (line.starts_with("HTTP/")) {
        exchange.response.headers.clear();
    } else if (colon != std::string_view::npos) {
        std::string name(line.substr(0, colon));
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
            return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        });
        const std::size_t first = line.find_first_not_of(" \t", colon + 1);
        const std::size_t last = line.find_last_not_of(" \t\r\n");
        exchange.response.headers[name] =
            first > last ? std::string() : std::string(line.substr(first, last - first + 1));
    }
    return size;
}

/// Give the body of a 200 to the sink, and keep the beginning of others.
std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* context) {
    auto& [handle, exchange] = *static_cast<std::pair<CURL*, Exchange*>*>(context);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200 && exchange->request->sink) {
        try {
            exchange->request->sink({bytes, size});
        } catch (...) {
            exchange->error = std::current_exception();
            return CURL_WRITEFUNC_ERROR;
        }
    } else {
        std::string& body = exchange->response.body;
        body.append(bytes, std::min(size, kMaxBody - body.size()));
    }
    return size;
}

std::unique_ptr<std::FILE, CloseFile> open_file(const std::string& path) {
    std::unique_ptr<std::FILE, CloseFile> file;
    if (!path.empty()) {
        file.reset(std::fopen(path.c_str(), "rbe"));
        if (file == nullptr) {
            throw Unusable("cannot open " + path + ": " + std::strerror(errno));
        }
    }
    return file;
}

List header_list(const std::map<std::string, std::string>& headers) {
    List list;
    for (const auto& [name, value] : headers) {
        curl_slist* longer = curl_slist_append(list.get(), (name + ": " + value).c_str());
        if (longer == nullptr) {
            throw std::bad_alloc();
        }
        static_cast<void>(list.release());
        list.reset(longer);
    }
    return list;
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
    if (curl_easy_setopt(handle, option, value) != CURLE_OK) {
        throw std::runtime_error("libcurl lacks what is needed");
    }
}

void set_body(CURL* handle, Exchange& exchange) {
    const HttpRequest& request = *exchange.request;
    const std::uint64_t size = exchange.file ? request.file_size : request.body.size();
    set(handle, CURLOPT_UPLOAD, 1L);
    set(handle, CURLOPT_READFUNCTION, read_body);
    set(handle, CURLOPT_READDATA, &exchange);
    set(handle, CURLOPT_SEEKFUNCTION, rewind_body);
    set(handle, CURLOPT_SEEKDATA, &exchange);
    set(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
}

/// Errors that the same request will meet again.
bool is_lasting(CURLcode code) {
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_ISSUER_ERROR || code == CURLE_UNSUPPORTED_PROTOCOL ||
           code == CURLE_URL_MALFORMAT;
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
}

void HttpClient::Free::operator()(void* handle) const noexcept {
    curl_easy_cleanup(handle);
}

HttpClient::HttpClient(std::string ca_file, unsigned timeout)
    : ca_file_(std::move(ca_file)), timeout_(timeout) {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    handle_.reset(started == CURLE_OK ? curl_easy_init() : nullptr);
    if (handle_ == nullptr) {
        throw std::runtime_error("libcurl cannot be started");
    }
}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpRequest& request) {
    CURL* handle = handle_.get();
    Exchange exchange{&request, open_file(request.file), 0, {}, nullptr};
    std::pair<CURL*, Exchange*> answer(handle, &exchange);
    const List headers = header_list(request.headers);
    char reason[CURL_ERROR_SIZE] = "";
    const Reset reset{handle};
    set(handle, CURLOPT_ERRORBUFFER, reason);
    set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set(handle, CURLOPT_URL, request.url.c_str());
    set(handle, CURLOPT_PATH_AS_IS, 1L);
    set(handle, CURLOPT_HTTPHEADER, headers.get());
    set(handle, CURLOPT_CONNECTTIMEOUT, std::min<long>(kConnectTimeout, timeout_));
    set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(timeout_));
    set(handle, CURLOPT_HEADERFUNCTION, take_header);
    set(handle, CURLOPT_HEADERDATA, &exchange);
    set(handle, CURLOPT_WRITEFUNCTION, take_body);
    set(handle, CURLOPT_WRITEDATA, &answer);
    if (!ca_file_.empty()) {
        set(handle, CURLOPT_CAINFO, ca_file_.c_str());
    }
    if (request.method == "HEAD") {
        set(handle, CURLOPT_NOBODY, 1L);
    } else if (request.method == "PUT") {
        set_body(handle, exchange);
    }
    const CURLcode code = curl_easy_perform(handle);
    if (exchange.error) {
        std::rethrow_exception(exchange.error);
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        throw Unusable(request.file + " cannot be read to where its end was");
    }
    if (code != CURLE_OK) {
        const std::string message = *reason == '\0' ? curl_easy_strerror(code) : reason;
        if (is_lasting(code)) {
            throw Unusable(message);
        }
        throw NoAnswer(message);
    }
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &exchange.response.status);
    return std::move(exchange.response);
}

}  // namespace auditchain::cli
