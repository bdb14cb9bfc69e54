// Writes a jsonb, straight from its bytes (utils/jsonb.h): JsonbIterator would hand out the members
// in jsonb's order, which is by length, and allocate for each container.

#include "core/utf16_order.h"
#include "pg/value_writer.h"

extern "C" {
#include <utils/jsonb.h>
}

namespace auditchain::pg {
namespace {

// A value in a container, by the range that its bytes have in the container's data.
struct Child {
    const JEntry* entry;
    std::uint32_t begin;
    std::uint32_t end;
};

struct Member {
    std::string_view name;  // UTF-8
    Child value;
};

// A container that is being written. Containers stand in a stack in memory, each with the members
// of its object behind it, so that no depth is too much.
struct Level {
    std::size_t outer;  // where in the stack the container around it stands
    const char* data;   // of its children
    bool is_object;
    bool is_scalar;  // a document that is a scalar is stored as an array of one
    std::uint32_t next;
    std::uint32_t count;
    Child child;  // of an array: the one before the next
};

Child next_child(const Child& child) {
    std::uint32_t end = child.end;
    JBE_ADVANCE_OFFSET(end, child.entry[1]);
    return {child.entry + 1, child.end, end};
}

class JsonbWalk {
  public:
    JsonbWalk(JsonWriter& json, PallocBuffer& stack) : json_(json), stack_(stack) {}

    void write(const JsonbContainer* root) {
        stack_.resize(0);
        open(root);
        while (stack_.size() > 0) {
            Level& level = top();
            if (level.next == level.count) {
                close();
            } else if (level.is_object) {
                const Member& member = members()[level.next++];
                json_.key(member.name);
                write_value(level.data, member.value);
            } else {
                level.next++;
                level.child = next_child(level.child);
                write_value(level.data, level.child);
            }
        }
    }

  private:
    Level& top() { return *reinterpret_cast<Level*>(stack_.data() + top_); }
    Member* members() { return reinterpret_cast<Member*>(&top() + 1); }

    void open(const JsonbContainer* container) {
        bool is_object = JsonContainerIsObject(container);
        std::uint32_t count = JsonContainerSize(container);
        std::size_t children = is_object ? std::size_t{count} * 2 : count;
        std::size_t outer = top_;
        top_ = stack_.size();
        stack_.resize(top_ + sizeof(Level) + (is_object ? count * sizeof(Member) : 0));
        top() = {outer,
                 reinterpret_cast<const char*>(container->children + children),
                 is_object,
                 JsonContainerIsScalar(container),
                 0,
                 count,
                 {container->children - 1, 0, 0}};
        if (is_object) {
            json_.begin_object();
            sort_members();
        } else if (!top().is_scalar) {
            json_.begin_array();
        }
    }

    // The names come first, then the values in the order of their names.
    void sort_members() {
        Member* first = members();
        Member* last = first + top().count;
        Child child = top().child;
        for (Member* member = first; member != last; member++) {
            child = next_child(child);
            member->name =
                to_utf8(top().data + child.begin, static_cast<int>(child.end - child.begin));
        }
        for (Member* member = first; member != last; member++) {
            member->value = child = next_child(child);
        }
        // Two names that are one in UTF-8 stay in their order.
        std::sort(first, last, [](const Member& a, const Member& b) {
            int order = compare_utf16(a.name, b.name);
            return order != 0 ? order < 0 : a.value.entry < b.value.entry;
        });
    }

    void close() {
        const Level& level = top();
        if (level.is_object) {
            json_.end_sorted_object();
        } else if (!level.is_scalar) {
            json_.end_array();
        }
        std::size_t outer = level.outer;
        stack_.resize(top_);
        top_ = outer;
    }

    void write_value(const char* data, const Child& child) {
        // Numbers and containers are aligned.
        const char* aligned = data + INTALIGN(child.begin);
        switch (*child.entry & JENTRY_TYPEMASK) {
            case JENTRY_ISSTRING:
                write_text(json_, data + child.begin, static_cast<int>(child.end - child.begin));
                break;
            case JENTRY_ISNUMERIC:
                write_numeric(json_, PointerGetDatum(aligned));
                break;
            case JENTRY_ISBOOL_FALSE:
                json_.boolean(false);
                break;
            case JENTRY_ISBOOL_TRUE:
                json_.boolean(true);
                break;
            case JENTRY_ISNULL:
                json_.null();
                break;
            case JENTRY_ISCONTAINER:
                open(reinterpret_cast<const JsonbContainer*>(aligned));
                break;
            default:
                elog(ERROR, "unexpected jsonb entry %x", *child.entry);
        }
    }

    JsonWriter& json_;
    PallocBuffer& stack_;
    std::size_t top_ = 0;
};

}  // namespace

void write_jsonb(JsonWriter& json, PallocBuffer& stack, Datum value) {
    JsonbWalk(json, stack).write(&DatumGetJsonbP(value)->root);
}

}  // namespace auditchain::pg
