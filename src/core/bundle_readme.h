#pragma once

#include <string_view>

namespace auditchain {

// clang-format off
/// README.txt of every bundle.
inline constexpr std::string_view kBundleReadmeText =
R"README(An auditchain bundle: entries of a tamper-evident log, and what proves them.

  bundle.json       which log, when, and the tree of entries that was sealed
  checkpoint.note   the seal: number of entries and root of the tree, signed
  checkpoint.vkey   the public key of the signature: compare it with the one that
                    the owner of the log has published, or given you before
  entries/          the entries, in files of lines (JSON), compressed
  manifest.json     all of bundle.json, and which positions of which chain are
                    here, with the SHA-256 of every other file

The programs that check all of it, without the database:

  auditchain verify --key "$(cat the-key-that-you-trust)" bundle.tar
  python3 verify_bundle.py bundle.tar

By hand, with tar, zstd, sha256sum and openssl:

  tar -xf bundle.tar
  zstd -dc entries/000001.jsonl.zst | less
  sha256sum README.txt bundle.json checkpoint.* entries/0*

The sums are those in manifest.json. Files that end in .enc are encrypted: only
the program reads them, with --key-file.

A line with a payload is an entry. Its checksum is the SHA-256 of the checksum
before it, in hexadecimal digits, and the payload, with nothing between them. So
one entry, with jq:

  zstd -dc entries/000001.jsonl.zst | sed -n 1p |
      jq -j '.previous_checksum + .payload' | sha256sum

The previous checksum of an entry is the checksum of the entry one position
before it in its chain; before position 1 it is 64 zeros. So nothing between two
entries of a chain can have been changed or left out unnoticed.

All entries of the log are leaves of one Merkle tree (RFC 6962). A leaf is these
five lines, each ended by a newline, and its hash the SHA-256 of a zero byte and
the leaf:

  auditchain/v1
  log.id of bundle.json
  chain
  position
  checksum

A line with "leaves" has the hash of as many leaves, from "leaf" on, that are not
in this bundle. Hashed in pairs, as RFC 6962 section 2.1 says, all lines in their
order lead to the root in checkpoint.note, which the key in checkpoint.vkey has
signed (Ed25519; a C2SP signed note: c2sp.org/signed-note).

All of this is written down in docs/bundle.md and docs/format.md of auditchain.
)README";
// clang-format on

}  // namespace auditchain
