#include "plan/draw.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"

namespace isochrone::plan {

namespace {

/// One row: spans of one stream of one rank, in order.
struct Row {
  std::vector<const Span*> spans;
  double busy = 0;
};

char FillOf(const Span& span) {
  if (span.kind == SpanKind::kPrologue || span.kind == SpanKind::kEpilogue) return '+';
  if (span.kind != SpanKind::kTask) return '-';
  static constexpr char kFill[] = {'-', ':', '=', '~', '.', '#'};  // in the order of Phase
  return kFill[static_cast<int>(span.task.phase)];
}

Colour ColourOf(const Span& span) {
  switch (FillOf(span)) {
    case '-':
      return Colour::kBlue;
    case '=':
      return Colour::kGreen;
    case '~':
      return Colour::kCyan;
    case '#':
      return Colour::kYellow;
    case '+':
      return Colour::kGrey;
    default:
      return Colour::kMagenta;
  }
}

class Drawing {
 public:
  Drawing(const Timeline& timeline, const Terminal& terminal) : timeline_(timeline), terminal_(terminal) {
    for (const Span& span : timeline.spans) {
      if (span.kind == SpanKind::kMessage || span.kind == SpanKind::kOp) continue;
      Row& row = rows_[{span.rank, span.stream}];
      row.spans.push_back(&span);
      row.busy += span.end - span.start;
    }
    rank_width_ = static_cast<int>(std::to_string(std::max(0, timeline.rank_count - 1)).size());
    label_width_ = 5 + rank_width_;
    for (const auto& [key, row] : rows_)
      if (key.second != Stream::kCompute)
        label_width_ = std::max(label_width_, 2 + static_cast<int>(std::string(NameOf(key.second)).size()));
    constexpr int kAround = 8;  // " |" before the row, "| 100%" after it
    columns_ = std::max(40, terminal.width > 0 ? terminal.width : 100) - label_width_ - kAround;
  }

  std::string Text() const {
    std::string out = Scale();
    for (int rank = 0; rank < timeline_.rank_count; ++rank) {
      out += Line("rank " + PaddedLeft(std::to_string(rank), rank_width_), rank, Stream::kCompute);
      for (int stream = 1; stream < kStreams; ++stream) {
        const auto at = static_cast<Stream>(stream);
        if (rows_.count({rank, at}) != 0) out += Line(std::string("  ") + NameOf(at), rank, at);
      }
    }
    return out;
  }

 private:
  std::string Scale() const {
    const std::string end = HumanTime(Seconds(timeline_.end));
    const int gap = columns_ - 1 - DisplayWidth(end);
    return std::string(label_width_ + 2, ' ') + "0" + std::string(std::max(1, gap), ' ') + end + "\n";
  }

  /// For each column the span that fills most of it, null where waiting does.
  std::vector<const Span*> Columns(const Row& row) const {
    std::vector<const Span*> columns(columns_, nullptr);
    std::vector<double> most(columns_, 0), covered(columns_, 0);
    const double scale = timeline_.end > 0 ? columns_ / timeline_.end : 0;
    for (const Span* span : row.spans) {
      const double from = span->start * scale, to = span->end * scale;
      const int last = std::min(columns_ - 1, static_cast<int>(std::ceil(to)) - 1);
      for (int i = std::max(0, static_cast<int>(from)); i <= last; ++i) {
        const double part = std::min(to, i + 1.0) - std::max(from, static_cast<double>(i));
        covered[i] += part;
        if (part <= most[i]) continue;
        most[i] = part;
        columns[i] = span;
      }
    }
    for (int i = 0; i < columns_; ++i)
      if (1 - covered[i] > most[i]) columns[i] = nullptr;
    return columns;
  }

  std::string NameOfSpan(const Span& span) const {
    return span.name >= 0 ? timeline_.names[span.name] : Print(span.task);
  }

  std::string Line(const std::string& label, int rank, Stream stream) const {
    std::string out = label + std::string(label_width_ - label.size(), ' ') + " |";
    const auto found = rows_.find({rank, stream});
    const Row row = found == rows_.end() ? Row{} : found->second;
    const auto columns = Columns(row);
    for (std::size_t i = 0; i < columns.size();) {
      std::size_t end = i + 1;
      while (end < columns.size() && columns[end] == columns[i]) ++end;
      out += columns[i] == nullptr ? std::string(end - i, ' ') : Cell(*columns[i], end - i);
      i = end;
    }
    return out + "|" + PaddedLeft(Percent(timeline_.end > 0 ? row.busy / timeline_.end : 0, 0), 5) + "\n";
  }

  /// The name, or of a pass at least its letter, then filled up.
  std::string Cell(const Span& span, std::size_t width) const {
    std::string name = NameOfSpan(span);
    if (name.size() > width) name = name.substr(0, span.kind == SpanKind::kTask ? 1 : width);
    return terminal_.Paint(ColourOf(span), name + std::string(width - name.size(), FillOf(span)));
  }

  const Timeline& timeline_;
  const Terminal& terminal_;
  std::map<std::pair<int, Stream>, Row> rows_;
  int rank_width_ = 1, label_width_ = 6, columns_ = 0;
};

}  // namespace

std::string Draw(const Timeline& timeline, const Terminal& terminal) { return Drawing(timeline, terminal).Text(); }

}  // namespace isochrone::plan
