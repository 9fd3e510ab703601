// References and overrides: the value of a key is an object, the name of a file, or an object over a file.
#include "base/error.h"
#include "plan/readers.h"

namespace isochrone::plan {

Fields OpenPlain(const Found& file) { return Fields(ReadJson(file)); }

Part PartOf(const Json& value, const Found& beside, Fields (*open)(const Found&)) {
  if (value.IsString()) {
    Found file = FindReference(value, beside);
    Fields fields = open(file);
    return {std::move(fields), file, file};
  }
  if (!value.IsObject()) value.Fail("must be a file name or an object", "write \"models/gpt3_175b.json\" or { … }");
  const auto base = value.Find("base");
  if (!base) return {Fields(value), beside, beside};
  Found file = FindReference(*base, beside);
  Fields fields(value, open(file));
  return {std::move(fields), std::move(file), beside};
}

}  // namespace isochrone::plan
