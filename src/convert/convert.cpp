#include "convert/convert.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "convert/model_folder.h"
#include "convert/single_file.h"
#include "convert/whole_model.h"
#include "diffusion/resolved_request.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSafetensors = ".safetensors";

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_model_folder(const fs::path& path) { return is_folder(path) && is_listed(path / "model_index.json"); }

bool writes_file(const fs::path& out) { return out.extension() == kSafetensors; }

void check_out(const ConvertOrder& order) {
  const std::string out = order.out.string(), kind = lower(order.out.extension().string());
  for (const char* other : {".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx", ".json"})
    INKSTONE_CHECK_USAGE(kind != other, "--out ", out, ": .safetensors and folders are written, not ", other);
  if (writes_file(order.out)) {
    INKSTONE_CHECK_USAGE(!is_folder(order.out), "--out ", out, " is a folder: name a file, or a folder without ",
                         kSafetensors, " at its end");
    return;
  }
  std::error_code ignored;
  INKSTONE_CHECK_USAGE(!is_listed(order.out) || (is_folder(order.out) && fs::is_empty(order.out, ignored)), "--out ",
                       out, is_folder(order.out) ? " is there and not empty" : " is a file that is there",
                       ": name a new folder, or a file that ends with ", kSafetensors);
}

// What of a job is done, over all its files.
class Progress {
 public:
  Progress(const ConvertWatcher& watcher, Converted& result) : watcher_(watcher), result_(result) {}

  void plan(const fs::path& out, std::span<const TensorToWrite> tensors) { add(tensors), start(out); }
  void add(std::span<const TensorToWrite> tensors) {
    result_.tensors += tensors.size();
    for (const TensorToWrite& tensor : tensors) result_.bytes += written_bytes(tensor);
  }
  void start(const fs::path& out) {
    std::error_code error;
    const fs::path parent = fs::absolute(link_target(out)).parent_path();
    const fs::space_info space = fs::space(parent, error);
    INKSTONE_CHECK(error || space.available >= result_.bytes, "cannot write ", out.string(), ": the disk has ",
                   space.available >> 20, " MiB left, and ", result_.bytes >> 20, " MiB are to be written");
    watcher_.planned(result_.bytes);
  }

  void write(const fs::path& file, std::span<const TensorToWrite> tensors,
             const std::map<std::string, std::string>& metadata) {
    size_t last = 0;
    write_safetensors(file, tensors, metadata,
                      {[&](size_t bytes) { watcher_.written(before_ + (last = bytes)); },
                       [&](const TensorToWrite& tensor, int64_t element) { note_not_finite(tensor, element); }});
    before_ += last;
  }

  void finish() {
    if (not_finite_.empty()) return;
    constexpr size_t kShown = 5;
    const std::vector<std::string> names(not_finite_.begin(), not_finite_.end());
    result_.notes.push_back("NaN or infinity is in " + listed(names, kShown) +
                            "; it is kept, and a model that reads it draws no image");
  }

 private:
  void note_not_finite(const TensorToWrite& tensor, int64_t element) {
    if (noted_.insert(tensor.name).second)
      not_finite_.push_back(shown(tensor.name) + " (element " + std::to_string(element) + ")");
  }

  const ConvertWatcher& watcher_;
  Converted& result_;
  size_t before_ = 0;  // bytes of the files before
  std::set<std::string> noted_;
  std::vector<std::string> not_finite_;
};

// The file's names stay; what torch.save wrote besides tensors does not.
Converted with_same_names(const ConvertOrder& order, const ConvertWatcher& watcher) {
  const Checkpoint file(order.in);
  Converted result;
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, view] : file.tensors()) {
    TensorToWrite& tensor = tensors.emplace_back(TensorToWrite{name, view, order.type});
    tensor.file = file.file();
  }
  std::map<std::string, std::string> unread = file.unread();
  for (const OtherTensor& other : file.others()) {
    unread.erase(other.name);
    TensorToWrite& tensor = tensors.emplace_back(TensorToWrite{other.name, {other.name, other.shape, {}, other.bytes}});
    tensor.other = other.type;
  }
  for (const auto& [name, type] : unread) result.left_out.push_back(shown(name) + " (" + shown(type) + ")");
  INKSTONE_CHECK(!tensors.empty(), order.in.string(), " holds no tensors under names of their own",
                 result.left_out.empty() ? "" : " (it holds " + listed(result.left_out, 10) + ")");
  Progress progress(watcher, result);
  progress.plan(order.out, tensors);
  std::map<std::string, std::string> metadata = file.metadata();
  metadata.erase("format");
  progress.write(order.out, tensors, metadata);
  progress.finish();
  result.what = "the tensors of " + order.in.string() + " under the same names";
  return result;
}

