// The kernels' ladder: what each reaches on the shapes of Stable Diffusion 1.5, beside what this
// machine can do. bench_kernels [seconds for each rung]; INKSTONE_ISA chooses the variant.
#include "backend/cpu/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backend/cpu/kernels/peak.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "ladder.h"

namespace inkstone {
namespace {

struct AttentionRung {
  const char* name;
  int64_t rows, queries, keys, heads, head_width;
};

constexpr AttentionRung kAttention[] = {
    {"self 64x64", 2, 4096, 4096, 8, 40}, {"self 32x32", 2, 1024, 1024, 8, 80}, {"self 16x16", 2, 256, 256, 8, 160},
    {"self 8x8", 2, 64, 64, 8, 160},      {"cross 64x64", 2, 4096, 77, 8, 40},  {"cross 32x32", 2, 1024, 77, 8, 80},
    {"cross 16x16", 2, 256, 77, 8, 160},  {"text", 2, 77, 77, 12, 64},          {"autoencoder", 1, 4096, 4096, 1, 512}};

void climb_attention(DType type, double peak, double seconds) {
  for (const AttentionRung& r : kAttention) {
    const int64_t c = r.heads * r.head_width;
    const kernels::AttentionShape shape = {
        r.rows, r.queries, r.keys, r.heads, r.head_width, c, c, c, c, 1 / std::sqrt(static_cast<float>(r.head_width))};
    const Tensor q = random(r.rows * r.queries * c, type, 1), k = random(r.rows * r.keys * c, type, 2);
    const Tensor v = random(r.rows * r.keys * c, type, 3);
    Tensor out({r.rows * r.queries * c}, type);
    const Memory scratch = allocate(kernels::table().attention_scratch(shape, type));
    const kernels::AttentionData data = {q.data(), k.data(), v.data(), out.data(), scratch.get()};
    const double time = best_of(seconds, [&] { kernels::table().attention(shape, type, data); });
    const double rate = 4.0 * static_cast<double>(r.rows * r.queries * r.keys * c) / time;
    std::printf("  attention %-12s %s %8.3f ms %7.1f GFLOP/s", r.name, name_of(type), time * 1e3, rate * 1e-9);
    std::printf(peak > 0 ? "  %5.1f %% of peak\n" : "\n", 100 * rate / peak);
  }
}

void report(const char* name, DType type, double bytes, double time) {
  std::printf("  %-22s %s %8.3f ms %7.1f GB/s\n", name, name_of(type), time * 1e3, bytes / time * 1e-9);
}

// What only streams: bytes read and written, as if each were touched once.
void climb_streams(DType type, double seconds) {
  constexpr int64_t kRows = 2, kPixels = 4096, kChannels = 320, kCount = kRows * kPixels * kChannels;
  const auto bytes = static_cast<double>(kCount * static_cast<int64_t>(size_of(type)));
  const Tensor x = random(2 * 4 * kCount, type, 4);
  Tensor out({4 * kCount}, type), stats({kRows * 32 * 2});
  const std::vector<float> scale(kChannels, 1.5f), shift(kChannels, 0.25f);
  const kernels::Table& k = kernels::table();
  report("copy", type, 2 * bytes, best_of(seconds, [&] {
           parallel_for(threads(), 1, [&](int64_t begin, int64_t end) {
             const size_t part = static_cast<size_t>(kCount) * size_of(type) / static_cast<size_t>(threads());
             std::memcpy(out.data() + static_cast<size_t>(begin) * part, x.data() + static_cast<size_t>(begin) * part,
                         static_cast<size_t>(end - begin) * part);
           });
         }));
  const kernels::GroupNormShape group = {kRows, kPixels, kChannels, 32, 1e-5f, true};
  const Memory scratch = allocate(k.group_scratch(group));
  const kernels::GroupNormData data = {.x = x.data(),
                                       .addend = nullptr,
                                       .scale = scale.data(),
                                       .shift = shift.data(),
                                       .stats = stats.floats().data(),
                                       .out = out.data(),
                                       .scratch = scratch.get()};
  report("group_norm + silu", type, 3 * bytes, best_of(seconds, [&] { k.group_norm(group, type, data); }));
  report("group_stats", type, bytes, best_of(seconds, [&] { k.group_stats(group, type, data); }));
  report("layer_norm", type, 2 * bytes, best_of(seconds, [&] {
           k.layer_norm({kRows * kPixels, kChannels, 1e-5f, scale.data(), shift.data()}, type, x.data(), out.data());
         }));
  report("geglu", type, 12 * bytes,
         best_of(seconds, [&] { k.geglu(kRows * kPixels, 4 * kChannels, type, x.data(), out.data()); }));
  report("silu", type, 2 * bytes,
         best_of(seconds, [&] { k.activate(Activation::kSilu, kCount, type, x.data(), out.data()); }));
  report("add", type, 3 * bytes,
         best_of(seconds, [&] { k.add(kCount, type, x.data(), x.data() + kCount, out.data()); }));
}

int climb(double seconds) {
  const double fp32 = kernels::probe_peak(DType::kF32, 25), bf16 = kernels::probe_peak(DType::kBF16, 25);
  std::printf("%s, %d threads; peak fp32 %.1f, bf16 %.1f GFLOP/s\n", kernels::table().name, threads(), fp32 * 1e-9,
              bf16 * 1e-9);
  climb_attention(DType::kBF16, bf16, seconds);
  climb_attention(DType::kF32, fp32, seconds);
  for (const DType type : {DType::kBF16, DType::kF32}) climb_streams(type, seconds / 2);
  return 0;
}

}  // namespace
}  // namespace inkstone

int main(int argc, char** argv) {
  inkstone::set_threads(inkstone::usable_cores());
  return inkstone::climb(argc > 1 ? std::atof(argv[1]) : 0.5);
}
