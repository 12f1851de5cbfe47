#include "backend/ascend/backend.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "ir/graph.h"

namespace inkstone {
namespace ascend {
namespace {

Precision precision_of(const std::string& name) {
  return name == "fp16" ? Precision::kFp16 : name == "mixed" ? Precision::kMixed : Precision::kFp32;
}

const char* option_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32: return "fp32";
    case Precision::kBf16: return "bf16";
    case Precision::kFp16: return "fp16";
    case Precision::kMixed: return "mixed";
  }
  return "?";
}

// "unet step 512x512 (batch 1, 2), ...": each image size once.
std::string contents_of(const Manifest& manifest) {
  std::map<std::string, std::set<int>> batches;
  for (const GraphRecord& record : manifest.graphs) {
    std::string name = record.component == record.part ? record.component : record.component + " " + record.part;
    if (record.width) name += " " + std::to_string(record.width) + "x" + std::to_string(record.height);
    if (record.part == "step") name += record.cfg_copies > 1 ? " guided" : " unguided";
    if (record.vae_tile) name += " in tiles";
    if (!record.compiled) name += ", not compiled";
    for (const Gear& gear : record.gears) batches[name].insert(gear.batch);
  }
  std::string text;
  for (const auto& [name, of] : batches) {
    text += (text.empty() ? "" : "; ") + name + " (batch";
    for (const int batch : of) text += (batch == *of.begin() ? " " : ", ") + std::to_string(batch);
    text += ")";
  }
  return text.empty() ? "nothing" : text;
}

// "80x64": the size of an image with these inputs, judged by the files that exist; "" if they do
// not tell.
std::string image_of(const Graph& graph, const Manifest& manifest) {
  const std::vector<NamedShape> inputs = inputs_of(graph);
  if (inputs.empty() || inputs[0].shape.size() != 4) return "";
  for (const GraphRecord& record : manifest.graphs) {
    const Shape& latent = record.gears[0].inputs.empty() ? Shape{} : record.gears[0].inputs[0];
    if (record.width && latent.size() == 4 && latent[3] > 0 && latent[1] == inputs[0].shape[1])
      return std::to_string(inputs[0].shape[3] * record.width / latent[3]) + "x" +
             std::to_string(inputs[0].shape[2] * record.width / latent[3]);
  }
  return "";
}

// How many chunks of text a step's graph takes, judged by the files that exist: its texts are so many times as long as
// theirs.
int chunks_of(const Graph& graph, const Manifest& manifest) {
  const auto tokens = [](const Shape& shape) { return shape.size() == 3 ? shape[1] : int64_t{0}; };
  int64_t wanted = 0, one = 0;
  for (const NamedShape& input : inputs_of(graph)) wanted = std::max(wanted, tokens(input.shape));
  for (const GraphRecord& record : manifest.graphs)
    if (record.part == "step")
      for (const Shape& shape : record.gears[0].inputs) one = std::max(one, tokens(shape) / record.prompt_chunks);
  return one ? static_cast<int>(wanted / one) : 1;
}

// The flags for an export that has everything in this one, and `image`, and texts of so many chunks.
std::string flags_with(const Manifest& manifest, const std::string& image, int chunks) {
  std::set<std::string> sizes;
  std::set<int> batches;
  for (const GraphRecord& record : manifest.graphs)
    if (record.part == "step" || record.component == "upscaler") {
      sizes.insert(std::to_string(record.width) + "x" + std::to_string(record.height));
      if (record.part != "step") continue;
      for (const Gear& gear : record.gears) batches.insert(gear.batch);
      chunks = std::max(chunks, record.prompt_chunks);
    }
  sizes.insert(image.empty() ? "WIDTHxHEIGHT" : image);
  std::string text = " --sizes ";
  for (const std::string& size : sizes) text += (size == *sizes.begin() ? "" : ",") + size;
  if (!batches.empty()) text += " --batch ";
  for (const int batch : batches) text += (batch == *batches.begin() ? "" : ",") + std::to_string(batch);
  if (chunks > 1) text += " --max-prompt-chunks " + std::to_string(chunks);
  return text + " --precision " + manifest.precision;
}

std::string inputs_text(const Graph& graph) {
  constexpr size_t kMax = 3;
  const std::vector<NamedShape> inputs = inputs_of(graph);
  std::string text;
  for (size_t i = 0; i < std::min(kMax, inputs.size()); ++i)
    text += (i ? ", " : "") + inputs[i].name + " " + to_string(inputs[i].shape);
  return inputs.size() > kMax ? text + ", ..." : text;
}

}  // namespace

