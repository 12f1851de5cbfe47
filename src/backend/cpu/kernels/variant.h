// The functions of one instruction set's variant, which fill a Table of kernels.h.
#pragma once

#include "backend/cpu/kernels/kernels.h"

namespace inkstone::kernels::INKSTONE_ISA {

size_t attention_scratch(const AttentionShape&, DType type);
void attention(const AttentionShape&, DType type, const AttentionData&);

size_t group_scratch(const GroupNormShape&);
void group_stats(const GroupNormShape&, DType type, const GroupNormData&);
void group_apply(const GroupNormShape&, DType type, const GroupNormData&);
void group_norm(const GroupNormShape&, DType type, const GroupNormData&);
void layer_norm(const Table::LayerNorm&, DType type, const void* x, void* out);

size_t linear_scratch(const LinearShape&);
void linear(const LinearShape&, const ProductData&);
size_t convolution_scratch(const ConvolutionShape&);
void convolution(const ConvolutionShape&, const ProductData&);
size_t winograd_scratch(const ConvolutionShape&);
void winograd(const ConvolutionShape&, const ProductData&);

void geglu(int64_t rows, int64_t width, DType type, const void* x, void* out);
void activate(Activation kind, int64_t count, DType type, const void* x, void* out);
void add(int64_t count, DType type, const void* a, const void* b, void* out);
void multiply(int64_t count, DType type, const void* a, const void* b, void* out);
void add_broadcast(const BroadcastShape&, DType type, const void* a, const void* b, void* out);
void multiply_broadcast(const BroadcastShape&, DType type, const void* a, const void* b, void* out);

void cast(int64_t count, DType from, const void* x, DType to, void* out);
void to_channels_last(const Table::Planes&, DType from, const void* x, DType to, void* out);
void to_planes(const Table::Planes&, DType from, const void* x, DType to, void* out);

extern const Table kTable;

}  // namespace inkstone::kernels::INKSTONE_ISA
