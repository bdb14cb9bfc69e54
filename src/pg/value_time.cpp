#include "pg/value_writer.h"

extern "C" {
#include <miscadmin.h>
#include <utils/date.h>
#include <utils/datetime.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

constexpr std::size_t kMaxTime = 64;

// Years before 1 are written as PostgreSQL writes them: the year of the era, " BC" behind.
int display_year(int year) {
    return year > 0 ? year : 1 - year;
}
const char* era(int year) {
    return year > 0 ? "" : " BC";
}

// Digits by hand: snprintf would cost more than the rest of a usual row.
char* put_number(char* out, int number, int width) {
    char digits[16];
    int count = 0;
    for (; number > 0 || count < width; number /= 10) {
        digits[count++] = static_cast<char>('0' + number % 10);
    }
    return std::reverse_copy(digits, digits + count, out);
}

char* put_text(char* out, const char* text) {
    return std::copy_n(text, strlen(text), out);
}

char* put_date(char* out, int year, int month, int day) {
    out = put_number(out, display_year(year), 4);
    *out++ = '-';
    out = put_number(out, month, 2);
    *out++ = '-';
    return put_number(out, day, 2);
}

void write_infinity(JsonWriter& json, bool negative) {
    json.string(negative ? "-infinity" : "infinity");
}

void write_point_in_time(JsonWriter& json, Timestamp value, const char* zone) {
    if (TIMESTAMP_NOT_FINITE(value)) {
        write_infinity(json, TIMESTAMP_IS_NOBEGIN(value));
        return;
    }
    struct pg_tm tm = {};
    fsec_t microseconds;
    // Without a zone to convert to, the fields of a timestamptz come out in UTC.
    if (timestamp2tm(value, nullptr, &tm, &microseconds, nullptr, nullptr) != 0) {
        ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
                errmsg("timestamp out of range"));
    }
    char text[kMaxTime];
    char* end = put_date(text, tm.tm_year, tm.tm_mon, tm.tm_mday);
    *end++ = 'T';
    end = put_number(end, tm.tm_hour, 2);
    *end++ = ':';
    end = put_number(end, tm.tm_min, 2);
    *end++ = ':';
    end = put_number(end, tm.tm_sec, 2);
    *end++ = '.';
    end = put_number(end, microseconds, 6);
    end = put_text(end, zone);
    end = put_text(end, era(tm.tm_year));
    json.string({text, static_cast<std::size_t>(end - text)});
}

}  // namespace

void write_date(JsonWriter& json, Datum value) {
    DateADT date = DatumGetDateADT(value);
    if (DATE_NOT_FINITE(date)) {
        write_infinity(json, DATE_IS_NOBEGIN(date));
        return;
    }
    int year;
    int month;
    int day;
    j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
    char text[kMaxTime];
    char* end = put_text(put_date(text, year, month, day), era(year));
    json.string({text, static_cast<std::size_t>(end - text)});
}

void write_timestamp(JsonWriter& json, Datum value) {
    write_point_in_time(json, DatumGetTimestamp(value), "");
}

void write_timestamptz(JsonWriter& json, Datum value) {
    write_point_in_time(json, DatumGetTimestampTz(value), "Z");
}

}  // namespace auditchain::pg
