// Compiled graphs by what they were made of: a folder for each key, complete or not there, checked
// whole on every hit.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "atc/command.h"
#include "atc/om_info.h"

namespace inkstone {

// SHA-256 of all that decides an `.om`, the compiler aside: the ONNX file's and its weights'
// SHA-256, every flag, the nodes that keep fp32.
std::string recipe_of(const GraphRecord& graph, const FileRecord& weights, const AtcCommand& command);

std::filesystem::path
default_om_cache();  // $INKSTONE_CACHE/om, $XDG_CACHE_HOME/inkstone/om, ~/.cache/inkstone/om; "": none

// The `.om` that ATC made of --output=folder/stem: it adds "_linux_x86_64" where there is code for
// the host in it. nullopt: there is none.
std::optional<std::filesystem::path> find_om(const std::filesystem::path& folder, const std::string& stem);

// Sizes and SHA-256 of the `.om` and, where it has them, of the files in `weight` beside it.
std::vector<FileRecord> records_of(const std::filesystem::path& om, bool has_external_weights);

// Each file of `info` at `to` under its name: linked where the disk is the same, else copied;
// renamed into place.
void place_files(const OmInfo& info, const std::filesystem::path& from, const std::filesystem::path& to);

class OmCache {
 public:
  explicit OmCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Entry {
    std::filesystem::path folder;
    OmInfo info;
  };
  // one that is not as it was written is removed
  std::optional<Entry> find(const std::string& key) const;
  // Puts the files of `info`, which lie in `from`. Throws Error where the disk is full or may not
  // be written.
  void put(const std::string& key, const OmInfo& info, const std::string& text,
           const std::filesystem::path& from) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace inkstone
