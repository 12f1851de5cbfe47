#include "app/help.h"

#include <fmt/format.h>

namespace inkstone {
namespace {

constexpr size_t kNameColumn = 30;

std::string row(const std::string& name, std::string_view text) {
  std::string result = "  " + name;
  if (result.size() + 2 > kNameColumn) result += "\n" + std::string(kNameColumn, ' ');
  while (result.size() - (result.rfind('\n') + 1) < kNameColumn) result += ' ';
  for (char c : text) {
    result += c;
    if (c == '\n') result.append(kNameColumn, ' ');
  }
  return result + "\n";
}

std::string shown_name(const Setting& setting, Command command) {
  const std::string_view name = setting.name;
  if (name == "prompt") return "PROMPT";
  if (name == "karras") return "--karras, --no-karras";
  if (name == "images") return "IMAGE ..., --images IMAGE";
  if (name == positional_of(command)) return "MODEL, --model MODEL";
  std::string letters;
  for (const std::string& alias : aliases_of(setting))
    if (alias.size() == 1) letters += "-" + alias + ", ";
  return fmt::format("{}--{}{}{}", letters, name, *setting.value ? " " : "", setting.value);
}

// What other programs call the flags, which is taken too.
std::string alias_rows(Command command) {
  std::string result;
  for (const Setting& setting : settings()) {
    if (!(setting.commands & bit(command))) continue;
    std::string words;
    for (const std::string& alias : aliases_of(setting))
      if (alias.size() > 1 || setting.name == std::string_view("prompt"))
        words += fmt::format("{}{}{}", words.empty() ? "" : ", ", alias.size() > 1 ? "--" : "-", alias);
    if (setting.name == std::string_view("prompt")) words += ", --prompt";
    if (!words.empty()) result += row(shown_name(setting, command), words);
  }
  return result.empty() ? "" : "\nThe same by the names that other programs use:\n" + result;
}

std::string setting_rows(Command command) {
  std::string result, group;
  for (const Setting& setting : settings()) {
    if (!(setting.commands & bit(command))) continue;
    if (group != setting.group) result += fmt::format("\n{}:\n", group = setting.group);
    result += row(shown_name(setting, command), setting.help);
  }
  return result + row("-h, --help", "this text") + alias_rows(command);
}

constexpr const char* kGenerateHead = R"(Draws an image from a text.
Usage: inkstone generate PROMPT [flags]

Examples:
  inkstone generate "a fox on a teal background"
  inkstone generate "a red apple to the left of a bee" --seed 42 --steps 20 --out apple.png
  inkstone generate "a castle" --negative "blurry" --scheduler dpm++-2m --karras --count 4
  inkstone generate "a bee" --model stable-diffusion-v1-5/stable-diffusion-v1-5 --memory-budget 3GiB
  inkstone generate "a bee" --size 64 --out - | display
  echo "a bee" | inkstone generate - --json | jq -r '.images[].path'
)";

constexpr const char* kGenerateTail = R"(
Defaults are in brackets. Precedence: flag, --config file, the model's own files, default.
Width and height must be multiples of 8, or of what else inkstone info says of the model.
The file carries the image's parameters as AUTOMATIC1111 reads them.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
)";

constexpr const char* kUpscaleHead =
    R"(Makes images larger: with a network that was trained for it (an ESRGAN), or by resampling.
Usage: inkstone upscale IMAGE ... [flags]

