#include "pg/output_settings.h"

extern "C" {
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <pgtime.h>
#include <utils/bytea.h>
#include <utils/float.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/rangetypes.h>
}

namespace auditchain::pg {
namespace {

// Types of PostgreSQL whose output no setting changes. What is not listed is printed under fixed
// settings, which costs more and is right for every type.
constexpr Oid kIndependentTypes[] = {
    UUIDOID,
    INETOID,
    CIDROID,
    MACADDROID,
    MACADDR8OID,
    BITOID,
    VARBITOID,
    TIMEOID,
    XMLOID,
    TSVECTOROID,
    TSQUERYOID,
    OIDOID,
    XIDOID,
    XID8OID,
    CIDOID,
    TIDOID,
    PG_LSNOID,
    JSONPATHOID,
    INT4RANGEOID,
    INT8RANGEOID,
    NUMRANGEOID,
    INT4MULTIRANGEOID,
    INT8MULTIRANGEOID,
    NUMMULTIRANGEOID,
    INT2VECTOROID,
    OIDVECTOROID,
};

// Types of PostgreSQL that print the name of an object, qualified where search_path does not find
// it, and money, whose currency sign is lc_monetary's (in an array, say, that is printed as text).
constexpr Oid kNamingOrMoneyTypes[] = {
    CASHOID,    REGCLASSOID, REGPROCOID,      REGPROCEDUREOID, REGOPEROID,       REGOPERATOROID,
    REGTYPEOID, REGROLEOID,  REGNAMESPACEOID, REGCONFIGOID,    REGDICTIONARYOID, REGCOLLATIONOID,
};

void set_for_output(const char* name, const char* value) {
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

OutputDependence output_dependence(Oid type) {
    if (Oid element = get_element_type(type); OidIsValid(element)) {
        return output_dependence(element);
    }
    auto is = [type](Oid candidate) { return candidate == type; };
    if (get_typtype(type) == TYPTYPE_ENUM ||
        std::any_of(std::begin(kIndependentTypes), std::end(kIndependentTypes), is)) {
        return OutputDependence::none;
    }
    bool user_defined = type >= FirstNormalObjectId;
    return user_defined ||
                   std::any_of(std::begin(kNamingOrMoneyTypes), std::end(kNamingOrMoneyTypes), is)
               ? OutputDependence::names
               : OutputDependence::settings;
}

OutputSettings enter_output_settings(OutputDependence dependence) {
    if (dependence == OutputDependence::none) {
        return {0};
    }
    bool names = dependence == OutputDependence::names;
    if (!names && DateStyle == USE_ISO_DATES && DateOrder == DATEORDER_MDY &&
        IntervalStyle == INTSTYLE_POSTGRES && extra_float_digits == 1 &&
        bytea_output == BYTEA_OUTPUT_HEX && session_timezone == pg_tzset("UTC")) {
        return {0};
    }
    int guc_level = NewGUCNestLevel();
    set_for_output("DateStyle", "ISO, MDY");
    set_for_output("IntervalStyle", "postgres");
    set_for_output("TimeZone", "UTC");
    set_for_output("extra_float_digits", "1");
    set_for_output("bytea_output", "hex");
    if (names) {
        // Temporary tables last, or one named like a catalog would change how that is printed.
        set_for_output("search_path", "pg_catalog, pg_temp");
        set_for_output("quote_all_identifiers", "off");
        set_for_output("lc_monetary", "C");
    }
    return {guc_level};
}

void leave_output_settings(OutputSettings settings) {
    if (settings.guc_level != 0) {
        AtEOXact_GUC(true, settings.guc_level);
    }
}

}  // namespace auditchain::pg
