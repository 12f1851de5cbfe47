#include "hub/find_model.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/spelling.h"
#include "hub/cache.h"
#include "hub/id.h"
#include "weights/weight_files.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model_index.json";

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

constexpr size_t kNamesShown = 10;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    names.push_back(entry.path().filename().string() + (is_folder(entry.path()) ? "/" : ""));
  std::ranges::sort(names);
  return names;
}

constexpr const char* kWanted =
    "a model is a .safetensors or .ckpt file that holds all of it, or a folder in diffusers' layout: model_index.json, "
    "unet/, vae/, text_encoder/, tokenizer/, scheduler/";

void check_layout(const fs::path& folder) {
  if (is_listed(folder / kIndex)) return;
  const std::vector<std::string> names = names_in(folder);
  INKSTONE_CHECK(!names.empty(), folder.string(), " is empty or cannot be listed; ", kWanted);
  const bool single = std::ranges::any_of(names, [](const std::string& name) { return is_weights_name(name); });
  fail(INKSTONE_HERE, {folder.string(), " has no model_index.json (it holds ", listed(names, kNamesShown), "); ",
                       kWanted, single ? "; name the file itself if it is the whole model" : ""});
}

std::string way_to_get(const HubId& id) { return "get it with `inkstone pull " + id.text() + "`"; }

[[noreturn]] void refuse_url(const std::string& url) {
  const HubId id = hub_id_in_url(url);
  fail<UsageError>(INKSTONE_HERE, {url, " is an address, and nothing is fetched here: ",
                                   id.name.empty() ? "get the model's files, and name their folder"
                                                   : way_to_get(id) + ", and name it " + id.model()});
}

fs::path find_in_cache(const HubId& id, const std::string& text) {
  INKSTONE_CHECK(is_revision(id.revision), "the revision of ", text, " is not a branch, tag or commit");
  const HubRepository repository(hub_cache(), id);
  INKSTONE_CHECK(is_folder(repository.folder()), "the model ", id.model(),
                 " is neither a folder here nor in the Hugging Face cache (looked for ", repository.folder().string(),
                 "): ", way_to_get(id), ", or name a folder that has it in diffusers' layout");
  const std::string commit = repository.commit_of(id.revision);
  INKSTONE_CHECK(!commit.empty(), repository.folder().string(), " has no snapshot of ", id.revision,
                 " (snapshots: ", listed(names_in(repository.folder() / "snapshots")), "): ", way_to_get(id));
  const fs::path snapshot = repository.snapshot(commit);
  INKSTONE_CHECK(is_listed(snapshot / kIndex), snapshot.string(), " has no model_index.json (it holds ",
                 listed(names_in(snapshot)), "): the download is incomplete or the model is not in diffusers' layout; ",
                 way_to_get(id));
  return snapshot;
}

}  // namespace

fs::path find_model(const std::string& folder_or_hub_id) {
  const fs::path folder = folder_or_hub_id;
  INKSTONE_CHECK_USAGE(!folder_or_hub_id.empty(), "the model's name is empty; ", kWanted);
  if (folder_or_hub_id.find("://") != std::string::npos) refuse_url(folder_or_hub_id);
  if (is_folder(folder)) {
    check_layout(folder);
    return folder;
  }
  if (is_listed(folder) && is_weights_name(folder)) return folder;
  INKSTONE_CHECK(!is_listed(folder), folder.string(), " is a file; ", kWanted,
                 folder.filename() == kIndex     ? "; name the folder it lies in"
                 : folder.extension() == ".gguf" ? "; GGUF is not read, get the model as safetensors"
                                                 : "");
  const HubId id = parse_hub_id(folder_or_hub_id);
  INKSTONE_CHECK(!id.name.empty(), "there is no model folder ", folder_or_hub_id,
                 ", and it is no hub id (owner/name); ", kWanted);
  return find_in_cache(id, folder_or_hub_id);
}

}  // namespace inkstone
