#include "s3_time.h"

#include <gtest/gtest.h>

#include "bundle_manifest.h"

namespace auditchain::cli {
namespace {

std::string parsed(std::string_view text) {
    const auto time = parse_time(text);
    return time ? format_utc(*time) : "none";
}

std::string later(std::string_view time, std::string_view period) {
    const auto sum = add_period(parse_time(time).value(), period);
    return sum ? format_utc(*sum) : "none";
}

TEST(S3Time, ReadsDatesAndTimes) {
    EXPECT_EQ(parse_time("1970-01-01"), 0u);
    EXPECT_EQ(parsed("2033-11-21"), "2033-11-21T00:00:00Z");
    EXPECT_EQ(parsed("2033-11-21T14:22:08Z"), "2033-11-21T14:22:08Z");
    EXPECT_EQ(parsed("2033-11-21T14:22:08.000Z"), "2033-11-21T14:22:08Z");
    EXPECT_EQ(parsed("2033-11-21T23:59:59.999999999Z"), "2033-11-21T23:59:59Z");
    EXPECT_EQ(parsed("2032-02-29"), "2032-02-29T00:00:00Z");
    EXPECT_EQ(parsed("9999-12-31"), "9999-12-31T00:00:00Z");
}

TEST(S3Time, RefusesOtherTexts) {
    for (const char* text : {"",
                             "2033",
                             "2033-11-2",
                             "2033-13-01",
                             "2033-00-01",
                             "2033-11-00",
                             "2033-02-29",
                             "2033/11/21",
                             "+033-11-21",
                             "2033-11-21 ",
                             "2033-11-21T",
                             "2033-11-21T14:22:08",
                             "2033-11-21T24:00:00Z",
                             "2033-11-21T14:60:00Z",
                             "2033-11-21T14:22:60Z",
                             "2033-11-21 14:22:08Z",
                             "2033-11-21T14:22:08+01:00",
                             "2033-11-21T14:22:08.1x2Z",
                             "1969-12-31",
                             "2033-11-21T14:22:08,5Z",
                             "-033-11-21",
                             "2033-11-21T-1:22:08Z"}) {
        EXPECT_EQ(parsed(text), "none") << text;
    }
}

TEST(S3Time, AddsPeriodsByTheCalendar) {
    EXPECT_EQ(later("2026-11-21T14:22:08Z", "7 years"), "2033-11-21T14:22:08Z");
    EXPECT_EQ(later("2026-11-21T14:22:08Z", "1 year"), "2027-11-21T14:22:08Z");
    EXPECT_EQ(later("2028-02-29", "1 year"), "2029-02-28T00:00:00Z");
    EXPECT_EQ(later("2028-02-29", "4 years"), "2032-02-29T00:00:00Z");
    EXPECT_EQ(later("2026-10-31", "18 months"), "2028-04-30T00:00:00Z");
    EXPECT_EQ(later("2026-12-31", "1 day"), "2027-01-01T00:00:00Z");
    EXPECT_EQ(later("2026-01-01T23:59:59Z", "90 days"), "2026-04-01T23:59:59Z");
    EXPECT_EQ(later("2026-01-01", "7973 years"), "9999-01-01T00:00:00Z");
}

TEST(S3Time, RefusesOtherPeriods) {
    for (const char* period :
         {"", "7", "years", " years", "7 ", "7years", "0 days", "-1 days", "7 weeks", "7  years",
          "7 yearss", "7.5 years", "7974 years", "99999 years", "999999 days", "7 years 1 day"}) {
        EXPECT_EQ(later("2026-01-01", period), "none") << period;
    }
}

TEST(S3Time, WritesTimesForSignatures) {
    EXPECT_EQ(format_compact(1369353600), "20130524T000000Z");
}

}  // namespace
}  // namespace auditchain::cli
