// The rules of AscendCL and the faults, on small models that the simulated `atc` made.
#include "acl.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <thread>

#include "test_models.h"

using namespace ascend_sim;

namespace {

constexpr int kH2D = 1, kD2H = 2;

bool reports(const std::string& text) { return std::string(ascend_sim_report()).find(text) != std::string::npos; }

class Acl : public ::testing::Test {
 protected:
  void SetUp() override { ascend_sim_reset(); }
  void TearDown() override { ascend_sim_reset(); }

  void start() {
    ASSERT_EQ(aclInit(nullptr), 0);
    ASSERT_EQ(aclrtSetDevice(0), 0);
    ASSERT_EQ(aclrtCreateStream(&stream_), 0);
  }
  void load(const ModelText& text = {}, const std::string& flags = "") {
    start();
    const AtcRun run = compile(folder_, model_of(text), flags);
    ASSERT_EQ(run.code, 0) << run.output;
    ASSERT_EQ(aclmdlLoadFromFile(folder_.path("m.om").c_str(), &model_), 0);
  }
  // Device memory for `n` floats, taken up in a dataset.
  void* add(aclmdlDataset* set, size_t bytes) {
    void* at = nullptr;
    EXPECT_EQ(aclrtMalloc(&at, bytes, 0), 0);
    EXPECT_EQ(aclmdlAddDatasetBuffer(set, aclCreateDataBuffer(at, bytes)), 0);
    return at;
  }
  void buffers(size_t in, size_t out) {
    inputs_ = aclmdlCreateDataset();
    outputs_ = aclmdlCreateDataset();
    in_ = add(inputs_, in);
    out_ = add(outputs_, out);
  }
  void drop(aclmdlDataset* set) {
    for (size_t i = 0; i < aclmdlGetDatasetNumBuffers(set); ++i) {
      aclDataBuffer* buffer = aclmdlGetDatasetBuffer(set, i);
      EXPECT_EQ(aclrtFree(aclGetDataBufferAddr(buffer)), 0);
      EXPECT_EQ(aclDestroyDataBuffer(buffer), 0);
    }
    EXPECT_EQ(aclmdlDestroyDataset(set), 0);
  }
  std::vector<float> run(std::vector<float> x, size_t results) {
    EXPECT_EQ(aclrtMemcpy(in_, x.size() * 4, x.data(), x.size() * 4, kH2D), 0);
    EXPECT_EQ(aclmdlExecuteAsync(model_, inputs_, outputs_, stream_), 0);
    EXPECT_EQ(aclrtSynchronizeStream(stream_), 0);
    std::vector<float> y(results);
    EXPECT_EQ(aclrtMemcpy(y.data(), results * 4, out_, results * 4, kD2H), 0);
    return y;
  }

  Folder folder_;
  aclrtStream stream_ = nullptr;
  uint32_t model_ = 0;
  aclmdlDataset *inputs_ = nullptr, *outputs_ = nullptr;
  void *in_ = nullptr, *out_ = nullptr;
};

}  // namespace

TEST_F(Acl, runs_a_model_and_leaves_nothing) {
  load({.nodes = {"MatMul x matrix -> z", "Add z one -> y"}}, "--precision_mode_v2=origin");
  buffers(16, 16);
  EXPECT_EQ(run({1, 2, 3, 4}, 4), (std::vector<float>{6, 6.625, 7.25, 7.875}));
  drop(inputs_);
  drop(outputs_);
  EXPECT_EQ(aclmdlUnload(model_), 0);
  EXPECT_EQ(aclrtDestroyStream(stream_), 0);
  EXPECT_EQ(aclrtResetDevice(0), 0);
  EXPECT_EQ(aclFinalize(), 0);
  EXPECT_TRUE(reports("\"violation_count\": 0")) << ascend_sim_report();
  EXPECT_TRUE(reports("\"executions\": 1"));
}

TEST_F(Acl, says_that_it_is_simulated) {
  start();
  EXPECT_STREQ(aclrtGetSocName(), "Ascend910B4(simulated)");
  aclCANNPackageVersion version;
  ASSERT_EQ(aclsysGetCANNVersion(0, &version), 0);
  EXPECT_STREQ(version.version, "8.1.RC1-simulated");
  EXPECT_NE(aclrtFree(&version), 0);
  const char* text = aclGetRecentErrMsg();
  ASSERT_TRUE(text);
  EXPECT_TRUE(std::strstr(text, "[simulated]"));
  EXPECT_FALSE(aclGetRecentErrMsg());  // read once
}

