// Bundles that somebody changed who knows the format: all sums are as they should be.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zstd.h>

#include "bundle_entry.h"
#include "bundle_fixture.h"
#include "lines.h"
#include "malformed.h"

namespace auditchain::test {
namespace {

/// A bundle taken apart, whose entries can be edited.
class OpenBundle {
  public:
    explicit OpenBundle(const std::string& bundle) {
        TarReader tar;
        tar.feed(bundle);
        while (auto file = tar.next()) {
            files_.push_back(std::move(*file));
        }
        text.resize(ZSTD_getFrameContentSize(entries().data(), entries().size()));
        ZSTD_decompress(text.data(), text.size(), entries().data(), entries().size());
        manifest = parse_bundle_manifest(head(), files_.back().content);
    }

    /// Each line without its newline.
    std::vector<std::string> lines() const {
        std::vector<std::string> lines;
        std::string_view rest = text;
        while (const auto line = take_line(rest)) {
            lines.emplace_back(*line);
        }
        return lines;
    }

    /// Put lines in and number them anew.
    void set_lines(const std::vector<std::string>& lines) {
        text.clear();
        std::uint64_t leaf = 0;
        for (const std::string& line : lines) {
            BundleLine parsed;
            parse_bundle_line(line, &parsed);
            text += "{\"leaf\":" + std::to_string(leaf) + line.substr(line.find(',')) + "\n";
            leaf += parsed.is_entry ? 1 : std::uint64_t{1} << parsed.subtree.subtree.level;
        }
    }

    std::string close() {
        std::string& file = entries();
        file.resize(ZSTD_compressBound(text.size()));
        file.resize(ZSTD_compress(file.data(), file.size(), text.data(), text.size(), 3));
        Sha256 sha256;
        std::string out;
        for (std::size_t i = 0; i < files_.size(); ++i) {
            TarFile& file = files_[i];
            if (i + 1 < files_.size()) {
                manifest.files[i] = {file.name, file.content.size(), sha256({file.content})};
            } else {
                file.content = format_bundle_manifest(head(), manifest);
            }
            const auto header = tar_header(file.name, file.content.size(), 1778336760);
            out.append(header.data(), header.size()).append(file.content);
            out.append(tar_padding(file.content.size()), '\0');
        }
        return out.append(kTarEnd, '\0');
    }

    std::string text;
    BundleContents manifest;

  private:
    const std::string& head() const { return files_[1].content; }
    std::string& entries() { return files_[4].content; }

