#include "load/hash_store.h"

#include <boost/json/serialize.hpp>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/image.h"
#include "base/json.h"
#include "base/utf8.h"

namespace inkstone {

std::string pixel_hash(std::string_view png) {
  const Image image = decode_png(std::as_bytes(std::span(png))).image;
  Digest digest;
  const std::string size = std::to_string(image.width) + "x" + std::to_string(image.height) + ":";
  digest.add(std::as_bytes(std::span(size)));
  digest.add(std::as_bytes(std::span(image.rgb)));
  return digest.text();
}

HashStore::Verdict HashStore::check(const std::string& key, const std::string& hash) {
  const auto [entry, added] = hashes_.emplace(key, hash);
  if (added) return Verdict::kNew;
  return entry->second == hash ? Verdict::kSame : Verdict::kDifferent;
}

void HashStore::read(const std::string& path) {
  const Json value = read_json(path);
  INKSTONE_CHECK(value.is_object(), path, ": not an object of hashes by request");
  for (const auto& entry : value.get_object()) {
    INKSTONE_CHECK(entry.value().is_string(), path, ": the hash of ", shown(entry.key()), " is not a text");
    INKSTONE_CHECK(check(entry.key(), std::string(entry.value().get_string())) != Verdict::kDifferent, path,
                   ": another hash than known for ", shown(entry.key()));
  }
}

void HashStore::write(const std::string& path) const {
  std::string text = "{";
  for (const auto& [key, hash] : hashes_)
    text += (text.size() > 1 ? ",\n " : "\n ") + boost::json::serialize(Json(key)) + ": \"" + hash + "\"";
  text += "\n}\n";
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace inkstone
