// The backend `ascend` against a fake AscendCL: what is looked up and refused, where tensors go,
// how often copies are made, and that whatever fails leaves nothing behind.
#include <gmock/gmock.h>

#include <thread>

#include "backend/ascend_folder.h"
#include "base/error.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <typename Kind = Error>
std::string text_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const Kind& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another kind of error: ") + error.what();
  }
  return "nothing was thrown";
}

Tensor counted(const Shape& shape) {
  Tensor tensor(shape);
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.floats()[static_cast<size_t>(i)] = static_cast<float>(i);
  return tensor;
}

void expect_doubled(const Tensor& from, const Tensor& to, float plus = 0) {
  for (int64_t i = 0; i < to.size(); ++i)
    ASSERT_EQ(to.floats()[static_cast<size_t>(i)], 2 * from.floats()[static_cast<size_t>(i)] + plus) << i;
}

struct AscendBackend : testing::Test {
  AscendBackend() { fake().clear(); }
  ~AscendBackend() override {
    EXPECT_EQ(fake().live(), 0) << "handles or memory were left";
    EXPECT_EQ(fake().violations(), 0) << "AscendCL's rules were broken";
  }

  // A folder of one file, "net", of these batches.
  std::unique_ptr<Backend> open_one(std::vector<int> batches = {1}, int64_t width = 8, int outputs = 1) {
    folder.compile(folder.add("net", std::move(batches), width, outputs));
    return folder.open();
  }
  std::unique_ptr<Program> compile(Backend& backend, int64_t batch = 1, int64_t width = 8, int outputs = 1) {
    return backend.compile(doubling(batch, width, outputs), folder.weights, {});
  }
  static void run(Program& program, const Tensor& in, Tensor& out) {
    const Tensor* inputs[] = {&in};
    Tensor* outputs[] = {&out};
    program.run(inputs, outputs);
  }
  // One program of one run, from the beginning.
  void run_once() {
    const auto backend = folder.open();
    const auto program = compile(*backend);
    Tensor in = counted({1, 8}), out({1, 8});
    run(*program, in, out);
    expect_doubled(in, out);
  }

  Environment library{"INKSTONE_ASCENDCL", FAKE_ACL};
  AscendFolder folder;
};

TEST_F(AscendBackend, runs_a_program_and_says_what_it_is) {
  const auto backend = open_one();
  const DeviceInfo info = backend->info();
  EXPECT_EQ(info.name, "npu:0");
  EXPECT_EQ(info.description, "Ascend910B4(simulated), CANN 8.1.RC1-simulated, simulated");
  EXPECT_TRUE(info.own_memory);
  EXPECT_EQ(info.precision, Precision::kFp32);
  EXPECT_EQ(info.memory_total, size_t{32} << 30);
  EXPECT_TRUE(backend->has(doubling(1, 8), {}));
  EXPECT_FALSE(backend->has(doubling(2, 8), {}));
  const MemoryUse plan = backend->plan(doubling(1, 8), folder.weights, {});
  EXPECT_EQ(plan.weights, 8192u);
  EXPECT_EQ(plan.arena, 4096u);
  EXPECT_EQ(plan.scratch, 2 * 64u);
  const auto program = compile(*backend);
  EXPECT_EQ(program->memory().total(), plan.total());
  Tensor in = counted({1, 8}), out({1, 8});
  run(*program, in, out);
  expect_doubled(in, out);
}

TEST_F(AscendBackend, twenty_steps_make_forty_copies_and_not_one_allocation_after_the_first) {
  const auto backend = open_one({1}, 4096, 2);
  const auto program = compile(*backend, 1, 4096, 2);
  Tensor latent = counted({1, 4096}), noise({1, 4096}), feature = backend->tensor({1, 4096}, DType::kF32);
  const Tensor* inputs[] = {&latent};
  Tensor* outputs[] = {&noise, &feature};
  program->run(inputs, outputs);
  const AscendCounters warm = ascend_status(*backend)->counters;
  for (int step = 0; step < 20; ++step) program->run(inputs, outputs);
  const AscendCounters after = ascend_status(*backend)->counters;
  EXPECT_EQ(after.copies_to_device - warm.copies_to_device, 20u);
  EXPECT_EQ(after.copies_to_host - warm.copies_to_host, 20u);
  EXPECT_EQ(after.bytes_to_device - warm.bytes_to_device, 20 * latent.bytes());
  EXPECT_EQ(after.copies_on_device, 0u);
  EXPECT_EQ(after.device_allocations, warm.device_allocations);
  EXPECT_EQ(after.host_allocations, warm.host_allocations);
  EXPECT_EQ(after.executions - warm.executions, 20u);
  EXPECT_EQ(after.loads, 1u);
  EXPECT_EQ(fake().calls("aclrtMemcpyAsync"), 42);
  Tensor back({1, 4096});
  backend->copy(feature, 0, back, 0, back.bytes());
  expect_doubled(latent, back, 1);
}

