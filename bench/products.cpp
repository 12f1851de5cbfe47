// The products' ladder: linears, 1x1 convolutions and the convolutions that are not Winograd's, on
// the shapes of Stable Diffusion 1.5 at 512x512 for a batch of 2, beside the probed peak and oneDNN
// (image by image) in turns with ours. bench_products [seconds for each rung [part of a rung's
// name]]; INKSTONE_ISA chooses the variant.
#include "backend/cpu/products.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/peak.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "ladder.h"

namespace inkstone {
namespace {

struct Rung {
  const char* name;
  // side x side pixels; for linears side = 0 and images = rows
  int64_t images, side, in, out;
  int kernel = 1, stride = 1;
  bool geglu = false, residual = false, fp32_out = false;
};

constexpr Rung kRungs[] = {
    {"projection 64x64", 8192, 0, 320, 320, 1, 1, false, true},
    {"projection 32x32", 2048, 0, 640, 640, 1, 1, false, true},
    {"projection 16x16", 512, 0, 1280, 1280, 1, 1, false, true},
    {"projection 8x8", 128, 0, 1280, 1280, 1, 1, false, true},
    {"packed qkv 64x64", 8192, 0, 320, 960},
    {"packed qkv 16x16", 512, 0, 1280, 3840},
    {"geglu 64x64", 8192, 0, 320, 2560, 1, 1, true},
    {"geglu 32x32", 2048, 0, 640, 5120, 1, 1, true},
    {"geglu 16x16", 512, 0, 1280, 10240, 1, 1, true},
    {"geglu 8x8", 128, 0, 1280, 10240, 1, 1, true},
    {"feed forward 64x64", 8192, 0, 1280, 320, 1, 1, false, true},
    {"feed forward 32x32", 2048, 0, 2560, 640, 1, 1, false, true},
    {"feed forward 16x16", 512, 0, 5120, 1280, 1, 1, false, true},
    {"feed forward 8x8", 128, 0, 5120, 1280, 1, 1, false, true},
    {"cross keys", 154, 0, 768, 1280},
    {"text projection", 154, 0, 768, 768, 1, 1, false, true},
    {"text up", 154, 0, 768, 3072},
    {"text down", 154, 0, 3072, 768, 1, 1, false, true},
    {"time embedding", 2, 0, 1280, 1280},
    {"shortcut 64x64", 2, 64, 640, 320},
    {"shortcut 32x32", 2, 32, 1920, 640},
    {"shortcut 16x16", 2, 16, 2560, 1280},
    {"shortcut 8x8", 2, 8, 2560, 1280},
    {"autoencoder attention", 4096, 0, 512, 512},
    {"autoencoder 256x256", 1, 256, 512, 256},
    {"autoencoder 512x512", 1, 512, 256, 128},
    {"conv_in", 2, 64, 4, 320, 3},
    {"conv_out", 2, 64, 320, 4, 3, 1, false, false, true},
    {"down 64x64", 2, 64, 320, 320, 3, 2},
    {"down 32x32", 2, 32, 640, 640, 3, 2},
    {"down 16x16", 2, 16, 1280, 1280, 3, 2},
    {"3x3 8x8", 2, 8, 1280, 1280, 3},
    {"autoencoder conv_in", 1, 64, 4, 512, 3},
    {"autoencoder conv_out", 1, 512, 128, 3, 3},
};

int64_t pixels_in(const Rung& r) { return r.side ? r.images * r.side * r.side : r.images; }
int64_t pixels_out(const Rung& r) { return pixels_in(r) / (r.stride * r.stride); }
double flops_of(const Rung& r) { return 2.0 * static_cast<double>(pixels_out(r) * r.in * r.out * r.kernel * r.kernel); }

struct Operands {
  Tensor x, weight, bias,
      // the weight is stored as `type`, which oneDNN's is not (its values are never looked at)
      out;
};

std::function<void()> ours(const Rung& r, const Operands& at, DType x_type, DType out_type, Memory& scratch) {
  const kernels::ProductData data = {.x = at.x.data(),
                                     .weight = {at.weight.data(), at.weight.type()},
                                     .bias = at.bias.floats().data(),
                                     .residual = r.residual ? at.out.data() : nullptr,
                                     .out = const_cast<std::byte*>(at.out.data()),
                                     .scratch = nullptr};
  const auto run = [&scratch, data](auto shape, auto scratch_of, auto kernel) -> std::function<void()> {
    scratch = allocate(scratch_of(shape));
    kernels::ProductData with = data;
    with.scratch = scratch.get();
    return [=] { kernel(shape, with); };
  };
  const kernels::Table& k = kernels::table();
  if (!r.side) {
    return run(kernels::LinearShape{r.images, r.in, r.out, x_type, out_type, Activation::kNone, r.geglu},
               k.linear_scratch, k.linear);
  }
  const int pad = r.kernel / 2;
  kernels::ConvolutionShape shape = {r.images, r.side, r.side, r.in, r.out,  r.kernel, r.stride,
                                     pad,      pad,    pad,    pad,  x_type, out_type};
  return run(shape, k.convolution_scratch, k.convolution);
}

struct Foreign {  // oneDNN's product of a rung
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  Memory weight, scratch, wide;
  std::vector<cpu::Primitive> primitives;

