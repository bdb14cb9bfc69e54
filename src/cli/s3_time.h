// Times as S3 and people write them, all in UTC and in seconds since 1970.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auditchain::cli {

/// Read 2033-11-21, its first second, or 2033-11-21T14:22:08Z, whose fractions of a second are left
/// out. Nothing if it is neither, or before 1970.
std::optional<std::uint64_t> parse_time(std::string_view text);

/// Return a time with a period such as "7 years", "18 months" or "90 days" added, by the calendar:
/// a day that the month has not got is its last. Nothing if it is no such period.
std::optional<std::uint64_t> add_period(std::uint64_t time, std::string_view period);

/// Return a time as signatures have it: 20331121T142208Z.
std::string format_compact(std::uint64_t time);

}  // namespace auditchain::cli
