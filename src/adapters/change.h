// What an adapter does to one weight. The formulas are those of the programs that write such files:
// kohya-ss/sd-scripts (LoRA), KohakuBlueleaf/LyCORIS (LoCon, LoHa, LoKr, IA3, DoRA) and huggingface/peft.
// A weight is taken as a matrix [rows, columns]: its first axis, and all others. In a convolution's
// columns the channel is the slower axis and the tap the faster.
#pragma once

#include <span>
#include <string>

#include "adapters/adapter_file.h"
#include "base/tensor.h"

namespace inkstone {

struct WeightMatrix {
  std::span<float> values;
  int64_t rows = 0, columns = 0, taps = 1;  // columns = channels * taps

  WeightMatrix() = default;
  WeightMatrix(const Shape& shape, std::span<float> floats);
  int64_t channels() const { return columns / taps; }
};

enum class ChangeKind { kLora, kLoha, kLokr, kFull, kIa3 };
const char* name_of(ChangeKind kind);  // "LoRA"

struct Change {
  ChangeKind kind = ChangeKind::kLora;
  LayerParts parts;
  float scale = 1;     // alpha / rank, by the kind's rule
  std::string source;  // the adapter's file
};

// Where a change belongs and how its scale is found.
struct ChangePlace {
  std::string component, path;  // of the layer
  Shape shape;                  // of the weight
};
// The change of a layer's weight; `kind` must be one that the parts have. Throws Error naming the file and
// the tensor where a part is missing or fits neither the weight nor its neighbours. Reads no numbers.
Change change_of(const AdapterFile& file, const LayerParts& parts, ChangeKind kind, const ChangePlace& place);
// A difference of the weight or bias itself, which is in this one part.
Change difference_of(const AdapterFile& file, const LayerParts& parts, Part part, const Shape& shape);

// Changes the matrix. `strength` is not 0. Throws Error naming the tensor that is not finite.
void apply(const Change& change, float strength, WeightMatrix& matrix);

}  // namespace inkstone
