#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bundle_fixture.h"
#include "malformed.h"
#include "random.h"

namespace auditchain::test {
namespace {

ReceiptSecrets* archive_keys() {
    static ReceiptSecrets keys;
    parse_receipt_secrets(std::string(64, '1') + "\n" + std::string(64, '2') + "\n", &keys);
    return &keys;
}

TEST(Bundle, WholeLogIsIntact) {
    SmallLog log;
    const std::string bundle = log.whole_bundle();
    const BundleVerdict verdict = verify_bundle(bundle);
    EXPECT_EQ(found(verdict), "");
    EXPECT_EQ(verdict.entries, 11U);
    EXPECT_EQ(verdict.chains.size(), 2U);
    EXPECT_EQ(verdict.head.log_name, "public.\"events\"");
    EXPECT_EQ(verdict.head.context, log.head().context);
    EXPECT_EQ(verdict.sealed_at, 1778336760U);
    EXPECT_FALSE(verdict.signer_trusted);
}

TEST(Bundle, TheSameEntriesMakeTheSameBytes) {
    EXPECT_EQ(SmallLog().whole_bundle(), SmallLog().whole_bundle());
}

TEST(Bundle, ComesInPiecesOfAnySize) {
    const std::string bundle = SmallLog().whole_bundle();
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{511}, std::size_t{512}, bundle.size()}) {
        EXPECT_EQ(found(verify_bundle(bundle, {}, piece)), "") << piece;
    }
}

TEST(Bundle, NeedsTheSignerThatIsTrusted) {
    SmallLog log;
    const std::string bundle = log.whole_bundle();
    EXPECT_TRUE(verify_bundle(bundle, {nullptr, {log.verifier_key()}}).signer_trusted);
    const VerifierKey other{log.origin(), SignatureType::ed25519, test_key('2').public_key()};
    EXPECT_EQ(found(verify_bundle(bundle, {nullptr, {other}})), " 0 checkpoint_mismatch\n");
    VerifierKey restored = log.verifier_key();
    restored.name.back() = '9';
    EXPECT_TRUE(verify_bundle(bundle, {nullptr, {other, restored}}).signer_trusted);
    VerifierKey other_log = log.verifier_key();
    other_log.name[12] = '9';
    EXPECT_EQ(found(verify_bundle(bundle, {nullptr, {other_log}})), " 0 checkpoint_mismatch\n");
    const std::string unsealed = log.bundle(std::vector<bool>(11, true), nullptr, false);
    EXPECT_EQ(found(verify_bundle(unsealed)), "");
    EXPECT_EQ(found(verify_bundle(unsealed, {nullptr, {log.verifier_key()}})),
              " 0 checkpoint_mismatch\n");
}

TEST(Bundle, IsEncryptedForAKey) {
    SmallLog log;
    ReceiptSecrets& keys = *archive_keys();
    const std::string bundle = log.whole_bundle(&keys.secrets[1]);
    EXPECT_EQ(bundle.find("\"id\":3"), bundle.npos);
    EXPECT_NE(bundle.find("entries/000001.jsonl.zst.enc"), bundle.npos);
    EXPECT_EQ(found(verify_bundle(bundle, {&keys, {}})), "");
    EXPECT_THROW(verify_bundle(bundle), Malformed);
    ReceiptSecrets other;
    parse_receipt_secrets(std::string(64, '3'), &other);
    EXPECT_THROW(verify_bundle(bundle, {&other, {}}), Malformed);
}

TEST(Bundle, IsNotWrittenOfWhatDoesNotHold) {
    SmallLog log;
    const BundleHead head = log.head();
    {
        BundleWriter writer(head, "", "", nullptr);
        OwnedEntry entry = log.entries[0];
        entry.payload += " ";
        EXPECT_EQ(writer.add(entry.view()), BundleWriter::Fault::content);
    }
    {
        BundleWriter writer(head, "", "", nullptr);
        EXPECT_EQ(writer.add(log.entries[0].view()), BundleWriter::Fault::none);
        OwnedEntry entry = log.entries[2];
        entry.position = 2;
        EXPECT_EQ(writer.add(entry.view()), BundleWriter::Fault::link);
    }
    {
        BundleHead other = head;
        other.root.bytes[0] ^= 1;
        BundleWriter writer(other, "", "", nullptr);
        log.write(writer, std::vector<bool>(11, true));
        EXPECT_EQ(writer.finish(), BundleWriter::Fault::tree);
    }
    {
        BundleWriter writer(head, "", "", nullptr);
        log.write(writer, std::vector<bool>(11, true));
        EXPECT_EQ(writer.next_leaf(), 11U);
        EXPECT_THROW(writer.skip({{1, 3}, {}}), std::invalid_argument);
    }
}

