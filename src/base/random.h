// Chance, from the system's generator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace inkstone {

// throws Error with the reason where the system gives none
void random_bytes(std::span<std::byte> to);
uint32_t random_seed();
// So many random bytes as lower-case hexadecimal digits: with 16 nobody guesses it, and no two are
// alike.
std::string random_id(size_t bytes);

}  // namespace inkstone
