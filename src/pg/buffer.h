// A byte buffer in PostgreSQL memory, for the payload writer: no destructor, so that ereport may
// jump over it.
#pragma once

#include "pg/errors.h"

extern "C" {
#include <utils/memutils.h>
}

namespace auditchain::pg {

class PallocBuffer {
  public:
    explicit PallocBuffer(MemoryContext context)
        : data_(static_cast<char*>(MemoryContextAlloc(context, kInitialCapacity))) {}

    void append(const char* bytes, std::size_t count) {
        reserve(size_ + count);
        memcpy(data_ + size_, bytes, count);
        size_ += count;
    }
    char* data() { return data_; }
    const char* data() const { return data_; }
    std::size_t size() const { return size_; }
    // A buffer that is emptied gives back what an unusually large payload made it take.
    void resize(std::size_t size) {
        if (size == 0 && capacity_ > kKeptCapacity) {
            set_capacity(kKeptCapacity);
        }
        reserve(size);
        size_ = size;
    }

  private:
    static constexpr std::size_t kInitialCapacity = 256;
    static constexpr std::size_t kKeptCapacity = std::size_t{1} << 20;

    void reserve(std::size_t wanted) {
        if (wanted > capacity_) {
            grow(wanted);
        }
    }
    // Not inlined, so that what each value calls stays small: a row in thousands comes here.
    [[gnu::noinline]] void grow(std::size_t wanted) {
        if (wanted >= MaxAllocSize) {
            ereport(ERROR, errcode(ERRCODE_AC_UNSUPPORTED_VALUE),
                    errmsg("payload of the entry is too large"),
                    errdetail("The canonical JSON text of an entry is limited to 1 GB."),
                    errhint("Keep large objects elsewhere and log their checksums."));
        }
        set_capacity(std::min(std::max(wanted, capacity_ * 2), std::size_t{MaxAllocSize}));
    }
    [[gnu::noinline]] void set_capacity(std::size_t capacity) {
        data_ = static_cast<char*>(repalloc(data_, capacity));
        capacity_ = capacity;
    }

    char* data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = kInitialCapacity;
};

}  // namespace auditchain::pg
