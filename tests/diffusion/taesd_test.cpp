// TAESD: diffusers' AutoencoderTiny both ways, the forms of its files, and the way out where a half is missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>

#include "backend/random_model.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/picture.h"
#include "diffusion/checkpoint_files.h"
#include "diffusion/generate.h"
#include "diffusion/noise.h"
#include "diffusion/pipeline.h"
#include "diffusion/preview_vae.h"
#include "diffusion/request_fields.h"
#include "diffusion/vae_file.h"
#include "models/config_json.h"
#include "models/formula_weights.h"
#include "models/vae.h"
#include "support/differences.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures";
const fs::path kDemo = fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model";
constexpr int kTinyWidth = 4;  // of the files in fixtures/taesd

VaeConfig config_of(int width) {
  VaeConfig config = taesd_config();
  config.channels.assign(4, width);
  return config;
}

std::vector<WeightSpec> specs_of(const VaeConfig& config) {
  std::vector<WeightSpec> specs;
  for (const Graph& graph : vae_graphs(config))
    for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  return specs;
}

FileTensors tensors_of(const VaeConfig& config) {
  FileTensors tensors;
  for (const WeightSpec& spec : specs_of(config))
    tensors.push_back({spec.name, spec.shape, formula_values(spec.name, spec.shape)});
  return tensors;
}

Weights weights_of_config(const VaeConfig& config) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  const std::vector<WeightSpec> specs = specs_of(config);
  for (const WeightSpec& spec : specs) {
    Tensor tensor(spec.shape);
    std::ranges::copy(formula_values(spec.name, spec.shape), tensor.floats().begin());
    tensors.emplace_back(spec.name, std::move(tensor));
  }
  Weights weights = Weights::of(std::move(tensors));
  weights.bind(specs);
  return weights;
}

// ---- Goldens

struct Device {
  const char* name;
  Precision precision;
  double bound;  // on any number
};
void PrintTo(const Device& device, std::ostream* out) { *out << device.name << " " << name_of(device.precision); }
const Device kDevices[] = {
    {"reference", Precision::kFp32, 1e-4}, {"cpu", Precision::kFp32, 1e-4}, {"cpu", Precision::kBf16, 0.1}};

class TaesdGoldens : public testing::TestWithParam<Device> {
 protected:
  void expect_golden(const Graph& graph, const Weights& weights, Tensor in, const Tensor& right,
                     const std::string& at) {
    const auto backend = open_backend(GetParam().name);
    std::vector<Tensor> inputs;
    inputs.push_back(std::move(in));
    const Tensor found = run_once(*backend, graph, weights, inputs, {GetParam().precision});
    EXPECT_LE(largest_difference(found, right), GetParam().bound) << at;
  }
};

TEST_P(TaesdGoldens, decode_and_encode_as_diffusers) {
  const Weights golden = Weights::open_files({kFixtures / "taesd.safetensors"});
  const std::vector<std::string> names = golden.names();
  int seen = 0;
  for (const auto& [name, width] : {std::pair<std::string, int>("tiny", kTinyWidth), {"full", 64}}) {
    const VaeConfig config = config_of(width);
    const Weights weights = weights_of_config(config);
    for (const std::string& key : names) {
      if (!key.starts_with(name + "/")) continue;
      const std::string at = key.substr(0, key.rfind('/') + 1);
      if (key == at + "latent" && at.find("decode") != std::string::npos) {
        Tensor latent = golden.read(key);
        decoder_input(config, latent.floats(), latent.floats());
        const Graph graph = vae_decoder_graph(config, latent.dim(0), latent.dim(2), latent.dim(3));
        expect_golden(graph, weights, std::move(latent), golden.read(at + "image"), at);
        ++seen;
      }
      if (key == at + "image" && at.find("encode") != std::string::npos) {
        Tensor image = golden.read(key);
        const Graph graph = vae_encoder_graph(config, image.dim(0), image.dim(2), image.dim(3));
        expect_golden(graph, weights, std::move(image), golden.read(at + "latent"), at);
        ++seen;
      }
    }
  }
  EXPECT_EQ(seen, 6);
}

