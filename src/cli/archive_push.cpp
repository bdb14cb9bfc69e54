// archive push: puts bundles into an object store, where nobody can change or delete them for a
// time.

#include <algorithm>
#include <cctype>
#include <ctime>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "bundle_files.h"
#include "bundle_report.h"
#include "commands.h"
#include "files.h"
#include "malformed.h"
#include "printable.h"
#include "s3_hasher.h"
#include "s3_store.h"
#include "s3_time.h"

namespace auditchain::cli {
namespace {

/// What S3 takes in one request.
constexpr std::uint64_t kMaxObject = std::uint64_t{5} << 30;

struct PushOptions {
    std::vector<std::string> files;
    S3Access access;
    std::string prefix;
    std::string retain_until;
    std::string retain;
    std::vector<std::string> keys;
    std::string key_file;
    bool json = false;
};

PushOptions options;

/// A bundle that may be pushed.
struct Checked {
    BundleHead head;
    std::uint64_t entries = 0;
    bool entries_verified = false;  ///< else they are encrypted, and only the sums were checked
    std::uint64_t size = 0;
    Digest sha256;
};

/// Something that is not as it should be: exit code 1.
class Alarm : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

std::uint64_t now() {
    return static_cast<std::uint64_t>(std::time(nullptr));
}

/// Whether a text can be a part of a name: nothing vouches for it in a bundle that is not signed.
bool is_uuid(const std::string& text) {
    return text.size() == 36 && text.find_first_not_of("0123456789abcdef-") == std::string::npos;
}

std::uint64_t size_of(const std::string& file) {
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(file, error);
    if (error) {
        throw Unusable("cannot read it: " + error.message());
    }
    if (size > kMaxObject) {
        throw Unusable(
            "it has more than the 5 GiB that the S3 protocol takes in one piece: bundle shorter "
            "periods");
    }
    return size;
}

Checked check(const std::string& file, const BundleTrust& trust) {
    const std::uint64_t size = size_of(file);
    Checked checked;
    Hasher hasher;
    checked.head = read_bundle_head(file);
    {
        ProgressLine progress("verifying " + file, size);
        const ReadProgress show = [&](std::uint64_t done) { progress.show(done); };
        const ReadBytes take = [&](std::string_view bytes) {
            hasher.add(bytes);
            checked.size += bytes.size();
        };
        if (checked.head.encryption && trust.archive_keys == nullptr) {
            if (!trust.signers.empty()) {
                throw Unusable(
                    "its entries are encrypted, and cannot be verified with --key but not "
                    "--key-file");
            }
            checked.entries = check_bundle_sums(file, show, take).entries;
        } else {
            BundleVerdict verdict = verify_bundle_file(file, trust, show, take);
            if (!verdict.findings.empty()) {
                const BundleFinding& first = verdict.findings.front();
                throw Alarm(std::to_string(verdict.findings.size()) + " violation" +
                            (verdict.findings.size() == 1 ? "" : "s") + ", the first is " +
                            name(first.kind) + ": " + first.detail);
            }
            checked.head = std::move(verdict.head);
            checked.entries = verdict.entries;
            checked.entries_verified = true;
        }
    }
    checked.sha256 = hasher.finish();
    if (!is_uuid(checked.head.log_id)) {
        throw Malformed("the id of its log is none");
    }
    return checked;
}

/// The name comes from the content alone: to push a file again finds what is there already.
std::string name_of(const Checked& bundle) {
    std::ostringstream name;
    name << options.prefix << (options.prefix.empty() ? "" : "/") << bundle.head.log_id << '/'
         << std::setw(12) << std::setfill('0') << bundle.head.tree_size << '-'
         << to_hex(bundle.sha256) << ".tar";
    return name.str();
}

/// Until when it is locked; 0: not at all. A period is counted from when the bundle was made, so
/// that pushing it again does not begin it anew. Nothing vouches for that time, and a lock can
/// never be undone: so it must be over, give or take what clocks differ by.
std::uint64_t retain_until(const Checked& bundle) {
    if (options.retain_until.empty() && options.retain.empty()) {
        return 0;
    }
    constexpr std::uint64_t kDay = 86400;
    if (!options.retain.empty() && bundle.head.created_at > now() + kDay) {
        throw Unusable("it says that it was made at " + format_utc(bundle.head.created_at) +
                       ", which is to come: its lock would last for too long");
    }
    const auto until = options.retain.empty() ? parse_time(options.retain_until)
                                              : add_period(bundle.head.created_at, options.retain);
    if (!until) {
        throw Unusable("its lock would have no end that can be written");
    }
    if (*until <= now()) {
        throw Unusable("its lock would have ended at " + format_utc(*until));
    }
    return *until;
}

bool is_locked(const S3Object& object, std::uint64_t until) {
    return until == 0 || (object.lock_mode == "COMPLIANCE" && object.retain_until >= until);
}

/// What is there under the name. Who may not list a bucket is refused instead of told that nothing
/// is there; then the PUT finds out, which replaces nothing.
std::optional<S3Object> look_up(S3Store& store, const std::string& name) {
    try {
        return store.look_up(name, "");
    } catch (const Refused& e) {
        if (e.status == 403) {
            return std::nullopt;
        }
        throw;
    }
}

/// Where the store knows no checksum of an object, it is read.
void compare(S3Store& store, const std::string& name, const Checked& bundle,
             const S3Object& object) {
    if (object.size != bundle.size ||
        (object.sha256 ? *object.sha256 : store.hash_of(name, object.version)) != bundle.sha256) {
        throw Alarm("the store has other bytes as " + store.uri(name) +
                    (object.version.empty() ? "" : ", version " + object.version) +
                    ": somebody has put them there; see its other versions");
    }
}

S3Object must_have(S3Store& store, const std::string& name, const std::string& version) {
    auto object = store.look_up(name, version);
    if (!object) {
        throw Alarm("the store has taken " + store.uri(name) + " and does not have it");
    }
    return std::move(*object);
}

/// Put it there unless it is there, and see to its lock. Return what was done.
const char* store_bundle(S3Store& store, const std::string& file, const std::string& name,
                         const Checked& bundle, std::uint64_t until, S3Object* object) {
    bool pushed = false;
    if (auto there = look_up(store, name)) {
        *object = std::move(*there);
    } else {
        ProgressLine progress("pushing " + file, bundle.size);
        pushed = store.put(name, file, bundle.size, bundle.sha256, until,
                           [&](std::uint64_t sent) { progress.show(sent); });
        *object = must_have(store, name, "");
    }
    compare(store, name, bundle, *object);
    if (is_locked(*object, until)) {
        return pushed ? "pushed" : "present";
    }
    store.extend(name, object->version, until);
    *object = must_have(store, name, object->version);
    if (!is_locked(*object, until)) {
        throw Alarm("the store has " + store.uri(name) +
                    " and does not say that it is locked until " + format_utc(until) +
                    ": it needs Object Lock, and who pushes the right s3:GetObjectRetention");
    }
    return pushed ? "pushed" : "extended";
}

nlohmann::json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

void report(const std::string& file, const Checked& bundle, const std::string& uri,
            const S3Object& object, const std::string& result) {
    const std::string until = object.retain_until == 0 ? "" : format_utc(object.retain_until);
    if (options.json) {
        std::cout << json_line({{"file", file},
                                {"result", result},
                                {"object", uri},
                                {"version", text_or_null(object.version)},
                                {"log_id", bundle.head.log_id},
                                {"tree_size", bundle.head.tree_size},
                                {"entries", bundle.entries},
                                {"entries_verified", bundle.entries_verified},
                                {"size", bundle.size},
                                {"sha256", to_hex(bundle.sha256)},
                                {"lock_mode", text_or_null(object.lock_mode)},
                                {"retain_until", text_or_null(until)}})
                  << std::endl;
        return;
    }
    std::cout << file << ": "
              << (bundle.entries_verified
                      ? "All " + std::to_string(bundle.entries) + " audit events verified."
                      : "Sums verified; its " + std::to_string(bundle.entries) +
                            " audit events are encrypted, and were not.")
              << '\n'
              << "  " << (result == "pushed" ? "pushed to " : "already there as ") << uri << '\n';
    if (!until.empty()) {
        std::cout << "  " << (result == "extended" ? "now locked" : "locked") << " in mode "
                  << printable(object.lock_mode) << " until " << until << '\n';
    } else {
        std::cout << "  not locked: who may write to the bucket can delete it\n";
    }
    std::cout << std::flush;
}

void report_failure(const std::string& file, const std::string& result, const std::string& error) {
    if (options.json) {
        std::cout << json_line({{"file", file}, {"result", result}, {"error", error}}) << std::endl;
    } else {
        std::cerr << file << ": " << (result == "alarm" ? "ALARM: " : "not pushed: ")
                  << printable(error) << std::endl;
    }
}

int push_one(S3Store& store, const std::string& file, const BundleTrust& trust) {
    try {
        const Checked bundle = check(file, trust);
        const std::string name = name_of(bundle);
        S3Object object;
        const char* result = store_bundle(store, file, name, bundle, retain_until(bundle), &object);
        report(file, bundle, store.uri(name), object, result);
        return kFine;
    } catch (const Alarm& e) {
        report_failure(file, "alarm", e.what());
        return kAlarm;
    } catch (const Malformed& e) {
        report_failure(file, "failed", e.what());
    } catch (const NoAnswer& e) {
        report_failure(file, "failed", e.what());
        throw Unusable("the store does not answer; nothing further was tried");
    } catch (const Unusable& e) {
        report_failure(file, "failed", e.what());
    }
    return kUnusable;
}

/// Names of objects are made of what needs no thought in URLs.
void check_names() {
    const auto plain = [](const std::string& text, const std::string& more) {
        return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
            return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_' || c == '.' ||
                   more.find(static_cast<char>(c)) != std::string::npos;
        });
    };
    if (!plain(options.access.bucket, "")) {
        throw Unusable("--bucket is not the name of a bucket");
    }
    const std::string whole = "/" + options.prefix + "/";
    if (!plain(options.prefix, "/=") ||
        (!options.prefix.empty() &&
         (whole.find("//") != std::string::npos || whole.find("/./") != std::string::npos ||
          whole.find("/../") != std::string::npos))) {
        throw Unusable(
            "--prefix is of letters, digits and -_.=, with single slashes between, as in "
            "audit/payments");
    }
}

