// Microbenchmarks of what the core does for an entry: its payload, and the checksum of that.
//
//     cmake -S . -B build -DAUDITCHAIN_BENCHMARKS=ON && cmake --build build
//     build/bench/payload_benchmark
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "checksum.h"
#include "payload_writer.h"

namespace {

using namespace auditchain;

struct Column {
    std::string key;
    std::string_view text;
};

/// The columns of the usual audit table, as the backend prepares them: in order, with their keys.
std::vector<Column> make_columns() {
    const std::pair<const char*, const char*> columns[] = {
        {"action", "invoice.updated"},
        {"actor", "user_471"},
        {"id", "4711"},
        {"occurred_at", "2026-05-09T14:22:08.118000Z"},
        {"request", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    };
    std::vector<Column> result;
    for (const auto& [name, text] : columns) {
        result.push_back({.key = {}, .text = text});
        append_key(result.back().key, name);
    }
    return result;
}

void write_row(PayloadWriter<std::string>& writer, const std::vector<Column>& columns) {
    writer.reset();
    writer.begin_object();
    for (const Column& column : columns) {
        writer.escaped_key(column.key);
        writer.string(column.text);
    }
    writer.end_sorted_object();
}

void report_bytes(benchmark::State& state, std::size_t bytes) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(bytes));
}

void WriteRow(benchmark::State& state) {
    const auto columns = make_columns();
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    for (auto _ : state) {
        write_row(writer, columns);
        benchmark::DoNotOptimize(out.data());
    }
    report_bytes(state, out.size());
}
BENCHMARK(WriteRow);

/// An object whose members come in no order, so that closing it moves them.
void SortMembers(benchmark::State& state) {
    std::vector<std::string> names;
    for (int i = 0; i < state.range(0); ++i) {
        names.push_back("name_" + std::to_string(i * 7919 % 10007));
    }
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    for (auto _ : state) {
        writer.reset();
        writer.begin_object();
        for (const std::string& name : names) {
            writer.key(name);
            writer.number("1");
        }
        writer.end_object();
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(SortMembers)->Arg(5)->Arg(100)->Arg(10000);

void write_string(benchmark::State& state, std::string_view text) {
    std::string out;
    for (auto _ : state) {
        out.clear();
        append_json_string(out, text);
        benchmark::DoNotOptimize(out.data());
    }
    report_bytes(state, text.size());
}

void WriteString(benchmark::State& state) {
    write_string(state, std::string(static_cast<std::size_t>(state.range(0)), 'x'));
}
BENCHMARK(WriteString)->Arg(5)->Arg(30)->Arg(1000)->Arg(1000000);

/// One byte in 20 needs an escape, as in a text of short lines.
void WriteStringWithEscapes(benchmark::State& state) {
    std::string text(static_cast<std::size_t>(state.range(0)), 'x');
    for (std::size_t i = 0; i < text.size(); i += 20) {
        text[i] = '\n';
    }
    write_string(state, text);
}
BENCHMARK(WriteStringWithEscapes)->Arg(30)->Arg(1000)->Arg(1000000);

void EntryChecksum(benchmark::State& state) {
    const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
    Sha256 sha256;
    Digest digest;
    for (auto _ : state) {
        digest = entry_checksum(sha256, digest, payload);
    }
    benchmark::DoNotOptimize(digest);
    report_bytes(state, payload.size());
}
BENCHMARK(EntryChecksum)->Arg(200)->Arg(1000)->Arg(16000);

void WriteAndHashRow(benchmark::State& state) {
    const auto columns = make_columns();
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    Sha256 sha256;
    Digest digest;
    for (auto _ : state) {
        write_row(writer, columns);
        digest = entry_checksum(sha256, digest, out);
    }
    benchmark::DoNotOptimize(digest);
    report_bytes(state, out.size());
}
BENCHMARK(WriteAndHashRow);

}  // namespace
