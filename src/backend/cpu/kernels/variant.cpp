// One instruction set's table.
#include "backend/cpu/kernels/variant.h"

#define INKSTONE_NAME_(isa) #isa
#define INKSTONE_NAME(isa) INKSTONE_NAME_(isa)

namespace inkstone::kernels::INKSTONE_ISA {

constinit const Table kTable = {
    .name = INKSTONE_NAME(INKSTONE_ISA),
    .bf16 = INKSTONE_BF16,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .group_scratch = group_scratch,
    .group_stats = group_stats,
    .group_apply = group_apply,
    .group_norm = group_norm,
    .layer_norm = layer_norm,
    .linear_scratch = linear_scratch,
    .linear = linear,
    .convolution_scratch = convolution_scratch,
    .convolution = convolution,
    .winograd_scratch = winograd_scratch,
    .winograd = winograd,
    .geglu = geglu,
    .activate = activate,
    .add = add,
    .multiply = multiply,
    .add_broadcast = add_broadcast,
    .multiply_broadcast = multiply_broadcast,
    .cast = cast,
    .to_channels_last = to_channels_last,
    .to_planes = to_planes,
};

}  // namespace inkstone::kernels::INKSTONE_ISA
