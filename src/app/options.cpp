#include "app/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <type_traits>

#include "app/number.h"
#include "backend/backend.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/given_file.h"
#include "base/random.h"
#include "base/spelling.h"
#include "diffusion/few_step.h"
#include "diffusion/job_prompts.h"
#include "diffusion/scheduler.h"

namespace inkstone {
namespace {

constexpr unsigned kG = bit(Command::kGenerate), kI = bit(Command::kInfo), kB = bit(Command::kBench),
                   kE = bit(Command::kExport), kD = bit(Command::kDevices), kW = bit(Command::kWorker),
                   kS = bit(Command::kServe), kP = bit(Command::kPull), kC = bit(Command::kConvert),
                   kU = bit(Command::kUpscale);
constexpr double kMaxThreads = 1024;
// Less is a slip: 2 for 2GiB. No model runs in it.
constexpr double kLeastBudget = 1 << 20;

std::vector<std::string> precisions() { return {"auto", "fp32", "bf16", "fp16", "mixed"}; }
std::vector<std::string> export_precisions() { return {"fp16", "mixed", "fp32"}; }
std::vector<std::string> timestep_types() { return {"fp32", "int32"}; }
std::vector<std::string> compile_choices() { return {"auto", "never", "require"}; }
std::vector<std::string> host_choices() { return {"x86_64", "aarch64"}; }
std::vector<std::string> batching_choices() { return {"step", "static", "off"}; }
std::vector<std::string> weight_variants() { return {"auto", "fp16", "bf16", "non_ema", "none"}; }
std::vector<std::string> stored_types() { return {"f16", "bf16", "f32", "fp16", "fp32"}; }
std::vector<std::string> log_formats() { return {"text", "json"}; }
std::vector<std::string> log_levels() { return {"debug", "info", "warn", "error"}; }
std::vector<std::string> on_or_off() { return {"on", "off"}; }
std::vector<std::string> preview_choices() { return {"auto", "kitty", "iterm2", "sixel", "blocks"}; }
std::vector<std::string> switches() { return {"auto", "on", "off"}; }

// clang-format off
const Setting kSettings[] = {
    {"size", "", "Image", "WxH", "width and height in one: 768x512, or 512 for a square; --width and --height are nearer", kG | kI | kB, &Options::size},
    {"prompts", "from-file", "Image", "FILE", "instead of PROMPT: a prompt a line, an image each, with the seeds seed, seed+1, ...;\n- reads standard input", kG, &Options::prompts},
    {"count", "batch-count b n-iter n-samples num-images-per-prompt batch-size", "Image", "N", "images, with the seeds seed, seed+1, ... each as if drawn alone [1]", kG, &Options::count, 1, 1e6},
    {"out", "output o outdir", "Image", "FILE.png", "where to write [a name from prompt and seed]: .png, .jpg or .webp; a folder: such a name\nin it (FOLDER/ is made); -: standard output. A file that is there is replaced.\nWith several images, the seed is added: FILE-SEED.png", kG, &Options::out},
    {"no-clobber", "", "Image", "", "a file that is there is not replaced", kG, &Options::no_clobber},
    {"preview", "", "Image", "[HOW]", "previews in the terminal while an image is made: kitty, iterm2, sixel, blocks (any\nterminal with 24-bit colours) or auto; in full with --preview-vae\n[auto, by TERM and TERM_PROGRAM]", kG, &Options::preview, 0, 0, preview_choices, true, "auto"},

    {"images", "input", "Image", "FILE", "what is made larger: PNG, JPEG or WebP files", kU, &Options::images},
    {"upscaler", "", "Image", "FILE|NAME", "the network: a file with an ESRGAN (.safetensors, .pth), such as RealESRGAN_x4plus; or\nwithout a network lanczos, bicubic, bilinear or box [lanczos]", kU, &Options::upscaler},
    {"scale", "factor resize", "Image", "X", "how much larger, also 1.5 or 0.5: what the network does not make is resampled (Lanczos)\n[the network's own factor; 2 without one]", kU, &Options::scale, 0.01, 64},
    {"out", "output o outdir", "Image", "FILE|DIR", "where to write: .png, .jpg or .webp; a folder (FOLDER/ is made): IN-x4.png in it;\n-: standard output [IN-x4.png here]. A file that is there is replaced", kU, &Options::out},
    {"no-clobber", "", "Image", "", "a file that is there is not replaced", kU, &Options::no_clobber},

    {"model", "m input", "Conversion", "FILE|DIR", "what is converted: a single file (.safetensors, .ckpt, .pt, .bin), a folder in diffusers'\nlayout or of one network, or the ORG/NAME of a model that inkstone pull has brought", kC, &Options::model},
    {"out", "output o", "Conversion", "FILE|DIR", "FILE.safetensors: a single file; else a folder in diffusers' layout, which must not be\nthere. Of a file, .safetensors keeps its names and all its tensors. A file that is\nthere is replaced", kC, &Options::out},
    {"no-clobber", "", "Conversion", "", "a file that is there is not replaced", kC, &Options::no_clobber},
    {"dtype", "type", "Conversion", "TYPE", "in which all weights are written: f16, bf16 or f32 [as they are; fp8 as f16]", kC, &Options::dtype, 0, 0, stored_types},
    {"variant", "", "Conversion", "NAME", "which of a folder's weights are read: fp16, bf16, non_ema, or none (the full ones)\n[none where they are there, else those that are]", kC, &Options::variant, 0, 0, weight_variants},

    {"model", "m", "Model and machine", "FILE|DIR|HUB-ID", "a single file of SD 1.x, 2.x or SDXL (.safetensors, .ckpt), a folder in diffusers' layout,\nor the ORG/NAME of one that inkstone pull has brought [the demo model]", kG | kI | kB | kE | kW | kS, &Options::model},
    {"models", "ckpt-dir", "Model and machine", "DIR", "every model in this folder (single files, and folders in diffusers' layout), by name;\na request says which; --model names the one for those that say none [the first by name].\n--vae, --unet, --text-encoder and --lora change the one of --model alone", kW | kS, &Options::models},
    {"model", "m", "Model", "MODEL", "a model on the Hugging Face hub: ORG/NAME, or ORG/NAME@REVISION for a branch, tag or\ncommit [main]", kP, &Options::model},
    {"vae", "vae-path", "Model and machine", "FILE|DIR", "a VAE in place of the model's own: a file with nothing else, or with a whole model, or a\nfolder with its config.json; or a tiny one (TAESD; TAESDXL for SDXL)", kG | kI | kB | kE | kW | kS | kC, &Options::vae},
    {"preview-vae", "taesd", "Model and machine", "FILE|DIR", "a tiny VAE (TAESD; TAESDXL for SDXL) that decodes previews of unfinished images, 16\nto 19 times quicker than SD 1.5's VAE [their linear colours, small and coarse]", kG | kI | kW | kS, &Options::preview_vae},
    {"unet", "diffusion-model", "Model and machine", "FILE|DIR", "a U-Net in place of the model's own", kG | kI | kB | kE | kW | kS | kC, &Options::unet},
    {"text-encoder", "clip-l", "Model and machine", "FILE|DIR", "a text encoder in place of the model's own", kG | kI | kB | kE | kW | kS | kC, &Options::text_encoder},
    {"text-encoder-2", "clip-g", "Model and machine", "FILE|DIR", "the same of SDXL's second text encoder", kG | kI | kB | kE | kW | kS | kC, &Options::text_encoder_2},
    {"prediction", "prediction-type", "Model and machine", "TYPE", "what the U-Net predicts, if the model's files do not say it, or wrongly: epsilon,\nv_prediction or sample", kG | kI | kB | kE | kW | kS | kC, &Options::prediction, 0, 0, prediction_names},
    {"zero-snr", "", "Model and machine", "WHEN", "whether the noise schedule ends without any signal (zero terminal SNR), if the model's\nfiles do not say it: on or off", kG | kI | kB | kE | kW | kS | kC, &Options::zero_snr, 0, 0, on_or_off},
    {"few-step", "", "Model and machine", "KIND", "what the model was distilled to, where its name does not tell it: sdxl-turbo, sd-turbo,\nlightning:N, hyper:N (of N steps), tcd or lcm; none: its name is wrong. It sets the\ndefaults of steps, guidance and scheduler", kG | kI | kB | kE | kW | kS | kC, &Options::few_step, 0, 0, few_step_choices},
    {"refiner", "", "Model and machine", "FILE|DIR|HUB-ID", "SDXL's refiner, which finishes what the model began; the model is SDXL's base or one made\nof it", kG | kI | kW | kS, &Options::refiner},
    {"refiner-start", "refiner-switch-at denoising-start", "Model and machine", "FRACTION", "the part of the noise schedule after which the refiner goes on, 0 to 1 [0.8]", kG | kI | kS, &Options::refiner_start, 0, 1},
    {"variant", "", "Model", "NAME", "which form of the weights: fp16, bf16 (half the size), non_ema (not averaged over the\ntraining), none (the full one) or auto\n[auto: what is here already, else fp16 where the model has it, else the full one]", kP, &Options::variant, 0, 0, weight_variants},
    {"lora", "adapter", "Model and machine", "FILE[:M[:UNET]]", "a LoRA or the like (.safetensors) that changes the model, with strength M [1], or M in the\ntext encoders and UNET in the U-Net; several times for several, applied in that order", kG | kI | kB | kE | kW | kS, &Options::loras},
    {"lora-dir", "", "Model and machine", "DIR", "where the files are that <lora:NAME:M> in a prompt means: NAME.safetensors there\n[tags in a prompt are plain text]", kG | kS, &Options::lora_dir},
    {"embedding", "textual-inversion", "Model and machine", "FILE", "a textual inversion (.safetensors, .pt, .bin), which a prompt names by the file's name;\nseveral times for several", kG | kI | kB | kE | kW | kS, &Options::embeddings},
    {"embedding-dir", "embeddings-dir textual-inversion-dir", "Model and machine", "DIR", "all textual inversions there and below; those of other models are skipped", kG | kI | kB | kE | kW | kS, &Options::embedding_dir},
    {"control", "controlnet", "Model and machine", "FILE:HINT[:SCALE[:START:END]]", "a ControlNet or T2I-Adapter (.safetensors or a folder) and the hint that it draws after:\nan edge map, a depth map, a pose (not a photo: nothing is made of one here). SCALE of\nwhat it adds [1], START and END of the steps in which it runs, 0 to 1 [all]; several\ntimes for several", kG, &Options::controls},
    {"control", "controlnet", "Model and machine", "FILE", "a ControlNet or T2I-Adapter that images are drawn with; several times for several", kI | kE | kW | kS, &Options::controls},
    {"upscaler", "", "Model and machine", "FILE", "an ESRGAN (.safetensors, .pth) that requests may name by the file's name without ending,\nfor a hires fix and for enlarging pictures; several times for several", kW | kS, &Options::upscalers},
    {"device", "", "Model and machine", "NAME", "cpu, reference (plain loops, slow), or npu:N (an Ascend card; needs --compiled) [cpu]", kG | kI | kB | kW | kU, &Options::device, 0, 0, known_devices},
    {"precision", "", "Model and machine", "NAME", "auto, fp32 or bf16; of compiled files theirs: fp16, mixed or fp32\n[auto: bf16 where the machine is faster in it]", kG | kI | kB | kW | kS, &Options::precision, 0, 0, precisions},
    {"precision", "", "Model and machine", "NAME", "fp32, or bf16, which takes half the memory and rounds more; of compiled files theirs\n[fp32]", kU, &Options::precision, 0, 0, precisions},
    {"compiled", "", "Model and machine", "DIR", "what inkstone export wrote of this model, for devices whose programs are\ncompiled ahead (npu)", kG | kI | kB | kW | kS | kU, &Options::compiled},
    {"threads", "t", "Model and machine", "N", "[all cores that this process may use, which is also the most]", kG | kB | kE | kW | kS | kC | kU, &Options::threads, 1, kMaxThreads},
    {"memory-budget", "", "Model and machine", "SIZE", "the most memory to use: 2GiB, 800MiB, 2GB, plain bytes ... [what is free]", kG | kI | kB | kW | kS | kU, &Options::memory_budget, kLeastBudget},
    {"vae-tiling", "", "Model and machine", "WHEN", "decode the image in bands: less memory, the same image;\nauto, on or off [auto: where the budget asks for it]", kG | kI | kB | kW | kS, &Options::vae_tiling, 0, 0, switches},
    {"attention-slicing", "", "Model and machine", "WHEN", "one attention head at a time: less memory, slower;\nauto, on or off [auto: where the budget asks for it]", kG | kI | kB | kW | kS, &Options::attention_slicing, 0, 0, switches},

    {"device", "", "Model and machine", "LIST", "cpu, or Ascend cards (which need --compiled): npu:0,1 or npu:all [cpu]", kS, &Options::devices},
    {"workers", "", "Model and machine", "N", "worker processes for each device [1]", kS, &Options::workers, 1, 64},

    {"host", "", "Address", "ADDRESS", "where to listen; 0.0.0.0: other machines too; then with --api-key-file [127.0.0.1]", kS, &Options::host},
    {"port", "p", "Address", "N", "0: one that is free, which is printed [8080]", kS, &Options::port, 0, 65535},
    {"api-key-file", "", "Address", "FILE", "lines NAME:KEY, for Authorization: Bearer KEY or NAME and KEY as HTTP Basic\n[no keys: anyone may use it]", kS, &Options::key_file},
    {"host-names", "", "Address", "LIST", "names of this server that a Host header may say besides loopback's and --host", kS, &Options::host_names},
    {"trusted-proxies", "", "Address", "LIST", "proxies whose X-Forwarded-For, -Proto, -Host and -Prefix, or Forwarded, are believed:\naddresses, networks (10.0.0.0/8), loopback, private [none]", kS, &Options::trusted_proxies},
    {"root-path", "", "Address", "PATH", "the path below which a proxy shows this server, such as /inkstone; links begin with it", kS, &Options::root_path},
    {"origins", "", "Address", "LIST", "sites whose pages may send requests from a browser, besides the server's own:\nhttps://example.org", kS, &Options::origins},

    {"model-alias", "", "Address", "LIST", "other names of the model for OpenAI's clients: gpt-image-1,dall-e-3", kS, &Options::model_alias},

    {"batching", "", "Batching", "HOW", "step: images join and leave at every step; static: a batch is filled when it starts;\noff: one image at a time [step]", kS, &Options::batching, 0, 0, batching_choices},
    {"max-batch", "", "Batching", "N", "images in one step, at most; fewer where more do not pay, or the memory is small [8]", kS, &Options::max_batch, 1, 64},
    {"max-queue", "", "Batching", "N", "images queued or running, 2000 at most; more are refused at once [256]", kS, &Options::max_queue, 1, 100000},
    {"max-wait", "", "Batching", "SECONDS", "requests that would wait longer for the work of others are refused at once [600]", kS, &Options::max_wait, 1, 1e6},

    {"jobs", "", "Capacity", "N", "images in one step, at most; fewer where the memory is small [8]", kW, &Options::jobs, 1, 64},
    {"max-side", "", "Capacity", "PIXELS", "longest side of an image [2048]", kW | kS, &Options::max_side, 1, kMaxImageSide},
    {"max-pixels", "", "Capacity", "N", "width times height of an image: what the memory is planned for [1048576]", kW | kS, &Options::max_pixels, 1, double{kMaxImageSide} * kMaxImageSide},
    {"max-steps", "", "Capacity", "N", "denoising steps of an image [200]", kS, &Options::max_steps, 1, kMaxImageSteps},
    {"max-prompt-chunks", "", "Capacity", "N", "chunks of 75 tokens in a prompt; the memory is planned for it [3]", kW | kS, &Options::max_prompt_chunks, 1, kMaxPromptChunks},
    {"max-images", "", "Capacity", "N", "images of one order [16]", kS, &Options::max_images, 1, 1000},
    {"max-per-client", "", "Capacity", "N", "images of one client queued or running [64]", kS, &Options::max_per_client, 1, 100000},
    {"max-connections", "", "Capacity", "N", "simultaneous connections [2048]", kS, &Options::max_connections, 1, 100000},
    {"max-body", "", "Capacity", "SIZE", "body of a request [1MiB]", kS, &Options::max_body},
    {"max-image-body", "", "Capacity", "SIZE", "body of a request that may hold pictures [32MiB]", kS, &Options::max_image_body},
    {"keep", "", "Capacity", "SECONDS", "how long a finished image is kept [600]", kS, &Options::keep, 1, 1e6},
    {"keep-bytes", "", "Capacity", "SIZE", "total size of finished images kept; the oldest go first [256MiB]", kS, &Options::keep_bytes},

    {"grace", "", "Operation", "SECONDS", "time for running requests to end after SIGTERM [60]", kS, &Options::grace, 0, 1e6},
    {"watchdog", "", "Operation", "X", "a worker that takes X times as long as predicted is replaced [8]", kS, &Options::watchdog, 2, 1000},
    {"watchdog-min", "", "Operation", "SECONDS", "least time before a worker is replaced [20]", kS, &Options::watchdog_min, 0.1, 1e5},
    {"log-format", "", "Operation", "NAME", "text or json, a line an event, on standard error [text]", kS | kW, &Options::log_format, 0, 0, log_formats},
    {"log-level", "", "Operation", "NAME", "the least that is logged: debug, info, warn or error [info; with --verbose debug]", kS, &Options::log_level, 0, 0, log_levels},
    {"log-prompts", "", "Operation", "", "log prompts too", kS, &Options::log_prompts},

    {"steps", "num-inference-steps", "Measurement", "N", "guided denoising steps of each image, all timed [2]", kB, &Options::timed_steps, 1, kMaxImageSteps},
    {"repeat", "", "Measurement", "N", "images to draw; of all runs of a stage the median and the least are reported [1]", kB, &Options::repeat, 1, 1000},
    {"compare", "", "Measurement", "FILE.json", "an earlier result of --out or --json: adds ratios now / before", kB, &Options::compare},
    {"out", "output o", "Measurement", "FILE.json", "write the result as JSON into this file", kB, &Options::out},
    {"trace", "", "Measurement", "FILE.json", "write every stage and call with its time, for chrome://tracing or ui.perfetto.dev", kB, &Options::trace},

    {"out", "output o outdir", "Export", "DIR", "the folder to write into: a new or empty one, or an earlier export of this model", kE, &Options::out},
    {"upscaler", "", "Export", "FILE", "instead of a model: an upscaler (an ESRGAN), for images of --sizes", kE, &Options::upscaler},
    {"soc", "", "Export", "NAME", "the chip, as npu-smi names it after \"Ascend\": Ascend910B4, Ascend310P3; auto: the\none in this machine; the ONNX files are the same for all", kE, &Options::soc},
    {"sizes", "", "Export", "LIST", "images' sizes: 512,768x512 (one number: a square; else WIDTHxHEIGHT)\n[the model's own]", kE, &Options::sizes},
    {"batch", "", "Export", "LIST", "images at once: 1,2,4,8 [1]", kE, &Options::batch},
    {"max-prompt-chunks", "", "Export", "N", "steps for prompts of up to N chunks of 75 tokens, a file for each number of chunks; longer\nprompts are refused when an image is drawn [1]", kE, &Options::max_prompt_chunks, 1, kMaxPromptChunks},
    {"gears", "", "Export", "", "one file for all batches of a size, its rows left open, instead of one for each", kE, &Options::gears},
    {"precision", "", "Export", "NAME", "fp16: U-Net and text encoder are stored and computed in fp16, the time embedding in\nfp32; the VAE is stored in fp32, and ATC makes fp16 of it but for its norms\nmixed: fp32 files, of which ATC computes products in fp16; fp32: all in fp32 [fp16]", kE, &Options::precision, 0, 0, export_precisions},
    {"attention-slicing", "", "Export", "N", "N attention heads at a time: less memory, slower [all]", kE, &Options::attention_heads, 1, 1024},
    {"vae-tile", "", "Export", "N", "besides the VAE decoder, one that works in bands of N latent rows: the same image,\nless memory, slower", kE, &Options::vae_tile, 1, 8192},
    {"encoder", "", "Export", "", "the VAE's encoder too", kE, &Options::encoder},
    {"timestep", "", "Export", "TYPE", "of unet_time's input: fp32, or int32 for schedulers whose timesteps are whole (those over\nsigmas have fractions, such as euler: 266.4) [fp32]", kE, &Options::timestep, 0, 0, timestep_types},
    {"calibration", "", "Export", "FILE", "a text file, a prompt a line: their images are computed here, and what goes into the\nU-Net and the VAE is written for AMCT, which makes INT8 models", kE, &Options::calibration},
    {"opset", "", "Export", "N", "of ONNX, 14 to 17 [17: LayerNormalization is one node]", kE, &Options::opset, 14, 17},
    {"compile", "", "Export", "WHEN", "call ATC for each file: auto (where there is no ATC, compile.sh is written, to run where\nthere is one), never, require [auto where --soc is given, else never]", kE, &Options::compile, 0, 0, compile_choices},
    {"host-cpu", "", "Export", "NAME", "where the files will run, if not on a processor like this one's: x86_64 or aarch64", kE, &Options::host_cpu, 0, 0, host_choices},

    {"watch", "", "Output and files", "[SECONDS]", "show it again and again until Ctrl-C, each 0.1 to 86400 seconds [2]", kD, &Options::watch, 0.1, 86400, nullptr, true, "2"},
    {"config", "", "Output and files", "FILE.toml", "read settings from a file: keys are the names of these flags, without --;\na flag here is nearer than the file, the file nearer than the model", kG | kS, &Options::config, 0, 0, nullptr, false},
    {"json", "", "Output and files", "", "print the result as one JSON object on standard output", kG | kP | kI | kB | kE | kD | kC | kU, &Options::json},
    {"quiet", "q", "Output and files", "", "no progress and no report, errors alone", kG | kP | kB | kE | kS | kC | kU, &Options::quiet},
    {"verbose", "v", "Output and files", "", "more on what is done; errors say where in our source they arose", kG | kP | kI | kB | kE | kD | kW | kS | kC | kU, &Options::verbose},
};
// clang-format on

// What the settings of one group are, of the request's fields.
void add_request_settings(std::vector<Setting>& settings, std::string_view group) {
  for (const RequestField& field : request_fields()) {
    if (field.group != group) continue;
    const unsigned commands = field.planned ? kG | kI | kB : kG;
    settings.push_back({field.flag, field.aliases, field.group, field.value,
                        std::string(field.about) + field.on_command_line, commands, &field});
  }
}

std::vector<Setting> all_settings() {
  std::vector<Setting> all;
  add_request_settings(all, "Image");
  add_request_settings(all, kFromPicture);
  add_request_settings(all, "Hires fix");
  for (const Setting& setting : kSettings) {
    if (setting.name == std::string_view("model") && (setting.commands & kG))
      add_request_settings(all, "Approximations");
    all.push_back(setting);
  }
  return all;
}

// "npu:N" stands for npu:0, npu:1, ... and npu.
bool is_choice(std::string_view choice, std::string_view text) {
  if (!choice.ends_with(":N")) return text == choice;
  const std::string_view name = choice.substr(0, choice.size() - 2);
  int number = 0;
  return text == name || (text.starts_with(name) && text.substr(name.size()).starts_with(":") &&
                          parse_number(text.substr(name.size() + 1), number) && number >= 0);
}

// "~" and "~/models" as a shell reads them. It does not where a value stands in quotes, after "=",
// or in a file.
std::string with_home(std::string_view path) {
  const std::optional<std::string> home = nonempty_environment(Variable::kHome);
  const bool of_home = path == "~" || path.starts_with("~/");
  return home && of_home ? *home + std::string(path.substr(1)) : std::string(path);
}

// As the APIs take them.
bool is_drawn_seed(std::string_view text) { return text == "-1" || text == "random"; }

// "768x512", or "512" for a square. Width and height that are set already stay.
void set_size(ImageRequest& request, std::string_view text, const std::string& subject) {
  const size_t cross = std::min(text.find_first_of("xX*"), text.size());
  ImageRequest size;
  const bool good = parse_number(text.substr(0, cross), size.width.emplace()) &&
                    parse_number(cross < text.size() ? text.substr(cross + 1) : text, size.height.emplace());
  INKSTONE_CHECK_USAGE(good, subject, ": must be WIDTHxHEIGHT, such as 768x512, or 512 for a square");
  for (auto member : {&ImageRequest::width, &ImageRequest::height}) try {
      check_field(request_field(member), size);
      if (!(request.*member)) request.*member = size.*member;
    } catch (const RequestError& error) {
      fail<UsageError>(INKSTONE_HERE, {subject, ": width and height must each be ", error.rule()});
    }
}

bool sets(const Setting& setting, const Member& member) { return setting.target == decltype(setting.target)(member); }
bool sets(const Setting& setting, const RequestMember& member) {
  const auto* field = std::get_if<const RequestField*>(&setting.target);
  return field && (*field)->member == member;
}

// A text becomes a value. What a number or a choice may be is checked here for the settings of the program, and by the
// table of fields for those of a request.
struct Assign {
  const Setting& setting;
  std::string_view text;
  const std::string& subject;