TEST_F(AscendBackend, tensors_of_the_device_pass_from_program_to_program) {
  const auto backend = open_one({1}, 64);
  const auto program = compile(*backend, 1, 64);
  Tensor in = counted({1, 64}), middle = backend->tensor({1, 64}, DType::kF32), out({1, 64});
  EXPECT_TRUE(middle.on_device());
  run(*program, in, middle);
  run(*program, middle, out);
  EXPECT_EQ(ascend_status(*backend)->counters.copies_to_device, 1u);
  EXPECT_EQ(ascend_status(*backend)->counters.copies_to_host, 1u);
  for (size_t i = 0; i < 64; ++i) ASSERT_EQ(out.floats()[i], 4 * static_cast<float>(i));
}

TEST_F(AscendBackend, copies_go_any_way_and_stay_inside) {
  const auto backend = open_one();
  Tensor host = counted({100}), back({100}), a = backend->tensor({100}, DType::kF32),
         b = backend->tensor({100}, DType::kF32);
  backend->copy(host, 0, a, 0, 400);
  backend->copy(a, 40, b, 80, 40);
  backend->copy(b, 80, back, 0, 40);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(back.floats()[i], static_cast<float>(10 + i));
  backend->copy(host, 0, back, 200, 200);
  EXPECT_EQ(back.floats()[99], 49);
  EXPECT_THAT(text_of([&] { backend->copy(a, 0, b, 80, 400); }), HasSubstr("a copy of 400 bytes"));
  EXPECT_EQ(ascend_status(*backend)->counters.bytes_on_device, 40u);
}

TEST_F(AscendBackend, a_file_with_gears_runs_each_of_them) {
  const auto backend = open_one({1, 2, 8});
  std::map<int64_t, std::unique_ptr<Program>> programs;
  for (const int64_t batch : {1, 2, 8}) programs[batch] = compile(*backend, batch);
  for (const int64_t batch : {8, 1, 2, 8}) {
    Tensor in = counted({batch, 8}), out({batch, 8});
    run(*programs[batch], in, out);
    expect_doubled(in, out);
    Tensor device = backend->tensor({batch, 8}, DType::kF32);
    run(*programs[batch], in, device);
    run(*programs[batch], device, out);
    EXPECT_EQ(out.floats()[7], 28);
  }
  EXPECT_EQ(ascend_status(*backend)->counters.loads, 1u) << "one file, one copy of its weights";
}

TEST_F(AscendBackend, host_tensors_are_converted_to_what_the_file_takes) {
  GraphRecord& record = folder.add("time", {1}, 1);
  record.inputs[0].type = DType::kI32;
  folder.compile(record);
  const auto backend = folder.open();
  const auto program = compile(*backend, 1, 1);
  Tensor in({1, 1}), out({1, 1});
  in.floats()[0] = 981;
  run(*program, in, out);
  EXPECT_EQ(out.floats()[0], 1962);
  in.floats()[0] = 12.5f;
  EXPECT_THAT(text_of<UsageError>([&] { run(*program, in, out); }),
              AllOf(HasSubstr("\"x\" is 12.5"), HasSubstr("takes whole numbers")));
  in.floats()[0] = 1;
  run(*program, in, out);
  EXPECT_EQ(out.floats()[0], 2) << "the device goes on";
}

TEST_F(AscendBackend, on_the_chips_own_processor_nothing_is_staged) {
  const Environment unified("FAKE_ACL_UNIFIED", "1");
  folder.compile(folder.add("net", {1}, 8));
  run_once();
  EXPECT_EQ(fake().calls("aclrtMemcpyAsync"), 0);
  EXPECT_EQ(fake().calls("aclrtMallocHost"), 0);
}

TEST_F(AscendBackend, models_share_a_work_buffer_of_the_largest) {
  folder.compile(folder.add("small", {1}, 8), 4096);
  folder.compile(folder.add("large", {1}, 16), 1 << 20);
  const auto backend = folder.open();
  const auto small = compile(*backend, 1, 8), large = compile(*backend, 1, 16);
  Tensor in = counted({1, 8}), out({1, 8}), in16 = counted({1, 16}), out16({1, 16});
  for (int i = 0; i < 3; ++i) {
    run(*small, in, out);
    run(*large, in16, out16);
  }
  expect_doubled(in16, out16);
  const AscendStatus status = *ascend_status(*backend);
  EXPECT_EQ(status.work, size_t{1} << 20) << "both were known before the first ran";
  EXPECT_EQ(status.counters.loads, 2u);
  EXPECT_EQ(status.counters.unloads, 0u);
}