INSTANTIATE_TEST_SUITE_P(Devices, TaesdGoldens, testing::ValuesIn(kDevices), [](const auto& row) {
  return std::string(row.param.name) + (row.param.precision == Precision::kBf16 ? "_bf16" : "_fp32");
});

TEST(Taesd, has_the_published_number_of_parameters) {
  const VaeConfig config = taesd_config();
  EXPECT_EQ(parameters(vae_decoder_graph(config, 1, 1, 1)), 1222531);
  EXPECT_EQ(parameters(vae_encoder_graph(config, 1, 8, 8)), 1222532);
  EXPECT_EQ(vae_scale(config), 8);
}

TEST(Taesd, its_latent_is_bounded_smoothly) {
  const std::vector<float> latent{-100, -3, 0, 0.5f, 100};
  std::vector<float> input(latent.size());
  decoder_input(taesd_config(), latent, input);
  for (size_t i = 0; i < latent.size(); ++i) EXPECT_NEAR(input[i], 3 * std::tanh(latent[i] / 3), 1e-6);
  decoder_input(VaeConfig(), latent, input);
  for (size_t i = 0; i < latent.size(); ++i) EXPECT_FLOAT_EQ(input[i], latent[i] / 0.18215f);
}

TEST(Taesd, decoded_in_bands_is_the_same_image) {
  const VaeConfig config = config_of(kTinyWidth);
  const Weights weights = weights_of_config(config);
  const Graph graph = vae_decoder_graph(config, 1, 40, 24);
  const auto backend = open_backend("cpu");
  const auto decoded = [&](bool tiled) {
    std::vector<Tensor> inputs;
    inputs.emplace_back(Shape{1, 4, 40, 24});
    for (int64_t i = 0; i < inputs[0].size(); ++i)
      inputs[0].floats()[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i)));
    return run_once(*backend, graph, weights, inputs, {Precision::kFp32, false, tiled});
  };
  const Tensor whole = decoded(false), bands = decoded(true);
  EXPECT_TRUE(std::ranges::equal(whole.floats(), bands.floats()));
}

// ---- Files

FileTensors renamed(const FileTensors& tensors, const std::function<std::string(const std::string&)>& name_of) {
  FileTensors out;
  for (const FileTensor& tensor : tensors)
    if (const std::string name = name_of(tensor.name); !name.empty())
      out.push_back({name, tensor.shape, tensor.values});
  return out;
}

// As TAESD's own files have it: the decoder's first layer is its bound.
std::string raw_name(const std::string& name, const std::string& half) {
  const std::string prefix = half + ".layers.";
  if (!name.starts_with(prefix)) return "";
  const std::string rest = name.substr(prefix.size());
  const size_t dot = rest.find('.');
  return std::to_string(std::stoi(rest.substr(0, dot)) + (half == "decoder")) + rest.substr(dot);
}

