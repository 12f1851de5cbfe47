// What the program asks of the operating system besides files: streams and the terminal.
#pragma once

#include <string>
#include <string_view>

namespace inkstone {

// Streams that the caller closed become empty ones, so that no file of ours takes their numbers.
void open_missing_streams();
bool is_terminal(int descriptor);
int terminal_columns();  // of standard error; 80 where it is not known, at least 20
struct TerminalSize {
  int columns = 80, rows = 24;
  int cell_width = 10, cell_height = 20;  // in pixels, or usual ones where the terminal does not tell
};
TerminalSize terminal_size();  // of standard error
// Waiting threads of the OpenMP pool spin for milliseconds by default, which starves everybody on a machine that does other
// work too (seen: 20 times slower). The pool reads its environment before main() runs, so the program starts itself again
// with a short spin, once; an environment that says GOMP_SPINCOUNT or OMP_WAIT_POLICY is left alone.
void restart_with_short_spins(char** arguments);

// What malloc frees goes back to the system from 256 KiB on; by itself it would keep some for the next.
void return_freed_memory();

// What ps and top call the process, which would be "exe" after a start by /proc/self/exe; at most 15
// letters.
void name_process(const char* name);

void write_error(std::string_view text);  // to standard error, at once; failures are nobody's concern
// To standard output, whole; throws Error with the reason. A reader that went away (EPIPE) is Error too.
void write_output(std::string_view text);
// Without a wait: what a full pipe does not take is lost, and so are failures.
void write_output_unless_full(std::string_view text);
std::string read_input(size_t max_bytes);  // standard input to its end; throws Error where there is more

}  // namespace inkstone
