#include "diffusion/model_folder.h"

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "weights/weight_files.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 4;  // folders below the one that is named

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!at->path().filename().string().starts_with('.')) entries.push_back(at->path());
  INKSTONE_CHECK(!error, folder.string(), ": cannot be listed: ", error.message());
  std::ranges::sort(entries);
  return entries;
}

void find_models(const fs::path& folder, int depth, std::vector<fs::path>& found, ModelListing& listing) {
  for (const fs::path& path : entries_of(folder)) try {
      std::error_code ignored;
      if (!fs::is_directory(path, ignored)) {
        if (is_weights_name(path)) found.push_back(path);
      } else if (fs::exists(path / "model_index.json", ignored)) {
        found.push_back(path);
      } else if (depth < kDeepest) {
        find_models(path, depth + 1, found, listing);
      }
    } catch (const Error& error) {
      listing.left_out.emplace_back(error.what());
    }
}

}  // namespace

std::string model_name(const fs::path& path) {
  for (const fs::path& piece : path)  // .../models--OWNER--NAME/snapshots/HASH
    if (const std::string text = piece.string(); text.starts_with("models--")) {
      std::string id = text.substr(8);
      if (const size_t at = id.find("--"); at != std::string::npos) id.replace(at, 2, "/");
      return id;
    }
  if (!fs::is_directory(path)) return path.stem().string();
  fs::path clean = fs::absolute(path).lexically_normal();  // of a link its own name
  if (!clean.has_filename()) clean = clean.parent_path();
  return (clean.filename() == "model" ? clean.parent_path() : clean).filename().string();
}

std::string files_state(const fs::path& place) {
  if (!fs::is_directory(place)) return sha256(file_state(place));
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(place))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  std::string text;
  for (const fs::path& file : files) text += file_state(file);
  return sha256(text);
}

ModelListing models_in(const fs::path& folder) {
  ModelListing listing;
  std::vector<fs::path> found;
  find_models(folder, 0, found, listing);
  for (const fs::path& path : found) try {
      const std::string name = model_name(path);
      const auto same = std::ranges::find(listing.models, name, &ListedModel::name);
      if (same == listing.models.end())
        listing.models.push_back({name, path, files_state(path)});
      else
        listing.left_out.push_back(path.string() + ": there is " + same->path.string() +
                                   " of the same name; rename one");
    } catch (const std::exception& error) {
      listing.left_out.emplace_back(error.what());
    }
  std::ranges::sort(listing.models, {}, &ListedModel::name);
  return listing;
}

}  // namespace inkstone
