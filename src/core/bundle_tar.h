#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auditchain {

// The container of a bundle: a tar archive (POSIX ustar) of regular files, written in one way only.
// That is why it is made here and not by libarchive: a reader that accepts nothing but the bytes
// that a writer makes leaves no byte of a header that could be changed unnoticed, and takes what
// it reads in pieces, where libarchive calls back for them.

/// Files begin at multiples of this.
inline constexpr std::size_t kTarBlock = 512;

/// The biggest file that a header can tell the size of.
inline constexpr std::uint64_t kMaxTarFile = (std::uint64_t{1} << 33) - 1;

/// Return the header of a file that everybody may read, of nobody in particular, last changed at
/// `time`, in seconds since 1970.
/// Throws std::invalid_argument if the name is empty or has over 99 bytes, or a number is too big.
std::array<char, kTarBlock> tar_header(std::string_view name, std::uint64_t size,
                                       std::uint64_t time);

/// Return how many zero bytes stand behind a file of this size.
constexpr std::size_t tar_padding(std::uint64_t size) noexcept {
    return static_cast<std::size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

/// How many zero bytes end an archive.
inline constexpr std::size_t kTarEnd = 2 * kTarBlock;

/// A file of an archive.
struct TarFile {
    std::string name;
    std::string content;
};

/// Takes an archive in pieces and gives back its files, each once all of it is there. So it needs
/// memory for the biggest file and the piece that was fed last.
class TarReader {
  public:
    /// Take the next bytes, of any number.
    void feed(std::string_view bytes) { input_.append(bytes); }

    /// Return the next file, or nothing before more bytes were fed. Throws Malformed where
    /// tar_header() and zeros would not have made these bytes, and as soon as a file says that it
    /// is bigger than that file of a bundle may be.
    std::optional<TarFile> next();

    /// Say that there are no more bytes. Throws Malformed unless the archive is at its end.
    void finish() const;

    /// When all files were last changed, in seconds since 1970; 0 before the first.
    std::uint64_t time() const noexcept { return time_.value_or(0); }

    /// How many more bytes the file has that is being read; 0 between files.
    std::uint64_t missing() const noexcept;

  private:
    bool read_header();
    std::string_view rest() const noexcept { return std::string_view(input_).substr(used_); }

    std::string input_;
    std::size_t used_ = 0;  // bytes of the input that were given back
    std::string name_;
    std::optional<std::uint64_t> size_;  // of the file that is being read
    std::optional<std::uint64_t> time_;
    bool ended_ = false;
};

}  // namespace auditchain
