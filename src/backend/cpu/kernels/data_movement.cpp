// Kernels that only move elements, and the two embeddings: no instruction set makes them faster.
#include <cmath>
#include <cstring>

#include "backend/cpu/kernels/kernels.h"
#include "base/error.h"
#include "base/parallel.h"

namespace inkstone::kernels {
namespace {

constexpr int64_t kGrainBytes = 32 << 10;  // less is not worth another thread

int64_t grain(size_t item_bytes) { return kGrainBytes / static_cast<int64_t>(item_bytes + 1) + 1; }

void store(DType type, void* to, int64_t index, float value) {
  if (type == DType::kF32) {
    static_cast<float*>(to)[index] = value;
  } else {
    static_cast<uint16_t*>(to)[index] = to_bf16(value);
  }
}

template <typename T>
void copy_line(int64_t count, const T* from, int64_t from_stride, T* to, int64_t to_stride) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
}

template <typename T>
void copy_typed(const CopyShape& shape, const T* x, T* out) {
  const Sizes4 &sizes = shape.sizes, &from = shape.from, &to = shape.to;
  parallel_for(sizes[0] * sizes[1] * sizes[2], grain(static_cast<size_t>(sizes[3]) * sizeof(T)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t i2 = i % sizes[2], i1 = i / sizes[2] % sizes[1], i0 = i / sizes[2] / sizes[1];
                   copy_line(sizes[3], x + i0 * from[0] + i1 * from[1] + i2 * from[2], from[3],
                             out + i0 * to[0] + i1 * to[1] + i2 * to[2], to[3]);
                 }
               });
}

}  // namespace

void upsample2x(int64_t images, int64_t height, int64_t width, size_t pixel_bytes, const void* x, void* out) {
  const int64_t from_height = (height + 1) / 2, from_width = (width + 1) / 2;
  const size_t line = static_cast<size_t>(width) * pixel_bytes,
               from_line = static_cast<size_t>(from_width) * pixel_bytes;
  parallel_for(images * from_height, grain(2 * line), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / from_height, y = row % from_height * 2;
      const auto* from = static_cast<const std::byte*>(x) + static_cast<size_t>(row) * from_line;
      auto* const first = static_cast<std::byte*>(out) + static_cast<size_t>(image * height + y) * line;
      auto* to = first;
      for (int64_t i = 0; i < width / 2; ++i, from += pixel_bytes, to += 2 * pixel_bytes) {
        std::memcpy(to, from, pixel_bytes);
        std::memcpy(to + pixel_bytes, from, pixel_bytes);
      }
      if (width % 2) std::memcpy(to, from, pixel_bytes);
      if (y + 1 < height) std::memcpy(first + line, first, line);
    }
  });
}

void copy_strided(const CopyShape& shape, DType type, const void* x, void* out) {
  if (size_of(type) == 4) {
    copy_typed(shape, static_cast<const uint32_t*>(x), static_cast<uint32_t*>(out));
  } else {
    copy_typed(shape, static_cast<const uint16_t*>(x), static_cast<uint16_t*>(out));
  }
}

void embed(const EmbeddingTable& table, std::span<const int32_t> ids, DType type, void* out) {
  const size_t row = static_cast<size_t>(table.width) * size_of(table.type);
  for (size_t i = 0; i < ids.size(); ++i) {
    INKSTONE_CHECK(ids[i] >= 0 && ids[i] < table.rows, "embedding: id ", ids[i], " at place ", i, " of a table of ",
                   table.rows, " rows");
    const auto* from = static_cast<const std::byte*>(table.values) + static_cast<size_t>(ids[i]) * row;
    for (int64_t c = 0; c < table.width; ++c) {
      float value = 0;
      to_float(table.type, from + static_cast<size_t>(c) * size_of(table.type), &value, 1);
      store(type, out, static_cast<int64_t>(i) * table.width + c, value);
    }
  }
}

void time_embedding(const op::TimeEmbedding& shape, std::span<const float> timesteps, DType type, void* out) {
  const int64_t half = shape.channels / 2;
  for (size_t row = 0; row < timesteps.size(); ++row) {
    const int64_t begin = static_cast<int64_t>(row) * shape.channels;
    const int64_t sin_at = begin + (shape.flip_sin_to_cos ? half : 0);
    const int64_t cos_at = begin + (shape.flip_sin_to_cos ? 0 : half);
    for (int64_t i = 0; i < half; ++i) {
      const float exponent =
          -9.210340371976184f * static_cast<float>(i) / (static_cast<float>(half) - shape.freq_shift);
      const float angle = timesteps[row] * std::exp(exponent);
      store(type, out, sin_at + i, std::sin(angle));
      store(type, out, cos_at + i, std::cos(angle));
    }
    if (shape.channels % 2) store(type, out, begin + shape.channels - 1, 0);
  }
}

}  // namespace inkstone::kernels
