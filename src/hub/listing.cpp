#include "hub/listing.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "hub/id.h"

namespace inkstone {
namespace {

constexpr size_t kMostValues = 1'000'000, kSha1Digits = 40, kSha256Digits = 64;

std::string text_at(const JsonObject& object, const char* key) {
  const Json* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

bool is_hexadecimal(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<uint64_t> size_at(const JsonObject& object) {
  const Json* value = object.if_contains("size");
  if (!value || !value->is_int64() || value->get_int64() < 0) return {};
  return static_cast<uint64_t>(value->get_int64());
}

HubFile hub_file(const JsonObject& entry, const std::string& path, const std::string& source) {
  const Json* lfs = entry.if_contains("lfs");
  const bool large = lfs && lfs->is_object();
  const JsonObject& details = large ? lfs->get_object() : entry;
  HubFile file{path, 0, text_at(details, large ? "sha256" : "blobId"), large};
  if (large && file.digest.empty()) file.digest = text_at(details, "oid");
  if (file.digest.starts_with("sha256:")) file.digest.erase(0, 7);
  const std::optional<uint64_t> size = size_at(details);
  INKSTONE_CHECK(size && is_hexadecimal(file.digest, large ? kSha256Digits : kSha1Digits), source, ": of the file ",
                 shown(path), " it does not say size and checksum");
  file.size = *size;
  return file;
}

}  // namespace

const HubFile* HubListing::find(std::string_view path) const {
  const auto found = std::ranges::find(files, path, &HubFile::path);
  return found == files.end() ? nullptr : &*found;
}

HubListing parse_hub_listing(std::string_view answer, const std::string& source) {
  const Json document = parse_json(answer, source, kMostValues);
  INKSTONE_CHECK(document.is_object(), source, ": not what a hub says of a model");
  HubListing listing{text_at(document.get_object(), "sha"), {}};
  INKSTONE_CHECK(is_hexadecimal(listing.commit, kSha1Digits), source, ": \"sha\" is not a commit");
  const Json* siblings = document.get_object().if_contains("siblings");
  INKSTONE_CHECK(siblings && siblings->is_array(), source, ": no list \"siblings\" of the model's files");
  for (const Json& entry : siblings->get_array()) {
    INKSTONE_CHECK(entry.is_object(), source, ": a file that is not described by an object");
    const std::string path = text_at(entry.get_object(), "rfilename");
    if (is_inner_path(path)) listing.files.push_back(hub_file(entry.get_object(), path, source));
  }
  return listing;
}

}  // namespace inkstone