TEST_F(AscendBackend, a_larger_work_buffer_later_unloads_what_reloads_itself) {
  folder.compile(folder.add("small", {1}, 8), 4096);
  folder.compile(folder.add("large", {1}, 16), 1 << 20);
  const auto backend = folder.open();
  const auto small = compile(*backend, 1, 8);
  Tensor in = counted({1, 8}), out({1, 8}), in16 = counted({1, 16}), out16({1, 16});
  run(*small, in, out);
  const auto large = compile(*backend, 1, 16);
  run(*large, in16, out16);
  run(*small, in, out);
  expect_doubled(in, out);
  EXPECT_EQ(ascend_status(*backend)->counters.loads, 3u);
}

TEST_F(AscendBackend, programs_given_up_leave_the_device_when_asked) {
  const auto backend = open_one();
  auto program = compile(*backend);
  Tensor in = counted({1, 8}), out({1, 8});
  run(*program, in, out);
  backend->trim();
  EXPECT_EQ(ascend_status(*backend)->weights, 8192u) << "it is still a program's";
  program.reset();
  backend->trim();
  EXPECT_EQ(ascend_status(*backend)->weights, 0u);
  EXPECT_EQ(ascend_status(*backend)->work, 0u);
}

// Memory for one model's weights, not two: the other leaves and comes back.
TEST_F(AscendBackend, where_memory_is_short_models_take_turns) {
  constexpr size_t kWeights = size_t{20} << 20;
  folder.compile(folder.add("a", {1}, 8), 4096, kWeights);
  folder.compile(folder.add("b", {1}, 16), 4096, kWeights);
  const auto backend = folder.open();
  const auto a = compile(*backend, 1, 8), b = compile(*backend, 1, 16);
  Tensor in = counted({1, 8}), out({1, 8}), in16 = counted({1, 16}), out16({1, 16});
  run(*a, in, out);
  fake().limit(size_t{50} << 20);
  run(*b, in16, out16);
  run(*a, in, out);
  expect_doubled(in, out);
  EXPECT_EQ(ascend_status(*backend)->counters.unloads, 2u);

  fake().limit(size_t{10} << 20);
  backend->trim();
  const std::string text = text_of([&] { run(*b, in16, out16); });
  EXPECT_THAT(text,
              AllOf(HasSubstr("not enough memory"), HasSubstr("20 MiB asked for the weights of"), HasSubstr("b.om"),
                    HasSubstr("free"), HasSubstr("smaller size or batch"), HasSubstr("207001")));
  fake().limit(SIZE_MAX);
  run(*b, in16, out16);
  expect_doubled(in16, out16);
}

TEST_F(AscendBackend, what_was_not_exported_is_refused_with_what_is_there) {
  folder.compile(folder.add("net", {1, 2}, 8));
  folder.add("other", {4}, 8);
  const auto backend = folder.open();
  EXPECT_THAT(text_of<UsageError>([&] { compile(*backend, 3); }),
              AllOf(HasSubstr("x [3, 8]"), HasSubstr("unet (batch 1, 2)"), HasSubstr("unet, not compiled (batch 4)"),
                    HasSubstr("inkstone export --model a-model"), HasSubstr("--soc Ascend910B4 ")));
  EXPECT_THAT(text_of([&] { compile(*backend, 4); }), HasSubstr("exported and not compiled"));
  CompileOptions options;
  options.vae_tiling = true;
  EXPECT_FALSE(backend->has(doubling(1, 8), options));
  EXPECT_THAT(text_of<UsageError>([&] { backend->plan(doubling(1, 8), folder.weights, options); }),
              HasSubstr("--vae-tile"));
  options = {};
  options.precision = Precision::kBf16;
  EXPECT_THAT(text_of<UsageError>([&] { backend->plan(doubling(1, 8), folder.weights, options); }),
              HasSubstr("exported with --precision fp32"));
  EXPECT_EQ(fake().calls("aclmdlLoadFromFileWithMem"), 0);
}

