#include "weights/zip.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint64_t kMaxEntries = 200'000;
// Sizes of the records without what their own fields add.
constexpr size_t kLocal = 30, kCentral = 46, kEnd = 22, kLocator = 20, kEnd64 = 56;
constexpr std::string_view kLocalMark = "PK\x03\x04", kCentralMark = "PK\x01\x02", kEndMark = "PK\x05\x06",
                           kLocatorMark = "PK\x06\x07", kEnd64Mark = "PK\x06\x06";
// What a field of 32 bits holds if the number is in the extra field.
constexpr uint64_t kIn64 = 0xffffffff;

// Little-endian; the bytes must be there.
uint64_t number_at(Bytes bytes, size_t at, size_t size) {
  uint64_t number = 0;
  for (size_t i = size; i-- > 0;) number = number << 8 | static_cast<uint64_t>(bytes[at + i]);
  return number;
}

std::string_view text_at(Bytes bytes, size_t at, size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, size};
}

// Where the entries are listed.
struct Directory {
  uint64_t begin, bytes, entries;
};

Directory find_directory(Bytes file, const std::string& source) {
  constexpr size_t kMaxComment = 0xffff;
  std::optional<size_t> end;
  for (size_t back = kEnd; back <= std::min(file.size(), kEnd + kMaxComment) && !end; ++back) {
    const size_t at = file.size() - back;
    if (text_at(file, at, 4) == kEndMark && number_at(file, at + 20, 2) == back - kEnd) end = at;
  }
  INKSTONE_CHECK(end, source, " ends at byte ", file.size(),
                 " without a zip file's list of entries: the download is incomplete, download it again");
  INKSTONE_CHECK(number_at(file, *end + 4, 2) == 0 && number_at(file, *end + 6, 2) == 0, source,
                 " is a volume of a zip file in several");
  Directory found{number_at(file, *end + 16, 4), number_at(file, *end + 12, 4), number_at(file, *end + 10, 2)};
  uint64_t most = *end;
  if (*end >= kLocator && text_at(file, *end - kLocator, 4) == kLocatorMark) {
    const uint64_t at = number_at(file, *end - kLocator + 8, 8);
    most = *end - kLocator;
    INKSTONE_CHECK(at <= most && most - at >= kEnd64 && text_at(file, at, 4) == kEnd64Mark, source,
                   ": its zip64 record is not at byte ", at, ", where it should be: damaged, download it again");
    found = {number_at(file, at + 48, 8), number_at(file, at + 40, 8), number_at(file, at + 32, 8)};
    most = at;
  }
  INKSTONE_CHECK(found.begin <= most && found.bytes <= most - found.begin, source, ": its list of entries, ",
                 found.bytes, " bytes from byte ", found.begin, ", runs past byte ", most,
                 ": damaged, download it again");
  INKSTONE_CHECK(found.entries <= kMaxEntries, source, " has ", found.entries, " entries, at most ", kMaxEntries,
                 " are read");
  INKSTONE_CHECK(found.entries <= found.bytes / kCentral, source, " has ", found.entries, " entries listed in ",
                 found.bytes, " bytes: damaged, download it again");
  return found;
}

struct ListedEntry {
  std::string name;
  uint64_t begin, bytes;  // of its local header; of what it holds
};

// The extra field with 64-bit numbers has one for each 32-bit field that is full, in this order.
void widen_sizes(Bytes extra, std::initializer_list<uint64_t*> fields, const std::string& what) {
  constexpr uint64_t kZip64 = 1;
  Bytes numbers;
  for (size_t at = 0; extra.size() - at >= 4;) {
    const size_t length = number_at(extra, at + 2, 2);
    INKSTONE_CHECK(length <= extra.size() - at - 4, what, ": an extra field runs past its end");
    if (number_at(extra, at, 2) == kZip64) numbers = extra.subspan(at + 4, length);
    at += 4 + length;
  }
  for (uint64_t* field : fields) {
    if (*field != kIn64) continue;
    INKSTONE_CHECK(numbers.size() >= 8, what, " lacks a 64-bit number");
    *field = number_at(numbers, 0, 8);
    numbers = numbers.subspan(8);
  }
}

