#include "serve/gateway/curve_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/version.h"
#include "serve/gateway/worker_checks.h"
#include "serve/jobs/image_service.h"
#include "serve/wire/message_fields.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxCurveBytes = size_t{1} << 20;

struct KnownTimes {
  std::vector<ShapeTimes> times;
};

template <typename V, Of<KnownTimes> M>
void fields(V& visit, M& known) {
  visit("times", known.times);
}

std::string build_text() {
  struct stat program {};
  if (stat("/proc/self/exe", &program) != 0) return kVersion;
  return std::string(kVersion) + " " + std::to_string(program.st_size) + " " + std::to_string(program.st_mtim.tv_sec);
}

}  // namespace

std::filesystem::path CurveStore::file_of(const Hello& hello, const ModelCard& model) const {
  const std::string key =
      build_text() + "\n" + model.shape + "\n" + hello.device + "\n" + hello.description + "\n" + hello.precision;
  return folder_ / (sha256(key) + ".json");
}

std::vector<ShapeTimes> CurveStore::known(const Hello& hello, const ModelCard& model) const {
  if (folder_.empty()) return {};
  try {
    const std::string file = read_file(file_of(hello, model), kMaxCurveBytes);
    KnownTimes known;
    FieldReader::read_object(parse_json(file, "times").as_object(), known, "times");
    for (const ShapeTimes& times : known.times) check(times);
    return known.times;
  } catch (const std::exception&) {  // it is not there, or somebody spoilt it
    return {};
  }
}

int CurveStore::jobs_that_pay(const Hello& hello, int max_jobs) const {
  constexpr int kRowsOfImage = 2;  // with guidance
  int jobs = 0;
  for (const ShapeTimes& times : known(hello, hello.model)) {
    const int best = StepTimes(times.steps, times.encode_seconds, times.decode_seconds).best_batch_rows(kMinBatchGain);
    if (best == times.steps.back().batch_rows) return max_jobs;
    jobs = std::max(jobs, (best + kRowsOfImage - 1) / kRowsOfImage + 1);
  }
  return jobs > 0 ? std::min(jobs, max_jobs) : max_jobs;
}

void CurveStore::keep(const Hello& hello, const ModelCard& model, std::vector<ShapeTimes> times) {
  std::erase_if(times, [](const ShapeTimes& one) { return one.estimated; });
  if (folder_.empty() || times.empty()) return;
  try {
    std::filesystem::create_directories(folder_);
    const std::string text = json_text(FieldWriter::object_of(KnownTimes{std::move(times)}));
    const std::filesystem::path file = file_of(hello, model);
    if (std::exchange(kept_[file.string()], text) == text) return;  // an idle server writes nothing
    write_file(file, std::as_bytes(std::span(text)));
  } catch (const std::exception&) {  // the next start begins with an estimate
  }
}

}  // namespace inkstone::serve
