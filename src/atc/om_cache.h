// A cache of compiled graphs, by a hash of everything that they were made of. There is a folder for
// each key; it is complete or absent, and its files are checked on every hit.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "atc/command.h"
#include "atc/om_info.h"

namespace inkstone {

// SHA-256 of everything that decides an `.om`, except the compiler: the SHA-256 of the ONNX file
// and its weights, every flag, the nodes that keep fp32.
std::string recipe_of(const GraphRecord& graph, const FileRecord& weights, const AtcCommand& command);

std::filesystem::path
default_om_cache();  // $INKSTONE_CACHE/om, $XDG_CACHE_HOME/inkstone/om, ~/.cache/inkstone/om; "": none

// The `.om` that ATC made of --output=folder/stem: ATC adds "_linux_x86_64" if there is code for
// the host in it. nullopt: there is none.
std::optional<std::filesystem::path> find_om(const std::filesystem::path& folder, const std::string& stem);

// Sizes and SHA-256 of the `.om` and, where it has them, of the files in `weight` beside it.
std::vector<FileRecord> records_of(const std::filesystem::path& om, bool has_external_weights);

// Each file of `info` at `to` under its name: linked if it is on the same disk, else copied, and
// renamed into place.
void place_files(const OmInfo& info, const std::filesystem::path& from, const std::filesystem::path& to);

class OmCache {
 public:
  explicit OmCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Entry {
    std::filesystem::path folder;
    OmInfo info;
  };
  // An entry that was damaged is removed.
  std::optional<Entry> find(const std::string& key) const;
  // Puts the files of `info`, which lie in `from`. Throws Error if the disk is full or can't be
  // written.
  void put(const std::string& key, const OmInfo& info, const std::string& text,
           const std::filesystem::path& from) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace inkstone