    std::vector<TarFile> files_;
};

/// What is found after the lines were edited.
std::string tampered(const std::function<void(std::vector<std::string>&)>& edit,
                     bool renumber = true) {
    OpenBundle bundle(SmallLog().whole_bundle());
    std::vector<std::string> lines = bundle.lines();
    edit(lines);
    if (renumber) {
        bundle.set_lines(lines);
    } else {
        bundle.text.clear();
        for (const std::string& line : lines) {
            bundle.text += line + "\n";
        }
    }
    return found(verify_bundle(bundle.close()));
}

void replace(std::string& text, std::string_view old, std::string_view now) {
    const auto at = text.find(old);
    ASSERT_NE(at, text.npos);
    text.replace(at, old.size(), now);
}

/// The line of an entry, made again after `edit`.
void edit_entry(std::string& line, const std::function<void(BundledEntry&)>& edit) {
    BundleLine parsed;
    parse_bundle_line(line, &parsed);
    edit(parsed.entry);
    std::string name = "[]/0";
    parsed.entry.chain = name;
    line.clear();
    append_entry_line(line, parsed.entry);
    line.pop_back();
}

TEST(BundleTamper, NothingIsFoundInWhatIsOnlyPutTogetherAgain) {
    EXPECT_EQ(tampered([](auto&) {}), "");
}

TEST(BundleTamper, NoEndOfViolations) {
    SealedLog log;
    const std::uint64_t entries = kMaxBundleFindings + 500;
    for (std::uint64_t i = 0; i < entries; ++i) {
        log.append("[]/0", "{\"id\":1}");
    }
    OpenBundle bundle(log.whole_bundle());
    std::vector<std::string> lines = bundle.lines();
    for (std::string& line : lines) {
        replace(line, "\\\"id\\\":1", "\\\"id\\\":2");
    }
    bundle.set_lines(lines);
    const BundleVerdict verdict = verify_bundle(bundle.close());
    ASSERT_EQ(verdict.findings.size(), kMaxBundleFindings + 1);
    EXPECT_EQ(verdict.findings.back().detail, "and 500 more violations");
}

TEST(BundleTamper, EditedPayload) {
    EXPECT_EQ(tampered([](auto& lines) { replace(lines[3], "\\\"id\\\":3", "\\\"id\\\":4"); }),
              "[]/0 4 content_modified\n");
}

TEST(BundleTamper, EditedPayloadAndChecksum) {
    EXPECT_EQ(tampered([](auto& lines) {
                  edit_entry(lines[3], [](BundledEntry& entry) {
                      Sha256 sha256;
                      entry.payload = "{}";
                      entry.checksum = entry_checksum(sha256, entry.previous, entry.payload);
                  });
              }),
              "[]/0 5 link_broken\n");
    EXPECT_EQ(tampered([](auto& lines) {
                  edit_entry(lines[3], [](BundledEntry& entry) {
                      entry.payload = "{}";
                      entry.checksum.bytes[0] ^= 1;
                  });
              }),
              "[]/0 4 content_modified\n");
}

TEST(BundleTamper, EditedPreviousChecksum) {
    EXPECT_EQ(tampered([](auto& lines) {
                  edit_entry(lines[3], [](BundledEntry& entry) { entry.previous.bytes[5] ^= 1; });
              }),
              "[]/0 4 link_broken\n");
    EXPECT_EQ(tampered([](auto& lines) {
                  edit_entry(lines[0], [](BundledEntry& entry) { entry.previous.bytes[5] ^= 1; });
              }),
              "[]/0 1 link_broken\n");
}

TEST(BundleTamper, LastEntryRewritten) {
    EXPECT_EQ(tampered([](auto& lines) {
                  edit_entry(lines[6], [](BundledEntry& entry) {
                      Sha256 sha256;
                      entry.payload = "{}";
                      entry.checksum = entry_checksum(sha256, entry.previous, entry.payload);
                  });
              }),
              " 0 checkpoint_mismatch\n");
}

TEST(BundleTamper, RemovedEntries) {
    EXPECT_EQ(tampered([](auto& lines) { lines.erase(lines.begin() + 3); }),
              "[]/0 4 entry_missing\n");
    EXPECT_EQ(tampered([](auto& lines) { lines.erase(lines.begin() + 3); }, false),
              "[]/0 4 entry_missing\n");
    EXPECT_EQ(tampered([](auto& lines) { lines.erase(lines.begin()); }), "[]/0 1 entry_missing\n");
    EXPECT_EQ(tampered([](auto& lines) { lines.erase(lines.begin() + 4, lines.begin() + 7); }),
              "[]/0 5 entry_missing\n");
}

TEST(BundleTamper, RemovedEntriesThatTheManifestDoesNotNameEither) {
    OpenBundle bundle(SmallLog().whole_bundle());
    std::vector<std::string> lines = bundle.lines();
    lines.resize(7);
    bundle.set_lines(lines);
    bundle.manifest.chains.erase("[\"te\\\"nant\"]/1");
    bundle.manifest.entries = 7;
    EXPECT_EQ(found(verify_bundle(bundle.close())), " 0 entry_missing\n");
}

TEST(BundleTamper, SwappedAndDoubledEntries) {
    EXPECT_EQ(tampered([](auto& lines) { lines.insert(lines.begin() + 3, lines[3]); }),
              "[]/0 4 entry_duplicated\n");
    EXPECT_NE(tampered([](auto& lines) { std::swap(lines[2], lines[3]); }), "");
    EXPECT_NE(tampered([](auto& lines) { std::swap(lines[6], lines[7]); }), "");
    EXPECT_NE(tampered([](auto& lines) { std::swap(lines[6], lines[7]); }, false), "");
}

TEST(BundleTamper, SeveralCauses) {
    EXPECT_EQ(tampered([](auto& lines) {
                  replace(lines[1], "\\\"id\\\":1", "\\\"id\\\":2");
                  lines.erase(lines.begin() + 8);
              }),
              "[]/0 2 content_modified\n[\"te\\\"nant\"]/1 2 entry_missing\n");
}

TEST(BundleTamper, AManifestOfOtherEntries) {
    OpenBundle bundle(SmallLog().whole_bundle());
    bundle.manifest.chains["[]/0"].parts[0].previous.bytes[0] ^= 1;
    EXPECT_THROW(verify_bundle(bundle.close()), Malformed);
}

}  // namespace
}  // namespace auditchain::test
