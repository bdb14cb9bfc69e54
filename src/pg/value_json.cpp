#include "pg/value_writer.h"

extern "C" {
#include <utils/jsonb.h>
#include <utils/numeric.h>
}

namespace auditchain::pg {
namespace {

void write_scalar(JsonWriter& json, const JsonbValue& value) {
    switch (value.type) {
        case jbvNull:
            json.null();
            break;
        case jbvString:
            write_text(json, value.val.string.val, value.val.string.len);
            break;
        case jbvNumeric:
            // jsonb holds no NaN and no infinity: this is always a JSON number.
            json.number(DatumGetCString(
                DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric))));
            break;
        case jbvBool:
            json.boolean(value.val.boolean);
            break;
        default:
            elog(ERROR, "unexpected jsonb value type %d", static_cast<int>(value.type));
    }
}

}  // namespace

void write_jsonb(JsonWriter& json, Datum value) {
    Jsonb* document = DatumGetJsonbP(value);
    JsonbIterator* iterator = JsonbIteratorInit(&document->root);
    JsonbValue item;
    JsonbIteratorToken token;
    bool raw_scalar = false;
    while ((token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE) {
        switch (token) {
            case WJB_BEGIN_OBJECT:
                json.begin_object();
                break;
            case WJB_END_OBJECT:
                json.end_object();
                break;
            case WJB_BEGIN_ARRAY:
                // A scalar document is stored as an array of one.
                raw_scalar = item.val.array.rawScalar;
                if (!raw_scalar) {
                    json.begin_array();
                }
                break;
            case WJB_END_ARRAY:
                if (!raw_scalar) {
                    json.end_array();
                }
                break;
            case WJB_KEY:
                write_key(json, item.val.string.val, item.val.string.len);
                break;
            default:
                write_scalar(json, item);
        }
    }
}

}  // namespace auditchain::pg
