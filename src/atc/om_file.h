// Reads the header of an `.om` without CANN, to tell whether a file is complete and what it was
// made for before a device is touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "atc/manifest.h"

namespace inkstone {

inline constexpr size_t kOmHeaderBytes = 256;

struct OmHeader {
  uint32_t version = 0, ir_version = 0;
  // The graph's name, as ATC was given it.
  std::string name;
  std::string platform_version;  // of the compiler's package
  uint64_t model_bytes = 0;      // bytes after the header
  // Shapes are known only at run time, so no work memory can be planned.
  bool is_dynamic = false;
  // Has code for one operating system and processor.
  bool is_host_bound = false;
};

// `source` stands in errors. Throws Error naming it, the offset and the number if the file is no
// `.om`, is encrypted or is cut off.
OmHeader parse_om_header(std::span<const std::byte> head, uint64_t file_bytes, const std::string& source);
OmHeader read_om_header(const std::filesystem::path& path);

// Name, size and SHA-256 of a file, read piece by piece.
FileRecord record_of(const std::filesystem::path& path);

}  // namespace inkstone