Examples:
  inkstone upscale in.png --upscaler RealESRGAN_x4plus.safetensors --out big.png
  inkstone upscale in.jpg --upscaler RealESRGAN_x4plus.pth --scale 2 --out big.jpg
  inkstone upscale shots/*.png --upscaler 4x-UltraSharp.pth --memory-budget 2GiB --out large/
  inkstone upscale in.png --scale 1.5 --out larger.png
)";

constexpr const char* kUpscaleTail = R"(
Upscalers are the files that ESRGAN, BSRGAN and Real-ESRGAN publish, and what was trained from them; inkstone info FILE
says a file's factor. The whole image passes through the network, or bands of its rows where the memory is small: no
tiles, no seams, the same image. Transparency is kept in .png and .webp, resampled; PNG's texts, such as the parameters
of a generation, are kept in .png.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
)";

constexpr const char* kPullHead =
    R"(Downloads a model from the Hugging Face hub into its cache, where --model ORG/NAME finds it.
Only what Inkstone reads: configs, tokenizer, and one form of each network's weights, as safetensors.
Usage: inkstone pull ORG/NAME[@REVISION] [flags]

Examples:
  inkstone pull stable-diffusion-v1-5/stable-diffusion-v1-5
  inkstone pull stable-diffusion-v1-5/stable-diffusion-v1-5 --variant none
  HF_ENDPOINT=https://hf-mirror.com inkstone pull SimianLuo/LCM_Dreamshaper_v7@main
)";

constexpr const char* kPullTail = R"(
The cache is huggingface_hub's: $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub. HF_ENDPOINT names another hub.
A model that asks for an account needs a token in HF_TOKEN, or in the file HF_TOKEN_PATH or ~/.cache/huggingface/token.
Proxies are named as for curl: https_proxy, no_proxy.
What is interrupted goes on where it was when the same command is run again. Every file is compared with its checksum.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
)";

constexpr const char* kInfoHead =
    R"(Shows a model: its family, components, parameters, scheduler, and the memory that an image would take. Of a LoRA, an
embedding, an upscaler or a single network it says what it is, and which flag takes it.
It reads the files' headers only and takes a moment.
Usage: inkstone info [MODEL] [flags]

Examples:
  inkstone info
  inkstone info dreamshaper.safetensors --verbose
  inkstone info stable-diffusion-v1-5/stable-diffusion-v1-5 --width 768 --height 512 --memory-budget 2GiB
)";

constexpr const char* kConvertHead =
    R"(Writes a model in another form: a single file as a folder in diffusers' layout, a folder as a single file with the
names that galleries' files have, a pickle (.ckpt, .pt, .bin) as safetensors. Files are read as data, nothing is run.
Usage: inkstone convert FILE|DIR --out FILE.safetensors|DIR [flags]

Examples:
  inkstone convert dreamshaper.safetensors --out dreamshaper
  inkstone convert stable-diffusion-v1-5/stable-diffusion-v1-5 --out sd15.safetensors --dtype f16
  inkstone convert old.ckpt --out old.safetensors
  inkstone convert sd_xl_base.safetensors --vae vae-fp16-fix.safetensors --out sdxl-fixed.safetensors
)";

constexpr const char* kConvertTail = R"(
The result draws the same image as its source, unless --dtype rounds the weights. Tensors that no network of the model
has, such as averages of the training (EMA), are left out where names change. Values that f16 cannot hold are refused by
name. What is written has another name until it is whole.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
)";

constexpr const char* kBenchHead =
    R"(Measures this machine: text encoder, guided denoising steps and VAE, stage by stage and op by op, each with its
seconds, floating point operations, share of the machine's own peak, bytes moved and peak memory.
Usage: inkstone bench [flags]

Examples:
  inkstone bench
  inkstone bench --model DIR --width 512 --height 512 --steps 4 --repeat 3 --precision bf16 --out before.json
  inkstone bench --model DIR --width 512 --height 512 --steps 4 --repeat 3 --precision bf16 --compare before.json
  inkstone bench --model DIR --steps 20 --trace trace.json
)";

constexpr const char* kBenchTail = R"(
How to read it. An image of one step warms up, and gives the time from opening the model to the end of the first step.
Then --repeat images of --steps steps are drawn; seconds are medians. GFLOP of a stage is the work of the model as it
is written (2 for a multiply-add), whatever the engine saves of it; GFLOP of an op is what its calls did. The peak is
probed before every image and the highest counts; shares of it can be compared between machines, seconds cannot.
Bytes moved are those of the values and weights that each call reads and writes, each counted once.
Memory is the kernel's: resident at most (VmHWM) in each stage, and its anonymous and file-backed parts after each run.
)";

constexpr const char* kExportHead =
    R"(Writes a model as ONNX files and has Ascend's compiler, ATC, make .om files of them, which --device npu:N runs.
No device is needed. Without ATC, compile.sh is written; run it where ATC is installed.
Usage: inkstone export --out DIR [flags]

Examples:
  inkstone export --out demo-onnx
  inkstone export --model DIR --out sd15-onnx --soc Ascend910B4 --sizes 512,768x512 --batch 1,2,4
  inkstone export --model sdxl.safetensors --lora style.safetensors:0.8 --out sdxl-onnx --max-prompt-chunks 3
  inkstone export --model DIR --out sd15-onnx --batch 1,2,4,8 --gears --vae-tile 16 --precision mixed
)";

constexpr const char* kExportTail = R"(
What is written. Graphs (.onnx) and beside them, shared by all graphs of a component, its weights (.bin): keep them in
one folder. Shapes are static (but for --gears), inputs and outputs are fp32, ids are int32.
  text_encoder           ids -> text
  unet_prompt            text of one prompt -> text_0, text_1, ...: once for a prompt
  unet_time              timestep -> time_0, time_1, ...: once for each timestep of a schedule
  unet_added             SDXL: pooled text and the image's size -> added_0, ...: once for a prompt and size
  unet_step_WxH_bN       latent, text_*, time_* -> noise: each step; ..._guided takes two texts for each latent,
                         ..._cN texts of N chunks
  vae_decoder_WxH        latent -> image, -1 to 1; ..._tileN: the same in bands
  vae_encoder_WxH        image -> moments: means, then logarithms of variances; of a tiny VAE the latent
  calibration/           with --calibration: GRAPH/PORT/NNN.bin, raw values, and index.json
  *.om                   with --soc: what ATC made; finished ones are kept in a cache and not made twice
manifest.json says each file's inputs, outputs, size, SHA-256 and which nodes stay in fp32. The same model and flags
give the same bytes. An earlier export of the same model in the folder is replaced, and no file that is
not of an export.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
)";

constexpr const char* kDevicesHead =
    R"(Shows cpu, cuda and npu: chip, memory, load, temperature, power, health, driver and CANN versions; of what is not
there, why, and what to do about it.
Usage: inkstone devices [flags]

Examples:
  inkstone devices
  inkstone devices --watch
  inkstone devices --watch 10 --json | jq -c '.devices[] | [.name, .memory_free_bytes, .health]'
)";

constexpr const char* kDevicesTail = R"(
It opens no device and takes none of its memory. What a device does not tell is shown as - (in JSON null), never as 0.
NPUs are asked by the driver's DCMI library, which needs no CANN; without it npu-smi info is read. The chip's name is
what inkstone export takes as --soc. AI core: the share of time in which the chip's matrix cores had work.
With --watch, --json prints one line each time; elsewhere than on a terminal the table is printed anew each time.
Exit codes: 0 done (absent devices too), 1 failed, 2 wrong usage, 130 interrupted.
)";

constexpr const char* kServeHead =
    R"(Serves images to many clients: a web page, POST /generate, and the APIs of OpenAI and AUTOMATIC1111.
Images of different clients are denoised together, step by step; workers that die are replaced.
Usage: inkstone serve [flags]

Examples:
  inkstone serve
  inkstone serve --model stable-diffusion-v1-5/stable-diffusion-v1-5 --port 8080 --max-queue 64
  inkstone serve --device npu:0,npu:1 --compiled sd15-onnx --host 0.0.0.0 --api-key-file keys.txt --log-format json
  inkstone serve --config /etc/inkstone.toml
  curl -X POST 'localhost:8080/generate?prompt=a+fox&seed=42'
)";

constexpr const char* kServeTail = R"(
Defaults are in brackets. Precedence: flag, environment (INKSTONE_MAX_QUEUE for --max-queue), --config file (its table
[serve] before keys outside of tables), default. Sizes are written 1MiB, 2GB or as plain bytes.
Signals: on SIGTERM or Ctrl-C the server refuses new requests (/health/ready says 503), ends running ones within
--grace, and exits; a second one exits at once. SIGHUP reads --api-key-file again and replaces the workers one by one.
Exit codes: 0 stopped, 1 failed, 2 wrong usage.
)";

constexpr const char* kWorkerHead =
    R"(A part of inkstone serve, which starts it: it owns one device and its model, and runs the server's commands over a
socket on descriptor 3. Do not run it directly.
Usage: inkstone worker [flags]
)";

}  // namespace

std::string_view positional_of(Command command) {
  switch (command) {
    case Command::kGenerate: return "prompt";
    case Command::kUpscale: return "images";
    case Command::kInfo:
    case Command::kPull:
    case Command::kConvert: return "model";
    default: return "";
  }
}

const char* command_name(Command command) {
  switch (command) {
    case Command::kGenerate: return "generate";
    case Command::kUpscale: return "upscale";
    case Command::kPull: return "pull";
    case Command::kInfo: return "info";
    case Command::kConvert: return "convert";
    case Command::kBench: return "bench";
    case Command::kExport: return "export";
    case Command::kDevices: return "devices";
    case Command::kServe: return "serve";
    case Command::kWorker: return "worker";
  }
  return "";
}

std::string general_help() {
  std::string result = R"(Inkstone draws images from text with Stable Diffusion models.
Usage: inkstone COMMAND [flags]

Commands:
)";
  result += row("generate PROMPT", "draw an image and write it as PNG, JPEG or WebP");
  result += row("upscale IMAGE ...", "make images larger with an ESRGAN, or by resampling");
  result += row("pull ORG/NAME", "download a model from the Hugging Face hub");
  result += row("info [MODEL]", "show a model and the memory that it takes");
  result += row("convert FILE|DIR", "write a model in another form: single file, folder, safetensors");
  result += row("bench", "measure speed and memory on this machine");
  result += row("export", "write a model as ONNX files for Ascend's compiler");
  result += row("serve", "serve images over HTTP: a web page, and APIs that clients already speak");
  result += row("devices", "show the devices of this machine, their memory, load and health");
  result += "\nFlags:\n";
  result += row("-h, --help, help", "this text; inkstone help COMMAND has all of a command's flags");
  result += row("-V, --version, version", "the version");
  return result + R"(
Examples:
  inkstone generate "a fox on a teal background"
  inkstone generate "a castle" --seed 7 --steps 30 --out castle.png
  inkstone info --width 512 --height 512
)";
}

std::string command_help(Command command) {
  switch (command) {
    case Command::kGenerate: return kGenerateHead + setting_rows(command) + kGenerateTail;
    case Command::kUpscale: return kUpscaleHead + setting_rows(command) + kUpscaleTail;
    case Command::kPull: return kPullHead + setting_rows(command) + kPullTail;
    case Command::kInfo: return kInfoHead + setting_rows(command);
    case Command::kConvert: return kConvertHead + setting_rows(command) + kConvertTail;
    case Command::kBench: return kBenchHead + setting_rows(command) + kBenchTail;
    case Command::kExport: return kExportHead + setting_rows(command) + kExportTail;
    case Command::kDevices: return kDevicesHead + setting_rows(command) + kDevicesTail;
    case Command::kServe: return kServeHead + setting_rows(command) + kServeTail;
    case Command::kWorker: return kWorkerHead + setting_rows(command);
  }
  return "";
}

}  // namespace inkstone