TEST_F(Acl, wants_init_once_and_a_context_on_every_thread) {
  int32_t device = 0;
  EXPECT_EQ(aclrtSetDevice(0), 100001);
  EXPECT_EQ(aclInit(nullptr), 0);
  EXPECT_EQ(aclInit(nullptr), 100002);
  EXPECT_EQ(aclrtSetDevice(1), 107001);
  EXPECT_EQ(aclrtSetDevice(0), 0);
  EXPECT_EQ(aclrtGetDevice(&device), 0);
  std::thread([&] {
    EXPECT_EQ(aclrtGetDevice(&device), 107002);
    EXPECT_TRUE(std::strstr(aclGetRecentErrMsg(), "EE1001"));
  }).join();
  EXPECT_FALSE(aclGetRecentErrMsg());
  EXPECT_TRUE(reports("aclrtGetDevice: the context of this thread is a null pointer"));
}

TEST_F(Acl, knows_which_context_streams_and_models_belong_to) {
  load();
  buffers(16, 16);
  aclrtContext other;
  ASSERT_EQ(aclrtCreateContext(&other, 0), 0);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 107003);
  EXPECT_EQ(aclmdlExecute(model_, inputs_, outputs_), 107004);
  EXPECT_EQ(aclmdlUnload(model_), 107004);
  EXPECT_EQ(aclrtDestroyContext(other), 0);
}

TEST_F(Acl, checks_every_buffer) {
  load();
  buffers(16, 16);
  aclDataBuffer* buffer = aclmdlGetDatasetBuffer(inputs_, 0);
  float host[64];
  const struct {
    void* data;
    size_t size;
    aclError code;
  } rows[] = {{in_, 12, 145006}, {host, 16, 145007}, {static_cast<char*>(in_) + 4, 16, 107008}, {in_, 160, 145007}};
  for (const auto& [data, size, code] : rows) {
    aclUpdateDataBuffer(buffer, data, size);
    EXPECT_EQ(aclmdlExecute(model_, inputs_, outputs_), code);
  }
  aclUpdateDataBuffer(buffer, in_, 16);
  EXPECT_EQ(aclmdlExecute(model_, inputs_, inputs_), 0);
  EXPECT_TRUE(reports("two buffers of a run at the same address"));
  EXPECT_EQ(aclmdlExecute(77, inputs_, outputs_), 145003);
}

TEST_F(Acl, device_memory_cannot_be_read_by_the_host_and_ends) {
  ascend_sim_set("memory=1048576");
  start();
  void *at = nullptr, *more = nullptr;
  ASSERT_EQ(aclrtMalloc(&at, 600000, 0), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(at) % 64, 0u);
  EXPECT_EQ(aclrtMalloc(&more, 600000, 0), 207001);
  EXPECT_TRUE(std::strstr(aclGetRecentErrMsg(), "EL0004"));
  EXPECT_EXIT(*static_cast<volatile char*>(at) = 1, ::testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EQ(aclrtFree(at), 0);
  EXPECT_EQ(aclrtFree(at), 207002);
  float host[4];
  EXPECT_EQ(aclrtMemcpy(host, 16, at, 16, kD2H), 100000);
  EXPECT_TRUE(reports("freed twice"));
}

TEST_F(Acl, asynchronous_copies_want_pinned_memory) {
  start();
  void *device = nullptr, *pinned = nullptr;
  ASSERT_EQ(aclrtMalloc(&device, 64, 0), 0);
  ASSERT_EQ(aclrtMallocHost(&pinned, 64), 0);
  char pageable[64] = {};
  EXPECT_EQ(aclrtMemcpyAsync(device, 64, pinned, 64, kH2D, stream_), 0);
  EXPECT_FALSE(reports("pageable"));
  EXPECT_EQ(aclrtMemcpyAsync(device, 64, pageable, 64, kH2D, stream_), 0);
  EXPECT_TRUE(reports("pageable async copy"));
  EXPECT_EQ(aclrtMemcpy(pageable, 64, device, 64, kH2D), 100000);  // the wrong way round
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 0);
  EXPECT_TRUE(reports("\"h2d\": {\"count\": 2, \"bytes\": 128}")) << ascend_sim_report();
}

TEST_F(Acl, results_appear_when_the_stream_is_done) {
  load();
  buffers(16, 16);
  run({0, 0, 0, 0}, 4);
  ascend_sim_set("slow=aclmdlExecuteAsync:1:200");
  const float x[] = {7, 7, 7, 7};
  float y[4];
  ASSERT_EQ(aclrtMemcpy(in_, 16, x, 16, kH2D), 0);
  ASSERT_EQ(aclmdlExecuteAsync(model_, inputs_, outputs_, stream_), 0);
  EXPECT_EQ(aclmdlUnload(model_), 545009);
  ASSERT_EQ(aclrtMemcpy(y, 16, out_, 16, kD2H), 0);
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 0);
  ASSERT_EQ(aclrtMemcpy(y, 16, out_, 16, kD2H), 0);
  EXPECT_EQ(y[0], 8);
}

