#include "atc/om_cache.h"

#include <unistd.h>

#include <algorithm>

#include "atc/om_file.h"
#include "base/cache_folder.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInfoName = "info.txt";

bool is_as_written(const FileRecord& file, const fs::path& folder) {
  std::error_code error;
  const uint64_t size = fs::file_size(folder / file.file, error);
  return !error && size == file.bytes && record_of(folder / file.file).sha256 == file.sha256;
}

void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  const fs::path beside = to.string() + ".tmp" + std::to_string(getpid());
  fs::remove(beside, error);
  fs::create_hard_link(from, beside, error);
  if (error) {
    error.clear();
    fs::copy_file(from, beside, error);
  }
  if (!error) fs::rename(beside, to, error);
  if (!error) {
    fs::remove(beside, error);  // a link renamed onto itself stays
    return;
  }
  std::error_code ignored;
  fs::remove(beside, ignored);
  fail(INKSTONE_HERE, {"cannot copy ", from.string(), " to ", to.string(), ": ", error.message()});
}

}  // namespace

std::string recipe_of(const GraphRecord& graph, const FileRecord& weights, const AtcCommand& command) {
  std::string text = "om 1\nonnx " + graph.onnx.sha256 + "\nweights " + weights.sha256 + "\n";
  for (const std::string& flag : command.flags) text += "flag " + flag + "\n";
  for (const std::string& node : command.keep) text += "keep " + node + "\n";
  return sha256(text);
}

fs::path default_om_cache() { return cache_folder("om"); }

std::optional<fs::path> find_om(const fs::path& folder, const std::string& stem) {
  for (const char* ending : {".om", "_linux_x86_64.om", "_linux_aarch64.om"}) {
    const fs::path path = folder / (stem + ending);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return std::nullopt;
}

std::vector<FileRecord> records_of(const fs::path& om, bool has_external_weights) {
  std::vector<FileRecord> records{record_of(om)};
  std::error_code error;
  if (has_external_weights)
    for (const fs::directory_entry& entry : fs::directory_iterator(om.parent_path() / "weight", error)) {
      if (!entry.is_regular_file()) continue;
      records.push_back(record_of(entry.path()));
      records.back().file = "weight/" + records.back().file;
    }
  std::sort(records.begin() + 1, records.end(), [](const auto& a, const auto& b) { return a.file < b.file; });
  return records;
}

void place_files(const OmInfo& info, const fs::path& from, const fs::path& to) {
  for (const FileRecord& file : info.files) link_or_copy(from / file.file, to / file.file);
}

std::optional<OmCache::Entry> OmCache::find(const std::string& key) const {
  const fs::path entry = folder_ / key;
  std::error_code ignored;
  if (folder_.empty() || !fs::is_directory(entry, ignored)) return std::nullopt;
  try {
    const OmInfo info = parse_om_info(read_file(entry / kInfoName, kMaxOmInfoBytes));
    const auto good = [&](const FileRecord& file) { return is_as_written(file, entry); };
    if (!info.files.empty() && std::ranges::all_of(info.files, good)) {
      read_om_header(entry / info.files.front().file);
      return Entry{entry, info};
    }
  } catch (const Error&) {  // unreadable is not there
  }
  fs::remove_all(entry, ignored);
  return std::nullopt;
}

void OmCache::put(const std::string& key, const OmInfo& info, const std::string& text, const fs::path& from) const {
  if (folder_.empty()) return;
  const fs::path beside = folder_ / (key + ".tmp" + std::to_string(getpid()));
  std::error_code error;
  fs::create_directories(beside, error);
  INKSTONE_CHECK(!error, "cannot make the folder ", beside.string(), ": ", error.message());
  try {
    place_files(info, from, beside);
    write_file(beside / kInfoName, std::as_bytes(std::span(text)));
  } catch (...) {
    fs::remove_all(beside, error);
    throw;
  }
  fs::rename(beside, folder_ / key, error);
  if (error) fs::remove_all(beside, error);  // another program put the same
}

}  // namespace inkstone
