#include "pg/receipt.h"

#include "core/leaf.h"
#include "core/lines.h"
#include "core/receipt.h"
#include "pg/barrier.h"
#include "pg/key_ring.h"

extern "C" {
#include <access/xact.h>
#include <access/xlog.h>
#include <common/hashfn.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

constexpr int kEvolving = -1;  // number of the evolving key's secret; others are plain

// How long a key may be in use behind the end of its epoch: what the launcher may take to replace
// it.
constexpr std::uint64_t kGraceSeconds = 60;

// Deriving the key of a chain costs several times what a receipt does. So the backend keeps the
// makers it used last, each in the one place that the hash of its key has; those of an evolving key
// not beyond the end of the transaction.
struct KeptMaker {
    int secret;
    std::uint32_t epoch;
    char* key;
    std::size_t key_length;
    ReceiptMaker* maker;  // nullptr: the place is free
};

constexpr std::size_t kKeptMakers = 1024;
KeptMaker kept[kKeptMakers] = {};
bool keeps_evolving = false;        // some of them are of an evolving key
std::uint64_t kept_generation = 0;  // of the keys that they are derived from
int secret_count = 0;               // plain ones
EvolvingState evolving = {};

// OpenSSL erases the key.
void drop(KeptMaker* place) {
    delete place->maker;
    place->maker = nullptr;
    if (place->key != nullptr) {
        pfree(place->key);
        place->key = nullptr;
    }
}

// Forgets what was derived from keys that the server has no more.
void follow_key_ring() {
    std::uint64_t generation = key_generation();
    if (generation != kept_generation) {
        for (KeptMaker& place : kept) {
            drop(&place);
        }
        keeps_evolving = false;
        // Before the secrets are looked at: if they change now, this happens again.
        kept_generation = generation;
        secret_count = receipt_secret_count();
        evolving = evolving_state();
    }
}

void forget_evolving(XactEvent event, void*) {
    // Before those events locks are held and rows may come still.
    if (!keeps_evolving || event == XACT_EVENT_PRE_COMMIT ||
        event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) {
        return;
    }
    for (KeptMaker& place : kept) {
        if (place.maker != nullptr && place.secret == kEvolving) {
            drop(&place);
        }
    }
    keeps_evolving = false;
}

// Leaves the maker out when the secret is gone meanwhile.
void derive(KeptMaker* place, std::string_view key) {
    ReceiptSecret secret;
    place->epoch = 0;
    bool found = place->secret == kEvolving ? evolving_secret(&place->epoch, &secret)
                                            : receipt_secret(place->secret, &secret);
    if (!found) {
        return;
    }
    barrier([&] {
        struct Eraser {
            ReceiptSecret& secret;
            ~Eraser() { erase(secret); }
        } eraser{secret};
        place->maker = new ReceiptMaker(secret, key);
    });
    keeps_evolving |= place->secret == kEvolving;
}

// What makes receipts for chains of this key with the secret of this number; nullptr when there is
// no such secret.
const KeptMaker* find_maker(int number, std::string_view key) {
    follow_key_ring();
    if (number == kEvolving ? !evolving.exists : number >= secret_count) {
        return nullptr;
    }
    std::uint32_t hash = hash_bytes(reinterpret_cast<const unsigned char*>(key.data()),
                                    static_cast<int>(key.size()));
    KeptMaker* place = &kept[(hash + static_cast<std::uint32_t>(number)) % kKeptMakers];
    if (place->maker == nullptr || place->secret != number ||
        key != std::string_view(place->key, place->key_length)) {
        drop(place);
        place->key = static_cast<char*>(MemoryContextAlloc(TopMemoryContext, key.size()));
        memcpy(place->key, key.data(), key.size());
        place->key_length = key.size();
        place->secret = number;
        derive(place, key);
    }
    return place->maker == nullptr ? nullptr : place;
}

Digest receipt_of(ReceiptMaker* maker, const Log& log, const ReceiptPlace& place) {
    Digest receipt;
    barrier([&] {
        std::string chain(place.key);
        chain.append("/").append(to_decimal(static_cast<std::uint64_t>(place.lane)));
        receipt = (*maker)(entry_leaf(log.id_text, chain, place.position, place.checksum));
    });
    return receipt;
}

bool matches(int number, const Log& log, const ReceiptPlace& place, const Receipt& receipt) {
    const KeptMaker* found = find_maker(number, place.key);
    return found != nullptr && found->epoch == receipt.epoch &&
           equal_in_constant_time(receipt_of(found->maker, log, place), receipt.mac);
}

[[noreturn]] void refuse_overdue_key(const Log& log) {
    KeyState state = receipt_key_state();
    ereport(
        ERROR, errcode(ERRCODE_AC_NO_KEY),
        errmsg("log \"%s\" has receipts, and the server's receipt key was not replaced in time",
               get_rel_name(log.relation)),
        errdetail("Epoch %u ended more than %d seconds ago.%s%s", evolving.epoch,
                  static_cast<int>(kGraceSeconds), state.advice == nullptr ? "" : " ",
                  state.advice == nullptr ? "" : state.advice),
        errhint("The background worker \"auditchain launcher\" replaces it: the server's log says "
                "why it does not. Then SELECT auditchain.reload_keys()."));
    pg_unreachable();
}

ReceiptState check_evolving(ReceiptCheck* check, const ReceiptPlace& place,
                            const Receipt& receipt) {
    if (evolving.exists && matches(kEvolving, *check->log, place, receipt)) {
        return ReceiptState::valid;
    }
    // The key may just have evolved. On a standby, it may be behind the primary's.
    follow_key_ring();
    if (evolving.exists && (receipt.epoch < evolving.epoch || RecoveryInProgress())) {
        check->past++;
        return ReceiptState::unchecked;
    }
    return ReceiptState::invalid;
}

}  // namespace

