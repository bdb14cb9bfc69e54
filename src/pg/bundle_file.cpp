#include "pg/bundle_file.h"

#include "core/json_cursor.h"
#include "core/lines.h"
#include "core/malformed.h"
#include "pg/archive_key.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/progress.h"
#include "pg/verify.h"

extern "C" {
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/memutils.h>
}

#include <cerrno>
#include <unistd.h>

namespace auditchain::pg {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

// Everything that has a destructor: it goes with a memory context.
struct Reading {
    explicit Reading(const ArchiveKeys& server)
        : verifier({.archive_keys = server.count > 0 ? &keys : nullptr, .signers = {}}) {
        std::copy_n(server.keys, server.count, keys.secrets.begin());
        keys.count = static_cast<std::size_t>(server.count);
    }

    ReceiptSecrets keys;
    Sha256 file_sha256;
    Sha256 sha256;
    TarReader tar;
    BundleVerifier verifier;
    BundleVerdict verdict;
    std::uint64_t entries = 0;  // of the file of entries that was read last
    std::string text;           // its lines
    std::string_view rest;      // of it, that was not given out yet
    BundleLine line;
    std::string_view escaped;  // name of the chain, as it stands in the text
    std::string chain;
};

void delete_reading(void* reading) {
    delete static_cast<Reading*>(reading);
}

Reading* make_reading() {
    ArchiveKeys server = {};
    if (has_archive_key()) {
        read_archive_keys(&server);
    }
    auto* callback = static_cast<MemoryContextCallback*>(palloc0(sizeof(MemoryContextCallback)));
    callback->func = delete_reading;
    barrier([&] { callback->arg = new Reading(server); });
    erase_keys(&server);
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return static_cast<Reading*>(callback->arg);
}

// Runs what reads a part of a bundle; false, with the reason, where it is malformed.
template <typename Action>
bool attempt(const char** unusable, Action&& action) {
    char fault[512] = "";
    bool done = false;
    barrier([&] {
        try {
            action();
            done = true;
        } catch (const Malformed& e) {
            strlcpy(fault, e.what(), sizeof fault);
        }
    });
    if (!done) {
        *unusable = bundle_text(fault);
    }
    return done;
}

// Reads the next file of the bundle, if all of it is there.
bool next_file(Reading* reading, const char* log_id) {
    auto file = reading->tar.next();
    if (!file) {
        return false;
    }
    reading->entries = 0;
    reading->rest = {};
    reading->escaped = {};
    if (auto work = reading->verifier.take(std::move(*file), reading->tar.time())) {
        if (work->log_id != log_id) {
            throw Malformed("it is of another log");
        }
        reading->text = read_lines(*work);
        auto result = look_at(reading->sha256, *work, reading->text);
        reading->entries = result.chunk.entries;
        reading->verifier.add(std::move(result));
        reading->rest = reading->text;
    }
    return true;
}

// The next entry of the file of entries; false at its end.
bool next_entry(Reading* reading) {
    while (auto line = take_line(reading->rest)) {
        parse_bundle_line(*line, &reading->line);
        BundledEntry& entry = reading->line.entry;
        if (!reading->line.is_entry) {
            continue;
        }
        if (reading->escaped != entry.chain) {
            reading->escaped = entry.chain;
            reading->chain.resize(entry.chain.size());
            reading->chain.resize(static_cast<std::size_t>(
                unescape(entry.chain, reading->chain.data()) - reading->chain.data()));
        }
        entry.chain = reading->chain;
        return true;
    }
    return false;
}

bool give_entries(Reading* reading, const BundleEntryReceiver& receiver, const char** unusable) {
    for (bool found = true; found;) {
        CHECK_FOR_INTERRUPTS();
        if (!attempt(unusable, [&] { found = next_entry(reading); })) {
            return false;
        }
        if (found) {
            receiver.take(receiver.state, reading->line.entry);
        }
    }
    return true;
}

bool read_files(Reading* reading, const Log& log, const BundleEntryReceiver* receiver,
                const char** unusable) {
    for (bool found = true; found;) {
        CHECK_FOR_INTERRUPTS();
        if (!attempt(unusable, [&] { found = next_file(reading, log.id_text); }) ||
            (receiver != nullptr && !give_entries(reading, *receiver, unusable))) {
            return false;
        }
        advance_progress(progress_slot(), static_cast<std::int64_t>(reading->entries));
    }
    return true;
}

// The number of bytes, 0 at the end, or -1 and errno.
ssize_t read_piece(int fd, char* buffer) {
    for (;;) {
        ssize_t count = read(fd, buffer, kPiece);
        if (count >= 0 || errno != EINTR) {
            return count;
        }
        CHECK_FOR_INTERRUPTS();
    }
}

bool exists(const char* sql, std::initializer_list<Arg> args) {
    query_catalog_as_seen(sql, args);
    return SPI_processed > 0;
}

}  // namespace

