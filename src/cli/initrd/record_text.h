// How `capsem initrd list` shows a record and a segment: as text for people, as JSON for programs.
#pragma once

#include <string_view>

#include "cli/initrd/buffered_output.h"
#include "cpio/reader.h"
#include "initrd/image.h"

namespace capsem::cli {

// A line as ls -l prints it, with numeric owners and the time in UTC: "-" for a time of 0, so that
// every line has the same number of words but for a name's own spaces and a link's " -> target".
// Control characters and bytes that are no UTF-8 are shown as \xNN.
void put_text(BufferedOutput& out, const cpio::Record& record, std::string_view target);

// The columns of `list --segments`.
void put_segment_heading(BufferedOutput& out);
void put_text(BufferedOutput& out, const initrd::Segment& segment);
// A line in the same columns, with "config" as codec.
void put_text(BufferedOutput& out, const initrd::BootConfig& config);

// A JSON object of all fields of the record. Of a name or target that is no valid UTF-8 the bytes
// that are none become U+FFFD, and "path_hex" or "target_hex" holds the name as it is.
void put_json(BufferedOutput& out, const cpio::Record& record, std::uint32_t archive,
              std::string_view target);

// The members of a segment's JSON object that are known at its end, without braces.
void put_json(BufferedOutput& out, const initrd::Segment& segment);

// A further member of the document: ,"boot_config":{...}.
void put_json(BufferedOutput& out, const initrd::BootConfig& config);

// A JSON string, with replacements as above.
void put_json_string(BufferedOutput& out, std::string_view text);

}  // namespace capsem::cli
