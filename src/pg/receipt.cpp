#include "pg/receipt.h"

#include "core/leaf.h"
#include "core/lines.h"
#include "core/receipt.h"
#include "pg/barrier.h"
#include "pg/key_ring.h"

extern "C" {
#include <common/hashfn.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// Deriving the key of a chain costs several times what a receipt does. So the backend keeps the
// makers it used last, each in the one place that the hash of its key has.
struct KeptMaker {
    int secret;
    char* key;
    std::size_t key_length;
    ReceiptMaker* maker;  // nullptr: the place is free
};

constexpr std::size_t kKeptMakers = 1024;
KeptMaker kept[kKeptMakers] = {};
std::uint64_t kept_generation = 0;  // of the keys that they are derived from
int secret_count = 0;

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
        // Before the secrets are looked at: if they change now, this happens again.
        kept_generation = generation;
        secret_count = receipt_secret_count();
    }
}

// nullptr when the secret is gone meanwhile.
ReceiptMaker* derive(int number, std::string_view key) {
    ReceiptSecret secret;
    if (!receipt_secret(number, &secret)) {
        return nullptr;
    }
    ReceiptMaker* maker = nullptr;
    barrier([&] {
        struct Eraser {
            ReceiptSecret& secret;
            ~Eraser() { erase(secret); }
        } eraser{secret};
        maker = new ReceiptMaker(secret, key);
    });
    return maker;
}

// What makes receipts for chains of this key with the secret of this number; nullptr when there is
// no such secret.
ReceiptMaker* find_maker(int number, std::string_view key) {
    follow_key_ring();
    if (number >= secret_count) {
        return nullptr;
    }
    std::uint32_t hash = hash_bytes(reinterpret_cast<const unsigned char*>(key.data()),
                                    static_cast<int>(key.size()));
    KeptMaker* place = &kept[(hash + static_cast<std::uint32_t>(number)) % kKeptMakers];
    if (place->maker != nullptr && place->secret == number &&
        key == std::string_view(place->key, place->key_length)) {
        return place->maker;
    }
    drop(place);
    place->key = static_cast<char*>(MemoryContextAlloc(TopMemoryContext, key.size()));
    memcpy(place->key, key.data(), key.size());
    place->key_length = key.size();
    place->secret = number;
    place->maker = derive(number, key);
    return place->maker;
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

bool matches(int number, const Log& log, const ReceiptPlace& place, const Digest& receipt) {
    ReceiptMaker* maker = find_maker(number, place.key);
    return maker != nullptr && equal_in_constant_time(receipt_of(maker, log, place), receipt);
}

}  // namespace

Digest make_receipt(const Log& log, const ReceiptPlace& place) {
    ReceiptMaker* maker = find_maker(0, place.key);
    if (maker == nullptr) {
        refuse_without_receipt_key(psprintf("log \"%s\" has receipts", get_rel_name(log.relation)));
    }
    return receipt_of(maker, log, place);
}

ReceiptCheck begin_receipt_check(const Log& log) {
    return {&log, 0, false};
}

ReceiptState check_receipt(ReceiptCheck* check, const ReceiptPlace& place, const Digest* receipt) {
    const Log& log = *check->log;
    if (!log.receipts) {
        return ReceiptState::unchecked;
    }
    follow_key_ring();
    if (secret_count == 0) {
        check->unchecked = true;
        return ReceiptState::unchecked;
    }
    if (receipt == nullptr) {
        return ReceiptState::invalid;
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

}  // namespace auditchain::pg
