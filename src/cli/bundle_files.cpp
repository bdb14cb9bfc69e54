#include "bundle_files.h"

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "files.h"
#include "malformed.h"

namespace auditchain::cli {
namespace {

/// Looks at files of entries with as many threads as there are cores, and gives the results back in
/// the order of the files. It holds a few files for each thread and no more, so that memory does
/// not grow with the bundle.
class Crew {
  public:
    Crew() {
        const unsigned count = std::max(1U, std::thread::hardware_concurrency());
        for (unsigned i = 0; i < count; ++i) {
            threads_.emplace_back([this] { run(); });
        }
    }
    ~Crew() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    /// Whether a result must be taken before more work is given.
    bool is_busy() const { return jobs_.size() >= 2 * threads_.size(); }
    bool has_work() const { return !jobs_.empty(); }

    void give(BundleWork work) {
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back(std::move(work));
        changed_.notify_all();
    }

    /// Wait for the result of the oldest file. Throws what look_at() threw.
    BundleResult take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return jobs_.front().result || jobs_.front().error; });
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        --next_;
        if (job.error) {
            std::rethrow_exception(job.error);
        }
        return std::move(*job.result);
    }

  private:
    struct Job {
        explicit Job(BundleWork given) : work(std::move(given)) {}
        BundleWork work;
        std::optional<BundleResult> result;
        std::exception_ptr error;
    };

    void run() {
        Sha256 sha256;
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ended_ || next_ < jobs_.size(); });
            if (ended_) {
                return;
            }
            Job& job = jobs_[next_++];  // a deque leaves it where it is
            lock.unlock();
            std::optional<BundleResult> result;
            std::exception_ptr error;
            try {
                result = look_at(sha256, job.work);
            } catch (...) {
                error = std::current_exception();
            }
            job.work.file.content = {};
            lock.lock();
            job.result = std::move(result);
            job.error = error;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;  // changed in number by the thread that owns the crew only
    std::size_t next_ = 0;  // the first that nobody has begun with
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

/// A file that is read from its beginning to its end.
class Input {
  public:
    explicit Input(const std::string& path)
        : path_(path == "-" ? "standard input" : path),
          file_(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (file_ < 0) {
            fail();
        }
    }
    ~Input() {
        if (file_ != STDIN_FILENO) {
            ::close(file_);
        }
    }
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;

    /// Return the next bytes; none at the end.
    std::string_view read() {
        for (;;) {
            const ssize_t count = ::read(file_, bytes_.data(), bytes_.size());
            if (count >= 0) {
                return {bytes_.data(), static_cast<std::size_t>(count)};
            }
            if (errno != EINTR) {
                fail();
            }
        }
    }

  private:
    [[noreturn]] void fail() const {
        throw Unusable("cannot read " + path_ + ": " + std::strerror(errno));
    }

    std::string path_;
    int file_;
    std::vector<char> bytes_ = std::vector<char>(std::size_t{1} << 20);
};

/// Read a bundle, and give its files to `take`, each with the time that all of them have, until it
/// returns false. Throws Unusable if it cannot be read, Malformed if it is no archive, or cut off.
template <class Take>
void read_files(const std::string& path, const ReadProgress& progress, const ReadBytes& bytes_to,
                Take take) {
    Input input(path);
    TarReader tar;
    std::uint64_t done = 0;
    for (std::string_view bytes = input.read(); !bytes.empty(); bytes = input.read()) {
        if (bytes_to) {
            bytes_to(bytes);
        }
        tar.feed(bytes);
        while (auto file = tar.next()) {
            if (!take(std::move(*file), tar.time())) {
                return;
            }
        }
        done += bytes.size();
        progress(done);
    }
    tar.finish();
}

/// Throws Unusable if there are none.
void read_archive_keys(const std::string& path, ReceiptSecrets* keys) {
    auto text = read_file(path);
    if (!text) {
        throw Unusable("there is no file " + path);
    }
    try {
        parse_receipt_secrets(*text, keys);
    } catch (const Malformed& e) {
        throw Unusable(path + ": " + e.what());
    }
    OPENSSL_cleanse(text->data(), text->size());
}

}  // namespace

BundleVerdict verify_bundle_file(const std::string& path, const BundleTrust& trust,
                                 const ReadProgress& progress, const ReadBytes& bytes_to) {
    BundleVerifier verifier(trust);
    Crew crew;  // behind the verifier, whose keys it uses
    read_files(path, progress, bytes_to, [&](TarFile file, std::uint64_t time) {
        if (auto work = verifier.take(std::move(file), time)) {
            crew.give(std::move(*work));
        }
        if (crew.is_busy()) {
            verifier.add(crew.take());
        }
        return true;
    });
    while (crew.has_work()) {
        verifier.add(crew.take());
    }
    return verifier.finish();
}

BundleHead read_bundle_head(const std::string& path) {
    std::optional<BundleHead> head;
    read_files(
        path, [](std::uint64_t) {}, nullptr,
        [&](const TarFile& file, std::uint64_t time) {
            if (file.name == kBundleHead) {
                head = parse_bundle_head(file.content, time);
            }
            return file.name == kBundleReadme;
        });
    if (!head) {
        throw Malformed("it has no bundle.json where a bundle has it");
    }
    return std::move(*head);
}

BundleContents check_bundle_sums(const std::string& path, const ReadProgress& progress,
                                 const ReadBytes& bytes_to) {
    Sha256 sha256;
    std::string head;
    std::vector<BundleFile> files;
    std::optional<BundleContents> manifest;
    read_files(path, progress, bytes_to, [&](const TarFile& file, std::uint64_t) {
        if (manifest) {
            throw Malformed("it goes on behind its manifest.json");
        }
        if (file.name == kBundleManifest) {
            manifest = parse_bundle_manifest(head, file.content);
            return true;
        }
        if (file.name == kBundleHead) {
            head = file.content;
        }
        files.push_back({file.name, file.content.size(), sha256({file.content})});
        return true;
    });
    if (!manifest || files != manifest->files) {
        throw Malformed("its files are not those that its manifest.json names");
    }
    return std::move(*manifest);
}

BundleTrust read_trust(const std::vector<std::string>& keys, const std::string& key_file,
                       ReceiptSecrets* archive_keys) {
    Sha256 sha256;
    BundleTrust trust;
    for (const std::string& key : keys) {
        try {
            trust.signers.push_back(parse_verifier_key(sha256, key));
        } catch (const Malformed& e) {
            throw Unusable("--key: " + std::string(e.what()));
        }
    }
    if (!key_file.empty()) {
        read_archive_keys(key_file, archive_keys);
        trust.archive_keys = archive_keys;
    }
    return trust;
}

}  // namespace auditchain::cli
