#include "backend/reference/reference.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "backend/reference/kernels.h"
#include "base/error.h"
#include "base/parallel.h"
#include "compile/passes.h"
#include "ir/print.h"

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

bool is_source(const Op& op) { return std::holds_alternative<op::Input>(op) || std::holds_alternative<op::Weight>(op); }

// One overload for each op: a row added to op.h without a kernel here does not compile.
struct Runner {
  const reference::In& in;
  Tensor& out;
  template <typename O>
  void operator()(const O& o) const {
    reference::run(o, in, out);
  }
  void operator()(const op::Input&) const {}
  void operator()(const op::Weight&) const {}
};

DType held(DType type) { return type == DType::kI32 ? DType::kI32 : DType::kF32; }  // everything but ids is fp32 here

// One tensor for each node, made once. Values that are no longer needed do not share memory,
// because this backend need not save any.
class ReferenceProgram : public Program {
 public:
  ReferenceProgram(Graph graph, const Weights* weights) : graph_(std::move(graph)) {
    for (const Node& node : graph_.nodes()) {
      const auto* weight = std::get_if<op::Weight>(&node.op);
      values_.push_back(weight ? weights->read(weight->name) : Tensor(node.shape, held(node.type)));
      (weight ? memory_.weights : memory_.arena) += values_.back().bytes();
    }
    for (const Node& node : graph_.nodes()) {
      reference::In in;
      for (int input : node.inputs) in.push_back(&values_[input]);
      arguments_.push_back(std::move(in));
    }
  }

  void run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) override {
    size_t next = 0;
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
      const Node& node = graph_.node(id);
      const auto start = Clock::now();
      if (std::holds_alternative<op::Input>(node.op)) {
        INKSTONE_CHECK(next < inputs.size(), "a program of more inputs than the ", inputs.size(), " given");
        take_in(*inputs[next++], node, values_[id]);
      }
      std::visit(Runner{arguments_[id], values_[id]}, node.op);
      if (profiling_ && !is_source(node.op)) add_profile(node, start);
    }
    INKSTONE_CHECK(outputs.size() == graph_.outputs().size(), outputs.size(), " outputs for a program of ",
                   graph_.outputs().size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      const int id = graph_.outputs()[i];
      give_out(values_[id], graph_.node(id), *outputs[i]);
    }
  }

  MemoryUse memory() const override { return memory_; }
  void start_profile() override { profiling_ = true; }
  std::vector<CallProfile> take_profile() override {
    profiling_ = false;
    return std::exchange(profile_, {});
  }

 private:
  void add_profile(const Node& node, Clock::time_point start) {
    const std::chrono::duration<double> took = Clock::now() - start, begin = start.time_since_epoch();
    size_t moved = bytes(node.shape, node.type);
    for (const int input : node.inputs) moved += values_[input].bytes();
    profile_.push_back(
        {name_of(node.op), to_string(node.shape), took.count(), 0, static_cast<double>(moved), begin.count()});
  }

  static void expect(const Tensor& host, const Node& node) {
    INKSTONE_CHECK(host.shape() == node.shape && host.type() == node.type, "a tensor of ", to_string(host.shape()), " ",
                   name_of(host.type()), " where ", to_string(node.shape), " ", name_of(node.type), " is wanted");
  }

  static void take_in(const Tensor& host, const Node& node, Tensor& value) {
    expect(host, node);
    if (host.type() == value.type()) return static_cast<void>(std::copy_n(host.data(), host.bytes(), value.data()));
    to_float(host.type(), host.data(), value.floats().data(), static_cast<size_t>(host.size()));
  }

  static void give_out(const Tensor& value, const Node& node, Tensor& host) {
    expect(host, node);
    if (host.type() == value.type()) return static_cast<void>(std::copy_n(value.data(), value.bytes(), host.data()));
    std::ranges::transform(value.floats(), reinterpret_cast<uint16_t*>(host.data()), to_bf16);
  }

  Graph graph_;
  std::vector<Tensor> values_;
  std::vector<reference::In> arguments_;
  MemoryUse memory_;
  bool profiling_ = false;
  std::vector<CallProfile> profile_;
};

class ReferenceBackend : public Backend {
 public:
  DeviceInfo info() const override {
    DeviceInfo device;
    device.name = "reference";
    device.description = "plain fp32 loops, " + std::to_string(threads()) + " threads";
    return device;
  }

  std::unique_ptr<Program> compile(const Graph& graph, const Weights& weights, const CompileOptions& options) override {
    check(options);
    return std::make_unique<ReferenceProgram>(compile::fold(graph), &weights);
  }

  MemoryUse plan(const Graph& graph, const Weights&, const CompileOptions& options) override {
    check(options);
    MemoryUse memory;
    const Graph folded = compile::fold(graph);
    for (const Node& node : folded.nodes())
      (std::holds_alternative<op::Weight>(node.op) ? memory.weights : memory.arena) +=
          bytes(node.shape, held(node.type));
    return memory;
  }

 private:
  static void check(const CompileOptions& options) {
    INKSTONE_CHECK_USAGE(options.precision == Precision::kFp32,
                         "the reference device computes in fp32 only: use --precision fp32 or --device cpu");
  }
};

}  // namespace

std::unique_ptr<Backend> open_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace inkstone
