// The backend `ascend` on the simulator (tests/ascend_sim): a U-Net exported to ONNX, compiled by
// the simulated ATC and run by the simulated AscendCL gives what `reference` gives; its rules hold;
// each injected fault ends in the right error with nothing left.
#include <gmock/gmock.h>

#include "backend/ascend_folder.h"
#include "backend/random_model.h"
#include "base/error.h"
#include "base/json.h"
#include "compile/passes.h"
#include "models/unet.h"
#include "onnx/export.h"
#include "support/differences.h"
#include "support/scratch_folder.h"

#ifdef ASCEND_SIM_FOLDER

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kLibrary = ASCEND_SIM_FOLDER "/lib64/libascendcl.so";

struct Simulator {
  const char* (*report)();
  void (*set)(const char*);
  void (*reset)();
};
const Simulator& simulator() {
  static const Simulator the = [] {
    void* const handle = dlopen(kLibrary, RTLD_NOW);
    return Simulator{reinterpret_cast<const char* (*)()>(dlsym(handle, "ascend_sim_report")),
                     reinterpret_cast<void (*)(const char*)>(dlsym(handle, "ascend_sim_set")),
                     reinterpret_cast<void (*)()>(dlsym(handle, "ascend_sim_reset"))};
  }();
  return the;
}
Json report() { return parse_json(simulator().report(), "the simulator's report"); }

Graph tiny(int batch) { return compile::fold(unet_graph(tiny_unet(), LatentSize{batch, 8, 8, 5})); }

// An export folder with one file for each batch of the tiny U-Net, made once for all tests.
struct Folder {
  Folder() : weights(random_weights(tiny(1))) {
    manifest.inkstone = "test";
    manifest.model = "tiny";
    manifest.precision = "fp32";
    for (const int batch : {1, 2, 4}) add(batch);
    manifest.write(path);
  }

