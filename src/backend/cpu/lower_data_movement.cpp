// Ops that move elements. They become views if the bytes are already in the right order, else
// copies.
#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/layout.h"
#include "backend/cpu/lower.h"
#include "base/error.h"

namespace inkstone::cpu {
namespace {

kernels::Table::Planes planes(const Shape& image) { return {image[0], image[1], image[2] * image[3]}; }

void expect_tensor(const Tensor& tensor, const char* what, size_t number, const Node& node) {
  INKSTONE_CHECK(tensor.shape() == node.shape && tensor.type() == node.type, "cpu: ", what, " ", number, " is ",
                 to_string(tensor.shape()), " ", name_of(tensor.type()), ", the program wants ", to_string(node.shape),
                 " ", name_of(node.type));
}

}  // namespace

void lower_input(const Lowered& at, size_t number) {
  const Node& node = at.node;
  Call call = at.call();
  const bool image = !stored_row_major(node.shape);
  call.bind = [=, &node, id = at.id](const Binding& b) -> Launch {
    return [=, &node, to = b.values[id]](const HostTensors& host) {
      const Tensor& from = *host.inputs[number];
      expect_tensor(from, "input", number, node);
      if (image) {
        kernels::table().to_channels_last(planes(node.shape), node.type, from.data(), node.type, to);
      } else {
        std::memcpy(to, from.data(), from.bytes());
      }
    };
  };
  at.to.add(std::move(call));
}

void lower_output(Lowering& to, int value, size_t number) {
  const Node node{op::Cast{DType::kF32}, {value}, to.graph().node(value).shape, to.graph().node(value).type};
  const Lowered at{to, value, node};
  Call call = at.call();
  call.op = "output";
  call.arena.writes = -1;
  const Operand source = at.read(call, 0);
  const bool image = !stored_row_major(node.shape);
  call.bind = [=](const Binding& b) -> Launch {
    return [=, from = source.at(b)](const HostTensors& host) {
      Tensor& out = *host.outputs[number];
      expect_tensor(out, "output", number, node);
      if (image) {
        kernels::table().to_planes(planes(node.shape), node.type, from, node.type, out.data());
      } else {
        std::memcpy(out.data(), from, out.bytes());
      }
    };
  };
  to.add(std::move(call));
}

void lower(const op::Concat& op, const Lowered& at) {
  const Shape& shape = at.node.shape;
  const Split whole = split(shape, op.axis);
  const size_t element = size_of(at.node.type), step = static_cast<size_t>(whole.inner) * element;
  struct Piece {
    Operand from;
    kernels::CopyShape copy;
    size_t at;
  };
  std::vector<Piece> pieces;
  Call call = at.call();
  int64_t begin = 0;
  for (int k = 0; k < static_cast<int>(at.node.inputs.size()); ++k) {
    const int64_t size = split(at.in(k).shape, op.axis).size, offset = begin * static_cast<int64_t>(step);
    begin += size;
    if (whole.outer == 1 && at.to.place_inside(at.node.inputs[k], at.id, static_cast<size_t>(offset))) continue;
    const int64_t line = size * whole.inner;
    const kernels::CopyShape copy{{1, 1, whole.outer, line}, {0, 0, line, 1}, {0, 0, whole.size * whole.inner, 1}};
    pieces.push_back({at.read(call, k), copy, static_cast<size_t>(offset)});
  }
  if (pieces.empty()) return;
  call.bind = [=, id = at.id, type = at.node.type](const Binding& b) -> Launch {
    struct Bound {
      kernels::CopyShape copy;
      const std::byte* from;
      std::byte* to;
    };
    std::vector<Bound> copies;
    for (const Piece& piece : pieces) copies.push_back({piece.copy, piece.from.at(b), b.values[id] + piece.at});
    return [=](const HostTensors&) {
      for (const Bound& bound : copies) kernels::copy_strided(bound.copy, type, bound.from, bound.to);
    };
  };
  at.to.add(std::move(call));
}

void lower(const op::Slice& op, const Lowered& at) {
  const Split whole = split(at.in(0).shape, op.axis);
  const size_t offset = static_cast<size_t>(op.begin * whole.inner) * size_of(at.node.type);
  if (whole.outer == 1 && !at.is_weight(0)) return at.to.view(at.id, at.node.inputs[0], offset);
  Call call = at.call();
  const Operand x = at.read(call, 0);
  const int64_t line = (op.end - op.begin) * whole.inner;
  const kernels::CopyShape copy{{1, 1, whole.outer, line}, {0, 0, whole.size * whole.inner, 1}, {0, 0, line, 1}};
  call.bind = [=, id = at.id, type = at.node.type](const Binding& b) -> Launch {
    return [=, from = x.at(b) + offset, to = b.values[id]](const HostTensors&) {
      kernels::copy_strided(copy, type, from, to);
    };
  };
  at.to.add(std::move(call));
}

void lower(const op::Reshape&, const Lowered& at) {
  const Shape &from = at.in(0).shape, &to = at.node.shape;
  if (same_bytes(from, to)) return at.to.view(at.id, at.node.inputs[0]);
  Call call = at.call();
  const Operand x = at.read(call, 0);
  const DType type = at.node.type;
  const bool unpack = !stored_row_major(from), pack = !stored_row_major(to);
  const size_t size = bytes(to, type);
  call.scratch = unpack && pack ? size : 0;
  const kernels::Table::Planes before = unpack ? planes(from) : kernels::Table::Planes{},
                               after = pack ? planes(to) : kernels::Table::Planes{};
  call.bind = [=, id = at.id](const Binding& b) -> Launch {
    const std::byte* const given = x.at(b);
    std::byte* const out = b.values[id];
    std::byte* const flat = pack ? b.scratch : out;
    return [=](const HostTensors&) {
      if (unpack) kernels::table().to_planes(before, type, given, type, flat);
      if (pack) kernels::table().to_channels_last(after, type, unpack ? flat : given, type, out);
    };
  };
  at.to.add(std::move(call));
}

// A channels-last image is its tokens: the same bytes.
namespace {

void lower_same(const Lowered& at) {
  if (!at.is_weight(0)) return at.to.view(at.id, at.node.inputs[0]);
  Call call = at.call();
  const Operand x = at.read(call, 0);
  call.bind = [=, id = at.id, size = at.to.values()[at.id].bytes](const Binding& b) -> Launch {
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) { std::memcpy(to, from, size); };
  };
  at.to.add(std::move(call));
}

}  // namespace

