// The CPU's own kernels. Images are channels-last [rows, pixels, channels], tokens [rows, tokens,
// channels], dense unless a stride says so. `type` is kF32 or kBF16; statistics and sums are fp32.
// A row's bits depend on that row alone: not on how many rows there are, nor on the threads.
// Nothing here allocates; unless said otherwise `out` may be an input of the same type. No kernel
// checks its arguments, because compiling the program did. Pointers are aligned for their type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "ir/op.h"

namespace inkstone::kernels {

// softmax(scale q k') v per head; head h of a token lies at channel h * head_width. A stride is the
// elements from one token to the next (q, k and v may be slices of one packed tensor); rows follow
// one another: queries * q_stride elements apart, and so on. Causal: query i sees keys 0 to i.
// Needs up to 400 KiB of each thread's stack.
struct AttentionShape {
  // all at least 1; head_width at most kMaxHeadWidth
  int64_t rows, queries, keys, heads, head_width;
  int64_t q_stride, k_stride, v_stride, out_stride;
  // above 0, as a rule 1 / sqrt(head_width)
  float scale;
  bool causal = false;
  // one head of one row at a time: less scratch, same bits
  bool sliced = false;
};
struct AttentionData {
  const void *q, *k, *v;
  void* out;           // apart from q, k and v
  std::byte* scratch;  // attention_scratch(shape, type) bytes, aligned to 64
};
inline constexpr int64_t kMaxHeadWidth = 512;

struct GroupNormShape {
  int64_t rows, pixels, channels, groups;  // channels % groups == 0
  float epsilon;
  bool silu = false;
  // of the row, each dense; more than one only for group_stats of one row
  int64_t pieces = 1;
};
struct GroupPiece {
  const void* x;
  int64_t pixels;
};
struct GroupNormData {
  const void* x;
  // [rows, channels], added to x first; or nullptr
  const float* addend;
  const float* scale;  // [channels]; not read by group_stats
  const float* shift;
  // [rows, groups, 2]: mean and 1 / sqrt(variance + epsilon); group_apply reads it, the others
  // write it
  float* stats;
  void* out;  // not written by group_stats
  // group_scratch(shape) bytes, aligned to 64; not used by group_apply
  std::byte* scratch;
  // shape.pieces of them in their order where there is more than one: then x is not read. The result
  // is that of the whole, bit by bit.
  const GroupPiece* pieces = nullptr;
};

// Products. A weight is read where the model's file holds it, in the file's order and type: a
// kernel rearranges it a block at a time while it multiplies, so there is no packed copy. bf16 x
// multiplies weights rounded to bf16 and sums in fp32 (winograd: all in fp32, weights as stored);
// fp32 x multiplies in fp32. The result is
//   activation(product + bias) + residual
// in fp32, rounded once. The order in which an element is summed depends on the weight's shape
// alone.
struct MappedWeight {
  // [out, in] or [out, in, kernel, kernel], row-major, unaligned
  const std::byte* data;
  DType type;  // fp32, bf16 or fp16
};
struct LinearShape {
  // x [rows, in], weight [out, in], result [rows, out]; with geglu [rows, out / 2]
  int64_t rows, in, out;
  DType x_type, out_type;
  Activation activation = Activation::kNone;
  // first half of the columns * gelu(second half); then no activation and no residual
  bool geglu = false;
};
struct ConvolutionShape {
  // Sizes of the input, after the doubling if there is one.
  int64_t images, height, width;
  int64_t in, out;  // channels
  int kernel, stride;
  // Top and bottom may be negative: so many rows are not read.
  int pad_top, pad_left, pad_bottom, pad_right;
  DType x_type, out_type;
  Activation activation = Activation::kNone;
  // The next fields say what is done to x while it is read, in fp32, before zeros are padded.
  // doubled: x is [images, half the height, half the width, in], and each pixel stands for 2 x 2.
  // Half of an odd size is rounded up: its last row or column is read once.
  bool doubled = false;
  // If above 0, x is normalised by `stats`, as in group_apply.
  int64_t groups = 0;
  bool silu = false;  // SiLU follows the normalisation