AscendBackend::AscendBackend(Library library, int index, const std::string& folder, Manifest manifest)
    : folder_(folder), manifest_(std::move(manifest)), shared_(std::move(library), index) {
  for (const GraphRecord& record : manifest_.graphs)
    for (const Port& port : record.inputs)
      if (port.type == DType::kF16) floating_ = DType::kF16;
}

Target AscendBackend::target() const {
  const Device& device = shared_.device;
  return {device.name(), device.soc(), device.cann(), manifest_.model, folder_};
}

DeviceInfo AscendBackend::info() const {
  Device& device = shared_.device;
  DeviceInfo info;
  info.name = device.name();
  info.description = device.soc() + ", CANN " + (device.cann().empty() ? "of unknown version" : device.cann());
  if (device.simulated()) info.description += ", simulated";
  const auto memory = device.run([&] { return device.memory(); });
  info.memory_total = memory.total;
  info.memory_free = memory.free;
  info.precision = precision_of(manifest_.precision);
  info.own_memory = true;
  return info;
}

AscendBackend::Found AscendBackend::find(const Graph& graph, const CompileOptions& options) const {
  const std::string wanted = identity(graph);
  Found best;
  for (const GraphRecord& record : manifest_.graphs) {
    if ((record.vae_tile > 0) != options.vae_tiling) continue;
    for (const Gear& gear : record.gears) {
      if (gear.graph != wanted) continue;
      // Compiled files come first, then files without gears.
      const auto rank = [](const GraphRecord& r) { return std::pair(r.compiled.has_value(), r.gears.size() == 1); };
      if (!best.record || rank(record) > rank(*best.record)) best = {&record, &gear};
    }
  }
  return best;
}

AscendBackend::Found AscendBackend::need(const Graph& graph, const CompileOptions& options) const {
  const Precision precision = precision_of(manifest_.precision);
  INKSTONE_CHECK_USAGE(options.precision == precision, folder_, " was exported with --precision ", manifest_.precision,
                       ", and --precision ", option_of(options.precision),
                       " is asked for: leave the option out, or export again");
  const Found found = find(graph, options);
  if (found.record) return found;
  const std::string image = image_of(graph, manifest_);
  const int chunks = chunks_of(graph, manifest_);
  const std::string text = chunks > 1 ? "a prompt of " + std::to_string(chunks) + " chunks, " : "";
  fail<UsageError>(INKSTONE_HERE,
                   {folder_, " has no compiled file for ", image.empty() ? "" : image + ": ", text, "a graph of ",
                    inputs_text(graph), options.vae_tiling ? " in tiles" : "", "; it has: ", contents_of(manifest_),
                    ". Export what is wanted: `", export_command(target()), flags_with(manifest_, image, chunks),
                    options.vae_tiling ? " --vae-tile 16`" : "`"});
}

std::filesystem::path AscendBackend::path_of(const GraphRecord& record) const {
  return std::filesystem::path(folder_) / record.compiled->om.file;
}

bool AscendBackend::has(const Graph& graph, const CompileOptions& options) {
  const Found found = find(graph, options);
  return found.record && found.record->compiled;
}

MemoryUse AscendBackend::memory_of(const Found& found) {
  const Compiled& compiled = *found.record->compiled;
  MemoryUse memory;
  memory.weights = compiled.weight_bytes;
  memory.arena = compiled.work_bytes;
  if (!memory.weights && !memory.arena) {
    Device& device = shared_.device;
    const std::string path = path_of(*found.record).string();
    device.run([&] {
      const Device::About about(device, path);
      INKSTONE_ACL(device, aclmdlQuerySize, path.c_str(), &memory.arena, &memory.weights);
    });
  }
  const auto add = [&](const std::vector<Port>& ports, auto shapes) {
    for (size_t i = 0; i < ports.size(); ++i) {
      size_t largest = 0;
      for (const Gear& gear : found.record->gears) largest = std::max(largest, bytes((gear.*shapes)[i], ports[i].type));
      memory.scratch += slot_bytes(largest);
    }
  };
  add(found.record->inputs, &Gear::inputs);
  add(found.record->outputs, &Gear::outputs);
  return memory;
}

MemoryUse AscendBackend::plan(const Graph& graph, const Weights&, const CompileOptions& options) {
  const Found found = need(graph, options);
  check_fits(*found.record, target());
  return memory_of(found);
}

