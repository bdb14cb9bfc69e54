#include "core/digits.h"
#include "pg/value_writer.h"

extern "C" {
#include <utils/date.h>
#include <utils/datetime.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

constexpr std::size_t kMaxTime = 64;

char* put_text(char* out, std::string_view text) {
    return std::copy(text.begin(), text.end(), out);
}

// Years before 1 are written as PostgreSQL writes them: the year of the era, " BC" behind.
struct Day {
    int year;  // of its era
    int month;
    int day;
    bool before_christ;

    explicit Day(int julian) {
        j2date(julian, &year, &month, &day);
        before_christ = year <= 0;
        year = before_christ ? 1 - year : year;
    }
    char* put(char* out) const {
        int width = 4;
        for (int rest = year / 10000; rest > 0; rest /= 10) {
            width++;
        }
        out = write_digits(out, year, width);
        *out++ = '-';
        out = write_digits(out, month, 2);
        *out++ = '-';
        return write_digits(out, day, 2);
    }
    std::string_view era() const { return before_christ ? " BC" : ""; }
};

void write_infinity(JsonWriter& json, bool negative) {
    json.plain_string(negative ? "-infinity" : "infinity");
}

void write_point_in_time(JsonWriter& json, Timestamp value, std::string_view zone) {
    if (TIMESTAMP_NOT_FINITE(value)) {
        write_infinity(json, TIMESTAMP_IS_NOBEGIN(value));
        return;
    }
    std::int64_t days = value / USECS_PER_DAY - (value % USECS_PER_DAY < 0);
    std::int64_t time = value - days * USECS_PER_DAY;
    auto seconds = static_cast<std::uint32_t>(time / USECS_PER_SEC);
    Day day(static_cast<int>(days) + POSTGRES_EPOCH_JDATE);
    char text[kMaxTime];
    char* end = day.put(text);
    *end++ = 'T';
    end = write_digits(end, seconds / SECS_PER_HOUR, 2);
    *end++ = ':';
    end = write_digits(end, seconds / SECS_PER_MINUTE % MINS_PER_HOUR, 2);
    *end++ = ':';
    end = write_digits(end, seconds % SECS_PER_MINUTE, 2);
    *end++ = '.';
    end = write_digits(end, static_cast<std::uint32_t>(time % USECS_PER_SEC), 6);
    end = put_text(end, zone);
    end = put_text(end, day.era());
    json.plain_string({text, static_cast<std::size_t>(end - text)});
}

}  // namespace

void write_date(JsonWriter& json, Datum value) {
    DateADT date = DatumGetDateADT(value);
    if (DATE_NOT_FINITE(date)) {
        write_infinity(json, DATE_IS_NOBEGIN(date));
        return;
    }
    Day day(date + POSTGRES_EPOCH_JDATE);
    char text[kMaxTime];
    char* end = put_text(day.put(text), day.era());
    json.plain_string({text, static_cast<std::size_t>(end - text)});
}

void write_timestamp(JsonWriter& json, Datum value) {
    write_point_in_time(json, DatumGetTimestamp(value), "");
}

void write_timestamptz(JsonWriter& json, Datum value) {
    write_point_in_time(json, DatumGetTimestampTz(value), "Z");
}

}  // namespace auditchain::pg
