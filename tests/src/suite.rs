//! The test program; see the library.

fn main() -> std::process::ExitCode {
    suite::run()
}
