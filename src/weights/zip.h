// The entries of a zip file that are stored as they are: where their bytes lie, so that they stay
// mapped. Compressed and encrypted entries, and files in several volumes, are refused. Checksums
// are not compared, because that would read the whole file. The format: PKWARE's APPNOTE.TXT 6.3.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace inkstone {

using ZipEntries = std::map<std::string, std::span<const std::byte>, std::less<>>;

// Every entry lies in `file`, and no two overlap. Throws Error naming `source`, the entry and the
// numbers. At most 200,000 entries are read.
ZipEntries zip_entries(std::span<const std::byte> file, const std::string& source);

}  // namespace inkstone