Receipt make_receipt(const Log& log, const ReceiptPlace& place) {
    follow_key_ring();
    int number = evolving.in_use ? kEvolving : 0;
    if (evolving.in_use &&
        static_cast<std::uint64_t>(time(nullptr)) >= evolving.end + kGraceSeconds) {
        refuse_overdue_key(log);
    }
    const KeptMaker* found = find_maker(number, place.key);
    if (found == nullptr) {
        refuse_without_receipt_key(psprintf("log \"%s\" has receipts", get_rel_name(log.relation)));
    }
    return {number == kEvolving, found->epoch, receipt_of(found->maker, log, place)};
}

bool read_receipt(Datum value, Receipt* receipt) {
    struct varlena* bytes = PG_DETOAST_DATUM_PACKED(value);
    return parse_receipt({VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)}, receipt);
}

Datum receipt_datum(const Receipt& receipt) {
    auto* bytes = static_cast<bytea*>(palloc(VARHDRSZ + kEvolvingReceiptSize));
    std::span<std::uint8_t, kEvolvingReceiptSize> out(
        reinterpret_cast<std::uint8_t*>(VARDATA(bytes)), kEvolvingReceiptSize);
    SET_VARSIZE(bytes, VARHDRSZ + write_receipt(receipt, out));
    return PointerGetDatum(bytes);
}

ReceiptCheck begin_receipt_check(const Log& log) {
    return {&log, 0, false, 0};
}

ReceiptState check_receipt(ReceiptCheck* check, const ReceiptPlace& place, const Receipt* receipt) {
    const Log& log = *check->log;
    if (!log.receipts) {
        return ReceiptState::unchecked;
    }
    follow_key_ring();
    if (secret_count == 0 && !evolving.exists) {
        check->unchecked = true;
        return ReceiptState::unchecked;
    }
    if (receipt == nullptr) {
        return ReceiptState::invalid;
    }
    if (receipt->evolving) {
        return check_evolving(check, place, *receipt);
    }
    if (matches(check->secret, log, place, *receipt)) {
        return ReceiptState::valid;
    }
    for (int number = 0; number < secret_count; number++) {
        if (number != check->secret && matches(number, log, place, *receipt)) {
            check->secret = number;
            return ReceiptState::valid;
        }
    }
    return ReceiptState::invalid;
}

const char* warn_unchecked(const ReceiptCheck& check) {
    if (check.past > 0) {
        return psprintf(" %lld receipt%s of other epochs cannot be checked here.",
                        static_cast<long long>(check.past), check.past == 1 ? "" : "s");
    }
    if (!check.unchecked) {
        return "";
    }
    ereport(WARNING, errcode(ERRCODE_AC_NO_KEY),
            errmsg("receipts of log \"%s\" were not checked", get_rel_name(check.log->relation)),
            errdetail("The server has no receipt key, so a chain that was computed anew is not "
                      "found."),
            errhint("auditchain.status() shows the keys of the server."));
    return " Receipts were not checked: the server has no receipt key.";
}

void init_receipts() {
    RegisterXactCallback(forget_evolving, nullptr);
}

}  // namespace auditchain::pg