  void add(int batch) {
    const Graph graph = tiny(batch);
    GraphRecord record;
    record.name = "unet_b" + std::to_string(batch);
    record.component = record.part = "unet";
    record.weights = "unet.bin";
    record.fingerprint = weights.fingerprint();
    OnnxOptions options;
    options.int32_inputs = {"timestep"};
    OnnxExport out(weights, options, record.weights);
    out.add(graph, {}, record.name + ".onnx");
    const OnnxFile file = out.write(path).front();
    record.onnx = {file.name, file.bytes, file.sha256};
    Gear gear{batch, identity(graph), {}, {}};
    std::string shapes;
    for (const OnnxPort& port : file.inputs) {
      record.inputs.push_back({port.name, port.shape, port.type});
      gear.inputs.push_back(port.shape);
      shapes += (shapes.empty() ? "" : ";") + port.name + ":";
      for (size_t i = 0; i < port.shape.size(); ++i) shapes += (i ? "," : "") + std::to_string(port.shape[i]);
    }
    for (const OnnxPort& port : file.outputs) {
      record.outputs.push_back({port.name, port.shape, port.type});
      gear.outputs.push_back(port.shape);
    }
    record.gears = {gear};
    const std::string om = (path / record.name).string();
    const std::string command = std::string(ASCEND_SIM_FOLDER "/bin/atc --framework=5 --model=") +
                                (path / file.name).string() + " --output=" + om +
                                " --soc_version=Ascend910B4 --input_format=ND --input_shape=\"" + shapes +
                                "\" --precision_mode_v2=origin --log=error > " + om + ".log 2>&1";
    INKSTONE_CHECK(std::system(command.c_str()) == 0, "atc failed: ", read_file(om + ".log", 100'000));
    record.compiled =
        Compiled{{record.name + ".om", std::filesystem::file_size(om + ".om"), ""}, "Ascend910B4", "8.1.RC1", 0, 0, {}};
    manifest.graphs.push_back(record);
  }

  const ScratchFolder scratch;
  const std::filesystem::path path = scratch.path();
  Weights weights;
  Manifest manifest;
};

struct AscendSimulator : testing::Test {
  static void SetUpTestSuite() { folder_ = std::make_unique<Folder>(); }
  static void TearDownTestSuite() { folder_.reset(); }
  AscendSimulator() { simulator().reset(); }
  ~AscendSimulator() override {
    const Json all = report();
    EXPECT_EQ(all.at("violation_count").as_int64(), 0) << simulator().report();
    for (const auto& [what, count] : all.at("alive").as_object())
      EXPECT_EQ(count.as_int64(), 0) << what << " left: " << simulator().report();
  }

  static std::unique_ptr<Backend> open() { return open_backend("npu:0", {folder_->path.string()}); }
  // Inputs with a whole timestep, as the file takes it.
  static std::vector<Tensor> inputs(const Graph& graph) {
    std::vector<Tensor> tensors = random_inputs(graph);
    const std::vector<NamedShape> shapes = inputs_of(graph);
    for (size_t i = 0; i < shapes.size(); ++i)
      if (shapes[i].name == "timestep")
        for (float& value : tensors[i].floats()) value = std::nearbyint(std::abs(value));
    return tensors;
  }
  static Tensor run(Backend& backend, int batch = 1) {
    const Graph graph = tiny(batch);
    return run_once(backend, graph, folder_->weights, inputs(graph));
  }
  static std::string error_of(const std::function<void()>& what) {
    try {
      what();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  Environment library{"INKSTONE_ASCENDCL", kLibrary};
  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(AscendSimulator, gives_what_reference_gives_at_every_batch) {
  const auto backend = open();
  EXPECT_THAT(backend->info().description, HasSubstr("simulated"));
  const auto reference = open_backend("reference");
  for (const int batch : {1, 2, 4}) {
    const Tensor found = run(*backend, batch), right = run(*reference, batch);
    EXPECT_LT(relative_rms(found, right), 1e-5) << batch;
  }
}

TEST_F(AscendSimulator, twenty_steps_copy_what_they_must_and_allocate_nothing) {
  const auto backend = open();
  const Graph graph = tiny(2);
  const auto program = backend->compile(graph, folder_->weights, {});
  const std::vector<Tensor> host = inputs(graph);
  std::vector<Tensor> lent;
  std::vector<const Tensor*> in;
  for (const Tensor& tensor : host) {
    in.push_back(&tensor);
    if (&tensor == &host.front() || inputs_of(graph)[in.size() - 1].name == "timestep") continue;
    lent.reserve(host.size());
    lent.push_back(backend->tensor(tensor.shape(), tensor.type()));
    backend->copy(tensor, 0, lent.back(), 0, tensor.bytes());
    in.back() = &lent.back();
  }
  Tensor out(graph.node(graph.outputs()[0]).shape);
  Tensor* const outs[] = {&out};
  program->run(in, outs);
  const Json before = report();
  for (int step = 0; step < 20; ++step) program->run(in, outs);
  const Json after = report();
  EXPECT_EQ(after.at("executions").as_int64() - before.at("executions").as_int64(), 20);
  EXPECT_EQ(after.at("device_memory").at("allocations"), before.at("device_memory").at("allocations"));
  const auto copies = [&](const char* way) {
    return after.at("copies").at(way).at("count").as_int64() - before.at("copies").at(way).at("count").as_int64();
  };
  EXPECT_EQ(copies("h2d"), 2 * 20) << "the latent and the timestep of each step";
  EXPECT_EQ(copies("d2h"), 20) << "the latent's";
  EXPECT_LT(relative_rms(out, run(*open_backend("reference"), 2)), 1e-5);
}

TEST_F(AscendSimulator, another_chip_and_an_older_cann_are_refused_before_anything_is_loaded) {
  simulator().set("soc=Ascend310P3");
  EXPECT_THAT(error_of([] { run(*open()); }),
              AllOf(HasSubstr("compiled for Ascend910B4"), HasSubstr("Ascend310P3(simulated)"),
                    HasSubstr("--soc Ascend310P3`")));
  simulator().set("soc=Ascend910B4;cann=7.0.0");
  EXPECT_THAT(error_of([] { run(*open()); }), HasSubstr("older 7.0.0"));
  EXPECT_FALSE(report().at("calls").as_object().contains("aclmdlLoadFromFileWithMem"));
}

TEST_F(AscendSimulator, each_fault_ends_in_its_error_and_the_next_backend_is_served) {
  struct Row {
    const char* fault;
    const char* says;
    bool lost;
  };
  const Row rows[] = {{"fault=aclrtMalloc:1:207001", "aclrtMalloc failed with 207001", false},
                      {"fault=aclmdlLoadFromFileWithMem:1:545001", "545001 ACL_ERROR_GE_LOAD_MODEL", false},
                      {"fault=aclrtMallocHost:1:207001", "aclrtMallocHost failed with 207001", false},
                      {"fault=aclrtMemcpyAsync:1:507013", "507013", false},
                      {"fault=aclmdlExecuteAsync:1:507011", "507011 ACL_ERROR_RT_MODEL_EXECUTE", false},
                      {"fault=aclmdlExecuteAsync:1:507015", "507015 ACL_ERROR_RT_AICORE_EXCEPTION", true},
                      {"fault=aclrtSynchronizeStreamWithTimeout:1:507014", "507014 ACL_ERROR_RT_AICORE_TIMEOUT", true}};
  for (const auto& [fault, says, lost] : rows) {
    {
      const auto backend = open();
      simulator().set(fault);
      const std::string text = error_of([&] { run(*backend); });
      EXPECT_THAT(text, AllOf(HasSubstr(says), HasSubstr("npu:0"), HasSubstr("Ascend910B4(simulated)"))) << fault;
      EXPECT_EQ(!ascend_status(*backend)->unusable.empty(), lost) << fault;
      if (lost) {
        EXPECT_THAT(error_of([&] { run(*backend); }), HasSubstr("npu:0 is unusable")) << fault;
      } else {
        run(*backend);
      }
    }
    simulator().set("clear=1");
    run(*open());
  }
}

// Of a device that is gone nothing can be freed: the process ends, and the simulator is reset in
// its place.
TEST_F(AscendSimulator, a_device_that_stops_answering_is_unusable_from_then_on) {
  {
    const auto backend = open();
    simulator().set("lost=1");
    run(*backend);
    EXPECT_THAT(error_of([&] { run(*backend); }), HasSubstr("507010 ACL_ERROR_RT_LOST_HEARTBEAT"));
    EXPECT_THAT(error_of([&] { run(*backend); }), HasSubstr("npu:0 is unusable"));
  }
  simulator().reset();
  run(*open());
}

TEST_F(AscendSimulator, a_device_that_hangs_is_given_up_after_the_step_timeout) {
  const Environment timeout("INKSTONE_STEP_TIMEOUT", "1");
  {
    const auto backend = open();
    simulator().set("hang=aclmdlExecuteAsync:1");
    EXPECT_THAT(error_of([&] { run(*backend); }),
                AllOf(HasSubstr("507046 ACL_ERROR_RT_STREAM_SYNC_TIMEOUT"), HasSubstr("INKSTONE_STEP_TIMEOUT")));
  }
  simulator().set("clear=1");
  run(*open());
}

}  // namespace
}  // namespace inkstone

#endif