/// Any subset of entries is proved, across the ends of files too.
TEST(BundleProperty, AnySubsetIsIntact) {
    Random random;
    for (int round = 0; round < 60; ++round) {
        SealedLog log;
        const std::size_t chains = 1 + random(4);
        const std::size_t size = random(300);
        for (std::size_t i = 0; i < size; ++i) {
            log.append("[" + std::to_string(random(chains)) + "]/0",
                       std::string(random(round < 3 ? 100000 : 200), 'x'), true);
        }
        std::vector<bool> selected(size);
        const std::size_t density = random(101);
        std::size_t entries = 0;
        for (std::size_t i = 0; i < size; ++i) {
            selected[i] = random(100) < density;
            entries += selected[i] ? 1 : 0;
        }
        const BundleVerdict verdict = verify_bundle(log.bundle(selected), {}, 1 << 16);
        ASSERT_EQ(found(verdict), "");
        ASSERT_EQ(verdict.entries, entries);
    }
}

/// No byte of a bundle can be changed unnoticed, nor the end cut off.
void expect_every_byte_counts(const std::string& bundle, const BundleTrust& trust) {
    for (std::size_t i = 0; i < bundle.size(); ++i) {
        std::string changed = bundle;
        changed[i] = static_cast<char>(changed[i] ^ 1 << i % 8);
        try {
            EXPECT_NE(found(verify_bundle(changed, trust, changed.size())), "") << "byte " << i;
        } catch (const Malformed&) {
        }
    }
    for (std::size_t size = 0; size < bundle.size(); size += 97) {
        EXPECT_THROW(verify_bundle(bundle.substr(0, size), trust, bundle.size()), Malformed);
    }
    EXPECT_THROW(verify_bundle(bundle + '\0', trust, bundle.size() + 1), Malformed);
    EXPECT_THROW(verify_bundle(bundle + '\0', trust, bundle.size()), Malformed);
}

TEST(BundleMutation, EveryByteCounts) {
    SmallLog log;
    std::vector<bool> selected(11, true);
    selected[2] = selected[8] = selected[9] = false;
    expect_every_byte_counts(log.bundle(selected), {});
}

TEST(BundleMutation, EveryByteOfAnEncryptedBundleCounts) {
    SealedLog log;
    log.append("[]/0", "{}");
    ReceiptSecrets& keys = *archive_keys();
    expect_every_byte_counts(log.whole_bundle(&keys.secrets[0]), {&keys, {}});
}

/// Files of a bundle, to put together in another way.
std::vector<TarFile> files_of(const std::string& bundle) {
    TarReader tar;
    tar.feed(bundle);
    std::vector<TarFile> files;
    while (auto file = tar.next()) {
        files.push_back(std::move(*file));
    }
    return files;
}

std::string archive_of(const std::vector<TarFile>& files) {
    std::string out;
    for (const TarFile& file : files) {
        const auto header = tar_header(file.name, file.content.size(), 1778336760);
        out.append(header.data(), header.size()).append(file.content);
        out.append(tar_padding(file.content.size()), '\0');
    }
    return out.append(kTarEnd, '\0');
}

