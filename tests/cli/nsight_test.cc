#include "cli/nsight.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "reports/sqlite.h"
#include "tests/folder.h"

using namespace isochrone;

TEST_CASE("Nsight's kernels carry names, launches and ranges", "[traces]") {
  const tests::Folder folder;
  const std::string path = folder / "report.sqlite";
  {
    const reports::Database file(path);
    file.Run("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT)");
    file.Run("INSERT INTO StringIds VALUES (1, 'void gemm(float*)'), (2, 'step 3')");
    file.Run(
        "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INT, end INT, deviceId INT, streamId INT, "
        "correlationId INT, demangledName INT, shortName INT)");
    file.Run(
        "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (5000, 7000, 2, 7, 11, 1, 1), (9000, 9500, 2, 7, 12, 1, 1)");
    file.Run("CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INT, end INT, globalTid INT, correlationId INT)");
    file.Run("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (1000, 1100, 42, 11)");
    file.Run("CREATE TABLE NVTX_EVENTS (start INT, end INT, eventType INT, text TEXT, textId INT, globalTid INT)");
    file.Run("INSERT INTO NVTX_EVENTS VALUES (900, 2000, 59, NULL, 2, 42), (0, NULL, 34, 'mark', NULL, 42)");
  }
  const study::KernelTrace trace = cli::ReadKernelTrace(path);
  REQUIRE(trace.kernels.size() == 2);
  CHECK(trace.kernels[0].name == "void gemm(float*)");
  CHECK(trace.kernels[0].seconds == Approx(2e-6));
  CHECK(trace.kernels[0].launched == Approx(1e-6));
  CHECK(trace.kernels[0].thread == 42);
  CHECK(trace.kernels[0].device == 2);
  CHECK(std::isnan(trace.kernels[1].launched));
  REQUIRE(trace.ranges.size() == 1);
  CHECK(trace.ranges[0].name == "step 3");
  CHECK(trace.ranges[0].end == Approx(2e-6));
}

TEST_CASE("a file that no profiler wrote is refused", "[traces]") {
  CHECK_THROWS_AS(cli::ReadKernelTrace("no such file"), Error);
  CHECK_THROWS_AS(cli::ReadKernelTrace(std::string(ISO_SOURCE_DIR) + "/scenarios/models/byte_gpt.json"), Error);
}
