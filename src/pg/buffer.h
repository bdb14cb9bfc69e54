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
    explicit PallocBuffer(MemoryContext context) : context_(context) {}

    void append(const char* bytes, std::size_t count) {
        reserve(size_ + count);
        memcpy(data_ + size_, bytes, count);
        size_ += count;
    }
    char* data() { return data_; }
    const char* data() const { return data_; }
    std::size_t size() const { return size_; }
    void resize(std::size_t size) {
        reserve(size);
        size_ = size;
    }

  private:
    void reserve(std::size_t wanted) {
        if (wanted > capacity_ || data_ == nullptr) {
            grow(wanted);
        }
    }
    // Out of line in spirit: a row in thousands comes here.
    void grow(std::size_t wanted) {
        if (wanted >= MaxAllocSize) {
            ereport(ERROR, errcode(ERRCODE_AC_UNSUPPORTED_VALUE),
                    errmsg("payload of the entry is too large"),
                    errdetail("The canonical JSON text of an entry is limited to 1 GB."),
                    errhint("Keep large objects elsewhere and log their checksums."));
        }
        std::size_t capacity = std::min(std::max({wanted, capacity_ * 2, std::size_t{256}}),
                                        static_cast<std::size_t>(MaxAllocSize));
        data_ = static_cast<char*>(data_ == nullptr ? MemoryContextAlloc(context_, capacity)
                                                    : repalloc(data_, capacity));
        capacity_ = capacity;
    }

    MemoryContext context_;
    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace auditchain::pg