TEST(Bundle, EncryptedFilesCannotBeSwappedOrLeftOut) {
    SealedLog log;
    for (int i = 0; i < 3; ++i) {
        log.append("[]/0", std::string(kBundleChunkText, 'x'));
    }
    ReceiptSecrets& keys = *archive_keys();
    const BundleTrust trust{&keys, {}};
    const std::string bundle = log.whole_bundle(&keys.secrets[0]);
    const std::vector<TarFile> files = files_of(bundle);
    ASSERT_EQ(files.size(), 8U);
    ASSERT_EQ(archive_of(files), bundle);
    ASSERT_EQ(found(verify_bundle(bundle, trust)), "");

    std::vector<TarFile> changed = files;
    std::swap(changed[4].content, changed[5].content);
    EXPECT_THROW(verify_bundle(archive_of(changed), trust), Malformed);
    changed = files;
    std::swap(changed[4], changed[5]);
    EXPECT_THROW(verify_bundle(archive_of(changed), trust), Malformed);
    changed = files;
    changed.erase(changed.begin() + 6);
    EXPECT_EQ(found(verify_bundle(archive_of(changed), trust)), "[]/0 3 entry_missing\n");
    changed = files;
    changed[5].content = files_of(log.whole_bundle(&keys.secrets[0]))[5].content;
    EXPECT_THROW(verify_bundle(archive_of(changed), trust), Malformed);
}

TEST(TarReader, RefusesWhatIsNoBundle) {
    for (const std::string& text : {std::string(2048, 'x'), std::string(512, '\0') + "x"}) {
        EXPECT_THROW(verify_bundle(text), Malformed);
    }
    EXPECT_THROW(verify_bundle(std::string(1024, '\0')), Malformed);
    EXPECT_THROW(verify_bundle(""), Malformed);
    EXPECT_THROW(tar_header(std::string(100, 'x'), 0, 0), std::invalid_argument);
    EXPECT_THROW(tar_header("x", kMaxTarFile + 1, 0), std::invalid_argument);
}

/// Whether the size that a header claims is refused before any of the file is there.
bool refuses_size(std::string_view name, std::uint64_t size) {
    const auto header = tar_header(name, size, 0);
    TarReader tar;
    tar.feed({header.data(), header.size()});
    try {
        return tar.next().has_value();
    } catch (const Malformed&) {
        return true;
    }
}

TEST(TarReader, RefusesWhatIsTooBigBeforeItIsThere) {
    for (const std::string_view name : {kBundleReadme, kBundleHead, kBundleNote, kBundleKey,
                                        kBundleManifest, std::string_view("x")}) {
        EXPECT_TRUE(refuses_size(name, kMaxTarFile)) << name;
        EXPECT_FALSE(refuses_size(name, 1 << 20)) << name;
    }
    EXPECT_TRUE(refuses_size(bundle_entries_name(1, true), kMaxTarFile));
    EXPECT_FALSE(refuses_size(bundle_entries_name(1, true), kMaxBundleLine + kBundleChunkText));
    EXPECT_TRUE(refuses_size(kBundleKey, (1 << 20) + 1));
}

TEST(Bundle, AFrameCannotClaimMoreThanItsBlocksMayHave) {
    SealedLog log;
    log.append("[]/0", "{}");
    std::vector<TarFile> files = files_of(log.whole_bundle());
    // A frame of one empty block that says it has 2 GiB of text (RFC 8878, 3.1.1).
    files[4].content = std::string("\x28\xB5\x2F\xFD\xA0\x00\x00\x00\x80\x01\x00\x00", 12);
    try {
        verify_bundle(archive_of(files));
        FAIL();
    } catch (const Malformed& e) {
        EXPECT_NE(std::string_view(e.what()).find("not one frame"), std::string_view::npos)
            << e.what();
    }
}

TEST(FormatUtc, WritesDates) {
    EXPECT_EQ(format_utc(0), "1970-01-01T00:00:00Z");
    EXPECT_EQ(format_utc(951782399), "2000-02-28T23:59:59Z");
    EXPECT_EQ(format_utc(951782400), "2000-02-29T00:00:00Z");
    EXPECT_EQ(format_utc(1778336760), "2026-05-09T14:26:00Z");
    EXPECT_EQ(format_utc(4107542399), "2100-02-28T23:59:59Z");
    EXPECT_EQ(format_utc(4107542400), "2100-03-01T00:00:00Z");
}

}  // namespace
}  // namespace auditchain::test
