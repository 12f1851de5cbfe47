// What a program on `cpu` promises beyond its numbers: nothing is allocated while it runs, memory
// is what the plan said, packed weights are shared and given back, bad weights are named.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <set>

#include "backend/cpu/cpu.h"
#include "backend/cpu/product_algorithm.h"
#include "backend/cpu/program.h"
#include "backend/precisions.h"
#include "backend/random_model.h"
#include "base/error.h"
#include "base/parallel.h"
#include "compile/passes.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "sanitized.h"
#include "support/differences.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<size_t> allocations{0}, largest{0};
std::atomic<ptrdiff_t> balance{0};

[[maybe_unused]] void* counted(size_t bytes, size_t alignment) {
  if (counting) {
    ++allocations, ++balance;
    size_t before = largest;
    while (before < bytes && !largest.compare_exchange_weak(before, bytes)) {
    }
  }
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded ? rounded : alignment)) return memory;
  throw std::bad_alloc();
}

[[maybe_unused]] void given_back(void* memory) {
  if (counting && memory) --balance;
  std::free(memory);
}

}  // namespace

// A sanitizer has its own; the tests that count are skipped there.
#if INKSTONE_SANITIZED
constexpr bool kCounts = false;
#else
constexpr bool kCounts = true;
void* operator new(size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) { return counted(bytes, static_cast<size_t>(alignment)); }
void operator delete(void* memory) noexcept { given_back(memory); }
void operator delete(void* memory, size_t) noexcept { given_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { given_back(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { given_back(memory); }

#endif

namespace inkstone {
namespace {

struct Allocations {
  size_t number, largest;
  ptrdiff_t left;
};

struct Runner {
  Runner(Backend& backend, const Graph& of, const Weights& weights, const CompileOptions& options)
      : program(backend.compile(of, weights, options)), inputs(random_inputs(of)) {
    for (const int id : of.outputs()) outputs.emplace_back(of.node(id).shape);
    for (const Tensor& tensor : inputs) in.push_back(&tensor);
    for (Tensor& tensor : outputs) out.push_back(&tensor);
  }
  const Tensor& run() {
    program->run(in, out);
    return outputs[0];
  }

  std::unique_ptr<Program> program;
  std::vector<Tensor> inputs, outputs;
  std::vector<const Tensor*> in;
  std::vector<Tensor*> out;
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

// Of the second run: the first may make what lasts (a thread's stack, a lock).
Allocations allocations_of_a_run(const Graph& graph, const CompileOptions& options) {
  const Weights weights = random_weights(graph);
  const auto cpu = open_cpu_backend();
  Runner runner(*cpu, graph, weights, options);
  runner.run();
  allocations = largest = 0;
  balance = 0;
  counting = true;
  runner.run();
  counting = false;
  return {allocations, largest, balance};
}

// Every op that runs on a kernel of our own.
Graph kernels_graph() {
  Graph g;
  const Scope s{&g, ""};
  const Value image = input(g, "x", {2, 32, 8, 8});
  Value y = silu(group_norm(s / "gn", image, 8, 1e-5f)) + image;
  y = concat(upsample2x(y), input(g, "y", {2, 16, 16, 16}), 1);
  const Value tokens = layer_norm(s / "ln", to_tokens(slice(y, 1, 8, 40)));
  const Value mixed = attention(tokens, tokens, tokens, 2) * tokens;
  const Value words = embedding(s / "words", input(g, "ids", {2, 3}, DType::kI32), 30, 32);
  const Value gated = slice(mixed, 2, 0, 16) * activate(slice(mixed, 2, 16, 32), Activation::kGelu);
  const Value time = time_embedding(input(g, "t", {2}), {16});
  const Value results[] = {to_image(gated, 16, 16) + reshape(time, {2, 16, 1, 1}), words};
  return finish(g, results);
}

Graph tiny_unet_graph(int64_t rows) { return unet_graph(tiny_unet(), {rows, 8, 8, 9}); }

size_t products(const Graph& graph) {
  size_t number = 0;
  for (const Node& node : graph.nodes())
    number += std::holds_alternative<op::Conv2d>(node.op) || std::holds_alternative<op::Linear>(node.op);
  return number;
}

TEST(CpuProgram, kernels_allocate_nothing_in_a_run) {
  if (!kCounts) GTEST_SKIP() << "a sanitizer counts its own";
  for (const Precision precision : runnable_precisions())
    EXPECT_EQ(allocations_of_a_run(kernels_graph(), {.precision = precision}).number, 0u);
}

// With our own products nothing at all; oneDNN's execute() makes a table of its arguments, a few
// words, given back at once.
TEST(CpuProgram, a_network_allocates_nothing_but_onednns_argument_tables) {
  if (!kCounts) GTEST_SKIP() << "a sanitizer counts its own";
  constexpr size_t kForAProduct = 20, kWords = 256;  // two rows, each run for itself
  const Graph graphs[] = {tiny_unet_graph(2), clip_graph(tiny_clip(), 2), vae_decoder_graph(tiny_vae(), 1, 16, 16)};
  for (const Graph& graph : graphs)
    for (const Precision precision : runnable_precisions())
      for (const size_t limit : {SIZE_MAX, size_t{0}}) {
        const DType type = precision == Precision::kBf16 ? DType::kBF16 : DType::kF32;
        const bool own = cpu::algorithm_of(op::Linear{}, type) != cpu::ProductAlgorithm::kOneDnn;
        CompileOptions options{.precision = precision, .vae_tiling = true};
        options.weights_limit = limit;
        const Allocations seen = allocations_of_a_run(graph, options);
        EXPECT_LE(seen.number, own ? 0 : kForAProduct * products(graph));
        EXPECT_LE(seen.largest, kWords);
        EXPECT_EQ(seen.left, 0);
      }
}

TEST(CpuProgram, whole_models_use_the_memory_that_was_planned) {
  const auto cpu = open_cpu_backend();
  const Graph graphs[] = {tiny_unet_graph(2), clip_graph(tiny_clip(), 2), vae_decoder_graph(tiny_vae(), 1, 8, 8),
                          unet_graph(tiny_linear_unet(), {1, 16, 8, 9})};
  for (const Graph& graph : graphs)
    for (const Precision precision : runnable_precisions())
      for (const bool sliced : {false, true}) {
        const CompileOptions options{precision, sliced, true};
        const Weights weights = random_weights(graph);
        const MemoryUse planned = cpu->plan(graph, weights, options);
        const MemoryUse used = cpu->compile(graph, weights, options)->memory();
        EXPECT_EQ(planned.weights, used.weights);
        EXPECT_EQ(planned.mapped, used.mapped);
        EXPECT_EQ(planned.arena, used.arena);
        EXPECT_EQ(planned.scratch, used.scratch);
        EXPECT_GT(planned.arena, 0u);
      }
}

TEST(CpuProgram, the_published_unet_needs_no_more_than_fits) {
  if (!multiplies_bf16()) GTEST_SKIP() << "oneDNN multiplies no bf16 on this processor";
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const Graph graph =
      compile::choose_precision(compile::fuse(compile::fold(unet_graph(UnetConfig{}, {2, 64, 64}))), DType::kBF16);
  const MemoryUse use = cpu::CpuPlan(graph, {.precision = Precision::kBf16}, engine).memory();
  EXPECT_LT(use.weights + use.mapped, size_t{1'730'000'000});  // 859.5 million, two bytes each
  EXPECT_LT(use.arena, size_t{64} << 20);
}

// The bytes that the program of a large image needs differ, its packed weights do not.
TEST(CpuProgram, batch_sizes_share_every_packed_weight) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  for (const Precision precision : runnable_precisions()) {
    const DType type = precision == Precision::kBf16 ? DType::kBF16 : DType::kF32;
    const auto forms = [&](int64_t rows) {
      const cpu::CpuPlan plan(
          compile::choose_precision(compile::fuse(compile::fold(unet_graph(UnetConfig{}, {rows, 8, 8}))), type), {},
          engine);
      std::vector<dnnl::memory::desc> all;
      for (const cpu::Call& call : plan.calls())
        for (const cpu::Packing& packing : call.weights) all.push_back(packing.packed);
      return all;
    };
    const auto one = forms(1);
    EXPECT_TRUE(forms(2) == one);
    EXPECT_TRUE(forms(7) == one);
  }
}

Weights one_weight(DType type, float value) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.emplace_back("w", Tensor({16, 16}, type));
  for (int64_t i = 0; i < 256; ++i) {
    const float number = value + static_cast<float>(i % 7);
    std::byte* const at = tensors[0].second.data() + static_cast<size_t>(i) * size_of(type);
    const uint16_t half = type == DType::kF16 ? to_f16(number) : to_bf16(number);
    type == DType::kF32 ? std::memcpy(at, &number, 4) : std::memcpy(at, &half, 2);
  }
  Weights weights = Weights::of(std::move(tensors));
  const WeightSpec spec{"w", {16, 16}};
  weights.bind({&spec, 1});
  return weights;
}

TEST(PackedWeights, are_packed_once_for_each_model_and_form) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  using Tag = dnnl::memory::format_tag;
  const dnnl::memory::desc plain({16, 16}, dnnl::memory::data_type::f32, Tag::ab),
      turned({16, 16}, dnnl::memory::data_type::f32, Tag::ba);
  const cpu::Packing as_it_is{0, {16, 1}, plain}, transposed{0, {16, 1}, turned};
  const Weights weights = one_weight(DType::kF32, 1), others = one_weight(DType::kF32, 2);
  cpu::PackedWeights store(engine);
  cpu::Staging staging;
  const std::byte* const first = store.use(weights, "w", as_it_is, staging);
  EXPECT_EQ(store.use(weights, "w", as_it_is, staging), first);
  EXPECT_NE(store.use(weights, "w", transposed, staging), first);
  const std::byte* const other = store.use(others, "w", as_it_is, staging);
  EXPECT_NE(other, first);
  EXPECT_EQ(*reinterpret_cast<const float*>(first), 1);
  EXPECT_EQ(*reinterpret_cast<const float*>(other), 2);
  EXPECT_EQ(store.bytes(), 4u * 16 * 16 * 3);
  store.release(first);
  store.release(other);
  store.free_unused();
  // one user of the first is left
  EXPECT_EQ(store.bytes(), 4u * 16 * 16 * 2);
  store.release(first);
  store.free_unused();
  EXPECT_EQ(store.bytes(), 4u * 16 * 16);
}

TEST(PackedWeights, read_every_type_at_any_address) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  using Type = dnnl::memory::data_type;
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16})
    for (const Type wanted : {Type::f32, Type::bf16})
      for (const bool turned : {false, true}) {
        const size_t size = size_of(type);
        std::vector<std::byte> file(1 + 6 * size);  // odd addresses, as in a file
        for (size_t i = 0; i < 6; ++i) {
          const float number = 1.5f * static_cast<float>(i) - 2;
          const uint16_t half = type == DType::kF16 ? to_f16(number) : to_bf16(number);
          std::memcpy(&file[1 + i * size], type == DType::kF32 ? static_cast<const void*>(&number) : &half, size);
        }
        // [2, 3] in the file; in memory the same, or [3, 2]
        const dnnl::memory::dims sizes = turned ? dnnl::memory::dims{3, 2} : dnnl::memory::dims{2, 3};
        const cpu::Packing packing{0,
                                   turned ? dnnl::memory::dims{1, 3} : dnnl::memory::dims{3, 1},
                                   {sizes, wanted, dnnl::memory::format_tag::ab}};
        cpu::Staging staging;
        const Memory packed = pack(engine, type, std::span(file).subspan(1), packing, staging);
        for (size_t i = 0; i < 6; ++i) {
          const size_t from = turned ? i % 2 * 3 + i / 2 : i;
          float found = 0;
          to_float(wanted == Type::f32 ? DType::kF32 : DType::kBF16, packed.get() + i * (wanted == Type::f32 ? 4 : 2),
                   &found, 1);
          EXPECT_EQ(found, 1.5f * static_cast<float>(from) - 2);
        }
      }
}

TEST(CpuProgram, programs_live_and_die_on_shared_weights) {
  const auto cpu = open_cpu_backend();
  const Graph one = tiny_unet_graph(1), two = tiny_unet_graph(2);
  const Weights weights = random_weights(one);
  Runner first(*cpu, one, weights, {});
  const Tensor before = first.run().clone();
  {
    Runner second(*cpu, two, weights, {});
    second.run();
  }
  cpu->trim();
  EXPECT_TRUE(same_bits(first.run(), before));
}

TEST(CpuProgram, a_nan_in_the_weights_is_named) {
  const Graph graph = tiny_unet_graph(1);
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<WeightSpec> specs;
  for (const NamedShape& weight : weights_of(graph)) {
    tensors.emplace_back(weight.name, Tensor(weight.shape));
    specs.push_back({weight.name, weight.shape});
  }
  tensors[7].second.floats()[3] = std::numeric_limits<float>::quiet_NaN();
  const std::string name = tensors[7].first;
  Weights weights = Weights::of(std::move(tensors));
  weights.bind(specs);
  try {
    open_cpu_backend()->compile(graph, weights, {});
    FAIL() << "a NaN was packed";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
  }
}

TEST(CpuProgram, bands_of_rows_take_less_memory_and_change_no_bit) {
  VaeConfig wider = tiny_vae();
  wider.channels = {16, 32};  // enough for Winograd
  const auto cpu = open_cpu_backend();
  for (const auto& [config, height, width] :
       {std::tuple{tiny_vae(), 140, 136}, {tiny_vae(), 135, 131}, {wider, 135, 131}, {wider, 140, 136}})
    for (const Precision precision : runnable_precisions()) {
      const Graph graph = vae_decoder_graph(config, 1, height, width);
      const Weights weights = random_weights(graph);
      Runner whole(*cpu, graph, weights, {.precision = precision}),
          bands(*cpu, graph, weights, {.precision = precision, .vae_tiling = true});
      EXPECT_LT(bands.program->memory().arena, whole.program->memory().arena * 3 / 4);
      const Tensor& right = whole.run();
      EXPECT_TRUE(same_bits(bands.run(), right))
          << height << " x " << width << ", " << relative_rms(bands.run(), right);
      const int before = threads();
      set_threads(before == 1 ? 2 : 1);
      Runner other(*cpu, graph, weights, {.precision = precision, .vae_tiling = true});
      EXPECT_TRUE(same_bits(bands.run(), other.run())) << "other threads, other bits";
      set_threads(before);
    }
}

// Its largest map is 134 MB (256 channels of 512 x 512): not much more may be there at a time.
TEST(CpuProgram, the_published_vae_in_bands_needs_little_more_than_its_largest_map) {
  if (!multiplies_bf16()) GTEST_SKIP() << "oneDNN multiplies no bf16 on this processor";
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const Graph graph =
      compile::choose_precision(compile::fuse(compile::fold(vae_decoder_graph(VaeConfig{}, 1, 64, 64))), DType::kBF16);
  const MemoryUse use =
      cpu::CpuPlan(compile::tile_rows(graph, 128 * 128, 32), {.precision = Precision::kBf16}, engine).memory();
  EXPECT_LT(use.arena, size_t{180'000'000});
}

TEST(CpuProgram, sliced_attention_changes_no_bit) {
  const Graph graph = tiny_unet_graph(2);
  const Weights weights = random_weights(graph);
  const auto cpu = open_cpu_backend();
  Runner whole(*cpu, graph, weights, {}), sliced(*cpu, graph, weights, {.attention_slicing = true});
  EXPECT_TRUE(same_bits(whole.run(), sliced.run()));
}

TEST(CpuProgram, refuses_tensors_that_do_not_fit) {
  const Graph graph = tiny_unet_graph(1);
  const auto cpu = open_cpu_backend();
  const Weights weights = random_weights(graph);
  Runner runner(*cpu, graph, weights, {});
  EXPECT_THROW(runner.program->run({}, runner.out), Error);
  EXPECT_THROW(runner.program->run(runner.in, {}), Error);
  const Tensor wrong({1, 4, 8, 9});
  runner.in[0] = &wrong;
  EXPECT_THROW(runner.run(), Error);
}

TEST(CpuProgram, a_profile_names_every_call_and_counts_its_work) {
  const Graph graph = tiny_unet_graph(2);
  const auto cpu = open_cpu_backend();
  const Weights weights = random_weights(graph);
  Runner runner(*cpu, graph, weights, {});
  runner.run();
  EXPECT_TRUE(runner.program->take_profile().empty());
  runner.program->start_profile();
  runner.run();
  double flops = 0, last = 0;
  std::set<std::string> ops;
  for (const CallProfile& call : runner.program->take_profile()) {
    EXPECT_GT(call.bytes, 0) << call.op << call.detail;
    EXPECT_GE(call.begin, last) << call.op;
    last = call.begin + call.seconds;
    flops += call.flops;
    ops.insert(call.op);
    EXPECT_GE(call.seconds, 0);
  }
  EXPECT_GT(flops, 1e5);
  for (const char* op : {"conv2d", "linear", "linear_geglu", "attention", "group_norm", "layer_norm"})
    EXPECT_TRUE(ops.contains(op)) << op;
}

TEST(CpuBackend, describes_the_machine) {
  const DeviceInfo info = open_cpu_backend()->info();
  EXPECT_EQ(info.name, "cpu");
  EXPECT_NE(info.description.find(std::to_string(threads()) + " thread"), std::string::npos) << info.description;
  EXPECT_GT(info.memory_free, size_t{1} << 26);
  EXPECT_LE(info.memory_free, info.memory_total);
}

}  // namespace
}  // namespace inkstone
