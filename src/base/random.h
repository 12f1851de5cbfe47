// Random numbers from the system's generator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace inkstone {

// Throws Error with the reason if the system has none.
void random_bytes(std::span<std::byte> to);
uint32_t random_seed();
// `bytes` random bytes as lower-case hexadecimal digits. An id of 16 bytes can't be guessed and
// never occurs twice.
std::string random_id(size_t bytes);

}  // namespace inkstone
