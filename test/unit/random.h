// Reproducible randomness for property tests.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace auditchain::test {

/// Returns numbers below a bound. Prints its seed; AUDITCHAIN_SEED repeats a run.
class Random {
  public:
    Random() {
        const char* given = std::getenv("AUDITCHAIN_SEED");
        const unsigned seed = given ? std::stoul(given) : std::random_device{}();
        std::cout << "AUDITCHAIN_SEED=" << seed << '\n';
        engine_.seed(seed);
    }

    std::size_t operator()(std::size_t bound) { return engine_() % bound; }

    std::mt19937& engine() { return engine_; }

  private:
    std::mt19937 engine_;
};

}  // namespace auditchain::test