TEST_F(Acl, one_model_runs_on_one_stream_at_a_time) {
  load();
  buffers(16, 16);
  aclrtStream second;
  ASSERT_EQ(aclrtCreateStream(&second), 0);
  ascend_sim_set("slow=aclmdlExecuteAsync:1:200");
  EXPECT_EQ(aclmdlExecuteAsync(model_, inputs_, outputs_, stream_), 0);
  EXPECT_EQ(aclmdlExecuteAsync(model_, inputs_, outputs_, second), 507011);
  EXPECT_TRUE(reports("a model executed while it executes on another stream"));
}

TEST_F(Acl, models_share_a_work_buffer_only_one_after_another) {
  start();
  ASSERT_EQ(compile(folder_, model_of({})).code, 0);
  const std::string path = folder_.path("m.om");
  size_t work = 0, weight = 0;
  ASSERT_EQ(aclmdlQuerySize(path.c_str(), &work, &weight), 0);
  void *shared, *weights;
  ASSERT_EQ(aclrtMalloc(&shared, work, 0), 0);
  ASSERT_EQ(aclrtMalloc(&weights, weight, 0), 0);
  uint32_t first, second;
  EXPECT_EQ(aclmdlLoadFromFileWithMem(path.c_str(), &first, shared, work - 64, weights, weight), 145006);
  ASSERT_EQ(aclmdlLoadFromFileWithMem(path.c_str(), &first, shared, work, weights, weight), 0);
  ASSERT_EQ(aclmdlLoadFromFileWithMem(path.c_str(), &second, shared, work, weights, weight), 0);
  buffers(16, 16);
  EXPECT_EQ(aclmdlExecute(first, inputs_, outputs_), 0);
  EXPECT_EQ(aclmdlExecute(second, inputs_, outputs_), 0);
  aclrtStream other;
  ASSERT_EQ(aclrtCreateStream(&other), 0);
  ascend_sim_set("slow=aclmdlExecuteAsync:1:200");
  EXPECT_EQ(aclmdlExecuteAsync(first, inputs_, outputs_, stream_), 0);
  EXPECT_EQ(aclmdlExecuteAsync(second, inputs_, outputs_, other), 507011);
}

TEST_F(Acl, gears_choose_the_shape) {
  load({.inputs = {{"x", {-1, 4}}}},
       "--input_format=ND --input_shape=x:-1,4 --dynamic_dims='1;2' --precision_mode_v2=origin");
  aclmdlDesc* desc = aclmdlCreateDesc();
  ASSERT_EQ(aclmdlGetDesc(desc, model_), 0);
  EXPECT_EQ(aclmdlGetNumInputs(desc), 2u);
  EXPECT_EQ(aclmdlGetInputSizeByIndex(desc, 0), 32u);
  size_t index = 0, gears = 0;
  ASSERT_EQ(aclmdlGetInputIndexByName(desc, "ascend_mbatch_shape_data", &index), 0);
  ASSERT_EQ(aclmdlGetInputDynamicGearCount(desc, static_cast<size_t>(-1), &gears), 0);
  std::vector<aclmdlIODims> dims(gears);
  ASSERT_EQ(aclmdlGetInputDynamicDims(desc, static_cast<size_t>(-1), dims.data(), gears), 0);
  EXPECT_EQ(dims.at(1).dims[0], 2);
  buffers(32, 32);
  add(inputs_, aclmdlGetInputSizeByIndex(desc, index));
  EXPECT_EQ(aclmdlExecute(model_, inputs_, outputs_), 0);
  EXPECT_TRUE(reports("without a gear set"));
  dims[0].dims[0] = 3;
  EXPECT_NE(aclmdlSetInputDynamicDims(model_, inputs_, index, &dims[0]), 0);
  dims[0].dims[0] = 1;
  EXPECT_EQ(aclmdlSetInputDynamicDims(model_, inputs_, index, &dims[0]), 0);
  EXPECT_EQ(run({1, 2, 3, 4}, 4), (std::vector<float>{2, 3, 4, 5}));
  aclmdlIODims now;
  ASSERT_EQ(aclmdlGetCurOutputDims(desc, 0, &now), 0);
  EXPECT_EQ(now.dims[0], 1);
  EXPECT_EQ(aclmdlDestroyDesc(desc), 0);
}

