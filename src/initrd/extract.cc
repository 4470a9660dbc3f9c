#include "initrd/extract.h"

#include <span>
#include <utility>

#include "base/text.h"
#include "initrd/read_ahead.h"

namespace capsem::initrd {
namespace {

Result<> take_batch(const Batch& batch, TreeWriter& writer, const ExtractEvents& events) {
  auto bytes = std::span(batch.bytes);
  for (const auto& step : batch.steps) {
    Result<> done;
    switch (step.kind) {
      case Step::Kind::kRecord:
        done = writer.begin(step.entry);
        break;
      case Step::Kind::kBody:
        done = writer.write(bytes.first(step.bytes));
        bytes = bytes.subspan(step.bytes);
        break;
      case Step::Kind::kEnd:
        done = writer.end();
        break;
      case Step::Kind::kSkipped:
        events.skipped(printable(step.entry.path) + ": skipped as by Linux, " +
                       std::string(step.why));
        break;
    }
    if (!done) return done;
  }
  return {};
}

}  // namespace

Result<WriteSummary> extract(ImageReader& image, Fd directory, const Selection& selection,
                             const WriteOptions& options, const ExtractEvents& events) {
  TreeWriter writer(std::move(directory), options, events.failed);
  ReadAhead ahead(image, selection);
  for (;;) {
    const Batch& batch = ahead.next();
    if (auto taken = take_batch(batch, writer, events); !taken) return propagate(taken);
    if (!batch.last) continue;
    writer.abandon();
    auto finished = writer.finish();
    if (batch.error) return std::unexpected(*batch.error);
    if (!finished) return propagate(finished);
    return writer.summary();
  }
}

}  // namespace capsem::initrd
