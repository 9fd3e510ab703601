#include "kernels/embedding.h"

#include "kernels/vector.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEST_CASE("an embedding is the row of its token; shards of the vocabulary add up to the whole", "[embedding]") {
  const Index vocabulary = 11, hidden = 5;
  const auto table = Random(vocabulary * hidden, 1);
  const std::vector<TokenId> ids = {0, 10, 3, 4, 3, 7};
  const Index tokens = Index(ids.size());
  std::vector<double> whole(tokens * hidden), sum(whole), part(whole), expected;
  for (TokenId id : ids)
    expected.insert(expected.end(), table.begin() + id * hidden, table.begin() + (id + 1) * hidden);
  Embedding<double>(tokens, hidden, 0, vocabulary, ids.data(), table.data(), whole.data());
  CHECK(whole == expected);
  for (auto [first, last] : {std::pair<Index, Index>{0, 4}, {4, 7}, {7, 11}}) {
    Embedding<double>(tokens, hidden, first, last, ids.data(), table.data() + first * hidden, part.data());
    Add<double>(tokens * hidden, sum.data(), part.data(), sum.data());
  }
  CHECK(sum == whole);
}

TEST_CASE("the gradient of a row is the sum over the tokens that read it, shard by shard", "[embedding]") {
  const Index vocabulary = 7, hidden = 3;
  auto table = Random(vocabulary * hidden, 1);
  const std::vector<TokenId> ids = {6, 2, 2, 0, 5, 2};
  const Index tokens = Index(ids.size());
  const auto dout = Random(tokens * hidden, 2);
  std::vector<double> out(tokens * hidden), dtable(table.size());
  EmbeddingBackward<double>(tokens, hidden, 0, 3, ids.data(), dout.data(), dtable.data());
  EmbeddingBackward<double>(tokens, hidden, 3, 7, ids.data(), dout.data(), dtable.data() + 3 * hidden);
  const auto loss = [&] {
    Embedding<double>(tokens, hidden, 0, vocabulary, ids.data(), table.data(), out.data());
    return Dot(out, dout);
  };
  CHECK(Error(dtable, Differences(table, loss)) < kDifferenceTolerance);
}

TEST_CASE("positions are added from the first position on, and their gradient sums over sequences", "[embedding]") {
  const Index batch = 3, positions = 4, hidden = 5, first = 2;
  const auto x = Random(batch * positions * hidden, 1), dout = Random(batch * positions * hidden, 3);
  auto table = Random((first + positions + 1) * hidden, 2);
  std::vector<double> dtable(table.size());
  AddPositionsBackward<double>(batch, positions, hidden, first, dout.data(), dtable.data());
  const auto out = [&] {
    auto sum = x;
    AddPositions<double>(batch, positions, hidden, first, table.data(), sum.data());
    return sum;
  };
  for (Index i = 0; i < Index(x.size()); ++i)
    CHECK(out()[i] == x[i] + table[first * hidden + i % (positions * hidden)]);
  CHECK(Error(dtable, Differences(table, [&] { return Dot(out(), dout); })) < kDifferenceTolerance);
}
