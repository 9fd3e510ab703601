#include "costmodel/inference/engine.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/json.h"
#include "plan/scenario_names.h"

namespace isochrone::costmodel {
namespace {

namespace fs = std::filesystem;

std::string Folder() { return plan::CatalogueFolder() + "/profiles/engines"; }

/// A constant: a number, or one for each GPU architecture.
double For(const Json& value, const std::string& architecture, double least, double most) {
  if (!value.IsObject()) return value.Number(least, most);
  if (const auto own = value.Find(architecture)) return own->Number(least, most);
  return value.At("other").Number(least, most);
}

void ReadConstants(const Json& object, const std::string& architecture, EngineProfile& p) {
  object.Allow({"step_ms", "sequence_us", "launch_us", "one_shot_us", "kernel_time", "tensor_communication",
                "attention_over_peak"});
  const auto read = [&](const char* key, double most, double absent) {
    const auto value = object.Find(key);
    return value ? For(*value, architecture, 0, most) : absent;
  };
  const double host = HostSpeed(architecture);
  p.step = Seconds(read("step_ms", 1e4, 0) * 1e-3 / host);
  p.sequence = Seconds(read("sequence_us", 1e6, 0) * 1e-6 / host);
  p.launch = Seconds(read("launch_us", 1e6, 0) * 1e-6 / host);
  p.one_shot = Seconds(read("one_shot_us", 1e6, 0) * 1e-6);
  p.kernel_time = read("kernel_time", 100, p.kernel_time);
  p.tensor_communication = read("tensor_communication", 100, p.tensor_communication);
  p.attention_over_peak = read("attention_over_peak", 2, p.attention_over_peak);
}

}  // namespace

double HostSpeed(const std::string& architecture) {
  if (architecture == "volta") return 0.88;
  if (architecture == "hopper" || architecture == "blackwell") return 1.5;
  return 1;
}

std::vector<std::string> EngineNames() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(Folder())) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

EngineProfile EngineOf(const std::string& engine, const plan::Gpu& gpu) {
  const std::vector<std::string> names = EngineNames();
  if (std::find(names.begin(), names.end(), engine) == names.end()) {
    const std::string near = Nearest(engine, names);
    throw Error("strategy/engine = \"" + engine + "\"", "is no known engine",
                near.empty() ? "try " + JoinedWith(names, "or") : "did you mean \"" + near + "\"?");
  }
  const Json root = Json::File(Folder() + "/" + engine + ".json");
  root.Allow({"attention", "graphs", "fuses_prompts", "token_budget", "narrow_cache", "constants", "source", "measured",
              "fitted_rows"});
  EngineProfile p;
  p.name = engine;
  p.attention = static_cast<plan::AttentionForm>(root.At("attention").OneOf(plan::AttentionFormNames()));
  p.graphs = root.At("graphs").Bool();
  p.fuses_prompts = root.At("fuses_prompts").Bool();
  p.token_budget = root.At("token_budget").Int(1, 1 << 24);
  p.narrow_cache = root.At("narrow_cache").Bool();
  ReadConstants(root.At("constants"), gpu.architecture, p);
  p.source = {root.At("source").String(), root.At("measured").Bool()};
  for (const Json& key : root.At("fitted_rows").Items()) p.fitted_rows.insert(key.String());
  return p;
}

std::string EngineNamed(const std::string& published) {
  std::string text = published;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == ' ' || c == '-' || c == ','; }, '_');
  std::string best = "ideal";
  std::size_t longest = 0;
  for (const std::string& name : EngineNames()) {
    const bool whole = text.size() == name.size() || (text.size() > name.size() && text[name.size()] == '_');
    if (text.starts_with(name) && whole && name.size() > longest) best = name, longest = name.size();
  }
  return best;
}

}  // namespace isochrone::costmodel
