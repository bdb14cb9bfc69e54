// Verification of notes and proofs in SQL: needs no log, and no right on any.

#include "core/base64.h"
#include "core/malformed.h"
#include "core/merkle_proof.h"
#include "core/note.h"
#include "core/tlog_proof.h"
#include "pg/barrier.h"
#include "pg/entry.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/array.h>
}

namespace auditchain::pg {
namespace {

// Reads what comes from outside: an error for what is no `thing`.
template <typename Action>
void read_given(const char* thing, Action&& action) {
    char fault[256] = "";
    barrier([&] {
        try {
            action();
        } catch (const Malformed& e) {
            strlcpy(fault, e.what(), sizeof fault);
        }
    });
    if (fault[0] != '\0') {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("this is no %s", thing),
                errdetail("%s", fault),
                errhint("Pass it as it was given out, line breaks included."));
    }
}

std::string_view text_argument(text* argument) {
    return {VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument)};
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain;
using namespace auditchain::pg;

// verify_inclusion(proof text, leaf text, verifier_key text) → boolean
AUDITCHAIN_FUNCTION(auditchain_verify_inclusion) {
    std::string_view proof = text_argument(PG_GETARG_TEXT_PP(0));
    std::string_view leaf = text_argument(PG_GETARG_TEXT_PP(1));
    std::string_view vkey = text_argument(PG_GETARG_TEXT_PP(2));
    Sha256& hasher = sha256();
    bool valid = false;
    read_given("proof by a log's key", [&] {
        const VerifierKey key = parse_verifier_key(hasher, vkey);
        valid = key.type == SignatureType::ed25519 &&
                verify_tlog_proof(hasher, proof, leaf, key).check == ProofCheck::valid;
    });
    PG_RETURN_BOOL(valid);
}

// verify_consistency(old_size bigint, old_root bytea, new_size bigint, new_root bytea, proof
// text[]) → boolean
AUDITCHAIN_FUNCTION(auditchain_verify_consistency) {
    constexpr int kMaxHashes = 128;  // more has no proof
    std::int64_t sizes[] = {PG_GETARG_INT64(0), PG_GETARG_INT64(2)};
    Digest roots[2];
    Datum* texts;
    bool* nulls;
    int count;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(4), TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls,
                      &count);
    if (sizes[0] < 0 || sizes[1] < 0 || count > kMaxHashes ||
        !read_digest(PG_GETARG_DATUM(1), &roots[0]) ||
        !read_digest(PG_GETARG_DATUM(3), &roots[1])) {
        PG_RETURN_BOOL(false);
    }
    Digest proof[kMaxHashes];
    bool valid = true;
    for (int i = 0; valid && i < count; i++) {
        std::string_view line =
            nulls[i] ? std::string_view() : text_argument(DatumGetTextPP(texts[i]));
        barrier([&] {
            const auto hash = digest_from_base64(line);
            valid = hash.has_value();
            proof[i] = hash.value_or(Digest{});
        });
    }
    Sha256& hasher = sha256();
    barrier([&] {
        valid = valid && verify_consistency(hasher, sizes[0], roots[0], sizes[1], roots[1],
                                            {proof, static_cast<std::size_t>(count)});
    });
    PG_RETURN_BOOL(valid);
}

// verify_note(note text, verifier_key text) → boolean
AUDITCHAIN_FUNCTION(auditchain_verify_note) {
    std::string_view note = text_argument(PG_GETARG_TEXT_PP(0));
    std::string_view vkey = text_argument(PG_GETARG_TEXT_PP(1));
    Sha256& hasher = sha256();
    bool valid = false;
    read_given("note, or no verifier key", [&] {
        valid = verify_note(hasher, parse_note(note), parse_verifier_key(hasher, vkey)).result ==
                SignatureCheck::valid;
    });
    PG_RETURN_BOOL(valid);
}
