#include <cstdio>
#include <exception>
#include <new>

#include "base/error.h"
#include "cli/verb.h"

int main(int argc, char** argv) {
  try {
    return isochrone::cli::Main(argc, argv);
  } catch (const isochrone::Error& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", e.what());
    return isochrone::cli::kWrongInput;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "error: memory\n  the answer needs more memory than this machine gives\n  ask for less: fewer ranks "
                 "or microbatches\n");
    return isochrone::cli::kWrongInput;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "internal error: %s\n  this is a bug in isochrone; please report it\n", e.what());
    return isochrone::cli::kOurBug;
  }
}
