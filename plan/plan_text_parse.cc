#include <charconv>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "plan/plan_text.h"
#include "plan/plan_words.h"

namespace isochrone::plan {
namespace {

/// The words of one line, taken one by one; every message says which line.
class Line {
 public:
  Line(std::string text, int number, const std::string& file) : text_(std::move(text)), number_(number), file_(file) {
    std::istringstream in(text_);
    for (std::string w; in >> w;) words_.push_back(w);
  }

  bool Done() const { return next_ == words_.size(); }
  const std::string& Peek() const { return words_[next_]; }
  std::string Take(const char* what) {
    if (Done())
      Fail(std::string("ends where ") + what + " should stand", "see the same plan printed by `isochrone plan`");
    return words_[next_++];
  }
  bool TakeIf(std::string_view word) {
    if (Done() || words_[next_] != word) return false;
    ++next_;
    return true;
  }
  std::size_t OneOf(const Words& words, const char* what) {
    const std::string word = Take(what);
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == word) return i;
    }
    const std::string nearest = Nearest(word, words);
    Fail("\"" + word + "\" is no " + what,
         nearest.empty() ? "known: " + JoinedWith(words, "and") : "did you mean \"" + nearest + "\"?");
  }
  template <class T>
  T Value(const std::string& word) {
    T v{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), v);
    if (error != std::errc() || end != word.data() + word.size())
      Fail("\"" + word + "\" is not a number", "write a plain decimal number");
    return v;
  }
  std::vector<int> Numbers(const std::string& word) {
    std::vector<int> all;
    std::istringstream in(word);
    for (std::string n; std::getline(in, n, ',');) all.push_back(Value<int>(n));
    return all;
  }
  /// The rest as name=value pairs, up to a word without "=".
  std::map<std::string, std::string> Pairs() {
    std::map<std::string, std::string> pairs;
    while (!Done() && Peek().find('=') != std::string::npos) {
      const std::string word = Take("a field");
      const std::size_t eq = word.find('=');
      pairs[word.substr(0, eq)] = word.substr(eq + 1);
    }
    return pairs;
  }
  [[noreturn]] void Fail(const std::string& what, const std::string& instead) const {
    throw Error(file_ + ": line " + std::to_string(number_), what + "\n  " + text_, instead);
  }

 private:
  std::string text_;
  int number_;
  const std::string& file_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

/// Sets fields by name and remembers which names there are.
struct FieldSetter {
  Line& line;
  std::map<std::string, std::string> given;
  Words known = {};

  const std::string* Find(const char* name) {
    known.push_back(name);
    const auto it = given.find(name);
    return it == given.end() ? nullptr : &it->second;
  }
  void operator()(const char* name, std::int64_t& f) {
    if (const auto* w = Find(name)) f = line.Value<std::int64_t>(*w);
  }
  void operator()(const char* name, int& f) {
    if (const auto* w = Find(name)) f = line.Value<int>(*w);
  }
  void operator()(const char* name, double& f) {
    if (const auto* w = Find(name)) f = line.Value<double>(*w);
  }
  void operator()(const char* name, Bytes& f) {
    if (const auto* w = Find(name)) f = Bytes(line.Value<double>(*w));
  }
  void operator()(const char* name, Flops& f) {
    if (const auto* w = Find(name)) f = Flops(line.Value<double>(*w));
  }
  void operator()(const char* name, bool& f) { Enumerated(name, f, {"no", "yes"}); }
  void operator()(const char* name, Dtype& f) { Enumerated(name, f, DtypeNames()); }
  template <class E>
  void operator()(const char* name, E& f, const Words& words) {
    Enumerated(name, f, words);
  }
  template <class E>
  void Enumerated(const char* name, E& f, const Words& words) {
    const auto* w = Find(name);
    if (!w) return;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == *w) return void(f = static_cast<E>(i));
    }
    line.Fail("\"" + *w + "\" is no " + name, "known: " + JoinedWith(words, "and"));
  }
  void Done() {
    for (const auto& [name, value] : given) {
      bool found = false;
      for (const std::string& k : known) found = found || k == name;
      if (found) continue;
      const std::string nearest = Nearest(name, known);
      line.Fail("\"" + name + "\" is not a field here",
                nearest.empty() ? "known: " + JoinedWith(known, "and") : "did you mean \"" + nearest + "\"?");
    }
  }
};