  int64_t x_height() const { return doubled ? (height + 1) / 2 : height; }
  int64_t x_width() const { return doubled ? (width + 1) / 2 : width; }
  int64_t out_height() const { return (height + pad_top + pad_bottom - kernel) / stride + 1; }
  int64_t out_width() const { return (width + pad_left + pad_right - kernel) / stride + 1; }
};
struct ProductData {
  const void* x;
  MappedWeight weight;
  const float* bias;  // [out], or nullptr
  // Has the result's shape and type, and may be the result itself; or nullptr.
  const void* residual;
  void* out;           // apart from x
  std::byte* scratch;  // *_scratch(shape) bytes, aligned to 64
  // read with groups > 0 only
  const float *stats = nullptr, *scale = nullptr, *shift = nullptr, *addend = nullptr;  // as in GroupNormData
};

// Four sizes, the last one innermost (put 1 where there are fewer axes), and the elements from one
// index to the next. A stride of 0 repeats an operand.
using Sizes4 = int64_t[4];
struct BroadcastShape {
  Sizes4 sizes;  // of the dense result
  Sizes4 a, b;   // strides of the operands
};
struct CopyShape {
  Sizes4 sizes;
  Sizes4 from, to;  // strides
};

struct Table {
  const char* name;  // "portable", "avx2" or "avx512"
  bool bf16;         // multiplies bf16 natively

  size_t (*attention_scratch)(const AttentionShape&, DType type);
  void (*attention)(const AttentionShape&, DType type, const AttentionData&);

  size_t (*group_scratch)(const GroupNormShape&);
  void (*group_stats)(const GroupNormShape&, DType type, const GroupNormData&);
  // pixels may be a band of the image
  void (*group_apply)(const GroupNormShape&, DType type, const GroupNormData&);
  void (*group_norm)(const GroupNormShape&, DType type, const GroupNormData&);  // stats, then apply
  struct LayerNorm {
    int64_t rows, width;
    float epsilon;
    const float *scale, *shift;  // [width]
  };
  void (*layer_norm)(const LayerNorm&, DType type, const void* x, void* out);

  size_t (*linear_scratch)(const LinearShape&);
  void (*linear)(const LinearShape&, const ProductData&);
  size_t (*convolution_scratch)(const ConvolutionShape&);  // any kernel and stride
  void (*convolution)(const ConvolutionShape&, const ProductData&);
  // 3x3 with stride 1 only: F(4, 3), within 1e-5 of the plain sum
  size_t (*winograd_scratch)(const ConvolutionShape&);
  void (*winograd)(const ConvolutionShape&, const ProductData&);

  // [rows, 2 width] -> [rows, width], out apart
  void (*geglu)(int64_t rows, int64_t width, DType type, const void* x, void* out);
  void (*activate)(Activation kind, int64_t count, DType type, const void* x, void* out);
  void (*add)(int64_t count, DType type, const void* a, const void* b, void* out);
  void (*multiply)(int64_t count, DType type, const void* a, const void* b, void* out);
  void (*add_broadcast)(const BroadcastShape&, DType type, const void* a, const void* b, void* out);
  void (*multiply_broadcast)(const BroadcastShape&, DType type, const void* a, const void* b, void* out);

  // From and to any of fp32, bf16 and fp16; out apart from x unless the types are the same.
  void (*cast)(int64_t count, DType from, const void* x, DType to, void* out);
  // Planes to channels-last and back, fp32 and bf16 in any pairing; out apart from x.
  struct Planes {
    int64_t rows, channels, pixels;
  };
  void (*to_channels_last)(const Planes&, DType from, const void* x, DType to, void* out);
  void (*to_planes)(const Planes&, DType from, const void* x, DType to, void* out);
};

// The best variant that this processor runs, or the one that INKSTONE_ISA in the environment names
// (portable, avx2, avx512); throws UsageError if that one is unknown or cannot run here. Chosen
// once.
const Table& table();
// All variants that this processor runs, the best first.
std::span<const Table* const> runnable_tables();

// Functions that no instruction set makes faster.
// Gives [images, height, width] pixels, which x holds at half that size, rounded up.
void upsample2x(int64_t images, int64_t height, int64_t width, size_t pixel_bytes, const void* x, void* out);
void copy_strided(const CopyShape&, DType type, const void* x, void* out);  // any type; apart
struct EmbeddingTable {
  int64_t rows, width;
  DType type;  // fp32, bf16 or fp16
  const void* values;
};
// [count, width] of type fp32 or bf16; throws Error for an id outside the table.
void embed(const EmbeddingTable&, std::span<const int32_t> ids, DType type, void* out);
// [timesteps, channels]: sin and cos of timestep * 10000^(-i / (channels / 2 - freq_shift)); an odd
// channel count ends in a 0.
void time_embedding(const op::TimeEmbedding&, std::span<const float> timesteps, DType type, void* out);

}  // namespace inkstone::kernels
