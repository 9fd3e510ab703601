// References and overrides: the value of a key is an object, the name of a file, or an object over a file.
#include "plan/readers.h"

namespace isochrone::plan {
namespace {

constexpr std::size_t kMaxBases = 8;

}  // namespace

const Found& Part::PlaceOf(const Json& value) const {
  for (const Found& place : places) {
    if (place.name == value.FileName()) return place;
  }
  return places.back();
}

Part PartFrom(const Json& object, const Found& place, Open open) {
  std::vector<Json> layers = {object};
  std::vector<Found> places = {place};
  while (const auto base = layers.back().Find("base")) {
    if (layers.size() > kMaxBases) base->Fail("is a base of a base, too many times over", "does a file name itself?");
    places.push_back(FindReference(*base, places.back()));
    layers.push_back(open(places.back()));
  }
  return {Fields(std::move(layers)), std::move(places)};
}

Part PartOf(const Json& value, const Found& beside, Open open) {
  if (value.IsObject()) return PartFrom(value, beside, open);
  if (!value.IsString()) value.Fail("must be a file name or an object", "write \"models/gpt3_175b.json\" or { … }");
  const Found file = FindReference(value, beside);
  return PartFrom(open(file), file, open);
}

}  // namespace isochrone::plan