template <std::size_t I = 0>
OpKind KindAt(std::size_t index) {
  if constexpr (I + 1 < std::variant_size_v<OpKind>) {
    if (index != I) return KindAt<I + 1>(index);
  }
  return std::variant_alternative_t<I, OpKind>{};
}

Op ParseOp(Line& line) {
  Op op;
  op.name = line.Take("the op's name");
  op.stream = static_cast<Stream>(line.OneOf(StreamWords(), "stream"));
  op.kind = KindAt(line.OneOf(kKindWords, "kind of op"));
  FieldSetter set{line, line.Pairs()};
  std::visit([&](auto& o) { VisitFields(o, set); }, op.kind);
  set.Done();
  if (line.TakeIf("in")) op.in = line.Numbers(line.Take("buffers"));
  if (line.TakeIf("out")) op.out = line.Numbers(line.Take("buffers"));
  if (line.TakeIf("after")) op.after = line.Numbers(line.Take("ops"));
  if (!line.Done()) line.Fail("\"" + line.Peek() + "\" is too much", "in, out and after come last, in this order");
  return op;
}

Buffer ParseBuffer(Line& line) {
  Buffer b;
  b.name = line.Take("the buffer's name");
  const std::string shape = line.Take("a shape");
  std::istringstream in(shape == "scalar" ? "" : shape);
  for (std::string d; std::getline(in, d, 'x');) b.shape.push_back(line.Value<std::int64_t>(d));
  b.dtype = static_cast<Dtype>(line.OneOf(DtypeNames(), "format"));
  b.kind = static_cast<BufferKind>(line.OneOf(kBufferWords, "kind of buffer"));
  b.lifetime = static_cast<Lifetime>(line.OneOf(kLifetimeWords, "lifetime"));
  FieldSetter set{line, line.Pairs()};
  set("expert", b.expert);
  set("sharded_axis", b.sharded_axis);
  set("partial_over_tensor", b.partial_over_tensor);
  set("borrowed", b.borrowed);
  set("statistic", b.statistic);
  set.Done();
  return b;
}

Anchor ParseAnchor(Line& line) {
  const std::string word = line.Take("an anchor");
  if (word == "none") return {};
  if (word == "start") return {Anchor::kStepStart, 1};
  if (word == "end") return {Anchor::kStepEnd, 1};
  const std::size_t at = word.find('@');
  if (at == std::string::npos) line.Fail("\"" + word + "\" is no anchor", "write TASK@PROGRESS, start, end or none");
  return {line.Value<int>(word.substr(0, at)), line.Value<double>(word.substr(at + 1))};
}

/// Reads a plan line by line; each keyword has its own small reader.
class Reader {
 public:
  Reader(std::string_view text, const std::string& name) : in_(std::string(text)), name_(name) {}

  Plan Read() {
    for (std::string text; std::getline(in_, text);) {
      Line line(text, ++number_, name_);
      if (line.Done()) continue;
      const std::string word = line.Take("a keyword");
      if (word == "schedule") {
        plan_.schedule = ParseSchedule(RestOfSchedule(), name_);
      } else {
        ReadLine(word, line);
      }
    }
    return std::move(plan_);
  }

 private:
  std::string RestOfSchedule() {
    std::string all;
    for (std::string text; std::getline(in_, text);) {
      ++number_;
      if (text == "end") break;
      all += text + "\n";
    }
    return all;
  }

  void ReadLine(const std::string& word, Line& line) {
    if (word == "layout") return ReadLayout(line);
    if (word == "messages") return ReadMessages(line);
    if (word == "program") return ReadProgram(line);
    if (word == "buffer") return void(Program(line).buffers.push_back(ParseBuffer(line)));
    if (word == "phase") return ReadPhase(line);
    if (word == "op")
      return void(ops_ ? ops_->push_back(ParseOp(line))
                       : line.Fail("stands outside a phase", "write `phase forward` before it"));
    if (word == "stage") return ReadStage(line);
    if (word == "side") return ReadSide(line);
    if (word == "prologue" || word == "epilogue") return ReadStep(word == "prologue", line);
    line.Fail("\"" + word + "\" is not a keyword",
              "known: layout, messages, program, buffer, phase, op, stage, schedule, side, prologue and epilogue");
  }

