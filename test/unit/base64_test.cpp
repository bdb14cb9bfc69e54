#include "base64.h"

#include <gtest/gtest.h>

#include <string>

namespace auditchain {
namespace {

TEST(Base64, AgreesWithRfc4648) {
    const std::string text = "foobar";
    const char* const encoded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (std::size_t n = 0; n <= text.size(); ++n) {
        EXPECT_EQ(to_base64(text.substr(0, n)), encoded[n]);
        EXPECT_EQ(from_base64(encoded[n]), text.substr(0, n));
    }
}

TEST(Base64, ReadsBackAllBytes) {
    std::string bytes;
    for (int i = 0; i < 256; ++i) {
        bytes += static_cast<char>(i);
        EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
    }
    EXPECT_EQ(to_base64(std::string("\xFB\xEF\xFF")), "++//");
}

TEST(Base64, HasOneTextOnly) {
    for (const char* text : {"Zg",      "Zg=",    "Zg===",     "Zh==", "Zm9=",     "Zm8",
                             "Zm8==",   "Zm9v\n", " Zm9v",     "Zm 9", "Zm9v====", "=",
                             "==",      "====",   "Z===",      "=Zg=", "Zg==Zm9v", "Zm-_",
                             "Zm9\xC3", "Zm9v!",  "Zm9vYg==\n"}) {
        EXPECT_EQ(from_base64(text), std::nullopt) << text;
    }
    EXPECT_EQ(from_base64(std::string_view("Zm\0v", 4)), std::nullopt);
}

TEST(Base64, OfDigestsHasTheirLength) {
    Digest digest;
    digest.bytes.back() = 1;
    EXPECT_EQ(digest_from_base64(to_base64(digest)), digest);
    EXPECT_EQ(digest_from_base64(to_base64(std::string(31, 'x'))), std::nullopt);
    EXPECT_EQ(digest_from_base64(to_base64(std::string(33, 'x'))), std::nullopt);
    EXPECT_EQ(digest_from_base64(""), std::nullopt);
}

}  // namespace
}  // namespace auditchain
