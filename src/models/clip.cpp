// Embeddings, a causal pre-norm transformer, the final norm.
#include "models/clip.h"

#include <numeric>

namespace inkstone {
namespace {

Value self_attention(Scope s, Value x, int heads) {
  const int64_t width = x.dim(-1);
  const Value q = linear(s / "q_proj", x, width);
  const Value k = linear(s / "k_proj", x, width);
  const Value v = linear(s / "v_proj", x, width);
  return linear(s / "out_proj", attention(q, k, v, heads, /*causal=*/true), width);
}

Value mlp(Scope s, Value x, const ClipConfig& c) {
  return linear(s / "fc2", activate(linear(s / "fc1", x, c.inner), c.activation), x.dim(-1));
}

}  // namespace

ClipOutputs clip(Scope root, const ClipConfig& c, Value tokens, Value end) {
  const Scope s = root / "text_model";
  const Scope embed = s / "embeddings";
  std::vector<float> places(tokens.dim(1));
  std::iota(places.begin(), places.end(), 0.0f);
  const Value positions = constant(*s.graph, std::move(places), {1, tokens.dim(1)}, DType::kI32);
  if (tokens.type() == DType::kI32) tokens = embedding(embed / "token_embedding", tokens, c.vocabulary, c.width);
  Value x = tokens + embedding(embed / "position_embedding", positions, c.tokens, c.width);
  const auto normed = [&](Value hidden) { return layer_norm(s / "final_layer_norm", hidden, c.epsilon); };
  ClipOutputs out;
  for (int i = 0; i <= c.layers; ++i) {
    if (i == c.layers - c.layers_after_text) out.text = c.norm_of_text ? normed(x) : x;
    if (i == c.layers || (out.text.graph && !c.projection)) break;
    const Scope layer = s / "encoder" / "layers" / i;
    x = x + self_attention(layer / "self_attn", layer_norm(layer / "layer_norm1", x, c.epsilon), c.heads);
    x = x + mlp(layer / "mlp", layer_norm(layer / "layer_norm2", x, c.epsilon), c);
  }
  if (!c.projection) return out;
  const Value last = c.norm_of_text && !c.layers_after_text ? out.text : normed(x);
  const Value pooled = rows_of(reshape(last, {last.dim(0) * last.dim(1), c.width}), end);
  out.pooled =
      linear(root / "text_projection", reshape(pooled, {tokens.dim(0), c.width}), c.projection, /*bias=*/false);
  return out;
}

Graph clip_graph(const ClipConfig& config, int64_t rows, ClipInput kind) {
  Graph graph;
  const Value tokens = kind == ClipInput::kIds ? input(graph, "ids", {rows, config.tokens}, DType::kI32)
                                               : input(graph, "vectors", {rows, config.tokens, config.width});
  const Scope root{&graph, ""};
  if (!config.projection) return finish(graph, clip(root, config, tokens).text);
  const ClipOutputs out = clip(root, config, tokens, input(graph, "end", {rows, 1}, DType::kI32));
  const Value results[] = {out.text, out.pooled};
  return finish(graph, results);
}

}  // namespace inkstone