  std::function<void()> prepare(const Rung& r, const Operands& at, DType x_type, DType out_type) {
    const auto add = [&](const auto& desc, int64_t images) {
      const cpu::Binding binding = {{}, {}, {}, nullptr, &engine, &stream};
      weight = allocate(desc.weights_desc().get_size());
      std::memset(weight.get(), 0, desc.weights_desc().get_size());
      scratch = allocate(desc.scratchpad_desc().get_size() + 64);
      std::byte* const out = r.geglu ? wide.get() : const_cast<std::byte*>(at.out.data());
      auto* const bias = const_cast<std::byte*>(at.bias.data());
      primitives.emplace_back(desc, binding);
      for (int64_t i = 0; i < images; ++i) {
        primitives[0].add({const_cast<std::byte*>(at.x.data()) + static_cast<size_t>(i) * desc.src_desc().get_size(),
                           weight.get(), bias, out + static_cast<size_t>(i) * desc.dst_desc().get_size(),
                           scratch.get()});
      }
    };
    if (r.geglu) wide = allocate(static_cast<size_t>(r.images * r.out) * size_of(out_type));
    if (r.side && r.kernel > 1) {
      const op::Conv2d conv = {.stride = r.stride,
                               .pad_top = r.kernel / 2,
                               .pad_left = r.kernel / 2,
                               .pad_bottom = r.kernel / 2,
                               .pad_right = r.kernel / 2,
                               .bias = true,
                               .residual = false,
                               .activation = Activation::kNone};
      const int64_t side = r.side / r.stride;
      add(cpu::convolution(conv, {r.in, r.side, r.side}, {r.out, side, side}, {x_type, out_type},
                           {r.out, r.in, r.kernel, r.kernel}, engine),
          r.images);
    } else {
      const int64_t images = r.images % 2 ? 1 : 2;
      add(cpu::matmul({.bias = true, .residual = r.residual, .activation = Activation::kNone}, pixels_in(r) / images,
                      {x_type, out_type}, {r.out, r.in}, engine),
          images);
    }
    return [&r, out_type, to = const_cast<std::byte*>(at.out.data()), this] {
      for (size_t i = 0; i < primitives[0].runs(); ++i) primitives[0].run(i);
      if (r.geglu) kernels::table().geglu(r.images, r.out / 2, out_type, wide.get(), to);
    };
  }
};

// The fastest of each, taken in turns for so many seconds, at least three times.
std::vector<double> best_of(double seconds, const std::vector<std::function<void()>>& calls) {
  std::vector<double> best(calls.size(), 1e9);
  const double end = now() + seconds;
  for (int i = 0; i < 3 || now() < end; ++i) {
    for (size_t c = 0; c < calls.size(); ++c) {
      const double begin = now();
      calls[c]();
      best[c] = std::min(best[c], now() - begin);
    }
  }
  return best;
}

void climb(const Rung& r, DType type, double peak, double seconds) {
  const DType out_type = r.fp32_out ? DType::kF32 : type;
  Operands halves = {random(pixels_in(r) * r.in, type), random(r.out * r.in * r.kernel * r.kernel, DType::kF16),
                     random(r.out, DType::kF32), random(pixels_out(r) * (r.geglu ? r.out / 2 : r.out), out_type)};
  Memory scratch, typed_scratch;
  std::vector<std::function<void()>> calls = {ours(r, halves, type, out_type, scratch)};
  Foreign foreign;
  calls.push_back(foreign.prepare(r, halves, type, out_type));
  // the same with a weight that is stored in the type that is multiplied
  Operands typed = {random(1, type), random(halves.weight.size(), type), random(1, type), random(1, type)};
  std::swap(halves.weight, typed.weight);
  calls.push_back(ours(r, halves, type, out_type, typed_scratch));
  const std::vector<double> times = best_of(seconds, calls);
  const double rate = flops_of(r) / std::min(times[0], times[2]);
  std::printf("  %-22s %6ld x %5ld -> %5ld  fp16 %8.3f ms, %s %8.3f ms, %6.1f GFLOP/s", r.name,
              static_cast<long>(pixels_out(r)), static_cast<long>(r.in * r.kernel * r.kernel), static_cast<long>(r.out),
              times[0] * 1e3, name_of(type), times[2] * 1e3, rate * 1e-9);
  if (peak > 0) std::printf(" %5.1f %% of peak", 100 * rate / peak);
  std::printf("; oneDNN %8.3f ms, %.2f times ours\n", times[1] * 1e3, times[1] / times[0]);
}

}  // namespace
}  // namespace inkstone

int main(int argc, char** argv) {
  using namespace inkstone;
  set_threads(usable_cores());
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.3;
  const std::string part = argc > 2 ? argv[2] : "";
  for (const DType type : {DType::kBF16, DType::kF32}) {
    const double peak = kernels::probe_peak(type, 25);
    std::printf("%s, %s, %d threads; peak %.1f GFLOP/s\n", kernels::table().name, name_of(type), threads(),
                peak * 1e-9);
    for (const Rung& r : kRungs) {
      if (std::string(r.name).find(part) != std::string::npos) climb(r, type, peak, seconds);
      std::fflush(stdout);
    }
  }
  return 0;
}
