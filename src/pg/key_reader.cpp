#include "pg/key_reader.h"

#include "core/malformed.h"
#include "core/personal_field.h"
#include "pg/settings.h"

namespace auditchain::pg {
namespace {

// Runs what reads a key out of a text, and turns what it throws into a fault.
template <typename Parse>
bool parse_key(const KeySource& source, KeyFault* fault, Parse parse) noexcept {
    try {
        parse();
        return true;
    } catch (const Malformed& error) {
        set_fault(fault, source.how_to_make, "%s is malformed: %s.",
                  source.file[0] != '\0' ? "The file" : "What the command writes", error.what());
    } catch (const std::exception& error) {
        set_fault(fault, "Look at the OpenSSL that the server uses.", "%s.", error.what());
    }
    return false;
}

bool parse_signing_key(const KeySource& source, std::string_view pem, Secrets* out,
                       KeyFault* fault) {
    return parse_key(source, fault, [&] {
        Ed25519PrivateKey::from_pem(pem).seed(&out->seed);
        out->has_seed = true;
    });
}

// Brings a key that has come from its file up to the epoch that it is now, there first.
bool evolve_key(const KeySource& source, const Secrets& now, ReceiptSecrets* secrets,
                KeyFault* fault) {
    if (!is_key_file_replaceable(source, fault)) {
        return false;
    }
    EvolvingKey& key = secrets->evolving;
    std::uint32_t epoch = epoch_at(key, static_cast<std::uint64_t>(time(nullptr)));
    // An older copy of the file does not bring an older epoch back, nor does a clock that was set
    // back.
    if (now.evolving_line >= 0 && now.evolving.start == key.start &&
        now.evolving.length == key.length) {
        epoch = std::max(epoch, now.evolving.epoch);
    }
    if (epoch <= key.epoch) {
        return true;
    }
    evolve(&key, epoch);
    KeyText text;
    text.size = format_receipt_secrets(*secrets, text.bytes);
    bool done = write_key_file(source, text, fault);
    erase_key_text(&text);
    return done;
}

bool parse_receipt_key(const KeySource& source, std::string_view text, const Secrets& now,
                       Secrets* out, KeyFault* fault) {
    bool evolved = true;
    return parse_key(source, fault,
                     [&] {
                         ReceiptSecrets secrets;
                         parse_receipt_secrets(text, &secrets);
                         evolved =
                             secrets.evolving_line < 0 || evolve_key(source, now, &secrets, fault);
                         std::copy_n(secrets.secrets.begin(), secrets.count, out->receipt);
                         out->count = static_cast<int>(secrets.count);
                         out->evolving = secrets.evolving;
                         out->evolving_line = secrets.evolving_line;
                     }) &&
           evolved;
}

bool parse_personal_key(const KeySource& source, std::string_view text, Secrets* out,
                        KeyFault* fault) {
    return parse_key(source, fault, [&] {
        ReceiptSecrets secrets;
        parse_receipt_secrets(text, &secrets);
        if (secrets.evolving_line >= 0) {
            throw Malformed("it has an evolving key, which is for receipts");
        }
        std::copy_n(secrets.secrets.begin(), secrets.count, out->personal);
        out->personal_count = static_cast<int>(secrets.count);
    });
}

// Reads a key's text and parses it; true also when the settings name none.
template <typename Parse>
bool read_key(const KeySource& source, KeyFault* fault, Parse parse) {
    fault->detail[0] = '\0';
    if (!is_set(source)) {
        return true;
    }
    KeyText text;
    bool done = read_key_text(source, &text, fault) && parse(text);
    erase_key_text(&text);
    return done;
}

}  // namespace

KeySource signing_source() {
    return {"signing key",
            "auditchain.signing_key_file",
            "auditchain.signing_key_command",
            "This makes a key: openssl genpkey -algorithm ed25519 -out FILE",
            signing_key_file,
            signing_key_command};
}

KeySource receipt_source() {
    return {"receipt key",
            "auditchain.receipt_key_file",
            "auditchain.receipt_key_command",
            "This makes a key: (umask 077; openssl rand -hex 32 > FILE)",
            receipt_key_file,
            receipt_key_command};
}

KeySource personal_source() {
    return {"personal key",
            "auditchain.personal_key_file",
            "auditchain.personal_key_command",
            "This makes a key: (umask 077; openssl rand -hex 32 > FILE)",
            personal_key_file,
            personal_key_command};
}

bool read_signing_key(const KeySource& source, Secrets* out, KeyFault* fault) {
    return read_key(source, fault, [&](std::string_view text) {
        return parse_signing_key(source, text, out, fault);
    });
}

bool read_receipt_key(const KeySource& source, const Secrets& now, Secrets* out, KeyFault* fault) {
    return read_key(source, fault, [&](std::string_view text) {
        return parse_receipt_key(source, text, now, out, fault);
    });
}

bool read_personal_key(const KeySource& source, Secrets* out, KeyFault* fault) {
    return read_key(source, fault, [&](std::string_view text) {
        return parse_personal_key(source, text, out, fault);
    });
}

bool name_secret(const ReceiptSecret& secret, SecretName name) {
    KeyFault fault;
    return parse_key(receipt_source(), &fault, [&] {
        Sha256 sha256;
        strlcpy(name, receipt_key_id(sha256, secret).c_str(), sizeof(SecretName));
    });
}

bool name_personal_key(const ReceiptSecret& key, SecretName name) {
    KeyFault fault;
    return parse_key(personal_source(), &fault, [&] {
        Sha256 sha256;
        strlcpy(name, personal_key_id(sha256, key).c_str(), sizeof(SecretName));
    });
}

}  // namespace auditchain::pg
