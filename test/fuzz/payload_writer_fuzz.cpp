// Fuzzes PayloadWriter with libFuzzer. The first byte says what the others are: a JSON text, or
// choices for a tree of calls that the slow reference writes too.
//
//     CXX=clang++ cmake -B build-fuzz -DAUDITCHAIN_FUZZ=ON -DBUILD_TESTING=OFF
//     cmake --build build-fuzz && build-fuzz/test/fuzz/payload_writer_fuzz -max_total_time=60
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "json_replay.h"
#include "payload_writer.h"
#include "reference_json.h"
#include "require.h"

namespace {

using namespace auditchain;

/// Makes the choices of a random tree from the input; zeros when that is used up.
class Choices {
  public:
    explicit Choices(std::string_view bytes) : bytes_(bytes) {}

    std::size_t operator()(std::size_t bound) {
        if (bytes_.empty()) {
            return 0;
        }
        const auto byte = static_cast<unsigned char>(bytes_.front());
        bytes_.remove_prefix(1);
        return byte % bound;
    }

  private:
    std::string_view bytes_;
};

/// Whether the names of every object ascend by UTF-16 code units.
class SortedCheck : public nlohmann::json_sax<nlohmann::json> {
  public:
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return names_.emplace_back(), true; }
    bool end_object() override { return names_.pop_back(), true; }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
        return false;
    }
    bool key(string_t& name) override {
        std::u16string units = test::to_utf16(name);
        const bool sorted = names_.back().empty() || names_.back().back() < units;
        names_.back().push_back(std::move(units));
        return sorted;
    }

  private:
    std::vector<std::vector<std::u16string>> names_;
};

void check_document(std::string_view json) {
    const auto canonical = test::replay(json);
    if (!canonical) {
        return;
    }
    const auto again = test::replay(canonical->text);
    require(again.has_value());
    require(again->text == canonical->text);
    require(again->has_duplicate_key == canonical->has_duplicate_key);
    SortedCheck sorted;
    require(nlohmann::json::sax_parse(canonical->text, &sorted) != canonical->has_duplicate_key);
    if (!canonical->has_duplicate_key) {
        require(nlohmann::json::parse(json) == nlohmann::json::parse(canonical->text));
    }
}

void check_calls(std::string_view bytes) {
    Choices choices(bytes);
    const test::Node node = test::make_node(choices, 8);
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    test::write(writer, node, choices);
    require(writer.text() == test::canonical(node));
    require(writer.has_duplicate_key() == node.has_duplicate_key());
    require(scratch.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (!input.empty()) {
        input.front() % 2 == 0 ? check_document(input.substr(1)) : check_calls(input.substr(1));
    }
    return 0;
}
