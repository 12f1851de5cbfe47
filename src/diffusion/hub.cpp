// The cache's layout: models--OWNER--NAME/refs/REVISION holds a commit, snapshots/COMMIT/ the
// files.
#include "diffusion/hub.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "base/error.h"
#include "base/file.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model_index.json";

struct HubId {
  std::string owner, name, revision;
};

bool is_word(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= 96 && std::ranges::all_of(text, allowed) && text != "." && text != "..";
}

// "owner/name" or "owner/name@revision"; the name is empty if the text is neither.
HubId parse_id(const std::string& text) {
  const size_t at = text.find('@'), slash = text.find('/');
  HubId id;
  if (slash == std::string::npos || slash > at) return id;
  const std::string owner = text.substr(0, slash), name = text.substr(slash + 1, at - slash - 1);
  if (!is_word(owner) || !is_word(name)) return id;
  id = {owner, name, at == std::string::npos ? "main" : text.substr(at + 1)};
  return id;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    names.push_back(entry.path().filename().string() + (is_folder(entry.path()) ? "/" : ""));
  std::ranges::sort(names);
  return names;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > kShown ? text + " and " + std::to_string(names.size() - kShown) + " more" : text;
}

bool is_checkpoint(const fs::path& file) {
  const std::string kind = file.extension().string();
  return kind == ".safetensors" || kind == ".ckpt" || kind == ".pt" || kind == ".pth" || kind == ".bin" ||
         kind == ".gguf";
}

constexpr const char* kWanted =
    "a model is a .safetensors file that holds all of it, or a folder in diffusers' layout: model_index.json, unet/, "
    "vae/, "
    "text_encoder/, tokenizer/, scheduler/";

void check_layout(const fs::path& folder) {
  if (is_listed(folder / kIndex)) return;
  const std::vector<std::string> names = names_in(folder);
  INKSTONE_CHECK(!names.empty(), folder.string(), " is empty or cannot be listed; ", kWanted);
  const bool single = std::ranges::any_of(names, [](const std::string& name) { return is_checkpoint(name); });
  fail(INKSTONE_HERE, {folder.string(), " has no model_index.json (it holds ", listed(names), "); ", kWanted,
                       single ? "; name the file itself if it is the whole model" : ""});
}

// "" if the repository's folder does not say.
std::string commit_of(const fs::path& repository, const std::string& revision) {
  if (is_folder(repository / "snapshots" / revision)) return revision;  // a commit
  const fs::path reference = repository / "refs" / revision;
  if (is_listed(reference) && !is_folder(reference)) {
    std::string commit = read_file(reference, 4096);
    while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back()))) commit.pop_back();
    return is_word(commit) && is_folder(repository / "snapshots" / commit) ? commit : "";
  }
  const std::vector<std::string> snapshots = names_in(repository / "snapshots");
  const bool one = revision == "main" && snapshots.size() == 1 && snapshots[0].ends_with("/");
  return one ? snapshots[0].substr(0, snapshots[0].size() - 1) : "";
}

// Brings what Pipeline::open reads of a repository that holds much more. Patterns stand as names,
// because hf takes several of them after --include in some of its versions only.
std::string download_command(const HubId& id) {
  return "hf download " + id.owner + "/" + id.name + (id.revision == "main" ? "" : " --revision " + id.revision) +
         " \"*.json\" \"*.txt\" \"unet/*model.safetensors\" \"vae/*model.safetensors\" "
         "\"text_encoder/*model.safetensors\"";
}

// https://huggingface.co/OWNER/NAME/...: the id in it; the name is empty if there is none.
HubId id_in_url(std::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  const size_t host = std::min(url.find('/'), url.size());
  const std::string_view name = url.substr(0, host);
  if (host == url.size() || (name != "huggingface.co" && name != "hf.co" && name != "hf-mirror.com")) return {};
  url.remove_prefix(host + 1);
  const size_t slash = url.find('/');
  const size_t end =
      slash == std::string_view::npos ? url.size() : std::min(url.find_first_of("/?#", slash + 1), url.size());
  return parse_id(std::string(url.substr(0, end)));
}

[[noreturn]] void refuse_url(const std::string& url) {
  const HubId id = id_in_url(url);
  const std::string model = id.owner + "/" + id.name;
  fail<UsageError>(INKSTONE_HERE,
                   {url, " is an address, and nothing is fetched: ",
                    id.name.empty() ? "get the model's files, and name their folder"
                                    : "get it with `" + download_command(id) + "`, and name it " + model});
}

fs::path find_in_cache(const HubId& id, const std::string& text) {
  INKSTONE_CHECK(id.revision.find("..") == std::string::npos && !id.revision.empty() && id.revision[0] != '/',
                 "the revision of ", text, " is not a branch, tag or commit");
  const fs::path repository = hub_cache() / ("models--" + id.owner + "--" + id.name);
  const std::string model = id.owner + "/" + id.name;
  const std::string get = download_command(id) +
                          "` (a mirror by HF_ENDPOINT=https://...), or name a folder that has it in diffusers' layout";
  INKSTONE_CHECK(is_folder(repository), "the model ", model,
                 " is neither a folder here nor in the Hugging Face cache (looked for ", repository.string(),
                 "): get it with `", get);
  const std::string commit = commit_of(repository, id.revision);
  INKSTONE_CHECK(!commit.empty(), repository.string(), " has no snapshot of ", id.revision,
                 " (snapshots: ", listed(names_in(repository / "snapshots")), "): get it with `", get);
  const fs::path snapshot = repository / "snapshots" / commit;
  INKSTONE_CHECK(is_listed(snapshot / kIndex), snapshot.string(), " has no model_index.json (it holds ",
                 listed(names_in(snapshot)),
                 "): the download is incomplete or the model is not in diffusers' layout; get it with `", get);
  return snapshot;
}

}  // namespace

fs::path hub_cache() {
  for (const Variable variable : {Variable::kHfHubCache, Variable::kHuggingfaceHubCache})
    if (const auto cache = nonempty_environment(variable)) return *cache;
  if (const auto home = nonempty_environment(Variable::kHfHome)) return fs::path(*home) / "hub";
  if (const auto cache = nonempty_environment(Variable::kXdgCacheHome)) return fs::path(*cache) / "huggingface/hub";
  return fs::path(environment(Variable::kHome).value_or("")) / ".cache/huggingface/hub";
}

fs::path find_model(const std::string& folder_or_hub_id) {
  const fs::path folder = folder_or_hub_id;
  INKSTONE_CHECK_USAGE(!folder_or_hub_id.empty(), "the model's name is empty; ", kWanted);
  if (folder_or_hub_id.find("://") != std::string::npos) refuse_url(folder_or_hub_id);
  if (is_folder(folder)) {
    check_layout(folder);
    return folder;
  }
  if (is_listed(folder) && folder.extension() == ".safetensors") return folder;
  INKSTONE_CHECK(!is_listed(folder), folder.string(), " is a file; ", kWanted,
                 folder.filename() == kIndex ? "; name the folder it lies in"
                 : is_checkpoint(folder)     ? "; other checkpoints are not read, convert it to safetensors"
                                             : "");
  const HubId id = parse_id(folder_or_hub_id);
  INKSTONE_CHECK(!id.name.empty(), "there is no model folder ", folder_or_hub_id,
                 ", and it is no hub id (owner/name); ", kWanted);
  return find_in_cache(id, folder_or_hub_id);
}

}  // namespace inkstone
