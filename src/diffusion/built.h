// A program of the engine's, with its host and device tensors.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "diffusion/engine.h"

namespace inkstone {

struct Engine::Built {
  explicit Built(Backend& of) : backend(of) {}

  Backend& backend;
  int jobs = 1;       // that a step is made for
  uint64_t used = 0;  // when it was last asked for
  std::unique_ptr<Program> program;
  std::vector<NamedShape> shapes;   // of the inputs
  std::vector<size_t> keys, times;  // of a step: which of the carried values it reads
  std::vector<NamedShape> results;  // shapes of the outputs
  std::vector<Tensor> inputs, outputs;
  std::vector<const Tensor*> in;
  std::vector<Tensor*> out;

  // The first output is for the host, what else a program gives is for the next.
  void give_outputs() {
    for (const NamedShape& result : results)
      outputs.push_back(outputs.empty() ? Tensor(result.shape, result.type)
                                        : backend.tensor(result.shape, result.type));
    for (Tensor& tensor : outputs) out.push_back(&tensor);
  }

  Tensor& input(size_t i) {  // filled by the host
    if (!inputs[i].data()) inputs[i] = Tensor(shapes[i].shape, shapes[i].type);
    in[i] = &inputs[i];
    return inputs[i];
  }

  // Input `at`, as far as one of several jobs fills it, with a tensor's last rows: where it has more, the first are of the
  // unconditional half, which is not asked for. The only job lends a tensor that is read whole for the next run.
  void give(size_t at, const Tensor& rows, size_t job) {
    const size_t read = bytes(shapes[at].shape, shapes[at].type) / static_cast<size_t>(jobs);
    INKSTONE_CHECK(read <= rows.bytes(), "a step reads ", read, " bytes of \"", shapes[at].name, "\", and the job has ",
                   rows.bytes());
    if (jobs == 1 && read == rows.bytes()) return static_cast<void>(in[at] = &rows);
    if (!inputs[at].data()) inputs[at] = backend.tensor(shapes[at].shape, shapes[at].type);
    in[at] = &inputs[at];
    backend.copy(rows, rows.bytes() - read, inputs[at], job * read, read);
  }

  // Memory of inputs leaves; the next run fills them anew.
  void drop_inputs() {
    for (Tensor& tensor : inputs) tensor = Tensor();
  }

  // A job's rows of an output.
  void take(size_t at, Tensor& rows, size_t job) const {
    Shape shape = outputs[at].shape();
    shape[0] /= jobs;
    if (rows.shape() != shape) rows = backend.tensor(shape, outputs[at].type());
    backend.copy(outputs[at], job * rows.bytes(), rows, 0, rows.bytes());
  }
};

}  // namespace inkstone
