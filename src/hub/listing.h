// What the hub's API says of a revision of a repository (GET api/models/OWNER/NAME/revision/REVISION?blobs=true).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct HubFile {
  std::string path;  // is_inner_path()
  uint64_t size = 0;
  // Of the bytes: SHA-256 of a large file (Git LFS), else git's name for the blob. It is the hub's etag
  // for the file, too, and so the blob's name in the cache.
  std::string digest;
  bool large = false;
};

struct HubListing {
  std::string commit;  // 40 hexadecimal digits
  std::vector<HubFile> files;

  const HubFile* find(std::string_view path) const;  // nullptr: it is not there
};

// Bytes of an answer that are read: 30 times the longest list that is known.
inline constexpr size_t kMostOfListing = size_t{32} << 20;

// Throws Error that begins with `source`. Files whose paths cannot be paths in a folder are left out:
// nothing is called so that Inkstone reads.
HubListing parse_hub_listing(std::string_view answer, const std::string& source);

}  // namespace inkstone
