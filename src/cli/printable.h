// Text of others, made fit to be shown.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace auditchain::cli {

/// Return a text on one line for a terminal: characters that could make it show other things than
/// are there (controls, line breaks, changes of the direction of writing) as \u and their number,
/// bytes that are not UTF-8 as a question mark. JSON stays JSON with the same meaning.
std::string printable(std::string_view text);

/// Return the same of a text of several lines, without the line break at its end.
std::string printable_lines(std::string_view text);

/// Return JSON on one line, whatever bytes are in it, fit for a terminal.
std::string json_line(const nlohmann::json& value);

}  // namespace auditchain::cli
