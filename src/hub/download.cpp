#include "hub/download.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "hub/part.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// One download's checks of what the servers say against what the listing said.
class Receiving {
 public:
  Receiving(const DownloadSource& source, const HubFile& file, HubPart& part, PullWatcher& watcher)
      : source_(source), file_(file), part_(part), watcher_(watcher) {}

  // One try. Throws TryAgain, or Error.
  void fetch_rest() {
    source_.client.fetch(
        source_.client.file_url(source_.commit, file_.path), part_.size(),
        {[this](const HttpAnswer& answer) { check_hub(answer); }, [this](const HttpAnswer& answer) { begin(answer); },
         [this](std::span<const std::byte> bytes) { return take(bytes); }});
    if (part_.size() < file_.size)
      throw TryAgain(name() + " ended after " + std::to_string(part_.size()) + " of " + std::to_string(file_.size) +
                     " bytes");
  }
  uint64_t received() const { return received_; }

 private:
  std::string name() const { return file_.path + " from " + source_.client.host(); }

  // "X-Linked-..." is of the large file that the hub's answer leads to.
  void check_hub(const HttpAnswer& answer) const {
    const std::string commit = answer.header("x-repo-commit");
    INKSTONE_CHECK(commit.empty() || commit == source_.commit, name(), " is of the commit ", shown(commit), ", not of ",
                   source_.commit);
    std::string etag = answer.header("x-linked-etag");
    if (etag.starts_with("W/")) etag.erase(0, 2);
    std::erase(etag, '"');
    INKSTONE_CHECK(etag.empty() || !file_.large || etag == file_.digest, name(), " has the checksum ", shown(etag),
                   ", and its list of files says ", file_.digest);
    check_size(answer.header("x-linked-size"));
  }

  void check_size(const std::string& text) const {
    const std::optional<uint64_t> size = whole_number(text);
    INKSTONE_CHECK(!size || *size == file_.size, name(), " has ", *size, " bytes, and its list of files says ",
                   file_.size);
  }

  // "bytes 100-199/200"
  bool continues_here(const std::string& range) const {
    constexpr std::string_view kUnit = "bytes ";
    const size_t dash = range.find('-'), slash = range.find('/');
    if (!range.starts_with(kUnit) || dash == std::string::npos || slash == std::string::npos) return false;
    const std::string total = range.substr(slash + 1);
    return whole_number(std::string_view(range).substr(kUnit.size(), dash - kUnit.size())) == part_.size() &&
           (total == "*" || whole_number(total) == file_.size);
  }

  void begin(const HttpAnswer& answer) {
    if (answer.status == 206 && continues_here(answer.header("content-range"))) return;
    const bool had_bytes = part_.size() > 0;
    if (had_bytes) part_.clear();
    // What was asked for was there already, or other bytes came: from the beginning.
    if (answer.status != 200) throw TryAgain(name() + " cannot be continued where it was");
    check_size(answer.header("content-length"));
  }

  bool take(std::span<const std::byte> bytes) {
    if (bytes.size() > file_.size - part_.size()) {
      part_.remove();
      fail(INKSTONE_HERE, {name(), " has more bytes than the ", file_.size, " that its list of files says"});
    }
    part_.append(bytes);
    received_ += bytes.size();
    watcher_.received(file_, part_.size());
    return true;
  }

  const DownloadSource& source_;
  const HubFile& file_;
  HubPart& part_;
  PullWatcher& watcher_;
  uint64_t received_ = 0;
};

void fetch_whole(Receiving& receiving, const HubFile& file, const HubPart& part, const Patience::Pause& pause) {
  Patience patience(pause);
  uint64_t furthest = part.size();
  while (part.size() < file.size) try {
      receiving.fetch_rest();
    } catch (const TryAgain& failure) {
      if (part.size() > furthest) patience.progressed();
      furthest = std::max(furthest, part.size());
      patience.again(failure);
    }
}

}  // namespace

HubDigest::HubDigest(const HubFile& file) : digest_(file.large ? Digest::Kind::kSha256 : Digest::Kind::kSha1) {
  if (file.large) return;
  const std::string head = "blob " + std::to_string(file.size);  // with the NUL after it, as git does
  digest_.add(std::as_bytes(std::span(head.c_str(), head.size() + 1)));
}

bool is_downloaded(const HubRepository& repository, const HubFile& file) {
  std::error_code error;
  const fs::path blob = repository.blob(file.digest);
  return fs::is_regular_file(blob, error) && fs::file_size(blob, error) == file.size && !error;
}

uint64_t download_file(const DownloadSource& source, const HubRepository& repository, const HubFile& file,
                       PullWatcher& watcher) {
  if (is_downloaded(repository, file)) return 0;
  const HubLock lock(repository.lock(file.digest), [&] { watcher.waits_for_other(file); });
  if (is_downloaded(repository, file)) return 0;
  watcher.begins(file);
  HubPart part(repository.part(file.digest), file);
  Receiving receiving(source, file, part, watcher);
  fetch_whole(receiving, file, part, source.client.pause());
  bool right = part.is_right();
  if (!right && part.had_bytes()) {  // it may be the earlier download's bytes that are wrong
    part.clear();
    fetch_whole(receiving, file, part, source.client.pause());
    right = part.is_right();
  }
  if (!right) part.remove();
  INKSTONE_CHECK(right, file.path, " is not what ", source.client.host(), " says it is: its checksum is not ",
                 file.digest, "; what came was removed, run this again");
  part.move_to(repository.blob(file.digest));
  watcher.ends(file);
  return receiving.received();
}

}  // namespace inkstone