TEST_F(AscendBackend, a_file_that_does_not_fit_is_refused_before_it_is_loaded) {
  GraphRecord& record = folder.add("net", {1}, 8);
  folder.compile(record);
  const Compiled good = *record.compiled;
  const auto refused = [&](const auto& change) {
    change();
    const std::string text = text_of([&] { compile(*folder.open()); });
    folder.compile(record);
    EXPECT_EQ(fake().calls("aclmdlQuerySize"), 0);
    return text;
  };
  const std::string om = (folder.path / "net.om").string();
  EXPECT_THAT(refused([&] { record.compiled->soc = "Ascend310P3"; }),
              AllOf(HasSubstr("compiled for Ascend310P3"), HasSubstr("npu:0 is Ascend910B4(simulated)"),
                    HasSubstr("--soc Ascend910B4`")));
  EXPECT_THAT(refused([&] { record.compiled->cann = "8.5.0"; }),
              AllOf(HasSubstr("compiled by CANN 8.5.0"), HasSubstr("8.1.RC1-simulated")));
  EXPECT_THAT(refused([&] { std::filesystem::resize_file(om, 300); }), HasSubstr("has 300 bytes"));
  EXPECT_THAT(refused([&] { std::filesystem::remove(om); }), HasSubstr("net.om"));
  EXPECT_THAT(refused([&] { std::ofstream(om, std::ios::in | std::ios::binary) << "ELF!"; }), HasSubstr("net.om"));
  EXPECT_THAT(refused([&] { record.fingerprint = "of others"; }), HasSubstr("made of other weights"));
  const Environment verify("INKSTONE_VERIFY", "1");
  EXPECT_THAT(refused([] {}), HasSubstr("SHA-256"));
}

TEST_F(AscendBackend, a_file_that_is_not_what_the_manifest_says_is_refused) {
  GraphRecord& record = folder.add("net", {1}, 8);
  folder.compile(record);
  record.outputs[0].shape = {1, 9};
  record.gears[0].outputs = {{1, 9}};
  const auto backend = folder.open();
  const auto program = compile(*backend);
  Tensor in = counted({1, 8}), out({1, 9});
  EXPECT_THAT(text_of([&] { run(*program, in, out); }), HasSubstr("\"out0\" is [1, 8], and [1, 9] by the manifest"));
}

TEST_F(AscendBackend, tensors_of_other_shapes_types_and_devices_are_refused) {
  const auto backend = open_one();
  const auto program = compile(*backend);
  Tensor in = counted({1, 8}), wide = counted({1, 9}), out({1, 8}), ids = backend->tensor({1, 8}, DType::kI32);
  EXPECT_THAT(text_of([&] { run(*program, wide, out); }), HasSubstr("\"x\" is [1, 8], and [1, 9] was given"));
  EXPECT_THAT(text_of([&] { run(*program, ids, out); }), HasSubstr("fp32 on the device, and int32"));
  run(*program, in, out);
  expect_doubled(in, out);
}

TEST_F(AscendBackend, without_a_folder_it_says_how_to_make_one) {
  EXPECT_THAT(text_of<UsageError>([] { open_backend("npu:0"); }),
              AllOf(HasSubstr("inkstone export"), HasSubstr("--compiled DIR")));
  EXPECT_THAT(text_of<UsageError>([&] {
                folder.manifest.write(folder.path);
                open_backend("npu:3", {folder.path.string()});
              }),
              HasSubstr("no device npu:3: AscendCL lists 1 (npu:0)"));
  EXPECT_THAT(text_of<UsageError>([] { open_backend("npu:x"); }), HasSubstr("unknown device \"npu:x\""));
}

TEST_F(AscendBackend, any_thread_may_use_it) {
  const auto backend = open_one();
  const auto program = compile(*backend);
  Tensor in = counted({1, 8}), out({1, 8});
  for (int i = 0; i < 4; ++i) std::thread([&] { run(*program, in, out); }).join();
  expect_doubled(in, out);
}

// Every call that can fail, failing: at opening, compiling or running. The error names it, nothing
// is left, and the next one is served.
TEST_F(AscendBackend, whatever_fails_leaves_nothing_and_the_next_request_is_served) {
  folder.compile(folder.add("net", {1}, 8));
  for (const char* call : {"aclInit",
                           "aclrtGetDeviceCount",
                           "aclrtSetDevice",
                           "aclrtCreateContext",
                           "aclrtSetCurrentContext",
                           "aclrtCreateStream",
                           "aclrtSetStreamFailureMode",
                           "aclrtGetRunMode",
                           "aclrtGetSocName",
                           "aclmdlQuerySize",
                           "aclrtMalloc",
                           "aclmdlLoadFromFileWithMem",
                           "aclmdlCreateDesc",
                           "aclmdlGetDesc",
                           "aclmdlCreateDataset",
                           "aclCreateDataBuffer",
                           "aclmdlAddDatasetBuffer",
                           "aclUpdateDataBuffer",
                           "aclrtMallocHost",
                           "aclrtMemcpyAsync",
                           "aclmdlExecuteAsync",
                           "aclrtSynchronizeStreamWithTimeout"})
    for (const int nth : {1, 2}) {
      fake().clear();
      run_once();
      if (fake().calls(call) < nth) continue;
      fake().clear();
      fake().fail(call, nth, 500000, false);
      EXPECT_THAT(text_of([&] { run_once(); }),
                  AllOf(HasSubstr(call), HasSubstr("npu:0"), HasSubstr("was told to fail")))
          << nth;
      EXPECT_EQ(fake().live(), 0) << call << " " << nth;
      run_once();
    }
}

