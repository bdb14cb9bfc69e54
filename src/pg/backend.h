// What every file of the backend part includes first: the C++ library, then PostgreSQL.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

extern "C" {
#include <postgres.h>

#include <fmgr.h>
#include <utils/builtins.h>
}

#include "pg/compat.h"

// Declares an SQL-callable function. PG_FUNCTION_INFO_V1 exports only the info record, so the
// function itself is exported here.
#define AUDITCHAIN_FUNCTION(name)                   \
    extern "C" {                                    \
    PG_FUNCTION_INFO_V1(name);                      \
    AUDITCHAIN_EXPORT Datum name(PG_FUNCTION_ARGS); \
    }                                               \
    Datum name([[maybe_unused]] PG_FUNCTION_ARGS)