class TaesdFiles : public testing::Test {
 protected:
  fs::path write(const std::string& name, const FileTensors& tensors) const {
    fs::create_directories((folder_ / name).parent_path());
    write_tensors(folder_ / name, tensors);
    return folder_ / name;
  }
  FileTensors half(const std::string& which, const std::string& prefix = "") const {
    return renamed(tensors_, [&](const std::string& name) {
      const std::string raw = raw_name(name, which);
      return raw.empty() ? raw : prefix + raw;
    });
  }
  // Whether the file has these halves with the formula's numbers.
  void expect_taesd(const fs::path& path, bool with_encoder) const {
    const VaeFile vae = open_vae(path);
    ASSERT_TRUE(vae.config.tiny) << path;
    EXPECT_EQ(vae.config.has_encoder(), with_encoder) << path;
    VaeConfig right = config_of(kTinyWidth);
    if (!with_encoder) right.tiny->encoder.clear();
    EXPECT_EQ(vae.config, right) << path;
    const std::vector<WeightSpec> specs = specs_of(vae.config);
    const Weights weights = vae.weights(specs);
    for (const WeightSpec& spec : specs)
      EXPECT_TRUE(std::ranges::equal(weights.read(spec.name).floats(), formula_values(spec.name, spec.shape)))
          << path << " " << spec.name;
  }
  static std::string error_of(const fs::path& path) {
    try {
      open_vae(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "opened";
  }

  const FileTensors tensors_ = tensors_of(config_of(kTinyWidth));
  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(TaesdFiles, of_every_form_are_one_vae) {
  expect_taesd(write("both.safetensors", tensors_), true);
  expect_taesd(write("prefixed.safetensors", prefixed(tensors_, "vae.")), true);
  FileTensors comfy = half("decoder", "taesd_decoder.");
  std::ranges::move(half("encoder", "taesd_encoder."), std::back_inserter(comfy));
  expect_taesd(write("comfy.safetensors", comfy), true);
  expect_taesd(write("alone/taesd_decoder.safetensors", half("decoder")), false);
  write("pair/taesd_encoder.safetensors", half("encoder"));
  expect_taesd(write("pair/taesd_decoder.safetensors", half("decoder")), true);
  expect_taesd(kFixtures / "taesd/taesd_decoder.safetensors", true);
  write("folder/diffusion_pytorch_model.safetensors", tensors_);
  write_text(folder_ / "folder/config.json", json_text(vae_json(config_of(kTinyWidth))));
  expect_taesd(folder_ / "folder", true);
}

TEST_F(TaesdFiles, that_torch_saved_are_read_too) {
  write_torch_tensors(folder_ / "taesd_decoder.pth", half("decoder"));
  expect_taesd(folder_ / "taesd_decoder.pth", false);
}

TEST_F(TaesdFiles, without_what_is_needed_name_the_way_out) {
  EXPECT_THAT(error_of(write("taesd_encoder.safetensors", half("encoder"))),
              AllOf(HasSubstr("taesd_encoder.safetensors: TAESD's encoder alone"), HasSubstr("taesd_decoder")));
  VaeConfig wide = config_of(8);
  write("foreign/taesd_encoder.safetensors",
        renamed(tensors_of(wide), [](const std::string& name) { return raw_name(name, "encoder"); }));
  EXPECT_THAT(error_of(write("foreign/taesd_decoder.safetensors", half("decoder"))),
              AllOf(HasSubstr("foreign/taesd_encoder.safetensors"), HasSubstr("no encoder for it")));
  EXPECT_THAT(error_of(write("other.safetensors", {{"a", {1}, {1}}})), HasSubstr("other.safetensors holds no vae"));
  FileTensors torn = half("decoder");
  torn.erase(torn.begin() + 7);
  EXPECT_THAT(opening_error(kDemo, {{"vae", write("torn/taesd_decoder.safetensors", torn)}}),
              HasSubstr("torn/taesd_decoder.safetensors"));
  VaeConfig deep = config_of(kTinyWidth);
  deep.latent = 16;
  EXPECT_THAT(opening_error(kDemo, {{"vae", write("taef1.safetensors", tensors_of(deep))}}),
              HasSubstr("the VAE has 16 latent channels"));
}

TEST_F(TaesdFiles, of_another_family_by_name_are_warned_of) {
  EXPECT_THAT(taesd_name_warning("a/taesdxl_decoder.safetensors", false), HasSubstr("TAESD fits"));
  EXPECT_THAT(taesd_name_warning("a/taesd_decoder.safetensors", true), HasSubstr("TAESDXL fits"));
  EXPECT_THAT(taesd_name_warning("taesdxl/diffusion_pytorch_model.safetensors", false), HasSubstr("TAESD fits"));
  EXPECT_THAT(taesd_name_warning("a/taesd_decoder.safetensors", false), IsEmpty());
  EXPECT_THAT(taesd_name_warning("a/TAESDXL_decoder.pth", true), IsEmpty());
  EXPECT_THAT(taesd_name_warning("a/small.safetensors", true), IsEmpty());
  EXPECT_THAT(Pipeline::open(kDemo, {{"vae", write("taesdxl_decoder.safetensors", half("decoder"))}}).notes,
              testing::Contains(HasSubstr("taesdxl_decoder.safetensors is TAESDXL by its name")));
}

TEST_F(TaesdFiles, in_a_models_folder_are_its_vae_and_tell_no_other_scaling) {
  fs::copy(kDemo, folder_ / "model", fs::copy_options::recursive);
  const fs::path vae = folder_ / "model/vae";
  fs::remove_all(vae);
  fs::create_directories(vae);
  write("model/vae/diffusion_pytorch_model.safetensors", tensors_);
  write_text(vae / "config.json", json_text(vae_json(config_of(kTinyWidth))));
  const Pipeline model = Pipeline::open(folder_ / "model");
  EXPECT_TRUE(model.vae_config.tiny);
  EXPECT_EQ(model.component("vae").kind, "AutoencoderTiny");
  EXPECT_EQ(drawn(folder_ / "model").rgb,
            drawn(kDemo, "", {{"vae", kFixtures / "taesd/taesd_decoder.safetensors"}}).rgb);
  VaeConfig large;
  large.channels = {32, 32, 64, 64};
  large.blocks = 1;
  const fs::path file = write(
      "large.safetensors", random_weights({vae_decoder_graph(large, 1, 1, 1), vae_encoder_graph(large, 1, 8, 8)}, 1));
  EXPECT_EQ(Pipeline::open(folder_ / "model", {{"vae", file}}).vae_config, large);
}

// ---- Pictures

std::unique_ptr<Engine> engine_of(Pipeline model, size_t budget = 0) {
  EngineOptions options;
  options.precision = Precision::kFp32;
  options.memory_budget = budget;
  return std::make_unique<Engine>(std::move(model), options);
}

GivenFile picture() {
  Image image{64, 64, {}};
  for (int i = 0; i < 3 * 64 * 64; ++i) image.rgb.push_back(static_cast<uint8_t>(i * 7 % 251));
  const std::vector<std::byte> png = encode_png(image);
  return given_file({reinterpret_cast<const char*>(png.data()), png.size()}, "picture");
}

ImageRequest request_with_picture() {
  ImageRequest request;
  request.prompt = "a fox";
  request.seed = 3;
  request.steps = 4;
  request.scheduler = "euler";
  request.image = picture();
  request.strength = 0.5f;
  request.width = request.height = 64;
  return request;
}

// As diffusers: the encoder's latent itself, with the first numbers of the seed as noise.
TEST(Taesd, begins_with_a_picture_and_draws_nothing_for_it) {
  const auto engine = engine_of(Pipeline::open(kDemo, {{"vae", kFixtures / "taesd/taesd_decoder.safetensors"}}));
  const Job job = engine->start(engine->resolve(request_with_picture()));
  const VaeConfig config = config_of(kTinyWidth);
  std::vector<Tensor> pixels;
  pixels.emplace_back(Shape{1, 3, 64, 64});
  const Image image = read_picture(picture().bytes, "picture").image;
  for (size_t i = 0; i < 64 * 64; ++i)
    for (size_t c = 0; c < 3; ++c)
      pixels[0].floats()[c * 64 * 64 + i] = static_cast<float>(image.rgb[3 * i + c]) / 127.5f - 1;
  const auto backend = open_backend("reference");
  const Tensor latent = run_once(*backend, vae_encoder_graph(config, 1, 64, 64), weights_of_config(config), pixels, {});
  ASSERT_EQ(latent.shape(), job.latent.shape());
  Tensor noise(latent.shape());
  NoiseGenerator(3).fill(noise.floats());
  const NoiseLevel level = job.request.scheduler->noise_level(job.request.first_call);
  for (size_t i = 0; i < latent.floats().size(); ++i)
    EXPECT_NEAR(job.latent.floats()[i], level.image * latent.floats()[i] + level.noise * noise.floats()[i], 1e-4);
}

TEST_F(TaesdFiles, with_a_decoder_alone_begin_with_no_picture_and_say_the_way_out) {
  Engine engine(Pipeline::open(kDemo, {{"vae", write("alone/taesd_decoder.safetensors", half("decoder"))}}), {});
  try {
    engine.resolve(request_with_picture());
    ADD_FAILURE() << "resolved";
  } catch (const RequestError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("image"), HasSubstr("encoder beside its decoder")));
  }
}

// ---- Previews

Pipeline with_previews() {
  Pipeline model = Pipeline::open(kDemo);
  add_preview_vae(model, kFixtures / "taesd/taesd_decoder.safetensors");
  return model;
}

ImageRequest request() {
  ImageRequest request;
  request.prompt = "a fox";
  request.seed = 3;
  request.steps = 4;
  request.width = request.height = 64;
  return request;
}

TEST(Previews, are_decoded_estimates_and_change_no_image) {
  const auto plain = engine_of(Pipeline::open(kDemo)), watched = engine_of(with_previews()),
             small = engine_of(Pipeline::open(kDemo, {{"vae", kFixtures / "taesd/taesd_decoder.safetensors"}}));
  // TAESD's scale is 8, the demo's 4: the latents are of one size where the images are not.
  ImageRequest larger = request();
  larger.width = larger.height = 128;
  Job job = watched->start(watched->resolve(request())), other = small->start(small->resolve(larger));
  while (!job.done()) {
    watched->step(job);
    small->step(other);
    const std::optional<Image> preview = watched->preview(job);
    ASSERT_TRUE(preview);
    if (!job.done()) {
      EXPECT_EQ(preview->rgb, small->decode(other).rgb) << job.call;
    }
  }
  EXPECT_EQ(watched->finish(job).rgb, generate(*plain, plain->resolve(request())).image.rgb);
  EXPECT_FALSE(plain->preview(job));
}

TEST(Previews, are_in_the_plan_together_with_the_step) {
  const auto plain = engine_of(Pipeline::open(kDemo)), watched = engine_of(with_previews());
  const EnginePlan without = plain->plan(plain->resolve(request())), with = watched->plan(watched->resolve(request()));
  EXPECT_EQ(without.use(kPreviewVae).total(), 0u);
  EXPECT_GT(with.use(kPreviewVae).total(), 0u);
  // Work memory is shared.
  const MemoryUse use = with.use(kPreviewVae);
  EXPECT_GE(peak_of(with) - with.program_bytes, peak_of(without) - without.program_bytes + use.weights + use.mapped);
  EXPECT_LE(peak_of(with) - with.program_bytes, peak_of(without) - without.program_bytes + use.total());
  EnginePlan turns = with;
  turns.components_in_turn = true;
  EnginePlan turns_without = without;
  turns_without.components_in_turn = true;
  EXPECT_GE(peak_of(turns) - turns.program_bytes, peak_of(turns_without) - turns_without.program_bytes);
  EXPECT_EQ(turn_of(kPreviewVae), "unet");
}

TEST(Previews, are_not_decoded_by_a_large_vae_or_of_other_latents) {
  Pipeline model = Pipeline::open(kDemo);
  EXPECT_THROW(add_preview_vae(model, kDemo / "vae"), Error);
  EXPECT_FALSE(model.preview_vae);
}

}  // namespace
}  // namespace inkstone
