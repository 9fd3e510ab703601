#include <cstdio>

#include "base/error.h"

int main() {
  std::fprintf(stderr, "isochrone: no verb yet\n");
  return 1;
}
