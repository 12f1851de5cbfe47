// The 3x3 convolutions of Stable Diffusion 1.5 by Winograd's algorithm in fp32, beside oneDNN's
// direct ones in bf16. bench_winograd [seconds for each rung]; a rate counts the operations of the
// direct sum.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/peak.h"
#include "backend/cpu/products.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "ladder.h"

namespace inkstone {
namespace {

struct Rung {
  int64_t images, side, in, out;
  bool doubled = false;
};

constexpr Rung kRungs[] = {{2, 64, 320, 320},        {2, 64, 640, 320},        {2, 64, 960, 320},   {2, 32, 640, 640},
                           {2, 32, 1280, 640},       {2, 32, 1920, 640},       {2, 16, 1280, 1280}, {2, 16, 2560, 1280},
                           {2, 8, 1280, 1280},       {2, 8, 2560, 1280},       {1, 64, 512, 512},   {1, 128, 512, 512},
                           {1, 128, 512, 512, true}, {1, 256, 512, 512, true}, {1, 256, 512, 256},  {1, 256, 256, 256},
                           {1, 512, 256, 256, true}, {1, 512, 256, 128},       {1, 512, 128, 128},  {1, 512, 128, 3}};

// Image by image; a doubled input lies there doubled.
double time_direct(const Rung& r, double seconds) {
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const op::Conv2d op = {.stride = 1, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1, .bias = true};
  const auto desc = cpu::convolution(op, {r.in, r.side, r.side}, {r.out, r.side, r.side}, {DType::kBF16, DType::kBF16},
                                     {r.out, r.in, 3, 3}, engine);
  const int64_t x_count = r.side * r.side * r.in, out_count = r.side * r.side * r.out;
  const Tensor x = random(r.images * x_count, DType::kBF16, 1);
  const Tensor plain_weight = random(r.out * r.in * 9, DType::kBF16, 2), bias({r.out});
  Tensor out({r.images * out_count}, DType::kBF16);
  dnnl::memory weight(desc.weights_desc(), engine), scratch(desc.scratchpad_desc(), engine);
  dnnl::memory plain({{r.out, r.in, 3, 3}, dnnl::memory::data_type::bf16, dnnl::memory::format_tag::oihw}, engine,
                     const_cast<std::byte*>(plain_weight.data()));
  dnnl::reorder(plain, weight).execute(stream, plain, weight);
  dnnl::memory bias_memory(desc.bias_desc(), engine, const_cast<std::byte*>(bias.data()));
  const dnnl::convolution_forward primitive(desc);
  return best_of(seconds, [&] {
    for (int64_t image = 0; image < r.images; ++image) {
      dnnl::memory from(desc.src_desc(), engine, const_cast<std::byte*>(x.data()) + image * x_count * 2);
      dnnl::memory to(desc.dst_desc(), engine, out.data() + image * out_count * 2);
      primitive.execute(stream, {{DNNL_ARG_SRC, from},
                                 {DNNL_ARG_WEIGHTS, weight},
                                 {DNNL_ARG_BIAS, bias_memory},
                                 {DNNL_ARG_DST, to},
                                 {DNNL_ARG_SCRATCHPAD, scratch}});
    }
    stream.wait();
  });
}

double time_winograd(const Rung& r, double seconds, bool normalised, size_t& scratch_bytes) {
  const kernels::ConvolutionShape shape = {.images = r.images,
                                           .height = r.side,
                                           .width = r.side,
                                           .in = r.in,
                                           .out = r.out,
                                           .kernel = 3,
                                           .stride = 1,
                                           .pad_top = 1,
                                           .pad_left = 1,
                                           .pad_bottom = 1,
                                           .pad_right = 1,
                                           .x_type = DType::kBF16,
                                           .out_type = DType::kBF16,
                                           .doubled = r.doubled,
                                           .groups = normalised ? 32 : 0,
                                           .silu = normalised};
  const Tensor x = random(r.images * r.side * r.side * r.in / (r.doubled ? 4 : 1), DType::kBF16, 1);
  const Tensor weight = random(r.out * r.in * 9, DType::kBF16, 2), bias({r.out}), stats({r.images * 64});
  const Tensor scale({r.in}), shift({r.in});
  Tensor out({r.images * r.side * r.side * r.out}, DType::kBF16);
  scratch_bytes = kernels::table().winograd_scratch(shape);
  const Memory scratch = allocate(scratch_bytes);
  const kernels::ProductData data = {.x = x.data(),
                                     .weight = {weight.data(), DType::kBF16},
                                     .bias = bias.floats().data(),
                                     .residual = nullptr,
                                     .out = out.data(),
                                     .scratch = scratch.get(),
                                     .stats = stats.floats().data(),
                                     .scale = scale.floats().data(),
                                     .shift = shift.floats().data()};
  return best_of(seconds, [&] { kernels::table().winograd(shape, data); });
}

int climb(double seconds) {
  const double fp32 = kernels::probe_peak(DType::kF32, 25), bf16 = kernels::probe_peak(DType::kBF16, 25),
               peak = bf16 > 0 ? bf16 : fp32;
  std::printf("%s, %d threads; peak fp32 %.1f, bf16 %.1f GFLOP/s\n", kernels::table().name, threads(), fp32 * 1e-9,
              bf16 * 1e-9);
  std::printf(
      "images side    in   out         ms  GFLOP/s  %% of peak  MiB | direct ms  GFLOP/s  ratio | normalised ms\n");
  for (const Rung& r : kRungs) {
    size_t scratch = 0;
    const double work = 18.0 * static_cast<double>(r.images * r.side * r.side * r.in * r.out);
    const double direct = bf16 > 0 ? time_direct(r, seconds) : 0, time = time_winograd(r, seconds, false, scratch);
    std::printf("%6d %4d %5d %5d%s %9.2f %8.1f %9.1f %5.1f |", static_cast<int>(r.images), static_cast<int>(r.side),
                static_cast<int>(r.in), static_cast<int>(r.out), r.doubled ? "*" : " ", time * 1e3, work / time * 1e-9,
                100 * work / time / peak, static_cast<double>(scratch) / (1 << 20));
    if (bf16 > 0) std::printf(" %9.2f %8.1f %6.2f |", direct * 1e3, work / direct * 1e-9, direct / time);
    if (r.doubled || r.in % 32) {
      std::printf("\n");
    } else {
      std::printf(" %9.2f\n", time_winograd(r, seconds, true, scratch) * 1e3);
    }
    std::fflush(stdout);
  }
  std::printf("* doubled on the way in\n");
  return 0;
}

}  // namespace
}  // namespace inkstone

int main(int argc, char** argv) {
  inkstone::set_threads(inkstone::usable_cores());
  return inkstone::climb(argc > 1 ? std::atof(argv[1]) : 0.5);
}