// A network's folder, whose weights may be shards.
Converted of_network(const ConvertOrder& order, const ConvertWatcher& watcher) {
  const Weights weights = Weights::open(order.in, order.variant);
  Converted result;
  std::vector<TensorToWrite> tensors;
  for (const std::string& name : weights.names()) tensors.push_back(tensor_to_write(name, weights, name, order.type));
  Progress progress(watcher, result);
  progress.plan(order.out, tensors);
  progress.write(order.out, tensors, {});
  progress.finish();
  result.what = "the weights of " + order.in.string() + " under the same names";
  return result;
}

// What the input has and the result does not.
void add_left_out(Converted& result, const ConvertOrder& order, const WholeModel& model) {
  if (is_folder(order.in)) return;
  std::set<std::string> taken;
  for (const auto& [component, weights] : model.weights)
    for (const WeightSpec& spec : weights.specs()) taken.insert(weights.stored(spec.name).view->name);
  const Checkpoint file(order.in);
  for (const auto& [name, view] : file.tensors())
    if (!taken.contains(name)) result.left_out.push_back(shown(name));
  for (const auto& [name, type] : file.unread()) result.left_out.push_back(shown(name) + " (" + shown(type) + ")");
}

void note_prediction(Converted& result, const WholeModel& model) {
  const SchedulerConfig scheduler = scheduler_config(model.pipeline.traits);
  if (scheduler.prediction != PredictionType::kEpsilon && !model.pipeline.unet_config.added)
    result.notes.push_back(
        "no tensor says what the model predicts; Inkstone reads it in the file's metadata, other programs must be "
        "told");
}

Converted to_file(const ConvertOrder& order, const WholeModel& model, const ConvertWatcher& watcher) {
  const SingleFile file = single_file_of(model, order.type);
  Converted result;
  result.what = "a single file";
  add_left_out(result, order, model);
  note_prediction(result, model);
  Progress progress(watcher, result);
  progress.plan(order.out, file.tensors);
  progress.write(order.out, file.tensors, file.metadata);
  progress.finish();
  return result;
}

// Under another name until all of it is there.
class NewFolder {
 public:
  explicit NewFolder(fs::path target) : target_(target.filename().empty() ? target.parent_path() : std::move(target)) {
    path_ = target_;
    path_ += ".tmp" + std::to_string(random_seed() % 1'000'000);
    make(path_);
  }
  ~NewFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  fs::path file(const std::string& name) const {
    const fs::path path = path_ / name;
    if (!is_folder(path.parent_path())) make(path.parent_path());
    return path;
  }
  void finish() {
    std::error_code error;
    fs::rename(path_, target_, error);
    INKSTONE_CHECK(!error, "cannot write ", target_.string(), ": ", error.message());
    path_.clear();
  }

 private:
  void make(const fs::path& folder) const {
    std::error_code error;
    fs::create_directory(folder, error);
    INKSTONE_CHECK(!error, "cannot write ", target_.string(), ": cannot make the folder ", folder.string(), ": ",
                   error.message());
  }

  fs::path target_, path_;
};

Converted to_folder(const ConvertOrder& order, const WholeModel& model, const ConvertWatcher& watcher) {
  const std::vector<FolderFile> files = folder_files_of(model, order.in, order.type);
  Converted result;
  result.what = "a folder in diffusers' layout";
  add_left_out(result, order, model);
  Progress progress(watcher, result);
  for (const FolderFile& file : files) progress.add(file.tensors);
  progress.start(order.out);
  NewFolder folder(order.out);
  for (const FolderFile& file : files) {
    const fs::path path = folder.file(file.path);
    if (file.has_tensors)
      progress.write(path, file.tensors, {});
    else
      write_file(path, std::as_bytes(std::span(file.text)));
  }
  folder.finish();
  progress.finish();
  return result;
}

}  // namespace

Converted convert(const ConvertOrder& order, const ConvertWatcher& watcher) {
  INKSTONE_CHECK(is_listed(order.in), order.in.string(), ": no such file or folder");
  check_out(order);
  const bool file = writes_file(order.out);
  const bool changed = !order.replaced.empty() || order.said.prediction || order.said.zero_snr || order.said.few_step;
  if (!is_folder(order.in) && file && !changed) {
    INKSTONE_CHECK_USAGE(!order.variant, "--variant is for the weights of a folder, and ", order.in.string(),
                         " is a file");
    return with_same_names(order, watcher);
  }
  if (is_folder(order.in) && !is_model_folder(order.in)) {
    INKSTONE_CHECK_USAGE(file && !changed, order.in.string(),
                         " has no model_index.json: the weights of one network become a file, --out NAME",
                         kSafetensors);
    return of_network(order, watcher);
  }
  const WholeModel model = open_whole(order.in, order.replaced, order.variant, order.said);
  return file ? to_file(order, model, watcher) : to_folder(order, model, watcher);
}

}  // namespace inkstone