// Reads one record of the list, and drops it from `list`.
ListedEntry next_listed(Bytes& list, const std::string& source) {
  INKSTONE_CHECK(list.size() >= kCentral && text_at(list, 0, 4) == kCentralMark, source,
                 ": its list of entries is damaged, download it again");
  const size_t name = number_at(list, 28, 2), extra = number_at(list, 30, 2), comment = number_at(list, 32, 2);
  INKSTONE_CHECK(name + extra + comment <= list.size() - kCentral, source,
                 ": its list of entries is damaged, download it again");
  ListedEntry entry{std::string(text_at(list, kCentral, name)), number_at(list, 42, 4), number_at(list, 24, 4)};
  const std::string what = source + ": the entry " + shown(entry.name);
  INKSTONE_CHECK((number_at(list, 8, 2) & 1) == 0, what, " is encrypted");
  INKSTONE_CHECK(number_at(list, 10, 2) == 0, what,
                 " is compressed, and only what is stored as it is is read: pack it anew with `zip -0`, or get "
                 "it as safetensors");
  uint64_t stored = number_at(list, 20, 4);
  widen_sizes(list.subspan(kCentral + name, extra), {&entry.bytes, &stored, &entry.begin}, what);
  INKSTONE_CHECK(stored == entry.bytes, what, " has ", entry.bytes, " bytes in ", stored);
  list = list.subspan(kCentral + name + extra + comment);
  return entry;
}

// What the entry holds; `file` ends where the list begins.
Bytes bytes_of(const ListedEntry& entry, Bytes file, const std::string& source) {
  const std::string what = source + ": the entry " + shown(entry.name);
  INKSTONE_CHECK(
      entry.begin <= file.size() && file.size() - entry.begin >= kLocal && text_at(file, entry.begin, 4) == kLocalMark,
      what, " is not at byte ", entry.begin, ", where it should be: damaged, download it again");
  const Bytes local = file.subspan(entry.begin);
  const size_t name = number_at(local, 26, 2), header = kLocal + name + number_at(local, 28, 2);
  INKSTONE_CHECK(header <= local.size() && text_at(local, kLocal, name) == entry.name, what,
                 " has another name at byte ", entry.begin, ": damaged, download it again");
  INKSTONE_CHECK(entry.bytes <= local.size() - header, what, ", ", entry.bytes, " bytes from byte ",
                 entry.begin + header, ", runs past byte ", file.size(), ": damaged, download it again");
  return local.subspan(header, entry.bytes);
}

}  // namespace

ZipEntries zip_entries(Bytes file, const std::string& source) {
  const Directory directory = find_directory(file, source);
  Bytes list = file.subspan(directory.begin, directory.bytes);
  std::vector<ListedEntry> listed;
  for (uint64_t i = 0; i < directory.entries; ++i) listed.push_back(next_listed(list, source));
  std::ranges::sort(listed, {}, &ListedEntry::begin);
  ZipEntries entries;
  const std::byte* last = file.data();  // where the one before ends
  std::string_view before = "the file's beginning";
  for (const ListedEntry& entry : listed) {
    const Bytes bytes = bytes_of(entry, file.first(directory.begin), source);
    INKSTONE_CHECK(file.data() + entry.begin >= last, source, ": the entries ", shown(before), " and ",
                   shown(entry.name), " overlap at byte ", entry.begin);
    last = bytes.data() + bytes.size();
    before = entry.name;
    INKSTONE_CHECK(entries.emplace(entry.name, bytes).second, source, ": the entry ", shown(entry.name),
                   " stands twice");
  }
  return entries;
}

}  // namespace inkstone