  bool of_request() const { return std::holds_alternative<const RequestField*>(setting.target); }
  bool names_path() const {
    const std::string_view value = setting.value;
    return value.starts_with("FILE") || value.starts_with("DIR");
  }
  std::string rule(const char* kind) const {
    if (of_request()) return allowed(*std::get<const RequestField*>(setting.target));
    return range_rule(kind, setting.least, setting.most);
  }

  void operator()(std::optional<std::string>& to) const {
    if (setting.choices) {
      const std::vector<std::string> choices = setting.choices();
      if (std::ranges::none_of(choices, [&](const std::string& choice) { return is_choice(choice, text); })) {
        const std::string meant = nearest(text, choices);
        fail<UsageError>(INKSTONE_HERE, {subject, ": must be one of ", listed(choices),
                                         meant.empty() ? "" : "; did you mean " + meant + "?"});
      }
    }
    to = names_path() ? with_home(text) : std::string(text);
  }
  void operator()(std::optional<std::vector<std::string>>& to) const {
    std::istringstream lines{std::string(text)};
    if (!to) to.emplace();
    for (std::string line; std::getline(lines, line);) to->push_back(names_path() ? with_home(line) : line);
  }
  template <typename T>
  void number(std::optional<T>& to, const char* kind) const {
    T value = 0;
    const bool good = parse_number(text, value) && std::isfinite(static_cast<double>(value)) &&
                      (of_request() || (value >= setting.least && value <= setting.most));
    INKSTONE_CHECK_USAGE(good, subject, ": must be ", rule(kind));
    to = value;
  }
  void operator()(std::optional<uint64_t>& to) const {
    if (is_drawn_seed(text)) {
      to = random_seed();
      return;
    }
    uint64_t value = 0;
    INKSTONE_CHECK_USAGE(parse_number(text, value), subject, ": must be ", rule(""), ", or -1: one is drawn");
    to = value;
  }
  void operator()(std::optional<int>& to) const { number(to, "a whole number"); }
  void operator()(std::optional<float>& to) const { number(to, "a number"); }
  void operator()(std::optional<Interval>& to) const {
    const size_t comma = std::min(text.find(','), text.size());
    Interval value;
    INKSTONE_CHECK_USAGE(comma < text.size() && parse_number(text.substr(0, comma), value.from) &&
                             parse_number(text.substr(comma + 1), value.to),
                         subject, ": must be ", rule(""));
    to = value;
  }
  void operator()(std::optional<ByteSize>& to) const {
    const ByteSize size = parse_byte_size(text, subject);
    const auto least = static_cast<uint64_t>(setting.least);
    if (size.bytes >= least) {
      to = size;
      return;
    }
    const std::string meant = larger_size(text);
    fail<UsageError>(INKSTONE_HERE,
                     {subject, ": ", byte_text(size.bytes), "; ",
                      meant.empty() ? "it must be at least " + byte_text(least) : "did you mean " + meant + "?"});
  }
  void operator()(std::optional<bool>& to) const { to = text == "true"; }
  void operator()(std::optional<std::vector<ControlUse>>&) const {
    fail(INKSTONE_HERE, {subject, ": --control is read with the model"});
  }
  void operator()(std::optional<GivenFile>& to) const { to = read_given_picture(with_home(text)); }
};

}  // namespace

std::array<ReplacedComponent, 4> replaced_components(const Options& options) {
  return {{{"unet", &options.unet},
           {"vae", &options.vae},
           {"text_encoder", &options.text_encoder},
           {"text_encoder_2", &options.text_encoder_2}}};
}

std::vector<std::string> model_changes(const Options& options) {
  std::vector<std::string> given;
  for (const char* flag : {"unet", "vae", "text-encoder", "text-encoder-2", "prediction", "zero-snr", "few-step",
                           "lora", "embedding", "control"})
    if (is_set(options, *find_setting(Command::kWorker, flag))) given.emplace_back(flag);
  return given;
}

void forget_model_change(Options& options, std::string_view flag) {
  visit_target(options, *find_setting(Command::kWorker, flag), [](auto& value) { value.reset(); });
}

std::span<const Setting> settings() {
  static const std::vector<Setting> all = all_settings();
  return all;
}

std::vector<std::string> aliases_of(const Setting& setting) {
  std::vector<std::string> words;
  const std::string_view text = setting.aliases;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

const Setting* find_setting(Command command, std::string_view name) {
  std::string word(name);
  std::ranges::replace(word, '_', '-');
  for (const Setting& setting : settings()) {
    if (!(setting.commands & bit(command))) continue;
    if (setting.name == word || std::ranges::count(aliases_of(setting), word)) return &setting;
  }
  return nullptr;
}

std::vector<std::string> setting_names(Command command, bool in_file) {
  std::vector<std::string> names;
  for (const Setting& setting : settings())
    if ((setting.commands & bit(command)) && (setting.in_file || !in_file)) names.push_back(setting.name);
  return names;
}

std::vector<std::string> known_names(Command command, bool in_file) {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    if (!(setting.commands & bit(command)) || (in_file && !setting.in_file)) continue;
    names.push_back(setting.name);
    for (std::string& alias : aliases_of(setting))
      if (alias.size() > 1) names.push_back(std::move(alias));
  }
  return names;
}

void assign(Options& options, const Setting& setting, std::string_view text, const std::string& subject) {
  if (sets(setting, &ImageRequest::hires) && text.size() > 1 && text.ends_with('x')) text.remove_suffix(1);
  visit_target(options, setting, Assign{setting, text, subject});
  if (sets(setting, &Options::size)) set_size(options.request, text, subject);
  if (sets(setting, &ImageRequest::seed)) options.seed_drawn = is_drawn_seed(text);
  if (const auto* field = std::get_if<const RequestField*>(&setting.target)) try {
      check_field(**field, options.request);
    } catch (const RequestError& error) {
      fail<UsageError>(INKSTONE_HERE, {subject, ": must be ", error.rule()});
    }
}

bool is_set(const Options& options, const Setting& setting) {
  return visit_target(options, setting, [](const auto& value) { return value.has_value(); });
}

}  // namespace inkstone
