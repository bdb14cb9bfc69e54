// Writes a numeric from its bytes, as numeric_out() prints it. They have been what follows since
// PostgreSQL 9.1 and pg_upgrade keeps them, though only utils/adt/numeric.c declares them:
//
//     long:  16 bits  sign (2 bits), scale (14)                 then  16 bits  weight
//     short: 16 bits  10, sign (1 bit), scale (6), weight (7, the first of them its sign)
//     NaN and infinities: 16 bits that begin with 11
//
// and then digits to the base of 10000, 16 bits each, without zeros at either end. The first is
// worth 10000 ^ weight; the scale is the number of decimal digits behind the point.

#include "core/digits.h"
#include "pg/value_writer.h"

extern "C" {
#include <utils/numeric.h>
}

namespace auditchain::pg {
namespace {

constexpr int kDigitWidth = 4;
constexpr int kMaxDigits = 16;  // before the point, and behind it

// A digit is four decimal ones.
struct Decimal {
    bool negative;
    int weight;
    int scale;
    const char* digits;  // not aligned
    int count;

    std::uint16_t digit(int index) const {
        std::uint16_t value = 0;
        if (index >= 0 && index < count) {
            memcpy(&value, digits + index * sizeof value, sizeof value);
        }
        return value;
    }
    // Whether put_decimal can write it: not one that is very long, or damaged, such that two values
    // would read the same.
    bool is_usual() const {
        bool usual = weight < kMaxDigits && scale <= kMaxDigits * kDigitWidth;
        for (int i = 0; usual && i < count; i++) {
            usual = digit(i) < 10000;
        }
        return usual;
    }
};

std::uint16_t read_uint16(const char* bytes) {
    std::uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

Decimal read_decimal(const char* bytes, int size) {
    std::uint16_t header = read_uint16(bytes);
    constexpr int kWidth = sizeof header;
    if ((header & 0x8000) != 0) {
        int weight = header & 0x3F;
        return {(header & 0x2000) != 0, (header & 0x40) != 0 ? weight - 0x40 : weight,
                (header & 0x1F80) >> 7, bytes + kWidth, size / kWidth - 1};
    }
    return {(header & 0x4000) != 0, static_cast<std::int16_t>(read_uint16(bytes + kWidth)),
            header & 0x3FFF, bytes + 2 * kWidth, size / kWidth - 2};
}

char* put_decimal(char* out, const Decimal& decimal) {
    if (decimal.negative) {
        *out++ = '-';
    }
    char group[kDigitWidth];
    write_digits(group, decimal.weight < 0 ? 0 : decimal.digit(0), kDigitWidth);
    const char* first =
        std::find_if(group, group + kDigitWidth - 1, [](char c) { return c != '0'; });
    out = std::copy(first, static_cast<const char*>(group + kDigitWidth), out);
    for (int i = 1; i <= decimal.weight; i++) {
        out = write_digits(out, decimal.digit(i), kDigitWidth);
    }
    if (decimal.scale > 0) {
        *out++ = '.';
        char* end = out + decimal.scale;
        for (int i = decimal.weight + 1; out < end; i++) {
            out = write_digits(out, decimal.digit(i), kDigitWidth);
        }
        out = end;
    }
    return out;
}

}  // namespace

void write_numeric(JsonWriter& json, Datum value) {
    struct varlena* numeric = PG_DETOAST_DATUM_PACKED(value);
    const char* bytes = VARDATA_ANY(numeric);
    if ((read_uint16(bytes) & 0xC000) == 0xC000) {
        // NaN and the infinities, which JSON has no number for, are strings.
        json.string(DatumGetCString(DirectFunctionCall1(numeric_out, value)));
        return;
    }
    Decimal decimal = read_decimal(bytes, static_cast<int>(VARSIZE_ANY_EXHDR(numeric)));
    if (!decimal.is_usual()) {
        json.number(DatumGetCString(DirectFunctionCall1(numeric_out, value)));
        return;
    }
    char text[2 + (2 * kMaxDigits + 1) * kDigitWidth];
    char* end = put_decimal(text, decimal);
    json.number({text, static_cast<std::size_t>(end - text)});
}

}  // namespace auditchain::pg
