// The Hugging Face hub's cache on this machine, in the layout that huggingface_hub reads and writes:
//   models--OWNER--NAME/refs/REVISION            a commit
//   models--OWNER--NAME/blobs/ETAG               a file's bytes; ETAG.incomplete: what came so far
//   models--OWNER--NAME/snapshots/COMMIT/PATH    a relative link to a blob
//   .locks/models--OWNER--NAME/ETAG.lock         held while a blob is being written
#pragma once

#include <filesystem>
#include <string>

#include "hub/id.h"

namespace inkstone {

// $HF_HOME, $XDG_CACHE_HOME/huggingface or ~/.cache/huggingface, whichever is set first.
std::filesystem::path hub_home();
// $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE or hub/ in hub_home(), even if it does not exist.
std::filesystem::path hub_cache();

class HubRepository {
 public:
  HubRepository(std::filesystem::path cache, const HubId& id);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path part(const std::string& etag) const { return folder_ / "blobs" / (etag + ".incomplete"); }
  std::filesystem::path lock(const std::string& etag) const;
  std::filesystem::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }

  // The commit that a revision stands for and whose snapshot is there; "" if the folder does not say.
  std::string commit_of(const std::string& revision) const;
  // The file of a snapshot becomes a link to the blob, in one moment.
  void link(const std::string& commit, const std::string& path, const std::string& etag) const;
  // Whether the file of a snapshot is such a link.
  bool is_linked(const std::string& commit, const std::string& path, const std::string& etag) const;
  // From now on the revision stands for the commit.
  void set_reference(const std::string& revision, const std::string& commit) const;

 private:
  std::filesystem::path cache_, folder_;
};

}  // namespace inkstone
