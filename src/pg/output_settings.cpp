#include "pg/output_settings.h"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <pgtime.h>
#include <utils/bytea.h>
#include <utils/float.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

struct FixedSetting {
    const char* name;
    const char* value;
    bool (*holds)();
};

// One bit each of an OutputDependence, in the order of kFixedSettings.
enum : OutputDependence {
    kDateStyle = 1 << 0,
    kIntervalStyle = 1 << 1,
    kTimeZone = 1 << 2,
    kFloatDigits = 1 << 3,
    kByteaOutput = 1 << 4,
    kSearchPath = 1 << 5,
    kQuotes = 1 << 6,
    kMonetary = 1 << 7,
    kAllSettings = 0xFF,
};

constexpr FixedSetting kFixedSettings[] = {
    {"DateStyle", "ISO, MDY",
     [] { return DateStyle == USE_ISO_DATES && DateOrder == DATEORDER_MDY; }},
    {"IntervalStyle", "postgres", [] { return IntervalStyle == INTSTYLE_POSTGRES; }},
    {"TimeZone", "UTC", [] { return session_timezone == pg_tzset("UTC"); }},
    {"extra_float_digits", "1", [] { return extra_float_digits == 1; }},
    {"bytea_output", "hex", [] { return bytea_output == BYTEA_OUTPUT_HEX; }},
    // Temporary tables last, or one named like a catalog would change how that is printed.
    {"search_path", "pg_catalog, pg_temp",
     [] { return strcmp(namespace_search_path, "pg_catalog, pg_temp") == 0; }},
    {"quote_all_identifiers", "off", [] { return !quote_all_identifiers; }},
    // By name: its variable is declared in a header that wants those of ICU.
    {"lc_monetary", "C",
     [] { return strcmp(GetConfigOption("lc_monetary", false, false), "C") == 0; }},
};

struct TypeDependence {
    Oid type;
    OutputDependence settings;
};

// Types of PostgreSQL by the settings that change their output. What is not listed is printed under
// all fixed settings, which costs more and is right for every type. Types that payloads do not
// write as text are here for their arrays and ranges.
constexpr TypeDependence kTypes[] = {
    {UUIDOID, 0},
    {INETOID, 0},
    {CIDROID, 0},
    {MACADDROID, 0},
    {MACADDR8OID, 0},
    {BITOID, 0},
    {VARBITOID, 0},
    {TIMEOID, 0},
    {XMLOID, 0},
    {TSVECTOROID, 0},
    {TSQUERYOID, 0},
    {OIDOID, 0},
    {XIDOID, 0},
    {XID8OID, 0},
    {CIDOID, 0},
    {TIDOID, 0},
    {PG_LSNOID, 0},
    {JSONPATHOID, 0},
    {INT4RANGEOID, 0},
    {INT8RANGEOID, 0},
    {NUMRANGEOID, 0},
    {INT4MULTIRANGEOID, 0},
    {INT8MULTIRANGEOID, 0},
    {NUMMULTIRANGEOID, 0},
    {INT2VECTOROID, 0},
    {OIDVECTOROID, 0},
    {DATEOID, kDateStyle},
    {TIMESTAMPOID, kDateStyle},
    {TIMETZOID, kDateStyle},
    {DATERANGEOID, kDateStyle},
    {DATEMULTIRANGEOID, kDateStyle},
    {TSRANGEOID, kDateStyle},
    {TSMULTIRANGEOID, kDateStyle},
    {TIMESTAMPTZOID, kDateStyle | kTimeZone},
    {TSTZRANGEOID, kDateStyle | kTimeZone},
    {TSTZMULTIRANGEOID, kDateStyle | kTimeZone},
    {INTERVALOID, kIntervalStyle},
    {FLOAT4OID, kFloatDigits},
    {FLOAT8OID, kFloatDigits},
    {POINTOID, kFloatDigits},
    {LSEGOID, kFloatDigits},
    {PATHOID, kFloatDigits},
    {BOXOID, kFloatDigits},
    {POLYGONOID, kFloatDigits},
    {LINEOID, kFloatDigits},
    {CIRCLEOID, kFloatDigits},
    {BYTEAOID, kByteaOutput},
    {CASHOID, kMonetary},
    {REGCLASSOID, kSearchPath | kQuotes},
    {REGPROCOID, kSearchPath | kQuotes},
    {REGPROCEDUREOID, kSearchPath | kQuotes},
    {REGOPEROID, kSearchPath | kQuotes},
    {REGOPERATOROID, kSearchPath | kQuotes},
    {REGTYPEOID, kSearchPath | kQuotes},
    {REGROLEOID, kQuotes},
    {REGNAMESPACEOID, kQuotes},
    {REGCONFIGOID, kSearchPath | kQuotes},
    {REGDICTIONARYOID, kSearchPath | kQuotes},
    {REGCOLLATIONOID, kSearchPath | kQuotes},
};

}  // namespace

OutputDependence output_dependence(Oid type) {
    if (Oid element = get_element_type(type); OidIsValid(element)) {
        return output_dependence(element);
    }
    if (get_typtype(type) == TYPTYPE_ENUM) {
        return 0;
    }
    auto listed = std::find_if(std::begin(kTypes), std::end(kTypes),
                               [type](const TypeDependence& t) { return t.type == type; });
    return listed != std::end(kTypes) ? listed->settings
                                      : static_cast<OutputDependence>(kAllSettings);
}

OutputSettings enter_output_settings(OutputDependence dependence) {
    int guc_level = 0;
    for (std::size_t i = 0; dependence >> i != 0; i++) {
        const FixedSetting& setting = kFixedSettings[i];
        if ((dependence >> i & 1) == 0 || setting.holds()) {
            continue;
        }
        if (guc_level == 0) {
            guc_level = NewGUCNestLevel();
        }
        set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                          true, 0, false);
    }
    return {guc_level};
}

void leave_output_settings(OutputSettings settings) {
    if (settings.guc_level != 0) {
        AtEOXact_GUC(true, settings.guc_level);
    }
}

}  // namespace auditchain::pg
