#include "pg/epoch_seal.h"

#include "core/evolving_key.h"
#include "core/hmac.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/key_ring.h"

namespace auditchain::pg {

void seal_epoch(const Log& log, const Incarnation& incarnation, std::uint64_t size,
                const Digest& root) {
    ReceiptSecret secret;
    EpochSeal seal = {0, static_cast<std::uint32_t>(incarnation.number), size, root,
                      static_cast<std::uint64_t>(time(nullptr))};
    // After the tree was made: so no entry in it has a receipt of a later epoch.
    if (!log.receipts || !evolving_secret(&seal.epoch, &secret)) {
        return;
    }
    Digest mac;
    barrier([&] {
        struct Eraser {
            ReceiptSecret& secret;
            ~Eraser() { erase(secret); }
        } eraser{secret};
        mac = epoch_seal_mac(secret, log.id_text, seal);
    });
    change_catalog(
        "INSERT INTO auditchain.epoch_seal "
        "(log_id, epoch, incarnation, tree_size, root, sealed_at, mac) "
        "VALUES ($1, $2, $3, $4, $5, pg_catalog.to_timestamp($6), $7) "
        "ON CONFLICT (log_id, epoch) DO UPDATE SET incarnation = excluded.incarnation, "
        "tree_size = excluded.tree_size, root = excluded.root, sealed_at = excluded.sealed_at, "
        "mac = excluded.mac",
        {uuid_arg(log.id),
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(seal.epoch))},
         {INT4OID, Int32GetDatum(incarnation.number)},
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(seal.size))},
         {BYTEAOID, digest_datum(seal.root)},
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(seal.time))},
         {BYTEAOID, digest_datum(mac)}});
}

}  // namespace auditchain::pg
