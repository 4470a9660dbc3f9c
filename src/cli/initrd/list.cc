// capsem initrd list
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "cli/exit_status.h"
#include "cli/initrd/buffered_output.h"
#include "cli/initrd/image_file.h"
#include "cli/initrd/record_text.h"
#include "initrd/image.h"

namespace capsem::cli {
namespace {

struct ListArguments {
  std::string file;
  bool json = false;
  bool segments = false;
  std::uint64_t limit_bytes = initrd::kDefaultLimitBytes;
};

// The form of the list: what comes before, between and behind its records and segments.
class Form {
 public:
  explicit Form(BufferedOutput& out) : out_(out) {}
  Form(const Form&) = delete;
  Form& operator=(const Form&) = delete;
  virtual ~Form() = default;

  virtual void begin() {}
  virtual void record(const cpio::Record&, std::uint32_t, std::string_view) {}
  virtual void segment(const initrd::Segment&) {}
  virtual void boot_config(const initrd::BootConfig&) {}
  virtual void end(const Error*) {}  // with what stopped it, if something did

 protected:
  BufferedOutput& out() { return out_; }

 private:
  BufferedOutput& out_;
};

class RecordLines : public Form {
 public:
  using Form::Form;
  void record(const cpio::Record& record, std::uint32_t, std::string_view target) override {
    put_text(out(), record, target);
  }
};

class SegmentLines : public Form {
 public:
  using Form::Form;
  void begin() override { put_segment_heading(out()); }
  void segment(const initrd::Segment& segment) override { put_text(out(), segment); }
  void boot_config(const initrd::BootConfig& config) override { put_text(out(), config); }
};

// {"segments":[{"records":[{...},...],"offset":...},...]}: a segment's records come before its
// other members, which are known at its end.
class JsonDocument : public Form {
 public:
  JsonDocument(BufferedOutput& out, bool records) : Form(out), records_(records) {}

  void begin() override { out().put("{\"segments\":["); }

  void record(const cpio::Record& record, std::uint32_t archive, std::string_view target) override {
    if (!records_) return;
    begin_segment();
    out().put(first_record_ ? "\n" : ",\n");
    first_record_ = false;
    put_json(out(), record, archive, target);
  }

  void segment(const initrd::Segment& segment) override {
    begin_segment();
    if (records_) out().put("],");
    put_json(out(), segment);
    out().put("}");
    in_segment_ = false;
  }

  void boot_config(const initrd::BootConfig& config) override { boot_config_ = config; }

  void end(const Error* error) override {
    if (in_segment_) out().put(records_ ? "]}" : "}");
    out().put("]");
    if (boot_config_) put_json(out(), *boot_config_);
    if (error != nullptr) {
      out().put(",\"error\":");
      put_json_string(out(), error->message());
    }
    out().put("}\n");
  }

 private:
  void begin_segment() {
    if (in_segment_) return;
    out().put(first_segment_ ? "\n{" : ",\n{");
    if (records_) out().put("\"records\":[");
    first_segment_ = false;
    first_record_ = true;
    in_segment_ = true;
  }

  bool records_;
  std::optional<initrd::BootConfig> boot_config_;
  bool in_segment_ = false;
  bool first_segment_ = true;
  bool first_record_ = true;
};

std::unique_ptr<Form> form_of(const ListArguments& arguments, BufferedOutput& out) {
  if (arguments.json) return std::make_unique<JsonDocument>(out, !arguments.segments);
  if (arguments.segments) return std::make_unique<SegmentLines>(out);
  return std::make_unique<RecordLines>(out);
}

// What a symbolic link's record leads to; Linux passes over one whose target is too long.
Result<std::string> target_of(initrd::ImageReader& reader, const cpio::Record& record) {
  if (record.header.type() != cpio::kSymlink || (record.oddities & cpio::kSymlinkTooLong) != 0)
    return std::string();
  return reader.read_body(cpio::kMaxNameBytes);
}

Result<> put_records(initrd::ImageReader& reader, Form& form, BufferedOutput& out) {
  for (;;) {
    auto record = reader.next();
    if (!record) return propagate(record);
    if (*record == nullptr) return {};
    auto target = target_of(reader, **record);
    if (!target) return propagate(target);
    form.record(**record, reader.archive_number(), *target);
    if (auto flushed = out.flush_if_full(); !flushed) return flushed;
  }
}

int list(const ListArguments& arguments) {
  // On a terminal the list itself is what shows how far it is.
  auto image = ImageFile::open(arguments.file, ::isatty(STDOUT_FILENO) == 1 ? "" : "listing");
  if (!image) return report(image.error());
  initrd::ImageReader reader(image->input(), arguments.limit_bytes);
  BufferedOutput out;
  auto form = form_of(arguments, out);
  reader.on_segment([&form](const initrd::Segment& segment) { form->segment(segment); });
  form->begin();
  auto done = put_records(reader, *form, out);
  const auto& config = reader.boot_config();
  if (done && config) form->boot_config(*config);
  form->end(done ? nullptr : &done.error());
  auto flushed = out.flush();
  if (!done) return report(std::move(done).error().wrapped("list", image->name()));
  if (config && !arguments.json && !arguments.segments)
    warn(image->name() + ": a boot configuration of " + std::to_string(config->bytes) +
         " bytes follows the last segment; --segments and --json show it");
  return flushed ? kSuccess : report(flushed.error());
}

}  // namespace

void add_initrd_list(CLI::App& initrd, Action& action) {
  auto arguments = std::make_shared<ListArguments>();
  auto* command = initrd.add_subcommand(
      "list", "List the records of any initramfs image, in its order, as ls -l does");
  command->add_option("FILE", arguments->file, "The image; - is standard input")->required();
  command->add_flag("--json", arguments->json,
                    "One JSON document, with every field; a name that is no UTF-8 also in hex");
  command->add_flag("--segments", arguments->segments,
                    "A line for each segment in place of the records");
  add_limit_option(*command, arguments->limit_bytes);
  command->footer(
      "Times are in UTC, - stands for none. Exit status: 0, or 2 when the image cannot "
      "be read to its end;\nwhat comes before the damage is listed.");
  command->callback([&action, arguments] { action = [arguments] { return list(*arguments); }; });
}

}  // namespace capsem::cli
