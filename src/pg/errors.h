// The SQLSTATEs of auditchain: class LC ("log chain"), free for implementations to define.
// Listed with their meaning in docs/reference.md.
#pragma once

#include "pg/backend.h"

#define ERRCODE_AC_INTERNAL MAKE_SQLSTATE('L', 'C', '0', '0', '0')
#define ERRCODE_AC_APPEND_ONLY MAKE_SQLSTATE('L', 'C', '0', '0', '1')
#define ERRCODE_AC_HARMFUL_DDL MAKE_SQLSTATE('L', 'C', '0', '0', '2')
#define ERRCODE_AC_NOT_A_LOG MAKE_SQLSTATE('L', 'C', '0', '0', '3')
#define ERRCODE_AC_ALREADY_PROTECTED MAKE_SQLSTATE('L', 'C', '0', '0', '4')
#define ERRCODE_AC_UNSUITABLE_TABLE MAKE_SQLSTATE('L', 'C', '0', '0', '5')
#define ERRCODE_AC_INVALID_ARGUMENT MAKE_SQLSTATE('L', 'C', '0', '0', '6')
#define ERRCODE_AC_CHAIN_COLUMN_WRITTEN MAKE_SQLSTATE('L', 'C', '0', '0', '7')
#define ERRCODE_AC_TRIGGER_ORDER MAKE_SQLSTATE('L', 'C', '0', '0', '8')
#define ERRCODE_AC_DAMAGED_LOG MAKE_SQLSTATE('L', 'C', '0', '0', '9')
#define ERRCODE_AC_UNSUPPORTED_VALUE MAKE_SQLSTATE('L', 'C', '0', '1', '0')
#define ERRCODE_AC_BROKEN_ENTRY MAKE_SQLSTATE('L', 'C', '0', '1', '1')
#define ERRCODE_AC_NO_KEY MAKE_SQLSTATE('L', 'C', '0', '1', '2')
#define ERRCODE_AC_NOT_SEALED MAKE_SQLSTATE('L', 'C', '0', '1', '3')
#define ERRCODE_AC_ARCHIVE_FILE MAKE_SQLSTATE('L', 'C', '0', '1', '4')
#define ERRCODE_AC_HELD MAKE_SQLSTATE('L', 'C', '0', '1', '5')
