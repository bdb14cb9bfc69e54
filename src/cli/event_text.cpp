#include "event_text.h"

#include <map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "printable.h"

namespace auditchain::cli {
namespace {

constexpr const char* kNothing = "-";

std::string in_quotes(const std::string& text) {
    return json_line(nlohmann::json(text));
}

/// A text as it is where that is one word that cannot be taken for something else, or as JSON.
std::string word(const std::string& text) {
    const bool bare =
        !text.empty() && text != kNothing && text.find_first_of(" \"\\=") == text.npos;
    return bare && printable(text) == text ? text : in_quotes(text);
}

/// Reads an event: its members, those of its details apart, each as text to be shown. The parser's
/// values would not do: a numeric must not become a double.
class EventReader : public nlohmann::json_sax<nlohmann::json> {
  public:
    std::map<std::string, std::string> members;                ///< that are not null
    std::vector<std::pair<std::string, std::string>> details;  ///< in the order they have

    bool null() override { return depth_ == 1 || put("null"); }
    bool boolean(bool value) override { return put(value ? "true" : "false"); }
    bool number_integer(number_integer_t value) override { return put(std::to_string(value)); }
    bool number_unsigned(number_unsigned_t value) override { return put(std::to_string(value)); }
    bool number_float(number_float_t, const string_t& text) override { return put(text); }
    bool string(string_t& value) override {
        const bool is_chain = depth_ == 1 && name_ == "chain";  // its name is JSON already
        return put(is_chain ? value : is_field() ? word(value) : in_quotes(value));
    }
    bool binary(binary_t&) override { return false; }  // not in JSON

    bool start_object(std::size_t) override { return open("{"); }
    bool end_object() override { return close("}"); }
    bool start_array(std::size_t) override { return open("["); }
    bool end_array() override { return close("]"); }

    bool key(string_t& name) override {
        if (depth_ == 1) {
            in_details_ = name == "details";
        }
        if (depth_ == 1 || is_field()) {
            name_ = name;
        } else {
            value_ += separator_ + in_quotes(name) + ":";
            separator_.clear();
        }
        return true;
    }

    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
        return false;
    }

  private:
    /// Whether a value that comes now is a field of its own, and no part of one.
    bool is_field() const { return depth_ == (in_details_ ? 2 : 1); }

    bool put(const std::string& text) {
        value_ += separator_ + text;
        separator_ = ",";
        if (is_field()) {
            add_field();
        }
        return true;
    }

    void add_field() {
        if (in_details_) {
            details.emplace_back(name_, value_);
        } else {
            members[name_] = value_;
        }
        value_.clear();
        separator_.clear();
    }

    bool open(const char* bracket) {
        const bool is_frame = depth_ == 0 || (depth_ == 1 && in_details_);
        if (!is_frame) {
            value_ += separator_ + bracket;
            separator_.clear();
        }
        ++depth_;
        return true;
    }

    bool close(const char* bracket) {
        --depth_;
        if (depth_ == 1 && in_details_) {
            in_details_ = false;  // the end of the details
        } else if (depth_ > 0) {
            value_ += bracket;
            separator_ = ",";
            if (is_field()) {
                add_field();
            }
        }
        return true;
    }

    int depth_ = 0;
    bool in_details_ = false;
    std::string name_;
    std::string value_;      // of the field that is being read
    std::string separator_;  // before the next value within it
};

}  // namespace

std::vector<std::string> event_lines(std::string_view event) {
    EventReader reader;
    if (!nlohmann::json::sax_parse(event, &reader)) {
        return {printable(event)};
    }
    auto& members = reader.members;
    const auto shown = [&members](const char* name) {
        const std::string& value = members[name];
        return value.empty() ? kNothing : printable(value);
    };
    std::vector<std::string> lines = {
        shown("timestamp") + "  " + shown("actor") + "  " + shown("eventType") + "  " +
        shown("chain") + " " + shown("chainPosition") + "  " + shown("checksum").substr(0, 12)};
    std::string rest;
    for (const char* name : {"id", "teamId"}) {
        if (shown(name) != kNothing) {
            rest += std::string(" ") + name + "=" + shown(name);
        }
    }
    for (const auto& [name, value] : reader.details) {
        rest += " " + word(name) + "=" + printable(value);
    }
    if (!rest.empty()) {
        lines.push_back("   " + rest);
    }
    return lines;
}

}  // namespace auditchain::cli
