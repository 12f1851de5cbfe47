// Being told to stop: at once, with no unfinished file left behind and the terminal on a new line.
#pragma once

namespace inkstone {

// SIGINT, SIGTERM and SIGHUP: exit code 128 + the signal's number. SIGBUS (a mapped file was cut off by another): exit code 1.
// SIGPIPE and SIGXFSZ are ignored: the write fails. With `json` the reason is printed on standard output too, as an object. `json_log`: standard error takes JSON lines alone.
void install_signal_handlers(bool json, bool json_log = false);
// What is said when a signal stops the program, in place of "inkstone: interrupted"; a text that lives as long as the program.
void say_when_stopped(const char* line);
void result_is_printed();  // standard output has its one object

}  // namespace inkstone
