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
    int length = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06d%s%s",
                          display_year(tm.tm_year), tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
                          tm.tm_sec, microseconds, zone, era(tm.tm_year));
    json.string({text, static_cast<std::size_t>(length)});
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
    int length =
        snprintf(text, sizeof text, "%04d-%02d-%02d%s", display_year(year), month, day, era(year));
    json.string({text, static_cast<std::size_t>(length)});
}

void write_timestamp(JsonWriter& json, Datum value) {
    write_point_in_time(json, DatumGetTimestamp(value), "");
}

void write_timestamptz(JsonWriter& json, Datum value) {
    write_point_in_time(json, DatumGetTimestampTz(value), "Z");
}

}  // namespace auditchain::pg
