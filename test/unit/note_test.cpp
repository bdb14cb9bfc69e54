#include "note.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "core_fixture.h"
#include "malformed.h"
#include "vectors.h"

namespace auditchain {
namespace {

const std::string kName = "example.com/log";
const std::string kText = "example.com/log\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

class NoteTest : public testing::Test {
  protected:
    VerifierKey log_key(char number = '1') {
        return {kName, SignatureType::ed25519, test::test_key(number).public_key()};
    }

    VerifierKey witness_key() {
        return {"witness.example", SignatureType::cosignature, test::test_key('2').public_key()};
    }

    Note signed_note() { return {kText, {sign_note(sha256, kText, kName, test::test_key('1'))}}; }

    Note cosigned_note(std::uint64_t time) {
        Note note = signed_note();
        note.signatures.push_back(
            cosign_note(sha256, kText, "witness.example", time, test::test_key('2')));
        return note;
    }

    SignatureCheck check(const Note& note, const VerifierKey& key) {
        return verify_note(sha256, note, key).result;
    }

    Sha256 sha256;
};

std::string complaint(std::string_view text) {
    try {
        parse_note(text);
    } catch (const Malformed& malformed) {
        return malformed.what();
    }
    return "none";
}

TEST_F(NoteTest, AgreesWithPublishedNotes) {
    for (const auto& vector : test::read_vectors("notes.jsonl")) {
        const auto text = vector["note"].get<std::string>();
        const Note note = parse_note(text);
        EXPECT_EQ(format_note(note), text);
        for (const auto& vkey : vector["keys"]) {
            const VerifierKey key = parse_verifier_key(sha256, vkey.get<std::string>());
            EXPECT_EQ(format_verifier_key(sha256, key), vkey.get<std::string>());
            EXPECT_EQ(check(note, key), SignatureCheck::valid);
        }
        if (vector.contains("seed")) {
            const auto key =
                Ed25519PrivateKey::from_pem(test::pem_from_seed(vector["seed"].get<std::string>()));
            EXPECT_EQ(sign_note(sha256, note.text, note.signatures[0].name, key),
                      note.signatures[0]);
        }
    }
}

TEST_F(NoteTest, ReadsTheExamplesOfC2sp) {
    const std::string sofa =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
        "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyi"
        "n1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    const Note note = parse_note(sofa);
    EXPECT_EQ(format_note(note), sofa);
    ASSERT_EQ(note.signatures.size(), 2u);
    EXPECT_EQ(note.signatures[1].name, "witness.example.com/w1");
    EXPECT_EQ(note.signatures[1].key_id, 0x8d66cf3f);
    EXPECT_EQ(note.signatures[1].signature.size(), 72u);

    const std::string poem =
        "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito "
        "sera.\n\n"
        "— quasimodo.example/salvatore "
        "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0"
        "xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    EXPECT_EQ(format_note(parse_note(poem)), poem);
    EXPECT_TRUE(parse_note(poem).text.ends_with("\n\ned è subito sera.\n"));
}

TEST_F(NoteTest, IsValidOnlyForItsSignerAndText) {
    const Note note = parse_note(format_note(signed_note()));
    EXPECT_EQ(note, signed_note());
    EXPECT_EQ(check(note, log_key()), SignatureCheck::valid);
    EXPECT_EQ(check(note, log_key('2')), SignatureCheck::absent);
    VerifierKey renamed = log_key();
    renamed.name = "example.com/other";
    EXPECT_EQ(check(note, renamed), SignatureCheck::absent);
    VerifierKey retyped = log_key();
    retyped.type = SignatureType::cosignature;
    EXPECT_EQ(check(note, retyped), SignatureCheck::absent);

    Note changed = note;
    changed.text.insert(0, "x");
    EXPECT_EQ(check(changed, log_key()), SignatureCheck::invalid);
    for (std::size_t bit = 0; bit < 8 * 64; ++bit) {
        changed = note;
        changed.signatures[0].signature[bit / 8] ^= static_cast<char>(1 << bit % 8);
        ASSERT_EQ(check(changed, log_key()), SignatureCheck::invalid) << bit;
    }
    changed = note;
    changed.signatures[0].signature.pop_back();
    EXPECT_EQ(check(changed, log_key()), SignatureCheck::invalid);
    changed = note;
    changed.signatures[0].signature += 'x';
    EXPECT_EQ(check(changed, log_key()), SignatureCheck::invalid);
}

TEST_F(NoteTest, AnInvalidSignatureBesideAValidOneIsInvalid) {
    Note note = signed_note();
    note.signatures.push_back(note.signatures[0]);
    EXPECT_EQ(check(note, log_key()), SignatureCheck::valid);
    note.signatures[1].signature[0] ^= 1;
    EXPECT_EQ(check(note, log_key()), SignatureCheck::invalid);
    note.signatures[1].key_id ^= 1;  // now by a key that is not known
    EXPECT_EQ(check(note, log_key()), SignatureCheck::valid);
}

TEST_F(NoteTest, CosignaturesCarryTheirTime) {
    const Note note = parse_note(format_note(cosigned_note(1679315147)));
    EXPECT_EQ(check(note, log_key()), SignatureCheck::valid);
    const NoteCheck cosigned = verify_note(sha256, note, witness_key());
    EXPECT_EQ(cosigned.result, SignatureCheck::valid);
    EXPECT_EQ(cosigned.time, 1679315147u);
    EXPECT_EQ(verify_note(sha256, note, log_key()).time, 0u);

    const std::string& bytes = note.signatures[1].signature;
    ASSERT_EQ(bytes.size(), 72u);
    EXPECT_EQ(bytes.substr(0, 8), test::unhex("00000000641850cb"));
    Ed25519Signature signature;
    std::copy(bytes.begin() + 8, bytes.end(), signature.begin());
    EXPECT_TRUE(
        ed25519_verify(witness_key().key, "cosignature/v1\ntime 1679315147\n" + kText, signature));
}

TEST_F(NoteTest, CosignaturesAreRefusedWhenChanged) {
    const Note note = cosigned_note(1679315147);
    for (std::size_t bit = 0; bit < 8 * 72; ++bit) {
        Note changed = note;
        changed.signatures[1].signature[bit / 8] ^= static_cast<char>(1 << bit % 8);
        ASSERT_EQ(check(changed, witness_key()), SignatureCheck::invalid) << bit;
    }
    for (const std::size_t size : {1, 7, 8, 64, 71}) {
        Note changed = note;
        changed.signatures[1].signature.resize(size);
        EXPECT_EQ(check(changed, witness_key()), SignatureCheck::invalid) << size;
    }
    // The log's signature is no cosignature, even by the same key and with the time zero.
    Note changed = signed_note();
    VerifierKey key = log_key();
    key.type = SignatureType::cosignature;
    changed.signatures[0].key_id = key_id(sha256, key);
    changed.signatures[0].signature.insert(0, std::string(8, '\0'));
    EXPECT_EQ(check(changed, key), SignatureCheck::invalid);
}

TEST_F(NoteTest, TheNewestCosignatureCounts) {
    Note note = cosigned_note(200);
    note.signatures.push_back(cosigned_note(100).signatures[1]);
    EXPECT_EQ(verify_note(sha256, note, witness_key()).time, 200u);
}

TEST_F(NoteTest, CosignaturesHaveALatestTime) {
    EXPECT_EQ(check(cosigned_note(INT64_MAX), witness_key()), SignatureCheck::valid);
    EXPECT_THROW(cosigned_note(std::uint64_t{INT64_MAX} + 1), std::invalid_argument);
}

TEST_F(NoteTest, SaysWhatIsWrongWithANote) {
    const std::string good = format_note(signed_note());
    const std::string line = good.substr(kText.size() + 1);
    EXPECT_EQ(complaint(good), "none");
    const std::string separator = "the note has no empty line between its text and its signatures";
    EXPECT_EQ(complaint(""), separator);
    EXPECT_EQ(complaint(kText), separator);
    EXPECT_EQ(complaint("\n"), separator);
    EXPECT_EQ(complaint(kText + line), separator);
    EXPECT_EQ(complaint("\n" + line), separator) << "a note without text";
    EXPECT_EQ(complaint(kText + "\n"), "the note has no signature");
    EXPECT_EQ(complaint(good + "\n"), "the note has no signature");
    EXPECT_EQ(complaint(good + "x\n"),
              "a signature line of the note does not begin with a dash and a space");
    EXPECT_EQ(complaint(good + "- " + line.substr(4)),
              "a signature line of the note does not begin with a dash and a space");
    EXPECT_EQ(complaint(good + "x"), "the note does not end with a newline");
    const std::string control = "the note contains a control character";
    EXPECT_EQ(complaint("\r" + good), control);
    EXPECT_EQ(complaint("\t" + good), control);
    EXPECT_EQ(complaint(std::string(1, '\0') + good), control);
    EXPECT_EQ(complaint("\xFF" + good), "the note is not valid UTF-8");
    EXPECT_EQ(complaint("\xED\xA0\x80" + good), "the note is not valid UTF-8");
    EXPECT_EQ(complaint(good.substr(0, good.size() - 1)), "the note does not end with a newline");
}

TEST_F(NoteTest, SaysWhatIsWrongWithASignature) {
    const std::string base64 = "a signature of the note is not base64 of a key id and a signature";
    const std::string name = "a signature line of the note does not name its signer";
    for (const char* line : {"— a ", "— a", "— a AAAAAA==", "— a AAAA AAA=", "— a AAAAAAA",
                             "— a AAAAAAA= ", "— a  AAAAAAA=", "— a AAAAAAB="}) {
        EXPECT_EQ(complaint(kText + "\n" + line + "\n"), base64) << line;
    }
    for (const char* line :
         {"—  AAAAAAA=", "— ", "— a+b AAAAAAA=", "— a\u00A0b AAAAAAA=", "— a\u3000b AAAAAAA="}) {
        EXPECT_EQ(complaint(kText + "\n" + line + "\n"), name) << line;
    }
    EXPECT_EQ(complaint(kText + "\n— a AAAAAAA=\n"), "none");
}

TEST_F(NoteTest, EveryPrefixIsRefused) {
    const std::string good = format_note(cosigned_note(1));
    const std::size_t first_signature = format_note(signed_note()).size();
    for (std::size_t n = 0; n < good.size(); ++n) {
        EXPECT_EQ(complaint(good.substr(0, n)) == "none", n == first_signature) << n;
    }
}

TEST_F(NoteTest, HasLimits) {
    Note note = signed_note();
    note.signatures.resize(kMaxNoteSignatures, note.signatures[0]);
    EXPECT_EQ(parse_note(format_note(note)), note);
    note.signatures.push_back(note.signatures[0]);
    EXPECT_THROW(format_note(note), std::invalid_argument);

    const std::string good = format_note(signed_note());
    EXPECT_EQ(complaint(std::string(kMaxNoteSize - good.size(), 'x') + good), "none");
    EXPECT_EQ(complaint(std::string(kMaxNoteSize - good.size() + 1, 'x') + good),
              "the note is longer than 1 MiB");
}

TEST_F(NoteTest, IsNotWrittenIfItCouldNotBeRead) {
    const Note good = signed_note();
    const auto refuses = [&](auto change) {
        Note note = good;
        change(note);
        EXPECT_THROW(format_note(note), std::invalid_argument);
    };
    refuses([](Note& note) { note.text.clear(); });
    refuses([](Note& note) { note.text.pop_back(); });
    refuses([](Note& note) { note.text += "\r\n"; });
    refuses([](Note& note) { note.text += "\xFF\n"; });
    refuses([](Note& note) { note.signatures.clear(); });
    refuses([](Note& note) { note.signatures[0].name = "a b"; });
    refuses([](Note& note) { note.signatures[0].name = ""; });
    refuses([](Note& note) { note.signatures[0].name = "a\n\n— b"; });
    refuses([](Note& note) { note.signatures[0].signature.clear(); });
    EXPECT_THROW(sign_note(sha256, kText, "a b", test::test_key('1')), std::invalid_argument);
    EXPECT_THROW(cosign_note(sha256, kText, "", 1, test::test_key('1')), std::invalid_argument);
}

TEST_F(NoteTest, NamesOfKeysHaveNoSpaces) {
    for (const char* name : {"a", "example.com/log#1", "é", "[\"x\"]", "\xF0\x9F\x94\x91"}) {
        EXPECT_TRUE(is_key_name(name)) << name;
    }
    for (const char* name : {"", " ", "a b", "a+b", "a\n", "a\tb", "a\u0085", "\u1680", "a\u2028",
                             "\uFEFF b", "\xFF", "a\x01"}) {
        EXPECT_FALSE(is_key_name(name)) << name;
    }
}

TEST_F(NoteTest, VerifierKeysAreReadBack) {
    for (const VerifierKey& key : {log_key(), witness_key()}) {
        EXPECT_EQ(parse_verifier_key(sha256, format_verifier_key(sha256, key)), key);
    }
    VerifierKey nameless = log_key();
    nameless.name = "a b";
    EXPECT_THROW(format_verifier_key(sha256, nameless), std::invalid_argument);
}

TEST_F(NoteTest, VerifierKeysMustBeExact) {
    const std::string good =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    EXPECT_EQ(parse_verifier_key(sha256, good).name, "example.com/foo");
    const auto complaint = [&](std::string vkey) -> std::string {
        try {
            parse_verifier_key(sha256, vkey);
        } catch (const Malformed& malformed) {
            return malformed.what();
        }
        return "none";
    };
    const std::string form = "a verifier key has the form <name>+<key id>+<key>";
    const std::string id = "the key id in the verifier key is not that of its name and key";
    EXPECT_EQ(complaint(""), form);
    EXPECT_EQ(complaint("example.com/foo"), form);
    EXPECT_EQ(complaint("example.com/foo+530d903a"), form);
    EXPECT_EQ(complaint(good.substr(good.find('+'))), form);
    EXPECT_EQ(complaint("x " + good), form);
    EXPECT_EQ(complaint("x" + good), id);
    EXPECT_EQ(complaint("example.com/foo+530D903A" + good.substr(good.rfind('+'))), id);
    EXPECT_EQ(complaint("example.com/foo+530d903b" + good.substr(good.rfind('+'))), id);
    EXPECT_EQ(complaint("example.com/foo+" + good.substr(good.rfind('+'))), id);
    EXPECT_EQ(complaint(good + "\n"), "the verifier key is not in base64");
    EXPECT_EQ(complaint("example.com/foo+530d903a+"), "the verifier key is not in base64");
    EXPECT_EQ(complaint(good.substr(0, good.size() - 4)),
              "the verifier key does not have the length of an Ed25519 key");
    EXPECT_EQ(complaint(good + "AAAA"),
              "the verifier key does not have the length of an Ed25519 key");
    EXPECT_EQ(complaint("example.com/foo+530d903a+Aukye" + good.substr(good.rfind('+') + 6)),
              "the verifier key is of a type that is not known");
}

}  // namespace
}  // namespace auditchain
