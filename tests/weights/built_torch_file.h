// Files as torch.save writes them, built byte by byte, so that they can lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace inkstone {

inline std::string little(uint64_t number, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i, number >>= 8) text += static_cast<char>(number);
  return text;
}

struct BuiltEntry {
  std::string name, bytes;
  // What the list of entries says instead of the truth.
  std::optional<uint64_t> size = {}, begin = {};
  std::optional<std::string> listed_name = {};
  unsigned method = 0, flags = 0;
  bool zip64 = false;  // its numbers stand in the extra field
};

// Where the parts of the built file lie.
struct BuiltZip {
  std::string text;
  size_t list = 0, end = 0;
};

inline std::string listed_entry(const BuiltEntry& entry, uint64_t at) {
  const uint64_t size = entry.size.value_or(entry.bytes.size()), begin = entry.begin.value_or(at);
  const std::string& name = entry.listed_name ? *entry.listed_name : entry.name;
  const std::string extra =
      entry.zip64 ? little(1, 2) + little(24, 2) + little(size, 8) + little(size, 8) + little(begin, 8) : "";
  const auto field = [&](uint64_t number) { return little(entry.zip64 ? 0xffffffff : number, 4); };
  return "PK\x01\x02" + little(0, 4) + little(entry.flags, 2) + little(entry.method, 2) + little(0, 8) + field(size) +
         field(size) + little(name.size(), 2) + little(extra.size(), 2) + little(0, 10) + field(begin) + name + extra;
}

inline std::string zip_end(uint64_t list, uint64_t bytes, uint64_t entries) {
  return "PK\x05\x06" + little(0, 4) + little(entries, 2) + little(entries, 2) + little(bytes, 4) + little(list, 4) +
         little(0, 2);
}

inline std::string zip64_end(uint64_t list, uint64_t bytes, uint64_t entries) {
  return "PK\x06\x06" + little(44, 8) + little(0, 12) + little(entries, 8) + little(entries, 8) + little(bytes, 8) +
         little(list, 8);
}

inline BuiltZip built_zip(const std::vector<BuiltEntry>& entries, bool zip64 = false) {
  BuiltZip zip;
  std::string list;
  for (const BuiltEntry& entry : entries) {
    list += listed_entry(entry, zip.text.size());
    zip.text += "PK\x03\x04" + little(0, 22) + little(entry.name.size(), 2) + little(0, 2) + entry.name + entry.bytes;
  }
  zip.list = zip.text.size();
  zip.text += list;
  zip.end = zip.text.size();
  const auto most = [&](uint64_t number, uint64_t full) { return zip64 ? full : number; };
  if (zip64)
    zip.text += zip64_end(zip.list, list.size(), entries.size()) + "PK\x06\x07" + little(0, 4) + little(zip.end, 8) +
                little(1, 4);
  zip.text += zip_end(most(zip.list, 0xffffffff), most(list.size(), 0xffffffff), most(entries.size(), 0xffff));
  return zip;
}

// Pieces of a pickle.
inline std::string pickled_text(const std::string& text) { return "X" + little(text.size(), 4) + text; }
inline std::string pickled_number(int64_t number) { return "\x8a\x08" + little(static_cast<uint64_t>(number), 8); }
inline std::string pickled_tuple(const std::vector<int64_t>& numbers) {
  std::string text = "(";
  for (const int64_t number : numbers) text += pickled_number(number);
  return text + "t";
}
inline std::string pickled_storage(const std::string& type, const std::string& key, int64_t elements) {
  return "(" + pickled_text("storage") + "ctorch\n" + type + "\n" + pickled_text(key) + pickled_text("cpu") +
         pickled_number(elements) + "tQ";
}
// Of a storage with key "0".
inline std::string pickled_tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                                  const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + pickled_number(offset) + pickled_tuple(shape) +
         pickled_tuple(strides) + "\x89}tR";
}
inline std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "}(";
  for (const auto& [key, value] : items) text += pickled_text(key) + value;
  return text + "u";
}
inline std::string whole_pickle(const std::string& value) { return "\x80\x02" + value + "."; }

// With one storage, of 24 bytes.
inline std::string built_torch_file(const std::string& pickle) {
  return built_zip({{"a/data.pkl", pickle}, {"a/byteorder", "little"}, {"a/data/0", std::string(24, '\0')}}).text;
}

}  // namespace inkstone
