#include "witness_state.h"

#include <nlohmann/json.hpp>

#include "base64.h"

namespace auditchain::cli {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

WitnessedLog log_from(const json& value) {
    const auto root = digest_from_base64(value.at("root").get<std::string>());
    if (!root) {
        throw Unusable("a root in the state file is none");
    }
    return {value.at("database"), value.at("log"),           value.at("origin"),
            value.at("key"),      {value.at("size"), *root}, value.at("accepted_at"),
            value.at("sealed_at")};
}

json json_of(const WitnessedLog& log) {
    return {{"database", log.database},       {"log", log.log},
            {"origin", log.origin},           {"key", log.key},
            {"size", log.tree.size},          {"root", to_base64(log.tree.root)},
            {"accepted_at", log.accepted_at}, {"sealed_at", log.sealed_at}};
}

}  // namespace

WitnessState::WitnessState(std::string path) : path_(std::move(path)), lock_(path_ + ".lock") {
    const auto text = read_file(path_);
    if (!text) {
        return;
    }
    try {
        const json state = json::parse(*text);
        if (state.at("version") != kVersion) {
            throw Unusable(path_ + " is of another version of this program");
        }
        for (const auto& [log_id, value] : state.at("logs").items()) {
            logs_[log_id] = log_from(value);
        }
    } catch (const json::exception& e) {
        throw Unusable(path_ + " is not the state of a witness: " + e.what());
    }
}

void WitnessState::remember(const std::string& log_id, const WitnessedLog& log) {
    logs_[log_id] = log;
    json logs = json::object();
    for (const auto& [id, known] : logs_) {
        logs[id] = json_of(known);
    }
    replace_file(path_, json{{"version", kVersion}, {"logs", logs}}.dump(2) + "\n");
}

}  // namespace auditchain::cli
