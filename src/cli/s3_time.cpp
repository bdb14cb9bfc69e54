#include "s3_time.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "bundle_manifest.h"

namespace auditchain::cli {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month_day;

/// The digits at these places as a number; nothing if others are among them.
std::optional<unsigned> number_at(std::string_view text, std::size_t place, std::size_t size) {
    const std::string_view digits = text.substr(place, size);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    return error == std::errc() && end == digits.end() ? std::optional(number) : std::nullopt;
}

bool only_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint64_t> seconds_since_1970(year_month_day day, std::uint64_t of_day) {
    const auto days = sys_days(day).time_since_epoch().count();
    return day.ok() && days >= 0 ? std::optional(static_cast<std::uint64_t>(days) * 86400 + of_day)
                                 : std::nullopt;
}

/// The seconds of the day in T14:22:08Z or T14:22:08.123Z.
std::optional<std::uint64_t> parse_time_of_day(std::string_view text) {
    if (text.size() < 10 || text[0] != 'T' || text[3] != ':' || text[6] != ':' ||
        text.back() != 'Z') {
        return std::nullopt;
    }
    const std::string_view fraction = text.substr(9, text.size() - 10);
    if (!fraction.empty() && (fraction[0] != '.' || !only_digits(fraction.substr(1)))) {
        return std::nullopt;
    }
    const auto hour = number_at(text, 1, 2);
    const auto minute = number_at(text, 4, 2);
    const auto second = number_at(text, 7, 2);
    if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) {
        return std::nullopt;
    }
    return *hour * 3600 + *minute * 60 + *second;
}

}  // namespace

std::optional<std::uint64_t> parse_time(std::string_view text) {
    if (text.size() < 10 || text[4] != '-' || text[7] != '-') {
        return std::nullopt;
    }
    const auto year = number_at(text, 0, 4);
    const auto month = number_at(text, 5, 2);
    const auto day = number_at(text, 8, 2);
    const auto of_day = text.size() == 10 ? 0 : parse_time_of_day(text.substr(10));
    if (!year || !month || !day || !of_day) {
        return std::nullopt;
    }
    return seconds_since_1970({std::chrono::year(static_cast<int>(*year)),
                               std::chrono::month(*month), std::chrono::day(*day)},
                              *of_day);
}

std::optional<std::uint64_t> add_period(std::uint64_t time, std::string_view period) {
    const std::size_t space = period.find(' ');
    if (space == std::string_view::npos || space > 5) {
        return std::nullopt;
    }
    const auto number = number_at(period, 0, space);
    std::string_view unit = period.substr(space + 1);
    if (unit.ends_with('s')) {
        unit.remove_suffix(1);
    }
    if (!number || *number == 0) {
        return std::nullopt;
    }
    const int count = static_cast<int>(*number);
    const auto days = std::chrono::days(time / 86400);
    year_month_day day = sys_days(days);
    if (unit == "year") {
        day += std::chrono::years(count);
    } else if (unit == "month") {
        day += std::chrono::months(count);
    } else if (unit == "day") {
        day = sys_days(days + std::chrono::days(count));
    } else {
        return std::nullopt;
    }
    if (!day.ok()) {
        day = day.year() / day.month() / std::chrono::last;
    }
    // Four digits of a year are all that S3 and RFC 3339 have.
    return day.year() <= std::chrono::year(9999) ? seconds_since_1970(day, time % 86400)
                                                 : std::nullopt;
}

std::string format_compact(std::uint64_t time) {
    std::string text = format_utc(time);
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text;
}

}  // namespace auditchain::cli
