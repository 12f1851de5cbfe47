// What gateway and worker say to one another, over a socket pair of type SOCK_SEQPACKET: a message is one packet of JSON, with
// at most one file descriptor (a sealed memfd of pixels). The gateway gives one command at a time, but for kDrop, which is
// not answered; the worker answers each with one report. A worker begins with a Hello, and leaves when the socket closes.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/image.h"
#include "serve/wire/batch_time.h"
#include "serve/wire/image_request.h"
#include "serve/wire/job_id.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

struct StartCommand {  // prompt -> text, seed -> noise
  JobId job = 0;
  ImageRequest request;
};
struct StepCommand {  // of one size
  std::vector<JobId> jobs;
  std::vector<JobId> previews;  // those of them whose latent is wanted as a small image afterwards
};
struct FinishCommand {  // latent -> pixels, whatever steps are left; the job is forgotten afterwards
  JobId job = 0;
};
struct DropCommand {
  std::vector<JobId> jobs;
};
using WorkerCommand = std::variant<StartCommand, StepCommand, FinishCommand, DropCommand>;

struct JobFault {  // ends this job alone
  JobId job = 0;
  std::string code;     // "nan_output", "out_of_memory", "bad_request", "internal"
  std::string message;  // for the client: no path, no address
};
struct Preview {
  JobId job = 0;
  int call = 0;  // U-Net calls done
  Image image;   // of the latent's size
};
struct DeviceFigures {  // of the device and the worker's process; 0 or unset where unknown
  size_t memory_total = 0, memory_free = 0, memory_used = 0;  // bytes; used: by this worker
  double fragmentation = 0;                                   // 1 - largest free block / free
  std::optional<double> utilisation, temperature;             // percent, degrees Celsius
  std::string health;                                         // "ok", or what the device says
};
struct ShapeTimes {  // measured when the worker began
  int width = 0, height = 0;
  std::vector<BatchTime> steps;
  double encode_seconds = 0, decode_seconds = 0;
};

struct Hello {
  std::string device;       // "cpu", "npu:0"
  std::string description;  // "AMD EPYC, 2 threads, AVX-512 BF16"
  std::string precision;
  ModelCard model;
  int max_jobs = 1;                 // that its memory was planned for, in one step
  std::vector<ShapeTimes> times;    // at least the default size
  std::vector<std::string> memory;  // lines for people: what it will do with its memory
  DeviceFigures figures;
};
struct Started {
  JobId job = 0;
  double seconds = 0;
  int rows = 2, calls = 20;
  std::vector<std::string> warnings;
};
struct Stepped {
  double seconds = 0;
  std::vector<JobFault> faults;  // all others of the command have made their step
  std::vector<Preview> previews;
  std::optional<DeviceFigures> figures;  // once a second or so
};
struct DidNotFit {};  // memory: no job of the step command has moved
struct Finished {
  JobId job = 0;
  double seconds = 0;
  Image image;
  std::optional<DeviceFigures> figures;
};
struct Failed {  // of a start or a finish; the job is forgotten
  JobFault fault;
};
struct Unusable {  // the device is: the worker ends after this, and another must take its place
  std::string message;
};
using WorkerReport = std::variant<Hello, Started, Stepped, DidNotFit, Finished, Failed, Unusable>;

// One packet each. send throws Error where the other side is gone; a blocking socket blocks.
// receive gives nothing where the other side has closed or, on a non-blocking socket, where nothing has come (`*closed` says which);
// throws Error for what is not a message: too long, malformed, pixels of another size than said, an unsealed file.
void send_command(int socket, const WorkerCommand& command);
void send_report(int socket, const WorkerReport& report);
std::optional<WorkerCommand> receive_command(int socket, bool* closed = nullptr);
std::optional<WorkerReport> receive_report(int socket, bool* closed = nullptr);

}  // namespace inkstone::serve