std::unique_ptr<Program> AscendBackend::compile(const Graph& graph, const Weights& weights,
                                                const CompileOptions& options) {
  const Found found = need(graph, options);
  const GraphRecord& record = *found.record;
  check_fits(record, target());
  INKSTONE_CHECK(weights.fingerprint() == record.fingerprint, path_of(record).string(),
                 " was made of other weights than this model's (", manifest_.model, "): run `",
                 export_command(target()), "` with this model, or pass the model that it was made of");
  const size_t inputs = inputs_of(graph).size(), outputs = graph.outputs().size();
  INKSTONE_CHECK(inputs == record.inputs.size() && outputs == record.outputs.size(), record.name, " has ",
                 record.inputs.size(), " inputs and ", record.outputs.size(),
                 " outputs by the manifest, and its graph ", inputs, " and ", outputs, ": export the model again");
  return std::make_unique<AscendProgram>(shared_, path_of(record), record, *found.gear, memory_of(found));
}

Tensor AscendBackend::tensor(const Shape& shape, DType type) {
  const DType held = type == DType::kI32 ? type : floating_;
  return Tensor(shape, held, shared_.arena.take(bytes(shape, held)));
}

void AscendBackend::copy(const Tensor& from, size_t from_byte, Tensor& to, size_t to_byte, size_t size) {
  INKSTONE_CHECK(from_byte <= from.bytes() && size <= from.bytes() - from_byte && to_byte <= to.bytes() &&
                     size <= to.bytes() - to_byte,
                 "a copy of ", size, " bytes from byte ", from_byte, " of ", from.bytes(), " to byte ", to_byte, " of ",
                 to.bytes());
  INKSTONE_CHECK(from.type() == to.type(), "a copy of ", name_of(from.type()), " into ", name_of(to.type()));
  const std::byte* source = from.data() + from_byte;
  std::byte* target = to.data() + to_byte;
  if (!from.on_device() && !to.on_device()) return static_cast<void>(std::memcpy(target, source, size));
  Device& device = shared_.device;
  Staging& staging = shared_.staging;
  device.run([&] {
    if (from.on_device() && to.on_device()) return device.copy(target, source, size, kDeviceToDevice);
    if (device.unified()) {
      staging.synchronize();
      return static_cast<void>(std::memcpy(target, source, size));
    }
    staging.prepare(Staging::rounded(size));
    std::byte* staged = staging.take(size);
    if (to.on_device()) {
      std::memcpy(staged, source, size);
      return device.copy(target, staged, size, kHostToDevice);
    }
    device.copy(staged, source, size, kDeviceToHost);
    staging.synchronize();
    std::memcpy(target, staged, size);
  });
}

void AscendBackend::trim() {
  // Tensors' reservations stay, because the next image's tensors have the same sizes. They are
  // given back if memory is short.
  shared_.device.clean_up([this] { shared_.models.trim(); });
}

BackendState AscendBackend::state() {
  const ArenaUse use = shared_.arena.use();
  const double largest = static_cast<double>(use.largest_free), free = static_cast<double>(use.free);
  return {use.free ? 1 - largest / free : 0, shared_.device.unusable()};
}

AscendStatus AscendBackend::status() const {
  Device& device = shared_.device;
  AscendStatus status;
  status.soc = device.soc();
  status.cann = device.cann();
  status.simulated = device.simulated();
  status.unusable = device.unusable();
  device.clean_up([&] {
    status.counters = device.counters();
    status.weights = shared_.models.weight_bytes();
    status.work = shared_.models.work_bytes();
    if (!status.unusable.empty()) return;
    const auto [free, total] = device.memory();
    status.memory_free = free;
    status.memory_total = total;
  });
  const ArenaUse use = shared_.arena.use();
  status.tensors_reserved = use.reserved;
  status.tensors_used = use.used;
  status.tensors_free = use.free;
  status.tensors_largest_free = use.largest_free;
  return status;
}

}  // namespace ascend

std::unique_ptr<Backend> open_ascend_backend(int index, const BackendOptions& options) {
  ascend::Library library = ascend::open_library();
  const std::string device = "npu:" + std::to_string(index);
  INKSTONE_CHECK_USAGE(
      !options.compiled.empty(), "--device ", device,
      " runs files that are compiled ahead: export them with `inkstone export --model MODEL --out DIR --soc "
      "CHIP` (npu-smi info names the chip; write Ascend before it) and pass --compiled DIR");
  Manifest manifest = Manifest::read(options.compiled);
  return std::make_unique<ascend::AscendBackend>(std::move(library), index, options.compiled, std::move(manifest));
}

std::optional<AscendStatus> ascend_status(Backend& backend) {
  if (auto* of = dynamic_cast<ascend::AscendBackend*>(&backend)) return of->status();
  return std::nullopt;
}

}  // namespace inkstone
