#include "backend/cpu/program.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "backend/cpu/pages.h"
#include "base/error.h"
#include "base/parallel.h"

namespace inkstone::cpu {
namespace {

// Collects each form of each weight or constant once.
class Forms {
 public:
  explicit Forms(const Graph& graph) : graph_(graph) {}

  // The index of the form among those found so far.
  std::pair<size_t, bool> meet(const Packing& packing) {
    const auto* weight = std::get_if<op::Weight>(&graph_.node(packing.node).op);
    const std::string key = weight ? weight->name : "\n" + std::to_string(packing.node);
    const auto [first, last] = met_.equal_range(key);
    for (auto at = first; at != last; ++at)
      if (at->second.first == packing.packed) return {at->second.second, false};
    const size_t index = met_.size();
    met_.emplace(key, std::pair(packing.packed, index));
    return {index, true};
  }

 private:
  const Graph& graph_;
  std::multimap<std::string, std::pair<dnnl::memory::desc, size_t>> met_;
};

// Sets the number of threads for which a program was compiled: its primitives and its scratch
// depend on it.
class ThreadsOf {
 public:
  explicit ThreadsOf(int wanted) : before_(threads()), wanted_(wanted) {
    if (before_ != wanted_) set_threads(wanted_);
  }
  ~ThreadsOf() {
    if (before_ != wanted_) set_threads(before_);
  }
  ThreadsOf(const ThreadsOf&) = delete;
  ThreadsOf& operator=(const ThreadsOf&) = delete;

