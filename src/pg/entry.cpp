#include "pg/entry.h"

#include "core/checksum.h"
#include "pg/barrier.h"

namespace auditchain::pg {

bool read_digest(Datum value, Digest* digest) {
    struct varlena* bytes = PG_DETOAST_DATUM_PACKED(value);
    if (VARSIZE_ANY_EXHDR(bytes) != sizeof digest->bytes) {
        return false;
    }
    memcpy(digest->bytes.data(), VARDATA_ANY(bytes), sizeof digest->bytes);
    return true;
}

Datum digest_datum(const Digest& digest) {
    auto* bytes = static_cast<bytea*>(palloc(VARHDRSZ + sizeof digest.bytes));
    SET_VARSIZE(bytes, VARHDRSZ + sizeof digest.bytes);
    memcpy(VARDATA(bytes), digest.bytes.data(), sizeof digest.bytes);
    return PointerGetDatum(bytes);
}

char* count_entries(std::int64_t count) {
    return psprintf("%lld entr%s", static_cast<long long>(count), count == 1 ? "y" : "ies");
}

Sha256& sha256() {
    // Kept to the end of the backend; no static object, as its destructor would run at exit.
    static Sha256* instance = nullptr;
    if (instance == nullptr) {
        barrier([] { instance = new Sha256; });
    }
    return *instance;
}

Digest checksum_of(const Digest& previous, std::string_view payload) {
    Sha256& hasher = sha256();
    Digest checksum;
    barrier([&] { checksum = entry_checksum(hasher, previous, payload); });
    return checksum;
}

}  // namespace auditchain::pg
