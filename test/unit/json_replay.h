// Feeds a JSON text to a PayloadWriter, with the members in the order of the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "payload_writer.h"

namespace auditchain::test {

/// Receives the parser's events and calls the writer's function of the same meaning.
class JsonReplay : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit JsonReplay(PayloadWriter<std::string>& writer) : writer_(writer) {}

    bool null() override { return writer_.null(), true; }
    bool boolean(bool value) override { return writer_.boolean(value), true; }
    bool number_integer(number_integer_t value) override {
        return writer_.number(std::to_string(value)), true;
    }
    bool number_unsigned(number_unsigned_t value) override {
        return writer_.number(std::to_string(value)), true;
    }
    bool number_float(number_float_t, const string_t& text) override {
        return writer_.number(text), true;
    }
    bool string(string_t& value) override { return writer_.string(value), true; }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return writer_.begin_object(), true; }
    bool key(string_t& name) override { return writer_.key(name), true; }
    bool end_object() override { return writer_.end_object(), true; }
    bool start_array(std::size_t) override { return writer_.begin_array(), true; }
    bool end_array() override { return writer_.end_array(), true; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
        return false;
    }

  private:
    PayloadWriter<std::string>& writer_;
};

/// What the writer made of a JSON text.
struct Replayed {
    std::string text;
    bool has_duplicate_key;
};

/// Return nothing if the text is not JSON.
inline std::optional<Replayed> replay(std::string_view json) {
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    JsonReplay handler(writer);
    if (!nlohmann::json::sax_parse(json, &handler)) {
        return std::nullopt;
    }
    return Replayed{out, writer.has_duplicate_key()};
}

}  // namespace auditchain::test
