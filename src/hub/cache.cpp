#include "hub/cache.h"

#include <unistd.h>

#include <cctype>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "base/error.h"
#include "base/file.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostOfReference = 4096;

bool is_folder_there(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::string reference_text(const fs::path& reference) {
  if (!is_listed(reference) || is_folder_there(reference)) return "";
  std::string commit = read_file(reference, kMostOfReference);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back()))) commit.pop_back();
  return is_hub_word(commit) ? commit : "";
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  INKSTONE_CHECK(!error, "cannot make the folder ", folder.string(), ": ", error.message());
}

// ../../blobs/ETAG for a file that lies directly in the snapshot, one ../ more for each folder.
fs::path blob_from(const std::string& path, const std::string& etag) {
  fs::path target = fs::path("..") / "..";
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) target /= "..";
  return target / "blobs" / etag;
}

}  // namespace

fs::path hub_home() {
  if (const auto home = nonempty_environment(Variable::kHfHome)) return *home;
  if (const auto cache = nonempty_environment(Variable::kXdgCacheHome)) return fs::path(*cache) / "huggingface";
  return fs::path(environment(Variable::kHome).value_or("")) / ".cache/huggingface";
}

fs::path hub_cache() {
  for (const Variable variable : {Variable::kHfHubCache, Variable::kHuggingfaceHubCache})
    if (const auto cache = nonempty_environment(variable)) return *cache;
  return hub_home() / "hub";
}

HubRepository::HubRepository(fs::path cache, const HubId& id)
    : cache_(std::move(cache)), folder_(cache_ / ("models--" + id.owner + "--" + id.name)) {}

fs::path HubRepository::lock(const std::string& etag) const {
  return cache_ / ".locks" / folder_.filename() / (etag + ".lock");
}

std::string HubRepository::commit_of(const std::string& revision) const {
  if (is_folder_there(snapshot(revision))) return revision;  // a commit
  const fs::path reference = folder_ / "refs" / revision;
  if (is_listed(reference) && !is_folder_there(reference)) {
    const std::string commit = reference_text(reference);
    return !commit.empty() && is_folder_there(snapshot(commit)) ? commit : "";
  }
  std::vector<std::string> snapshots;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "snapshots", ignored))
    snapshots.push_back(entry.path().filename().string());
  const bool one = revision == "main" && snapshots.size() == 1 && is_folder_there(snapshot(snapshots[0]));
  return one ? snapshots[0] : "";
}

bool HubRepository::is_linked(const std::string& commit, const std::string& path, const std::string& etag) const {
  std::error_code error;
  return fs::read_symlink(snapshot(commit) / path, error) == blob_from(path, etag) && !error;
}

void HubRepository::link(const std::string& commit, const std::string& path, const std::string& etag) const {
  if (is_linked(commit, path, etag)) return;
  const fs::path to = snapshot(commit) / path;
  make_folders(to.parent_path());
  const fs::path temporary = to.string() + ".tmp" + std::to_string(::getpid());
  std::error_code error;
  fs::remove(temporary, error);
  fs::create_symlink(blob_from(path, etag), temporary, error);
  if (!error) fs::rename(temporary, to, error);
  INKSTONE_CHECK(!error, "cannot make the link ", to.string(), ": ", error.message());
}

void HubRepository::set_reference(const std::string& revision, const std::string& commit) const {
  const fs::path reference = folder_ / "refs" / revision;
  if (revision == commit || reference_text(reference) == commit) return;
  make_folders(reference.parent_path());
  write_file(reference, std::as_bytes(std::span(commit)));
}

}  // namespace inkstone