 private:
  int before_, wanted_;
};

size_t aligned(size_t bytes) {
  return (bytes + compile::kArenaAlignment - 1) / compile::kArenaAlignment * compile::kArenaAlignment;
}

const std::string* name_of_weight(const Graph& graph, int node) {
  const auto* weight = std::get_if<op::Weight>(&graph.node(node).op);
  return weight ? &weight->name : nullptr;
}

}  // namespace

// Weights of a call that no earlier call reads.
struct CpuPlan::Fresh {
  size_t mapped = 0;           // bytes
  size_t packed = 0;           // of those that may pass
  std::vector<size_t> passes;  // which of Call::weights these are
  // While they pass: packed, beside one that is converted and its bytes in the file.
  size_t place = 0, converted = 0;
  size_t passing() const { return mapped + place + 2 * converted; }
};

CpuPlan::CpuPlan(Graph graph, const CompileOptions& options, const dnnl::engine& engine, const Weights* weights,
                 compile::ArenaPlanner* planner)
    : graph_(std::make_unique<const Graph>(std::move(graph))),
      lowering_(std::make_unique<const Lowering>(*graph_, options, engine)) {
  std::vector<compile::ArenaCall> arena_calls;
  Forms forms(*graph_);
  for (const Call& call : calls()) {
    arena_calls.push_back(call.arena);
    scratch_ = std::max(scratch_, call.scratch);
    for (const Packing& packing : call.weights)
      if (forms.meet(packing).second) memory_.weights += packed_bytes(packing.packed);
  }
  scratch_ = aligned(scratch_);
  memory_.scratch = scratch_;
  arena_ =
      planner ? planner->plan(lowering_->values(), arena_calls) : compile::plan_arena(lowering_->values(), arena_calls);
  memory_.arena = arena_.bytes;
  plan_weights(options, weights);
}

// Small weights, and those that two calls read in one form, are not packed again and again.
std::vector<CpuPlan::Fresh> CpuPlan::fresh_weights(const CompileOptions& options, const Weights* weights) {
  constexpr size_t kLeastPassing = size_t{64} << 10;
  const size_t assumed = options.precision == Precision::kBf16 ? 2 : 4;
  std::map<std::string, int> packings;  // how often a weight is read packed
  for (const Call& call : calls())
    for (const Packing& packing : call.weights)
      if (const std::string* name = name_of_weight(*graph_, packing.node)) ++packings[*name];
  std::set<std::string> met;
  std::vector<Fresh> all;
  for (const Call& call : calls()) {
    Fresh& fresh = all.emplace_back();
    for (const MappedRead& read : call.mapped) {
      const std::string* name = name_of_weight(*graph_, read.node);
      if (!name || !met.insert(*name).second || (weights && weights->is_owned(*name))) continue;
      const size_t elements = static_cast<size_t>(count(graph_->node(read.node).shape));
      fresh.mapped += std::min(read.max_bytes, weights ? weights->find(*name).bytes.size() : elements * assumed);
    }
    for (size_t i = 0; i < call.weights.size(); ++i) {
      const Packing& packing = call.weights[i];
      const std::string* name = name_of_weight(*graph_, packing.node);
      if (!name || packings[*name] > 1 || packed_bytes(packing.packed) < kLeastPassing) continue;
      fresh.passes.push_back(i);
      fresh.packed += packed_bytes(packing.packed);
      fresh.place += aligned(packed_bytes(packing.packed));
      fresh.converted = std::max(fresh.converted, aligned(Packer::staging_bytes(packing)));
    }
  }
  return all;
}

// The weights of the first calls stay in memory. The others pass through, one call at a time. As
// many stay as the limit allows beside the largest call that passes.
void CpuPlan::plan_weights(const CompileOptions& options, const Weights* weights) {
  const std::vector<Fresh> fresh = fresh_weights(options, weights);
  for (const Fresh& one : fresh) memory_.mapped += one.mapped;
  passing_.resize(calls().size());
  // Beginning with the last call, lets weights pass until the rest fits.
  size_t staying = memory_.mapped + memory_.weights, largest = 0, mapped = 0, place = 0;
  for (size_t i = calls().size(); i-- > 0 && staying + largest > options.weights_limit;) {
    if (!fresh[i].mapped && !fresh[i].packed) continue;
    staying -= fresh[i].mapped + fresh[i].packed;
    largest = std::max(largest, fresh[i].passing());
    memory_.mapped -= fresh[i].mapped;
    memory_.weights -= fresh[i].packed;
    mapped = std::max(mapped, fresh[i].mapped);
    place = std::max(place, fresh[i].place + 2 * fresh[i].converted);
    if (fresh[i].mapped) passing_[i].mapped = calls()[i].mapped;
    passing_[i].packed = fresh[i].passes;
  }
  memory_.mapped += mapped;
  memory_.scratch += place;
}

CpuProgram::CpuProgram(CpuPlan plan, const Weights& weights, CpuShared& shared)
    : plan_(std::move(plan)), weights_(weights), shared_(shared), stream_(shared.engine), threads_(threads()) {
  memory_ = plan_.memory();
  memory_.weights = 0;
  std::byte* const arena = shared_.workspace.grow(aligned(memory_.arena) + memory_.scratch);
  std::byte* const scratch = arena + aligned(memory_.arena);
  inputs_ = inputs_of(plan_.graph()).size();

  std::vector<std::byte*> values;
  for (const size_t offset : plan_.arena().offsets) values.push_back(arena + offset);
  Forms forms(plan_.graph());
  std::vector<std::byte*> forms_at;
  Staging staging;
  for (size_t i = 0; i < plan_.calls().size(); ++i) {
    const Call& call = plan_.calls()[i];
    std::vector<std::byte*> call_weights = passing_weights(i, scratch + plan_.passing_offset());
    for (size_t k = 0; k < call.weights.size(); ++k) {
      if (call_weights[k]) continue;
      const auto [index, fresh] = forms.meet(call.weights[k]);
      if (fresh) forms_at.push_back(weight(call.weights[k], staging));
      call_weights[k] = forms_at[index];
    }
    std::vector<kernels::MappedWeight> call_mapped;
    bytes_.push_back(call.bytes);
    for (const MappedRead& read : call.mapped) {
      const kernels::MappedWeight& weight = call_mapped.emplace_back(mapped(read.node, staging));
      const int64_t elements = count(plan_.graph().node(read.node).shape);
      bytes_.back() +=
          static_cast<double>(std::min(read.max_bytes, static_cast<size_t>(elements) * size_of(weight.type)));
    }
    launches_.push_back(call.bind({values, call_weights, call_mapped, scratch, &shared_.engine, &stream_}));
  }
}

// Where each weight of a call that passes will lie; null for those that stay.
std::vector<std::byte*> CpuProgram::passing_weights(size_t call, std::byte* place) {
  const std::vector<Packing>& packings = plan_.calls()[call].weights;
  const std::vector<size_t>& passing = plan_.passing()[call].packed;
  std::vector<std::byte*> places(packings.size());
  for (const size_t k : passing) {
    places[k] = place;
    place += aligned(packed_bytes(packings[k].packed));
  }
  std::vector<PassingWeight>& packed = passing_packed_.emplace_back();
  for (const size_t k : passing) {
    const std::string* name = name_of_weight(plan_.graph(), packings[k].node);
    const kernels::MappedWeight stored = shared_.packed.mapped(weights_, *name);
    packed.push_back(
        {name, Packer(shared_.engine, stored.type, weights_.find(*name).bytes, packings[k], places[k], place)});
  }
  return places;
}

CpuProgram::~CpuProgram() {
  for (const std::byte* used : used_) shared_.packed.release(used);
}

std::byte* CpuProgram::weight(const Packing& packing, Staging& staging) {
  memory_.weights += packed_bytes(packing.packed);
  const std::string* name = name_of_weight(plan_.graph(), packing.node);
  if (!name) return constant(plan_.graph().node(packing.node), packing, staging);
  used_.reserve(used_.size() + 1);
  return used_.emplace_back(shared_.packed.use(weights_, *name, packing, staging));
}

std::byte* CpuProgram::constant(const Node& node, const Packing& packing, Staging& staging) {
  const auto& values = std::get<op::Constant>(node.op).values;
  if (node.type != DType::kI32)
    return constants_
        .emplace_back(pack(shared_.engine, DType::kF32, std::as_bytes(std::span(values)), packing, staging))
        .get();
  const std::vector<int32_t> ids(values.begin(), values.end());
  return constants_.emplace_back(pack(shared_.engine, DType::kI32, std::as_bytes(std::span(ids)), packing, staging))
      .get();
}

kernels::MappedWeight CpuProgram::mapped(int node, Staging& staging) {
  if (const std::string* name = name_of_weight(plan_.graph(), node)) return shared_.packed.mapped(weights_, *name);
  const int64_t number = count(plan_.graph().node(node).shape);
  const Packing plain{node, {1}, {{number}, dnnl::memory::data_type::f32, dnnl::memory::dims{1}}};
  return {constant(plan_.graph().node(node), plain, staging), DType::kF32};
}

void CpuProgram::release_pages() {
  for (const Call& call : plan_.calls()) release(call.mapped);
}

void CpuProgram::release(std::span<const MappedRead> reads) const {
  for (const MappedRead& read : reads)
    if (const std::string* name = name_of_weight(plan_.graph(), read.node)) weights_.release(*name);
}

void CpuProgram::run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) {
  INKSTONE_CHECK(inputs.size() == inputs_, "cpu: ", inputs.size(), " inputs for a program of ", inputs_);
  INKSTONE_CHECK(outputs.size() == plan_.graph().outputs().size(), "cpu: ", outputs.size(),
                 " outputs for a program of ", plan_.graph().outputs().size());
  const ThreadsOf compiled_for(threads_);
  const HostTensors host{inputs, outputs};
  if (profiling_) return run_timed(host);
  for (size_t i = 0; i < launches_.size(); ++i) launch(i, host);
}

void CpuProgram::launch(size_t call, const HostTensors& host) {
  for (const PassingWeight& weight : passing_packed_[call]) {
    weight.packer.run(stream_);
    weights_.release(*weight.name);
  }
  launches_[call](host);
  release(plan_.passing()[call].mapped);
}

void CpuProgram::run_timed(const HostTensors& host) {
  using Clock = std::chrono::steady_clock;
  for (size_t i = 0; i < launches_.size(); ++i) {
    const auto start = Clock::now();
    launch(i, host);
    const std::chrono::duration<double> took = Clock::now() - start, begin = start.time_since_epoch();
    const Call& call = plan_.calls()[i];
    profile_.push_back({call.op, call.detail, took.count(), call.flops, bytes_[i], begin.count()});
  }
}

void CpuProgram::start_profile() {
  profiling_ = true;
  profile_.clear();
}

std::vector<CallProfile> CpuProgram::take_profile() {
  profiling_ = false;
  return std::exchange(profile_, {});
}

}  // namespace inkstone::cpu
