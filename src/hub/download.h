// One file of a repository into the cache: in pieces if need be, checked, and in its place only when it is whole.
#pragma once

#include <string>

#include "base/digest.h"
#include "hub/cache.h"
#include "hub/client.h"
#include "hub/listing.h"

namespace inkstone {

// The digest that the hub names a file by.
class HubDigest {
 public:
  explicit HubDigest(const HubFile& file);
  void add(std::span<const std::byte> bytes) { digest_.add(bytes); }
  std::string text() { return digest_.text(); }

 private:
  Digest digest_;
};

// Who is told how far a pull is. Nothing happens between calls but work and waiting.
class PullWatcher {
 public:
  virtual ~PullWatcher() = default;
  virtual void begins(const HubFile& file) = 0;
  virtual void received(const HubFile& file, uint64_t bytes) = 0;  // of the file, with what an earlier pull had
  virtual void ends(const HubFile& file) = 0;
  // Another process downloads the file.
  virtual void waits_for_other(const HubFile& file) = 0;
};

// Whether the file's bytes are in the cache.
bool is_downloaded(const HubRepository& repository, const HubFile& file);

struct DownloadSource {
  HubClient& client;
  std::string commit;
};
// Returns the bytes that came over the network: 0 if the file is there. What an earlier download left is continued. Throws
// Error; what came so far stays, but for bytes that are known to be wrong.
uint64_t download_file(const DownloadSource& source, const HubRepository& repository, const HubFile& file,
                       PullWatcher& watcher);

}  // namespace inkstone
