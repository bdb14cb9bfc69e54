#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "digest.h"
#include "json_string.h"

namespace auditchain {

/// What PayloadWriter writes to: std::string, or memory of the backend. resize() to less than
/// the present size, but to more than 0, keeps the memory; data() is aligned for std::size_t.
template <class B>
concept ByteBuffer = requires(B& buffer, const B& constant, const char* bytes, std::size_t n) {
    buffer.append(bytes, n);
    { buffer.data() } -> std::convertible_to<char*>;
    { constant.size() } -> std::convertible_to<std::size_t>;
    buffer.resize(n);
};

/// Writes one JSON value in the canonical form of payloads (docs/format.md): RFC 8785, but
/// numbers as given.
///
/// Values stream into `out` as they come. The open containers and the members of the open
/// objects are plain records on a stack in `scratch`:
///
///     Frame Member Member Frame Frame Member ...
///
/// so depth is bounded by memory only, and a writer that is kept allocates nothing for the next
/// row. end_object() moves bytes only if the members did not arrive in order.
///
/// Calls must nest as JSON does: a key before each member's value, every begin with its end.
/// The writer owns nothing and throws only what the buffers throw, so an error of the backend
/// may jump past it.
template <ByteBuffer Buffer>
class PayloadWriter {
  public:
    /// Empty both buffers and write to them; they must outlive the writer.
    PayloadWriter(Buffer& out, Buffer& scratch) : out_(&out), scratch_(&scratch) { reset(); }

    /// Start over with the next value, keeping as much memory as the buffers keep.
    void reset() {
        out_->resize(0);
        scratch_->resize(0);
        top_ = Frame{};
        has_duplicate_key_ = false;
    }

    void begin_object() { open('{', false); }

    /// Close the object with its members in UTF-16 order (RFC 8785 section 3.2.3), in whatever
    /// order they came.
    void end_object() {
        const Member* first = members();
        const Member* last = first + member_count();
        const auto not_ascending = [this](const Member& a, const Member& b) {
            return compare_names(a, b) >= 0;
        };
        if (std::adjacent_find(first, last, not_ascending) != last) {
            sort_members();
        }
        close('}');
    }

    /// Close the object whose members came in UTF-16 order already.
    void end_sorted_object() { close('}'); }

    void begin_array() { open('[', true); }

    void end_array() { close(']'); }

    /// Begin a member of the current object; its value is the next call.
    void key(std::string_view utf8) {
        const std::size_t begin = begin_member();
        append_key(*out_, utf8);
        push(Member{begin, out_->size(), 0});
    }

    /// Begin a member by what append_key has written for it.
    void escaped_key(std::string_view key) {
        const std::size_t begin = begin_member();
        put(key);
        push(Member{begin, out_->size(), 0});
    }

    /// Write a string, which must be valid UTF-8.
    void string(std::string_view utf8) {
        separate();
        append_json_string(*out_, utf8);
    }

    /// Write a string of ASCII without anything to escape.
    void plain_string(std::string_view text) {
        separate();
        put("\"");
        put(text);
        put("\"");
    }

    /// Write bytes as a string of lower-case hex.
    void hex_string(std::span<const std::uint8_t> bytes) {
        separate();
        put("\"");
        const std::size_t begin = out_->size();
        out_->resize(begin + 2 * bytes.size());
        write_hex(bytes.data(), bytes.size(), out_->data() + begin);
        put("\"");
    }

    /// Write a number verbatim; the text must be a JSON number.
    void number(std::string_view text) {
        separate();
        put(text);
    }

    void boolean(bool value) {
        separate();
        put(value ? "true" : "false");
    }

    void null() {
        separate();
        put("null");
    }

    /// Return the value of the newest member of the current object, which must have one and must
    /// have it complete. Valid until the next write.
    std::string_view last_value() const { return slice(last_member().value, out_->size()); }

    /// Take back the newest member of the current object, as if key() had not been called.
    void drop_member() {
        const std::size_t comma = member_count() > 1 ? 1 : 0;
        out_->resize(last_member().begin - comma);
        scratch_->resize(scratch_->size() - sizeof(Member));
    }