int push() {
    check_names();
    if (!options.retain_until.empty() && !parse_time(options.retain_until)) {
        throw Unusable("--retain-until is a date such as 2033-11-21, or 2033-11-21T12:00:00Z");
    }
    if (!options.retain.empty() && !add_period(0, options.retain)) {
        throw Unusable("--retain is a period such as '7 years', '18 months' or '90 days'");
    }
    ReceiptSecrets archive_keys;
    const BundleTrust trust = read_trust(options.keys, options.key_file, &archive_keys);
    S3Store store(options.access);
    int result = kFine;
    for (const std::string& file : options.files) {
        result = std::max(result, push_one(store, file, trust));
    }
    return result;
}

}  // namespace

void add_archive(CLI::App& app, Command& chosen) {
    CLI::App* archive = app.add_subcommand("archive", "Take care of archives.");
    archive->require_subcommand(1);
    CLI::App* command = archive->add_subcommand(
        "push",
        "Put bundles into a bucket of an object store that speaks the S3 protocol, locked until a "
        "time before which nobody can delete them (Object Lock, mode COMPLIANCE). Each is "
        "verified first. Its object is named by its content, PREFIX/LOG/SIZE-SHA256.tar, so that "
        "pushing it again does nothing. Exits with 1 if a bundle was tampered with, or the store "
        "has not what it should, with 2 if something could not be done.");
    command->add_option("FILE", options.files, "A bundle")->required();
    command
        ->add_option("--endpoint", options.access.endpoint,
                     "The store, such as https://s3.eu-central-1.amazonaws.com")
        ->required();
    command->add_option("--region", options.access.region, "The region, as the store calls it")
        ->capture_default_str();
    command->add_option("--bucket", options.access.bucket, "The bucket")->required();
    command->add_option("--prefix", options.prefix, "What the names of objects begin with");
    CLI::Option* until =
        command->add_option("--retain-until", options.retain_until,
                            "Lock until this date or time, such as 2033-11-21, in UTC");
    command
        ->add_option("--retain", options.retain,
                     "Lock for this long from when the bundle was made, such as '7 years'")
        ->excludes(until);
    command->add_flag("--virtual-host", options.access.virtual_hosted,
                      "Name the bucket in the host's name and not in the path");
    command->add_option("--credentials", options.access.credentials,
                        "The file with aws_access_key_id and aws_secret_access_key in a section "
                        "[default]; without it they come from the environment, as "
                        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN");
    command->add_option("--ca-file", options.access.ca_file,
                        "Certificates, in PEM, that the store's is signed by, if not by one that "
                        "the system trusts");
    command->add_option("--key", options.keys,
                        "A verifier key that checkpoints may be signed by; several may be given");
    command->add_option("--key-file", options.key_file,
                        "The keys of encrypted bundles, as in auditchain.archive_key_file; "
                        "without it only their sums are checked");
    command
        ->add_option("--timeout", options.access.timeout,
                     "Seconds without a byte after which a connection is given up")
        ->capture_default_str()
        ->check(CLI::Range(1U, 3600U));
    command
        ->add_option("--retries", options.access.retries,
                     "How often to try again when the store does not answer, or has an error")
        ->capture_default_str()
        ->check(CLI::Range(0U, 100U));
    command->add_flag("--json", options.json, "Write one line of JSON for each bundle");
    command->footer(
        "For example:\n"
        "  auditchain archive push --endpoint https://s3.eu-central-1.amazonaws.com \\\n"
        "      --region eu-central-1 --bucket audit-worm --retain '7 years' /archive/*.tar");
    command->callback([&] { chosen = push; });
}

}  // namespace auditchain::cli
