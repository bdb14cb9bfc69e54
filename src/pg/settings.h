// The settings auditchain.*: docs/settings.md.
#pragma once

namespace auditchain::pg {

extern bool pipelined_commit;
extern int cached_heads;
extern int checkpoint_interval;  // seconds; 0: no sealer
extern int retention_interval;   // seconds; 0: by hand only
extern int minimum_retention;    // minutes
extern char* archive_directory;  // "": none
extern char* signing_key_file;
extern char* signing_key_command;
extern char* receipt_key_file;
extern char* receipt_key_command;
extern char* archive_key_file;  // nullptr without preloading, as all of these
extern char* archive_key_command;
extern char* personal_key_file;
extern char* personal_key_command;

void define_settings();

}  // namespace auditchain::pg
