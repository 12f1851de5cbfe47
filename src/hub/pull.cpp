#include "hub/pull.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/cache.h"
#include "weights/weight_files.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::string mib_text(uint64_t bytes) {
  constexpr uint64_t kMib = uint64_t{1} << 20;
  return std::to_string(bytes / kMib + (bytes % kMib > 0)) + " MiB";
}

// Of the file system that the folder is on, or will be.
uint64_t free_bytes(fs::path folder) {
  std::error_code ignored;
  folder = fs::absolute(folder, ignored);
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) return UINT64_MAX;
  return uint64_t{status.f_bavail} * status.f_frsize;
}

class Pulling {
 public:
  Pulling(const PullOrder& order, HubClient& client, const PullChecks& checks, ModelPullWatcher& watcher)
      : order_(order), client_(client), checks_(checks), watcher_(watcher), repository_(order.cache, order.id) {}

  PullResult run() {
    const std::string model = order_.id.model(), source = model + "/" + kModelIndex;
    listing_ = parse_hub_listing(client_.text(client_.listing_url(), kMostOfListing),
                                 "what " + client_.host() + " says of " + model);
    const std::string& revision = order_.id.revision;
    INKSTONE_CHECK(revision.size() != listing_.commit.size() || revision == listing_.commit ||
                       revision.find_first_not_of("0123456789abcdef") != std::string::npos,
                   client_.host(), " answers for the commit ", listing_.commit, ", not for ", revision);
    const HubFile& index = model_index_of(listing_, model);
    const std::string index_text = text_of(index);
    const Json document = parse_json(index_text, source);
    checks_.index(document, source);
    files_ = choose_files(listing_, model, order_.variant,
                          [&](const HubFile& file) { return is_downloaded(repository_, file); });
    result_.folder = repository_.snapshot(listing_.commit);
    for (const HubFile* file : files_.small) bring(*file);
    checks_.small_files(result_.folder, document, source);
    for (const HubFile* file : files_.shard_indexes)
      add_shards(files_, listing_, *file, shard_names(result_.folder / file->path));
    plan(index);
    for (const HubFile* file : files_.weights) bring(*file);
    keep(index, index_text);
    repository_.set_reference(order_.id.revision, listing_.commit);
    find_hidden();
    return std::move(result_);
  }

 private:
  // From the cache or the hub; not kept yet, because the model may be refused.
  std::string text_of(const HubFile& index) {
    if (is_downloaded(repository_, index)) {
      std::string text = read_file(repository_.blob(index.digest), index.size);
      if (is_right(index, text)) return text;
    }
    const std::string text = client_.text(client_.file_url(listing_.commit, index.path), index.size);
    INKSTONE_CHECK(is_right(index, text), index.path, " is not what ", client_.host(),
                   " says it is: its checksum is not ", index.digest);
    result_.received += text.size();
    return text;
  }

  static bool is_right(const HubFile& file, const std::string& text) {
    HubDigest digest(file);
    digest.add(std::as_bytes(std::span(text)));
    return text.size() == file.size && digest.text() == file.digest;
  }

  void bring(const HubFile& file) {
    result_.received += download_file({client_, listing_.commit}, repository_, file, watcher_);
    repository_.link(listing_.commit, file.path, file.digest);
  }

  void keep(const HubFile& file, const std::string& text) {
    if (!is_downloaded(repository_, file)) write_file(repository_.blob(file.digest), std::as_bytes(std::span(text)));
    repository_.link(listing_.commit, file.path, file.digest);
  }

  void plan(const HubFile& index) {
    PullPlan& plan = result_.plan;
    plan = {listing_.commit, files_.small.size() + files_.weights.size() + 1, index.size, 0};
    for (const HubFile* file : files_.small) plan.bytes += file->size;
    for (const HubFile* file : files_.weights) {
      plan.bytes += file->size;
      if (is_downloaded(repository_, *file)) continue;
      std::error_code none;
      const uint64_t had = fs::file_size(repository_.part(file->digest), none);
      plan.missing += none ? file->size : file->size - std::min(had, file->size);
    }
    watcher_.planned(plan);
    const uint64_t free = free_bytes(repository_.folder());
    INKSTONE_CHECK(plan.missing <= free, order_.id.model(), " needs ", mib_text(plan.missing), " more, and ",
                   order_.cache.string(), " has ", mib_text(free),
                   " free: make room, or name a folder on another disk in HF_HUB_CACHE");
  }

  void find_hidden() {
    for (const HubFile* file : files_.weights) {
      const fs::path network = (result_.folder / file->path).parent_path();
      const auto first = [&] {
        for (const WeightForm& form : weight_forms())
          if (is_listed(network / form.file)) return network / form.file;
        return fs::path();
      }();
      const auto chosen = [&](const HubFile* other) { return result_.folder / other->path == first; };
      if (std::ranges::none_of(files_.weights, chosen) && std::ranges::none_of(files_.shard_indexes, chosen))
        result_.hidden.push_back(file->path + " (" + first.string() + " is read instead)");
    }
  }

  const PullOrder& order_;
  HubClient& client_;
  const PullChecks& checks_;
  ModelPullWatcher& watcher_;
  HubRepository repository_;
  HubListing listing_;
  ModelFiles files_;
  PullResult result_;
};

}  // namespace

PullResult pull_model(const PullOrder& order, HubClient& client, const PullChecks& checks, ModelPullWatcher& watcher) {
  INKSTONE_CHECK_USAGE(is_revision(order.id.revision), "the revision of ", order.id.text(),
                       " is not a branch, tag or commit");
  return Pulling(order, client, checks, watcher).run();
}

}  // namespace inkstone
