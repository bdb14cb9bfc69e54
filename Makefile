# Builds and installs the extension, and nothing else (PGXS).
# The companion core library, its unit tests and benchmarks are CMake's: see CMakeLists.txt.

EXTENSION = auditchain
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" auditchain.control)

# The install script is made of the parts below, in this order.
SQL_PARTS = schema catalog guard protect payload verify progress keys checkpoint timestamp export bundle retention personal logs locks status grants
VERSIONED_SQL = auditchain--$(EXTVERSION).sql
DATA_built = $(VERSIONED_SQL)

MODULE_big = auditchain
CORE_SOURCES = $(wildcard src/core/*.cpp)
PG_SOURCES = $(wildcard src/pg/*.cpp)
OBJS = $(CORE_SOURCES:.cpp=.o) $(PG_SOURCES:.cpp=.o)

TESTS = $(wildcard test/sql/*.sql)
REGRESS = $(patsubst test/sql/%.sql,%,$(TESTS))
# pg_regress of PostgreSQL 15 looks for NAME.sql in its output directory first: not here, where sql/
# holds the parts of the install script. test/expected is a link to expected/.
REGRESS_OPTS = --inputdir=test --outputdir=test --load-extension=auditchain --encoding=UTF8 --no-locale
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=auditchain
TAP_TESTS = 1
PROVE_TESTS = test/tap/*.pl

SHLIB_LINK = -lstdc++ -lcrypto -lzstd
EXTRA_CLEAN = $(VERSIONED_SQL)

# clang, which would make the JIT bitcode, sees neither our flags nor our standard.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

WARNINGS = -Wall -Wextra $(if $(WERROR),-Werror)
COMMON_FLAGS = -std=c++20 -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -Isrc
CORE_FLAGS = -O2 -g $(WARNINGS) $(COMMON_FLAGS)

# PostgreSQL's headers use `register`, unused parameters and flexible arrays: system headers to us.
override CXXFLAGS := $(filter-out -W%,$(CXXFLAGS)) $(WARNINGS) $(COMMON_FLAGS)
override CPPFLAGS := $(patsubst -I$(includedir_server),-isystem $(includedir_server),$(CPPFLAGS))

# The core knows nothing of PostgreSQL: it is compiled without its include path.
$(CORE_SOURCES:.cpp=.o): %.o: %.cpp
	$(CXX) $(CORE_FLAGS) -c -o $@ $<

$(OBJS): $(wildcard src/core/*.h src/pg/*.h)

$(VERSIONED_SQL): auditchain.control $(SQL_PARTS:%=sql/%.sql)
	cat $(SQL_PARTS:%=sql/%.sql) > $@