BundleFileContents read_bundle_file(int fd, const Log& log, const BundleEntryReceiver* receiver) {
    BundleFileContents contents = {};
    Reading* reading = make_reading();
    auto* buffer = static_cast<char*>(palloc(kPiece));
    barrier([&] { reading->file_sha256.begin(); });
    ssize_t count;
    // A file is read to its end even if it is no bundle: it has a sum.
    while ((count = read_piece(fd, buffer)) > 0) {
        contents.size += count;
        std::string_view piece(buffer, static_cast<std::size_t>(count));
        barrier([&] { reading->file_sha256.add(piece); });
        if (contents.unusable == nullptr) {
            barrier([&] { reading->tar.feed(piece); });
            read_files(reading, log, receiver, &contents.unusable);
        }
        CHECK_FOR_INTERRUPTS();
    }
    if (count < 0) {
        contents.unusable = pstrdup(strerror(errno));
    }
    pfree(buffer);
    barrier([&] { contents.sha256 = reading->file_sha256.end(); });
    if (contents.unusable == nullptr && attempt(&contents.unusable, [&] {
            reading->tar.finish();
            reading->verdict = reading->verifier.finish();
        })) {
        contents.verdict = &reading->verdict;
    }
    return contents;
}

const char* foreign_tree(const Log& log, const BundleVerdict& verdict) {
    const BundleHead& head = verdict.head;
    if (head.log_id != log.id_text) {
        return "it is of another log";
    }
    // A key may have been exchanged since, and another life of the log may have sealed the tree.
    bool sealed = exists(
        "SELECT FROM auditchain.checkpoint WHERE log_id = $1 AND tree_size = $2 AND "
        "root = $3 LIMIT 1",
        {uuid_arg(log.id),
         {INT8OID, Int64GetDatum(static_cast<std::int64_t>(head.tree_size))},
         {BYTEAOID, digest_datum(head.root)}});
    bool trusted =
        !verdict.signer.empty() &&
        exists("SELECT FROM auditchain.checkpoint WHERE log_id = $1 AND verifier_key = $2 LIMIT 1",
               {uuid_arg(log.id), text_arg(bundle_text(verdict.signer))});
    if (!sealed && !trusted) {
        return "it is of a tree that the log has no checkpoint of, and no key of the log has "
               "signed "
               "it";
    }
    return nullptr;
}

void report_bundle(const BundleFileContents& contents, const ViolationReceiver& receiver) {
    if (contents.unusable != nullptr) {
        receiver.take(receiver.state,
                      {nullptr, 0, auditchain::name(Violation::archive_mismatch),
                       psprintf("the bundle cannot be read: %s", contents.unusable)});
        return;
    }
    for (const BundleFinding& finding : contents.verdict->findings) {
        receiver.take(receiver.state, {finding.chain.empty() ? nullptr : bundle_text(finding.chain),
                                       finding.position, auditchain::name(finding.kind),
                                       bundle_text(finding.detail)});
    }
}

const char* bundle_text(std::string_view text) {
    auto size = static_cast<int>(text.size());
    char* copy = pnstrdup(text.data(), text.size());
    if (pg_verify_mbstr(PG_UTF8, copy, size, true)) {
        return pg_any_to_server(copy, size, PG_UTF8);
    }
    std::replace_if(
        copy, copy + size, [](unsigned char c) { return c >= 0x80; }, '?');
    return copy;
}

}  // namespace auditchain::pg
