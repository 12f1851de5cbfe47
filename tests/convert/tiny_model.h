// Tiny models of each family with random weights, as single files that galleries could have.
#pragma once

#include <algorithm>
#include <iterator>

#include "diffusion/checkpoint_files.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {

struct TinyModel {
  UnetConfig unet;
  VaeConfig vae;
  std::vector<ClipConfig> texts;  // as they were trained
  float last_bias = 0;            // decides what a model of Stable Diffusion 2 seems to predict

  static TinyModel sd1() {
    TinyModel m;
    m.unet.channels = {32, 64};
    m.unet.blocks = {1, 2};
    m.unet.depth = {1, 0};
    m.unet.up_depth = {0, 1};
    m.unet.heads = {8, 8};
    m.unet.context = 64;
    m.vae.channels = {32, 32, 64, 64};
    m.vae.blocks = 1;
    m.texts = {text(64, Activation::kQuickGelu)};
    return m;
  }
  static TinyModel sd2(float last_bias) {
    TinyModel m = sd1();
    m.last_bias = last_bias;
    m.unet.channels = {64, 64};
    m.unet.heads = {1, 1};
    m.unet.linear_projection = true;
    m.texts = {text(64, Activation::kGelu)};
    return m;
  }
  static TinyModel sdxl() {
    constexpr int kPooled = 48;
    TinyModel m = sd1();
    m.unet.channels = {64, 128};
    m.unet.blocks = {1, 1};
    m.unet.depth = {0, 2};
    m.unet.up_depth = {2, 0};
    m.unet.mid_depth = 2;
    m.unet.heads = {1, 2};
    m.unet.context = 64 + 128;
    m.unet.linear_projection = true;
    m.unet.added_time = 256;
    m.unet.added = kPooled + 6 * m.unet.added_time;
    m.texts = {text(64, Activation::kQuickGelu), text(128, Activation::kGelu)};
    m.texts[1].projection = kPooled;
    return m;
  }

  // Told of a score of the image instead of its size.
  static TinyModel refiner() {
    TinyModel m = sdxl();
    m.texts.erase(m.texts.begin());
    m.unet.context = 128;
    m.unet.added -= m.unet.added_time;
    return m;
  }

  bool xl() const { return unet.added > 0; }

  // With leftovers of the training.
  FileTensors single() const {
    FileTensors denoiser = random_weights({unet_graph(unet, {1, 2, 2})}, 2);
    if (last_bias != 0)
      for (FileTensor& tensor : denoiser)
        if (tensor.name == "conv_out.bias") std::ranges::fill(tensor.values, last_bias);
    FileTensors all = ldm_unet(std::move(denoiser), unet);
    add(all, ldm_vae(random_weights({vae_decoder_graph(vae, 1, 1, 1), vae_encoder_graph(vae, 1, 8, 8)}, 3), vae));
    for (size_t i = 0; i < texts.size(); ++i) add(all, stored_text(i));
    all.push_back({"model_ema.diffusion_modelout2weight", {2}, {1, 2}});
    all.push_back({"alphas_cumprod", {1}, {0.5f}});
    return all;
  }

  // A layer more than Stable Diffusion 2 uses.
  FileTensors stored_text(size_t i) const {
    const std::string place = xl() ? "conditioner.embedders." + std::to_string(i) : "cond_stage_model";
    ClipConfig config = texts[i];
    const bool open = config.activation == Activation::kGelu;
    if (open && !xl()) ++config.layers;
    const FileTensors weights = random_weights({clip_graph(config, 1)}, 10 + i);
    return open ? open_clip(weights, place + ".model.") : prefixed(weights, place + ".transformer.");
  }

 private:
  static ClipConfig text(int width, Activation activation) {
    ClipConfig config;
    config.width = width;
    config.inner = 2 * width;
    config.layers = 3;
    config.heads = width / 64;
    config.activation = activation;
    return config;
  }
  static void add(FileTensors& all, FileTensors part) { std::ranges::move(part, std::back_inserter(all)); }
};

}  // namespace inkstone