void lower(const op::ToTokens&, const Lowered& at) { lower_same(at); }
void lower(const op::ToImage&, const Lowered& at) { lower_same(at); }

void lower(const op::Upsample2x&, const Lowered& at) {
  if (fused_consumer(at) >= 0) return;
  Call call = at.call();
  const Operand x = at.read(call, 0);
  const Shape& shape = at.node.shape;
  const size_t pixel = static_cast<size_t>(shape[1]) * size_of(at.node.type);
  call.bind = [=, id = at.id](const Binding& b) -> Launch {
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) {
      kernels::upsample2x(shape[0], shape[2], shape[3], pixel, from, to);
    };
  };
  at.to.add(std::move(call));
}

// Stored rows are contiguous, whatever their layout.
void lower(const op::Repeat& op, const Lowered& at) {
  if (op.times == 1 && !at.is_weight(0)) return at.to.view(at.id, at.node.inputs[0]);
  Call call = at.call();
  const Operand x = at.read(call, 0);
  const int64_t rows = at.in(0).shape[0], line = count(at.in(0).shape) / std::max<int64_t>(1, rows);
  const kernels::CopyShape copy{{1, rows, op.times, line}, {0, line, 0, 1}, {0, op.times * line, line, 1}};
  call.bind = [=, id = at.id, type = at.node.type](const Binding& b) -> Launch {
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) { kernels::copy_strided(copy, type, from, to); };
  };
  at.to.add(std::move(call));
}

}  // namespace inkstone::cpu
