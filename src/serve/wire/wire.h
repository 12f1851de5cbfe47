// The messages between gateway and worker, over a socket pair of type SOCK_SEQPACKET. A message is
// one packet of JSON with at most one file descriptor, a sealed memfd of pixels. The gateway sends
// one command at a time, and the worker answers it with one report; DropCommand has no answer and
// may come at any time. A worker begins with a Hello and ends when the socket closes.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/image.h"
#include "diffusion/image_request.h"
#include "serve/wire/batch_time.h"
#include "serve/wire/job_id.h"
#include "serve/wire/model_card.h"
#include "serve/wire/variant.h"

namespace inkstone::serve {

struct StartCommand {  // of a leg: prompt -> text, and seed -> noise or what the leg before left -> latent
  JobId job = 0;
  ImageRequest request;               // says every field
  Variant variant{};                  // on which the leg runs to its end
  int first_call = 0, end_call = -1;  // ResolvedRequest's
  bool goes_on = false;               // the job is there, and its leg has ended
};
struct StepCommand {  // of one size
  std::vector<JobId> jobs;
  // Those of them whose latent is wanted as a small image afterwards.
  std::vector<JobId> previews;
};
// Latent -> pixels, whatever steps are left; the job is forgotten afterwards.
struct FinishCommand {
  JobId job = 0;
};
struct DropCommand {
  std::vector<JobId> jobs;
};
// Opens a model to see what it is; nothing of it stays in memory.
struct DescribeCommand {
  ModelFile model;
};
using WorkerCommand = std::variant<StartCommand, StepCommand, FinishCommand, DropCommand, DescribeCommand>;

struct JobFault {  // ends this job alone
  JobId job = 0;
  std::string code;  // "nan_output", "out_of_memory", "bad_request", "model_changed", "internal"
  // For the client: no path, no address.
  std::string message;
};
struct Preview {
  JobId job = 0;
  int call = 0;  // U-Net calls that its leg has made
  Image image;   // smaller than the image by a whole factor, or as large
};
// Of the device and the worker's process; 0 where unknown.
struct DeviceFigures {
  size_t memory_total = 0, memory_free = 0, memory_used = 0;  // bytes; used: by this worker
  // 1 - largest free block / free.
  double fragmentation = 0;
  std::string health;  // "ok", or what the device says
};
struct ShapeTimes {  // how long an image of this size takes
  int width = 0, height = 0;
  std::vector<BatchTime> steps;
  double encode_seconds = 0, decode_seconds = 0;
  bool estimated = false;  // nothing of it was measured
};

struct Hello {
  std::string device;       // "cpu", "npu:0"
  std::string description;  // "AMD EPYC, 2 threads, AVX-512 BF16"
  std::string precision;
  ModelCard model;         // the one that it was started with
  ModelFile model_file{};  // of that one, if no flag changes anything of it; else empty
  // That its memory was planned for, in one step.
  int max_jobs = 1;
  std::vector<ShapeTimes> times;  // of the default size at least; an estimate
  // Lines for people: what it will do with its memory.
  std::vector<std::string> memory;
  DeviceFigures figures;
};
struct Started {
  JobId job = 0;
  double seconds = 0;
  int rows = 2, calls = 20;
  std::vector<std::string> warnings{};
  // Of the adapters that it is drawn with, and the textual inversions, for its parameters: AdapterTexts.
  std::string adapter_tags{}, adapter_hashes{}, embedding_hashes{};
  std::optional<LoadedVariants> loaded{};
};
struct Stepped {
  double seconds = 0;
  // All others of the command have made their step.
  std::vector<JobFault> faults;
  std::vector<Preview> previews;
  std::optional<DeviceFigures> figures;  // once a second or so
  std::optional<LoadedVariants> loaded{};
};
// Memory: no job of the step command has moved.
struct DidNotFit {};
struct KnownHash {
  std::string path;  // of the model: its place, a line break, its state (ModelFile)
  std::string hash;
};
struct Finished {
  JobId job = 0;
  double seconds = 0;
  Image image;
  std::optional<DeviceFigures> figures;
  std::optional<LoadedVariants> loaded{};
  std::vector<KnownHash> hashes{};  // of models that were read to their ends meanwhile
};
// Of a start or a finish; the job is forgotten.
struct Failed {
  JobFault fault;
  std::optional<LoadedVariants> loaded{};
};
// Of a model: what it is, and how long an image of it may take, as estimated; or why it cannot be
// run, for the operator.
struct Described {
  std::optional<ModelCard> card;
  std::vector<ShapeTimes> times;
  std::string fault;
};
// The device is: the worker ends after this, and another must take its place.
struct Unusable {
  std::string message;
};
using WorkerReport = std::variant<Hello, Started, Stepped, DidNotFit, Finished, Failed, Unusable, Described>;

// One packet each. send throws Error where the other side is gone; a blocking socket blocks.
// receive gives nothing where the other side has closed or, on a non-blocking socket, where nothing
// has come (`*closed` says which); throws Error for what is not a message: too long, malformed,
// pixels of another size than said, an unsealed file.
void send_command(int socket, const WorkerCommand& command);
void send_report(int socket, const WorkerReport& report);
std::optional<WorkerCommand> receive_command(int socket, bool* closed = nullptr);
// `max_pixel_bytes`: of its images, together; more throws Error before any is read.
std::optional<WorkerReport> receive_report(int socket, bool* closed = nullptr, size_t max_pixel_bytes = SIZE_MAX);

}  // namespace inkstone::serve
