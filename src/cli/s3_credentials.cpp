#include "s3_credentials.h"

#include <cstdlib>
#include <string_view>

#include <openssl/crypto.h>

#include "files.h"

namespace auditchain::cli {
namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r";
    const std::size_t first = text.find_first_not_of(kSpace);
    return first == std::string_view::npos
               ? std::string_view()
               : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

void read_file_of_credentials(std::string_view text, S3Credentials* credentials) {
    bool in_section = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t equals = line.find('=');
        if (line.starts_with('[')) {
            in_section = line == "[default]";
        } else if (in_section && equals != std::string_view::npos) {
            const std::string_view name = trimmed(line.substr(0, equals));
            const std::string_view value = trimmed(line.substr(equals + 1));
            if (name == "aws_access_key_id") {
                credentials->id = value;
            } else if (name == "aws_secret_access_key") {
                credentials->secret = value;
            } else if (name == "aws_session_token") {
                credentials->token = value;
            }
        }
    }
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

void read_s3_credentials(const std::string& path, S3Credentials* credentials) {
    if (path.empty()) {
        credentials->id = environment("AWS_ACCESS_KEY_ID");
        credentials->secret = environment("AWS_SECRET_ACCESS_KEY");
        credentials->token = environment("AWS_SESSION_TOKEN");
        if (credentials->id.empty() || credentials->secret.empty()) {
            throw Unusable(
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
                "environment, or name a file of them with --credentials");
        }
        return;
    }
    auto text = read_file(path);
    if (!text) {
        throw Unusable("there is no file " + path);
    }
    read_file_of_credentials(*text, credentials);
    OPENSSL_cleanse(text->data(), text->size());
    if (credentials->id.empty() || credentials->secret.empty()) {
        throw Unusable(path +
                       " has no aws_access_key_id and aws_secret_access_key in a section "
                       "[default]");
    }
}

}  // namespace auditchain::cli
