#include "checkpoint.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "base64.h"
#include "malformed.h"
#include "merkle.h"

namespace auditchain {
namespace {

const std::string kRoot = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
const std::string kSofa = "example.com/behind-the-sofa\n20852163\n" + kRoot + "\n";

std::string complaint(std::string_view text) {
    try {
        parse_checkpoint(text);
    } catch (const Malformed& malformed) {
        return malformed.what();
    }
    return "none";
}

TEST(Checkpoint, ReadsTheExampleOfC2sp) {
    const Checkpoint checkpoint = parse_checkpoint(kSofa);
    EXPECT_EQ(checkpoint.origin, "example.com/behind-the-sofa");
    EXPECT_EQ(checkpoint.size, 20852163u);
    EXPECT_EQ(to_base64(checkpoint.root), kRoot);
    EXPECT_EQ(checkpoint.extensions, "");
    EXPECT_EQ(format_checkpoint(checkpoint), kSofa);
}

TEST(Checkpoint, KeepsExtensionLines) {
    const std::string text = kSofa + "one\ntwo three\n";
    EXPECT_EQ(parse_checkpoint(text).extensions, "one\ntwo three\n");
    EXPECT_EQ(format_checkpoint(parse_checkpoint(text)), text);
}

TEST(Checkpoint, HasSizesFromZeroToTheBiggestTree) {
    for (const std::uint64_t size : {std::uint64_t{0}, kMaxTreeSize}) {
        const Checkpoint checkpoint{"o", size, Digest{}};
        EXPECT_EQ(parse_checkpoint(format_checkpoint(checkpoint)), checkpoint);
    }
    EXPECT_THROW(format_checkpoint({"o", kMaxTreeSize + 1, Digest{}}), std::invalid_argument);
}

TEST(Checkpoint, SaysWhatIsWrong) {
    const std::string lines = "the checkpoint does not have the lines origin, size and root";
    const std::string size = "the size in the checkpoint is not a number from 0 to 2^63 - 1";
    const std::string root = "the root in the checkpoint is not 32 bytes in base64";
    EXPECT_EQ(complaint(""), lines);
    EXPECT_EQ(complaint("o\n1\n"), lines);
    EXPECT_EQ(complaint(kSofa.substr(0, kSofa.size() - 1)), lines);
    EXPECT_EQ(complaint("\n1\n" + kRoot + "\n"), "the origin of the checkpoint is empty");
    for (const char* number :
         {"", "-1", "+1", "01", " 1", "1 ", "1x", "0x1", "9223372036854775808", "1\r"}) {
        EXPECT_EQ(complaint("o\n" + std::string(number) + "\n" + kRoot + "\n"), size) << number;
    }
    EXPECT_EQ(complaint("o\n1\n\n"), root);
    EXPECT_EQ(complaint("o\n1\n" + kRoot + " \n"), root);
    EXPECT_EQ(complaint("o\n1\n" + kRoot.substr(4) + "\n"), root);
    EXPECT_EQ(complaint("o\n1\nAAAA" + kRoot + "\n"), root);
    EXPECT_EQ(complaint(kSofa + "\n"), "the checkpoint has an empty line");
    EXPECT_EQ(complaint(kSofa + "x\n\ny\n"), "the checkpoint has an empty line");
    EXPECT_EQ(complaint(kSofa + "x"), "the checkpoint does not end with a newline");
}

TEST(Checkpoint, IsNotWrittenIfItCouldNotBeRead) {
    EXPECT_THROW(format_checkpoint({"", 1, Digest{}}), std::invalid_argument);
    EXPECT_THROW(format_checkpoint({"a\nb", 1, Digest{}}), std::invalid_argument);
    EXPECT_THROW(format_checkpoint({"o", 1, Digest{}, "x"}), std::invalid_argument);
    EXPECT_THROW(format_checkpoint({"o", 1, Digest{}, "\n"}), std::invalid_argument);
}

}  // namespace
}  // namespace auditchain