    /// Whether an object closed since reset() had two members of one name.
    bool has_duplicate_key() const { return has_duplicate_key_; }

    /// Return what has been written. Valid until the next write.
    std::string_view text() const { return slice(0, out_->size()); }

  private:
    /// An open container. At top level: a frame that is no array and never sees a key.
    struct Frame {
        std::size_t members = 0;  ///< where its members begin in scratch
        std::size_t is_array = false;
    };

    /// A member of an open object, as offsets in out: begin `"name":` value ... end.
    struct Member {
        std::size_t begin;
        std::size_t value;
        std::size_t end;  ///< set only when members have to be sorted
    };

    void put(std::string_view text) { out_->append(text.data(), text.size()); }

    std::string_view slice(std::size_t begin, std::size_t end) const {
        return {out_->data() + begin, end - begin};
    }

    /// Write the comma before an array's second and later elements. Only a new array ends in '['.
    void separate() {
        if (top_.is_array && out_->data()[out_->size() - 1] != '[') {
            put(",");
        }
    }

    /// Write the comma before an object's second and later members, and return where this begins.
    std::size_t begin_member() {
        if (scratch_->size() > top_.members) {
            put(",");
        }
        return out_->size();
    }

    void open(char bracket, bool is_array) {
        separate();
        out_->append(&bracket, 1);
        push(top_);
        top_ = Frame{scratch_->size(), is_array};
    }

    void close(char bracket) {
        const std::size_t outer = top_.members - sizeof(Frame);
        std::memcpy(&top_, scratch_->data() + outer, sizeof top_);
        scratch_->resize(outer);
        out_->append(&bracket, 1);
    }

    /// Records are multiples of the alignment that data() has, and appending copies their bytes,
    /// which creates the objects that members() points to.
    template <class Record>
    void push(const Record& record) {
        static_assert(std::is_trivially_copyable_v<Record>);
        static_assert(sizeof(Record) % alignof(std::size_t) == 0);
        scratch_->append(reinterpret_cast<const char*>(&record), sizeof record);
    }

    Member* members() const { return reinterpret_cast<Member*>(scratch_->data() + top_.members); }

    std::size_t member_count() const { return (scratch_->size() - top_.members) / sizeof(Member); }

    const Member& last_member() const { return members()[member_count() - 1]; }

    /// The name as it stands in out, escaped and without its quotes and colon.
    std::string_view name(const Member& member) const {
        return slice(member.begin + 1, member.value - 2);
    }

    int compare_names(const Member& a, const Member& b) const {
        return compare_escaped(name(a), name(b));
    }

    /// Sort the members of the current object, those of one name in the order they came.
    void sort_members() {
        Member* const first = members();
        Member* const last = first + member_count();
        const std::size_t begin = first->begin;
        for (Member* member = first; member + 1 != last; ++member) {
            member->end = member[1].begin - 1;
        }
        last[-1].end = out_->size();
        std::sort(first, last, [this](const Member& a, const Member& b) {
            const int order = compare_names(a, b);
            return order != 0 ? order < 0 : a.begin < b.begin;
        });
        has_duplicate_key_ |= std::adjacent_find(first, last, [this](const auto& a, const auto& b) {
                                  return compare_names(a, b) == 0;
                              }) != last;
        rearrange(begin);
    }

    /// Rewrite out from begin on in the order of the member records, by way of scratch.
    void rearrange(std::size_t begin) {
        const std::size_t count = member_count();
        const std::size_t copy = scratch_->size();
        for (std::size_t i = 0; i < count; ++i) {
            const Member member = members()[i];  // a copy: appending may move the records
            if (i > 0) {
                scratch_->append(",", 1);
            }
            scratch_->append(out_->data() + member.begin, member.end - member.begin);
        }
        std::memcpy(out_->data() + begin, scratch_->data() + copy, scratch_->size() - copy);
    }

    Buffer* out_;
    Buffer* scratch_;
    Frame top_;
    bool has_duplicate_key_ = false;
};

}  // namespace auditchain
