#include "executor/report.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/error.h"

namespace isochrone::executor {
namespace {

/// One list of fields for both directions, so that they cannot differ.
class Writer {
 public:
  template <class V>
  void Plain(V& v) {
    static_assert(std::is_trivially_copyable_v<V>);
    const auto* from = reinterpret_cast<const std::byte*>(&v);
    bytes.insert(bytes.end(), from, from + sizeof v);
  }
  template <class Container>
  std::size_t Length(Container& c) {
    std::uint64_t n = c.size();
    Plain(n);
    return c.size();
  }
  std::vector<std::byte> bytes;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> from) : from_(from) {}
  template <class V>
  void Plain(V& v) {
    static_assert(std::is_trivially_copyable_v<V>);
    ISO_CHECK(from_.size() >= sizeof v);
    std::memcpy(static_cast<void*>(&v), from_.data(), sizeof v);
    from_ = from_.subspan(sizeof v);
  }
  template <class Container>
  std::size_t Length(Container& c) {
    std::uint64_t n = 0;
    Plain(n);
    c.resize(n);
    return n;
  }

 private:
  std::span<const std::byte> from_;
};

template <class Archive, class V>
void Each(Archive& a, std::vector<V>& list);

template <class Archive>
void Field(Archive& a, std::string& s) {
  const std::size_t n = a.Length(s);
  for (std::size_t i = 0; i < n; ++i) a.Plain(s[i]);
}
template <class Archive>
void Field(Archive& a, double& v) {
  a.Plain(v);
}
template <class Archive>
void Field(Archive& a, plan::Span& v) {
  a.Plain(v);
}
template <class Archive>
void Field(Archive& a, StepRecord& r) {
  a.Plain(r.start);
  a.Plain(r.end);
  a.Plain(r.loss);
  a.Plain(r.gradient_norm);
  a.Plain(r.attribution);
  Each(a, r.spans);
}
template <class Archive>
void Field(Archive& a, std::array<std::vector<double>, plan::kPhases>& phases) {
  for (std::vector<double>& ops : phases) Each(a, ops);
}
template <class Archive>
void Field(Archive& a, HeldTensor& t) {
  Field(a, t.key);
  a.Plain(t.elements);
  Each(a, t.value_at);
  Each(a, t.value);
  Each(a, t.gradient_at);
  Each(a, t.gradient);
}

template <class Archive, class V>
void Each(Archive& a, std::vector<V>& list) {
  const std::size_t n = a.Length(list);
  for (std::size_t i = 0; i < n; ++i) Field(a, list[i]);
}

template <class Archive>
void StepOps(Archive& a, std::map<std::string, std::pair<double, double>>& ops) {
  std::vector<std::string> names;
  for (const auto& [name, sum] : ops) names.push_back(name);
  Each(a, names);
  for (const std::string& name : names) {
    a.Plain(ops[name].first);
    a.Plain(ops[name].second);
  }
}

template <class Archive>
void Fields(Archive& a, RankReport& r) {
  Each(a, r.records);
  Each(a, r.times.seconds);
  Each(a, r.times.count);
  StepOps(a, r.times.step_ops);
  a.Plain(r.memory);
  Each(a, r.names);
  a.Plain(r.adds_loss);
  Each(a, r.tensors);
}

}  // namespace

std::vector<std::byte> Pack(const RankReport& report) {
  Writer writer;
  RankReport copy = report;  // the list of fields is written for both directions
  Fields(writer, copy);
  return std::move(writer.bytes);
}

RankReport Unpack(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  RankReport report;
  Fields(reader, report);
  return report;
}

}  // namespace isochrone::executor