TEST_F(Acl, refuses_files_of_another_chip_or_a_newer_cann) {
  start();
  ASSERT_EQ(compile(folder_, model_of({})).code, 0);
  ascend_sim_set("soc=Ascend910B3");
  EXPECT_EQ(aclmdlLoadFromFile(folder_.path("m.om").c_str(), &model_), 545001);
  EXPECT_TRUE(std::strstr(aclGetRecentErrMsg(), "soc_version"));
  ascend_sim_set("soc=Ascend910B4;cann=8.0.RC3");
  EXPECT_EQ(aclmdlLoadFromFile(folder_.path("m.om").c_str(), &model_), 545001);
  EXPECT_EQ(aclmdlLoadFromFile(folder_.path("absent.om").c_str(), &model_), 145002);
  folder_.write("short.om", "IMOD");
  EXPECT_EQ(aclmdlLoadFromFile(folder_.path("short.om").c_str(), &model_), 145006);
}

TEST_F(Acl, a_fatal_error_breaks_the_context_until_a_forced_reset) {
  load();
  buffers(16, 16);
  ascend_sim_set("fault=aclmdlExecuteAsync:1:507015");
  EXPECT_EQ(aclmdlExecuteAsync(model_, inputs_, outputs_, stream_), 0);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 507015);
  void* at;
  EXPECT_EQ(aclrtMalloc(&at, 64, 0), 507015);
  EXPECT_EQ(aclmdlExecute(model_, inputs_, outputs_), 507015);
  EXPECT_EQ(aclrtResetDeviceForce(0), 0);
  EXPECT_EQ(aclrtMalloc(&at, 64, 0), 107002);
  ASSERT_EQ(aclrtSetDevice(0), 0);
  EXPECT_EQ(aclrtMalloc(&at, 64, 0), 0);
}

TEST_F(Acl, hangs_end_by_timeout_or_abort) {
  load();
  buffers(16, 16);
  ascend_sim_set("hang=aclmdlExecuteAsync:1");
  EXPECT_EQ(aclmdlExecuteAsync(model_, inputs_, outputs_, stream_), 0);
  EXPECT_EQ(aclrtSynchronizeStreamWithTimeout(stream_, 30), 507046);
  EXPECT_EQ(aclrtStreamAbort(stream_), 0);
  EXPECT_EQ(aclrtSynchronizeStream(stream_), 107023);
  EXPECT_EQ(run({1, 1, 1, 1}, 4)[0], 2);
}

TEST_F(Acl, a_lost_device_answers_nothing_more) {
  load();
  buffers(16, 16);
  ascend_sim_set("lost=1");
  EXPECT_EQ(run({1, 1, 1, 1}, 4)[0], 2);
  EXPECT_EQ(aclmdlExecute(model_, inputs_, outputs_), 507010);
  void* at;
  EXPECT_EQ(aclrtMalloc(&at, 64, 0), 507010);
}

TEST_F(Acl, counts_what_is_left) {
  load();
  void* at;
  ASSERT_EQ(aclrtMalloc(&at, 64, 0), 0);
  EXPECT_EQ(aclrtResetDevice(0), 0);
  EXPECT_TRUE(reports("1 device allocation(s) left at aclrtResetDevice")) << ascend_sim_report();
  EXPECT_TRUE(reports("1 model(s) left at aclrtResetDevice"));
  EXPECT_TRUE(reports("1 stream(s) left at aclrtResetDevice"));
}

TEST_F(Acl, fp16_rounds_and_overflows_unless_kept) {
  load({.nodes = {"Mul x big -> y"}});
  buffers(16, 16);
  EXPECT_EQ(run({0.5f, 1, 0, 0}, 4)[1], INFINITY);  // 70000 is infinite in fp16 already
  ASSERT_EQ(aclmdlUnload(model_), 0);
  folder_.write("keep.cfg", "Mul_0\n");
  ASSERT_EQ(compile(folder_, model_of({.nodes = {"Mul x big -> y"}}), "--keep_dtype=keep.cfg").code, 0);
  ASSERT_EQ(aclmdlLoadFromFile(folder_.path("m.om").c_str(), &model_), 0);
  EXPECT_EQ(run({0.5f, 1, 0, 0}, 4)[1], 70000);
}

TEST_F(Acl, external_weights_lie_beside) {
  load({.nodes = {"MatMul x wide -> y"}}, "--external_weight=1");
  EXPECT_TRUE(std::filesystem::exists(folder_.path("weight")));
  buffers(16, 400);
  EXPECT_NEAR(run({1, 1, 1, 1}, 100)[99], 0.4f, 1e-3);
}