TEST_F(AscendBackend, a_run_that_fails_does_not_stop_the_next) {
  folder.compile(folder.add("net", {1}, 8));
  for (const char* call : {"aclmdlLoadFromFileWithMem", "aclmdlCreateDataset", "aclCreateDataBuffer", "aclrtMallocHost",
                           "aclrtMemcpyAsync", "aclmdlExecuteAsync"}) {
    const auto backend = folder.open();
    const auto program = compile(*backend);
    Tensor in = counted({1, 8}), out({1, 8});
    fake().fail(call, 1, 500000, false);
    EXPECT_THAT(text_of([&] { run(*program, in, out); }), AllOf(HasSubstr(call), HasSubstr("net.om")));
    run(*program, in, out);
    expect_doubled(in, out);
    EXPECT_EQ(ascend_status(*backend)->unusable, "");
  }
}

TEST_F(AscendBackend, memory_that_is_refused_once_is_asked_for_again_after_unloading) {
  folder.compile(folder.add("a", {1}, 8));
  folder.compile(folder.add("b", {1}, 16));
  const auto backend = folder.open();
  const auto a = compile(*backend, 1, 8), b = compile(*backend, 1, 16);
  Tensor in = counted({1, 8}), out({1, 8}), in16 = counted({1, 16}), out16({1, 16});
  run(*a, in, out);
  fake().fail("aclmdlLoadFromFileWithMem", 1, 245000, false);
  run(*b, in16, out16);
  expect_doubled(in16, out16);
  EXPECT_EQ(ascend_status(*backend)->counters.unloads, 1u);
}

TEST_F(AscendBackend, an_error_that_breaks_the_device_makes_all_else_fail_at_once) {
  folder.compile(folder.add("net", {1}, 8));
  for (const int code : {507010, 507014, 507015, 507018, 507035, 507046, 507053, 507901}) {
    fake().clear();
    {
      const auto backend = folder.open();
      const auto program = compile(*backend);
      Tensor in = counted({1, 8}), out({1, 8}), kept = backend->tensor({1, 8}, DType::kF32);
      run(*program, in, out);
      fake().fail("aclrtSynchronizeStreamWithTimeout", 1, code, false);
      const std::string first = text_of([&] { run(*program, in, out); });
      EXPECT_THAT(first, AllOf(HasSubstr("aclrtSynchronizeStreamWithTimeout"), HasSubstr(std::to_string(code)),
                               HasSubstr("net.om")));
      const long executed = fake().calls("aclmdlExecuteAsync");
      EXPECT_THAT(text_of([&] { run(*program, in, out); }),
                  AllOf(HasSubstr("npu:0 is unusable"), HasSubstr("started anew"), HasSubstr(first)));
      EXPECT_THAT(text_of([&] { backend->info(); }), HasSubstr("npu:0 is unusable"));
      EXPECT_EQ(fake().calls("aclmdlExecuteAsync"), executed);
      EXPECT_EQ(ascend_status(*backend)->unusable, first);
    }
    EXPECT_EQ(fake().live(), 0) << code;
    run_once();
  }
}

TEST_F(AscendBackend, two_backends_of_a_process_share_its_initialisation) {
  folder.compile(folder.add("net", {1}, 8));
  {
    const auto first = folder.open(), second = folder.open();
    EXPECT_EQ(fake().calls("aclInit"), 1);
    EXPECT_EQ(fake().calls("aclFinalize"), 0);
  }
  EXPECT_EQ(fake().calls("aclFinalize"), 1);
}

TEST_F(AscendBackend, a_step_timeout_that_is_no_number_is_refused) {
  const Environment timeout("INKSTONE_STEP_TIMEOUT", "soon");
  folder.compile(folder.add("net", {1}, 8));
  EXPECT_THAT(text_of<UsageError>([&] { folder.open(); }), HasSubstr("INKSTONE_STEP_TIMEOUT is \"soon\""));
}

}  // namespace
}  // namespace inkstone
