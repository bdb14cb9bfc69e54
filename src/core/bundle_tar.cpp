#include "bundle_tar.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "bundle_manifest.h"
#include "bundle_writer.h"
#include "malformed.h"

namespace auditchain {
namespace {

// Where the fields of a header are (POSIX.1-2017, pax, "ustar Interchange Format").
struct Field {
    std::size_t offset;
    std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kOwner{108, 8};
constexpr Field kGroup{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kTime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr std::size_t kType = 156;
constexpr Field kMagic{257, 8};
constexpr Field kDeviceMajor{329, 8};
constexpr Field kDeviceMinor{337, 8};

using Header = std::array<char, kTarBlock>;

/// Octal digits, ended by a zero byte.
void put_octal(Header& header, const Field& field, std::uint64_t number) {
    for (std::size_t i = field.size - 1; i-- > 0; number /= 8) {
        header[field.offset + i] = static_cast<char>('0' + number % 8);
    }
    if (number != 0) {
        throw std::invalid_argument("a number does not fit the header of a tar archive");
    }
}

std::uint64_t read_octal(std::string_view header, const Field& field) {
    std::uint64_t number = 0;
    for (const char digit : header.substr(field.offset, field.size - 1)) {
        if (digit < '0' || digit > '7') {
            throw Malformed("a header of the tar archive has a number that is none");
        }
        number = 8 * number + static_cast<std::uint64_t>(digit - '0');
    }
    return number;
}

/// The sum of all bytes, those of the checksum itself as spaces.
void put_checksum(Header& header) {
    std::fill_n(header.begin() + kChecksum.offset, kChecksum.size, ' ');
    std::uint64_t sum = 0;
    for (const char byte : header) {
        sum += static_cast<unsigned char>(byte);
    }
    // Six digits, a zero byte and a space, which is there.
    put_octal(header, {kChecksum.offset, kChecksum.size - 1}, sum);
    header[kChecksum.offset + kChecksum.size - 2] = '\0';
}

bool all_zero(std::string_view bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == '\0'; });
}

/// The biggest file of this name that a bundle may have: what a header claims is gathered.
std::uint64_t max_size(std::string_view name) noexcept {
    constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
    if (name.starts_with("entries/")) {
        // What does not compress, or is encrypted, takes a little more.
        constexpr std::uint64_t text = kMaxBundleLine + kBundleChunkText;
        return text + text / 128;
    }
    if (name == kBundleManifest) {  // all chains and files
        return kMaxBundleLine;
    }
    return name == kBundleHead ? 64 * kMiB : kMiB;  // the head has all holds
}

}  // namespace

Header tar_header(std::string_view name, std::uint64_t size, std::uint64_t time) {
    if (name.empty() || name.size() >= kName.size) {
        throw std::invalid_argument("a name does not fit the header of a tar archive");
    }
    Header header{};
    name.copy(header.data(), name.size());
    put_octal(header, kMode, 0644);
    put_octal(header, kOwner, 0);
    put_octal(header, kGroup, 0);
    put_octal(header, kSize, size);
    put_octal(header, kTime, time);
    header[kType] = '0';
    std::memcpy(header.data() + kMagic.offset, "ustar\00000", kMagic.size);
    put_octal(header, kDeviceMajor, 0);
    put_octal(header, kDeviceMinor, 0);
    put_checksum(header);
    return header;
}

std::uint64_t TarReader::missing() const noexcept {
    if (!size_) {
        return 0;
    }
    const std::uint64_t whole = *size_ + tar_padding(*size_);
    return whole - std::min<std::uint64_t>(whole, rest().size());
}

/// Returns whether a file follows.
bool TarReader::read_header() {
    const std::string_view header = rest().substr(0, kTarBlock);
    if (all_zero(header)) {
        if (rest().size() < kTarEnd) {
            return false;
        }
        if (rest().size() > kTarEnd || !all_zero(rest())) {
            throw Malformed("something stands behind the end of the tar archive");
        }
        ended_ = true;
        return false;
    }
    const std::string_view name = header.substr(kName.offset, kName.size - 1);
    const std::uint64_t size = read_octal(header, kSize);
    const std::uint64_t time = read_octal(header, kTime);
    name_ = name.substr(0, name.find('\0'));
    if (name_.empty() || (time_ && *time_ != time) ||
        std::memcmp(tar_header(name_, size, time).data(), header.data(), kTarBlock) != 0) {
        throw Malformed("a header of the tar archive is not as it was written");
    }
    if (size > max_size(name_)) {
        throw Malformed(name_ + " is bigger than that file of a bundle may be");
    }
    size_ = size;
    time_ = time;
    used_ += kTarBlock;
    return true;
}

std::optional<TarFile> TarReader::next() {
    if (ended_ && used_ + kTarEnd != input_.size()) {
        throw Malformed("something stands behind the end of the tar archive");
    }
    if (ended_ || (!size_ && (rest().size() < kTarBlock || !read_header()))) {
        return std::nullopt;
    }
    const std::size_t size = static_cast<std::size_t>(*size_);
    if (rest().size() < size + tar_padding(size)) {
        input_.erase(0, used_);
        used_ = 0;
        return std::nullopt;
    }
    if (!all_zero(rest().substr(size, tar_padding(size)))) {
        throw Malformed("something stands between two files of the tar archive");
    }
    TarFile file{name_, std::string(rest().substr(0, size))};
    used_ += size + tar_padding(size);
    size_.reset();
    return file;
}

void TarReader::finish() const {
    if (!ended_) {
        throw Malformed("the tar archive ends too early");
    }
}

}  // namespace auditchain
