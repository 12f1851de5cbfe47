#include "backend/cpu/program.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "backend/cpu/pages.h"
#include "base/error.h"
#include "base/parallel.h"

namespace inkstone {
namespace {

// Each form of each weight or constant, once.
class Forms {
 public:
  explicit Forms(const Graph& graph) : graph_(graph) {}

  // Where the form stands among those met so far.
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

// Runs on the threads that a program was compiled for: its primitives and its scratch were made for them.
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

}  // namespace

CpuPlan::CpuPlan(Graph graph, const CompileOptions& options, const dnnl::engine& engine)
    : graph_(std::make_unique<const Graph>(std::move(graph))),
      lowering_(std::make_unique<const Lowering>(*graph_, options, engine)) {
  std::vector<ArenaCall> calls;
  Forms forms(*graph_);
  for (const Call& call : lowering_->calls()) {
    calls.push_back(call.arena);
    memory_.scratch = std::max(memory_.scratch, call.scratch);
    for (const Packing& packing : call.weights)
      if (forms.meet(packing).second) memory_.weights += packed_bytes(packing.packed);
  }
  arena_ = plan_arena(lowering_->values(), calls);
  memory_.arena = arena_.bytes;
}

CpuProgram::CpuProgram(CpuPlan plan, const Weights& weights, PackedWeights& packed, const dnnl::engine& engine)
    : plan_(std::move(plan)), packed_(packed), engine_(engine), stream_(engine), threads_(threads()) {
  arena_ = allocate_pages(plan_.memory().arena);
  scratch_ = allocate_pages(plan_.memory().scratch);
  memory_.arena = plan_.memory().arena;
  memory_.scratch = plan_.memory().scratch;
  inputs_ = inputs_of(plan_.graph()).size();

  std::vector<std::byte*> values;
  for (const size_t offset : plan_.arena().offsets) values.push_back(arena_.get() + offset);
  Forms forms(plan_.graph());
  std::vector<std::byte*> forms_at;
  Staging staging;
  for (const Call& call : plan_.calls()) {
    std::vector<std::byte*> call_weights;
    for (const Packing& packing : call.weights) {
      const auto [index, fresh] = forms.meet(packing);
      if (fresh) forms_at.push_back(weight(weights, packing, staging));
      call_weights.push_back(forms_at[index]);
    }
    launches_.push_back(call.bind({values, call_weights, scratch_.get(), &engine_, &stream_}));
  }
}

CpuProgram::~CpuProgram() {
  for (const std::byte* used : used_) packed_.release(used);
}

std::byte* CpuProgram::weight(const Weights& weights, const Packing& packing, Staging& staging) {
  const Node& node = plan_.graph().node(packing.node);
  memory_.weights += packed_bytes(packing.packed);
  if (const auto* named = std::get_if<op::Weight>(&node.op)) {
    used_.reserve(used_.size() + 1);
    return used_.emplace_back(packed_.use(weights, named->name, packing, staging));
  }
  const auto& values = std::get<op::Constant>(node.op).values;
  if (node.type != DType::kI32)
    return constants_.emplace_back(pack(engine_, DType::kF32, std::as_bytes(std::span(values)), packing, staging))
        .get();
  const std::vector<int32_t> ids(values.begin(), values.end());
  return constants_.emplace_back(pack(engine_, DType::kI32, std::as_bytes(std::span(ids)), packing, staging)).get();
}

void CpuProgram::run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) {
  INKSTONE_CHECK(inputs.size() == inputs_, "cpu: ", inputs.size(), " inputs for a program of ", inputs_);
  INKSTONE_CHECK(outputs.size() == plan_.graph().outputs().size(), "cpu: ", outputs.size(),
                 " outputs for a program of ", plan_.graph().outputs().size());
  const ThreadsOf compiled_for(threads_);
  const HostTensors host{inputs, outputs};
  if (profiling_) return run_timed(host);
  for (const Launch& launch : launches_) launch(host);
}

void CpuProgram::run_timed(const HostTensors& host) {
  using Clock = std::chrono::steady_clock;
  for (size_t i = 0; i < launches_.size(); ++i) {
    const auto start = Clock::now();
    launches_[i](host);
    const std::chrono::duration<double> took = Clock::now() - start, begin = start.time_since_epoch();
    const Call& call = plan_.calls()[i];
    profile_.push_back({call.op, call.detail, took.count(), call.flops, call.bytes, begin.count()});
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

}  // namespace inkstone
