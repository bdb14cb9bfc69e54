#include "pg/archive_key.h"

#include "core/hmac.h"
#include "core/malformed.h"
#include "pg/barrier.h"
#include "pg/key_source.h"
#include "pg/settings.h"

namespace auditchain::pg {
namespace {

KeySource archive_source() {
    return {"archive key",
            "auditchain.archive_key_file",
            "auditchain.archive_key_command",
            "This makes a key: (umask 077; openssl rand -hex 32 > FILE)",
            archive_key_file,
            archive_key_command};
}

[[noreturn]] void refuse_key(const KeyFault& fault) {
    ereport(ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("the server has no archive key"),
            errdetail("%s", fault.detail), errhint("%s", fault.hint));
    pg_unreachable();
}

void parse_keys(const KeyText& text, ArchiveKeys* out, KeyFault* fault) {
    barrier([&] {
        try {
            ReceiptSecrets secrets;
            parse_receipt_secrets(text, &secrets);
            if (secrets.evolving_line >= 0) {
                throw Malformed("it has an evolving key, which is for receipts");
            }
            std::copy_n(secrets.secrets.begin(), secrets.count, out->keys);
            out->count = static_cast<int>(secrets.count);
        } catch (const Malformed& e) {
            set_fault(fault, archive_source().how_to_make, "It is malformed: %s.", e.what());
        }
    });
}

}  // namespace

bool has_archive_key() {
    // Without preloading there are no such settings.
    return archive_key_file != nullptr && is_set(archive_source());
}

void read_archive_keys(ArchiveKeys* out) {
    out->count = 0;
    KeyFault fault = {};
    if (!has_archive_key()) {
        set_fault(&fault,
                  "Set auditchain.archive_key_file or auditchain.archive_key_command; both need "
                  "auditchain in shared_preload_libraries.",
                  "No setting names one.");
        refuse_key(fault);
    }
    KeyText text;
    if (read_key_text(archive_source(), &text, &fault)) {
        parse_keys(text, out, &fault);
    }
    erase_key_text(&text);
    if (out->count == 0) {
        refuse_key(fault);
    }
}

void erase_keys(ArchiveKeys* keys) {
    erase({reinterpret_cast<std::uint8_t*>(keys), sizeof *keys});
}

}  // namespace auditchain::pg