  LayerProgram& Program(Line& line) {
    if (plan_.programs.empty()) line.Fail("stands outside a program", "write `program NAME …` before it");
    return plan_.programs.back();
  }

  void ReadLayout(Line& line) {
    FieldSetter set{line, line.Pairs()};
    Layout& l = plan_.layout;
    set("tp", l.tp);
    set("cp", l.cp);
    set("dp", l.dp);
    set("pp", l.pp);
    set("ep", l.ep);
    set("etp", l.etp);
    set("shard", l.shard);
    set("gpus_per_node", l.gpus_per_node);
    set("root_gpus", l.root_gpus);
    set("pipeline_innermost_of_data", l.pipeline_innermost_of_data);
    set.Done();
  }

  void ReadMessages(Line& line) {
    static const Words modes = {"overlapped", "blocking"};
    FieldSetter set{line, line.Pairs()};
    set("mode", plan_.messages, modes);
    set("bytes", plan_.message_bytes);
    set("scatter_gather", plan_.message_scatter_gather);
    set("epilogue_barrier", plan_.epilogue_barrier);
    set.Done();
  }

  void ReadProgram(Line& line) {
    LayerProgram p;
    p.name = line.Take("the program's name");
    FieldSetter set{line, line.Pairs()};
    set("input", p.input);
    set("output", p.output);
    set("output_gradient", p.output_gradient);
    set("input_gradient", p.input_gradient);
    set("parameters", p.parameters);
    set("expert_parameters", p.expert_parameters);
    set("model_flops", p.model_flops);
    set.Done();
    plan_.programs.push_back(std::move(p));
    ops_ = nullptr;
  }

  void ReadPhase(Line& line) {
    static const Words phases = {"forward", "recompute", "backward", "backward_input", "backward_weight", "overlapped"};
    ops_ = &Program(line).Ops(static_cast<Phase>(line.OneOf(phases, "phase")));
  }

  void ReadStage(Line& line) {
    StageContent stage;
    while (!line.Done()) {  // program*count@first_layer
      const std::string word = line.Take("a section");
      const std::size_t star = word.find('*'), at = word.find('@');
      if (star == std::string::npos || at == std::string::npos || at < star)
        line.Fail("\"" + word + "\" is no section", "write PROGRAM*COUNT@FIRST_LAYER");
      const std::string name = word.substr(0, star);
      int index = -1;
      for (std::size_t i = 0; i < plan_.programs.size(); ++i) {
        if (plan_.programs[i].name == name) index = static_cast<int>(i);
      }
      if (index < 0) line.Fail("no program is called \"" + name + "\"", "define it above");
      stage.sections.push_back(
          {index, line.Value<int>(word.substr(star + 1, at - star - 1)), line.Value<int>(word.substr(at + 1))});
    }
    plan_.stages.push_back(std::move(stage));
  }

  void ReadSide(Line& line) {
    SideTask side;
    side.rank = line.Value<int>(line.Take("a rank"));
    side.after = ParseAnchor(line);
    side.before = ParseAnchor(line);
    side.op = ParseOp(line);
    plan_.side.push_back(std::move(side));
  }

  void ReadStep(bool prologue, Line& line) {
    const int rank = line.Value<int>(line.Take("a rank"));
    if (rank < 0 || rank > 1'000'000) line.Fail("no such rank", "ranks count from 0");
    auto& all = prologue ? plan_.prologue : plan_.epilogue;
    if (all.size() <= static_cast<std::size_t>(rank)) all.resize(static_cast<std::size_t>(rank) + 1);
    if (!line.Done()) all[static_cast<std::size_t>(rank)].push_back(ParseOp(line));
  }

  std::istringstream in_;
  const std::string& name_;
  int number_ = 0;
  Plan plan_;
  std::vector<Op>* ops_ = nullptr;
};

}  // namespace

Plan ParsePlan(std::string_view text, const std::string& name) { return Reader(text, name).Read(); }

}  // namespace isochrone::plan
